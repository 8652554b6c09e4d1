package mapping_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// arrived is when every event of these tests was stored.
var arrived = at("2026-11-23T02:10:01Z")

// tryAccount is an incident.io account with a field of every type.
func tryAccount() *mapping.Directory {
	return &mapping.Directory{
		Severities: []mapping.Severity{{ID: "sev-minor", Name: "SEV3", Rank: 1}, {ID: "sev-major", Name: "SEV2", Rank: 2}, {ID: "sev-critical", Name: "SEV1", Rank: 3}},
		Statuses: []mapping.Status{
			{ID: "st-triage", Name: "Triage", Category: "triage", Rank: 1},
			{ID: "st-investigating", Name: "Investigating", Category: "live", Rank: 2},
			{ID: "st-fixing", Name: "Fixing", Category: "live", Rank: 3},
			{ID: "st-monitoring", Name: "Monitoring", Category: "live", Rank: 4},
			{ID: "st-documenting", Name: "Documenting", Category: "learning", Rank: 5},
			{ID: "st-reviewing", Name: "Reviewing", Category: "learning", Rank: 6},
			{ID: "st-closed", Name: "Closed", Category: "closed", Rank: 7},
			{ID: "st-declined", Name: "Declined", Category: "declined", Rank: 8},
			{ID: "st-paused", Name: "Paused", Category: "paused", Rank: 9},
		},
		Types: []mapping.IncidentType{{ID: "ty-default", Name: "Default", Default: true}, {ID: "ty-platform", Name: "Platform"}},
		Roles: []mapping.Role{
			{ID: "ro-lead", Name: "Incident Lead", Type: "lead", Shortform: "lead"},
			{ID: "ro-reporter", Name: "Reporter", Type: "reporter", Shortform: "reporter"},
			{ID: "ro-comms", Name: "Communications", Type: "custom", Shortform: "comms"},
		},
		Fields: []mapping.Field{
			{ID: "cf-services", Name: "Affected services", Type: "multi_select", Options: []mapping.Option{{ID: "op-gw", Value: "API Gateway"}, {ID: "op-checkout", Value: "checkout"}}},
			{ID: "cf-breach", Name: "SLO breach", Type: "single_select", Options: []mapping.Option{{ID: "op-yes", Value: "Breached"}, {ID: "op-no", Value: "OK"}}},
			{ID: "cf-ai", Name: "AI summary", Type: "text"},
			{ID: "cf-sha", Name: "Deployment", Type: "text"},
			{ID: "cf-burn", Name: "Burn rate", Type: "numeric"},
			{ID: "cf-trace", Name: "Trace", Type: "link"},
			{ID: "cf-service", Name: "Service", Type: "single_select", CatalogType: "ct-service"},
			{ID: "cf-env", Name: "Environment", Type: "single_select", Options: []mapping.Option{{ID: "op-prod", Value: "Production"}}},
		},
		Entries: map[string][]mapping.Entry{"ct-service": {
			{ID: "en-gw", Name: "API Gateway", ExternalID: "svc-gateway", Aliases: []string{"gw"}}, {ID: "en-checkout", Name: "Checkout", ExternalID: "checkout"},
		}},
		Users: map[string]mapping.User{
			"ada@example.com":  {ID: "us-ada", Name: "Ada", Email: "ada@example.com"},
			"lisa@example.com": {ID: "us-lisa", Name: "Lisa", Email: "lisa@example.com"},
		},
	}
}

// published is the configuration that TigerOps publishes, with an alert source.
func published() *mapping.Rules {
	return &mapping.Rules{
		MinSeverity: "warning", Severities: []string{"info", "warning", "critical"}, AutoDeclare: true, AutoResolve: true,
		SeverityMapping: map[string]string{"critical": "SEV1", "warning": "SEV2", "info": "SEV3"},
		CustomFields:    map[string]string{"affected_services": "cf-services", "slo_breach": "cf-breach", "ai_summary": "cf-ai", "deployment_sha": "cf-sha"},
		Services:        []mapping.ServiceRule{{TigerOps: "api-gateway", IncidentIO: "API Gateway", DefaultSeverity: "SEV1"}},
		Roles:           map[string]string{"owner": "lead"}, Visibility: "public", Conflict: mapping.ConflictLatest, AlertSource: "source-1",
		PushTimeline: true, PushActions: true, PushPostmortem: true, PullStatus: true, PullRoles: true, PullEscalations: true, PullTimeline: true,
	}
}

