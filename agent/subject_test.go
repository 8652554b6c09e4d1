package agent

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// vendorWebhooks are incident.io's own examples, one a type; they are no part of the project.
func vendorWebhooks(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "shared", "incidentio", "webhooks", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("skipped: incident.io's example webhooks are not at ../shared/incidentio/webhooks from the project's root")
	}
	all := make(map[string][]byte)
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".json")] = body
	}
	return all
}

func TestSubjectOfEveryVendorExample(t *testing.T) {
	t.Parallel()
	for name, body := range vendorWebhooks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hookOf(store.Webhook{Body: body})
			s := h.subject
			if s.id == "" {
				t.Fatalf("got no subject, want the id of what %s speaks of", h.EventType)
			}
			private := strings.HasPrefix(name, "private_")
			want := aboutIncident
			switch {
			case strings.Contains(name, "_alert."):
				want = aboutAlert
			case strings.Contains(name, "_escalation."):
				want = aboutEscalation
			case private && !strings.Contains(name, ".incident_") && !strings.Contains(name, "membership"):
				want = aboutPart
			}
			if s.about != want {
				t.Errorf("about: got %q, want %q", s.about, want)
			}
			if s.private != private {
				t.Errorf("private: got %t, want %t", s.private, private)
			}
			if s.about == aboutEscalation && !private && len(s.incidents) == 0 {
				t.Error("incidents of the escalation: got none, want those related")
			}
			if s.about == aboutAlert && !private && s.dedup == "" {
				t.Error("deduplication key: got none")
			}
		})
	}
}

// The rows of webhooks that were looked at say the same as the view says of those that were not.
func TestMeaningIsThatOfTheView(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	db := must(sql.Open("sqlite", "file:"+w.path))(w)
	defer db.Close()
	for name, body := range vendorWebhooks(t) {
		must(w.a.st.InsertWebhook(w.ctx, name, body))(w)
		h := hookOf(store.Webhook{ID: name, Body: body})
		var kind, incident string
		w.ok(db.QueryRow("SELECT event_type, coalesce(incident_id, '') FROM webhook_meaning WHERE id = ?", name).Scan(&kind, &incident))
		if h.EventType != kind || h.IncidentID != incident {
			t.Errorf("%s: read as %q of %q, and the view says %q of %q", name, h.EventType, h.IncidentID, kind, incident)
		}
	}
}

func TestSubjectOfWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind, body, about, id string
	}{
		"no payload":            {"public_incident.incident_updated_v2", `{"event_type":"x"}`, aboutNothing, ""},
		"payload of other form": {"public_incident.incident_updated_v2", `{"public_incident.incident_updated_v2":[1,2]}`, aboutNothing, ""},
		"no JSON":               {"public_incident.incident_updated_v2", `{`, aboutNothing, ""},
		"id of other form":      {"public_incident.action_created_v1", `{"public_incident.action_created_v1":{"incident_id":7,"id":"A"}}`, aboutPart, "A"},
		"a type to come":        {"public_incident.weather_changed_v1", `{"public_incident.weather_changed_v1":{"incident_id":"I"}}`, aboutIncident, "I"},
		"a type without one":    {"public_schedule.shift_changed_v1", `{"public_schedule.shift_changed_v1":{"id":"S"}}`, aboutNothing, ""},
		"a later version":       {"public_incident.incident_updated_v3", `{"public_incident.incident_updated_v3":{"id":"I","new":1}}`, aboutIncident, "I"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hookOf(store.Webhook{EventType: c.kind, Body: []byte(c.body)}).subject
			if s.about != c.about || s.id != c.id {
				t.Errorf("got %q %q, want %q %q", s.about, s.id, c.about, c.id)
			}
		})
	}
}

// A webhook's members are those that encoding/json finds, however they are written.
func TestTextsOfAWebhook(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"a":"x","b":""}`,
		`{"a":"x","b":"y","a":"the last counts"}`,
		`{"a":"ends in a backslash \\\\","b":"next"}`,
		`{"a":"\"","b":"\\\"}","c":"]"}`,
		`{"a":["}\\",{"b":"\\\""}],"b":"next"}`,
		`{"\"a":"x","b\\":"y"}`,
		"{\"a\":\"\xff not UTF-8\",\"b\":\"caf\u00e9\"}",
		`{"a":"\u00e9\n\/","b":1,"c":null}`,
	} {
		var want map[string]any
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatal(body, err)
		}
		got := object{mapping.MembersOf([]byte(body))}
		if doubled := strings.Count(body, `"a":`) - 1; len(got.Members) != len(want)+max(doubled, 0) {
			t.Errorf("%s: got %d members, want %d", body, len(got.Members), len(want))
		}
		for name, v := range want {
			if text, _ := v.(string); got.text(name) != text {
				t.Errorf("%s: %q is %q, want %q", body, name, got.text(name), text)
			}
		}
	}
}

func TestSummaryNamesWhatItWasDeclaredFor(t *testing.T) {
	t.Parallel()
	for summary, want := range map[string][]string{
		``:                                   nil,
		`,"summary":null`:                    nil,
		`,"summary":""`:                      nil,
		`,"summary":"Customers see errors."`: {},
		`,"summary":"TigerOps says so."`:     {},
		`,"summary":"Errors.\n\n*TigerOps TIG-1*"`:     {"TIG-1"},
		`,"summary":"*\u0054igerOps\u0020TIG-\u0031*"`: {"TIG-1"},
	} {
		for _, payload := range []string{`{"id":"I"` + summary + `}`, `{"incident":{"id":"I"` + summary + `}}`} {
			const kind = "public_incident.incident_updated_v2"
			got := hookOf(store.Webhook{EventType: kind, Body: []byte(`{"` + kind + `":` + payload + `}`)}).subject.declared
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %#v, want %#v", payload, got, want)
			}
		}
	}
}

func FuzzSubjectOf(f *testing.F) {
	f.Add("public_escalation.escalation_created_v1", []byte(`{"public_escalation.escalation_created_v1":{"id":"E","related_incidents":[{"id":"I"}]}}`))
	f.Add("private_incident.action_created_v1", []byte(`{"private_incident.action_created_v1":{"id":"A"}}`))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		s := hookOf(store.Webhook{EventType: kind, Body: body}).subject
		if (s.about == aboutNothing) != (s.id == "") {
			t.Errorf("about %q with id %q", s.about, s.id)
		}
	})
}
