package simulator_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

func with(body object, k string, v any) object {
	out := maps.Clone(body)
	out[k] = v
	return out
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a, id := newAPI(t, s), idsOf(s)
	inc := a.declare(s, nil)
	for _, c := range []struct {
		path, object string
		status       int
		body         object
		change       string // a text to change
		wrong        string // an id to spoil
	}{
		{"/v2/incidents", "incident", 200, object{"visibility": "public", "severity_id": id.severity["SEV1"], "name": "A"}, "name", "severity_id"},
		{"/v2/incident_updates", "incident_update", 201, object{"incident_id": inc, "message": "A"}, "message", "incident_id"},
		{"/v2/incident_timeline_items", "incident_timeline_item", 201, object{"incident_id": inc, "title": "A", "timestamp": "2026-11-23T02:00:00Z"}, "title", "incident_id"},
		{"/v2/escalations", "escalation", 201, object{"title": "A", "escalation_path_id": simulator.DefaultEscalationPathID}, "title", "escalation_path_id"},
	} {
		t.Run(c.object, func(t *testing.T) {
			a := newAPI(t, s)
			post := func(body object, status int) string {
				t.Helper()
				return a.do("POST", c.path, body).want(status).text(c.object, "id")
			}
			// The same key is another one for another call, and one of a refused request is as new.
			body := with(c.body, "idempotency_key", "key")
			post(with(body, c.wrong, "nope"), 422)
			first := post(body, c.status)
			for name, again := range map[string]object{"the same": body, "another text": with(body, c.change, "B"), "an id that is gone": with(body, c.wrong, "nope")} {
				if got := post(again, c.status); got != first {
					t.Errorf("%s: got %s, want %s", name, got, first)
				}
			}
			if other := post(with(body, "idempotency_key", "other"), c.status); other == first {
				t.Error("another key gave the same")
			}
			var verdicts []string
			for _, r := range s.Requests("POST " + c.path) {
				if r.Key == "key" || r.Key == "other" {
					verdicts = append(verdicts, r.Verdict)
				}
			}
			slices.Sort(verdicts)
			if want := []string{"", "changed", "changed", "new", "new", "repeated"}; !slices.Equal(verdicts, want) {
				t.Errorf("verdicts %v, want %v", verdicts, want)
			}
		})
	}
	v, err := s.Incident(inc)
	if err != nil || len(v.Updates) != 3 || len(v.Timeline) != 2 {
		t.Errorf("%d updates, %d timeline items, %v", len(v.Updates), len(v.Timeline), err)
	}
	if c := s.Counters(); c.Repeated != 12 || c.Changed != 8 {
		t.Errorf("counted %d repeated, %d of them changed", c.Repeated, c.Changed)
	}
	one := a.do("POST", "/v3/actions", object{"incident_id": inc, "description": "d"}).want(201).text("action", "id")
	if two := a.do("POST", "/v3/actions", object{"incident_id": inc, "description": "d"}).want(201).text("action", "id"); one == two {
		t.Error("actions take no key, but the second was not made")
	}
}
