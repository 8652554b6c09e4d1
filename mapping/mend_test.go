package mapping_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// refusable is a step of each kind, with the input that it was planned from.
func refusable(t *testing.T) (map[string]mapping.Request, mapping.Input) {
	t.Helper()
	w := newWorld(t)
	w.rules.IncidentType = "Platform"
	w.rules.CreateOptions = true
	w.rules.EscalationPaths = map[string]string{"payments": "path-1"}
	all := map[string]mapping.Request{}
	keep := func(steps []mapping.Request) {
		for _, s := range steps {
			all[s.Name] = s
		}
	}
	keep(w.says(strings.NewReplacer(`"open"`, `"investigating"`, `"checkout"]`, `"ledger"]`, `"responders": [`, `"responders": [{"role":"owner","name":"Eve"},`).Replace(full)))
	keep(w.says(saying("e2", "incident.escalated", `"severity":"warning","status":"mitigated","ai_summary":"x","responders":[{"role":"owner","email":"lisa@example.com"}]`, adaDid)))
	keep(w.says(saying("e3", "investigation.step", "", `"step":{"kind":"x","title":"`+strings.Repeat("t", 300)+`","detail":"`+strings.Repeat("d", 3000)+`"}`)))
	keep(w.says(saying("e4", "runbook.action", "", `"action":{"title":"x","detail":"`+strings.Repeat("d", 3000)+`"}`)))
	keep(w.says(saying("e5", "postmortem.ready", "", `"postmortem":{"timeline_summary":"`+strings.Repeat("d ", 9000)+`","action_items":[{"title":"a","owner":"ada@example.com","labels":["x","y"],"detail":"`+strings.Repeat("d", 3000)+`"}]}`)))
	ev, _ := mapping.ParseEvent([]byte(saying("e9", "incident.updated", "", "")), "")
	return all, w.input(ev, w.state, nil)
}

