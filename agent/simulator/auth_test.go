package simulator_test

import (
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a := newAPI(t, s)
	for header, code := range map[string]string{"": "missing_authorization_material", "Bearer wrong": "invalid_authorization_material", "Basic eDp5": "invalid_authorization_material"} {
		r := a.do("GET", "/v1/identity", nil, "Authorization", header).want(401)
		if r.text("type") != "authentication_error" || r.text("errors", 0, "code") != code || r.Header.Get("X-RateLimit-Limit") != "" {
			t.Errorf("%q: %s %v", header, r.Body, r.Header)
		}
	}
	s.SetKey("rotated")
	a.do("GET", "/v1/identity", nil).want(401)
	a.key = "rotated"
	if got := a.do("GET", "/v1/identity", nil).want(200).text("identity", "dashboard_url"); got != "https://app.incident.io/example" {
		t.Error(got)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a := newAPI(t, s)
	inc, secret := a.declare(s, nil), ""
	if ref, err := s.As("lisa@example.com").Declare(simulator.NewIncident{Name: "Secret", Private: true}); err != nil {
		t.Fatal(err)
	} else if v, err := s.Incident(ref); err == nil {
		secret = v.ID
	}
	own := a.declare(s, object{"visibility": "private"})
	s.SetKey(simulator.DefaultKey, "viewer")
	if got := a.do("GET", "/v1/identity", nil).want(200).at("identity", "roles", 0); got != "viewer" {
		t.Error(got)
	}
	a.do("GET", "/v2/incidents/"+inc, nil).want(200)
	for _, call := range [][2]string{{"POST", "/v2/incidents"}, {"POST", "/v2/incidents/" + inc + "/actions/edit"}, {"POST", "/v2/incident_updates"}, {"POST", "/v2/incident_timeline_items"},
		{"POST", "/v3/actions"}, {"POST", "/v3/follow_ups"}, {"POST", "/v2/escalations"}, {"POST", "/v2/incidents/" + inc + "/actions/import_postmortem_document"},
		{"POST", "/v2/custom_fields"}, {"POST", "/v1/custom_field_options"}, {"POST", "/v2/alert_sources"}, {"POST", "/v3/catalog_entries"}} {
		if r := a.do(call[0], call[1], object{}).want(403); r.text("errors", 0, "message") == "" {
			t.Errorf("%v: %s", call, r.Body)
		}
	}
	if got := a.do("GET", "/v2/alert_sources/"+simulator.DefaultAlertSourceID, nil).want(200).at("alert_source", "secret_token"); got != nil {
		t.Errorf("a viewer sees the token %v", got)
	}
	// Private incidents: hidden without the role, but for those that the key made itself.
	a.do("GET", "/v2/incidents/"+secret, nil).want(404)
	a.do("GET", "/v2/incidents/"+own, nil).want(200)
	if got := refs(a.do("GET", "/v2/incidents", nil)); got != "3 1" {
		t.Errorf("sees %s", got)
	}
	a.do("GET", "/v2/incident_updates?incident_id="+secret, nil).want(404)
	if n := len(a.do("GET", "/v2/incident_updates", nil).want(200).list("incident_updates")); n != 2 {
		t.Errorf("sees %d updates", n)
	}
	s.SetKey(simulator.DefaultKey, "viewer", "global_access")
	a.do("GET", "/v2/incidents/"+secret, nil).want(200)
	s.SetKey(simulator.DefaultKey, "incident_creator")
	a.do("GET", "/v2/incidents", nil).want(403)
}

func TestOlderAccount(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{MissingNewerCalls: true})
	a := newAPI(t, s)
	inc := a.declare(s, nil)
	for _, call := range [][2]string{{"POST", "/v2/incident_updates"}, {"POST", "/v2/incident_timeline_items"}, {"GET", "/v2/incident_timeline_items?incident_id=" + inc}, {"POST", "/v3/actions"},
		{"GET", "/v3/actions"}, {"POST", "/v3/follow_ups"}, {"GET", "/v3/follow_ups"}, {"POST", "/v2/incidents/" + inc + "/actions/import_postmortem_document"}} {
		a.do(call[0], call[1], object{}).want(404)
	}
	a.do("GET", "/v2/incident_updates", nil).want(200)
	a.do("POST", "/v2/actions", object{"incident_id": inc, "description": "d"}).want(201)
}

func TestRemovedSettings(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a, id := newAPI(t, s), idsOf(s)
	inc := a.declare(s, object{"severity_id": id.severity["SEV3"], "custom_field_entries": value("custom_field_env", object{"value_option_id": id.option["staging"]})["custom_field_entries"],
		"incident_role_assignments": []object{{"incident_role_id": id.role["Communications Lead"], "assignee": object{"email": "grace@example.com"}}}})
	for _, name := range []string{"SEV3", "custom_field_env", "Communications Lead", "grace@example.com", "Yes", "Fixing"} {
		if err := s.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if s.Remove("SEV3") == nil || s.Remove("SEV9") == nil {
		t.Error("what is not there was removed")
	}
	for name, c := range map[string]object{
		"severity_id": {"severity_id": id.severity["SEV3"]}, "incident_status_id": {"incident_status_id": id.status["Fixing"]},
		"custom_field_entries.0.custom_field_id":          value("custom_field_env", object{"value_option_id": id.option["staging"]}),
		"custom_field_entries.0.values.0.value_option_id": value("custom_field_def", object{"value_option_id": id.option["Yes"]}),
		"incident_role_assignments.0.incident_role_id":    {"incident_role_assignments": []object{{"incident_role_id": id.role["Communications Lead"], "assignee": object{"email": "ada@example.com"}}}},
		"incident_role_assignments.0.assignee.email":      {"incident_role_assignments": []object{{"incident_role_id": id.role["Incident Lead"], "assignee": object{"email": "grace@example.com"}}}},
	} {
		if got := a.do("POST", "/v2/incidents", a.declaration(s, c)).want(422).field(); got != name {
			t.Errorf("blames %s, want %s", got, name)
		}
	}
	if n := len(a.do("GET", "/v1/severities", nil).list("severities")); n != 2 {
		t.Errorf("%d severities", n)
	}
	r := a.do("GET", "/v2/incidents/"+inc, nil).want(200)
	if r.text("incident", "severity", "name") != "SEV3" || r.text("incident", "custom_field_entries", 0, "values", 0, "value_option", "value") != "staging" {
		t.Errorf("an incident lost what it had: %s", r.Body)
	}
}
