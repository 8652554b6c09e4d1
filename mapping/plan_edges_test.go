package mapping_test

import (
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// A tie of this life is kept whatever people did to its incident meanwhile; one of the life before is not.
func TestReopenLetsGoOnce(t *testing.T) {
	t.Parallel()
	w := declared(t)
	w.says(saying("e2", "incident.resolved", "", ""))
	ev, _ := mapping.ParseEvent([]byte(saying("e3", "incident.reopened", "", "")), "")
	before := w.state
	w.state = before.Apply(ev)
	if got := names(mapping.Plan(w.input(ev, before, nil)).Next); got != "alert.fire incident.declare" {
		t.Errorf("tied to the old incident: %s", got)
	}
	w.tie.Generation = w.state.Generation
	if got := names(mapping.Plan(w.input(ev, before, nil)).Next); strings.Contains(got, "incident.declare") {
		t.Errorf("tied to the new one: %s", got)
	}
}

// With auto_resolve off a status that would end the incident is told in words.
func TestStatusInWordsOnly(t *testing.T) {
	t.Parallel()
	w := declared(t)
	w.rules.AutoResolve = false
	w.says(saying("e2", "incident.updated", `"status":"resolved"`, adaDid))
	s := w.step("incident.update")
	if got := member(t, s, "message"); got != "Ada changed the status from open to resolved in TigerOps." || member(t, s, "to_incident_status_id") != "" {
		t.Errorf("sent %s", s.Body)
	}
	if w.says(saying("e3", "incident.updated", `"status":"resolved"`, adaDid)); len(w.steps) != 0 {
		t.Errorf("told again: %s", names(w.steps))
	}
}

// An incident is declared in a status that it can be worked in.
func TestDeclaredStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{
		"open": "", "acknowledged": "st-investigating", "mitigated": "st-monitoring", "resolved": "", "closed": "", "triage": "", "odd": "",
	} {
		w := newWorld(t)
		w.says(saying("e1", "incident.updated", `"status":"`+status+`"`, ""))
		if got := member(t, w.step("incident.declare"), "incident_status_id"); got != want {
			t.Errorf("%s: declared in %q, want %q", status, got, want)
		}
	}
}

// An incident that was there keeps the severity that it has, but for one that a route made with a lesser one or none.
func TestAttachedSeverity(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		origin string
		have   int // index into the account's severities, least first; -1: none
		want   string
	}{
		"people's, lesser":   {mapping.OriginAttached, 0, ""},
		"people's, none":     {mapping.OriginAttached, -1, ""},
		"a route's, none":    {mapping.OriginAlertRoute, -1, "sev-major"},
		"a route's, lesser":  {mapping.OriginAlertRoute, 0, "sev-major"},
		"a route's, same":    {mapping.OriginAlertRoute, 1, ""},
		"a route's, greater": {mapping.OriginAlertRoute, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.tie = &mapping.Tie{TigerOpsID: "TIG-4711", IncidentID: "01X", Origin: tc.origin, Agreed: mapping.Agreed{Status: w.dir.Statuses[1]}}
			if tc.have >= 0 {
				w.tie.Agreed.Severity = &w.dir.Severities[tc.have]
			}
			w.says(saying("e1", "incident.created", `"severity":"warning","title":"T"`, ""))
			if got := member(t, w.step("attach.edit"), "incident.severity_id"); got != tc.want {
				t.Errorf("severity %q, want %q", got, tc.want)
			}
			if w.tie.Agreed.Name != "" {
				t.Errorf("renamed to %q", w.tie.Agreed.Name)
			}
			if w.says(saying("e2", "incident.updated", `"severity":"warning"`, "")); len(w.steps) != 0 {
				t.Errorf("and then %s", names(w.steps))
			}
		})
	}
}

// Attach plans the same for an incident that is not tied yet, and leaves out what ended.
func TestAttach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ev, _ := mapping.ParseEvent([]byte(full), "")
	w.state = w.state.Apply(ev)
	remote := mapping.Remote{ID: "01X", Reference: "INC-5", Summary: "Lisa.", Roles: []mapping.Assignment{{Role: w.dir.Roles[0], User: w.dir.Users["lisa@example.com"]}}, Fields: map[string][]string{"cf-ai": {"Lisa's own"}}}
	steps := mapping.Attach(w.input(ev, mapping.State{}, nil), remote)
	if got := names(steps); got != "attach.tell attach.edit" {
		t.Fatalf("steps: %s", got)
	}
	for _, s := range steps {
		checkShape(t, s)
	}
	body := string(steps[1].Body)
	if !strings.Contains(body, `"summary":"Lisa.\n\n---\n\nSlow queries.`) || strings.Contains(body, "cf-ai") || strings.Contains(body, "ro-lead") || strings.Contains(body, `"name"`) {
		t.Errorf("edits %s", body)
	}
	pushed := steps[1].Effect.Pushed
	if !steps[0].Effect.Pushed.IsZero() || pushed.Title == "" || pushed.Severity != "critical" || pushed.Roles["ro-lead"] != "ada@example.com" || pushed.Fields["cf-ai"] == "" {
		t.Errorf("pushed %s, then %s", asJSON(t, steps[0].Effect.Pushed), asJSON(t, pushed))
	}
	if got := names(mapping.Attach(w.input(ev, mapping.State{}, map[string]mapping.Ended{"attach.tell": {State: "done"}}), remote)); got != "attach.edit" {
		t.Errorf("behind attach.tell: %s", got)
	}
}

