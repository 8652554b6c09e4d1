package agent

import (
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/store"
)

// apply applies every change in the inbox, as TigerOps does.
func (w *world) apply() {
	w.Helper()
	for _, e := range must(w.a.st.Inbox(w.ctx, store.InboxQuery{State: store.Pending, Limit: 1000}))(w) {
		must(w.a.st.AckInbox(w.ctx, e.ID))(w)
	}
}

// What a person set stands against a TigerOps that says what it said before, until TigerOps has applied the person's
// change: saying the old value again is a change then.
func TestTigerOpsTakesBackWhatAPersonSet(t *testing.T) {
	t.Parallel()
	owner := m{"role": "owner", "email": ada}
	for name, c := range map[string]struct {
		do          func(w *world, ref string) error
		says        m
		show        func(simulator.IncidentView) string
		theirs, own string
	}{
		"severity": {
			func(w *world, ref string) error { return w.sim.As(lisa).SetSeverity(ref, "SEV3", "Not that bad.") },
			m{"severity": "critical"}, func(v simulator.IncidentView) string { return v.Severity.Name }, "SEV3", "SEV1",
		},
		"status": {
			func(w *world, ref string) error { return w.sim.As(lisa).SetStatus(ref, "Fixing", "") },
			m{"status": "mitigated"}, func(v simulator.IncidentView) string { return v.Status.Name }, "Fixing", "Monitoring",
		},
		"role": {
			func(w *world, ref string) error { return w.sim.As(lisa).AssignRole(ref, "lead", lisa) },
			m{"responders": []m{owner}}, func(v simulator.IncidentView) string { return holder(v, "lead") }, lisa, ada,
		},
		"role given up": {
			func(w *world, ref string) error { return w.sim.As(lisa).UnassignRole(ref, "lead") },
			m{"responders": []m{owner}}, func(v simulator.IncidentView) string { return holder(v, "lead") }, "", ada,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{})
			w.says(created(m{"severity": "critical", "status": "mitigated", "responders": []m{owner}}), updated(m{"status": "mitigated"}))
			ref := w.only().Reference
			w.ok(c.do(w, ref))
			w.settle()
			w.says(updated(c.says))
			is(t, "said by a TigerOps that has not applied it", c.show(w.only()), c.theirs)
			w.apply()
			w.says(step("note", "It goes on"))
			is(t, "not said at all", c.show(w.only()), c.theirs)
			w.says(updated(c.says))
			is(t, "said by a TigerOps that has applied it", c.show(w.only()), c.own)
			w.settle()
			for _, r := range w.rows() {
				if r.Type == "incident.linked" || r.Source == "webhook" || r.Source == "delivery" && r.Actor != nil {
					continue
				}
				t.Errorf("row %v: only a person's changes are told", r)
			}
		})
	}
}

// A TigerOps incident that is declared anew is declared as TigerOps knows it, with what it has applied.
func TestAReopenDeclaresWithWhatTigerOpsHasApplied(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{})
	w.says(created(m{"severity": "critical"}))
	first := w.only().Reference
	w.ok(w.sim.As(lisa).SetSeverity(first, "SEV2", ""))
	w.ok(w.sim.As(lisa).Close(first, ""))
	w.settle()
	w.apply()
	w.says(event("incident.reopened"))
	for _, v := range w.sim.Snapshot().Incidents {
		if v.Reference != first {
			is(t, "severity", v.Severity.Name, "SEV2")
		}
	}
	is(t, "incidents", len(w.sim.Snapshot().Incidents), 2)
}

