package agent

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// byService attaches by the service's option field.
func byService(c *Config) {
	c.Rules.CustomFields = map[string]string{"affected_services": servicesField, "ai_summary": summaryField}
	c.Rules.Services = []mapping.ServiceRule{{TigerOps: "api-gateway", IncidentIO: "API Gateway"}}
}

var gateway = m{
	"service": "api-gateway", "ai_summary": "The index is cold.", "url": "https://tigerops.example.com/TIG-1",
	"responders": []m{{"role": "owner", "email": ada}},
}

// open has Lisa declare an incident of the service.
func (w *world) open(severity string) (ref string) {
	w.Helper()
	return must(w.sim.As(lisa).Declare(simulator.NewIncident{
		Name: "Gateway trouble", Summary: "We are looking into it.\n\nCall the bridge.", Severity: severity, Fields: map[string][]string{servicesField: {"API Gateway"}},
	}))(w)
}

func TestOut5AlertRoute(t *testing.T) {
	t.Parallel()
	routed := func(delay, wait time.Duration) worldOptions {
		return worldOptions{
			sim:    func(o *simulator.Options) { o.AlertRoute = &simulator.AlertRoute{Delay: delay} },
			config: func(c *Config) { alerting(c); c.AlertRouteWait = wait },
		}
	}
	t.Run("an incident that the route made within alert_route_wait is taken, not doubled", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, routed(100*time.Millisecond, 10*time.Second))
		w.says(created(gateway), step("anomaly_detected", "One"))
		v := w.only()
		is(t, "declarations", len(w.sim.Requests("POST /v2/incidents")), len(w.sim.Requests("POST /v2/incidents/")))
		is(t, "origin", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Origin, "alert_route")
		is(t, "severity", v.Severity.Name, "SEV1")
		is(t, "lead", holder(v, "lead"), ada)
		holds(t, "summary", v.Summary, "The index is cold.", "https://tigerops.example.com/TIG-1", "TIG-1")
		is(t, "summary tells it once", strings.Count(v.Summary, "The index is cold."), 1)
		on(t, v, "One")
		w.settle()
		w.wantTypes(w.rows(), "incident.linked")
		w.says(event(mapping.IncidentResolved))
		is(t, "status", w.only().Status.Category, "learning")
	})
	for name, lost := range map[string]bool{"by its webhook": false, "by the sweep": true} {
		t.Run("a later one is tied as well and reported, and ends together with the first, "+name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{config: func(c *Config) { alerting(c); c.AlertRouteWait = 0 }})
			w.says(created(gateway))
			w.settle()
			w.wantTypes(w.rows(), "incident.linked")
			if lost {
				w.sim.SetWebhook("")
			}
			w.ok(w.sim.As(lisa).AttachAlert(must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert", Severity: "SEV2"}))(w), w.sim.Snapshot().Alerts[0].ID))
			if lost {
				w.swept()
			}
			eventually(t, "the second tie", func() bool { return len(must(w.a.st.LinksBeside(w.ctx, "TIG-1"))(w)) == 1 })
			w.settle()
			rows := w.rows()
			w.wantTypes(rows, "incident.linked")
			is(t, "told of", rows[0].Incident.Reference, "INC-2")
			is(t, "told for", rows[0].TigerOps, "TIG-1")
			is(t, "origin told", rows[0].After["origin"], any("alert_route"))
			holds(t, "message", rows[0].Message, "INC-1", "INC-2")
			is(t, "in step", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, "INC-1")
			holds(t, "INC-1's timeline", on(t, w.inc("INC-1"), "second incident").Description, "INC-2")
			holds(t, "INC-2's timeline", on(t, w.inc("INC-2"), "worked on in INC-1").Description, w.inc("INC-1").Permalink)

			// What TigerOps finds goes to the first alone. What people say in the second is told, its own state is not.
			w.says(step("anomaly_detected", "One"), updated(m{"severity": "warning"}))
			is(t, "items on the second's timeline", len(w.inc("INC-2").Timeline), 1)
			must(w.sim.As(lisa).AddTimelineItem("INC-2", "Look here", "", time.Time{}))(w)
			w.ok(w.sim.As(lisa).SetSeverity("INC-2", "SEV3", ""))
			w.ok(w.sim.As(lisa).SetStatus("INC-2", "Fixing", "With a patch."))
			w.swept()
			w.settle()
			rows = w.rows()
			slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.Type, b.Type) })
			w.wantTypes(rows, "incident.message", "timeline.added")
			is(t, "said", rows[0].Message, "With a patch.")
			is(t, "a status said with it", len(rows[0].After), 0)

			row := w.says(event(mapping.IncidentResolved, byAda))
			is(t, "reason", row.Reason, "")
			is(t, "the first's status", w.inc("INC-1").Status.Name, "Documenting")
			is(t, "the second's status", w.inc("INC-2").Status.Name, "Documenting")
			is(t, "updates of the second that say so", said(w.inc("INC-2"), "Resolved by Ada in TigerOps"), 1)
			is(t, "alert", w.sim.Snapshot().Alerts[0].Status, "resolved")
			w.swept()
			w.settle()
			w.wantTypes(w.rows())

			// A reopen lets go of both.
			w.says(event(mapping.IncidentReopened))
			is(t, "in step", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, "INC-3")
			holds(t, "summary", w.inc("INC-3").Summary, "INC-1")
			is(t, "ties beside", len(must(w.a.st.LinksBeside(w.ctx, "TIG-1"))(w)), 0)
		})
	}
	t.Run("a later one that people merge or close says nothing of the first", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: func(c *Config) { alerting(c); c.AlertRouteWait = 0 }})
		w.says(created(gateway))
		w.ok(w.sim.As(lisa).AttachAlert(must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert"}))(w), w.sim.Snapshot().Alerts[0].ID))
		eventually(t, "the second tie", func() bool { return len(must(w.a.st.LinksBeside(w.ctx, "TIG-1"))(w)) == 1 })
		w.settle()
		w.rows()
		w.ok(w.sim.As(lisa).Merge("INC-2", "INC-1"))
		w.settle()
		w.wantTypes(w.rows(), "incident.merged")
		w.says(event(mapping.IncidentResolved))
		is(t, "the first's status", w.inc("INC-1").Status.Name, "Documenting")
		is(t, "the second's status", w.inc("INC-2").Status.Name, "Merged")
		is(t, "refused requests", w.sim.Counters().ByStatus[422], 0)
	})
	t.Run("with auto_resolve off a later one is told and stays open", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: func(c *Config) { alerting(c); c.AlertRouteWait = 0; c.Rules.AutoResolve = false }})
		w.says(created(gateway))
		w.ok(w.sim.As(lisa).AttachAlert(must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert"}))(w), w.sim.Snapshot().Alerts[0].ID))
		eventually(t, "the second tie", func() bool { return len(must(w.a.st.LinksBeside(w.ctx, "TIG-1"))(w)) == 1 })
		w.says(event(mapping.IncidentResolved))
		is(t, "the second's status", w.inc("INC-2").Status.Category, "live")
		is(t, "updates of the second that say so", said(w.inc("INC-2"), "Resolved in TigerOps"), 1)
	})
	t.Run("with none in time one is declared, and no sooner", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: func(c *Config) { alerting(c); c.AlertRouteWait = 300 * time.Millisecond }})
		start := time.Now()
		w.says(created(gateway))
		if took := time.Since(start); took < 300*time.Millisecond {
			t.Errorf("declared after %s, want alert_route_wait first", took)
		}
		is(t, "origin", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Origin, "declared")
	})
}