func TestMend(t *testing.T) {
	t.Parallel()
	steps, in := refusable(t)
	for name, tc := range map[string]struct {
		step, code, field, message string
		gone                       string // what the body no longer holds
		kept                       string // what it still holds
		warns                      string
	}{
		"one custom field, by dots":      {step: "incident.declare", field: "custom_field_entries.1.custom_field_id", message: "no such field", gone: "cf-breach", kept: "cf-ai", warns: `custom field "SLO breach" left out: incident.io refused it: no such field`},
		"one custom field, by brackets":  {step: "incident.declare", field: "custom_field_entries[0].values[1].value_option_id", gone: "cf-services", kept: "cf-breach", warns: `"Affected services"`},
		"one custom field, named within": {step: "incident.declare", field: "custom_field_entries", message: "cf-sha does not apply", gone: "cf-sha", kept: "cf-services", warns: `"Deployment"`},
		"custom fields, none named":      {step: "incident.declare", field: "custom_field_entries", message: "bad", gone: "custom_field_entries", kept: "severity_id", warns: `"Affected services", "SLO breach", "AI summary" and "Deployment"`},
		"a field beyond the list":        {step: "incident.declare", field: "custom_field_entries.99", gone: "custom_field_entries", kept: "severity_id", warns: "custom fields"},
		"a role":                         {step: "incident.declare", field: "incident_role_assignments.0.assignee", gone: "ro-lead", kept: "cf-ai", warns: "role Incident Lead for Ada left out"},
		"the severity":                   {step: "incident.declare", field: "severity_id", gone: "severity_id", kept: "cf-ai", warns: "severity SEV1 left out"},
		"the status":                     {step: "incident.declare", field: "incident_status_id", gone: "incident_status_id", kept: "severity_id", warns: "status Investigating left out"},
		"the type":                       {step: "incident.declare", field: "incident_type_id", gone: "incident_type_id", kept: "severity_id", warns: `incident type "Platform" left out`},
		"the summary":                    {step: "incident.declare", field: "summary", gone: `"summary"`, kept: "severity_id", warns: "summary left out"},
		"the name":                       {step: "incident.declare", field: "name", gone: `"name"`, kept: "severity_id", warns: "name left out"},
		"a field that it does not have":  {step: "incident.declare", field: "slack_team_id", gone: "custom_field_entries", kept: "incident_role_assignments", warns: "custom fields"},
		"no field at all":                {step: "incident.declare", code: "invalid", gone: "custom_field_entries", kept: "incident_role_assignments", warns: "refused it: invalid"},
		"in an edit":                     {step: "incident.edit", field: "incident.custom_field_entries.0", gone: "cf-ai", kept: `"summary"`, warns: `"AI summary"`},
		"an update's severity":           {step: "incident.update", field: "to_severity_id", gone: "to_severity_id", kept: "to_incident_status_id", warns: "severity SEV2 left out"},
		"an update's status":             {step: "incident.update", field: "to_incident_status_id", gone: "to_incident_status_id", kept: "to_severity_id", warns: "status Monitoring left out"},
		"an update's message":            {step: "incident.update", field: "message", gone: `"message"`, kept: "to_severity_id", warns: "message left out"},
		"an update, nothing blamed":      {step: "incident.update", gone: "to_severity_id", kept: "to_incident_status_id", warns: "severity SEV2 left out"},
		"a timeline item's time":         {step: "timeline.add", field: "timestamp", gone: "02:10:00.000Z", kept: "02:10:01.000Z", warns: "replaced by the event's arrival"},
		"a timeline item's title":        {step: "timeline.add", field: "title", gone: strings.Repeat("t", 150), kept: "X: ttt", warns: "title left out"},
		"a timeline item's description":  {step: "timeline.add", field: "description", gone: strings.Repeat("d", 1001), kept: "ddd", warns: "part of a timeline item's description"},
		"an action's description":        {step: "action.create", field: "description", gone: strings.Repeat("d", 600), kept: "(TigerOps e4)", warns: "part of an action's description"},
		"a follow-up's assignee":         {step: "followup.create.1", field: "assignee_id", gone: "assignee_id", kept: "labels", warns: `assignee of the follow-up "a" left out`},
		"a follow-up's labels":           {step: "followup.create.1", field: "labels.0", gone: `"labels"`, kept: `Labels in TigerOps: x, y\n\n(TigerOps e5/1)`, warns: `labels of the follow-up "a" left out`},
		"a follow-up, nothing blamed":    {step: "followup.create.1", gone: "assignee_id", kept: "labels", warns: "assignee"},
		"a post-mortem's content":        {step: "postmortem.import", field: "content", gone: strings.Repeat("d ", 8999), kept: "… (cut)", warns: "part of the post-mortem"},
		"an alert's metadata":            {step: "alert.fire", field: "metadata.service", gone: "metadata", kept: "description", warns: "the alert's metadata left out"},
		"an alert, nothing blamed":       {step: "alert.fire", gone: "metadata", kept: "description", warns: "metadata"},
		"an alert's address":             {step: "alert.fire", field: "source_url", gone: "source_url", kept: "metadata", warns: "address"},
		"an escalation's incident":       {step: "escalation.create", field: "incident_id", gone: "incident_id", kept: "escalation_path_id", warns: "the escalation's incident left out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, ok := steps[tc.step]
			if !ok {
				t.Fatalf("no step %s", tc.step)
			}
			before := asJSON(t, req)
			got, warning, ok := mapping.Mend(req, tc.code, tc.field, tc.message, in)
			if !ok {
				t.Fatalf("given up: %q", warning)
			}
			checkShape(t, got)
			if body := string(got.Body); strings.Contains(body, tc.gone) || !strings.Contains(body, tc.kept) || !strings.Contains(string(req.Body), tc.gone) {
				t.Errorf("want %q gone and %q kept in %s", tc.gone, tc.kept, body)
			}
			if !strings.Contains(warning, tc.warns) || strings.Contains(warning, "\n") {
				t.Errorf("warning %q, want %q in it", warning, tc.warns)
			}
			if got.Key != req.Key || got.Name != req.Name || got.Mark != req.Mark || asJSON(t, got.Effect.Pushed) != asJSON(t, req.Effect.Pushed) {
				t.Errorf("key, name, mark or what was offered changed: %+v", got)
			}
			if asJSON(t, req) != before {
				t.Error("the refused request itself was changed")
			}
		})
	}
}

