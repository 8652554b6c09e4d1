package mapping_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// TestPlanSteps holds what each event comes to, in short: which steps, and the words that matter.
func TestPlanSteps(t *testing.T) {
	t.Parallel()
	type want struct {
		steps string // names of the steps, in order
		skip  string // a part of the reason
		park  string
		warns string // a part of the warnings
	}
	for name, tc := range map[string]struct {
		play func(w *world)
		want want
	}{
		"an event told twice changes nothing": {func(w *world) { w.says(full); w.says(full) }, want{}},
		"an update that changes nothing sends nothing": {func(w *world) {
			w.says(full)
			w.says(saying("e2", "incident.updated", `"title":"Checkout latency above SLO","severity":"critical"`, ""))
		}, want{}},
		"below min_severity nothing is sent": {func(w *world) { w.says(saying("e1", "incident.created", `"severity":"info"`, "")) }, want{skip: "below min_severity"}},
		"rising to min_severity declares from all that is known": {func(w *world) {
			w.says(saying("e1", "incident.created", `"severity":"info","title":"T","ai_summary":"S"`, ""))
			w.says(saying("e2", "incident.updated", `"severity":"warning"`, ""))
		}, want{steps: "alert.fire incident.declare"}},
		"an unknown severity is not below": {func(w *world) { w.says(saying("e1", "incident.created", `"severity":"odd"`, "")) },
			want{steps: "alert.fire incident.declare", warns: `"odd" is none of info, warning, critical`}},
		"no severity is not below": {func(w *world) { w.says(saying("e1", "incident.created", `"title":"T"`, "")) }, want{steps: "alert.fire incident.declare"}},
		"a tied incident is kept in step below min_severity": {func(w *world) {
			w.says(full)
			w.says(saying("e2", "incident.updated", `"severity":"info"`, ""))
		}, want{steps: "incident.update"}},
		"without an alert source there are no alerts": {func(w *world) { w.rules.AlertSource = ""; w.says(full) }, want{steps: "incident.declare"}},
		"any event of an open incident declares it": {func(w *world) {
			w.says(saying("e1", "investigation.step", `"severity":"warning"`, `"step":{"kind":"anomaly_detected"}`))
		}, want{steps: "alert.fire incident.declare timeline.add"}},
		"an acknowledgement of one not tied declares, then says who": {func(w *world) { w.says(saying("e1", "incident.acknowledged", "", adaDid)) },
			want{steps: "alert.fire incident.declare incident.update"}},
		"resolved and never tied": {func(w *world) { w.says(saying("e1", "incident.resolved", "", "")) }, want{skip: "never tied"}},
		"resolved below min_severity after it was above resolves the alert": {func(w *world) {
			w.rules.AutoDeclare = false
			w.says(full)
			w.says(saying("e2", "incident.resolved", `"severity":"info"`, ""))
		}, want{steps: "alert.resolve"}},
		"auto_declare off waits for an incident": {func(w *world) { w.rules.AutoDeclare = false; w.says(full) }, want{steps: "alert.fire", park: "auto_declare is off"}},
		"auto_declare off without alerts has nothing to wait for": {func(w *world) {
			w.rules.AutoDeclare, w.rules.AlertSource = false, ""
			w.says(full)
		}, want{skip: "no alert source"}},
		"push_timeline_events off": {func(w *world) {
			w.says(full)
			w.rules.PushTimeline = false
			w.says(saying("e2", "investigation.step", "", `"step":{"kind":"x"}`))
		}, want{skip: "push_timeline_events"}},
		"push_timeline_events off, and the step changes the severity": {func(w *world) {
			w.says(full)
			w.rules.PushTimeline = false
			w.says(saying("e2", "investigation.step", `"severity":"warning"`, `"step":{"kind":"x"}`))
		}, want{steps: "incident.update"}},
		"push_runbook_actions off": {func(w *world) {
			w.says(full)
			w.rules.PushActions = false
			w.says(saying("e2", "runbook.action", "", `"action":{"title":"x"}`))
		}, want{skip: "push_runbook_actions"}},
		"push_postmortem off": {func(w *world) {
			w.says(full)
			w.rules.PushPostmortem = false
			w.says(saying("e2", "postmortem.ready", "", `"postmortem":{"timeline_summary":"x"}`))
		}, want{skip: "push_postmortem"}},
		"a switch that is off parks nothing": {func(w *world) {
			w.rules.AutoDeclare, w.rules.PushTimeline = false, false
			w.says(saying("e2", "investigation.step", "", `"step":{"kind":"x"}`))
		}, want{steps: "alert.fire"}},
		"the same action with the same status": {func(w *world) {
			w.says(full)
			w.says(saying("e2", "runbook.action", "", `"action":{"title":"x","status":"started"}`))
			w.says(saying("e3", "runbook.action", "", `"action":{"title":"x","status":"started"}`))
		}, want{}},
		"an anomaly without an incident and without an alert source": {func(w *world) {
			w.rules.AlertSource = ""
			w.says(`{"id":"e1","type":"anomaly.detected"}`)
		}, want{skip: "no alert source"}},
		"an anomaly without an incident below min_severity": {func(w *world) {
			w.says(`{"id":"e1","type":"anomaly.detected","incident":{"severity":"info"}}`)
		}, want{skip: "below min_severity"}},
		"a breach of a tied incident without an alert fires it": {func(w *world) {
			w.rules.AlertSource = ""
			w.says(full)
			w.rules.AlertSource = "source-1"
			w.says(saying("e2", "slo.breached", "", ""))
		}, want{steps: "alert.fire timeline.add"}},
		"an ordinary event of a tied incident without an alert fires none": {func(w *world) {
			w.rules.AlertSource = ""
			w.says(full)
			w.rules.AlertSource = "source-1"
			w.says(saying("e2", "incident.acknowledged", "", ""))
		}, want{steps: "incident.update"}},
		"resolved where people closed it before": {func(w *world) {
			w.says(full)
			w.moves("st-closed")
			w.says(saying("e2", "incident.resolved", "", ""))
		}, want{steps: "alert.resolve"}},
		"resolved where nothing leads on": {func(w *world) {
			w.says(full)
			w.moves("st-paused")
			w.says(saying("e2", "incident.resolved", "", ""))
		}, want{steps: "alert.resolve timeline.add", warns: `nothing leads there from "Paused"`}},
		"resolved with a severity told, and auto_resolve off": {func(w *world) {
			w.rules.AutoResolve = false
			w.says(full)
			w.says(saying("e2", "incident.resolved", `"severity":"warning"`, ""))
		}, want{steps: "alert.resolve timeline.add incident.update"}},
		"an update to resolved is words only with auto_resolve off": {func(w *world) {
			w.rules.AutoResolve = false
			w.says(full)
			w.says(saying("e2", "incident.updated", `"status":"resolved"`, ""))
		}, want{steps: "incident.update"}},
		"escalated without a path for the team": {func(w *world) {
			w.rules.EscalationPaths = map[string]string{"search": "p"}
			w.says(full)
			w.says(saying("e2", "incident.escalated", "", adaDid))
		}, want{steps: "incident.update", warns: `none for the team "payments"`}},
		"escalated without any path": {func(w *world) {
			w.says(full)
			w.says(saying("e2", "incident.escalated", "", adaDid))
		}, want{steps: "incident.update"}},
		"reopened after a resolve that closed it declares anew": {func(w *world) {
			w.says(full)
			w.says(saying("e2", "incident.resolved", "", ""))
			w.says(saying("e3", "incident.reopened", "", ""))
		}, want{steps: "alert.fire incident.declare"}},
		"what follows a resolve still reaches the incident": {func(w *world) {
			w.says(full)
			w.says(saying("e2", "incident.resolved", "", ""))
			w.says(saying("e3", "postmortem.ready", "", `"postmortem":{"timeline_summary":"x"}`))
		}, want{steps: "postmortem.import"}},
		"an option that could not be made is left out": {func(w *world) {
			w.rules.CreateOptions = true
			w.left["option.create.1"] = true
			w.says(saying("e1", "incident.created", `"affected_services":["ledger"]`, ""))
		}, want{steps: "alert.fire incident.declare", warns: `has no option "ledger"`}},
		"a type that the account lacks": {func(w *world) { w.rules.IncidentType = "Nope"; w.says(full) }, want{steps: "alert.fire incident.declare", warns: `no type "Nope"`}},
		"a role that the account lacks": {func(w *world) { w.rules.Roles = map[string]string{"owner": "Captain"}; w.says(full) },
			want{steps: "alert.fire incident.declare", warns: `no role "Captain"`}},
		"the reporter is not assigned by hand": {func(w *world) { w.rules.Roles = map[string]string{"owner": "Reporter"}; w.says(full) },
			want{steps: "alert.fire incident.declare", warns: "assigns the reporter by itself"}},
		"a severity that the account lacks": {func(w *world) {
			w.rules.SeverityMapping["critical"] = "SEV0"
			w.says(full)
		}, want{steps: "alert.fire incident.declare", warns: `no severity "SEV0"`}},
		"a severity that the account lacks is not tried again": {func(w *world) {
			w.rules.SeverityMapping["critical"] = "SEV0"
			w.says(full)
			w.says(saying("e2", "incident.updated", `"environment":"x"`, ""))
		}, want{steps: "incident.edit"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.play(w)
			warnings := strings.Join(w.warnings, "\n")
			if got := names(w.steps); got != tc.want.steps {
				t.Errorf("steps: got %q, want %q", got, tc.want.steps)
			}
			for _, p := range []struct{ what, got, want string }{{"skip", w.last.Skip, tc.want.skip}, {"park", w.last.Park, tc.want.park}, {"warnings", warnings, tc.want.warns}} {
				if (p.want == "") != (p.got == "") || !strings.Contains(p.got, p.want) {
					t.Errorf("%s: got %q, want %q in it", p.what, p.got, p.want)
				}
			}
		})
	}
}

