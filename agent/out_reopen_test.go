package agent

import (
	"encoding/json"
	"fmt"
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

// A reopen begins with an edit, and people end the incident before they are told: it goes on in a new one all the same.
func TestAReopenOfWhichOnlyTheEditCameGoesOnInANewIncident(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: func(c *Config) { c.BackoffInitial, c.BackoffMax = time.Second, time.Second }})
	w.says(created(nil))
	w.says(event(mapping.IncidentResolved))
	w.ok(w.sim.As(lisa).Reopen("INC-1", ""))
	w.swept()
	edits := "/v2/incidents/" + w.only().ID + "/actions/edit"
	must(w.sim.Break(simulator.Fault{Kind: simulator.ResetAfter, Path: edits, Times: 1}))(w)
	e := event(mapping.IncidentReopened, m{"incident": m{"title": "Checkout is slow again"}})
	w.post(e)
	eventually(w, "the edit to come", func() bool { return w.only().Name == "Checkout is slow again" })
	w.ok(w.sim.As(lisa).Resolve("INC-1", "It is not."))
	w.ends(e, store.Done)
	is(t, "incidents", len(w.sim.Snapshot().Incidents), 2)
	link := must(w.a.st.Link(w.ctx, "TIG-1"))(w)
	is(t, "in step", link.Reference, "INC-2")
	is(t, "generation", link.Generation, e["id"].(string))
}

// TigerOps need not say that an incident is resolved which people ended: its alert fires on until a reopen, which fires the
// next one and resolves it. TigerOps is not told of that, and hears of what people do to either.
func TestAReopenWithoutAResolveLeavesOneAlertFiring(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config func(*Config)
		route  *simulator.AlertRoute
		ended  bool // by people, before the reopen
	}{
		"declared":          {alerting, nil, true},
		"declared, open":    {alerting, nil, false},
		"by an alert route": {alertsOnly, &simulator.AlertRoute{}, true},
		"set aside":         {alertsOnly, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{sim: func(o *simulator.Options) { o.AlertRoute = c.route }, config: c.config})
			e := created(nil)
			w.post(e)
			if name == "set aside" {
				w.parked(e)
			} else {
				w.ends(e, store.Done)
			}
			if c.ended {
				w.ok(w.sim.As(lisa).Close("INC-1", "It is not."))
				w.swept()
			}
			for range 2 {
				e = event(mapping.IncidentReopened)
				w.post(e)
				if name == "set aside" {
					w.parked(e)
				} else {
					w.ends(e, store.Done)
				}
			}
			w.swept()
			if name != "set aside" { // there a route may still make an incident of the first
				is(t, "alerts after two reopens", alertStates(w), "resolved resolved firing")
			}
			e = event(mapping.IncidentResolved)
			w.post(e)
			w.ends(e, store.Done)
			is(t, "alerts after the resolve", alertStates(w), "resolved resolved resolved")
			w.settle()
			for _, r := range w.rows() {
				if r.Type == mapping.ChangeAlertResolved {
					t.Errorf("TigerOps is told of an alert that it resolved itself: %v", r)
				}
			}
		})
	}
}

// TigerOps need not say that an incident is resolved which people ended. What happens in
// the incident afterwards does not make it a second one of the next life.
func TestAnIncidentThatAReopenLetGoOfIsNotTiedBeside(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{sim: func(o *simulator.Options) { o.AlertRoute = &simulator.AlertRoute{} }, config: alertsOnly})
	w.says(created(nil))
	w.ok(w.sim.As(lisa).Resolve("INC-1", "It is not."))
	w.swept()
	e := event(mapping.IncidentReopened)
	w.says(e)
	is(t, "in step", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, "INC-2")
	must(w.sim.As(lisa).CreateFollowUp("INC-1", "Warm the index", ""))(w)
	w.swept()
	w.settle()
	is(t, "beside", len(must(w.a.st.LinksBeside(w.ctx, "TIG-1"))(w)), 0)
	is(t, "what the people of INC-1 are told", len(titles(w.inc("INC-1"))), 0)
}

