package simulator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// TestEveryCall makes every call of the API once with success. What is sent and answered is held against the API's
// description by the helper.
func TestEveryCall(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a, id, acc := newAPI(t, s), idsOf(s), s.Account()
	inc := a.declare(s, nil)
	template := object{"title": object{"literal": "x"}, "description": object{"literal": "y"}, "attributes": []any{}, "expressions": []any{}}
	source := "Bearer " + simulator.DefaultAlertSourceToken
	done := map[string]bool{"POST /v2/incidents": true}
	do := func(call, path string, status int, body any, header ...string) reply {
		t.Helper()
		method, _, _ := strings.Cut(call, " ")
		done[call] = true
		return a.do(method, path, body, header...).want(status)
	}
	get := func(path string) reply { t.Helper(); return do("GET "+path, path, 200, nil) }
	gets := func(path, query string) reply { t.Helper(); return do("GET "+path, path+"?"+query, 200, nil) }
	post := func(path string, status int, body object) reply {
		t.Helper()
		return do("POST "+path, path, status, body)
	}

	get("/v1/identity")
	post("/v1/severities", 201, object{"name": "SEV0", "description": ""})
	if got := get("/v1/severities").at("severities", 3, "name"); got != "SEV0" {
		t.Errorf("the new severity ranks %v", got)
	}
	post("/v1/incident_statuses", 201, object{"name": "Watching", "description": "d", "category": "live"})
	get("/v1/incident_statuses")
	get("/v1/incident_types")
	field := post("/v2/custom_fields", 201, object{"name": "Region", "description": "d", "field_type": "single_select"}).text("custom_field", "id")
	get("/v2/custom_fields")
	post("/v1/custom_field_options", 201, object{"custom_field_id": field, "value": "eu-west"})
	if n := len(gets("/v1/custom_field_options", "custom_field_id="+field).list("custom_field_options")); n != 1 {
		t.Errorf("%d options", n)
	}
	post("/v2/incident_roles", 201, object{"name": "Scribe", "description": "d", "instructions": "", "shortform": "scribe"})
	get("/v2/incident_roles")
	if got := gets("/v2/users", "email=ADA@example.com").at("users", 0, "name"); got != "Ada Byron" {
		t.Errorf("user %v", got)
	}
	get("/v2/incident_timestamps")
	ctype := post("/v3/catalog_types", 201, object{"name": "Region", "description": "d"}).text("catalog_type", "id")
	get("/v3/catalog_types")
	post("/v3/catalog_entries", 201, object{"catalog_type_id": ctype, "name": "EU", "external_id": "eu", "attribute_values": object{}})
	gets("/v3/catalog_entries", "page_size=10&identifier=eu&catalog_type_id="+ctype)
	get("/v3/teams")

	src := post("/v2/alert_sources", 200, object{"name": "Other", "source_type": "http", "template": template}).text("alert_source", "id")
	get("/v2/alert_sources")
	do("GET /v2/alert_sources/{id}", "/v2/alert_sources/"+src, 200, nil)
	do("PUT /v2/alert_sources/{id}", "/v2/alert_sources/"+src, 200, object{"name": "Another", "template": template, "disabled": true})
	do("DELETE /v2/alert_sources/{id}", "/v2/alert_sources/"+src, 204, nil)
	do("POST /v2/alert_events/http/{alert_source_config_id}", "/v2/alert_events/http/"+simulator.DefaultAlertSourceID, 202,
		object{"title": "p99", "status": "firing", "deduplication_key": "k1", "description": "d", "source_url": "https://tigerops.example", "metadata": object{"a": 1}}, "Authorization", source)
	for _, m := range []string{"GET", "POST"} {
		do(m+" /v2/heartbeat/{alert_source_config_id}/ping", "/v2/heartbeat/"+simulator.DefaultHeartbeatID+"/ping?token="+simulator.DefaultHeartbeatToken, 204, nil, "Authorization", "")
	}
	alert := gets("/v2/alerts", "page_size=50&deduplication_key[is]=k1").text("alerts", 0, "id")
	do("GET /v2/alerts/{id}", "/v2/alerts/"+alert, 200, nil)
	do("POST /v2/alerts/{id}/actions/resolve", "/v2/alerts/"+alert+"/actions/resolve", 200, nil)
	if err := s.As("ada@example.com").AttachAlert("INC-1", alert); err != nil {
		t.Fatal(err)
	}
	if got := gets("/v2/incident_alerts", "page_size=50&alert_id="+alert).text("incident_alerts", 0, "incident", "id"); got != inc {
		t.Errorf("tied to %q", got)
	}
	post("/v1/alert_notes", 201, object{"alert_id": alert, "content": "note"})
	gets("/v1/alert_notes", "alert_id="+alert)
	esc := post("/v2/escalations", 201, object{"idempotency_key": "e1", "title": "Wake up", "escalation_path_id": simulator.DefaultEscalationPathID, "incident_id": inc}).text("escalation", "id")
	gets("/v2/escalations", "idempotency_key[is]=e1&incident[one_of]="+inc)
	do("GET /v2/escalations/{id}", "/v2/escalations/"+esc, 200, nil)
	get("/v2/escalation_paths")
	post("/v2/escalation_paths", 201, object{"name": "Platform", "team_ids": []string{acc.Teams[0].ID}, "path": []object{{"id": "1", "type": "level", "level": object{
		"targets": []object{{"id": id.user["ada@example.com"], "type": "user", "urgency": "high"}}}}}})

	get("/v2/incidents")
	do("GET /v2/incidents/{id}", "/v2/incidents/"+inc, 200, nil)
	do("POST /v2/incidents/{id}/actions/edit", "/v2/incidents/"+inc+"/actions/edit", 200, object{"notify_incident_channel": false, "incident": object{"name": "Slower", "severity_id": id.severity["SEV1"]}})
	do("POST /v2/incidents/{id}/actions/import_postmortem_document", "/v2/incidents/"+inc+"/actions/import_postmortem_document", 201, object{"title": "PM", "content": "# PM"})
	gets("/v1/postmortem_documents", "incident_id="+inc)
	post("/v2/incident_updates", 201, object{"incident_id": inc, "idempotency_key": "u1", "message": "hi"})
	gets("/v2/incident_updates", "incident_id="+inc)
	post("/v2/incident_timeline_items", 201, object{"incident_id": inc, "idempotency_key": "t1", "title": "Anomaly", "timestamp": "2026-11-23T02:00:00Z"})
	gets("/v2/incident_timeline_items", "incident_id="+inc)
	for _, v := range []string{"/v2", "/v3"} {
		post(v+"/actions", 201, object{"incident_id": inc, "description": "do", "assignee_id": id.user["ada@example.com"]})
		gets(v+"/actions", "incident_id="+inc+"&updated_at[gte]=2020-01-01")
		post(v+"/follow_ups", 201, object{"incident_id": inc, "title": "later", "labels": []string{"db"}, "assignee_team_id": acc.Teams[0].ID})
		gets(v+"/follow_ups", "incident_id="+inc)
	}
	post("/v1/incident_attachments", 201, object{"incident_id": inc, "resource": object{"resource_type": "arbitrary_url", "url": "https://tigerops.example/1", "title": "TigerOps"}})
	gets("/v1/incident_attachments", "incident_id="+inc)

	if a.spec == nil {
		t.Skipf("the calls were made, but not held against the API's description: %v", specErr)
	}
	for path, item := range a.spec.doc.Paths.Map() {
		for method := range item.Operations() {
			if call := fmt.Sprintf("%s %s", method, path); !done[call] {
				t.Errorf("not called: %s", call)
			}
		}
	}
}
