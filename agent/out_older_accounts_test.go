package agent

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
)

// whole is a story that uses each of the calls that older accounts do not have.
func whole() []m {
	return []m{
		created(gateway), step("anomaly_detected", "p99 is up", m{"timestamp": noon}),
		event(mapping.RunbookAction, m{"action": m{"title": "Warm it", "status": "running"}}),
		event(mapping.RunbookAction, m{"action": m{"title": "Warm it", "status": "failed"}}),
		event(mapping.IncidentAcknowledged, byAda),
		updated(m{"severity": "warning", "status": "mitigated", "ai_summary": "The index is warm."}),
		event(mapping.IncidentResolved, byAda),
		postmortem("Add the index", "Alert on cold starts"),
	}
}

func TestOut9OlderAccounts(t *testing.T) {
	t.Parallel()
	older := func(o *simulator.Options) { o.MissingNewerCalls = true }

	t.Run("without the newer calls nothing is lost, and each is warned of once", func(t *testing.T) {
		t.Parallel()
		var told logged
		w := newRunning(t, worldOptions{sim: older, agent: func(o *Options) { o.Log = told.logger() }})
		list := whole()
		w.says(list...)
		v := w.only()
		is(t, "severity", v.Severity.Name, "SEV2")
		is(t, "status", v.Status.Category, "learning")
		is(t, "lead", holder(v, "lead"), ada)
		holds(t, "summary", v.Summary,
			"The index is warm.", "Told by TigerOps", "Anomaly detected: p99 is up", "2026-11-20 12:00 UTC", "Warm it", "failed", "Acknowledged by Ada", "Resolved by Ada",
			"Add the index", "Alert on cold starts", "A missing index")
		if n := strings.Count(v.Summary, "Anomaly detected: p99 is up"); n != 1 {
			t.Errorf("the step stands %d times in the summary, want once", n)
		}
		for _, call := range []string{mapping.CallUpdates, mapping.CallTimeline, mapping.CallActions, mapping.CallFollowUps, mapping.CallPostmortem} {
			if n := told.count("this incident.io account lacks a call, falling back"); n != 5 {
				t.Errorf("warnings in the log: got %d, want one a call\n%s", n, told.String())
			}
			n := 0
			for _, e := range list {
				n += strings.Count(w.outbox(e).Reason, "lacks "+call+":")
			}
			is(t, "warnings of "+call, n, 1)
		}
		// The second time nothing is tried in vain.
		before := w.sim.Counters().ByStatus[404]
		w.says(step("anomaly_detected", "Again"))
		is(t, "requests in vain", w.sim.Counters().ByStatus[404]-before, 0)
		holds(t, "summary", w.only().Summary, "Again")
		w.settle()
		w.swept()
		w.wantTypes(w.rows(), "incident.linked")
	})
	t.Run("with an alert messages alone become its notes", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{sim: older, config: alerting})
		w.says(created(nil), step("anomaly_detected", "p99 is up"), step("anomaly_detected", "p99 is up"))
		notes := w.sim.Snapshot().AlertNotes
		is(t, "notes", len(notes), 2)
		holds(t, "note", notes[0].Content, "p99 is up")
	})
	t.Run("without alert notes too they stand below the summary", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{sim: older, config: alerting})
		must(w.sim.Break(simulator.Fault{Path: "/v1/alert_notes", Kind: simulator.Missing}))(w)
		w.says(created(nil), step("anomaly_detected", "p99 is up"), step("anomaly_detected", "p50 too"))
		holds(t, "summary", w.only().Summary, "Told by TigerOps", "p99 is up", "p50 too")
		if s := w.only().Summary; strings.Count(s, "p99 is up") != 1 || strings.Contains(s, "timeline.add)") {
			t.Errorf("want the message once, without the note's mark:\n%s", s)
		}
	})
	t.Run("one call may be missing alone", func(t *testing.T) {
		t.Parallel()
		for path, c := range map[string]struct {
			say  []m
			want func(v simulator.IncidentView) string
			text string
		}{
			"/v2/incident_timeline_items": {[]m{step("anomaly_detected", "p99 is up")}, func(v simulator.IncidentView) string { return strings.Join(messages(v), "\n") }, "Anomaly detected: p99 is up"},
			"/v3/actions": {
				[]m{event(mapping.RunbookAction, m{"action": m{"title": "Warm it", "status": "running"}})},
				func(v simulator.IncidentView) string { return strings.Join(titles(v), "\n") }, "Runbook: Warm it (running)",
			},
			"/v3/follow_ups": {[]m{postmortem("Add the index")}, func(v simulator.IncidentView) string { return strings.Join(messages(v), "\n") }, "Add the index"},
			"/v2/incidents/*/actions/import_postmortem_document": {
				[]m{postmortem()}, func(v simulator.IncidentView) string { return strings.Join(messages(v), "\n") }, "A missing index",
			},
			"/v2/incident_updates": {[]m{updated(m{"severity": "warning"})}, func(v simulator.IncidentView) string { return v.Severity.Name + v.Summary }, "SEV2"},
		} {
			w := newRunning(t, worldOptions{})
			w.says(created(nil))
			must(w.sim.Break(simulator.Fault{Path: path, Kind: simulator.Missing}))(w)
			w.says(c.say...)
			holds(t, path, c.want(w.only()), c.text)
		}
	})
	t.Run("a call that comes is used again after a while", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{sim: older})
		w.says(created(nil), step("anomaly_detected", "One"))
		w.sim.SetMissingNewerCalls(false)
		w.a.dir.forget() // as the hour does
		w.says(step("anomaly_detected", "Two"))
		on(t, w.only(), "Two")
	})
	t.Run("an incident that is gone is no account without the call", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil))
		must(w.sim.Break(simulator.Fault{Path: "/v2/incidents/*", Kind: simulator.Missing}))(w)
		must(w.sim.Break(simulator.Fault{Path: "/v2/incident_timeline_items", Kind: simulator.Missing}))(w)
		e := step("anomaly_detected", "One")
		w.post(e)
		holds(t, "reason", w.ends(e, "dead").Reason, "404")
		is(t, "calls that count as missing", len(must(w.a.dir.get(w.ctx))(w).Missing), 0)
	})
	t.Run("check says so", func(t *testing.T) {
		t.Parallel()
		sim := simulator.New(simulator.Options{MissingNewerCalls: true})
		server := httptest.NewServer(sim)
		t.Cleanup(server.Close)
		c := Default()
		c.APIKey, c.APIURL = NewSecret(simulator.DefaultKey), server.URL
		found, err := CheckOnline(t.Context(), c, "test")
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, f := range found {
			if f.Level == LevelWarning {
				text.WriteString(f.Message + "; " + f.Mend + "\n")
			}
		}
		holds(t, "warnings", text.String(), "/v2/incident_updates", "/v2/incident_timeline_items", "/v3/actions", "/v3/follow_ups", "as an update's message")
		is(t, "incidents made by looking", len(sim.Snapshot().Incidents), 0)
	})
}
