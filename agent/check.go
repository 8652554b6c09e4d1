package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/webhook"
)

// Levels of what a check found.
const (
	LevelOK      = "ok"
	LevelWarning = "warning" // the agent runs, something of it does not work as wanted
	LevelError   = "error"   // the agent can't do its main job, or something named does not exist
)

// Checked is one thing that a check looked at.
type Checked struct {
	Level string
	Finding
}

// checker is one check against incident.io under way.
type checker struct {
	name  string // of the program, as requests carry it
	c     Config
	io    *incidentio.Client
	dir   mapping.Directory
	found []Checked
	roles []string
	asked error // incident.io could not be asked
}

// CheckOnline compares a configuration that loads with the account behind its key. The error says that incident.io
// could not be asked; everything else is a finding. It changes nothing in incident.io.
func CheckOnline(ctx context.Context, c Config, version string) ([]Checked, error) {
	k, err := newChecker(c, version)
	if err != nil {
		return nil, err
	}
	defer k.io.Close()
	if !k.checkKey(ctx) {
		return k.found, k.asked
	}
	for _, check := range []func(context.Context){
		k.checkClock, k.checkRoles, k.checkSeverities, k.checkStatuses, k.checkTypes, k.checkIncidentRoles, k.checkFields,
		k.checkUsers, k.checkTeams, k.checkPaths, k.checkSources, k.checkCalls, k.checkWebhooks,
	} {
		if check(ctx); k.asked != nil {
			return k.found, k.asked
		}
	}
	return k.found, nil
}

func newChecker(c Config, version string) (*checker, error) {
	name := "tigerops-incidentio/" + version
	io, err := incidentio.New(incidentio.Options{BaseURL: c.APIURL, CAFile: c.CAFile, Key: c.APIKey.Reveal, UserAgent: name})
	if err != nil {
		return nil, fmt.Errorf("set up the client of incident.io: %w", err)
	}
	return &checker{c: c, io: io, name: name}, nil
}

// say adds a finding about an option of the file; with no key, about incident.io as a whole.
func (k *checker) say(level, key, mend, message string, args ...any) {
	f := Finding{Message: fmt.Sprintf(message, args...), Mend: mend}
	if key != "" {
		f.Source, f.Key = k.c.Where(key)
	}
	k.found = append(k.found, Checked{level, f})
}

// read tells whether a list could be read. What the key may not read is a finding; where incident.io could not be
// asked, the check ends.
func (k *checker) read(what, role string, r incidentio.Result) bool {
	switch {
	case r.OK():
		return true
	case r.Status == http.StatusForbidden:
		k.say(LevelError, "api_key", "make a key with the role "+role+" in incident.io, Settings, API keys", "may not read %s", what)
	case r.Class == incidentio.Refused && r.Status == http.StatusNotFound:
		k.say(LevelWarning, "", "", "this account has no %s", what)
	case r.Class == incidentio.Refused:
		k.say(LevelError, "", "", "reading %s: %v", what, r.Error())
	default:
		k.asked = fmt.Errorf("read %s: %w", what, r)
	}
	return false
}

// checkKey asks who the key is; nothing else makes sense without an answer.
func (k *checker) checkKey(ctx context.Context) bool {
	who, r := k.io.Identity(ctx)
	switch {
	case r.Class == incidentio.Unauthorized:
		k.say(LevelError, "api_key", "make a new one in incident.io, Settings, API keys", "incident.io refuses the key: %s", r.Message)
		return false
	case !r.OK():
		k.asked = fmt.Errorf("ask incident.io at %s who the key is: %w", k.c.APIURL, r)
		return false
	}
	k.roles = slices.Concat(who.Roles, who.TeamRoles)
	k.say(LevelOK, "api_key", "", "is %q, with the roles %s", who.Name, list(who.Roles))
	if slug := slugOf(who.DashboardURL); k.c.OrgSlug != "" && slug != "" && !strings.EqualFold(slug, k.c.OrgSlug) {
		k.say(LevelError, "org_slug", "is it the right key? If so, write the other name here", "is %q, but the key belongs to %q", k.c.OrgSlug, slug)
	}
	return true
}

// maxSkew is the clock difference at which webhooks come near to being refused as stale (5 minutes, contract
// section 5) and times on the timeline look wrong.
const maxSkew = time.Minute

// checkClock compares this machine's clock with incident.io's.
func (k *checker) checkClock(ctx context.Context) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	if k.c.CAFile != "" {
		pem, err := os.ReadFile(k.c.CAFile)
		if err != nil {
			return // loading the configuration has told it
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, k.c.APIURL+"/v1/identity", nil)
	if err != nil {
		return
	}
	req.Header.Set("User-Agent", k.name)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return // the requests with the key have shown that incident.io is there
	}
	resp.Body.Close()
	there, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return
	}
	if skew := time.Since(there).Round(time.Second); skew.Abs() > maxSkew {
		k.say(LevelWarning, "", "set it by NTP: webhooks are refused at 5 minutes", "this machine's clock is %s off incident.io's", skew)
	}
}

