package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// The control calls: what the Go value offers, over HTTP. They take no key, answer JSON, and errors as {"error":"…"}.

// control is one control call.
type control struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Does    string `json:"does"`
	Example any    `json:"example,omitempty"` // of the request's body

	do func(*Simulator, *http.Request) (any, error)
}

// text is a duration as text: "1.5s".
type text struct{ time.Duration }

func (d text) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *text) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	d.Duration = v
	return err
}

func controlTable() []control {
	return []control{
		{Method: "GET", Path: "/_sim/snapshot", Does: "the whole account: incidents with updates, timeline, actions, follow-ups, post-mortems, alerts, escalations",
			do: func(s *Simulator, _ *http.Request) (any, error) { return s.Snapshot(), nil }},
		{Method: "GET", Path: "/_sim/incidents/{ref}", Does: "one incident with all that hangs on it, by id, INC-1 or number",
			do: func(s *Simulator, r *http.Request) (any, error) { return found(s.Incident(r.PathValue("ref"))) }},
		{Method: "GET", Path: "/_sim/account", Does: "the account's settings: severities, statuses, roles, fields, options, users, catalog, alert sources",
			do: func(s *Simulator, _ *http.Request) (any, error) { return s.Account(), nil }},
		{Method: "GET", Path: "/_sim/requests", Does: "the requests seen, oldest first; ?match=TEXT in \"METHOD PATH\", ?after=N",
			do: func(s *Simulator, r *http.Request) (any, error) {
				after, _ := strconv.Atoi(r.URL.Query().Get("after")) // anything else is from the start
				list := s.Requests(r.URL.Query()["match"]...)
				return slices.DeleteFunc(list, func(e Request) bool { return e.N <= after }), nil
			}},
		{Method: "GET", Path: "/_sim/counters", Does: "counts since the start",
			do: func(s *Simulator, _ *http.Request) (any, error) { return s.Counters(), nil }},
		{Method: "GET", Path: "/_sim/webhooks", Does: "the webhooks and what became of them; ?type=EVENT_TYPE",
			do: func(s *Simulator, r *http.Request) (any, error) { return s.Webhooks(r.URL.Query()["type"]...), nil }},
		{Method: "POST", Path: "/_sim/webhooks/replay", Does: "sends webhooks again: those with the ids, or all that were not delivered", Example: map[string]any{"ids": []string{"msg_…"}},
			do: controlReplay},
		{Method: "GET", Path: "/_sim/faults", Does: "the faults in force", do: func(s *Simulator, _ *http.Request) (any, error) { return s.controlFaults(), nil }},
		{Method: "POST", Path: "/_sim/faults", Does: "makes requests fail; kinds: " + fmt.Sprint(faultKinds), do: controlBreak,
			Example: map[string]any{"method": "POST", "path": "/v2/incidents", "kind": "reset_after", "times": 1, "delay": "2s", "status": 503, "retry_after": "http-date", "p": 0.5, "skip": 0, "body": ""}},
		{Method: "DELETE", Path: "/_sim/faults", Does: "takes all faults away", do: func(s *Simulator, _ *http.Request) (any, error) { s.Mend(); return s.controlFaults(), nil }},
		{Method: "DELETE", Path: "/_sim/faults/{id}", Does: "takes one fault away",
			do: func(s *Simulator, r *http.Request) (any, error) {
				s.Mend(r.PathValue("id"))
				return s.controlFaults(), nil
			}},
		{Method: "POST", Path: "/_sim/settings", Does: "changes the account; only what is given", Example: map[string]any{
			"key": "inc_…", "roles": []string{"viewer"}, "webhook_url": "http://127.0.0.1:8484/webhooks/incident-io", "webhook_secrets": []string{"whsec_…"}, "alert_delay": "1s",
			"alert_route": map[string]any{"delay": "1s", "severity": "SEV2", "status": "Triage"}, "no_alert_route": false, "missing_newer_calls": true,
			"webhooks": map[string]any{"attempts": 6, "backoff": "100ms", "timeout": "15s", "delay": "0s", "shuffle_within": "1s", "drop_share": 0.1, "duplicate_share": 0.1},
			"limits":   map[string]any{"per_minute": 1200, "alerts_per_minute": 120, "escalations_per_minute": 60, "incidents_per_hour": -1},
			"remove":   []string{"SEV3"}, "add_users": []map[string]string{{"name": "Joan", "email": "joan@example.com"}}, "deactivate": []string{"linus@example.com"},
		}, do: controlSettings},
	}
}

func (s *Simulator) controls() *http.ServeMux {
	list := append(controlTable(), personTable()...)
	mux := http.NewServeMux()
	for _, c := range list {
		mux.HandleFunc(c.Method+" "+c.Path, func(w http.ResponseWriter, r *http.Request) {
			v, err := c.do(s, r)
			var he *controlError
			switch {
			case errors.As(err, &he):
				s.writeControl(w, he.status, map[string]string{"error": he.Error()})
			case err != nil:
				s.writeControl(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
			default:
				s.writeControl(w, http.StatusOK, v)
			}
		})
	}
	mux.HandleFunc("/_sim/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/_sim/" {
			s.writeControl(w, http.StatusNotFound, map[string]string{"error": r.Method + " " + r.URL.Path + " is no control call; GET /_sim/ lists them"})
			return
		}
		s.writeControl(w, http.StatusOK, map[string]any{"controls": list})
	})
	return mux
}

