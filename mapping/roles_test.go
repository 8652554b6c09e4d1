package mapping_test

import (
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// A whole plan, as a person reads it beforehand, names somebody who can't be assigned once, as the delivery will.
func TestAPlanNamesSomebodyWhoCantBeAssignedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ev, faults := mapping.ParseEvent([]byte(saying("e1", "incident.created", `"responders":[{"role":"owner","name":"Ghost"}]`, "")), "")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	in := w.input(ev, mapping.State{}, nil)
	in.State = in.State.Apply(ev)
	out := mapping.Plan(in)
	for _, req := range out.Next {
		if req.Name == "timeline.note" {
			if n := strings.Count(string(req.Body), "Ghost"); n != 1 || !strings.Contains(string(req.Body), "could not assign a responder") {
				t.Errorf("Ghost is named %d times, want once: %s", n, req.Body)
			}
			return
		}
	}
	t.Errorf("no note in the plan %v", out.Next)
}
