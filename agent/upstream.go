package agent

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

// Scopes of rate limits beside the key's own: incident.io counts alert events for each alert source (120 a minute)
// and escalations apart (60 a minute), so a full one must not hold up the rest (facts.md, "Rate").
const (
	scopeKey         = ""
	scopeAlerts      = "alert events"
	scopeEscalations = "escalations"
	scopeCreate      = "incident creation"
)

const (
	alertsPerMinute      = 120
	escalationsPerMinute = 60

	// reserveShare is the part of the key's bucket that only urgent requests may use, so that a critical incident
	// is declared at once while a backlog drains.
	reserveShare = 0.05

	// probeEvery is the longest wait between two looks whether incident.io is back (architecture 3.6).
	probeEvery = 15 * time.Second

	// creationPause is how long creation rests after a 429 that names no time: incident creation has an hourly
	// limit without a reset time (facts.md, "Rate").
	creationPause = 2 * time.Minute
)

// upstream is what the agent knows of incident.io as a whole: whether it can be reached, whether it takes the key,
// and how fast it may be asked. Every request passes through call.
type upstream struct {
	log   *slog.Logger
	probe func(context.Context) incidentio.Result // GET /v1/identity, free of any event
	back  func()                                  // called when incident.io can be used again after it could not

	mu          sync.Mutex
	limit       float64 // requests a minute of the configuration
	scopes      map[string]*scope
	unreachable string // why, empty while it answers
	refused     string // why the key is refused, empty while it is taken
	since       time.Time
	forbidden   map[string]string // call to why the key may not do it; the rest goes on
	lastContact time.Time
	changed     chan struct{} // closed and made anew whenever the above changes
	probing     chan struct{} // closed when the probe under way ends; nil when there is none
	probeOK     bool          // outcome of the last probe
	hurried     chan struct{} // buffered by one: probe now
}

type scope struct {
	bucket *rate.Limiter
	until  time.Time // no request before this
}

func newUpstream(perMinute int, probe func(context.Context) incidentio.Result, back func(), log *slog.Logger) *upstream {
	u := &upstream{
		log: log, probe: probe, back: back, limit: float64(perMinute),
		scopes: make(map[string]*scope), forbidden: make(map[string]string), changed: make(chan struct{}), hurried: make(chan struct{}, 1),
	}
	for name, n := range map[string]int{scopeKey: perMinute, scopeAlerts: alertsPerMinute, scopeEscalations: escalationsPerMinute, scopeCreate: perMinute} {
		u.scopes[name] = &scope{bucket: rate.NewLimiter(rate.Limit(float64(n)/60), max(n, 1))}
	}
	return u
}

// setLimit takes a changed AGENT_RATE_LIMIT over.
func (u *upstream) setLimit(perMinute int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.limit == float64(perMinute) {
		return
	}
	u.limit = float64(perMinute)
	s := u.scopes[scopeKey]
	s.bucket.SetLimit(rate.Limit(u.limit / 60))
	s.bucket.SetBurst(max(perMinute, 1))
}

// usable says whether requests make sense now; if not, why.
func (u *upstream) usable() (ok bool, why string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.refused != "":
		return false, u.refused
	case u.unreachable != "":
		return false, u.unreachable
	}
	return true, ""
}

// refusals are the reasons for which readiness fails: the key refused as a whole or for one call.
func (u *upstream) refusals() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []string
	if u.refused != "" {
		all = append(all, u.refused)
	}
	for _, why := range u.forbidden {
		all = append(all, why)
	}
	return all
}

// watch returns a channel that closes when something about incident.io changes.
func (u *upstream) watch() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.changed
}

func (u *upstream) tellLocked() {
	close(u.changed)
	u.changed = make(chan struct{})
}

// room is how long a request must wait for the bucket, zero when it may go at once. Requests that are not urgent
// leave the buckets' reserve alone.
func (u *upstream) room(scopeName string, urgent bool, now time.Time) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	wait := u.waitLocked(scopeKey, urgent, now)
	if scopeName != scopeKey {
		if scopeName == scopeAlerts { // the source's token, not the key's
			wait = 0
		}
		wait = max(wait, u.waitLocked(scopeName, urgent, now))
	}
	return wait
}

