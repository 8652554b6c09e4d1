package agent

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
)

// What fails for a moment is not lost for longer than the moment: a person's lookup, a part of the account, details of
// an incident.

func TestALookupThatFailsForAMomentCostsNobodyARole(t *testing.T) {
	t.Parallel()
	for _, status := range []int{503, 403} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			lookupFails(t, status)
		})
	}
}

func lookupFails(t *testing.T, status int) {
	w := newWorld(t, worldOptions{})
	must(w.sim.Break(simulator.Fault{Path: "/v2/users", Kind: simulator.StatusCode, Status: status, Times: 2}))(w)
	w.start()
	w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical","responders":[{"role":"owner","name":"Ada","email":"ada@example.com"}]}}`)
	eventually(t, "the incident is declared without waiting for the lookup", func() bool { return len(w.sim.Snapshot().Incidents) == 1 })
	w.settle()
	i := w.only()
	if lead := i.RoleAssignments[0]; lead.Assignee == nil || lead.Assignee.Email != ada {
		t.Errorf("lead: got %+v, want Ada", lead.Assignee)
	}
	if len(i.Timeline) != 0 {
		t.Errorf("timeline: got %+v, want nothing: the lookup came to its end", i.Timeline)
	}
}

func TestDetailsForbiddenForAMomentAreToldWithTheNextSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) { c.ReconcileInterval = 200 * time.Millisecond }})
	ref, _ := w.tie("TIG-1")
	must(w.sim.As(lisa).AddTimelineItem(ref, "The disk is full", "", time.Time{}))(w)
	must(w.sim.Break(simulator.Fault{Path: "/v2/incident_timeline_items", Kind: simulator.RefuseRole, Times: 1}))(w)
	w.sweep()
	w.wantTypes(w.rows())
	eventually(t, "a later sweep tells of the item", func() bool { w.sweep(); return len(w.rows()) == 1 })
}

func TestWhatPeopleAddBeforeTheyCloseAnIncidentIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ref, _ := w.tie("TIG-1")
	must(w.sim.As(lisa).AddTimelineItem(ref, "The disk is full", "", time.Time{}))(w)
	w.ok(w.sim.As(lisa).Close(ref, "Done."))
	w.pull() // nothing polls a closed incident
	w.wantTypes(w.rows(), "timeline.added", "incident.resolved")
}

func TestWhatWasForbiddenWhileAnIncidentWasClosedIsToldWithALaterSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) { c.ReconcileInterval = 200 * time.Millisecond }})
	ref, _ := w.tie("TIG-1")
	must(w.sim.As(lisa).CreateAction(ref, "Buy a disk"))(w)
	w.ok(w.sim.As(lisa).Close(ref, "Done."))
	must(w.sim.Break(simulator.Fault{Path: "/v3/actions", Kind: simulator.RefuseRole, Times: 1}))(w)
	w.pull()
	w.wantTypes(w.rows(), "incident.resolved")
	eventually(t, "a later sweep tells of the action", func() bool { w.sweep(); return len(w.rows()) == 1 })
	eventually(t, "and is the last", func() bool { return must(w.a.st.Link(w.ctx, "TIG-1"))(w).Closed })
}

// The same of what moved it after all of it was seen.
func TestWhatWasForbiddenWhileAClosedIncidentMovedIsToldWithALaterSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) { c.ReconcileInterval = 200 * time.Millisecond }})
	ref, _ := w.tie("TIG-1")
	w.ok(w.sim.As(lisa).Close(ref, "Done."))
	w.pull()
	w.wantTypes(w.rows(), "incident.resolved")
	w.ok(w.sim.As(lisa).Reopen(ref, "Not yet."))
	w.ok(w.sim.As(lisa).Close(ref, "Now it is."))
	must(w.sim.Break(simulator.Fault{Path: "/v2/incident_updates", Kind: simulator.RefuseRole, Times: 1}))(w)
	w.pull()
	w.wantTypes(w.rows())
	eventually(t, "a later sweep tells what was said", func() bool { w.sweep(); return len(w.rows()) == 2 })
	eventually(t, "and is the last", func() bool { return must(w.a.st.Link(w.ctx, "TIG-1"))(w).Closed })
}

func TestWhatPeopleAddBeforeAReopenIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.start()
	w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical"}}`)
	w.insert(`{"id":"e2","type":"incident.resolved","incident":{"id":"TIG-1"}}`)
	w.settle()
	w.sweep()
	must(w.sim.As(lisa).AddTimelineItem(w.only().Reference, "The disk is full", "", time.Time{}))(w)
	w.insert(`{"id":"e3","type":"incident.reopened","incident":{"id":"TIG-1"}}`)
	w.settle()
	w.wantTypes(w.rows(), "incident.linked", "timeline.added", "incident.linked")
}

func TestAPartOfTheAccountForbiddenForAMomentIsServedFromTheOlderCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	before := must(w.a.dir.get(w.ctx))(w)
	must(w.sim.Break(simulator.Fault{Path: "/v1/incident_statuses", Kind: simulator.RefuseRole, Times: 1}))(w)
	w.ok(w.a.dir.refresh(w.ctx, "a test"))
	after := must(w.a.dir.get(w.ctx))(w)
	if !slices.Equal(before.Statuses, after.Statuses) {
		t.Errorf("statuses: got %v, want those of before", after.Statuses)
	}
	if left := directoryFor - time.Since(w.a.dir.readAt); left > directoryPartial {
		t.Errorf("the copy serves for %s, want %s at most", left, directoryPartial)
	}
}

func TestSeveritiesForbiddenForAMomentAtTheStartCostNoIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) { c.BackoffInitial, c.BackoffMax = 5*time.Millisecond, 50*time.Millisecond }})
	fault := must(w.sim.Break(simulator.Fault{Path: "/v1/severities", Kind: simulator.RefuseRole}))(w)
	w.start()
	w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical"}}`)
	eventually(t, "the account is asked for", func() bool { return w.gets("/v1/severities") > 0 })
	w.sim.Mend(fault)
	w.settle()
	if got := w.only().Severity.Name; got != "SEV1" {
		t.Errorf("severity: got %s, want SEV1", got)
	}
}

func TestSeveritiesForbiddenForLongKillNoEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.a.dir.patience = 0
	fault := must(w.sim.Break(simulator.Fault{Path: "/v1/severities", Kind: simulator.RefuseRole}))(w)
	w.start()
	w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical"}}`)
	eventually(t, "incident.io refuses a declaration without a severity", func() bool {
		return slices.ContainsFunc(w.sim.Requests("POST /v2/incidents"), func(r simulator.Request) bool { return r.Status == 422 })
	})
	w.sim.Mend(fault)
	w.a.dir.forget()
	w.settle()
	if got := w.only().Severity.Name; got != "SEV1" {
		t.Errorf("severity: got %s, want SEV1", got)
	}
}

func TestAKeyRefusedForAMomentCostsNoAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) {
		c.AlertSource = AlertSource{ID: simulator.DefaultAlertSourceID, Token: NewSecret(simulator.DefaultAlertSourceToken)}
		c.Rules.AlertSource, c.AlertRouteWait = simulator.DefaultAlertSourceID, 0
	}})
	must(w.a.dir.get(w.ctx))(w)
	// The key is refused between the look at the account and the alert.
	w.sim.SetKey("another")
	w.a.up.check(w.ctx)
	if ok, _ := w.a.up.usable(); ok {
		t.Fatal("the refused key is not noticed")
	}
	w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical"}}`)
	ev := must(w.a.st.Event(w.ctx, 1))(w)
	d := &delivery{a: w.a, lane: &lane{}, ev: ev}
	d.event, _ = mapping.ParseEvent(ev.Payload, ev.EventID)
	d.state = d.before.Apply(d.event)
	in, _, _, err := d.input(w.ctx, nil)
	w.ok(err)
	req := mapping.Plan(in).Next[0]
	w.ok(d.freeze(w.ctx, req))
	_, _, err = d.send(w.ctx, req, false, nil)
	w.ok(err)
	if s := must(w.a.st.Steps(w.ctx, 1))(w)[0]; s.Name != "alert.fire" || s.State != stepOpen {
		t.Errorf("got %s %s (%s), want the alert to wait", s.Name, s.State, s.Error)
	}
}