// The effect that is expected of a mended request is that of what is left.
func TestMendedEffect(t *testing.T) {
	t.Parallel()
	steps, in := refusable(t)
	req := steps["incident.declare"]
	for _, field := range []string{"custom_field_entries.0", "incident_role_assignments.0", "severity_id", "incident_status_id", "summary", "name"} {
		var ok bool
		if req, _, ok = mapping.Mend(req, "", field, "no", in); !ok {
			t.Fatalf("%s: given up", field)
		}
	}
	e := req.Effect
	if e.Severity != nil || e.Status != nil || e.Summary != "" || e.Name != "" || len(e.Roles) != 0 || len(e.Fields) != 3 || e.Fields["cf-services"] != nil {
		t.Errorf("effect %s", asJSON(t, e))
	}
}

// Mending ends whatever incident.io blames, and says so on one line each time.
func TestMendEnds(t *testing.T) {
	t.Parallel()
	steps, in := refusable(t)
	if len(steps) < 10 {
		t.Fatalf("only %d kinds of steps", len(steps))
	}
	dropped := map[string]bool{"option.create.2": true, "escalation.create": true, "incident.edit": true, "incident.roles": true, "followup.create.1": true, "timeline.note": true}
	for name, first := range steps {
		for _, field := range []string{"", "custom_field_entries.0", "incident.severity_id", "to_incident_status_id", "title", "description", "message", "nonsense", "assignee_id", "0", "..."} {
			req, warning, ok := mapping.Mend(first, "invalid", field, "no\nway", in)
			for n := 0; ok; n++ {
				if n > 40 {
					t.Fatalf("%s blamed for %q is mended for ever", name, field)
				}
				if warning == "" || strings.Contains(warning, "\n") {
					t.Errorf("%s blamed for %q: warning %q", name, field, warning)
				}
				checkShape(t, req)
				before := string(req.Body)
				if req, warning, ok = mapping.Mend(req, "invalid", field, "no\nway", in); ok && string(req.Body) == before {
					t.Errorf("%s blamed for %q: mended to the same", name, field)
				}
			}
			if dropped[name] && warning == "" {
				t.Errorf("%s blamed for %q: the event can't go on without it", name, field)
			}
			if (name == "timeline.add" || name == "postmortem.import") && warning != "" {
				t.Errorf("%s blamed for %q is left out: %q", name, field, warning)
			}
		}
	}
	private := steps["incident.declare"]
	if _, _, ok := mapping.Mend(private, "", "visibility", "", in); ok {
		t.Error("a declaration's visibility is mended")
	}
	if _, warning, ok := mapping.Mend(mapping.Request{Call: "of_tomorrow"}, "", "", "", mapping.Input{}); ok || warning != "" {
		t.Error("an unknown call is mended")
	}
	for call := range templates {
		if _, _, ok := mapping.Mend(mapping.Request{Call: call, Body: json.RawMessage(`{`)}, "", "", "", mapping.Input{}); ok {
			t.Errorf("%s: nonsense is mended", call)
		}
	}
}

// A status to end the incident with that is refused gives way to the next one, each once.
func TestMendStatus(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"":           "st-documenting st-reviewing st-closed",
		"Reviewing":  "st-reviewing st-documenting st-closed",
		"Closed":     "st-closed st-documenting st-reviewing",
		"Monitoring": "st-monitoring",
	} {
		w := declared(t)
		if target != "" {
			w.rules.StatusMapping = map[string]string{"resolved": target}
		}
		w.rules.AlertSource = ""
		ev, _ := mapping.ParseEvent([]byte(saying("e2", "incident.resolved", "", "")), "")
		before := w.state
		w.state = before.Apply(ev)
		in := w.input(ev, before, nil)
		req := mapping.Plan(in).Next[0]
		var got []string
		for ok := true; ok && len(got) < 10; {
			if id := member(t, req, "to_incident_status_id"); id != "" {
				got = append(got, id)
			}
			req, _, ok = mapping.Mend(req, "", "to_incident_status_id", "no", in)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: tried %s, want %s", target, s, want)
		}
		if member(t, req, "message") == "" || req.Effect.Status != nil {
			t.Errorf("%q: in the end %s is sent", target, req.Body)
		}
	}
}
