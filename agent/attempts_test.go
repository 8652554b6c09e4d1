package agent

import (
	"net/http"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/store"
)

// The ledger tells how often a step was sent and what came of it, also while it is not through.
func TestTheLedgerCountsEveryAttemptOfAStep(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{})
	fault := must(w.sim.Break(simulator.Fault{Method: http.MethodPost, Path: "/v2/incidents", Kind: simulator.StatusCode, Status: 503}))(w)
	e := created(nil)
	w.post(e)
	var open store.Step
	eventually(t, "three attempts", func() bool {
		steps := must(w.a.st.Steps(w.ctx, w.outbox(e).ID))(w)
		if len(steps) == 1 {
			open = steps[0]
		}
		return open.Attempts >= 3
	})
	if open.State != store.StepOpen || open.HTTPStatus != 503 || open.RequestID == "" || open.Error == "" {
		t.Errorf("step that is not through: got %+v, want its last answer", open)
	}
	w.sim.Mend(fault)
	row := w.ends(e, store.Done)
	sent := len(w.sim.Requests("POST /v2/incidents"))
	step := must(w.a.st.Steps(w.ctx, row.ID))(w)[0]
	if step.State != store.StepDone || step.Attempts != sent || step.HTTPStatus != 200 || step.Error != "" {
		t.Errorf("step that is through: got %+v, want %d attempts and the last answer", step, sent)
	}
	is(t, "attempts of the event", row.Attempts, sent)
}
