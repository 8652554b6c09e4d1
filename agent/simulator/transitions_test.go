package simulator_test

import (
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

func TestTransitions(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a, id := newAPI(t, s), idsOf(s)
	legal := map[string][]string{
		"Triage":        {"Triage", "Documenting", "Reviewing", "Closed"},
		"Investigating": {"Investigating", "Fixing", "Monitoring", "Documenting", "Reviewing", "Closed"},
		"Monitoring":    {"Investigating", "Fixing", "Monitoring", "Documenting", "Reviewing", "Closed"},
		"Documenting":   {"Documenting", "Reviewing", "Closed"},
		"Reviewing":     {"Documenting", "Reviewing", "Closed"},
		"Paused":        {"Paused"}, "Closed": {"Closed"}, "Declined": {"Declined"}, "Canceled": {"Canceled"}, "Merged": {"Merged"},
	}
	for from, tos := range legal {
		may := map[string]bool{}
		for _, to := range tos {
			may[to] = true
		}
		for to := range id.status {
			for _, by := range []string{"edit", "update"} {
				inc := a.declare(s, nil)
				if err := s.As("lisa@example.com").SetStatus(inc, from, ""); err != nil {
					t.Fatal(err)
				}
				var r reply
				field := "to_incident_status_id"
				if by == "edit" {
					field = "incident.incident_status_id"
					r = a.do("POST", "/v2/incidents/"+inc+"/actions/edit", object{"notify_incident_channel": false, "incident": object{"incident_status_id": id.status[to]}})
				} else {
					r = a.do("POST", "/v2/incident_updates", object{"incident_id": inc, "idempotency_key": inc, "to_incident_status_id": id.status[to]})
				}
				want := from
				if may[to] {
					want = to
				}
				v, err := s.Incident(inc)
				if err != nil || v.Status.Name != want || (r.Status < 300) != may[to] || (!may[to] && r.field() != field) {
					t.Errorf("%s: %s to %s: %d, now %s, %v", by, from, to, r.Status, v.Status.Name, err)
				}
			}
		}
	}
}

func TestPostIncidentFlow(t *testing.T) {
	t.Parallel()
	edit := func(a *api, inc, status string) reply {
		return a.do("POST", "/v2/incidents/"+inc+"/actions/edit", object{"notify_incident_channel": false, "incident": object{"incident_status_id": status}})
	}
	t.Run("a status of another flow is refused", func(t *testing.T) {
		t.Parallel()
		s := newSim(t, simulator.Options{Flow: []string{"Reviewing"}})
		a, id := newAPI(t, s), idsOf(s)
		inc := a.declare(s, nil)
		if got := edit(a, inc, id.status["Documenting"]).want(422).field(); got != "incident.incident_status_id" {
			t.Error(got)
		}
		edit(a, inc, id.status["Reviewing"]).want(200)
	})
	t.Run("a managed flow chooses its own status", func(t *testing.T) {
		t.Parallel()
		s := newSim(t, simulator.Options{ManageLearning: true})
		a, id := newAPI(t, s), idsOf(s)
		if got := edit(a, a.declare(s, nil), id.status["Reviewing"]).want(200).text("incident", "incident_status", "name"); got != "Documenting" {
			t.Error(got)
		}
	})
	t.Run("closing straight away may need a role", func(t *testing.T) {
		t.Parallel()
		s := newSim(t, simulator.Options{FlowRequired: true, Roles: []string{"viewer", "incident_creator", "incident_editor"}})
		a, id := newAPI(t, s), idsOf(s)
		inc := a.declare(s, nil)
		edit(a, inc, id.status["Closed"]).want(403)
		edit(a, inc, id.status["Documenting"]).want(200)
		edit(a, inc, id.status["Closed"]).want(200)
	})
	t.Run("a type that starts in triage", func(t *testing.T) {
		t.Parallel()
		s := newSim(t, simulator.Options{})
		a, id := newAPI(t, s), idsOf(s)
		inc := a.declare(s, object{"incident_status_id": id.status["Triage"], "severity_id": nil})
		v, err := s.Incident(inc)
		if err != nil || v.Status.Name != "Triage" || v.Severity != nil {
			t.Errorf("%+v, %v", v.Status, err)
		}
	})
}