func TestOut5LikeIncidents(t *testing.T) {
	t.Parallel()
	t.Run("an open one with the same service and severity is attached to", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: byService})
		ref := w.open("SEV1")
		w.says(created(gateway))
		v := w.only()
		link := must(w.a.st.Link(w.ctx, "TIG-1"))(w)
		is(t, "origin", link.Origin, "attached")
		is(t, "reference", link.Reference, ref)
		is(t, "name", v.Name, "Gateway trouble")
		told := on(t, v, "TIG-1")
		holds(t, "timeline", told.Description, "same service and severity", "https://tigerops.example.com/TIG-1")
		if !strings.HasPrefix(v.Summary, "We are looking into it.\n\nCall the bridge.\n\n---\n\n") {
			t.Errorf("summary: got %q, want what people wrote first", v.Summary)
		}
		holds(t, "summary", v.Summary, "The index is cold.", "https://tigerops.example.com/TIG-1")
		same(t, "field", values(v, summaryField), "The index is cold.")
		is(t, "lead", holder(v, "lead"), ada)
		is(t, "timeline items", len(v.Timeline), 1)
		w.settle()
		w.wantTypes(w.rows(), "incident.linked")

		// Later news replaces TigerOps' part and leaves people's.
		w.says(updated(m{"ai_summary": "The index is warm."}))
		v = w.only()
		holds(t, "summary", v.Summary, "Call the bridge.", "The index is warm.")
		is(t, "old part in the summary", strings.Contains(v.Summary, "cold"), false)
	})
	t.Run("the newest of several", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: byService})
		w.open("SEV1")
		newest := w.open("SEV1")
		w.says(created(gateway))
		is(t, "reference", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, newest)
		is(t, "incidents", len(w.sim.Snapshot().Incidents), 2)
	})
	for name, change := range map[string]func(w *world){
		"another severity": func(w *world) { w.open("SEV2") },
		"another service": func(w *world) {
			w.ok(w.sim.As(lisa).SetField(w.open("SEV1"), servicesField, "Checkout"))
		},
		"a closed one":        func(w *world) { w.ok(w.sim.As(lisa).Close(w.open("SEV1"), "")) },
		"a post-incident one": func(w *world) { w.ok(w.sim.As(lisa).Resolve(w.open("SEV1"), "")) },
		"a test": func(w *world) {
			must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "Drill", Mode: "test", Severity: "SEV1", Fields: map[string][]string{servicesField: {"API Gateway"}}}))(w)
		},
	} {
		t.Run("not to "+name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{config: byService})
			change(w)
			w.says(created(gateway))
			is(t, "origin", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Origin, "declared")
		})
	}
	t.Run("also to one that another TigerOps incident was attached to", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: byService})
		ref := w.open("SEV1")
		w.says(created(gateway))
		holds(t, "summary", w.inc(ref).Summary, "*TigerOps TIG-1*") // as under a declaration, which this was not
		w.says(created(gateway, m{"incident": m{"id": "TIG-2"}}))
		other := w.another(nil)
		other.says(created(gateway, m{"incident": m{"id": "TIG-3"}}))
		w.only()
		holds(t, "summary", w.inc(ref).Summary, "*TigerOps TIG-1*", "*TigerOps TIG-2*", "*TigerOps TIG-3*")
	})
	t.Run("not to one that an agent declared for another TigerOps incident", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: byService})
		w.says(created(gateway))
		w.says(created(gateway, m{"incident": m{"id": "TIG-2"}}))
		is(t, "incidents", len(w.sim.Snapshot().Incidents), 2)
		// Nor, by its summary's last line, when another agent's database knows of it alone.
		other := w.another(nil)
		other.says(created(gateway, m{"incident": m{"id": "TIG-3"}}))
		is(t, "incidents", len(w.sim.Snapshot().Incidents), 3)
	})
	t.Run("to nothing without a field for the service", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.open("SEV1")
		w.says(created(gateway))
		is(t, "incidents", len(w.sim.Snapshot().Incidents), 2)
	})
	t.Run("by service_field, a catalog entry", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) { r.ServiceField = "Services" }))
		ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "Trouble", Severity: "SEV1", Fields: map[string][]string{catalogField: {"edge"}}}))(w)
		w.says(created(m{"service": "api-gateway"}))
		is(t, "reference", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, ref)
	})
	t.Run("two at the same moment do not both declare", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: byService})
		w.open("SEV1")
		list := []m{created(gateway), created(gateway, m{"incident": m{"id": "TIG-2"}}), created(gateway, m{"incident": m{"id": "TIG-3"}})}
		w.says(list...)
		is(t, "timeline items", len(w.only().Timeline), 3)
	})
}