// Nor is the next life tied to it, while that waits for an incident of its own alert.
func TestAReopenIsNotTiedToTheIncidentThatItLetGoOf(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{sim: func(o *simulator.Options) { o.AlertRoute = &simulator.AlertRoute{} }, config: alertsOnly})
	w.says(created(nil))
	w.ok(w.sim.As(lisa).Resolve("INC-1", "It is not."))
	w.swept()
	w.sim.SetAlertRoute(nil)
	e := event(mapping.IncidentReopened)
	w.post(e)
	w.parked(e)
	w.settle()
	w.rows()
	must(w.sim.As(lisa).CreateFollowUp("INC-1", "Warm the index", ""))(w)
	w.swept()
	first := must(w.a.st.Alert(w.ctx, "TIG-1", ""))(w)
	found, r, err := w.a.routedIncident(w.ctx, first, false)
	w.ok(err)
	is(t, "asked", r.OK(), true)
	is(t, "what the sweep finds of the first life's alert", found, "")
	w.wantTypes(w.rows())
	if l := must(w.a.st.Link(w.ctx, "TIG-1"))(w); l != nil {
		t.Errorf("tied to %s again, which is over", l.Reference)
	}
}

// The alert of an incident that was given up says nothing of what the next event is worth.
func TestAFiredAlertDeclaresNothingBelowMinSeverity(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: func(c *Config) { alerting(c); c.Rules.MinSeverity = "warning" }})
	must(w.sim.Break(simulator.Fault{Kind: simulator.StatusCode, Status: 422, Method: "POST", Path: "/v2/incidents"}))(w)
	e := created(nil)
	w.post(e)
	row := w.ends(e, store.Dead)
	w.sim.Mend()
	must(w.a.st.DiscardEvents(w.ctx, "a person's", row.ID))(w)
	less := updated(m{"severity": "info"})
	w.post(less)
	w.ends(less, store.Skipped)
	is(t, "incidents", len(w.sim.Snapshot().Incidents), 0)
}

// What people end between the look and the plan is let go of before the reopen is set aside: an event that is set aside is
// taken up by a tie only, and there would be one already.
func TestAReopenIsNotSetAsideWhileItsIncidentIsTied(t *testing.T) {
	t.Parallel()
	w, e := endedBehindTheLook(t, alertsOnly, &simulator.AlertRoute{})
	w.parked(e)
	if l := must(w.a.st.Link(w.ctx, "TIG-1"))(w); l != nil {
		t.Errorf("tied to %s, want the reopen to have let go of it", l.Reference)
	}
	ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert"}))(w)
	w.ok(w.sim.As(lisa).AttachAlert(ref, w.sim.Snapshot().Alerts[1].ID))
	w.ends(e, store.Done)
	is(t, "in step", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, ref)
}

// Nor is another declared, or attached to, in the place of the one that is tied: that one is let go of, and stays known.
func TestAReopenThatDeclaresLetsGoOfTheIncidentThatIsTied(t *testing.T) {
	t.Parallel()
	for name, another := range map[string]bool{"declared": false, "attached": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, e := endedBehindTheLook(t, func(c *Config) { alerting(c); byService(c) }, nil, func(w *world) {
				if another {
					w.open("SEV1")
				}
			})
			w.ends(e, store.Done)
			is(t, "in step", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, "INC-2")
			former := must(w.a.st.FormerLinks(w.ctx, "TIG-1"))(w)
			if len(former) != 1 || former[0].Reference != "INC-1" {
				t.Errorf("former ties %+v, want the one to INC-1", former)
			}
		})
	}
}

