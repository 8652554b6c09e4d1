package agent

import (
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

// TigerOps need not say that an incident is resolved which people ended: the alert of that life fires on. What happens in
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