// What a conflict has taken from an event is not pushed by it, whatever later events are folded into it.
func TestFoldingDoesNotUndoHowAConflictWent(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: func(c *Config) { c.BackoffInitial, c.BackoffMax = time.Millisecond, 20*time.Millisecond }})
	w.says(created(m{"severity": "critical", "responders": []m{{"role": "owner", "email": ada}}}))
	ref := w.only().Reference
	// Its lane waits: the step in front gets no answer.
	fault := must(w.sim.Break(simulator.Fault{Method: "POST", Path: "/v2/incident_timeline_items", Kind: simulator.StatusCode, Status: 500}))(w)
	w.post(step("note", "In front"))
	update := updated(m{"severity": "warning", "responders": []m{{"role": "owner", "email": grace}}})
	later := updated(m{"team": "payments", "ai_summary": "The disk."})
	w.post(update, later)
	w.ok(w.sim.As(lisa).SetSeverity(ref, "SEV3", ""))
	w.ok(w.sim.As(lisa).AssignRole(ref, "lead", lisa))
	eventually(t, "the person's changes are told", func() bool {
		return len(must(w.a.st.Inbox(w.ctx, store.InboxQuery{}))(w)) >= 4
	})
	w.sim.Mend(fault)
	carrier := w.ends(update, store.Done)
	is(t, "folded into", w.ends(later, store.Done).FoldedInto, carrier.ID)
	is(t, "severity", w.only().Severity.Name, "SEV3")
	is(t, "lead", holder(w.only(), "lead"), lisa)
}

// Both sides come to the same severity by themselves, and TigerOps goes back to what it was before the first of its
// events was delivered: that is a change, although it equals what was sent last.
func TestTigerOpsGoesBackFromWhatBothSidesCameTo(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: func(c *Config) { c.BackoffInitial, c.BackoffMax = time.Millisecond, 20*time.Millisecond }})
	w.says(created(m{"severity": "critical"}))
	ref := w.only().Reference
	fault := must(w.sim.Break(simulator.Fault{Method: "POST", Path: "/v2/incident_timeline_items", Kind: simulator.StatusCode, Status: 500}))(w)
	w.post(step("note", "In front"))
	w.post(updated(m{"severity": "info"}))
	w.ok(w.sim.As(lisa).SetSeverity(ref, "SEV3", ""))
	_ = must(w.sim.As(lisa).CreateAction(ref, "A look is taken"))(w)
	eventually(t, "a look", func() bool { return len(must(w.a.st.Inbox(w.ctx, store.InboxQuery{}))(w)) >= 2 })
	back := updated(m{"severity": "critical"})
	w.post(back)
	w.sim.Mend(fault)
	w.ends(back, store.Done)
	is(t, "severity", w.only().Severity.Name, "SEV1")
}

// Between letting go of an incident for a reopen and declaring it anew people open it again: it is the same incident, and
// both sides go on from what they knew.
func TestAReopenTakesBackWhatPeopleOpenedAgain(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: func(c *Config) {
		byService(c)
		c.BackoffInitial, c.BackoffMax = time.Millisecond, 20*time.Millisecond
	}})
	w.says(created(gateway), event("incident.resolved"))
	ref := w.only().Reference
	fault := must(w.sim.Break(simulator.Fault{Method: "GET", Path: "/v2/incidents", Kind: simulator.StatusCode, Status: 500}))(w)
	again := event("incident.reopened", byAda)
	w.post(again)
	eventually(t, "the incident is let go of", func() bool { return must(w.a.st.Link(w.ctx, "TIG-1"))(w) == nil })
	w.ok(w.sim.As(lisa).Reopen(ref, "It is back."))
	w.ok(w.sim.As(lisa).AssignRole(ref, "lead", lisa))
	w.sim.Mend(fault)
	w.ends(again, store.Done)
	w.settle()
	is(t, "reference", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, ref)
	is(t, "origin", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Origin, "declared")
	is(t, "told there", said(w.only(), "Reopened by Ada"), 1)
	w.wantTypes(w.rows(), "incident.linked", "incident.message", "incident.role_unassigned", "incident.role_assigned") // both opened it

	// It is nobody else's.
	w.says(created(gateway, m{"incident": m{"id": "TIG-2"}}))
	is(t, "incidents", len(w.sim.Snapshot().Incidents), 2)
}
