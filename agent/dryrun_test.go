package agent

import (
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

func TestTools18DryRun(t *testing.T) {
	t.Parallel()
	dry := func(c *Config) {
		alerting(c)
		byService(c)
		c.DryRun, c.Rules.CreateOptions = true, true
		c.Rules.EscalationPaths = map[string]string{"payments": simulator.DefaultEscalationPathID}
	}
	wet := func(w *world) {
		w.Helper()
		w.reopen()
		c := *w.a.cfg.Load()
		c.DryRun = false
		w.a.cfg.Store(&c)
		w.start()
	}
	t.Run("sends nothing, records what it would send, ties nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, quick(worldOptions{config: dry}))
		stop := w.start()
		w.open("SEV1") // one that it would attach to
		odd := event(mapping.AnomalyDetected)
		odd["incident"] = m{"severity": "critical"}
		list := append(whole(), created(m{"id": "TIG-2", "service": "brand-new"}), event(mapping.IncidentReopened), odd,
			event(mapping.IncidentEscalated, m{"incident": m{"team": "payments"}}))
		w.post(list...)
		for _, e := range list {
			holds(t, "reason", w.ends(e, store.Skipped).Reason, "dry run")
		}
		same(t, "requests that change something", changing(w))
		is(t, "incidents", len(w.sim.Snapshot().Incidents), 1)
		is(t, "ties", len(must(w.a.st.OpenLinks(w.ctx))(w)), 0)
		w.settle()
		w.swept()
		w.wantTypes(w.rows())

		// What would be sent stands in the ledger, with bodies; the declaration comes with the steps behind it.
		var names []string
		for _, e := range list {
			for _, s := range must(w.a.st.Steps(w.ctx, w.outbox(e).ID))(w) {
				names = append(names, s.Name)
				if s.State != store.StepLeftOut || s.Error != "dry run" || !strings.HasPrefix(string(s.Request), "{") || s.Attempts != 0 {
					t.Errorf("ledger: got %+v, want a step left out by the dry run", s)
				}
			}
		}
		all := strings.Join(names, " ")
		holds(t, "steps", all, "alert.fire", "incident.declare", "timeline.add", "action.create", "postmortem.import", "followup.create.1", "option.create", "escalation.create")
		// As it would be sent: one declaration for each of the two incidents and one for the reopened one, each step once.
		is(t, "declarations", strings.Count(all, "incident.declare"), 3)
		is(t, "documents", strings.Count(all, "postmortem.import"), 1)
		stop()

		// Turning it off sends none of them; what comes then is sent.
		wet(w)
		w.settle()
		w.swept()
		same(t, "requests that change something, once it is off", changing(w))
		w.says(created(m{"id": "TIG-3", "title": "A new one"}))
		is(t, "incidents", len(w.sim.Snapshot().Incidents), 2)
		w.says(updated(m{"id": "TIG-2", "team": "payments"}))
		is(t, "incidents, once an open one of the dry run is told of again", len(w.sim.Snapshot().Incidents), 3)
	})
	t.Run("of an incident that is tied already reads and sends nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, quick(worldOptions{}))
		stop := w.start()
		w.says(created(nil))
		w.settle()
		w.rows()
		stop()
		w.reopen()
		c := *w.a.cfg.Load()
		c.DryRun = true
		w.a.cfg.Store(&c)
		stop = w.start()
		before := w.only()
		sent := len(changing(w))
		list := []m{updated(m{"title": "Slower", "severity": "warning"}), event(mapping.IncidentResolved), event(mapping.IncidentReopened)}
		w.post(list...)
		for _, e := range list {
			holds(t, "reason", w.ends(e, store.Skipped).Reason, "dry run")
		}
		is(t, "requests that change something", len(changing(w))-sent, 0)
		is(t, "name", w.only().Name, before.Name)
		is(t, "status", w.only().Status.Name, before.Status.Name)
		is(t, "reference of the tie", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, "INC-1")
		// What people do there still comes back.
		w.ok(w.sim.As(lisa).SetStatus("INC-1", "Fixing", ""))
		w.settle()
		w.wantTypes(w.rows(), "incident.status_changed")
		stop()

		wet(w)
		w.settle()
		is(t, "requests that change something, once it is off", len(changing(w))-sent, 0)
		w.says(step("anomaly_detected", "Later"))
		on(t, w.only(), "Later")
		// What was told in the dry run does not go out with what comes after it, either.
		w.says(updated(m{"ai_summary": "It is the cache."}))
		now := w.only()
		is(t, "name", now.Name, before.Name)
		is(t, "severity", now.Severity.Name, before.Severity.Name)
		is(t, "status", now.Status.Name, "Fixing")
		holds(t, "summary", now.Summary, "It is the cache.")
		w.says(updated(m{"title": "Slower still", "severity": "info"}))
		is(t, "name that TigerOps tells after the dry run", w.only().Name, "Slower still")
		is(t, "severity that TigerOps tells after the dry run", w.only().Severity.Name, "SEV3")
	})
	t.Run("an incident that was attached just before is introduced no later", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, quick(worldOptions{config: func(c *Config) { byService(c); c.DryRun = true }}))
		ref, id := w.tie("TIG-1")
		link := *must(w.a.st.Link(w.ctx, "TIG-1"))(w)
		link.Origin, link.Pushed = originAttached, nil
		must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Links: []store.Link{link}}))(w)
		e := updated(m{"id": "TIG-1", "title": "Slow"})
		stop := w.start()
		w.post(e)
		row := w.ends(e, store.Skipped)
		holds(t, "steps of "+id, must(w.a.st.Steps(w.ctx, row.ID))(w)[0].Name, "attach.")
		stop()
		wet(w)
		w.says(step("anomaly_detected", "Later"))
		is(t, "timeline items", len(w.inc(ref).Timeline), 1)
	})
	t.Run("with alerts only nothing is set aside", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: func(c *Config) { alertsOnly(c); c.DryRun = true }})
		list := []m{created(nil), step("anomaly_detected", "One"), event(mapping.IncidentResolved)}
		w.post(list...)
		for _, e := range list {
			holds(t, "reason", w.ends(e, store.Skipped).Reason, "dry run")
		}
		same(t, "requests that change something", changing(w))
		is(t, "set aside", must(w.a.st.Status(w.ctx))(w).Parked, 0)
	})
}

// changing are the requests so far that are no reads.
func changing(w *world) (all []string) {
	for _, r := range w.sim.Requests() {
		if r.Method != "GET" {
			all = append(all, r.Method+" "+r.Path)
		}
	}
	return all
}
