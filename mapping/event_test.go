package mapping_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// full is an event with every member that the contract names.
const full = `{
  "id": "evt_01JD", "type": "incident.created", "timestamp": "2026-11-23T02:00:00Z",
  "incident": {
    "id": "TIG-4711", "title": "Checkout latency above SLO", "severity": "critical", "status": "open",
    "service": "api-gateway", "affected_services": ["api-gateway", "checkout"],
    "team": "payments", "environment": "production",
    "url": "https://t.example/4711", "trace_url": "https://t.example/trace",
    "ai_summary": "Slow queries.", "root_cause": "A missing index.",
    "impacted_metrics": [{"name": "p99_latency", "value": "2.3 s", "baseline": "180 ms"}, {"name": "errors", "value": 2.3}],
    "slo": {"name": "checkout-availability", "status": "breached", "error_budget_burn_rate": 14.4},
    "deployment": {"sha": "9f2c1e7", "service": "checkout", "url": "https://d.example", "deployed_at": "2026-11-23T01:50:00+01:00"},
    "responders": [{"role": "owner", "email": "ada@example.com", "name": "Ada"}],
    "started_at": "2026-11-23T01:59:00.5Z", "resolved_at": 1795399200, "something_new": {"a": [1]}
  },
  "actor": {"name": "Ada", "email": "ada@example.com"},
  "step": {"kind": "root_cause_identified", "title": "Found it", "detail": "…", "url": "https://s.example"},
  "action": {"title": "Restart", "status": "succeeded", "detail": "…", "url": "https://a.example"},
  "postmortem": {"contributing_factors": ["a", "b"], "timeline_summary": "…", "action_items": [{"title": "Index", "detail": "…", "owner": "ada@example.com", "labels": ["db"]}]}
}`

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func ptr[T any](v T) *T { return &v }

