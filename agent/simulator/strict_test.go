package simulator_test

import (
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// value is a request with one custom field value.
func value(field string, members object) object {
	return object{"custom_field_entries": []object{{"custom_field_id": field, "values": []object{members}}}}
}

func TestRefusedDeclarations(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a, id := newAPI(t, s), idsOf(s)
	role := func(role string, assignee any) object {
		return object{"incident_role_assignments": []object{{"incident_role_id": role, "assignee": assignee}}}
	}
	lead := id.role["Incident Lead"]
	if err := s.Deactivate("linus@example.com"); err != nil {
		t.Fatal(err)
	}
	const v0 = "custom_field_entries.0.values.0."
	for name, c := range map[string]struct {
		more  object
		field string
	}{
		"no key":                  {object{"idempotency_key": nil}, "idempotency_key"},
		"empty key":               {object{"idempotency_key": " "}, "idempotency_key"},
		"no visibility":           {object{"visibility": nil}, "visibility"},
		"other visibility":        {object{"visibility": "secret"}, "visibility"},
		"other mode":              {object{"mode": "rehearsal"}, "mode"},
		"unknown field":           {object{"sumary": "x"}, "sumary"},
		"unknown nested field":    {object{"custom_field_entries": []object{{"custom_field_id": "custom_field_ghi", "value": "x", "values": []object{}}}}, "custom_field_entries.0.value"},
		"no severity":             {object{"severity_id": nil}, "severity_id"},
		"severity by name":        {object{"severity_id": "SEV1"}, "severity_id"},
		"number for a text":       {object{"name": 7}, "name"},
		"name too long":           {object{"name": strings.Repeat("ä", 256)}, "name"},
		"no such status":          {object{"incident_status_id": "Monitoring"}, "incident_status_id"},
		"born closed":             {object{"incident_status_id": id.status["Closed"]}, "incident_status_id"},
		"no such type":            {object{"incident_type_id": "x"}, "incident_type_id"},
		"no such field":           {value("nope", object{"value_text": "x"}), "custom_field_entries.0.custom_field_id"},
		"text in a select":        {value("custom_field_def", object{"value_text": "Yes"}), v0 + "value_text"},
		"option by its name":      {value("custom_field_def", object{"value_option_id": "Yes"}), v0 + "value_option_id"},
		"another field's option":  {value("custom_field_def", object{"value_option_id": id.option["Checkout"]}), v0 + "value_option_id"},
		"empty value":             {value("custom_field_ghi", object{}), v0 + "value_text"},
		"no number":               {value("custom_field_num", object{"value_numeric": "14,4"}), v0 + "value_numeric"},
		"numeric as JSON number":  {value("custom_field_num", object{"value_numeric": 14.4}), v0 + "value_numeric"},
		"no link":                 {value("custom_field_lnk", object{"value_link": "tigerops"}), v0 + "value_link"},
		"no such entry":           {value("custom_field_svc", object{"value_catalog_entry_id": "nope"}), v0 + "value_catalog_entry_id"},
		"entry by name":           {value("custom_field_svc", object{"value_catalog_entry_id": "Checkout"}), v0 + "value_catalog_entry_id"},
		"two values in a single":  {object{"custom_field_entries": []object{{"custom_field_id": "custom_field_def", "values": []object{{"value_option_id": id.option["Yes"]}, {"value_option_id": id.option["No"]}}}}}, "custom_field_entries.0.values"},
		"values missing":          {object{"custom_field_entries": []object{{"custom_field_id": "custom_field_def"}}}, "custom_field_entries.0.values"},
		"no such role":            {role("Lead", object{"email": "ada@example.com"}), "incident_role_assignments.0.incident_role_id"},
		"stranger":                {role(lead, object{"email": "eve@example.com"}), "incident_role_assignments.0.assignee.email"},
		"inactive person":         {role(lead, object{"email": "linus@example.com"}), "incident_role_assignments.0.assignee.email"},
		"no such user":            {role(lead, object{"id": "x"}), "incident_role_assignments.0.assignee.id"},
		"no such Slack user":      {role(lead, object{"slack_user_id": "x"}), "incident_role_assignments.0.assignee.slack_user_id"},
		"nobody":                  {role(lead, object{}), "incident_role_assignments.0.assignee"},
		"no such timestamp":       {object{"incident_timestamp_values": []object{{"incident_timestamp_id": "x", "value": "2026-11-23T02:00:00Z"}}}, "incident_timestamp_values.0.incident_timestamp_id"},
		"no timestamp":            {object{"incident_timestamp_values": []object{{"incident_timestamp_id": "x", "value": "today"}}}, "incident_timestamp_values.0.value"},
		"options of another mode": {object{"retrospective_incident_options": object{}}, "retrospective_incident_options"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, s)
			r := a.do("POST", "/v2/incidents", a.declaration(s, c.more)).want(422)
			if r.field() != c.field || r.text("type") != "validation_error" || r.text("request_id") == "" {
				t.Errorf("blames %q, want %q: %s", r.field(), c.field, r.Body)
			}
		})
	}
	if n := len(s.Snapshot().Incidents); n != 0 {
		t.Errorf("%d incidents were made", n)
	}
	a.do("POST", "/v2/incidents", `{"idempotency_key":`).want(400)
	a.do("POST", "/v2/incidents", `[]`).want(400)
	a.do("POST", "/v2/incidents", `{} {}`).want(400)
	all := a.do("POST", "/v2/incidents", object{"visibility": "x", "surprise": 1}).want(422)
	if n := len(all.list("errors")); n != 3 {
		t.Errorf("%d errors at once, want 3: %s", n, all.Body)
	}
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a, id := newAPI(t, s), idsOf(s)
	inc := a.declare(s, nil)
	edit := "/v2/incidents/" + inc + "/actions/edit"
	edited := func(in object) object { return object{"notify_incident_channel": false, "incident": in} }
	for name, c := range map[string]struct {
		method, path string
		body         any
		status       int
		field        string
	}{
		"edit without notify":         {"POST", edit, object{"incident": object{}}, 422, "notify_incident_channel"},
		"edit without incident":       {"POST", edit, object{"notify_incident_channel": true}, 422, "incident"},
		"edit of a stranger":          {"POST", "/v2/incidents/nope/actions/edit", edited(object{}), 404, ""},
		"edit by reference number":    {"POST", "/v2/incidents/1/actions/edit", edited(object{}), 404, ""},
		"edit to no name":             {"POST", edit, edited(object{"name": ""}), 422, "incident.name"},
		"edit to no severity":         {"POST", edit, edited(object{"severity_id": "x"}), 422, "incident.severity_id"},
		"edit of visibility":          {"POST", edit, edited(object{"visibility": "private"}), 422, "incident.visibility"},
		"edit of the reporter":        {"POST", edit, edited(object{"incident_role_assignments": []object{{"incident_role_id": id.role["Reporter"], "assignee": object{"email": "ada@example.com"}}}}), 422, "incident.incident_role_assignments.0.incident_role_id"},
		"edit to a wrong value":       {"POST", edit, edited(value("custom_field_num", object{"value_numeric": "x"})), 422, "incident.custom_field_entries.0.values.0.value_numeric"},
		"update without anything":     {"POST", "/v2/incident_updates", object{"incident_id": inc, "idempotency_key": "k"}, 422, "message"},
		"update without key":          {"POST", "/v2/incident_updates", object{"incident_id": inc, "message": "m"}, 422, "idempotency_key"},
		"update of a stranger":        {"POST", "/v2/incident_updates", object{"incident_id": "x", "idempotency_key": "k", "message": "m"}, 422, "incident_id"},
		"update to no status":         {"POST", "/v2/incident_updates", object{"incident_id": inc, "idempotency_key": "k", "to_incident_status_id": "x"}, 422, "to_incident_status_id"},
		"update to no severity":       {"POST", "/v2/incident_updates", object{"incident_id": inc, "idempotency_key": "k", "to_severity_id": "x"}, 422, "to_severity_id"},
		"item without time":           {"POST", "/v2/incident_timeline_items", object{"incident_id": inc, "idempotency_key": "k", "title": "t"}, 422, "timestamp"},
		"item without title":          {"POST", "/v2/incident_timeline_items", object{"incident_id": inc, "idempotency_key": "k", "timestamp": "2026-11-23T02:00:00Z"}, 422, "title"},
		"item with a local time":      {"POST", "/v2/incident_timeline_items", object{"incident_id": inc, "idempotency_key": "k", "title": "t", "timestamp": "2026-11-23 02:00"}, 422, "timestamp"},
		"action with a key":           {"POST", "/v3/actions", object{"incident_id": inc, "description": "d", "idempotency_key": "k"}, 422, "idempotency_key"},
		"action for a stranger":       {"POST", "/v3/actions", object{"incident_id": inc, "description": "d", "assignee_id": "x"}, 422, "assignee_id"},
		"follow-up without title":     {"POST", "/v3/follow_ups", object{"incident_id": inc}, 422, "title"},
		"follow-up of no priority":    {"POST", "/v3/follow_ups", object{"incident_id": inc, "title": "t", "follow_up_priority_option_id": "x"}, 422, "follow_up_priority_option_id"},
		"labels that are no texts":    {"POST", "/v3/follow_ups", object{"incident_id": inc, "title": "t", "labels": []int{1}}, 422, "labels.0"},
		"empty post-mortem":           {"POST", "/v2/incidents/" + inc + "/actions/import_postmortem_document", object{"title": "t", "content": ""}, 422, "content"},
		"escalation to nobody":        {"POST", "/v2/escalations", object{"idempotency_key": "k", "title": "t"}, 422, "escalation_path_id"},
		"escalation to no path":       {"POST", "/v2/escalations", object{"idempotency_key": "k", "title": "t", "escalation_path_id": "x"}, 422, "escalation_path_id"},
		"option of a text field":      {"POST", "/v1/custom_field_options", object{"custom_field_id": "custom_field_ghi", "value": "x"}, 422, "custom_field_id"},
		"option that is there":        {"POST", "/v1/custom_field_options", object{"custom_field_id": "custom_field_def", "value": "yes"}, 422, "value"},
		"severity name of 51":         {"POST", "/v1/severities", object{"name": strings.Repeat("x", 51), "description": ""}, 422, "name"},
		"attachment of two things":    {"POST", "/v1/incident_attachments", object{"incident_id": inc, "resource": object{"resource_type": "arbitrary_url", "url": "https://x", "external_id": "y"}}, 422, "resource"},
		"note on nothing":             {"POST", "/v1/alert_notes", object{"content": "c"}, 422, "alert_id"},
		"alert source without a body": {"POST", "/v2/alert_sources", object{"name": "x", "source_type": "http"}, 422, "template"},
		"options without a field":     {"GET", "/v1/custom_field_options", nil, 422, "custom_field_id"},
		"options of no field":         {"GET", "/v1/custom_field_options?custom_field_id=x", nil, 422, "custom_field_id"},
		"alerts without a page size":  {"GET", "/v2/alerts", nil, 422, "page_size"},
		"page too large":              {"GET", "/v2/incidents?page_size=251", nil, 422, "page_size"},
		"alert page too large":        {"GET", "/v2/alerts?page_size=51", nil, 422, "page_size"},
		"page of nothing":             {"GET", "/v2/incidents?page_size=0", nil, 422, "page_size"},
		"after a stranger":            {"GET", "/v2/incidents?after=x", nil, 422, "after"},
		"unknown parameter":           {"GET", "/v2/incidents?statuscategory[one_of]=live", nil, 422, "statuscategory[one_of]"},
		"unknown operator":            {"GET", "/v2/incidents?status_category[is]=live", nil, 422, "status_category"},
		"time that is none":           {"GET", "/v2/incidents?updated_at[gte]=yesterday", nil, 422, "updated_at"},
		"filter by no severity":       {"GET", "/v2/incidents?severity[gte]=SEV1", nil, 422, "severity"},
		"filter by no field":          {"GET", "/v2/incidents?custom_field[x][one_of]=y", nil, 422, "custom_field"},
		"timeline of nothing":         {"GET", "/v2/incident_timeline_items", nil, 422, "incident_id"},
		"parameter of a write":        {"POST", "/v2/incident_updates?dry_run=1", object{}, 422, "dry_run"},
		"incident that is not there":  {"GET", "/v2/incidents/01X", nil, 404, ""},
		"call that is not there":      {"GET", "/v9/incidents", nil, 404, ""},
		"wrong method":                {"DELETE", "/v2/incidents", nil, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newAPI(t, s).do(c.method, c.path, c.body).want(c.status)
			if got := r.field(); got != c.field {
				t.Errorf("blames %q, want %q: %s", got, c.field, r.Body)
			}
		})
	}
	v, err := s.Incident(inc)
	if err != nil || len(v.Updates) != 1 || len(v.Timeline)+len(v.Actions)+len(v.FollowUps)+len(v.Postmortems)+len(v.Escalations) != 0 {
		t.Errorf("a refused request left something: %+v, %v", v, err)
	}
}
