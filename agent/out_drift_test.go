package agent

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// What the account had when the agent read it, and has no more when it is named: the rest is delivered, with a warning.
func TestOutDrift(t *testing.T) {
	t.Parallel()
	mapped := func(c *Config) {
		c.Rules.SeverityMapping = map[string]string{"critical": "SEV1", "warning": "SEV2", "info": "SEV3"}
		c.Rules.StatusMapping = map[string]string{"fixing": "Fixing", "resolved": "Documenting"}
		c.Rules.CustomFields = map[string]string{"environment": environmentField, "ai_summary": summaryField, "affected_services": servicesField}
		c.Rules.Roles = map[string]string{"owner": "lead", "scribe": "Communications Lead"}
		c.Rules.IncidentType = "Default"
	}
	people := []m{{"role": "owner", "email": ada}, {"role": "scribe", "email": grace}}
	for name, c := range map[string]struct {
		gone   string
		before []m // delivered before it goes
		say    m
		warns  string
		want   func(t *testing.T, v simulator.IncidentView)
	}{
		"a severity, at a declaration": {
			gone: "SEV1", say: created(m{"ai_summary": "The index is cold."}), warns: "SEV1",
			want: func(t *testing.T, v simulator.IncidentView) {
				same(t, "field", values(v, summaryField), "The index is cold.")
				is(t, "severity that stands in", v.Severity.Name, "SEV2")
			},
		},
		"a severity, at an update": {
			gone: "SEV2", before: []m{created(nil)}, say: updated(m{"severity": "warning", "status": "fixing", "ai_summary": "New."}), warns: "SEV2",
			want: func(t *testing.T, v simulator.IncidentView) {
				is(t, "severity", v.Severity.Name, "SEV1")
				is(t, "status", v.Status.Name, "Fixing")
				holds(t, "summary", v.Summary, "New.")
			},
		},
		"a status, at an update": {
			gone: "Fixing", before: []m{created(nil)}, say: updated(m{"severity": "warning", "status": "fixing"}), warns: "Fixing",
			want: func(t *testing.T, v simulator.IncidentView) {
				is(t, "severity", v.Severity.Name, "SEV2")
				is(t, "status", v.Status.Name, "Investigating")
			},
		},
		"a status, at a declaration": {
			gone: "Fixing", say: created(m{"status": "fixing"}), warns: "Fixing",
			want: func(t *testing.T, v simulator.IncidentView) { is(t, "status", v.Status.Name, "Investigating") },
		},
		"the status of the end": {
			gone: "Documenting", before: []m{created(nil)}, say: event(mapping.IncidentResolved), warns: "Documenting",
			want: func(t *testing.T, v simulator.IncidentView) { is(t, "status", v.Status.Name, "Reviewing") },
		},
		"an option, at a declaration": {
			gone: "production", say: created(m{"environment": "production", "ai_summary": "Cold."}), warns: "production",
			want: func(t *testing.T, v simulator.IncidentView) {
				same(t, "environment", values(v, environmentField))
				same(t, "field", values(v, summaryField), "Cold.")
			},
		},
		"one option of several": {
			gone: "Checkout", before: []m{created(nil)}, say: updated(m{"affected_services": []string{"Search", "Checkout", "Payments"}}), warns: "Checkout",
			want: func(t *testing.T, v simulator.IncidentView) {
				same(t, "services", values(v, servicesField), "Search", "Payments")
			},
		},
		"a custom field, at a declaration": {
			gone: environmentField, say: created(m{"environment": "production", "ai_summary": "Cold."}), warns: environmentField,
			want: func(t *testing.T, v simulator.IncidentView) {
				same(t, "field", values(v, summaryField), "Cold.")
			},
		},
		"a custom field, at an update": {
			gone: environmentField, before: []m{created(nil)}, say: updated(m{"environment": "production", "ai_summary": "Cold.", "title": "Slower"}), warns: environmentField,
			want: func(t *testing.T, v simulator.IncidentView) {
				same(t, "field", values(v, summaryField), "Cold.")
				is(t, "name", v.Name, "Slower")
			},
		},
		"a role, at a declaration": {
			gone: "Communications Lead", say: created(m{"responders": people}), warns: "Communications Lead",
			want: func(t *testing.T, v simulator.IncidentView) { is(t, "lead", holder(v, "lead"), ada) },
		},
		"a role, at an update": {
			gone: "Communications Lead", before: []m{created(nil)}, say: updated(m{"responders": people}), warns: "Communications Lead",
			want: func(t *testing.T, v simulator.IncidentView) { is(t, "lead", holder(v, "lead"), ada) },
		},
		"a person": {
			gone: grace, before: []m{created(m{"responders": people}), updated(m{"responders": []m{{"role": "scribe", "email": ada}}})},
			say: updated(m{"responders": []m{{"role": "scribe", "email": grace}}, "title": "Slower"}), warns: "Grace",
			want: func(t *testing.T, v simulator.IncidentView) {
				is(t, "communications", holder(v, "comms"), ada)
				is(t, "name", v.Name, "Slower")
			},
		},
		"the incident type": {
			gone: "Default", say: created(nil), warns: "Default",
			want: func(t *testing.T, v simulator.IncidentView) {},
		},
	} {
		t.Run("goes on without "+name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{config: mapped})
			w.says(append(c.before, created(m{"id": "TIG-0", "responders": people}))...) // the account has been read
			w.ok(w.sim.Remove(c.gone))
			holds(t, "reason", w.says(c.say).Reason, c.warns)
			for _, v := range w.sim.Snapshot().Incidents {
				if strings.Contains(v.Summary, "*TigerOps TIG-1*") {
					c.want(t, v)
				}
			}
			// The next event knows, and neither asks in vain nor warns again.
			before := w.sim.Counters().ByStatus[http.StatusUnprocessableEntity]
			is(t, "the next event's reason", w.says(step("anomaly_detected", "Next")).Reason, "")
			is(t, "requests in vain", w.sim.Counters().ByStatus[422]-before, 0)
		})
	}
	t.Run("a refused key or an unreadable part of the account costs nothing but time", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, quick(worldOptions{config: mapped}))
		fault := must(w.sim.Break(simulator.Fault{Path: "/v2/custom_fields", Kind: simulator.StatusCode, Status: 500}))(w)
		w.start()
		e := created(nil)
		w.post(e)
		eventually(t, "the account to be asked for", func() bool { return len(w.sim.Requests("/v2/custom_fields")) > 1 })
		w.sim.Mend(fault)
		w.ends(e, store.Done)
	})
}