// endedBehindTheLook posts a reopen, and lets people end its incident between the look at it and the reopen's own steps.
func endedBehindTheLook(t *testing.T, config func(*Config), route *simulator.AlertRoute, beside ...func(*world)) (w *world, e m) {
	t.Helper()
	var slow atomic.Bool
	gate := make(chan struct{})
	w = newRunning(t, worldOptions{config: config, sim: func(o *simulator.Options) {
		o.AlertRoute = route
		o.Fault = func(r *http.Request, _ []byte) *simulator.Fault {
			if slow.Load() && strings.HasPrefix(r.URL.Path, "/v2/alert_events/") {
				<-gate
			}
			return nil
		}
	}})
	w.says(created(gateway))
	w.says(event(mapping.IncidentResolved))
	w.sim.SetAlertRoute(nil)
	w.ok(w.sim.As(lisa).Reopen("INC-1", ""))
	w.swept()
	slow.Store(true)
	asked := len(w.sent())
	e = event(mapping.IncidentReopened)
	w.post(e)
	eventually(w, "the alert to be under way, behind the look", func() bool { return len(w.sent()) > asked })
	w.ok(w.sim.As(lisa).Close("INC-1", "It is not."))
	id := w.only().ID
	eventually(w, "another hand to wait for the incident", func() bool {
		poke(w.a.wakeSweep)
		return w.a.locks.contended(id)
	})
	for _, f := range beside {
		f(w)
	}
	close(gate)
	return w, e
}

// The same where the attempt has looked as often as it may.
func TestAReopenIsNotSetAsideWhileTiedHoweverOftenItLooked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: alertsOnly})
	ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "Checkout is slow"}))(w)
	w.tieTo("TIG-1", ref, originAlertRoute)
	w.ok(w.sim.As(lisa).Close(ref, ""))
	w.sweep()
	e := event(mapping.IncidentReopened)
	id := e["id"].(string)
	key := mapping.AlertKey("TIG-1", id)
	must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Alert: &store.Alert{TigerOpsID: "TIG-1", Generation: id, Key: key, State: store.AlertFired}}))(w)
	w.insert(string(must(json.Marshal(e))(w)))
	row := must(w.a.st.Event(w.ctx, w.outbox(e).ID))(w)
	ev, _ := mapping.ParseEvent(row.Payload, id)
	d := &delivery{a: w.a, ev: row, event: ev, lane: &lane{}, stopping: func() bool { return false }, looked: true, looks: looksAtMost}
	v, finished, err := d.step(w.ctx)
	w.ok(err)
	if !finished || v.retryAt.IsZero() || w.outbox(e).Parked {
		t.Errorf("finished %v, again at %v, set aside %v; want it to be tried again", finished, v.retryAt, w.outbox(e).Parked)
	}
}

// A reopen that had nothing to set was told to people, who ended the incident before the event's own end: that is their
// answer.
func TestAReopenThatWasToldIsNotToldAgainInAnotherIncident(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: alerting})
	w.says(created(m{"status": mapping.StatusInvestigating}))
	w.sim.SetAlertDelay(time.Second) // the event's end waits for its alert to show
	e := event(mapping.IncidentReopened)
	w.post(e)
	eventually(t, "people to be told", func() bool { return said(w.inc("INC-1"), "Reopened in TigerOps") == 1 })
	w.ok(w.sim.As(lisa).Resolve("INC-1", "It is not."))
	w.ends(e, store.Done)
	is(t, "category", w.only().Status.Category, "learning")
	is(t, "in step", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, "INC-1")
}

// What was set aside before a reopen is of the life before, though the reopen was added up first.
func TestWhatWasSetAsideBeforeAReopenIsOfTheLifeBefore(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *world, []m){
		"delivered": func(t *testing.T, w *world, list []m) {
			ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert"}))(w)
			w.ok(w.sim.As(lisa).AttachAlert(ref, w.sim.Snapshot().Alerts[0].ID))
			for _, e := range list {
				w.ends(e, store.Done)
			}
			is(t, "told of the reopen", said(w.inc(ref), "Reopened in TigerOps"), 1)
		},
		"given up": func(_ *testing.T, w *world, list []m) {
			w.says(event(mapping.IncidentResolved))
			for _, e := range list {
				w.ends(e, store.Skipped)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{config: alertsOnly})
			list := []m{
				created(nil), event(mapping.RunbookAction, m{"action": m{"title": "Warm it", "status": "running"}}),
				event(mapping.IncidentAcknowledged, byAda), event(mapping.IncidentReopened),
			}
			w.post(list...)
			for _, e := range list {
				w.parked(e)
			}
			end(t, w, list)
			s := must(w.a.stateOf(w.ctx, "TIG-1"))(w)
			is(t, "generation", s.Generation, list[3]["id"].(string))
			is(t, "acknowledged", s.Acknowledged, false)
			is(t, "actions of this life", len(s.Actions), 0)
		})
	}
}

