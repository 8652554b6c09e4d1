package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

const noon = "2026-11-20T12:00:00Z"

// lost are ways in which the answer to a request is not heard although it had its effect.
var lost = []simulator.FaultKind{simulator.ResetAfter, simulator.HangAfter, simulator.StatusAfter, simulator.Cut, simulator.Garbage}

// deaf loses the answers of the next two requests to a path.
func (w *world) deaf(kind simulator.FaultKind, path string) {
	w.Helper()
	f := simulator.Fault{Method: "POST", Path: path, Kind: kind, Times: 2}
	if kind == simulator.HangAfter {
		f.Delay = 20 * time.Millisecond
	}
	must(w.sim.Break(f))(w)
}

func TestOut7InvestigationSteps(t *testing.T) {
	t.Parallel()
	t.Run("each has its own time, title, detail and link", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(m{"url": "https://tigerops.example.com/TIG-1"}))
		at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		for i, c := range []struct{ kind, title, heading, url, more string }{
			{"anomaly_detected", "p99 is up", "Anomaly detected: p99 is up", "https://tigerops.example.com/steps/1", "https://tigerops.example.com/steps/1"},
			{"root_cause_identified", "A missing index", "Root cause identified: A missing index", "", "https://tigerops.example.com/TIG-1"},
			{"remediation_executed", "Rolled back", "Remediation executed: Rolled back", "", "https://tigerops.example.com/TIG-1"},
			{"coffee_made", "Strong", "Coffee made: Strong", "", "https://tigerops.example.com/TIG-1"},
			{"", "No kind", "Investigation: No kind", "", "https://tigerops.example.com/TIG-1"},
		} {
			when := at.Add(time.Duration(i) * time.Minute)
			w.says(step(c.kind, c.title, m{"timestamp": when.Format(time.RFC3339), "step": m{"kind": c.kind, "title": c.title, "detail": "Detail " + c.title, "url": c.url}}))
			item := on(t, w.only(), c.heading)
			is(t, "title", item.Title, c.heading)
			is(t, "time", item.Timestamp, when)
			holds(t, "description", item.Description, "Detail "+c.title, c.more)
		}
		w.settle()
		w.wantTypes(w.rows(), "incident.linked")
	})
	t.Run("told late it stands at its own time, not that of the sending", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil, m{"timestamp": noon}), step("anomaly_detected", "Second", m{"timestamp": "2026-11-20T12:02:00Z"}), step("anomaly_detected", "First", m{"timestamp": "2026-11-20T12:01:00Z"}))
		same(t, "timeline", titles(w.only()), "Anomaly detected: First", "Anomaly detected: Second")
	})
	for _, kind := range lost {
		t.Run("once although the answer was lost: "+string(kind), func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{})
			w.says(created(nil))
			w.deaf(kind, "/v2/incident_timeline_items")
			one := step("anomaly_detected", "One")
			w.says(one, step("anomaly_detected", "One")) // another event that says the same
			w.post(one)
			w.settle()
			is(t, "timeline items", len(w.only().Timeline), 2)
			is(t, "keys with other bytes", w.sim.Counters().Changed, 0)
		})
	}
	t.Run("with push_timeline_events off none is told", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) { r.PushTimeline = false }))
		w.says(created(nil))
		e := step("anomaly_detected", "One")
		w.post(e)
		holds(t, "reason", w.ends(e, store.Skipped).Reason, "push_timeline_events is off")
		is(t, "timeline items", len(w.only().Timeline), 0)
	})
	t.Run("what it tells of the incident is synced, too", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil), step("root_cause_identified", "The index", m{"incident": m{"root_cause": "A missing index."}}))
		holds(t, "summary", w.only().Summary, "A missing index.")
		holds(t, "description", on(t, w.only(), "The index").Description, "A missing index.")
	})
	t.Run("of an incident that was not declared yet declares it first", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(step("anomaly_detected", "One", m{"incident": m{"title": "Slow", "severity": "critical"}}))
		is(t, "name", w.only().Name, "Slow")
		on(t, w.only(), "One")
	})
	t.Run("long ones are cut", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(m{"title": strings.Repeat("T", 2_000)}), step("anomaly_detected", strings.Repeat("x", 2_000), m{"step": m{"kind": "x", "title": strings.Repeat("x", 2_000), "detail": strings.Repeat("y", 50_000)}}))
		is(t, "timeline items", len(w.only().Timeline), 1)
		is(t, "refused requests", w.sim.Counters().ByStatus[422], 0)
	})
}

func TestOut7RunbookActions(t *testing.T) {
	t.Parallel()
	action := func(title, status string, more ...m) m {
		return event(mapping.RunbookAction, append([]m{{"action": m{"title": title, "status": status, "detail": "Detail of " + title, "url": "https://tigerops.example.com/runs/7"}}}, more...)...)
	}
	t.Run("each is an action once; a changed status is a timeline item that names it", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil), action("Restart checkout", "running"), action("Warm the cache", "proposed"))
		v := w.only()
		is(t, "actions", len(v.Actions), 2)
		holds(t, "action", v.Actions[0].Description, "Restart checkout", "running", "Detail of Restart checkout", "https://tigerops.example.com/runs/7")
		w.says(action("Restart checkout", "running"))
		w.says(action("Restart checkout", "failed", m{"timestamp": noon}))
		v = w.only()
		is(t, "actions", len(v.Actions), 2)
		is(t, "timeline items", len(v.Timeline), 1)
		item := on(t, v, "Restart checkout")
		holds(t, "title", item.Title, "failed")
		holds(t, "description", item.Description, "running", "Detail of Restart checkout", "https://tigerops.example.com/runs/7")
		is(t, "time", item.Timestamp.Format(time.RFC3339), noon)
		w.settle()
		w.swept()
		w.wantTypes(w.rows(), "incident.linked")
	})
	for _, kind := range lost {
		t.Run("once although the answer was lost: "+string(kind), func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{})
			w.says(created(nil))
			w.deaf(kind, "/v3/actions")
			w.says(action("Restart checkout", "running"))
			is(t, "actions", len(w.only().Actions), 1)
			w.settle()
			w.swept()
			w.wantTypes(w.rows(), "incident.linked")
		})
	}
	t.Run("a person's action of the same words is not taken for it", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil))
		must(w.sim.As(lisa).CreateAction("INC-1", "Runbook: Restart checkout (running)"))(w)
		w.says(action("Restart checkout", "running"))
		is(t, "actions", len(w.only().Actions), 2)
	})
	t.Run("with push_runbook_actions off none is told", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) { r.PushActions = false }))
		w.says(created(nil))
		e := action("Restart checkout", "running")
		w.post(e)
		holds(t, "reason", w.ends(e, store.Skipped).Reason, "push_runbook_actions is off")
		is(t, "actions", len(w.only().Actions), 0)
	})
}