// poison makes incident.io refuse an action's creation with a field to blame that nothing can be done about.
func (w *world) poison() (mend func()) {
	w.Helper()
	fault := must(w.sim.Break(simulator.Fault{Method: "POST", Path: "/v3/actions", Kind: simulator.StatusCode, Status: 422, Body: `{"type":"validation_error","status":422,` +
		`"request_id":"req-poison","errors":[{"code":"invalid_value","message":"no actions on Mondays","source":{"field":"description"}}]}`}))(w)
	return func() { w.sim.Mend(fault) }
}

func TestOutPoison(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (w *world, bad m, behind []m, mend func()) {
		w = newRunning(t, worldOptions{})
		w.says(created(nil))
		mend = w.poison()
		bad = event(mapping.RunbookAction, m{"action": m{"title": "Warm it", "status": "running"}})
		behind = []m{step("anomaly_detected", "One"), updated(m{"title": "Slower"}), step("anomaly_detected", "Two")}
		w.post(append([]m{bad}, behind...)...)
		row := w.ends(bad, store.Dead)
		holds(t, "reason", row.Reason, "action.create", "422", "description", "no actions on Mondays", "req-poison")
		// Its lane waits; others go on.
		w.says(created(m{"id": "TIG-2"}), step("anomaly_detected", "Elsewhere", m{"incident": m{"id": "TIG-2"}}))
		for _, e := range behind {
			is(t, "state behind the dead event", w.outbox(e).State, store.Pending)
		}
		is(t, "items on the waiting incident's timeline", len(w.inc("INC-1").Timeline), 0)
		is(t, "dead events told", must(w.a.st.Status(w.ctx))(w).Dead, 1)
		stuck := must(w.a.st.Stuck(w.ctx))(w)
		if len(stuck) != 1 || !strings.Contains(stuck[0].Why, "no actions on Mondays") {
			t.Errorf("stuck: got %+v, want the dead event and why", stuck)
		}
		return w, bad, behind, mend
	}
	t.Run("kills one event, tells the field, and a retry brings the lane back in order", func(t *testing.T) {
		t.Parallel()
		w, bad, behind, mend := begin(t)
		mend()
		is(t, "retried", must(w.a.st.RetryEvents(w.ctx, w.outbox(bad).ID))(w), 1)
		for _, e := range append([]m{bad}, behind...) {
			w.ends(e, store.Done)
		}
		v := w.inc("INC-1")
		is(t, "actions", len(v.Actions), 1)
		is(t, "name", v.Name, "Slower")
		same(t, "timeline by making", byMaking(v), "Anomaly detected: One", "Anomaly detected: Two")
		if !v.Actions[0].CreatedAt.Before(v.Timeline[0].CreatedAt) {
			t.Error("the action came after what was told behind it")
		}
	})
	t.Run("a retry too soon is dead again, with a fresh count", func(t *testing.T) {
		t.Parallel()
		w, bad, _, _ := begin(t)
		before := len(w.sim.Requests("POST /v3/actions"))
		must(w.a.st.RetryEvents(w.ctx))(w)
		eventually(t, "another attempt", func() bool {
			return len(w.sim.Requests("POST /v3/actions")) > before && w.outbox(bad).State == store.Dead
		})
	})
	t.Run("a discard leaves a reason, and the lane goes on", func(t *testing.T) {
		t.Parallel()
		w, bad, behind, _ := begin(t)
		must(w.a.st.DiscardEvents(w.ctx, "not worth it", w.outbox(bad).ID))(w)
		for _, e := range behind {
			w.ends(e, store.Done)
		}
		row := w.outbox(bad)
		is(t, "state", row.State, store.Skipped)
		is(t, "reason", row.Reason, "not worth it")
		is(t, "actions", len(w.inc("INC-1").Actions), 0)
	})
	t.Run("an event that can't be read is dead by name", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		// A door of ours refuses it, a stranger's INSERT does not.
		must(w.a.st.InsertEvents(w.ctx, [][]byte{[]byte(`{"id":"odd","type":"incident.created","incident":{"id":"TIG-1","impacted_metrics":"many"}}`)}))(w)
		holds(t, "reason", w.ends(m{"id": "odd"}, store.Dead).Reason, "impacted_metrics")
	})
	t.Run("an unknown type is skipped and holds nobody up", func(t *testing.T) {
		t.Parallel()
		var told logged
		w := newRunning(t, worldOptions{agent: func(o *Options) { o.Log = told.logger() }})
		odd := event("incident.exploded")
		w.post(odd, created(nil))
		holds(t, "reason", w.ends(odd, store.Skipped).Reason, "incident.exploded")
		eventually(t, "the event behind it", func() bool { return len(w.sim.Snapshot().Incidents) == 1 })
		if told.count("event skipped") != 1 {
			t.Error("no warning in the log")
		}
	})
}

