package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// alertsOnly leaves declaring to incident.io's alert routes.
func alertsOnly(c *Config) {
	alerting(c)
	c.Rules.AutoDeclare = false
}

// sent are the alert events that the agent has sent.
func (w *world) sent() (all []alertEvent) {
	w.Helper()
	for _, r := range w.sim.Requests("POST /v2/alert_events/") {
		var e alertEvent
		w.ok(json.Unmarshal([]byte(r.Body), &e))
		all = append(all, e)
	}
	return all
}

type alertEvent struct {
	Title    string `json:"title"`
	Status   string `json:"status"`
	Key      string `json:"deduplication_key"`
	Metadata m      `json:"metadata"`
}

func TestOut4AlertSource(t *testing.T) {
	t.Parallel()
	t.Run("fires and resolves with one key, and with another in each life", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: alerting})
		w.says(created(m{"service": "checkout", "url": "https://tigerops.example.com/TIG-1"}))
		w.says(updated(m{"ai_summary": "The index is cold."}), step("anomaly_detected", "p99 is up"))
		w.says(event(mapping.IncidentResolved))
		w.says(event(mapping.IncidentReopened), event(mapping.IncidentResolved))
		got := w.sent()
		var states []string
		for _, e := range got {
			states = append(states, e.Status)
		}
		same(t, "alert events", states, "firing", "resolved", "firing", "resolved")
		is(t, "title", got[0].Title, "Checkout is slow")
		is(t, "severity told", got[0].Metadata["severity"], any("critical"))
		if got[0].Key == "" || got[0].Key != got[1].Key || got[2].Key != got[3].Key || got[0].Key == got[2].Key {
			t.Errorf("keys: got %v, want one for each life", got)
		}
		for _, a := range w.sim.Snapshot().Alerts {
			is(t, "alert "+a.DeduplicationKey, a.Status, "resolved")
		}
	})
	t.Run("an answer that was lost makes no second alert", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: alerting})
		must(w.sim.Break(simulator.Fault{Path: "/v2/alert_events/**", Kind: simulator.ResetAfter, Times: 1}))(w)
		w.says(created(nil))
		is(t, "alerts", len(w.sim.Snapshot().Alerts), 1)
		got := w.sent()
		is(t, "alert events", len(got), 2)
		is(t, "the second's key", got[1].Key, got[0].Key)
	})
	t.Run("over 512 KB it is trimmed: metrics first, then services, and title, status and key stay", func(t *testing.T) {
		t.Parallel()
		many := func(n int) (list []string) {
			for i := range n {
				list = append(list, fmt.Sprintf("service-%06d-%s", i, strings.Repeat("x", 80)))
			}
			return list
		}
		metrics := func(n int) (list []m) {
			for _, s := range many(n) {
				list = append(list, m{"name": s, "value": "1"})
			}
			return list
		}
		for name, c := range map[string]struct {
			incident           m
			metrics, services_ bool
		}{
			"metrics":  {m{"impacted_metrics": metrics(6_000), "affected_services": many(3)}, false, true},
			"services": {m{"impacted_metrics": metrics(3), "affected_services": many(7_000)}, false, false},
		} {
			w := newRunning(t, worldOptions{config: alerting})
			holds(t, "reason", w.says(created(c.incident)).Reason, "too large", "cut")
			var whole int
			for _, e := range must(w.a.st.Steps(w.ctx, 1))(w) {
				if e.Name == "alert.fire" {
					whole = len(e.Request)
					var sent alertEvent
					w.ok(json.Unmarshal(e.Request, &sent))
					is(t, name+": title", sent.Title, "Checkout is slow")
					is(t, name+": status", sent.Status, "firing")
					is(t, name+": metrics kept", sent.Metadata["impacted_metrics"] != nil, c.metrics)
					is(t, name+": services kept", sent.Metadata["affected_services"] != nil, c.services_)
					is(t, name+": severity kept", sent.Metadata["severity"], any("critical"))
				}
			}
			if whole == 0 || whole > 512_000 {
				t.Errorf("%s: got a body of %d bytes, want at most 512 KB", name, whole)
			}
			is(t, name+": alerts", len(w.sim.Snapshot().Alerts), 1)
		}
	})
	t.Run("120 a minute for the source, and nothing is refused for it", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{
			sim:    func(o *simulator.Options) { o.Limits = simulator.Limits{PerMinute: -1, EscalationsPerMinute: -1} },
			config: alerting,
		})
		var list []m
		for range 124 {
			list = append(list, event(mapping.AnomalyDetected, m{"incident": m{"severity": "critical", "service": "checkout"}}))
			list[len(list)-1]["incident"].(m)["id"] = ""
		}
		start := time.Now()
		w.says(list...)
		if took := time.Since(start); took < 1500*time.Millisecond {
			t.Errorf("124 alerts took %s, want the last four half a second each", took)
		}
		is(t, "alerts", len(w.sim.Snapshot().Alerts), 124)
		is(t, "429s", w.sim.Counters().ByStatus[429], 0)
	})
	t.Run("a 202 is confirmed by looking the alert up", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{sim: func(o *simulator.Options) { o.AlertDelay = 300 * time.Millisecond }, config: alerting})
		e := created(nil)
		w.post(e)
		eventually(t, "the event to wait for its alert", func() bool { return strings.Contains(w.outbox(e).Reason, "show the alert") })
		is(t, "attempts charged", w.outbox(e).Attempts, 0)
		w.ends(e, store.Done)
		link := must(w.a.st.Link(w.ctx, "TIG-1"))(w)
		alert := must(w.a.st.Alert(w.ctx, "TIG-1", ""))(w)
		is(t, "alert noted", alert.AlertID, w.sim.Snapshot().Alerts[0].ID)
		is(t, "alert of the link", link.AlertID, alert.AlertID)
	})
	t.Run("a 202 that never shows is a warning", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, quick(worldOptions{sim: func(o *simulator.Options) { o.AlertDelay = time.Hour }, config: alerting}))
		var later atomic.Int64
		w.a.now = func() time.Time { return time.Now().UTC().Add(time.Duration(later.Load())) }
		w.start()
		e := created(nil)
		w.post(e)
		eventually(t, "the event to wait for its alert", func() bool { return strings.Contains(w.outbox(e).Reason, "show the alert") })
		later.Store(int64(alertShownWithin + time.Second))
		holds(t, "reason", w.ends(e, store.Done).Reason, "does not show it")
		w.only()
	})
	t.Run("a token that is refused never costs the incident", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: func(c *Config) { alerting(c); c.AlertSource.Token = NewSecret("wrong") }})
		holds(t, "reason", w.says(created(nil)).Reason, "refuses the alert source's token")
		w.only()
	})
}