// world plays the agent and incident.io around Plan: it does each first step, writes down what it did, and plans anew.
type world struct {
	t       testing.TB
	dir     *mapping.Directory
	rules   *mapping.Rules
	state   mapping.State
	tie     *mapping.Tie
	former  *mapping.Tie
	alertID string
	fired   map[string]bool // by generation
	outbox  int64
	left    map[string]bool // steps to leave out
	quick   bool            // does not hold plans to what check asks of them

	steps    []mapping.Request // of the last event
	last     mapping.Outcome
	warnings []string
	siblings int
}

func newWorld(t testing.TB) *world {
	return &world{t: t, dir: tryAccount(), rules: published(), fired: map[string]bool{}, left: map[string]bool{}}
}

// says delivers an event to its end and returns the steps that it took.
func (w *world) says(payload string) []mapping.Request {
	w.t.Helper()
	ev, faults := mapping.ParseEvent([]byte(payload), "")
	if len(faults) > 0 {
		w.t.Fatalf("the event is refused: %v", faults)
	}
	if ev.ID == "" {
		w.t.Fatal("the event has no id")
	}
	return w.event(ev)
}

func (w *world) event(ev mapping.Event) []mapping.Request {
	w.t.Helper()
	w.outbox++
	before := w.state
	if ev.Incident.ID != "" {
		w.state = before.Apply(ev)
	}
	w.steps, w.warnings = nil, nil
	ended := map[string]mapping.Ended{}
	for range 200 {
		in := w.input(ev, before, ended)
		out := mapping.Plan(in)
		if !w.quick {
			w.check(in, out, ended)
		}
		w.last = out
		for _, text := range out.Warnings {
			if !contains(w.warnings, text) {
				w.warnings = append(w.warnings, text)
			}
		}
		if len(out.Next) == 0 {
			if w.tie != nil {
				w.tie.Pushed = w.tie.Pushed.With(out.Pushed)
			}
			return w.steps
		}
		req := out.Next[0]
		if w.left[req.Name] {
			ended[req.Name] = mapping.Ended{State: mapping.EndedLeftOut}
			continue
		}
		w.steps = append(w.steps, req)
		ended[req.Name] = w.do(req)
	}
	w.t.Fatal("the plan never ends")
	return nil
}

func (w *world) input(ev mapping.Event, before mapping.State, ended map[string]mapping.Ended) mapping.Input {
	in := mapping.Input{
		Event: ev, OutboxID: w.outbox, Before: before, State: w.state, Former: w.former, Siblings: w.siblings, AlertID: w.alertID,
		AlertFired: w.fired[w.state.Generation], ArrivedAt: arrived, Directory: w.dir, Rules: w.rules, Ended: maps.Clone(ended),
	}
	if w.tie != nil {
		tie := clone(w.t, *w.tie)
		in.Tie = &tie
	}
	return in
}

// do is incident.io taking a step.
func (w *world) do(req mapping.Request) mapping.Ended {
	id := "id-" + req.Name
	switch req.Call {
	case mapping.AlertEvent:
		w.fired[w.state.Generation] = req.Name == "alert.fire"
		return mapping.Ended{State: mapping.EndedDone}
	case mapping.CreateIncident:
		tie := mapping.Tie{
			TigerOpsID: w.state.Incident.ID, IncidentID: "01INCIDENT", Reference: "INC-12", Permalink: "https://app.incident.io/acme/incidents/12",
			Origin: mapping.OriginDeclared, Generation: w.state.Generation,
			Agreed: mapping.Agreed{Status: w.dir.Statuses[1]},
		}
		if w.former != nil {
			tie.IncidentID, tie.Reference = "01SECOND", "INC-13"
		}
		mapping.Agree(&tie, req.Effect, nil)
		w.tie = &tie
		return mapping.Ended{State: mapping.EndedDone, RemoteID: tie.IncidentID}
	case mapping.CreateOption:
		var o struct {
			Field string `json:"custom_field_id"`
			Value string `json:"value"`
		}
		if err := json.Unmarshal(req.Body, &o); err != nil {
			w.t.Fatal(err)
		}
		id = "op-" + strings.ToLower(o.Value)
	}
	if w.tie != nil {
		tie := clone(w.t, *w.tie)
		mapping.Agree(&tie, req.Effect, nil)
		w.tie = &tie
	}
	return mapping.Ended{State: mapping.EndedDone, RemoteID: id}
}