// byMaking are the titles of the timeline in the order in which the items were made.
func byMaking(v simulator.IncidentView) []string {
	items := slices.Clone(v.Timeline)
	slices.SortFunc(items, func(a, b simulator.TimelineItem) int { return a.CreatedAt.Compare(b.CreatedAt) })
	var out []string
	for _, i := range items {
		out = append(out, i.Title)
	}
	return out
}

func TestOutRefusedKey(t *testing.T) {
	t.Parallel()
	// A 401 pauses everything, charges nothing, says why, and ends by itself.
	t.Run("401", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil))
		fault := must(w.sim.Break(simulator.Fault{Kind: simulator.RefuseKey}))(w)
		list := []m{step("anomaly_detected", "One"), created(m{"id": "TIG-2"})}
		w.post(list...)
		eventually(t, "readiness to say why", func() bool { return strings.Contains(strings.Join(w.a.notReady(), " "), "refuses the API key") })
		status, answer := w.do(http.MethodGet, w.a.edges.localAddr(), "/readyz", nil, nil)
		is(t, "status of /readyz", status, http.StatusServiceUnavailable)
		holds(t, "/readyz", answer, "refuses the API key")
		w.sim.Mend(fault)
		for _, e := range list {
			is(t, "attempts beside the one that succeeded", w.ends(e, store.Done).Attempts-1, 0)
		}
		is(t, "reasons not to be ready", len(w.a.notReady()), 0)
		is(t, "incidents", len(w.sim.Snapshot().Incidents), 2)
	})
	// A 403 of one call holds up what needs it, charges nothing, says why, and ends by itself.
	t.Run("403", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil))
		fault := must(w.sim.Break(simulator.Fault{Method: "POST", Path: "/v2/incident_timeline_items", Kind: simulator.RefuseRole}))(w)
		note := step("anomaly_detected", "One")
		w.post(note)
		eventually(t, "readiness to say why", func() bool { return strings.Contains(strings.Join(w.a.notReady(), " "), "forbids") })
		w.says(created(m{"id": "TIG-2"})) // others go on
		is(t, "state", w.outbox(note).State, store.Pending)
		w.sim.Mend(fault)
		is(t, "attempts beside the one that succeeded", w.ends(note, store.Done).Attempts-1, 0)
		eventually(t, "the agent to be ready again", func() bool { return len(w.a.notReady()) == 0 })
		is(t, "timeline items", len(w.inc("INC-1").Timeline), 1)
	})
	t.Run("403 of everything", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		fault := must(w.sim.Break(simulator.Fault{Kind: simulator.RefuseRole}))(w)
		e := created(nil)
		w.post(e)
		eventually(t, "readiness to say why", func() bool { return len(w.a.notReady()) > 0 })
		w.sim.Mend(fault)
		is(t, "attempts beside the one that succeeded", w.ends(e, store.Done).Attempts-1, 0)
		eventually(t, "the agent to be ready again", func() bool { return len(w.a.notReady()) == 0 })
	})
}

