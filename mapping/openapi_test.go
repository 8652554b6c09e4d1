package mapping_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// openapi is incident.io's published description of its API, which is not part of the project.
var openapi = sync.OnceValues(func() (*openapi3.T, error) {
	path := filepath.Join("..", "..", "shared", "incidentio", "openapi.json")
	if _, err := os.Stat(path); err != nil {
		return nil, nil
	}
	return openapi3.NewLoader().LoadFromFile(path)
})

// templates are the API's paths, by the call.
var templates = map[mapping.Call]string{
	mapping.AlertEvent:       "/v2/alert_events/http/{alert_source_config_id}",
	mapping.CreateIncident:   "/v2/incidents",
	mapping.EditIncident:     "/v2/incidents/{id}/actions/edit",
	mapping.CreateUpdate:     "/v2/incident_updates",
	mapping.CreateTimeline:   "/v2/incident_timeline_items",
	mapping.CreateEscalation: "/v2/escalations",
	mapping.CreateAction:     "/v3/actions",
	mapping.CreateFollowUp:   "/v3/follow_ups",
	mapping.ImportPostmortem: "/v2/incidents/{id}/actions/import_postmortem_document",
	mapping.CreateAlertNote:  "/v1/alert_notes",
	mapping.CreateOption:     "/v1/custom_field_options",
}

// checkShape holds a request to the API's description, where that is at hand: path, required members, types, and no
// member that is not described.
func checkShape(t testing.TB, r mapping.Request) {
	t.Helper()
	template, ok := templates[r.Call]
	if !ok {
		t.Errorf("step %s has an unknown call %q", r.Name, r.Call)
		return
	}
	for i, part := range strings.Split(template, "/") {
		got := strings.Split(r.Path, "/")
		if len(got) <= i || !strings.HasPrefix(part, "{") && got[i] != part || got[i] == "" && i > 0 {
			t.Errorf("step %s: path %q, want one like %q", r.Name, r.Path, template)
			return
		}
	}
	doc, err := openapi()
	if err != nil {
		t.Fatalf("the API's description: %v", err)
	}
	if doc == nil {
		return
	}
	schema := doc.Paths.Find(template).Post.RequestBody.Value.Content.Get("application/json").Schema
	var body any
	if err := json.Unmarshal(r.Body, &body); err != nil {
		t.Errorf("step %s: %v", r.Name, err)
		return
	}
	if err := schema.Value.VisitJSON(body); err != nil {
		t.Errorf("step %s: %v\n%s", r.Name, err, r.Body)
	}
	undescribed(t, r.Name, schema, body)
}

// undescribed complains of members that the schema does not have.
func undescribed(t testing.TB, path string, schema *openapi3.SchemaRef, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if len(schema.Value.Properties) == 0 {
			return // metadata: anything
		}
		for k, inner := range v {
			p, ok := schema.Value.Properties[k]
			if !ok {
				t.Errorf("%s.%s is not in the API's description", path, k)
				continue
			}
			undescribed(t, path+"."+k, p, inner)
		}
	case []any:
		for _, inner := range v {
			undescribed(t, path+"[]", schema.Value.Items, inner)
		}
	}
}

func TestAPIDescription(t *testing.T) {
	if doc, err := openapi(); err != nil {
		t.Fatal(err)
	} else if doc == nil {
		t.Skip("incident.io's API description is not at hand: requests are not held to it")
	}
}