func TestOut4AlertsAlone(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{mapping.AnomalyDetected, mapping.SLOBreached} {
		t.Run(kind+" without an incident is an alert and nothing else", func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{config: alerting})
			e := event(kind, m{"step": m{"title": "p99 is up", "detail": "2.3 s"}})
			e["incident"] = m{"severity": "critical", "service": "checkout"}
			w.says(e)
			is(t, "incidents", len(w.sim.Snapshot().Incidents), 0)
			all := w.sim.Snapshot().Alerts
			is(t, "alerts", len(all), 1)
			is(t, "title", all[0].Title, "p99 is up")
			w.post(e) // once more
			w.settle()
			is(t, "alert events", len(w.sent()), 1)
		})
		t.Run(kind+" of an incident is on its timeline", func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{config: alerting})
			w.says(created(nil))
			w.says(event(kind, m{"step": m{"title": "p99 is up"}}))
			on(t, w.only(), "p99 is up")
			is(t, "alerts", len(w.sim.Snapshot().Alerts), 1)
		})
	}
	t.Run("without an alert source the event says so", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		e := event(mapping.SLOBreached)
		e["incident"] = m{"severity": "critical"}
		w.post(e)
		holds(t, "reason", w.ends(e, store.Skipped).Reason, "no alert source")
	})
}