// Updates that wait for incident.io to come back are folded into one, and the backlog costs few requests.
func TestOutOutageIsFolded(t *testing.T) {
	t.Parallel()
	w := newRunning(t, rules(func(r *mapping.Rules) { r.CustomFields = map[string]string{"ai_summary": summaryField} }))
	w.says(created(nil))
	w.settle()
	fault := must(w.sim.Break(simulator.Fault{Kind: simulator.Outage}))(w)
	first := step("anomaly_detected", "Before")
	w.post(first)
	eventually(t, "the outage to be noticed", func() bool { ok, _ := w.a.up.usable(); return !ok })
	var updates []m
	for i := range 100 {
		updates = append(updates, updated(m{"ai_summary": fmt.Sprintf("Version %d.", i), "severity": []string{"warning", "critical"}[i%2]}))
	}
	ack := event(mapping.IncidentAcknowledged, byAda)
	last := updated(m{"title": "Slower"})
	list := append([]m{first}, updates[:50]...)
	list = append(list, step("anomaly_detected", "Between"))
	list = append(list, updates[50:]...)
	list = append(list, ack, last)
	w.post(list...)
	before := w.sim.Counters().ByCall
	w.sim.Mend(fault)
	for _, e := range list {
		w.ends(e, store.Done)
	}
	head := w.outbox(updates[0])
	is(t, "the carrier is folded into", head.FoldedInto, 0)
	for _, e := range updates[1:] {
		is(t, "folded_into", w.outbox(e).FoldedInto, head.ID)
	}
	is(t, "folded past an acknowledgement", w.outbox(last).FoldedInto, 0)
	v := w.only()
	is(t, "severity", v.Severity.Name, "SEV1")
	is(t, "name", v.Name, "Slower")
	same(t, "field", values(v, summaryField), "Version 99.")
	same(t, "timeline by making", byMaking(v), "Anomaly detected: Before", "Anomaly detected: Between")
	is(t, "acknowledgements", said(v, "Acknowledged by Ada"), 1)
	after := w.sim.Counters().ByCall
	n := 0
	for call := range after {
		if strings.HasPrefix(call, "POST ") {
			n += after[call] - before[call]
		}
	}
	if n > 8 { // two steps, an edit for the updates, one for the title, one for the role, two updates, and no more
		t.Errorf("requests that change something for %d events: got %d, want at most 8", len(list), n)
	}
}
