package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/store"
)

func TestTheSchemaSaysByNameWhatIsWrongWithAnEvent(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	long := strings.Repeat("x", 513)
	for payload, want := range map[string]string{
		`nonsense`:             "payload_must_be_a_json_object",
		``:                     "payload_must_be_a_json_object",
		`[]`:                   "payload_must_be_a_json_object",
		`"text"`:               "payload_must_be_a_json_object",
		`null`:                 "payload_must_be_a_json_object",
		`{"type":"x","id"`:     "payload_must_be_a_json_object",
		`{type:'x',id:1}`:      "payload_must_be_a_json_object", // JSON5
		`{}`:                   "event_needs_a_type",
		`{"id":"a"}`:           "event_needs_a_type",
		`{"id":"a","type":""}`: "event_needs_a_type",

		`{"id":"a","type":null,"event":""}`:                                          "event_needs_a_type",
		`{"id":"a","type":"incident.created"}`:                                       "event_needs_an_incident_id",
		`{"id":"a","event":"incident.updated"}`:                                      "event_needs_an_incident_id",
		`{"id":"a","type":"incident.acknowledged"}`:                                  "event_needs_an_incident_id",
		`{"id":"a","type":"incident.escalated"}`:                                     "event_needs_an_incident_id",
		`{"id":"a","type":"incident.resolved"}`:                                      "event_needs_an_incident_id",
		`{"id":"a","type":"incident.reopened"}`:                                      "event_needs_an_incident_id",
		`{"id":"a","type":"investigation.step"}`:                                     "event_needs_an_incident_id",
		`{"id":"a","type":"runbook.action","incident":[]}`:                           "event_needs_an_incident_id",
		`{"id":"a","type":"postmortem.ready","incident":{"id":""},"incident_id":""}`: "event_needs_an_incident_id",
		`{"id":"a","type":"incident.created","incident":{"id":{"x":1}}}`:             "event_needs_an_incident_id",
		`{"type":"slo.breached"}`:                                                    "event_needs_an_id_or_a_timestamp",
		`{"type":"slo.breached","id":"","timestamp":""}`:                             "event_needs_an_id_or_a_timestamp",
		`{"type":"slo.breached","id":null,"timestamp":null}`:                         "event_needs_an_id_or_a_timestamp",
		`{"type":"slo.breached","id":"` + long + `"}`:                                "event_id_must_not_be_longer_than_512_characters",
		`{"type":"x","id":"a","incident":{"id":"` + long + `"}}`:                     "incident_id_must_not_be_longer_than_512_characters",
	} {
		_, err := s.InsertEvents(ctx, [][]byte{event("fine", "TIG-1"), []byte(payload)})
		c, found := errors.AsType[*store.ConstraintError](err)
		if !found || c.Name != want || c.Index != 1 {
			t.Errorf("%.80s: got %v, want row 1 refused by %s", payload, err, want)
		}
		if _, err := db.Exec("INSERT INTO outbox (payload) VALUES (?)", payload); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s by plain SQL: got %v, want %s", payload, err, want)
		}
	}
	equal(t, "rows left of calls that were refused", get(t, db, "SELECT count(*) FROM outbox"), "0")
	for query, want := range map[string]string{
		"INSERT INTO outbox (payload) VALUES (NULL)":                                                          "outbox.payload",
		"INSERT INTO outbox (payload) VALUES (x'7b7d')":                                                       "cannot store BLOB",
		`INSERT INTO outbox (payload, state) VALUES ('{"id":1,"type":"x"}', 'odd')`:                           "state_must_be_pending_done_skipped_or_dead",
		`INSERT INTO outbox (payload, next_attempt_at) VALUES ('{"id":1,"type":"x"}', '2026-01-01 00:00:00')`: "next_attempt_at_must_be_utc_with_milliseconds",
	} {
		if _, err := db.Exec(query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", query, err, want)
		}
	}
}

