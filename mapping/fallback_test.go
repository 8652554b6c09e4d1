package mapping_test

import (
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

func TestFallback(t *testing.T) {
	t.Parallel()
	steps, in := refusable(t)
	withAlert := in
	withAlert.AlertID = "al-1"
	withoutNotes := withAlert
	dir := *in.Directory
	dir.Missing = map[string]bool{mapping.CallAlertNotes: true}
	withoutNotes.Directory = &dir
	w := newWorld(t)
	note := saying("e3", "incident.acknowledged", "", adaDid)
	w.says(full)
	ack := w.says(note)[0]
	for name, tc := range map[string]struct {
		req  mapping.Request
		in   mapping.Input
		call mapping.Call
		body []string // what it holds
	}{
		"a timeline item is an update":     {steps["timeline.add"], in, mapping.CreateUpdate, []string{"**X: ttt", "(2026-11-23 02:10 UTC)", "ddd"}},
		"an action is a timeline item":     {steps["action.create"], in, mapping.CreateTimeline, []string{`"title":"Runbook: x"`, "(TigerOps e4)", `"timestamp":"2026-11-23T02:10:00.000Z"`}},
		"a follow-up is an update":         {steps["followup.create.1"], in, mapping.CreateUpdate, []string{"**Follow-up:** a", "Labels: x, y"}},
		"a post-mortem is an update":       {steps["postmortem.import"], in, mapping.CreateUpdate, []string{"post-mortem: Checkout latency above SLO", "## Impact", "… (cut)"}},
		"a move is an edit":                {steps["incident.update"], withAlert, mapping.EditIncident, []string{`"severity_id":"sev-major"`, `"incident_status_id":"st-monitoring"`, "Escalated by Ada"}},
		"a message is a note of the alert": {ack, withAlert, mapping.CreateAlertNote, []string{`"alert_id":"al-1"`, "Acknowledged by Ada", "(TigerOps e9)"}},
		"a note of the alert is a line of the summary": {
			mapping.Request{Name: "timeline.add", Key: "k", Call: mapping.CreateAlertNote, Mark: "(TigerOps e9 timeline.add)", Body: []byte(`{"alert_id":"al-1","content":"Found it.\n\n(TigerOps e9 timeline.add)"}`)},
			withAlert, mapping.EditIncident, []string{"**Told by TigerOps**", "- Found it. (2026-11-23 02:10 UTC)"},
		},
		"a message without notes is no note":   {ack, withoutNotes, mapping.EditIncident, []string{"**Told by TigerOps**", "- Acknowledged by Ada in TigerOps."}},
		"a message is a line of the summary":   {ack, in, mapping.EditIncident, []string{"**Told by TigerOps**", "- Acknowledged by Ada in TigerOps. (2026-11-23 02:10 UTC)"}},
		"a second hop without words is a move": {mapping.Request{Name: "incident.update.2", Call: mapping.CreateUpdate, Body: []byte(`{"incident_id":"i","idempotency_key":"k","to_incident_status_id":"st-closed"}`), Key: "k"}, in, mapping.EditIncident, []string{`{"incident":{"incident_status_id":"st-closed"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, warning, ok := mapping.Fallback(tc.req, tc.in)
			if !ok || got.Call != tc.call {
				t.Fatalf("got %q, %v", got.Call, ok)
			}
			checkShape(t, got)
			for _, part := range tc.body {
				if !strings.Contains(string(got.Body), part) {
					t.Errorf("no %q in %s", part, got.Body)
				}
			}
			if got.Name != tc.req.Name || got.Key != tc.req.Key || asJSON(t, got.Effect.Pushed) != asJSON(t, tc.req.Effect.Pushed) {
				t.Errorf("name, key or what was offered changed: %+v", got)
			}
			if !strings.Contains(warning, tc.req.Call.Newer()) || strings.Contains(warning, "\n") {
				t.Errorf("warning %q", warning)
			}
			if got.Call == mapping.CreateAlertNote && !mapping.HasMark(member(t, got, "content"), got.Mark) {
				t.Errorf("no mark %q in %s", got.Mark, got.Body)
			}
			if got.Call == mapping.EditIncident && got.Effect.Summary != member(t, got, "incident.summary") {
				t.Errorf("expects the summary %q of %s", got.Effect.Summary, got.Body)
			}
		})
	}
	for _, name := range []string{"incident.declare", "incident.edit", "alert.fire", "escalation.create", "option.create.2"} {
		if _, _, ok := mapping.Fallback(steps[name], in); ok {
			t.Errorf("%s has a fall-back", name)
		}
	}
	if _, _, ok := mapping.Fallback(steps["timeline.add"], mapping.Input{}); ok {
		t.Error("a fall-back without an incident")
	}
}

// The lines below the summary and TigerOps' part of it leave each other alone.
func TestLinesBelowTheSummary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dir.Missing = map[string]bool{mapping.CallTimeline: true, mapping.CallUpdates: true}
	w.says(saying("e1", "incident.created", `"ai_summary":"One."`, ""))
	step := func(id string) {
		w.says(saying(id, "investigation.step", "", `"step":{"kind":"x","title":"`+id+`"}`))
	}
	step("a")
	step("b")
	w.says(saying("e2", "incident.updated", `"ai_summary":"Two."`, ""))
	step("c")
	want := "Two.\n\n*TigerOps TIG-4711*\n\n---\n\n**Told by TigerOps**\n\n- **X: a** (2026-11-23 02:10 UTC)\n- **X: b** (2026-11-23 02:10 UTC)\n- **X: c** (2026-11-23 02:10 UTC)"
	if got := w.tie.Agreed.Summary; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	w.tie.Agreed.Summary = "Rewritten.\n\n---\n\n**Told by TigerOps**\n\n- old\n\n---\n\nLisa: more."
	step("d")
	if got, want := w.tie.Agreed.Summary, "Rewritten.\n\n---\n\n**Told by TigerOps**\n\n- old\n- **X: d** (2026-11-23 02:10 UTC)\n\n---\n\nLisa: more."; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	w.tie.Agreed.Summary = ""
	step("e")
	if got, want := w.tie.Agreed.Summary, "**Told by TigerOps**\n\n- **X: e** (2026-11-23 02:10 UTC)"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for range 60 {
		step(strings.Repeat("long ", 40))
		if len(w.tie.Agreed.Summary) > 11_000 {
			t.Fatalf("the summary grows to %d bytes", len(w.tie.Agreed.Summary))
		}
	}
	if !strings.Contains(w.tie.Agreed.Summary, "Told by TigerOps") || strings.Contains(w.tie.Agreed.Summary, "X: e**") {
		t.Errorf("the oldest lines do not go first:\n%s", w.tie.Agreed.Summary)
	}
}