// More than one reopen may be set aside. Whichever alert an incident is made of, it is the last life's alert that fires on,
// until the resolve.
func TestReopensThatWereSetAsideLeaveTheLastAlertFiring(t *testing.T) {
	t.Parallel()
	for of := range 3 {
		t.Run(fmt.Sprintf("of alert %d", of+1), func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{config: alertsOnly})
			list := []m{created(nil), event(mapping.IncidentReopened), event(mapping.IncidentReopened)}
			for _, e := range list {
				w.post(e)
				w.parked(e)
			}
			ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert"}))(w)
			w.ok(w.sim.As(lisa).AttachAlert(ref, w.sim.Snapshot().Alerts[of].ID))
			for _, e := range list {
				w.ends(e, store.Done)
			}
			w.settle()
			w.swept()
			is(t, "alerts once an incident is tied", alertStates(w), "resolved resolved firing")
			w.says(event(mapping.IncidentResolved))
			is(t, "alerts after the resolve", alertStates(w), "resolved resolved resolved")
		})
	}
}

// alertStates are the statuses of all alerts, in the order in which they came.
func alertStates(w *world) string {
	var all []string
	for _, a := range w.sim.Snapshot().Alerts {
		all = append(all, a.Status)
	}
	return strings.Join(all, " ")
}

// TigerOps resolves the alert of the life before while a reopen goes on; that people resolve this life's alert meanwhile is
// their doing.
func TestWhoResolvesTheAlertOfAReopenThatGoesOnIsTold(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: alerting})
	w.says(created(nil))
	w.ok(w.sim.As(lisa).Close("INC-1", "It is not."))
	w.swept()
	w.settle()
	w.rows()
	must(w.sim.Break(simulator.Fault{Kind: simulator.ResetBefore, Method: "POST", Path: "/v2/incidents"}))(w)
	e := event(mapping.IncidentReopened)
	w.post(e)
	eventually(w, "the declaration to be in doubt", func() bool { return len(w.sim.Requests("POST /v2/incidents")) > 2 })
	is(t, "alerts", alertStates(w), "resolved firing")
	w.ok(w.sim.As(lisa).ResolveAlert(w.sim.Snapshot().Alerts[1].DeduplicationKey))
	eventually(w, "the webhooks to be settled", func() bool {
		waits := func(h simulator.Webhook) bool { return h.State == simulator.HookWaiting }
		return !slices.ContainsFunc(w.sim.Webhooks(), waits) && w.hookStates()["pending"] == 0
	})
	w.sim.Mend()
	w.ends(e, store.Done)
	w.settle()
	w.wantTypes(w.rows(), mapping.ChangeAlertResolved, mapping.ChangeLinked)
}