type controlError struct {
	status int
	err    error
}

func (e *controlError) Error() string { return e.err.Error() }
func (e *controlError) Unwrap() error { return e.err }

func found[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, &controlError{http.StatusNotFound, err}
	}
	return v, nil
}

func (s *Simulator) writeControl(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	var readable bytes.Buffer
	_ = json.Indent(&readable, mustJSON(v), "", "  ") // for the person with curl; what mustJSON gives is JSON
	if _, err := w.Write(append(readable.Bytes(), '\n')); err != nil {
		s.log.Debug("control answer not taken", "error", err)
	}
}

// controlBody reads the body of a control call; an empty one is an empty object.
func controlBody(r *http.Request, into any) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, bodyLimit))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil && err != io.EOF {
		return &controlError{http.StatusBadRequest, fmt.Errorf("read the request's body: %w", err)}
	}
	return nil
}

func controlReplay(s *Simulator, r *http.Request) (any, error) {
	var in struct {
		IDs []string `json:"ids"`
	}
	if err := controlBody(r, &in); err != nil {
		return nil, err
	}
	return map[string]int{"replayed": s.Replay(in.IDs...)}, nil
}

// faultJSON is a Fault with its delay as text.
type faultJSON struct {
	Fault
	Delay text `json:"delay,omitzero"`
}

func (s *Simulator) controlFaults() any {
	out := []faultJSON{}
	for _, f := range s.Faults() {
		out = append(out, faultJSON{f, text{f.Delay}})
	}
	return map[string]any{"faults": out}
}

func controlBreak(s *Simulator, r *http.Request) (any, error) {
	var in faultJSON
	if err := controlBody(r, &in); err != nil {
		return nil, err
	}
	in.Fault.Delay = in.Delay.Duration
	id, err := s.Break(in.Fault)
	return map[string]string{"id": id}, err
}

type settingsIn struct {
	Key            *string     `json:"key"`
	Roles          []string    `json:"roles"`
	WebhookURL     *string     `json:"webhook_url"`
	WebhookSecrets []string    `json:"webhook_secrets"`
	Webhooks       *webhooksIn `json:"webhooks"`
	AlertDelay     *text       `json:"alert_delay"`
	AlertRoute     *routeIn    `json:"alert_route"`
	NoAlertRoute   bool        `json:"no_alert_route"`
	Older          *bool       `json:"missing_newer_calls"`
	Limits         *limitsIn   `json:"limits"`
	Remove         []string    `json:"remove"`
	AddUsers       []struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	} `json:"add_users"`
	Deactivate []string `json:"deactivate"`
}

type routeIn struct {
	AlertRoute
	Delay text `json:"delay"`
}

type webhooksIn struct {
	Attempts       int     `json:"attempts"`
	Backoff        text    `json:"backoff"`
	Timeout        text    `json:"timeout"`
	Delay          text    `json:"delay"`
	ShuffleWithin  text    `json:"shuffle_within"`
	DropShare      float64 `json:"drop_share"`
	DuplicateShare float64 `json:"duplicate_share"`
}

type limitsIn struct {
	PerMinute            int `json:"per_minute"`
	AlertsPerMinute      int `json:"alerts_per_minute"`
	EscalationsPerMinute int `json:"escalations_per_minute"`
	IncidentsPerHour     int `json:"incidents_per_hour"`
}

func controlSettings(s *Simulator, r *http.Request) (any, error) {
	var in settingsIn
	if err := controlBody(r, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	key := s.keyValue
	s.mu.Unlock()
	set(&key, in.Key)
	s.SetKey(key, in.Roles...)
	s.hooks.mu.Lock()
	url, secrets := s.hooks.url, s.hooks.secrets
	s.hooks.mu.Unlock()
	set(&url, in.WebhookURL)
	if in.WebhookSecrets != nil {
		secrets = in.WebhookSecrets
	}
	s.SetWebhook(url, secrets...)
	if w := in.Webhooks; w != nil {
		s.SetWebhookOptions(WebhookOptions{Attempts: w.Attempts, Backoff: w.Backoff.Duration, Timeout: w.Timeout.Duration, Delay: w.Delay.Duration,
			ShuffleWithin: w.ShuffleWithin.Duration, DropShare: w.DropShare, DuplicateShare: w.DuplicateShare})
	}
	if in.AlertDelay != nil {
		s.SetAlertDelay(in.AlertDelay.Duration)
	}
	if in.AlertRoute != nil {
		route := in.AlertRoute.AlertRoute
		route.Delay = in.AlertRoute.Delay.Duration
		s.SetAlertRoute(&route)
	}
	if in.NoAlertRoute {
		s.SetAlertRoute(nil)
	}
	if in.Older != nil {
		s.SetMissingNewerCalls(*in.Older)
	}
	if in.Limits != nil {
		s.SetLimits(Limits(*in.Limits))
	}
	for _, u := range in.AddUsers {
		s.AddUser(u.Name, u.Email)
	}
	var errs []error
	for _, name := range in.Remove {
		errs = append(errs, s.Remove(name))
	}
	for _, email := range in.Deactivate {
		errs = append(errs, s.Deactivate(email))
	}
	return map[string]bool{"ok": true}, errors.Join(errs...)
}