func (u *upstream) waitLocked(name string, urgent bool, now time.Time) time.Duration {
	s := u.scopes[name]
	if d := s.until.Sub(now); d > 0 {
		return d
	}
	need := 1.0
	if !urgent {
		need += float64(s.bucket.Burst()) * reserveShare
	}
	missing := need - s.bucket.TokensAt(now)
	if missing <= 0 || s.bucket.Limit() <= 0 {
		return 0
	}
	return time.Duration(missing/float64(s.bucket.Limit())*float64(time.Second)) + time.Millisecond
}

// take takes a token of each bucket that counts the request.
func (u *upstream) take(scopeName string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if scopeName != scopeAlerts {
		u.scopes[scopeKey].bucket.AllowN(now, 1)
	}
	if scopeName != scopeKey {
		u.scopes[scopeName].bucket.AllowN(now, 1)
	}
}

// longWait is the longest wait for the key's bucket that a request sits out holding its worker; beyond it, and for the
// smaller buckets at once, the event goes back to its lane, uncharged.
const longWait = 3 * time.Second

// call does one request to incident.io: it waits for the bucket, refuses at once what makes no sense now, and takes
// in what the answer says of incident.io as a whole.
func (u *upstream) call(ctx context.Context, scopeName string, urgent bool, do func(context.Context) incidentio.Result) incidentio.Result {
	for {
		if ok, why := u.usable(); !ok {
			class := incidentio.Unreachable
			if strings.Contains(why, refusedPrefix) {
				class = incidentio.Unauthorized
			}
			return incidentio.Result{Class: class, Message: why}
		}
		now := time.Now()
		wait := u.room(scopeName, urgent, now)
		if wait <= 0 {
			u.take(scopeName, now)
			break
		}
		if wait > longWait || wait > 0 && scopeName != scopeKey {
			return incidentio.Result{Class: incidentio.Throttled, After: wait, Message: "waiting for incident.io's rate limit"}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return incidentio.Result{Class: incidentio.Unreachable, Message: ctx.Err().Error(), Err: ctx.Err()}
		}
	}
	r := do(ctx)
	u.saw(scopeName, r)
	return r
}

const refusedPrefix = "incident.io refuses the API key"

// saw takes in what an answer tells of incident.io as a whole.
func (u *upstream) saw(scopeName string, r incidentio.Result) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if r.Status > 0 {
		u.lastContact = now
	}
	s := u.scopes[scopeName]
	if r.Rate.Known && scopeName != scopeAlerts {
		u.adaptLocked(scopeName, r.Rate, now)
	}
	switch r.Class {
	case incidentio.Throttled:
		pause := r.After
		if pause <= 0 {
			pause = time.Second
			if scopeName == scopeCreate {
				pause = creationPause
			}
		}
		target := s
		if u.ofKeyLocked(r.Rate) && scopeName != scopeAlerts {
			target = u.scopes[scopeKey]
		}
		if until := now.Add(pause); until.After(target.until) {
			target.until = until
			u.log.Warn("incident.io throttles, waiting", "scope", scopeOr(scopeName), "wait", pause.Round(time.Millisecond).String(), "request_id", r.RequestID)
		}
		u.tellLocked()
	case incidentio.Unauthorized:
		if scopeName == scopeAlerts {
			return // the alert source's token: deliver decides
		}
		if r.Status == 403 {
			return // the probe tells whether the key as a whole is refused
		}
		u.setRefusedLocked(refusedPrefix+": "+r.Error(), now)
	}
}

func scopeOr(name string) string {
	if name == scopeKey {
		return "api key"
	}
	return name
}

// ofKeyLocked says whether a rate header speaks of the key's own limit rather than a call's lower one.
func (u *upstream) ofKeyLocked(r incidentio.Rate) bool {
	for _, q := range r.Limits {
		if q.Limit > r.Limit {
			return false
		}
	}
	return r.Known
}