// People end the incident that is kept in step, and not the second one that an alert route made: a reopen goes on in that,
// and the resolve ends it.
func TestAReopenGoesOnInTheIncidentBeside(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: alerting})
	w.says(created(m{"ai_summary": "The index is cold."}))
	first := w.sim.Snapshot().Alerts[0].ID
	for n := range 2 { // INC-2 is tied before INC-3
		ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert"}))(w)
		w.ok(w.sim.As(lisa).AttachAlert(ref, first))
		eventually(w, "the tie beside", func() bool { return len(must(w.a.st.LinksBeside(w.ctx, "TIG-1"))(w)) == n+1 })
	}
	w.ok(w.sim.As(lisa).Close("INC-1", "It is not."))
	w.swept()
	e := event(mapping.IncidentReopened)
	w.says(e)
	is(t, "incidents", len(w.sim.Snapshot().Incidents), 3)
	link := must(w.a.st.Link(w.ctx, "TIG-1"))(w)
	is(t, "in step", link.Reference, "INC-2")
	is(t, "generation", link.Generation, e["id"].(string))
	is(t, "beside", len(must(w.a.st.LinksBeside(w.ctx, "TIG-1"))(w)), 1)
	is(t, "let go of", len(must(w.a.st.FormerLinks(w.ctx, "TIG-1"))(w)), 1)
	holds(t, "summary", w.inc("INC-2").Summary, "The index is cold.")
	w.says(event(mapping.IncidentResolved))
	is(t, "of INC-2", w.inc("INC-2").Status.Category, "learning")
	is(t, "of INC-3", w.inc("INC-3").Status.Category, "learning")
	is(t, "alerts", alertStates(w), "resolved resolved")
	w.settle()
	w.swept()
	w.wantTypes(w.rows(), mapping.ChangeLinked, mapping.ChangeLinked, mapping.ChangeLinked, mapping.ChangeResolved)
}

// Where they ended that as well, though nobody has told the agent, it goes on in a new one.
func TestAReopenGoesOnInNoIncidentBesideThatIsOver(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: alerting})
	w.says(created(nil))
	ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert"}))(w)
	w.ok(w.sim.As(lisa).AttachAlert(ref, w.sim.Snapshot().Alerts[0].ID))
	eventually(w, "the tie beside", func() bool { return len(must(w.a.st.LinksBeside(w.ctx, "TIG-1"))(w)) == 1 })
	w.settle()
	w.sim.SetWebhook("")
	w.ok(w.sim.As(lisa).Close("INC-1", "It is not."))
	w.ok(w.sim.As(lisa).Close(ref, "Nor this."))
	w.says(event(mapping.IncidentReopened))
	is(t, "in step", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, "INC-3")
	is(t, "beside", len(must(w.a.st.LinksBeside(w.ctx, "TIG-1"))(w)), 0)
}

// The description of a reopen's alert says so above TigerOps' section, which an alert route makes the incident's summary of.
func TestWhatARouteMadeOfAReopenTellsTheStoryOnce(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{sim: func(o *simulator.Options) { o.AlertRoute = &simulator.AlertRoute{} }, config: alertsOnly})
	w.says(created(m{"ai_summary": "It is the disk."}))
	w.ok(w.sim.As(lisa).Close("INC-1", "It is not."))
	w.swept()
	w.says(event(mapping.IncidentReopened, byAda))
	summary := func() string { return w.inc("INC-2").Summary }
	holds(t, "summary", summary(), "Reopened by Ada")
	is(t, "times told", strings.Count(summary(), "It is the disk."), 1)
	w.says(updated(m{"ai_summary": "It is the index."}))
	holds(t, "summary", summary(), "Reopened by Ada", "It is the index.")
	is(t, "what was told before", strings.Count(summary(), "It is the disk."), 0)
}

// Nobody waits for the alert of an earlier life: that it can't be resolved holds up no reopen.
func TestAReopenGoesOnWhereTheOldAlertIsNotResolved(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{sim: func(o *simulator.Options) { o.AlertRoute = &simulator.AlertRoute{} }, config: alertsOnly})
	w.says(created(nil))
	w.ok(w.sim.As(lisa).Close("INC-1", "It is not."))
	w.swept()
	must(w.sim.Break(simulator.Fault{Kind: simulator.StatusCode, Status: 422, Path: "/v2/alert_events/**", Skip: 1}))(w)
	e := event(mapping.IncidentReopened)
	w.post(e)
	holds(t, "reason", w.ends(e, store.Done).Reason, "alert not sent")
	is(t, "in step", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, "INC-2")
	w.sim.Mend()
	w.says(event(mapping.IncidentResolved)) // tries again
	for _, a := range w.sim.Snapshot().Alerts {
		is(t, "alert "+a.DeduplicationKey, a.Status, "resolved")
	}
}