func TestOut4AlertsOnlyWithoutAutoDeclare(t *testing.T) {
	t.Parallel()
	// Alerts at once; what needs an incident is set aside, without holding up the lane.
	begin := func(t *testing.T, o worldOptions) (*world, []m) {
		o.config = alertsOnly
		w := newRunning(t, o)
		list := []m{
			created(m{"ai_summary": "The index is cold."}), step("anomaly_detected", "One"), updated(m{"title": "Checkout is down"}),
			event(mapping.RunbookAction, m{"action": m{"title": "Warm it", "status": "running"}}), step("root_cause_identified", "Two"),
		}
		w.post(list...)
		for _, e := range list {
			w.parked(e)
		}
		is(t, "alert events", len(w.sent()), 1)
		is(t, "incidents", len(w.sim.Snapshot().Incidents), 0)
		is(t, "set aside", must(w.a.st.Status(w.ctx))(w).Parked, len(list))
		return w, list
	}
	tied := func(t *testing.T, w *world, list []m, ref string) {
		t.Helper()
		for _, e := range list {
			w.ends(e, store.Done)
		}
		v := w.inc(ref)
		if got := titles(v); !slices.Equal(got, []string{"Anomaly detected: One", "Root cause identified: Two"}) {
			t.Errorf("timeline: got %q, want both steps", got)
		}
		is(t, "actions", len(v.Actions), 1)
		is(t, "name", v.Name, "Checkout is down")
		holds(t, "summary", v.Summary, "The index is cold.")
		link := must(w.a.st.Link(w.ctx, "TIG-1"))(w)
		is(t, "origin", link.Origin, "alert_route")
		w.settle()
		w.wantTypes(w.rows(), "incident.linked")
		// In order: the order of the finished rows is that of the events.
		var last time.Time
		for _, e := range list {
			at := w.outbox(e).FinishedAt
			if at.Before(last) {
				t.Errorf("event %v ended before the one that came earlier", e["id"])
			}
			last = at
		}
	}
	byRoute := func(w *world) string {
		w.Helper()
		ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert", Severity: "SEV1"}))(w)
		w.ok(w.sim.As(lisa).AttachAlert(ref, w.sim.Snapshot().Alerts[0].ID))
		return ref
	}

	t.Run("delivered in order once an alert route ties an incident, by webhook", func(t *testing.T) {
		t.Parallel()
		w, list := begin(t, worldOptions{})
		ref := byRoute(w)
		tied(t, w, list, ref)
		w.says(event(mapping.IncidentResolved))
		is(t, "status", w.inc(ref).Status.Category, "learning")
		is(t, "alert", w.sim.Snapshot().Alerts[0].Status, "resolved")
	})
	t.Run("delivered in order once an alert route ties an incident, by the sweep", func(t *testing.T) {
		t.Parallel()
		w, list := begin(t, worldOptions{})
		w.sim.SetWebhook("")
		ref := byRoute(w)
		w.swept()
		tied(t, w, list, ref)
	})
	t.Run("before what comes while the tie is made", func(t *testing.T) {
		t.Parallel()
		w, list := begin(t, worldOptions{})
		w.sim.SetWebhook("")
		ref := byRoute(w)
		unlock := must(w.a.locks.lock(w.ctx, lockName("TIG-1", nil)))(w) // as whoever ties it does
		late := []m{step("remediation_executed", "Three"), updated(m{"title": "Checkout is slow again"})}
		w.post(late...)
		eventually(t, "the first of them to wait for the tie", func() bool { return w.a.locks.contended(lockName("TIG-1", nil)) })
		must(w.a.tieTo(w.ctx, "TIG-1", w.inc(ref).ID, originAlertRoute, mapping.SourceSweep, mapping.State{}))(w)
		unlock()
		for _, e := range append(list, late...) {
			w.ends(e, store.Done)
		}
		is(t, "name", w.inc(ref).Name, "Checkout is slow again")
		for _, e := range list {
			if w.outbox(e).FinishedAt.After(w.outbox(late[0]).FinishedAt) {
				t.Errorf("event %v (%v), which was set aside, ended after one that came later", e["id"], e["type"])
			}
		}
	})
	t.Run("set aside behind a reopen, too", func(t *testing.T) {
		t.Parallel()
		w, list := begin(t, worldOptions{})
		w.says(event(mapping.IncidentResolved))
		for _, e := range list {
			w.ends(e, store.Skipped)
		}
		again := []m{event(mapping.IncidentReopened), step("anomaly_detected", "Again"), updated(m{"severity": "warning", "title": "Checkout is slow again"})}
		w.post(again...)
		for _, e := range again {
			w.parked(e)
		}
		ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert", Severity: "SEV1"}))(w)
		w.ok(w.sim.As(lisa).AttachAlert(ref, w.sim.Snapshot().Alerts[1].ID))
		for _, e := range again {
			w.ends(e, store.Done)
		}
		v := w.inc(ref)
		on(t, v, "Again")
		is(t, "name", v.Name, "Checkout is slow again")
		is(t, "severity", v.Severity.Name, "SEV2")
		is(t, "generation", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Generation, again[0]["id"].(string))
		w.says(event(mapping.IncidentResolved))
		is(t, "alert of that life", w.sim.Snapshot().Alerts[1].Status, "resolved")
		is(t, "category", w.inc(ref).Status.Category, "learning")
	})
	t.Run("set aside although it falls below min_severity once its alert fires", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: func(c *Config) { alertsOnly(c); c.Rules.MinSeverity = "warning" }})
		list := []m{created(nil), updated(m{"severity": "info"}), step("anomaly_detected", "One")}
		w.post(list...)
		for _, e := range list {
			w.parked(e)
		}
		ref := byRoute(w)
		for _, e := range list {
			w.ends(e, store.Done)
		}
		on(t, w.inc(ref), "One")
		is(t, "severity", w.inc(ref).Severity.Name, "SEV3")
	})
	t.Run("a second incident of a reopen's alert is tied beside, though nobody was told of the reopen yet", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{sim: func(o *simulator.Options) { o.AlertRoute = &simulator.AlertRoute{} }, config: alertsOnly})
		w.says(created(nil))
		w.says(event(mapping.IncidentResolved))
		w.sim.SetAlertRoute(nil)
		w.ok(w.sim.As(lisa).Reopen("INC-1", ""))
		w.swept()
		must(w.sim.Break(simulator.Fault{Kind: simulator.StatusCode, Status: 503, Method: "POST", Path: "/v2/incident_updates"}))(w)
		e := event(mapping.IncidentReopened)
		w.post(e)
		eventually(t, "the second alert", func() bool { return len(w.sim.Snapshot().Alerts) == 2 })
		ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert"}))(w)
		w.ok(w.sim.As(lisa).AttachAlert(ref, w.sim.Snapshot().Alerts[1].ID))
		eventually(t, "the second tie", func() bool { return len(must(w.a.st.LinksBeside(w.ctx, "TIG-1"))(w)) == 1 })
		w.sim.Mend()
		w.ends(e, store.Done)
		is(t, "in step", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, "INC-1")
	})
	t.Run("not set aside again once people were told of a reopen and ended the incident", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{sim: func(o *simulator.Options) { o.AlertRoute = &simulator.AlertRoute{} }, config: alertsOnly})
		w.says(created(nil))
		w.says(event(mapping.IncidentResolved))
		w.sim.SetAlertRoute(nil)
		w.ok(w.sim.As(lisa).Reopen("INC-1", ""))
		w.swept()
		w.sim.SetAlertDelay(time.Second) // the event's end waits for its alert to show
		e := event(mapping.IncidentReopened)
		w.post(e)
		eventually(t, "people to be told", func() bool { return said(w.inc("INC-1"), "Reopened in TigerOps") == 1 })
		w.ok(w.sim.As(lisa).Resolve("INC-1", "It is not."))
		w.swept()
		w.ends(e, store.Done)
		is(t, "status", w.inc("INC-1").Status.Category, "learning")
		link := must(w.a.st.Link(w.ctx, "TIG-1"))(w)
		is(t, "in step", link.Reference, "INC-1")
		is(t, "generation", link.Generation, e["id"].(string))
	})
	t.Run("skipped if none is tied by the time the alert is resolved", func(t *testing.T) {
		t.Parallel()
		w, list := begin(t, worldOptions{})
		end := event(mapping.IncidentResolved)
		w.post(end)
		for _, e := range list {
			holds(t, "reason", w.ends(e, store.Skipped).Reason, "no incident was tied")
		}
		w.ends(end, store.Done)
		is(t, "incidents", len(w.sim.Snapshot().Incidents), 0)
		is(t, "alert", w.sim.Snapshot().Alerts[0].Status, "resolved")
	})
	t.Run("not skipped if one was made while the resolve was on its way", func(t *testing.T) {
		t.Parallel()
		w, list := begin(t, worldOptions{})
		w.sim.SetWebhook("")
		must(w.sim.Break(simulator.Fault{Kind: simulator.StatusCode, Status: 503, Method: "POST", Path: "/v2/alert_events/**"}))(w)
		end := event(mapping.IncidentResolved)
		w.post(end)
		eventually(t, "the first attempt to resolve the alert", func() bool { return len(w.sent()) > 1 })
		ref := byRoute(w)
		w.sim.Mend()
		w.ends(end, store.Done)
		for _, e := range list {
			w.ends(e, store.Done)
		}
		is(t, "status", w.inc(ref).Status.Category, "learning")
		is(t, "alert", w.sim.Snapshot().Alerts[0].Status, "resolved")
	})
	t.Run("skipped then, however many they are", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: alertsOnly})
		list := append([]m{created(nil)}, notes(foldAtMost+100)...)
		w.post(list...)
		w.parked(list[len(list)-1])
		end := event(mapping.IncidentResolved)
		w.says(end)
		is(t, "still set aside", must(w.a.st.Status(w.ctx))(w).Parked, 0)
		is(t, "skipped", len(must(w.a.st.Outbox(w.ctx, store.OutboxQuery{State: store.Skipped, Limit: 5000}))(w)), len(list))
	})
	t.Run("a route that is quick is found as well", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{sim: func(o *simulator.Options) { o.AlertRoute = &simulator.AlertRoute{} }, config: alertsOnly})
		w.says(created(nil), step("anomaly_detected", "One"))
		on(t, w.only(), "One")
		is(t, "severity", w.only().Severity.Name, "SEV1")
	})
}