// adaptLocked follows incident.io's own count where it is lower than ours: other programs may share the key, and a
// restart forgets what was used.
func (u *upstream) adaptLocked(scopeName string, r incidentio.Rate, now time.Time) {
	name := scopeName
	if u.ofKeyLocked(r) {
		name = scopeKey
	} else if scopeName == scopeKey {
		return // a call's lower limit that has no scope: its 429, if any, tells
	}
	s := u.scopes[name]
	if r.Limit > 0 && r.Window > 0 {
		perSecond := float64(r.Limit) / r.Window.Seconds()
		if name == scopeKey {
			perSecond = min(perSecond, u.limit/60)
		}
		if rate.Limit(perSecond) != s.bucket.Limit() {
			s.bucket.SetLimitAt(now, rate.Limit(perSecond))
			s.bucket.SetBurstAt(now, max(1, int(min(float64(r.Limit), u.limit))))
		}
	}
	if over := int(s.bucket.TokensAt(now)) - r.Remaining; over > 0 {
		s.bucket.AllowN(now, over)
	}
}

func (u *upstream) setRefusedLocked(why string, now time.Time) {
	if u.refused == "" {
		u.since = now
		u.log.Error("pausing everything towards incident.io", "reason", why, "mend", "give the agent a valid API key: one in the file that INCIDENT_IO_API_KEY_FILE names is found by itself, one in the environment needs a restart")
	}
	u.refused = why
	u.tellLocked()
}

// check probes incident.io, one probe at a time; callers that come meanwhile share its outcome. It answers whether
// incident.io is reachable and takes the key.
func (u *upstream) check(ctx context.Context) bool {
	u.mu.Lock()
	if running := u.probing; running != nil {
		u.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
			return false
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.probeOK
	}
	done := make(chan struct{})
	u.probing = done
	u.mu.Unlock()

	r := u.probe(ctx)

	u.mu.Lock()
	now := time.Now()
	was := u.unreachable != "" || u.refused != ""
	u.probeOK = r.Class == incidentio.Done
	switch {
	case u.probeOK, r.Class == incidentio.Throttled:
		if was {
			u.log.Info("incident.io can be used again", "after", now.Sub(u.since).Round(time.Second).String())
		}
		u.unreachable, u.refused = "", ""
		u.lastContact = now
	case r.Class == incidentio.Unauthorized:
		u.unreachable = ""
		u.setRefusedLocked(refusedPrefix+": "+r.Error(), now)
	case ctx.Err() != nil: // we are being stopped: no verdict
	default:
		if u.unreachable == "" && u.refused == "" {
			u.since = now
			u.log.Error("incident.io cannot be reached, events wait", "reason", r.Error())
		}
		u.unreachable = "incident.io cannot be reached: " + r.Error()
	}
	free := was && u.unreachable == "" && u.refused == ""
	u.probing = nil
	close(done)
	u.tellLocked()
	ok := u.probeOK
	u.mu.Unlock()
	if free && u.back != nil {
		u.back()
	}
	return ok
}

// forbid notes that the key lacks what a call needs, or, with an empty why, that it no longer does.
func (u *upstream) forbid(call, why string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if why == "" {
		delete(u.forbidden, call)
		return
	}
	if _, known := u.forbidden[call]; !known {
		u.log.Error("incident.io forbids a call", "call", call, "reason", why, "mend", "make an API key with the role that `check` names")
	}
	u.forbidden[call] = why
}

// hurry makes the next probe come at once if incident.io is away: a new critical event waits.
func (u *upstream) hurry() {
	select {
	case u.hurried <- struct{}{}:
	default:
	}
}

// keepProbing looks whether incident.io is back while it is away or refuses the key, at first after a second, then
// at most probeEvery apart.
func (u *upstream) keepProbing(ctx context.Context) {
	wait := time.Second
	for {
		ok, _ := u.usable()
		if ok {
			wait = time.Second
			select {
			case <-u.watch():
			case <-u.hurried: // nothing to hurry
			case <-ctx.Done():
				return
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			u.check(ctx)
			wait = min(2*wait, probeEvery)
		case <-u.hurried:
			timer.Stop()
			u.check(ctx)
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