// What an alert's route made of the alert's own words is not said twice.
func TestRouteKeepsTheAlertsWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.AutoDeclare = false
	w.says(full)
	words := member(t, w.step("alert.fire"), "description")
	w.state = mapping.State{}
	w.tie = &mapping.Tie{TigerOpsID: "TIG-4711", IncidentID: "01X", Origin: mapping.OriginAlertRoute, Agreed: mapping.Agreed{Status: w.dir.Statuses[0], Summary: words}}
	w.says(full)
	if s := w.step("attach.edit"); member(t, s, "incident.summary") != "" {
		t.Errorf("sends the summary %s", s.Body)
	}
	w.says(saying("e2", "incident.updated", `"ai_summary":"It was the index."`, ""))
	if got := w.tie.Agreed.Summary; !strings.HasPrefix(got, "It was the index.") || strings.Contains(got, "Slow queries") {
		t.Errorf("then the summary is\n%s", got)
	}
	if len(mapping.DeclaredFor(words)) != 0 {
		t.Error("an alert's words look like a declaration's")
	}
}

// Options of several fields are numbered through, whichever of them the account lacks.
func TestOptionsOfSeveralFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.CreateOptions = true
	w.rules.CustomFields = map[string]string{"affected_services": "cf-services", "environment": "cf-env", "slo_breach": "cf-breach"}
	w.says(saying("e1", "incident.created", `"affected_services":["checkout","ledger"],"environment":"staging","slo":{"status":"breached"}`, ""))
	if got := names(w.steps); got != "alert.fire option.create.2 option.create.3 incident.declare" {
		t.Errorf("steps: %s", got)
	}
	if got, want := member(t, w.step("incident.declare"), "custom_field_entries"), `[{"custom_field_id":"cf-services","values":[{"value_option_id":"op-checkout"},{"value_option_id":"op-ledger"}]},{"custom_field_id":"cf-env","values":[{"value_option_id":"op-staging"}]},{"custom_field_id":"cf-breach","values":[{"value_option_id":"op-yes"}]}]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A text that is cut within a block of code closes it.
func TestCutClosesCode(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, end string }{
		"within a block": {"```\n" + strings.Repeat("x = 1\n", 2000), "x = 1\n```\n… (cut)"},
		"behind a block": {"```\nx\n```\n" + strings.Repeat("word ", 2000), "… (cut)"},
	} {
		w := declared(t)
		w.event(mapping.Event{ID: "e2", Type: mapping.InvestigationStep, Incident: mapping.Incident{ID: "TIG-4711"}, Step: &mapping.Step{Kind: "x", Detail: tc.text}})
		got := strings.TrimSuffix(member(t, w.step("timeline.add"), "description"), "\n\n[More in TigerOps](https://t.example/4711)")
		if !strings.HasSuffix(got, tc.end) && !strings.HasSuffix(got, "\n```\n… (cut)") || strings.Count(got, "```")%2 != 0 {
			t.Errorf("%s: ends %q", name, got[len(got)-60:])
		}
	}
}

// An event without a time of its own is told at its arrival, a resolve at the incident's.
func TestTimes(t *testing.T) {
	t.Parallel()
	w := declared(t)
	w.rules.AutoResolve = false
	at := func(payload string) string {
		w.says(payload)
		return member(t, w.step("timeline.add"), "timestamp")
	}
	if got := at(saying("e2", "investigation.step", "", `"step":{"kind":"x"}`)); got != "2026-11-23T02:10:00.000Z" {
		t.Errorf("its own: %s", got)
	}
	if got := at(`{"id":"e3","type":"investigation.step","incident":{"id":"TIG-4711"},"step":{"kind":"x"}}`); got != "2026-11-23T02:10:01.000Z" {
		t.Errorf("its arrival: %s", got)
	}
	if got := at(`{"id":"e4","type":"incident.resolved","incident":{"id":"TIG-4711","resolved_at":"2026-11-23T03:00:00+01:00"}}`); got != "2026-11-23T02:00:00.000Z" {
		t.Errorf("the incident's: %s", got)
	}
}

// Where incident.io demands a severity and TigerOps' has none there, another stands in.
func TestMendDemandedSeverity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.SeverityMapping["critical"] = "gone"
	ev, _ := mapping.ParseEvent([]byte(full), "")
	w.state = w.state.Apply(ev)
	w.fired[""] = true
	in := w.input(ev, mapping.State{}, nil)
	req := mapping.Plan(in).Next[0]
	var tried []string
	for ok := true; ok; {
		var warning string
		if req, warning, ok = mapping.Mend(req, "", "severity_id", "is required", in); ok {
			tried = append(tried, member(t, req, "severity_id"))
			if req.Effect.Severity == nil || req.Effect.Severity.ID != tried[len(tried)-1] || warning == "" {
				t.Errorf("effect %s, warning %q", asJSON(t, req.Effect.Severity), warning)
			}
		}
	}
	if got := strings.Join(tried, " "); got != "sev-critical sev-major sev-minor" {
		t.Errorf("tried %s", got)
	}
}

// What incident.io has already is not sent, and counts as told.
func TestSameAlready(t *testing.T) {
	t.Parallel()
	w := declared(t)
	w.tie.Agreed.Name = "Checkout down"
	w.tie.Agreed.Severity = &w.dir.Severities[1]
	w.moves("st-monitoring")
	w.tie.Agreed.Roles = []mapping.Assignment{{Role: w.dir.Roles[0], User: w.dir.Users["lisa@example.com"]}}
	told := `"title":"Checkout down","severity":"warning","status":"mitigated","responders":[{"role":"owner","email":"Lisa@Example.com"}]`
	if w.says(saying("e2", "incident.updated", told, "")); len(w.steps) != 0 {
		t.Errorf("sent: %s", names(w.steps))
	}
	if p := w.tie.Pushed; p.Title != "Checkout down" || p.Severity != "warning" || p.Status != "mitigated" || p.Roles["ro-lead"] != "lisa@example.com" {
		t.Errorf("told: %s", asJSON(t, p))
	}
}