// check holds every plan to what is promised of all of them.
func (w *world) check(in mapping.Input, out mapping.Outcome, ended map[string]mapping.Ended) {
	w.t.Helper()
	again := mapping.Plan(in)
	if got, want := asJSON(w.t, again), asJSON(w.t, out); got != want {
		w.t.Fatalf("the same input gave another plan:\n%s\n%s", got, want)
	}
	if len(out.Next) > 0 && (out.Skip != "" || out.Park != "") {
		w.t.Errorf("a plan with steps says skip %q, park %q", out.Skip, out.Park)
	}
	if out.Declare != (len(out.Next) > 0 && out.Next[0].Call == mapping.CreateIncident) {
		w.t.Errorf("Declare is %v", out.Declare)
	}
	names := map[string]bool{}
	for i, r := range out.Next {
		if _, done := ended[r.Name]; done {
			w.t.Errorf("step %s ended and is planned again", r.Name)
		}
		if names[r.Name] {
			w.t.Errorf("step %s is planned twice", r.Name)
		}
		names[r.Name] = true
		if !json.Valid(r.Body) || len(r.Body) > 512_000 {
			w.t.Errorf("step %s: body of %d bytes is no JSON or too large", r.Name, len(r.Body))
		}
		if r.Key == "" || len(r.Key) > 64 || r.Method != "POST" || !strings.HasPrefix(r.Path, "/v") {
			w.t.Errorf("step %s: key %q, method %q, path %q", r.Name, r.Key, r.Method, r.Path)
		}
		whole := r.Path + string(r.Body)
		if i == 0 && strings.Contains(whole, mapping.IncidentPlaceholder) {
			w.t.Errorf("the first step %s holds a placeholder: %s", r.Name, whole)
		}
		checkShape(w.t, r)
	}
	for _, text := range out.Warnings {
		if strings.ContainsAny(text, "\n\r") || text == "" {
			w.t.Errorf("warning is not one line: %q", text)
		}
	}
}

// names are the names of the steps that an event took.
func names(steps []mapping.Request) string {
	var all []string
	for _, s := range steps {
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

// step is the step of that name, which must be there.
func (w *world) step(name string) mapping.Request {
	w.t.Helper()
	for _, s := range w.steps {
		if s.Name == name {
			return s
		}
	}
	w.t.Fatalf("no step %s among: %s", name, names(w.steps))
	return mapping.Request{}
}

// body is a member of a step's body by its path, as compact JSON.
func member(t testing.TB, r mapping.Request, path string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(r.Body, &v); err != nil {
		t.Fatalf("step %s: %v", r.Name, err)
	}
	for _, k := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	if s, ok := v.(string); ok {
		return s
	}
	if v == nil {
		return ""
	}
	return asJSON(t, v)
}

func clone[T any](t testing.TB, v T) T {
	t.Helper()
	var c T
	if err := json.Unmarshal([]byte(asJSON(t, v)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

// saying writes an event of the incident TIG-4711; extra is further members of the event, incident those of the incident.
func saying(id, kind, incident, extra string) string {
	if incident != "" {
		incident = "," + incident
	}
	if extra != "" {
		extra = "," + extra
	}
	return fmt.Sprintf(`{"id":%q,"type":%q,"timestamp":"2026-11-23T02:10:00Z","incident":{"id":"TIG-4711"%s}%s}`, id, kind, incident, extra)
}

const adaDid = `"actor":{"name":"Ada","email":"ada@example.com"}`

// declared is a world in which the contract's example was declared.
func declared(t testing.TB) *world {
	w := newWorld(t)
	w.says(full)
	if w.tie == nil {
		t.Fatalf("not declared: %+v", w.last)
	}
	return w
}

// moves sets the incident's status as a person does, told to TigerOps.
func (w *world) moves(statusID string) {
	w.t.Helper()
	for _, s := range w.dir.Statuses {
		if s.ID == statusID {
			w.tie.Agreed.Status = s
			return
		}
	}
	w.t.Fatalf("no status %s", statusID)
}
