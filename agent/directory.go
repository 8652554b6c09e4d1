package agent

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
)

const (
	// directoryFor is how old what is known of the account may get before it is read again.
	directoryFor = 10 * time.Minute
	// directoryRetry is the wait after a read that did not succeed while an older copy serves.
	directoryRetry = 30 * time.Second
	// directoryPartial is how old a copy gets of which a part was forbidden: a role that the key lacked for a moment is
	// not to be missed for longer.
	directoryPartial = time.Minute
	// lookupAgain is the wait between two lookups of a person that fail in a way that may pass, and lookupPatience for how
	// long events wait for one until they go on without that person.
	lookupAgain    = time.Second
	lookupPatience = time.Minute
	// missingFor is how long a call that the account answered 404 to is not tried again.
	missingFor = time.Hour
)

// directory is what the agent knows of the incident.io account: read once, kept for directoryFor, and kept for longer
// while incident.io can't be read, since an old copy is better than none. What it hands out is never changed afterwards.
type directory struct {
	a        *Agent
	patience time.Duration

	reading chan struct{} // holds a token while somebody reads, so that callers who come meanwhile share the outcome
	early   *rate.Limiter // for reads before the time is up

	mu      sync.Mutex
	known   *mapping.Directory // nil before the first read; its Users, Entries and Missing are not filled in
	name    string             // the API key's own name
	org     string             // the organisation's slug, from the dashboard's address
	readAt  time.Time
	retryAt time.Time
	users   map[string]lookedUp // by lower-case email
	failing time.Time           // since when no person's lookup comes to an answer; zero while they do
	lacking time.Time           // since when the key may not read a part of the account; zero while it may
	entries map[string]listed   // by catalog type
	gone    map[string]time.Time
}

// lookedUp is a user by email: there, not in the account, or not known because the lookup failed.
type lookedUp struct {
	user  mapping.User
	ok    bool
	why   string
	at    time.Time
	until time.Time // when failures that may pass count as a failure for good; zero where there are none
}

// pending says that the lookup failed, and that it is worth waiting for the next.
func (u lookedUp) pending() bool { return time.Now().Before(u.until) }

// serves says that the answer is new enough.
func (u lookedUp) serves() bool {
	switch age := time.Since(u.at); {
	case u.why == "":
		return age < directoryFor
	case u.pending():
		return age < lookupAgain
	default:
		return age < directoryRetry
	}
}

// listed holds the entries of a catalog type.
type listed struct {
	entries []mapping.Entry
	at      time.Time
}

// directoryError says that the account could not be read and no older copy is there.
type directoryError struct {
	what   string
	result incidentio.Result // its class tells what to do about it
}

func (e *directoryError) Error() string {
	return "read incident.io's " + e.what + ": " + e.result.Error()
}
func (e *directoryError) Unwrap() error { return e.result.Err }

func newDirectory(a *Agent) *directory {
	return &directory{
		a: a, patience: lookupPatience, reading: make(chan struct{}, 1), early: rate.NewLimiter(rate.Every(10*time.Second), 5),
		users: make(map[string]lookedUp), entries: make(map[string]listed), gone: make(map[string]time.Time),
	}
}

// forbidden says whether a part of the account is missing because the key may not read it.
func (d *directory) forbidden() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.lacking.IsZero()
}

// get returns the account as it is known, read anew when it is too old. Its error, if any, is a *directoryError.
func (d *directory) get(ctx context.Context) (*mapping.Directory, error) {
	if known, fresh := d.cached(); fresh {
		return known, nil
	}
	return d.read(ctx, false)
}

// refresh reads the account again because something blames an id of it, at most a few times in a row.
func (d *directory) refresh(ctx context.Context, why string) error {
	if !d.early.Allow() {
		return nil
	}
	d.a.log.Info("reading incident.io's settings again", "reason", why)
	_, err := d.read(ctx, true)
	return err
}

// forget makes everything be read anew at its next use, as after a change of the configuration.
func (d *directory) forget() {
	d.a.in.forgetUnreadable()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readAt, d.retryAt = time.Time{}, time.Time{}
	clear(d.users)
	clear(d.entries)
	clear(d.gone)
}

