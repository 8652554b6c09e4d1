package incidentio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

// description is incident.io's own description of its API; it lies beside the project, not in it.
const description = "../../../shared/incidentio/openapi.json"

func load(t *testing.T) *openapi3.T {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(description))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("incident.io's description of its API is not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// routeOf finds the operation that a request is one of.
func routeOf(doc *openapi3.T, r *http.Request) (*routers.Route, map[string]string, error) {
	have := strings.Split(r.URL.EscapedPath(), "/")
	for path, item := range doc.Paths.Map() {
		want, vars := strings.Split(path, "/"), map[string]string{}
		fits := len(have) == len(want) && item.GetOperation(r.Method) != nil
		for i := 0; fits && i < len(want); i++ {
			if name, ok := strings.CutPrefix(want[i], "{"); ok {
				vars[strings.TrimSuffix(name, "}")] = have[i]
			} else {
				fits = want[i] == have[i]
			}
		}
		if fits {
			return &routers.Route{Spec: doc, Path: path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method)}, vars, nil
		}
	}
	return nil, nil, fmt.Errorf("incident.io knows no %s %s", r.Method, r.URL.Path)
}

// described answers each request with the description's own example, after both have been held against it.
type described struct {
	t    *testing.T
	doc  *openapi3.T
	seen map[string]bool
}

func (d *described) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	route, vars, err := routeOf(d.doc, r)
	if err != nil {
		d.t.Error(err)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	name := r.Method + " " + route.Path
	d.seen[name] = true
	r.URL.RawQuery = indexed(route.Operation, r.URL.Query()).Encode()
	input := &openapi3filter.RequestValidationInput{Request: r, PathParams: vars, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true}}
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		d.t.Errorf("%s?%s %s: %.500v", name, r.URL.RawQuery, body, err)
	}
	// What is not in the description is not looked at by the validator.
	for key := range r.URL.Query() {
		name, _, _ := strings.Cut(key, "[")
		if route.Operation.Parameters.GetByInAndName("query", name) == nil {
			d.t.Errorf("%s has no query parameter %s", route.Path, key)
		}
	}
	status, answer := d.answer(name, route.Operation)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		_, _ = w.Write(answer)
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: status, Header: w.Header(),
		Body: io.NopCloser(bytes.NewReader(answer)), Options: &openapi3filter.Options{MultiError: true}}
	err = openapi3filter.ValidateResponse(context.Background(), out)
	if name == "GET /v2/escalation_paths" {
		return // the vendor's own example has empty nodes in it, which its schema forbids
	}
	if err != nil {
		d.t.Errorf("%s: the sample answer is wrong: %.500v", name, err)
	}
}

// indexed puts an index to the filters' values, status[one_of][0]=a, since the validator knows arrays in this form only.
// incident.io's documentation and examples have them as they are sent.
func indexed(o *openapi3.Operation, q url.Values) url.Values {
	all := url.Values{}
	for key, values := range q {
		name, _, _ := strings.Cut(key, "[")
		p := o.Parameters.GetByInAndName("query", name)
		if p == nil || p.Style != openapi3.SerializationDeepObject {
			all[key] = values
			continue
		}
		for i, v := range values {
			all.Set(fmt.Sprintf("%s[%d]", key, i), v)
		}
	}
	return all
}

// answer is an operation's good status and its example, made to be a last page.
func (d *described) answer(name string, o *openapi3.Operation) (int, []byte) {
	for _, status := range []int{200, 201, 202, 204} {
		response := o.Responses.Status(status)
		if response == nil {
			continue
		}
		content := response.Value.Content.Get("application/json")
		if content == nil {
			return status, nil
		}
		example, _ := content.Example.(map[string]any)
		if example == nil {
			if text, ok := samples[name]; ok {
				return status, []byte(text)
			}
			d.t.Errorf("%s: there is no example and no sample", name)
			return status, []byte(`{}`)
		}
		if meta, ok := example["pagination_meta"].(map[string]any); ok {
			delete(meta, "after")
		}
		b, err := json.Marshal(example)
		if err != nil {
			d.t.Error(err)
		}
		return status, b
	}
	d.t.Errorf("%s: no good status is described", name)
	return http.StatusInternalServerError, nil
}