func TestUrgent(t *testing.T) {
	t.Parallel()
	w := declared(t)
	for payload, want := range map[string]bool{
		saying("e2", "incident.updated", `"severity":"warning"`, ""):              false,
		saying("e2", "investigation.step", "", `"step":{"kind":"x"}`):             false,
		saying("e2", "incident.acknowledged", "", ""):                             false,
		saying("e2", "incident.resolved", "", ""):                                 true, // critical, and it resolves the alert
		`{"id":"e2","type":"anomaly.detected","incident":{"severity":"warning"}}`: true,
	} {
		ev, _ := mapping.ParseEvent([]byte(payload), "")
		in := w.input(ev, w.state, nil)
		if in.State = w.state.Apply(ev); ev.Incident.ID == "" {
			in.State = mapping.State{}.Apply(ev)
		}
		if got := mapping.Plan(in).Urgent; got != want {
			t.Errorf("%s: urgent is %v, want %v", payload, got, want)
		}
	}
	less := newWorld(t)
	less.rules.AlertSource = ""
	less.says(strings.Replace(full, `"critical"`, `"warning"`, 1))
	ev, _ := mapping.ParseEvent([]byte(saying("e2", "incident.resolved", "", "")), "")
	in := less.input(ev, less.state, nil)
	in.State = less.state.Apply(ev)
	if mapping.Plan(in).Urgent {
		t.Error("the resolve of a warning is urgent")
	}
	in.State.Incident.Severity = "critical"
	if !mapping.Plan(in).Urgent {
		t.Error("the resolve of a critical incident is not urgent")
	}
}

