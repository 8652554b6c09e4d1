package simulator_test

import (
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

func TestDeclaredIncident(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a, id := newAPI(t, s), idsOf(s)
	r := a.do("POST", "/v2/incidents", a.declaration(s, object{
		"summary": "**Slow**",
		"custom_field_entries": []object{
			{"custom_field_id": "custom_field_abc", "values": []object{{"value_option_id": id.option["API Gateway"]}, {"value_option_id": id.option["Checkout"]}}},
			{"custom_field_id": "custom_field_num", "values": []object{{"value_numeric": "14.4"}}},
			{"custom_field_id": "custom_field_svc", "values": []object{{"value_catalog_entry_id": "api-gateway"}, {"value_catalog_entry_id": "billing"}}},
		},
		"incident_role_assignments": []object{{"incident_role_id": id.role["Incident Lead"], "assignee": object{"email": "Ada@example.com"}}},
	})).want(200)
	for path, want := range map[[2]string]string{{"reference"}: "INC-1", {"permalink"}: "https://app.incident.io/example/incidents/1", {"mode"}: "standard",
		{"incident_status", "name"}: "Investigating", {"severity", "name"}: "SEV2", {"incident_type", "name"}: "Default"} {
		p := []any{"incident", path[0]}
		if path[1] != "" {
			p = append(p, path[1])
		}
		if got := r.text(p...); got != want {
			t.Errorf("%v: got %q, want %q", path, got, want)
		}
	}
	ups := a.do("GET", "/v2/incident_updates?incident_id="+r.text("incident", "id"), nil).want(200)
	if got := ups.text("incident_updates", 0, "updater", "api_key", "name"); got != simulator.DefaultKeyName || len(ups.list("incident_updates")) != 1 {
		t.Errorf("first update by %q of %d", got, len(ups.list("incident_updates")))
	}
	a.do("GET", "/v2/incidents/1", nil).want(200)
	a.do("GET", "/v2/incidents/INC-1", nil).want(404)
	if n := len(a.do("GET", "/v2/incidents?custom_field[custom_field_abc][one_of]="+id.option["Checkout"]+"&status_category[one_of]=live", nil).want(200).list("incidents")); n != 1 {
		t.Errorf("found %d", n)
	}
}