const (
	sampleActor  = `{"user":{"id":"01USER","name":"Lisa","email":"lisa@example.com","role":"responder"}}`
	sampleTimes  = `"created_at":"2026-11-23T02:00:00Z","updated_at":"2026-11-23T02:00:01Z"`
	sampleStatus = `{"id":"01ST","name":"Monitoring","description":"","category":"live","rank":3,` + sampleTimes + `}`
	sampleItem   = `{"id":"01TI","incident_id":"01INC","title":"Found it","timestamp":"2026-11-23T01:00:00Z","creator":` + sampleActor + `,` + sampleTimes + `}`
	sampleAction = `{"id":"01AC","incident_id":"01INC","description":"Call them","status":"outstanding","creator":` + sampleActor + `,` + sampleTimes + `}`
	sampleFollow = `{"id":"01FU","incident_id":"01INC","title":"Mend it","status":"completed","labels":["a"],"creator":` + sampleActor + `,` +
		`"completed_at":"2026-11-23T03:00:00Z",` + sampleTimes + `}`
)

// samples are answers of the calls whose description has no example.
var samples = map[string]string{
	"GET /v2/incident_timeline_items":  `{"incident_timeline_items":[` + sampleItem + `]}`,
	"POST /v2/incident_timeline_items": `{"incident_timeline_item":` + sampleItem + `}`,
	"GET /v3/actions":                  `{"actions":[` + sampleAction + `]}`,
	"POST /v3/actions":                 `{"action":` + sampleAction + `}`,
	"GET /v3/follow_ups":               `{"follow_ups":[` + sampleFollow + `]}`,
	"POST /v3/follow_ups":              `{"follow_up":` + sampleFollow + `}`,
	"POST /v2/incident_updates": `{"incident_update":{"id":"01UP","incident_id":"01INC","message":"Better","created_at":"2026-11-23T02:00:00Z",` +
		`"new_incident_status":` + sampleStatus + `,"updater":` + sampleActor + `}}`,
}