// What a person set in incident.io stands until TigerOps changes its own, and a conflict decided for incident.io holds.
func TestPeoplesValuesStand(t *testing.T) {
	t.Parallel()
	w := declared(t)
	w.tie.Agreed.Name = "Renamed by Lisa"
	w.tie.Agreed.Summary = "Rewritten by Lisa."
	w.tie.Agreed.Severity = &w.dir.Severities[0]
	w.tie.Agreed.Fields["cf-services"] = []string{"op-gw"}
	w.tie.Agreed.Roles = []mapping.Assignment{{Role: w.dir.Roles[0], User: w.dir.Users["lisa@example.com"]}}
	w.moves("st-fixing")
	if w.says(saying("e2", "incident.updated", `"title":"Checkout latency above SLO"`, "")); len(w.steps) != 0 {
		t.Errorf("TigerOps changed nothing, and this is sent: %s", names(w.steps))
	}
	w.says(saying("e3", "incident.acknowledged", "", adaDid))
	if got := names(w.steps); got != "incident.update" || member(t, w.step("incident.update"), "to_incident_status_id") != "" {
		t.Errorf("the acknowledgement of TigerOps takes people back: %s %s", got, w.step("incident.update").Body)
	}

	w.tie.Agreed.Overruled = map[string]int64{"name": w.outbox + 1, "severity": w.outbox + 1, "summary": w.outbox + 1, "status": w.outbox + 1, "role:ro-lead": w.outbox + 1, "field:cf-services": w.outbox + 1}
	change := `"title":"New","severity":"warning","status":"mitigated","ai_summary":"New.","affected_services":["checkout"],"responders":[{"role":"owner","email":"ada@example.com"}]`
	w.says(saying("e4", "incident.updated", strings.Replace(change, "ada@", "lisa@", 1), ""))
	if got := names(w.steps); got != "incident.edit" { // the field ai_summary alone
		t.Errorf("overruled fields are pushed: %s", got)
	}
	if body := string(w.step("incident.edit").Body); strings.Contains(body, `"name"`) || strings.Contains(body, "summary\"") || strings.Contains(body, "cf-services") {
		t.Errorf("overruled fields are pushed: %s", body)
	}
	// The same values again, behind the conflict: TigerOps has not changed its own since.
	w.says(saying("e5", "incident.updated", strings.Replace(change, "ada@", "lisa@", 1), ""))
	if len(w.steps) != 0 {
		t.Errorf("what was overruled is pushed by a later event: %s", names(w.steps))
	}
	w.says(saying("e6", "incident.updated", strings.NewReplacer("warning", "critical", "New", "Newest", "mitigated", "investigating").Replace(change), ""))
	if got := names(w.steps); got != "incident.edit incident.roles incident.update" {
		t.Errorf("what TigerOps changed after the conflict is not pushed: %s", got)
	}
	if got := member(t, w.step("incident.edit"), "incident.summary"); !strings.HasPrefix(got, "Rewritten by Lisa.\n\n---\n\nNewest.") {
		t.Errorf("the summary that Lisa wrote is gone: %q", got)
	}
}

