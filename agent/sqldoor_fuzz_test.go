package agent

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// refusedByName is what the schema says of a payload that it refuses: a constraint's name, which tells what is wrong.
var refusedByName = regexp.MustCompile(`CHECK constraint failed: (payload_must_be_a_json_object|event_needs_\w+|(event|incident)_id_must_not_be_longer_than_512_characters) `)

// Whatever bytes a stranger puts into the outbox: the schema takes them or refuses them by a constraint's name, and what
// it reads of them is what the agent reads. What the door for HTTP would take, it takes too.
func FuzzSQLDoor(f *testing.F) {
	for _, payload := range []string{
		`{"id":"e1","type":"incident.created","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"TIG-1","severity":"critical"}}`,
		`{"event":"incident.updated","incident_id":"TIG-1","timestamp":"2026-11-23T02:00:00Z"}`,
		`{"id":17,"type":"runbook.action","incident":{"id":4711},"action":{"title":"x"}}`,
		`{"id":"e2","type":"anomaly.detected"}`, `{"id":"","type":"slo.breached","timestamp":1795399200}`,
		`{"type":"incident.created","incident":{"id":"T"}}`, `{"id":"e3","type":"odd","incident":[]}`,
		`{"id":"e4","id":"e5","type":"incident.created","incident":{"id":"T"}}`, `{"type":5,"event":"odd","id":"e6"}`,
		`{"id":"\ud800","type":"incident.created","incident":{"id":"\u0000"}}`,
		`{"id":"e7","type":"incident.created","incident":{"id":"\ud800"}}`, `{}`, `[]`, `null`, `{id:1}`, "\xff", "",
	} {
		f.Add(payload)
	}
	ctx := context.Background()
	path := filepath.Join(f.TempDir(), "agent.db")
	st, err := store.Open(ctx, store.Options{Path: path, Owner: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = st.Close() })
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	f.Fuzz(func(t *testing.T, payload string) {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }() // each payload meets an empty outbox
		var id, kind string
		var incident sql.NullString
		err = tx.QueryRow("INSERT INTO outbox(payload) VALUES (?) RETURNING event_id, event_type, incident_key", payload).Scan(&id, &kind, &incident)
		faults := mapping.Validate([]byte(payload))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			t.Fatal("passed over as a repeat")
		case err != nil && !refusedByName.MatchString(err.Error()):
			t.Fatalf("refused without a name: %v", err)
		case err != nil && len(faults) == 0 && !isTest(payload):
			t.Fatalf("refused, while the door for HTTP takes it: %v", err)
		case err != nil || len(faults) > 0:
			return // what is stored and can't be read ends dead, with the reason
		}
		ev, _ := mapping.ParseEvent([]byte(payload), "")
		if ev.ID != "" && ev.ID != id || ev.ID == "" && !strings.HasPrefix(id, "content:{") {
			t.Errorf("event id: the schema reads %q, the agent %q", id, ev.ID)
		}
		if isTest(payload) {
			return // a test's type may be said in another way, and nothing is read of it
		}
		if !mapping.KnownType(ev.Type) && !mapping.KnownType(kind) {
			return // skipped, whatever it is called
		}
		if ev.Type != kind {
			t.Errorf("type: the schema reads %q, the agent %q", kind, ev.Type)
		}
		if ev.Incident.ID != incident.String {
			t.Errorf("incident: the schema reads %q, the agent %q", incident.String, ev.Incident.ID)
		}
	})
}

// isTest takes payloads that Validate finds no fault in.
func isTest(payload string) bool {
	ev, _ := mapping.ParseEvent([]byte(payload), "")
	return ev.Type == mapping.TestEvent
}