func TestAgainstTheDescription(t *testing.T) {
	t.Parallel()
	d := &described{t: t, doc: load(t), seen: map[string]bool{}}
	c := serve(t, d.ServeHTTP)
	ctx := within(t)

	check := func(name string, r incidentio.Result, good bool, got any) {
		t.Helper()
		if !r.OK() || r.Truncated || r.Requests != 1 {
			t.Errorf("%s: %v (%d requests, truncated %v)", name, r, r.Requests, r.Truncated)
		} else if !good {
			t.Errorf("%s: something is missing in %+v", name, got)
		}
	}

	identity, r := c.Identity(ctx)
	check("Identity", r, identity.Name != "" && identity.DashboardURL != "" && len(identity.Roles) > 0 && len(identity.Teams) > 0, identity)
	severities, r := c.Severities(ctx)
	check("Severities", r, len(severities) > 0 && severities[0].ID != "" && severities[0].Name != "" && severities[0].Rank > 0, severities)
	statuses, r := c.Statuses(ctx)
	check("Statuses", r, len(statuses) > 0 && statuses[0].Category != "" && statuses[0].Name != "", statuses)
	types, r := c.Types(ctx)
	check("Types", r, len(types) > 0 && types[0].Name != "" && types[0].CreateTriage != "", types)
	roles, r := c.Roles(ctx)
	check("Roles", r, len(roles) > 0 && roles[0].Type != "" && roles[0].Shortform != "", roles)
	fields, r := c.CustomFields(ctx)
	check("CustomFields", r, len(fields) > 0 && fields[0].Type != "" && fields[0].CatalogTypeID != "", fields)
	options, r := c.FieldOptions(ctx, "01FIELD")
	check("FieldOptions", r, len(options) > 0 && options[0].ID != "" && options[0].Value != "" && options[0].CustomFieldID != "", options)
	user, _, r := c.UserByEmail(ctx, "lisa@incident.io")
	check("UserByEmail", r, user.ID != "" && user.Email != "", user)
	catalog, r := c.CatalogTypes(ctx)
	check("CatalogTypes", r, len(catalog) > 0 && catalog[0].TypeName != "" && catalog[0].Name != "", catalog)
	entries, r := c.CatalogEntries(ctx, "01TYPE", "api-gateway")
	check("CatalogEntries", r, len(entries) > 0 && entries[0].ExternalID != "" && len(entries[0].Aliases) > 0, entries)
	teams, r := c.Teams(ctx)
	check("Teams", r, len(teams) > 0 && teams[0].Name != "" && teams[0].CatalogEntry.ID != "", teams)
	sources, r := c.AlertSources(ctx)
	check("AlertSources", r, len(sources) > 0 && sources[0].Type != "" && sources[0].Token != "" && sources[0].EventsURL != "", sources)
	paths, r := c.EscalationPaths(ctx)
	check("EscalationPaths", r, len(paths) > 0 && paths[0].Name != "" && len(paths[0].TeamIDs) > 0, paths)

	whole := func(i incidentio.Incident) bool {
		return i.ID != "" && i.Reference != "" && i.Name != "" && i.Summary != "" && i.Permalink != "" && i.Mode != "" && i.Visibility != "" &&
			i.Status.Category != "" && i.Severity != nil && i.Severity.Rank > 0 && i.Type != nil && i.Creator.Type != "" &&
			len(i.Roles) > 0 && i.Roles[0].Role.Type != "" && i.Roles[0].Assignee != nil && len(i.Fields) > 0 && i.Fields[0].Field.ID != "" &&
			len(i.Fields[0].Values) > 0 && i.Fields[0].Values[0].Key() != "" && len(i.PostmortemIDs) > 0 && !i.CreatedAt.IsZero() && !i.UpdatedAt.IsZero()
	}
	incident, r := c.Incident(ctx, "01INC")
	check("Incident", r, whole(incident), incident)
	incidents, r := c.Incidents(ctx, incidentio.ListFilter{
		UpdatedSince: time.Now(), Categories: []string{"live", "triage"}, SeverityID: "01SEV", CustomField: "01CF", Value: "01OPT",
		Modes: []string{"test"}, OldestFirst: true, Max: 3,
	})
	check("Incidents", r, len(incidents) > 0 && whole(incidents[0]), incidents)
	updates, r := c.Updates(ctx, "01INC")
	check("Updates", r, len(updates) > 0 && updates[0].Status != nil && updates[0].Severity != nil && updates[0].Updater.Type != "" &&
		updates[0].Message != "" && updates[0].MergedInto != "" && !updates[0].CreatedAt.IsZero(), updates)
	timeline, r := c.Timeline(ctx, "01INC")
	check("Timeline", r, len(timeline) == 1 && timeline[0].Title != "" && !timeline[0].Timestamp.IsZero() && timeline[0].Creator.Name == "Lisa", timeline)
	actions, r := c.Actions(ctx, "01INC")
	check("Actions", r, len(actions) == 1 && actions[0].Status == "outstanding" && actions[0].CompletedAt == nil, actions)
	followUps, r := c.FollowUps(ctx, "01INC")
	check("FollowUps", r, len(followUps) == 1 && followUps[0].CompletedAt != nil && len(followUps[0].Labels) == 1, followUps)
	documents, r := c.Postmortems(ctx, "01INC")
	check("Postmortems", r, len(documents) > 0 && documents[0].Status != "" && documents[0].DocumentURL != "", documents)

	alert, r := c.Alert(ctx, "01AL")
	check("Alert", r, alert.ID != "" && alert.Status != "" && alert.DeduplicationKey != "" && alert.AlertSourceID != "", alert)
	alerts, r := c.AlertsByKey(ctx, "tigerops/TIG-4711")
	check("AlertsByKey", r, len(alerts) > 0 && alerts[0].ID != "" && alerts[0].Title != "", alerts)
	ties, r := c.IncidentAlerts(ctx, "01AL", "01INC")
	check("IncidentAlerts", r, len(ties) > 0 && ties[0].Alert.ID != "" && ties[0].Incident.Reference != "" && ties[0].Incident.StatusCategory != "", ties)
	notes, r := c.AlertNotes(ctx, "01AL")
	check("AlertNotes", r, len(notes) > 0 && notes[0].Content != "" && notes[0].Creator.Type != "", notes)
	escalation, r := c.Escalation(ctx, "01ES")
	check("Escalation", r, escalation.Status != "" && escalation.Title != "" && len(escalation.Events) > 0 && len(escalation.RelatedIncidents) > 0, escalation)
	escalations, r := c.Escalations(ctx, "01INC")
	check("Escalations", r, len(escalations) > 0 && escalations[0].EscalationPathID != "", escalations)
	escalations, r = c.EscalationsByKey(ctx, "0a1b")
	check("EscalationsByKey", r, len(escalations) > 0, escalations)
	check("PingHeartbeat", c.PingHeartbeat(ctx, "01HB", "token"), true, nil)

	source, r := c.CreateAlertSource(ctx, "TigerOps")
	check("CreateAlertSource", r, source.ID != "" && source.Token != "" && source.EventsURL != "", source)
	field, r := c.CreateCustomField(ctx, incidentio.NewCustomField{Name: "TigerOps", Description: "Link to TigerOps", Type: "link"})
	check("CreateCustomField", r, field.ID != "" && field.Type != "", field)
	option, r := c.CreateOption(ctx, "01CF", "Yes")
	check("CreateOption", r, option.ID != "" && option.Value != "", option)

	// The writes that the agent freezes: their answers.
	for path, body := range map[string]string{
		"/v2/incidents":                                          `{"idempotency_key":"k","visibility":"public","name":"n"}`,
		"/v2/incidents/01INC/actions/edit":                       `{"incident":{"name":"n"},"notify_incident_channel":false}`,
		"/v2/incidents/01INC/actions/import_postmortem_document": `{"title":"t","content":"c"}`,
		"/v2/incident_updates":                                   `{"incident_id":"01INC","idempotency_key":"k","message":"m"}`,
		"/v2/incident_timeline_items":                            `{"incident_id":"01INC","idempotency_key":"k","title":"t","timestamp":"2026-11-23T02:00:00Z"}`,
		"/v3/actions":                                            `{"incident_id":"01INC","description":"d"}`,
		"/v3/follow_ups":                                         `{"incident_id":"01INC","title":"t"}`,
		"/v2/escalations":                                        `{"idempotency_key":"k","title":"t","escalation_path_id":"01EP"}`,
		"/v1/alert_notes":                                        `{"alert_id":"01AL","content":"c"}`,
		"/v2/alert_events/http/01AS":                             `{"title":"t","status":"firing","deduplication_key":"k"}`,
	} {
		r := c.Send(ctx, incidentio.Call{Method: http.MethodPost, Path: path, Body: []byte(body)})
		id, err := incidentio.DecodeID(r.Body)
		check(path, r, id != "" && err == nil, err)
		if strings.HasSuffix(path, "/incidents") || strings.HasSuffix(path, "/edit") {
			if i, err := incidentio.DecodeIncident(r.Body); err != nil || !whole(i) {
				t.Errorf("%s: %+v, %v", path, i, err)
			}
		}
	}

	var left []string
	for path, item := range d.doc.Paths.Map() {
		for method := range item.Operations() {
			if !d.seen[method+" "+path] {
				left = append(left, method+" "+path)
			}
		}
	}
	slices.Sort(left)
	t.Logf("described, and not used: %s", strings.Join(left, ", "))
}

// The error's form is described as well.
func TestErrorAgainstTheDescription(t *testing.T) {
	t.Parallel()
	doc := load(t)
	const body = `{"type":"too_many_requests","status":429,"request_id":"b839","rate_limit":{"name":"k","limit":1200,"remaining":0,` +
		`"retry_after":"2026-11-23T02:00:00Z"},"errors":[{"code":"too_many_requests","message":"Too quick","source":{"field":"a.b"}}]}`
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	if err := doc.Components.Schemas["ErrorResponse"].Value.VisitJSON(v); err != nil {
		t.Errorf("the sample is wrong: %v", err)
	}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(429); io.WriteString(w, body) })
	if r := c.Send(within(t), edit); r.RequestID != "b839" || r.Code != "too_many_requests" || r.Field != "a.b" || r.Message != "Too quick" {
		t.Errorf("%+v", r)
	}
}