func TestTypeIncidentAndIDAreReadFromBothForms(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	for _, c := range []struct{ payload, id, typ, incident string }{
		{`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1"}}`, "e1", "incident.created", "TIG-1"},
		{`{"id":"e2","event":"incident.updated","incident_id":"TIG-2"}`, "e2", "incident.updated", "TIG-2"},
		{`{"id":"e3","type":"a","event":"b","incident":{"id":"TIG-3"},"incident_id":"other"}`, "e3", "a", "TIG-3"},
		{`{"id":"e4","type":"","event":"b","incident":{"id":""},"incident_id":"TIG-4"}`, "e4", "b", "TIG-4"},
		{`{"id":17,"type":"a","incident":{"id":4711}}`, "17", "a", "4711"},
		{`{"id":123456789012345678901234567890,"type":"a","incident_id":1.50}`, "123456789012345678901234567890", "a", "1.50"},
		{`{"id":"e5","type":"anomaly.detected"}`, "e5", "anomaly.detected", ""},
		{`{"id":"e6","type":"slo.breached","incident":{}}`, "e6", "slo.breached", ""},
		{`{"id":"e7","type":"never.heard.of"}`, "e7", "never.heard.of", ""},
		{`{"id":"e8","type":"test"}`, "e8", "test", ""},
		{`{ "type": "slo.breached", "timestamp": "2026-11-23T02:00:00Z" }`, `content:{"type":"slo.breached","timestamp":"2026-11-23T02:00:00Z"}`, "slo.breached", ""},
		{`{"id":"","type":"slo.breached","timestamp":7}`, `content:{"id":"","type":"slo.breached","timestamp":7}`, "slo.breached", ""},
	} {
		in, err := s.InsertEvents(ctx, [][]byte{[]byte(c.payload)})
		if err != nil {
			t.Errorf("%s: %v", c.payload, err)
			continue
		}
		equal(t, "told id of "+c.payload, in[0].EventID, c.id)
		e, err := s.Event(ctx, in[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "id of "+c.payload, e.EventID, c.id)
		equal(t, "type of "+c.payload, e.Type, c.typ)
		equal(t, "incident of "+c.payload, e.IncidentKey, c.incident)
		equal(t, "payload", string(e.Payload), c.payload)
		// The same again, through the door and by SQL, is the same event.
		again, err := s.InsertEvents(ctx, [][]byte{[]byte(c.payload)})
		if err != nil || again[0] != (store.Inserted{ID: in[0].ID, EventID: c.id, Duplicate: true}) {
			t.Errorf("%s again: %+v, %v", c.payload, again, err)
		}
		exec(t, db, "INSERT INTO outbox (payload) VALUES (?)", c.payload)
	}
	equal(t, "rows", get(t, db, "SELECT count(*) FROM outbox"), "12")
}

func TestSpacesDoNotMakeAnotherEvent(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	in, err := s.InsertEvents(ctx, [][]byte{
		[]byte(`{"type":"slo.breached","timestamp":"t","title":"a  b"}`),
		[]byte("{ \"type\" : \"slo.breached\",\n\t\"timestamp\": \"t\", \"title\": \"a  b\" }"),
		[]byte(`{"type":"slo.breached","timestamp":"t","title":"a b"}`),
	})
	if err != nil || in[0].Duplicate || !in[1].Duplicate || in[1].ID != in[0].ID || in[2].Duplicate {
		t.Errorf("%+v, %v", in, err)
	}
}

func TestARepeatIsOneEventHoweverItComes(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	first, err := s.InsertEvents(ctx, [][]byte{event("a", "TIG-1"), event("b", "TIG-1"), event("a", "TIG-2")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "repeat within a call", first[2], store.Inserted{ID: first[0].ID, EventID: "a", Duplicate: true})
	exec(t, db, "INSERT INTO outbox (payload) VALUES (?), (?), (?)", string(event("a", "TIG-1")), string(event("c", "TIG-1")), string(event("b", "TIG-9")))
	exec(t, db, "INSERT OR IGNORE INTO outbox (payload) VALUES (?)", string(event("a", "TIG-1")))
	equal(t, "ids", get(t, db, "SELECT group_concat(event_id) FROM (SELECT event_id FROM outbox ORDER BY id)"), "a,b,c")
	equal(t, "first row", get(t, db, "SELECT incident_key FROM outbox WHERE event_id = 'a'"), "TIG-1")
}

func TestAnEventIDOutlivesItsRow(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	ids := insert(t, s, event("a", "TIG-1"), event("b", "TIG-1"))
	done(t, s, ids...)
	for n := 1; n > 0; {
		n = must[int](t)(s.Prune(ctx, future(), 10))
	}
	equal(t, "rows", get(t, db, "SELECT count(*) FROM outbox"), "0")
	in, err := s.InsertEvents(ctx, [][]byte{event("a", "TIG-1"), event("new", "TIG-1")})
	if err != nil || !in[0].Duplicate || in[0].EventID != "a" || in[0].ID != 0 || in[1].Duplicate {
		t.Errorf("%+v, %v", in, err)
	}
	exec(t, db, "INSERT INTO outbox (payload) VALUES (?), (?)", string(event("b", "TIG-1")), string(event("newer", "TIG-1")))
	equal(t, "ids", get(t, db, "SELECT group_concat(event_id) FROM (SELECT event_id FROM outbox ORDER BY id)"), "new,newer")
	if id := get(t, db, "SELECT min(id) FROM outbox"); id < "3" {
		t.Errorf("id %s is used again", id)
	}
}

// What is known of an event stands in its row; what the schema would refuse of it, or the row of a repeat, is read as ever.
func TestWhatIsKnownOfAnEventIsNotReadAgain(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	long := strings.Repeat("x", 513)
	row := func(id string) string {
		t.Helper()
		return get(t, db, "SELECT concat_ws(' ', event_id, event_type, coalesce(incident_key, '-'), coalesce(severity, '-')) FROM outbox WHERE event_id = ?", id)
	}
	put := func(k store.Known, payload []byte) store.Inserted {
		t.Helper()
		return must[[]store.Inserted](t)(s.InsertEvents(ctx, [][]byte{payload}, k))[0]
	}
	for _, c := range []struct {
		known     store.Known
		payload   []byte
		id, whole string
	}{
		{knownOf("a", "TIG-1"), event("a", "TIG-1"), "a", "a incident.updated TIG-1 critical"},
		// Nobody says anything else than the payload; whether it is looked at shows only so.
		{store.Known{ID: "k", Type: "slo.breached"}, event("p", "TIG-1"), "k", "k slo.breached - -"},
		{store.Known{ID: "b", Type: "slo.breached", Incident: long}, event("b", "TIG-1"), "b", "b incident.updated TIG-1 critical"},
		{store.Known{ID: long, Type: "slo.breached"}, event("c", "TIG-1"), "c", "c incident.updated TIG-1 critical"},
		{store.Known{ID: "d", Type: "incident.updated"}, event("d", "TIG-1"), "d", "d incident.updated TIG-1 critical"},
		{store.Known{ID: "e"}, event("e", "TIG-1"), "e", "e incident.updated TIG-1 critical"},
		{store.Known{Type: "slo.breached"}, event("f", "TIG-1"), "f", "f incident.updated TIG-1 critical"},
	} {
		in := put(c.known, c.payload)
		equal(t, "row of "+c.id, row(c.id), c.whole)
		equal(t, "told of "+c.id, in, store.Inserted{ID: must[int64](t)(strconv.ParseInt(get(t, db, "SELECT id FROM outbox WHERE event_id = ?", c.id), 10, 64)), EventID: c.id})
	}
	equal(t, "a repeat", put(knownOf("a", "TIG-1"), event("a", "TIG-1")), store.Inserted{ID: 1, EventID: "a", Duplicate: true})
	if _, err := s.InsertEvents(ctx, [][]byte{event("new", "TIG-1"), []byte("[]")}, knownOf("new", "TIG-1"), store.Known{ID: "x", Type: "incident.created"}); err == nil {
		t.Error("no object is taken")
	}
	equal(t, "what came with one that is refused", get(t, db, "SELECT count(*) FROM outbox WHERE event_id = 'new'"), "0")
	for _, values := range []string{"NULL, 'incident.updated', 'TIG-1'", "'', 'incident.updated', 'TIG-1'", "'x', '', 'TIG-1'", "'x', NULL, 'TIG-1'", "NULL, NULL, 'TIG-1'"} {
		_, err := db.Exec(`INSERT INTO outbox (payload, known_id, known_type, known_incident) VALUES ('{}', ` + values + `)`)
		if err == nil || !strings.Contains(err.Error(), "known_columns_are_for_the_agent_and_all_or_none") {
			t.Errorf("%s: got %v", values, err)
		}
	}
	for _, column := range []string{"known_id", "known_type", "known_incident", "known_severity"} {
		if _, err := db.Exec("UPDATE outbox SET " + column + " = 'other'"); err == nil || !strings.Contains(err.Error(), "stays as it came") {
			t.Errorf("%s is changed: %v", column, err)
		}
	}
	exec(t, db, "DELETE FROM outbox WHERE event_id = 'a'")
	equal(t, "a repeat of what is gone", put(knownOf("a", "TIG-1"), event("a", "TIG-1")), store.Inserted{EventID: "a", Duplicate: true})
}

func TestLargeAndManyEventsAreStoredWhole(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	var payloads [][]byte
	for i := range 50 {
		payloads = append(payloads, fmt.Appendf(nil, `{"id":"e%d","type":"x","note":%q}`, i, bytes.Repeat([]byte("ü"), 3000)))
	}
	for i, id := range insert(t, s, payloads...) {
		if e := must[store.Event](t)(s.Event(ctx, id)); string(e.Payload) != string(payloads[i]) {
			t.Fatalf("event %d came back as %.100s", i, e.Payload)
		}
	}
}

func TestAnEventStaysAsItCame(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	insert(t, s, event("a", "TIG-1"))
	if _, err := db.Exec("UPDATE outbox SET payload = '{\"type\":\"x\",\"id\":\"b\"}'"); err == nil || !strings.Contains(err.Error(), "stays as it came") {
		t.Errorf("got %v", err)
	}
	exec(t, db, "UPDATE outbox SET payload = payload, attempts = attempts")
}

func TestStatesOfAnEventThatCanFollow(t *testing.T) {
	t.Parallel()
	states := []string{"pending", "done", "skipped", "dead"}
	legal := map[string]bool{"pending done": true, "pending skipped": true, "pending dead": true, "dead pending": true, "dead skipped": true}
	s, db := fresh(t)
	for _, from := range states {
		for _, to := range states {
			id := insert(t, s, event(from+to, "TIG-1"))[0]
			if from != "pending" {
				exec(t, db, "UPDATE outbox SET state = ?, attempts = 5, charged_ms = 7 WHERE id = ?", from, id)
			}
			_, err := db.Exec("UPDATE outbox SET state = ? WHERE id = ?", to, id)
			if want := from == to || legal[from+" "+to]; (err == nil) != want {
				t.Errorf("%s to %s: %v", from, to, err)
			} else if err != nil && !strings.Contains(err.Error(), "does not come back") {
				t.Errorf("%s to %s is refused with %v", from, to, err)
			}
			ended := get(t, db, "SELECT state IN ('done', 'skipped') AND finished_at IS NOT NULL OR state IN ('pending', 'dead') AND finished_at IS NULL FROM outbox WHERE id = ?", id)
			equal(t, "finished_at fits after "+from+" to "+to, ended, "1")
			if from == "dead" && to == "pending" {
				equal(t, "a retry starts anew", get(t, db, "SELECT attempts || ' ' || charged_ms FROM outbox WHERE id = ?", id), "0 0")
			}
		}
	}
}