// missing notes that the account answered 404 to one of the newer calls (mapping.Call*).
func (d *directory) missing(call string) {
	d.mu.Lock()
	at, told := d.gone[call]
	d.gone[call] = time.Now()
	d.mu.Unlock()
	if !told || time.Since(at) > missingFor {
		d.a.log.Warn("this incident.io account lacks a call, falling back", "call", call, "again_in", missingFor.String())
	}
}

// keyName is the API key's own name, as incident.io shows it beside what the agent did; empty before the first read.
func (d *directory) keyName() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.name
}

// orgSlug is the organisation's name in incident.io's addresses; empty before the first read.
func (d *directory) orgSlug() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.org
}

// cached returns what is known, and whether it is new enough, or too early to ask again.
func (d *directory) cached() (*mapping.Directory, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		return nil, false
	}
	now := time.Now()
	return d.viewLocked(now), now.Sub(d.readAt) < directoryFor || now.Before(d.retryAt)
}

// viewLocked is what is known with the calls that are missing now.
func (d *directory) viewLocked(now time.Time) *mapping.Directory {
	view := *d.known
	view.Missing = make(map[string]bool)
	for call, at := range d.gone {
		if now.Sub(at) < missingFor {
			view.Missing[call] = true
		}
	}
	return &view
}

