package agent

import (
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/store"
)

func TestAStopFinishesWhatIsInFlightAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick(worldOptions{}))
	stop := w.start()
	must(w.sim.Break(simulator.Fault{Method: "POST", Path: "/v2/incidents", Kind: simulator.Delay, Delay: 300 * time.Millisecond}))(w)
	declaration, next := created(nil), step("anomaly_detected", "One")
	w.post(declaration, next)
	eventually(t, "the declaration to be under way", func() bool { return len(w.sim.Requests("POST /v2/incidents")) > 0 })
	stop()
	is(t, "requests that were cut off", w.sim.Counters().ByStatus[0], 0)
	w.reopen()
	steps := must(w.a.st.Steps(w.ctx, w.outbox(declaration).ID))(w)
	if len(steps) != 1 || steps[0].State != store.StepDone {
		t.Errorf("ledger after the stop: got %+v, want the declaration done", steps)
	}
	is(t, "the event behind it", w.outbox(next).State, store.Pending)
	is(t, "timeline items", len(w.only().Timeline), 0)
	w.start()
	w.ends(next, store.Done)
	is(t, "declarations", len(w.sim.Snapshot().Incidents), 1)
}