// A role goes to who acknowledged only where TigerOps names no owner and nobody holds it.
func TestAcknowledgementAssigns(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		holder string // who has the lead in incident.io
		before string // the incident's responders
		want   string
	}{
		"nobody has the lead":             {want: "incident.roles incident.update"},
		"somebody took the lead":          {holder: "lisa@example.com", want: "incident.update"},
		"the one who acknowledged has it": {holder: "ada@example.com", want: "incident.update"},
		"TigerOps names another owner":    {before: `"responders":[{"role":"owner","email":"lisa@example.com"}]`, want: "incident.update"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.says(saying("e1", "incident.created", tc.before, ""))
			if tc.holder != "" {
				w.tie.Agreed.Roles = []mapping.Assignment{{Role: w.dir.Roles[0], User: w.dir.Users[tc.holder]}}
			}
			w.says(saying("e2", "incident.acknowledged", "", adaDid))
			if got := names(w.steps); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if got := member(t, w.step("incident.update"), "message"); got != "Acknowledged by Ada in TigerOps." {
				t.Errorf("message %q", got)
			}
			w.says(saying("e3", "incident.updated", `"environment":"x"`, ""))
			for _, s := range w.steps {
				if s.Name == "incident.roles" {
					t.Errorf("the next event assigns again: %s", s.Body)
				}
			}
		})
	}
}

// The API accepts nothing out of triage: an acknowledgement is told, and the status left to people.
func TestAcknowledgementInTriage(t *testing.T) {
	t.Parallel()
	w := declared(t)
	w.moves("st-triage")
	w.says(saying("e2", "incident.acknowledged", "", adaDid))
	s := w.step("incident.update")
	if to, message := member(t, s, "to_incident_status_id"), member(t, s, "message"); to != "" || message == "" {
		t.Errorf("goes to %q, saying %q", to, message)
	}
	if got := strings.Join(w.warnings, "; "); !strings.Contains(got, "Triage") {
		t.Errorf("warnings %q", got)
	}
}