// read reads the account, one reader at a time. Whoever waited for another reader takes what that one read.
func (d *directory) read(ctx context.Context, force bool) (*mapping.Directory, error) {
	asked := time.Now()
	select {
	case d.reading <- struct{}{}:
		defer func() { <-d.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	older := d.known
	shared := d.known != nil && (d.readAt.After(asked) || !force && time.Since(d.readAt) < directoryFor)
	d.mu.Unlock()
	if !shared {
		fresh, err := d.load(ctx, older)
		d.mu.Lock()
		if err == nil {
			d.known, d.readAt, d.retryAt = fresh.Directory, time.Now(), time.Time{}
			if fresh.partial {
				d.readAt = d.readAt.Add(directoryPartial - directoryFor)
			} else {
				d.lacking = time.Time{}
			}
			d.name, d.org = fresh.keyName, fresh.org
			if force {
				clear(d.entries)
				clear(d.users)
			}
		} else {
			d.retryAt = time.Now().Add(directoryRetry)
		}
		old := d.known != nil
		d.mu.Unlock()
		switch {
		case err != nil && !old:
			return nil, err
		case err != nil:
			d.a.in.tell.failed(levelWarn, "directory", "incident.io's settings could not be read, the older copy serves", "error", err)
		default:
			d.a.in.tell.works("directory", "incident.io's settings can be read again")
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.viewLocked(time.Now()), nil
}

type account struct {
	*mapping.Directory
	keyName, org string
	partial      bool // something was forbidden
}

// load asks incident.io for everything that plans need: a handful of requests. older, if there is one, serves for what
// is forbidden.
func (d *directory) load(ctx context.Context, older *mapping.Directory) (account, error) {
	acc := account{Directory: &mapping.Directory{}}
	first := older == nil
	if first {
		older = &mapping.Directory{}
	}
	var failed *directoryError
	ask := func(what string, do func(context.Context) incidentio.Result) {
		if failed != nil {
			return
		}
		switch r := d.a.call(ctx, true, do); {
		case r.Class == incidentio.Done:
		case r.Class == incidentio.Unauthorized && r.Status == http.StatusForbidden && first && d.lacks():
			failed = &directoryError{what, r} // it may be a matter of a moment
		case r.Class == incidentio.Refused, r.Class == incidentio.Unauthorized && r.Status == http.StatusForbidden:
			// An account without this, or a key that may not read it: what is mapped onto it is left out, the incident
			// is not (P6).
			acc.partial = acc.partial || r.Class == incidentio.Unauthorized
			d.a.in.tell.failed(levelWarn, "directory of "+what, "incident.io does not give its "+what+"; what is mapped onto them is left out", "error", r.Error())
		default:
			failed = &directoryError{what, r}
		}
	}
	io := d.a.io
	acc.Severities = part(ask, "severities", older.Severities, io.Severities, func(s incidentio.Severity) mapping.Severity { return *severityOf(&s) })
	acc.Statuses = part(ask, "incident statuses", older.Statuses, io.Statuses, statusOf)
	acc.Types = part(ask, "incident types", older.Types, io.Types, func(t incidentio.IncidentType) mapping.IncidentType {
		return mapping.IncidentType{ID: t.ID, Name: t.Name, Default: t.IsDefault}
	})
	acc.Roles = part(ask, "incident roles", older.Roles, io.Roles, roleOf)
	acc.Fields = part(ask, "custom fields", older.Fields, io.CustomFields, func(f incidentio.CustomField) mapping.Field {
		return mapping.Field{ID: f.ID, Name: f.Name, Type: f.Type, CatalogType: f.CatalogTypeID}
	})
	used := d.fieldsInUse()
	for i := range acc.Fields {
		f := &acc.Fields[i]
		if !strings.HasSuffix(f.Type, "_select") || f.CatalogType != "" || !used(f) {
			continue
		}
		var had []mapping.Option
		if i := slices.IndexFunc(older.Fields, func(o mapping.Field) bool { return o.ID == f.ID }); i >= 0 {
			had = older.Fields[i].Options
		}
		options := func(ctx context.Context) ([]incidentio.Option, incidentio.Result) { return io.FieldOptions(ctx, f.ID) }
		f.Options = part(ask, "options of the custom field "+f.Name, had, options, func(o incidentio.Option) mapping.Option {
			return mapping.Option{ID: o.ID, Value: o.Value}
		})
	}
	ask("own name for the API key", func(ctx context.Context) incidentio.Result {
		who, r := d.a.io.Identity(ctx)
		acc.keyName, acc.org = who.Name, slugOf(who.DashboardURL)
		return r
	})
	if failed != nil {
		return account{}, failed
	}
	return acc, nil
}

// part reads a list of the account's; where it is not given it is the older one.
func part[T, M any](ask func(string, func(context.Context) incidentio.Result), what string, older []M,
	read func(context.Context) ([]T, incidentio.Result), one func(T) M) []M {
	list := slices.Clone(older)
	ask(what, func(ctx context.Context) incidentio.Result {
		found, r := read(ctx)
		if r.Class == incidentio.Done {
			list = convert(found, one)
		}
		return r
	})
	return list
}

// lacks notes that the key may not read a part of the account, and says whether that is worth waiting for.
func (d *directory) lacks() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lacking.IsZero() {
		d.lacking = time.Now()
	}
	return time.Since(d.lacking) < d.patience
}

// fieldsInUse says which custom fields the configuration names, by id or name: only their options are read.
func (d *directory) fieldsInUse() func(*mapping.Field) bool {
	rules := d.a.cfg.Load().Rules
	named := append(slices.Collect(maps.Values(rules.CustomFields)), rules.ServiceField)
	return func(f *mapping.Field) bool {
		return slices.ContainsFunc(named, func(n string) bool { return n != "" && (n == f.ID || strings.EqualFold(n, f.Name)) })
	}
}

// slugOf takes the organisation out of https://app.incident.io/SLUG/….
func slugOf(dashboard string) string {
	_, path, _ := strings.Cut(dashboard, "://")
	_, path, _ = strings.Cut(path, "/")
	slug, _, _ := strings.Cut(path, "/")
	return slug
}

// want is get with the users and catalog entries that a plan will look for. A lookup that failed is told in
// UsersPending where it is worth waiting for the next, else in UsersUnknown; entries that could not be read are the
// older ones, else an error.
func (d *directory) want(ctx context.Context, n mapping.Needs) (*mapping.Directory, error) {
	view, err := d.get(ctx)
	if err != nil {
		return nil, err
	}
	view.Users, view.Entries = make(map[string]mapping.User), make(map[string][]mapping.Entry)
	view.UsersUnknown, view.UsersPending = make(map[string]string), make(map[string]string)
	for _, email := range n.Emails {
		email = strings.ToLower(strings.TrimSpace(email))
		if email == "" {
			continue
		}
		switch u := d.user(ctx, email); {
		case u.ok:
			view.Users[email] = u.user
		case u.pending():
			view.UsersPending[email] = u.why
		case u.why != "":
			view.UsersUnknown[email] = u.why
		}
	}
	for _, id := range n.CatalogTypes {
		entries, err := d.catalog(ctx, id)
		if err != nil {
			return nil, err
		}
		view.Entries[id] = entries
	}
	return view, nil
}

// settled is want for a plan that would ask incident.io nothing; false where it would have to.
func (d *directory) settled(ctx context.Context, in mapping.Input) (*mapping.Directory, bool) {
	known, fresh := d.cached()
	if !fresh {
		return nil, false
	}
	in.Directory = known
	n := mapping.Want(in)
	d.mu.Lock()
	asks := slices.ContainsFunc(n.Emails, func(email string) bool {
		u, known := d.users[strings.ToLower(strings.TrimSpace(email))]
		return !known || !u.serves() || u.pending()
	}) || slices.ContainsFunc(n.CatalogTypes, func(id string) bool {
		have, known := d.entries[id]
		return !known || time.Since(have.at) >= directoryFor
	})
	d.mu.Unlock()
	if asks {
		return nil, false
	}
	known, err := d.want(ctx, n)
	return known, err == nil
}

// user looks a person up. A failure is kept for a short while only, so that a burst of events does not ask again and
// again.
func (d *directory) user(ctx context.Context, email string) lookedUp {
	d.mu.Lock()
	u, known := d.users[email]
	d.mu.Unlock()
	if known && u.serves() {
		return u
	}
	fresh := lookedUp{}
	r := d.a.call(ctx, true, func(ctx context.Context) incidentio.Result {
		found, ok, r := d.a.io.UserByEmail(ctx, email)
		fresh.user, fresh.ok = userOf(found), ok
		return r
	})
	fresh.at = time.Now()
	if r.Class != incidentio.Done {
		if ctx.Err() != nil {
			return lookedUp{why: r.Error()}
		}
		if known && u.ok {
			return u // an older answer is better than none
		}
		fresh = lookedUp{why: r.Error(), at: fresh.at}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case fresh.why == "":
		d.failing = time.Time{}
	case r.Class != incidentio.Refused:
		// It may pass. Should it not, as where the key lacks a role for good, only the first of the people is waited for.
		if d.failing.IsZero() {
			d.failing = fresh.at
		}
		fresh.until = d.failing.Add(d.patience)
	}
	if len(d.users) > maxUsers {
		clear(d.users)
	}
	d.users[email] = fresh
	return fresh
}

// maxUsers bounds the people that are remembered; beyond it all are looked up anew.
const maxUsers = 10_000

func (d *directory) catalog(ctx context.Context, typeID string) ([]mapping.Entry, error) {
	d.mu.Lock()
	have, known := d.entries[typeID]
	d.mu.Unlock()
	if known && time.Since(have.at) < directoryFor {
		return have.entries, nil
	}
	var list []mapping.Entry
	r := d.a.call(ctx, true, func(ctx context.Context) incidentio.Result {
		found, r := d.a.io.CatalogEntries(ctx, typeID, "")
		list = convert(found, func(e incidentio.CatalogEntry) mapping.Entry {
			return mapping.Entry{ID: e.ID, Name: e.Name, ExternalID: e.ExternalID, Aliases: e.Aliases}
		})
		return r
	})
	switch {
	case r.Class == incidentio.Done:
	case r.Class == incidentio.Refused: // no such type, or not for this key: there is nothing to find
		d.a.in.tell.failed(levelWarn, "catalog "+typeID, "entries of a catalog type can't be read", "catalog_type", typeID, "error", r.Error())
	case known:
		return have.entries, nil
	default:
		return nil, &directoryError{"catalog entries", r}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries[typeID] = listed{list, time.Now()}
	return list, nil
}