func TestParseEventReadsEveryMember(t *testing.T) {
	t.Parallel()
	got, errs := mapping.ParseEvent([]byte(full), "")
	if len(errs) > 0 {
		t.Fatalf("errors: %v", errs)
	}
	got.Raw = nil
	want := mapping.Event{
		ID: "evt_01JD", Type: "incident.created", Timestamp: at("2026-11-23T02:00:00Z"),
		Incident: mapping.Incident{
			ID: "TIG-4711", Title: "Checkout latency above SLO", Severity: "critical", Status: "open", Service: "api-gateway",
			AffectedServices: []string{"api-gateway", "checkout"}, Team: "payments", Environment: "production",
			URL: "https://t.example/4711", TraceURL: "https://t.example/trace", AISummary: "Slow queries.", RootCause: "A missing index.",
			ImpactedMetrics: []mapping.Metric{{Name: "p99_latency", Value: "2.3 s", Baseline: "180 ms"}, {Name: "errors", Value: "2.3"}},
			SLO:             &mapping.SLO{Name: "checkout-availability", Status: "breached", BurnRate: ptr(14.4)},
			Deployment:      &mapping.Deployment{SHA: "9f2c1e7", Service: "checkout", URL: "https://d.example", DeployedAt: ptr(at("2026-11-23T00:50:00Z"))},
			Responders:      []mapping.Responder{{Role: "owner", Email: "ada@example.com", Name: "Ada"}},
			StartedAt:       ptr(at("2026-11-23T01:59:00.5Z")), ResolvedAt: ptr(time.Unix(1795399200, 0).UTC()),
		},
		Actor:  &mapping.Person{Name: "Ada", Email: "ada@example.com"},
		Step:   &mapping.Step{Kind: "root_cause_identified", Title: "Found it", Detail: "…", URL: "https://s.example"},
		Action: &mapping.Action{Title: "Restart", Status: "succeeded", Detail: "…", URL: "https://a.example"},
		Post: &mapping.Postmortem{ContributingFactors: []string{"a", "b"}, TimelineSummary: "…",
			ActionItems: []mapping.ActionItem{{Title: "Index", Detail: "…", Owner: "ada@example.com", Labels: []string{"db"}}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%#v\nwant\n%#v", got, want)
	}
}

func TestParseEventKeepsPayloadAndStoredID(t *testing.T) {
	t.Parallel()
	ev, _ := mapping.ParseEvent([]byte(full), "derived-1")
	if ev.ID != "derived-1" || string(ev.Raw) != full {
		t.Errorf("id %q, raw of %d bytes; want the id of the store and the payload as it came", ev.ID, len(ev.Raw))
	}
}

func TestParseEventReadsFlatForm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   string
		want mapping.Event
	}{
		"as the README's template": {
			`{"event":"incident.created","incident_id":"TIG-1","title":"T","severity":"critical","status":"open","service_name":"api","ai_summary":"S","root_cause":"R","trace_url":"https://x","url":"https://y","timestamp":"2026-11-23T02:00:00Z","team":"t","environment":"e"}`,
			mapping.Event{Type: "incident.created", Timestamp: at("2026-11-23T02:00:00Z"), Incident: mapping.Incident{
				ID: "TIG-1", Title: "T", Severity: "critical", Status: "open", Service: "api", AISummary: "S", RootCause: "R", TraceURL: "https://x", URL: "https://y", Team: "t", Environment: "e"}},
		},
		"type wins over event, whatever that is": {
			`{"type":"incident.updated","event":{"x":1},"id":"e1","incident_id":4711,"service":"s"}`,
			mapping.Event{ID: "e1", Type: "incident.updated", Incident: mapping.Incident{ID: "4711", Service: "s"}},
		},
		"empty texts are not told": {
			`{"event":"incident.updated","id":"e1","incident_id":"a","timestamp":"","severity":"","service_name":"","service":"s","affected_services":[""," "]}`,
			mapping.Event{ID: "e1", Type: "incident.updated", Incident: mapping.Incident{ID: "a", Service: "s"}},
		},
		"a message is the step": {
			`{"event":"investigation.step","id":"e1","incident_id":"a","title":"incident's","message":"found","kind":"anomaly_detected"}`,
			mapping.Event{ID: "e1", Type: "investigation.step", Incident: mapping.Incident{ID: "a", Title: "incident's"}, Step: &mapping.Step{Kind: "anomaly_detected", Title: "found"}},
		},
		"a description is the action": {
			`{"event":"runbook.action","id":"e1","incident_id":"a","description":"restarted"}`,
			mapping.Event{ID: "e1", Type: "runbook.action", Incident: mapping.Incident{ID: "a"}, Action: &mapping.Action{Title: "restarted"}},
		},
		"a message is the post-mortem": {
			`{"event":"postmortem.ready","id":"e1","incident_id":"a","message":"it broke"}`,
			mapping.Event{ID: "e1", Type: "postmortem.ready", Incident: mapping.Incident{ID: "a"}, Post: &mapping.Postmortem{TimelineSummary: "it broke"}},
		},
		"seconds since 1970": {
			`{"event":"slo.breached","timestamp":1795399200.25}`,
			mapping.Event{Type: "slo.breached", Timestamp: time.Unix(1795399200, 250e6).UTC()},
		},
		"milliseconds since 1970, in a string": {
			`{"event":"slo.breached","timestamp":"1795399200250"}`,
			mapping.Event{Type: "slo.breached", Timestamp: time.Unix(1795399200, 250e6).UTC()},
		},
		"an unknown type with members of other types": {
			`{"type":"incident.snoozed","id":"e1","incident":{"id":"a","title":[]},"step":5}`,
			mapping.Event{ID: "e1", Type: "incident.snoozed", Incident: mapping.Incident{ID: "a"}},
		},
		"an escaped key and text": {
			`{"ty\u0070e":"incident.updated","id":"e1","incident_id":"\u00e4\"\\"}`,
			mapping.Event{ID: "e1", Type: "incident.updated", Incident: mapping.Incident{ID: `ä"\`}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, errs := mapping.ParseEvent([]byte(c.in), "")
			if len(errs) > 0 {
				t.Fatalf("errors: %v", errs)
			}
			if refused := mapping.Validate([]byte(c.in)); len(refused) > 0 {
				t.Fatalf("refused: %v", refused)
			}
			got.Raw = nil
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, c.want)
			}
		})
	}
}

func TestValidateNamesTheField(t *testing.T) {
	t.Parallel()
	inc := func(members string) string {
		return `{"id":"e","type":"incident.updated","incident":{"id":"a",` + members + `}}`
	}
	deep := strings.Repeat("[", 65) + strings.Repeat("]", 65)
	var many string
	for i := range 100 {
		many += fmt.Sprintf(`"x%d":%d,`, i, i)
	}
	for _, c := range []struct{ in, field, message string }{
		{`[]`, "", "must be a JSON object, not a list"},
		{`5`, "", "must be a JSON object, not a number"},
		{`{"a":`, "", "is not JSON"},
		{"{\"a\":\"\xff\"}", "", "is not UTF-8"},
		{`{"a":` + deep + `}`, "", "nests too deep"},
		{`{"id":"e","incident":{"id":"a"}}`, "type", "is required"},
		{`{"id":"e","type":7,"incident":{"id":"a"}}`, "type", "must be a word such as incident.created"},
		{`{"id":"e","event":[],"incident_id":"a"}`, "event", "must be a word such as incident.created"},
		{`{"id":"e","type":"` + strings.Repeat("x", 513) + `"}`, "type", "is longer than 512 bytes"},
		{`{"type":"incident.created","incident":{"id":"a"}}`, "id", "is required where there is no timestamp: one of the two tells an event from its repeat"},
		{`{"type":"unheard.of"}`, "id", "is required where there is no timestamp: one of the two tells an event from its repeat"},
		{`{"id":{},"type":"incident.created","incident":{"id":"a"}}`, "id", "must be a string, not an object"},
		{`{"id":1.5,"type":"incident.created","incident":{"id":"a"}}`, "id", "must be a string or a whole number"},
		{`{"id":"a\nb","type":"incident.created","incident":{"id":"a"}}`, "id", "holds control characters"},
		{`{"id":"a\ud800","type":"incident.created","incident":{"id":"a"}}`, "id", "holds a character that is none"},
		{`{"id":"a","type":5,"event":"incident.created","incident":{"id":"a"}}`, "type", "must be a word such as incident.created"},
		{`{"id":"  ","type":"incident.created","incident":{"id":"a"}}`, "id", "is blank"},
		{`{"id":"` + strings.Repeat("x", 513) + `","type":"incident.created","incident":{"id":"a"}}`, "id", "is longer than 512 bytes"},
		{`{"id":"e","id":"f","type":"incident.created","incident":{"id":"a"}}`, "id", "stands there twice"},
		{`{"id":"e",` + many + `"id":"f","type":"incident.created","incident":{"id":"a"}}`, "id", "stands there twice"},
		{`{"id":"e","type":"incident.created"}`, "incident.id", "is required"},
		{`{"id":"e","type":"incident.created","incident":null}`, "incident.id", "is required"},
		{`{"id":"e","type":"incident.created","incident":"TIG-1"}`, "incident", "must be an object, not a string"},
		{`{"id":"e","type":"incident.created","incident":{}}`, "incident.id", "is required"},
		{`{"id":"e","type":"incident.created","incident":{"id":true}}`, "incident.id", "must be a string, not true or false"},
		{`{"id":"e","event":"incident.created","incident_id":""}`, "incident_id", "is required"},
		{`{"id":"e","type":"incident.created","incident":{"id":"a","id":"b"}}`, "incident.id", "stands there twice"},
		{`{"id":"e","type":"incident.created","incident":{"id":"a"},"timestamp":"yesterday"}`, "timestamp", `must be an RFC 3339 time such as 2026-11-23T02:00:00Z, not "yesterday"`},
		{`{"id":"e","type":"unheard.of","timestamp":"yesterday"}`, "timestamp", `must be an RFC 3339 time such as 2026-11-23T02:00:00Z, not "yesterday"`},
		{`{"id":"e","type":"incident.created","incident":{"id":"a"},"timestamp":-5}`, "timestamp", "is no time: -5"},
		{`{"id":"e","type":"incident.created","incident":{"id":"a"},"timestamp":1e999}`, "timestamp", `must be an RFC 3339 time such as 2026-11-23T02:00:00Z, not "1e999"`},
		{`{"id":"e","type":"incident.created","incident":{"id":"a"},"timestamp":[]}`, "timestamp", "must be an RFC 3339 time, not a list"},
		{inc(`"title":{}`), "incident.title", "must be a string, not an object"},
		{inc(`"severity":true`), "incident.severity", "must be a string, not true or false"},
		{inc(`"affected_services":"x"`), "incident.affected_services", "must be a list, not a string"},
		{inc(`"affected_services":["x",{}]`), "incident.affected_services[1]", "must be a string, not an object"},
		{inc(`"impacted_metrics":{}`), "incident.impacted_metrics", "must be a list, not an object"},
		{inc(`"impacted_metrics":[{"name":"a"},7]`), "incident.impacted_metrics[1]", "must be an object, not a number"},
		{inc(`"impacted_metrics":[{"name":"a"},{"name":"b","value":{}}]`), "incident.impacted_metrics[1].value", "must be a string, not an object"},
		{inc(`"impacted_metrics":[{"value":"1"}]`), "incident.impacted_metrics[0].name", "is required"},
		{inc(`"slo":[]`), "incident.slo", "must be an object, not a list"},
		{inc(`"slo":{"error_budget_burn_rate":"fast"}`), "incident.slo.error_budget_burn_rate", `must be a number, not "fast"`},
		{inc(`"slo":{"error_budget_burn_rate":"NaN"}`), "incident.slo.error_budget_burn_rate", `must be a number, not "NaN"`},
		{inc(`"deployment":{"deployed_at":"2026-11-23"}`), "incident.deployment.deployed_at", `must be an RFC 3339 time such as 2026-11-23T02:00:00Z, not "2026-11-23"`},
		{inc(`"responders":[{"email":"a@b"}]`), "incident.responders[0].role", "is required"},
		{inc(`"started_at":false`), "incident.started_at", "must be an RFC 3339 time, not true or false"},
		{`{"id":"e","type":"incident.acknowledged","incident":{"id":"a"},"actor":"Ada"}`, "actor", "must be an object, not a string"},
		{`{"id":"e","type":"investigation.step","incident":{"id":"a"}}`, "step", "is required"},
		{`{"id":"e","type":"investigation.step","incident":{"id":"a"},"step":{"detail":"x"}}`, "step.kind", "is required, or a title"},
		{`{"id":"e","type":"investigation.step","incident":{"id":"a"},"step":{"kind":[]}}`, "step.kind", "must be a string, not a list"},
		{`{"id":"e","type":"runbook.action","incident":{"id":"a"}}`, "action.title", "is required"},
		{`{"id":"e","type":"runbook.action","incident":{"id":"a"},"action":{"status":"x"}}`, "action.title", "is required"},
		{`{"id":"e","type":"postmortem.ready","incident":{"id":"a"}}`, "postmortem", "is required"},
		{`{"id":"e","type":"postmortem.ready","incident":{"id":"a"},"postmortem":{"action_items":[{"title":"x"},{}]}}`, "postmortem.action_items[1].title", "is required"},
		{`{"id":"e","type":"postmortem.ready","incident":{"id":"a"},"postmortem":{"contributing_factors":[[]]}}`, "postmortem.contributing_factors[0]", "must be a string, not a list"},
	} {
		t.Run(c.field+" "+c.message, func(t *testing.T) {
			t.Parallel()
			got := mapping.Validate([]byte(c.in))
			want := []mapping.FieldError{{Field: c.field, Message: c.message}}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s\ngot  %v\nwant %v", c.in, got, want)
			}
		})
	}
}

func TestValidateTellsAllFaultsUpToABound(t *testing.T) {
	t.Parallel()
	got := mapping.Validate([]byte(`{"timestamp":"x","type":"runbook.action","incident":{"title":[],"slo":5},"action":{"detail":{}}}`))
	fields := ""
	for _, e := range got {
		fields += e.Field + " "
	}
	if want := "timestamp incident.title incident.slo action.detail incident.id action.title "; fields != want {
		t.Errorf("got %s, want %s", fields, want)
	}
	many := `{"id":"e","type":"incident.updated","incident":{"id":"a","affected_services":[` + strings.Repeat("{},", 5000) + `{}]}}`
	if n := len(mapping.Validate([]byte(many))); n != 100 {
		t.Errorf("%d errors told, want 100", n)
	}
}

func TestCheckTellsATest(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		`{}`: true, " {\n} ": true, `{"type":"test"}`: true, `{"event":"test","x":1}`: true,
		`{"type":"incident.created"}`: false, `[]`: false, `{"x":1}`: false, `"test"`: false, `{"type":"test","type":"test"}`: false,
	} {
		got, _, faults := mapping.Check([]byte(in))
		if got != want {
			t.Errorf("Check(%s) tells a test: %v, want %v", in, got, want)
		}
		if want != (len(faults) == 0) || len(faults) != len(mapping.Validate([]byte(in))) {
			t.Errorf("%s: %v at the door, %v by Validate", in, faults, mapping.Validate([]byte(in)))
		}
	}
}

func TestReferenceIsPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"evt_01JD.a:b-c":        "evt_01JD.a:b-c",
		"":                      "e-e3b0c44298fc1c14",
		"a b":                   "e-c8687a08aa5d6ed2",
		strings.Repeat("x", 80): strings.Repeat("x", 80),
		strings.Repeat("x", 81): "e-",
	} {
		if got := mapping.Reference(in); !strings.HasPrefix(got, want) || len(got) > 80 {
			t.Errorf("Reference(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSplitBatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want, err string
	}{
		{`{"a":1}`, `[{"a":1}]`, ""},
		{"\xef\xbb\xbf {\n \"a\": 1\n}\n", `[{"a":1}]`, ""},
		{`[{"a":1}, {"b":"]"} ]`, `[{"a":1},{"b":"]"}]`, ""},
		{`[]`, `[]`, ""},
		{`[1,[2]]`, `[1,[2]]`, ""},
		{`7`, `[7]`, ""},
		{"{\"a\":1}\n\n  {\"b\":\"}\"}\r\n{\n\"c\":{}}\n", `[{"a":1},{"b":"}"},{"c":{}}]`, ""},
		{"", "", "the body is empty"},
		{" \n", "", "the body is empty"},
		{"\xff", "", "the body is not UTF-8"},
		{"hello", "", "line 1: not JSON: invalid character 'h' looking for beginning of value"},
		{`{"a":1} x`, "", `line 1: text behind the end of the object: "x"`},
		{`{"a":1}{"b":1}`, "", `line 1: text behind the end of the object: "{\"b\":1}"`},
		{"{\"a\":1}\n5", "", `line 2: expected an object, found "5"`},
		{"{\"a\":1}\n{\"b\":\n", "", "line 3: not JSON: unexpected end of JSON input"},
		{"{\"a\":1}\n{\"b\":1,}\n", "", "line 2: not JSON: invalid character '}' looking for beginning of object key string"},
		{"[1]\n\nx", "", "line 3: not JSON: invalid character 'x' after top-level value"},
		{"[1", "", "line 1: not JSON: unexpected end of JSON input"},
		{strings.Repeat("[", 2000), "", "the body nests deeper than 64 levels"},
		{strings.Repeat("[", 65) + strings.Repeat("]", 65), "[" + strings.Repeat("[", 64) + strings.Repeat("]", 65), ""},
		{strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), "", "the body nests deeper than 64 levels"},
	} {
		got, err := mapping.SplitBatch([]byte(c.in))
		if fmt.Sprint(err) != c.err && !(err == nil && c.err == "") {
			t.Errorf("%.40q: error %v, want %s", c.in, err, c.err)
		}
		if c.err != "" {
			continue
		}
		b, err := json.Marshal(got)
		if err != nil || string(b) != c.want {
			t.Errorf("%q: got %s (%v), want %s", c.in, b, err, c.want)
		}
	}
}

// seeds adds the events of testdata/events to a fuzz target: one of each type and form, and some that are refused.
func seeds(f *testing.F) {
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func FuzzSplitBatch(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := mapping.SplitBatch(body)
		if err != nil {
			return
		}
		for _, e := range events {
			if !json.Valid(e) {
				t.Errorf("an element that is no JSON: %q", e)
			}
			// What is not looked through again is what Validate would take as JSON.
			if _, _, faults := mapping.Check(e); !slices.Equal(faults, mapping.Validate(e)) {
				t.Errorf("%q: %v at the door, %v by Validate", e, faults, mapping.Validate(e))
			}
		}
		// What json takes as one value is one event, or the array's elements.
		var list []json.RawMessage
		if json.Unmarshal(body, &list) == nil && list != nil && len(list) != len(events) {
			t.Errorf("%d events of an array of %d", len(events), len(list))
		}
	})
}

func FuzzEvent(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		refused := mapping.Validate(payload)
		ev, errs := mapping.ParseEvent(payload, "")
		if len(errs) > 0 && len(refused) == 0 {
			t.Errorf("taken at the door, but not readable: %v", errs)
		}
		if len(refused) > 0 || ev.Type == mapping.TestEvent {
			return
		}
		// The members that make an event: as encoding/json reads them.
		var plain map[string]any
		d := json.NewDecoder(bytes.NewReader(payload))
		d.UseNumber() // a number may be larger than a float64
		if err := d.Decode(&plain); err != nil {
			t.Fatalf("taken, but encoding/json refuses it: %v", err)
		}
		if s, ok := plain["type"].(string); ok && s != "" && s != ev.Type {
			t.Errorf("type %q, want %q", ev.Type, s)
		}
		if s, ok := plain["id"].(string); ok && s != ev.ID {
			t.Errorf("id %q, want %q", ev.ID, s)
		}
		if ev.Type == "" || ev.ID == "" && ev.Timestamp.IsZero() {
			t.Errorf("taken without type, or without both id and timestamp: %+v", ev)
		}
		mapping.State{}.Apply(ev)
	})
}