// A close that was refused goes to a post-incident status and on from there.
func TestSecondHop(t *testing.T) {
	t.Parallel()
	w := declared(t)
	w.rules.StatusMapping = map[string]string{"resolved": "Closed"}
	ev, _ := mapping.ParseEvent([]byte(saying("e2", "incident.resolved", "", "")), "")
	before := w.state
	w.state = before.Apply(ev)
	in := w.input(ev, before, map[string]mapping.Ended{"alert.resolve": {State: "done"}})
	next := mapping.Plan(in).Next
	if len(next) != 1 || member(t, next[0], "to_incident_status_id") != "st-closed" {
		t.Fatalf("the plan is %+v", next)
	}
	mended, warning, ok := mapping.Mend(next[0], "forbidden", "to_incident_status_id", "needs a permission", in)
	if !ok || member(t, mended, "to_incident_status_id") != "st-documenting" || mended.Effect.Status.ID != "st-documenting" || warning == "" {
		t.Fatalf("mended to %s, %q, %v", mended.Body, warning, ok)
	}
	w.do(mended)
	in = w.input(ev, before, map[string]mapping.Ended{"alert.resolve": {State: "done"}, "incident.update": {State: "done"}})
	next = mapping.Plan(in).Next
	if len(next) != 1 || next[0].Name != "incident.update.2" || member(t, next[0], "to_incident_status_id") != "st-closed" {
		t.Fatalf("behind it the plan is %+v", next)
	}
	if _, warning, ok := mapping.Mend(next[0], "", "to_incident_status_id", "no", in); ok || warning == "" {
		t.Errorf("the second hop is mended: %v %q", ok, warning)
	}
}

// A refusal leaves a step to be planned anew; what was done or left out does not come again.
func TestEndedStates(t *testing.T) {
	t.Parallel()
	w := declared(t)
	ev, _ := mapping.ParseEvent([]byte(saying("e2", "investigation.step", "", `"step":{"kind":"x"}`)), "")
	for state, want := range map[string]int{"done": 0, "left_out": 0, "refused": 1, "open": 1, "": 1} {
		in := w.input(ev, w.state, map[string]mapping.Ended{"timeline.add": {State: state}})
		if got := len(mapping.Plan(in).Next); got != want {
			t.Errorf("%q: %d steps, want %d", state, got, want)
		}
	}
}

// Keys depend on the event and the step alone, and the declaration's on the incident and its life.
func TestKeys(t *testing.T) {
	t.Parallel()
	keys := map[string]string{}
	for what, k := range map[string]string{
		"step":                mapping.StepKey("e1", "timeline.add"),
		"another step":        mapping.StepKey("e1", "timeline.note"),
		"another event":       mapping.StepKey("e2", "timeline.add"),
		"parts run together":  mapping.StepKey("e1timeline", ".add"),
		"declaration":         mapping.DeclareKey("TIG-1", ""),
		"its next life":       mapping.DeclareKey("TIG-1", "e9"),
		"alert":               mapping.AlertKey("TIG-1", ""),
		"alert's next life":   mapping.AlertKey("TIG-1", "e9"),
		"alert of an event":   mapping.EventAlertKey("TIG-1"),
		"alert of a long id":  mapping.AlertKey(strings.Repeat("x", 512), strings.Repeat("y", 512)),
		"alert of an odd id":  mapping.AlertKey("a/b", ""),
		"alert of a and b":    mapping.AlertKey("a", "b"),
		"declaration of a, b": mapping.DeclareKey("a", "b"),
	} {
		if other, twice := keys[k]; twice {
			t.Errorf("%s and %s share the key %s", what, other, k)
		}
		keys[k] = what
		if len(k) > 170 || strings.Contains(what, "step") && len(k) > 64 {
			t.Errorf("%s: key of %d characters", what, len(k))
		}
	}
	if got := mapping.AlertKey("TIG-4711", ""); got != "tigerops/TIG-4711" {
		t.Errorf("alert key %q", got)
	}
}

// The steps behind a declaration that is not made yet are shown, and hold a placeholder where the id belongs.
func TestPlanShowsAllSteps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ev, _ := mapping.ParseEvent([]byte(saying("e1", "investigation.step", `"severity":"critical"`, `"step":{"kind":"x"}`)), "")
	w.state = w.state.Apply(ev)
	out := mapping.Plan(w.input(ev, mapping.State{}, nil))
	if got := names(out.Next); got != "alert.fire incident.declare timeline.add" {
		t.Fatalf("steps: %s", got)
	}
	if got := member(t, out.Next[2], "incident_id"); got != mapping.IncidentPlaceholder {
		t.Errorf("incident_id %q", got)
	}
	for _, s := range out.Next {
		if len(s.Explain) == 0 {
			t.Errorf("step %s explains nothing", s.Name)
		}
	}
	if text := fmt.Sprint(out.Next[1].Explain); !strings.Contains(text, "severity SEV1 (sev-critical)") {
		t.Errorf("the declaration explains %s", text)
	}
}
