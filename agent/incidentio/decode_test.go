package incidentio_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

func TestDecodeID(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"incident_update":{"id":"01U","incident_id":"01I"}}`:                     "01U",
		`{"incident_timeline_item":{"id":"01T"},"warnings":[]}`:                    "01T",
		`{"action":{"id":"01A"},"actor":{"name":"x"}}`:                             "01A",
		`{"status":"success","deduplication_key":"tig-1","message":"Event taken"}`: "tig-1",
		`{"id":"01X","thing":{"id":"01Y"}}`:                                        "01X",
		`{}`:                                                                       "",
		`[]`:                                                                       "",
		`{"escalation":null}`:                                                      "",
		`{"action":{"id":7}}`:                                                      "",
		`{"b":{"id":"01B"},"n":null,"l":[{"id":"01L"}],"a":{"id":"01A"}}`: "01A",
		`{"action":{"id":"01A"}`: "",
		`{"action":{"id":""}}`:   "",
		`not JSON`:               "",
	} {
		got, err := incidentio.DecodeID([]byte(body))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", body, got, err, want)
		}
	}
}

func TestDecodeIncident(t *testing.T) {
	t.Parallel()
	i, err := incidentio.DecodeIncident([]byte(`{"incident":{"id":"01I","reference":"INC-1","updated_at":"2026-11-23T02:00:00.5Z"}}`))
	if err != nil || i.ID != "01I" || !i.UpdatedAt.Equal(time.Date(2026, 11, 23, 2, 0, 0, 5e8, time.UTC)) {
		t.Errorf("%+v, %v", i, err)
	}
	for _, body := range []string{``, `{}`, `{"incident":{}}`, `{"incident":null}`, `{"incident_update":{"id":"01U"}}`} {
		if i, err := incidentio.DecodeIncident([]byte(body)); err == nil {
			t.Errorf("%s: %+v", body, i)
		}
	}
}

func TestActor(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]incidentio.Actor{
		`{"user":{"id":"1","name":"Lisa","email":"lisa@example.com"}}`: {Type: "user", ID: "1", Name: "Lisa", Email: "lisa@example.com"},
		`{"api_key":{"id":"2","name":"TigerOps"},"user":null}`:         {Type: "api_key", ID: "2", Name: "TigerOps"},
		`{"alert":{"id":"3","title":"It burns"}}`:                      {Type: "alert", ID: "3", Name: "It burns"},
		`{"workflow":{"id":"4","name":"W"},"user":{"id":"5"}}`:         {Type: "user", ID: "5"},
		`{}`:   {},
		`null`: {},
	} {
		var got incidentio.Actor
		if err := json.Unmarshal([]byte(body), &got); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", body, got, err)
		}
	}
}

func TestCategoryInEitherWording(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]incidentio.Category{
		"active": "live", "post-incident": "learning", "live": "live", "learning": "learning", "triage": "triage", "frozen": "frozen",
	} {
		var ref incidentio.IncidentRef
		if err := json.Unmarshal([]byte(`{"status_category":"`+word+`"}`), &ref); err != nil || ref.StatusCategory != want {
			t.Errorf("%s: got %q, %v", word, ref.StatusCategory, err)
		}
	}
}

func TestFieldValueKey(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"value_option":{"id":"01O","value":"Yes"}}`:           "01O",
		`{"value_catalog_entry":{"id":"01E","name":"Gateway"}}`: "01E",
		`{"value_text":"t"}`:                                    "t", `{"value_link":"https://x"}`: "https://x", `{"value_numeric":"14.4"}`: "14.4", `{}`: "",
	} {
		var v incidentio.FieldValue
		if err := json.Unmarshal([]byte(body), &v); err != nil || v.Key() != want {
			t.Errorf("%s: got %q, %v", body, v.Key(), err)
		}
	}
}

func TestStampNeverFails(t *testing.T) {
	t.Parallel()
	var p incidentio.Postmortem
	if err := json.Unmarshal([]byte(`{"created_at":"2021-08-17T13:28:57.801578Z","updated_at":"abc123"}`), &p); err != nil {
		t.Fatal(err)
	}
	if p.CreatedAt.Year() != 2021 || !p.UpdatedAt.IsZero() {
		t.Errorf("%v, %v", p.CreatedAt, p.UpdatedAt)
	}
}