// wantedRoles are the key's roles that the configuration makes use of, and what for. Any of a line suffices.
func (k *checker) wantedRoles() []wantedRole {
	r := k.c.Rules
	return []wantedRole{
		{true, LevelError, "reading incidents and settings", []string{"viewer"}},
		{r.AutoDeclare, LevelError, "auto_declare", []string{"incident_creator"}},
		{true, LevelError, "telling incidents what changed", []string{"incident_editor"}},
		{r.PushPostmortem, LevelWarning, "sync_options.push_postmortem", []string{"postmortems_manage"}},
		{r.CreateOptions, LevelWarning, "create_missing_options", []string{"manage_settings"}},
		{len(r.Teams) > 0, LevelWarning, "team_mapping", []string{"viewer", "catalog_viewer", "catalog_editor"}},
		{len(r.EscalationPaths) > 0, LevelWarning, "escalation_paths", []string{"escalation_creator", "on_call_editor"}},
		{k.c.AlertSource.ID != "", LevelWarning, "alert_source (finding the incident that an alert made)", []string{"viewer", "on_call_viewer", "on_call_editor"}},
		{r.PullEscalations, LevelWarning, "sync_options.pull_escalations", []string{"viewer", "on_call_viewer", "on_call_editor"}},
		{r.Visibility == "private", LevelError, "visibility: private", []string{"global_access"}},
	}
}

type wantedRole struct {
	wanted bool
	level  string
	what   string
	anyOf  []string
}

func (k *checker) checkRoles(context.Context) {
	for _, w := range k.wantedRoles() {
		if w.wanted && !slices.ContainsFunc(w.anyOf, func(role string) bool { return slices.Contains(k.roles, role) }) {
			k.say(w.level, "api_key", "make a key that has it in incident.io, Settings, API keys: roles are chosen when a key is made", "lacks the role %s, which %s needs", strings.Join(w.anyOf, " or "), w.what)
		}
	}
}

// newerCalls are the calls that older accounts may lack (facts: "Newer calls missing"), and what the agent then does.
var newerCalls = []struct{ path, fallback string }{
	{"/v2/incident_updates", "status and severity are set by editing the incident, messages stand below its summary or on its alert"},
	{"/v2/incident_timeline_items", "what belongs on the timeline is told as an update's message"},
	{"/v3/actions", "runbook actions are told on the timeline"},
	{"/v3/follow_ups", "follow-ups are told as an update's message"},
}

// checkCalls asks for each newer call with an empty body: where the call exists that is refused as invalid, before
// anything is made.
func (k *checker) checkCalls(ctx context.Context) {
	for _, call := range newerCalls {
		r := k.io.Send(ctx, incidentio.Call{Method: http.MethodPost, Path: call.path, Body: []byte("{}")})
		switch {
		case r.Status == http.StatusNotFound:
			k.say(LevelWarning, "", "ask incident.io's support to enable it", "this account lacks POST %s: %s", call.path, call.fallback)
		case r.Class == incidentio.Unreachable || r.Class == incidentio.InDoubt:
			k.asked = fmt.Errorf("try POST %s: %w", call.path, r)
			return
		}
	}
}

// checkWebhooks sends a signed webhook through the receiver itself, for each webhook secret.
func (k *checker) checkWebhooks(ctx context.Context) {
	if len(k.c.WebhookSecrets) == 0 {
		k.say(LevelWarning, "webhook_secret", "register a webhook in incident.io, Settings, Webhooks, and set its signing secret",
			"is not set: the agent is pull-only, changes come every %s", duration(k.c.ReconcileInterval))
		return
	}
	for i, s := range k.c.WebhookSecrets {
		if err := verifies(ctx, s); err != nil {
			k.say(LevelError, "webhook_secret", "copy it anew from incident.io, Settings, Webhooks", "number %d does not verify what it signed: %v", i+1, err)
		} else {
			k.say(LevelOK, "webhook_secret", "", "number %d signs and verifies", i+1)
		}
	}
}

// verifies sends a webhook signed with the secret to a receiver of its own on loopback.
func verifies(ctx context.Context, s Secret) error {
	var listen net.ListenConfig
	ln, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	receiver := &webhook.Receiver{
		Secrets: func() []string { return []string{s.Reveal()} },
		Accept:  func(context.Context, string, []byte) (bool, error) { return false, nil },
		Observe: func(string, string) {},
		Log:     slog.New(slog.DiscardHandler),
	}
	server := &http.Server{Handler: receiver.Handler(), ReadHeaderTimeout: probeWithin}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(ln) }() // it ends when it is closed
	defer func() { _ = server.Close(); <-served }()
	p, err := ProbeWebhook(ctx, Config{WebhookSecrets: []Secret{s}}, "http://"+ln.Addr().String())
	if err == nil && !p.OK {
		err = fmt.Errorf("answered %d", p.Status)
	}
	return err
}

// list writes names one behind the other.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