// another is an agent with a database of its own, for the same incident.io and the same TigerOps.
func (w *world) another(config func(*Config)) *world {
	w.Helper()
	c := *w.a.cfg.Load()
	c.DB, c.WebhookSecrets = w.TempDir()+"/other.db", nil
	if config != nil {
		config(&c)
	}
	o := &world{TB: w.TB, ctx: w.ctx, sim: w.sim, path: c.DB}
	opts := w.a.opts
	opts.Config = c
	opts.HTTP = &http.Client{Transport: w.sim}
	o.a = must(New(w.ctx, opts))(w)
	o.runOnly()
	return o
}

func TestOut5SeveralAgentsEndWithOneIncident(t *testing.T) {
	t.Parallel()
	story := []m{
		created(gateway), step("anomaly_detected", "One"), event(mapping.RunbookAction, m{"action": m{"title": "Warm it", "status": "running"}}),
		event(mapping.IncidentAcknowledged, byAda), updated(m{"ai_summary": "The index is warm."}), step("remediation_executed", "Two"),
		event(mapping.IncidentEscalated, m{"incident": m{"team": "payments"}}), event(mapping.IncidentResolved),
		event(mapping.PostmortemReady, m{"postmortem": m{"timeline_summary": "It was cold.", "action_items": []m{{"title": "Keep it warm"}}}}),
	}
	for name, c := range map[string]struct {
		config func(*Config)
		behind bool // the other comes when the first is done
	}{
		"by keys alone":                               {func(c *Config) { alerting(c) }, false},
		"by the likeness first":                       {func(c *Config) { alerting(c); byService(c) }, false},
		"by keys alone, one behind the other":         {func(c *Config) { alerting(c) }, true},
		"by the likeness first, one behind the other": {func(c *Config) { alerting(c); byService(c) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := c.config
			w := newRunning(t, worldOptions{config: func(c *Config) {
				config(c)
				c.Rules.EscalationPaths = map[string]string{"payments": simulator.DefaultEscalationPathID}
			}})
			other := w.another(nil)
			must(w.sim.Break(simulator.Fault{Kind: simulator.Delay, Delay: 5 * time.Millisecond, P: 0.3}))(w) // now one is ahead, now the other
			w.post(story...)
			for _, e := range story {
				if c.behind {
					w.ends(e, store.Done)
				}
			}
			other.post(story...)
			for _, e := range story {
				w.ends(e, store.Done)
				other.ends(e, store.Done)
			}
			v := w.only()
			is(t, "alerts", len(w.sim.Snapshot().Alerts), 1)
			got := titles(v)
			slices.Sort(got)
			same(t, "timeline", slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "TigerOps TIG-1") }), "Anomaly detected: One", "Remediation executed: Two")
			if c.behind { // what takes no key is looked for first; at the very same moment both find nothing
				is(t, "actions", len(v.Actions), 1)
				is(t, "follow-ups", len(v.FollowUps), 1)
				is(t, "post-mortems", len(v.Postmortems), 1)
			}
			is(t, "escalations", len(v.Escalations), 1)
			is(t, "status", v.Status.Category, "learning")
			n := 0
			for _, text := range messages(v) {
				if strings.HasPrefix(text, "Acknowledged by Ada") {
					n++
				}
			}
			is(t, "acknowledgements", n, 1)
			is(t, "the summary tells the TigerOps incident once", strings.Count(v.Summary, "*TigerOps TIG-1*"), 1)
		})
	}
}

// What a key brings back may be old by incident.io's clock alone.
func TestOut5WhatPeopleDidToADeclarationThatIsBroughtBackIsToldWhateverTheHostsClock(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"right": 0, "slow": 10 * time.Minute, "fast": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var off atomic.Int64
			off.Store(int64(ahead))
			w := newRunning(t, worldOptions{sim: func(o *simulator.Options) {
				o.Now = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
			}})
			w.says(created(gateway))
			ref := must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference
			off.Add(int64(5 * time.Minute))
			w.ok(w.sim.As(lisa).SetSeverity(ref, "SEV2", "Only a part of the customers"))
			other := w.another(nil)
			other.says(created(gateway))
			is(t, "reference", must(other.a.st.Link(w.ctx, "TIG-1"))(w).Reference, ref)
			other.swept()
			if got := types(other.rows()); !slices.Contains(got, "incident.severity_changed") {
				t.Errorf("told of %v, want the change of severity, too", got)
			}
		})
	}
}

func TestOut5SeveralTigerOpsIncidentsOnOneCloseTogether(t *testing.T) {
	t.Parallel()
	two := func(t *testing.T, more ...func(*Config)) (w *world, ref string) {
		w = newRunning(t, worldOptions{config: func(c *Config) {
			byService(c)
			for _, m := range more {
				m(c)
			}
		}})
		ref = w.open("SEV1")
		w.says(created(gateway), created(gateway, m{"incident": m{"id": "TIG-2"}}))
		w.settle()
		w.wantTypes(w.rows(), "incident.linked", "incident.linked")
		is(t, "incidents", len(w.sim.Snapshot().Incidents), 1)
		return w, ref
	}
	t.Run("by TigerOps: with the last of them", func(t *testing.T) {
		t.Parallel()
		w, ref := two(t)
		w.says(event(mapping.IncidentResolved))
		v := w.inc(ref)
		is(t, "category after the first", v.Status.Category, "live")
		holds(t, "timeline", on(t, v, "TIG-1 resolved").Description, "Still open")
		w.says(event(mapping.IncidentResolved, m{"incident": m{"id": "TIG-2"}}))
		is(t, "category after the last", w.inc(ref).Status.Category, "learning")
		w.settle()
		w.wantTypes(w.rows())
	})
	t.Run("not by an update that says so of one of them", func(t *testing.T) {
		t.Parallel()
		w, ref := two(t)
		w.says(updated(m{"status": "resolved"}))
		is(t, "category", w.inc(ref).Status.Category, "live")
		is(t, "updates that say so", said(w.inc(ref), "TigerOps changed the status from open to resolved"), 1)
	})
	t.Run("at the same moment", func(t *testing.T) {
		t.Parallel()
		w, ref := two(t)
		w.says(event(mapping.IncidentResolved), event(mapping.IncidentResolved, m{"incident": m{"id": "TIG-2"}}))
		is(t, "category", w.inc(ref).Status.Category, "learning")
	})
	t.Run("at the same moment, while the events wait for their alerts to end", func(t *testing.T) {
		t.Parallel()
		w, ref := two(t, alerting)
		w.sim.SetAlertDelay(300 * time.Millisecond)
		w.says(event(mapping.IncidentResolved), event(mapping.IncidentResolved, m{"incident": m{"id": "TIG-2"}}))
		is(t, "category", w.inc(ref).Status.Category, "learning")
		is(t, "updates that say so", said(w.inc(ref), "Resolved in TigerOps"), 1)
	})
	t.Run("by incident.io: both are resolved", func(t *testing.T) {
		t.Parallel()
		w, ref := two(t)
		w.ok(w.sim.As(lisa).Close(ref, "Done."))
		w.settle()
		rows := w.rows()
		w.wantTypes(rows, "incident.resolved", "incident.resolved")
		if rows[0].TigerOps == rows[1].TigerOps {
			t.Errorf("both rows are for %s", rows[0].TigerOps)
		}
	})
}
