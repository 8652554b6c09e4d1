package store_test

import (
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

func TestHoursCountWhatHappened(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	for _, statement := range []string{
		`INSERT INTO outbox(payload) SELECT json_object('id', 'evt_' || value, 'type', 'incident.updated', 'incident', json_object('id', 'TIG-' || value))
			FROM json_each('[1,2,3,4,5]')`,
		// One from before the time, one in each of two hours, one that was skipped, one that waits.
		`UPDATE outbox SET created_at = '2026-11-22T23:00:00.000Z' WHERE id = 1`,
		`UPDATE outbox SET created_at = '2026-11-23T00:10:00.000Z' WHERE id > 1`,
		`UPDATE outbox SET state = 'done', finished_at = '2026-11-23T0' || (id - 1) || ':30:00.000Z' WHERE id < 4`,
		`UPDATE outbox SET state = 'skipped', reason = 'x', finished_at = '2026-11-23T02:00:00.000Z' WHERE id = 4`,
		// Done at the third attempt, refused at the first, in doubt after two, written down and perhaps never sent, and one that
		// is from before the time.
		`INSERT INTO delivery(outbox_id, step, state, attempts, started_at, finished_at, method, path, idempotency_key, request) VALUES
			(2, 'a', 'done', 3, '2026-11-23T01:00:00.000Z', '2026-11-23T01:30:00.000Z', 'POST', '/', 'k1', '{}'),
			(3, 'a', 'refused', 1, '2026-11-23T01:59:00.000Z', '2026-11-23T02:00:00.000Z', 'POST', '/', 'k2', '{}'),
			(5, 'a', 'open', 2, '2026-11-23T02:10:00.000Z', NULL, 'POST', '/', 'k3', '{}'),
			(5, 'b', 'open', 1, '2026-11-23T02:10:00.000Z', NULL, 'POST', '/', 'k5', '{}'),
			(1, 'a', 'done', 9, '2026-11-23T01:00:00.000Z', '2026-11-23T01:00:00.000Z', 'POST', '/', 'k4', '{}')`,
		`UPDATE delivery SET error = '503' WHERE idempotency_key = 'k3'`,
		`INSERT INTO inbox(key, type, payload, source, created_at) VALUES
			('a', 'incident.resolved', '{}', 'sweep', '2026-11-22T23:59:59.999Z'),
			('b', 'incident.resolved', '{}', 'webhook', '2026-11-23T01:59:59.999Z'),
			('c', 'incident.linked', '{}', 'delivery', '2026-11-23T01:59:59.999Z'),
			('d', 'incident.resolved', '{}', 'sweep', '2026-11-23T04:00:00.000Z')`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	midnight := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	got, counted, err := s.Hours(ctx, midnight, midnight.Add(4*time.Hour))
	if err != nil || !counted {
		t.Fatal(counted, err)
	}
	want := []store.Hour{
		{Start: midnight.Add(time.Hour), Delivered: 1, Failed: 2, Changes: 1},
		{Start: midnight.Add(2 * time.Hour), Delivered: 1, Failed: 3},
	}
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
	exec(t, db, `INSERT INTO outbox(id, payload) VALUES (100005, '{"id":"last","type":"slo.breached"}')`) // the 100,000th after one of that time
	if _, counted, err := s.Hours(ctx, midnight, midnight.Add(4*time.Hour)); counted || err != nil {
		t.Errorf("too many to count: got %v, %v", counted, err)
	}
	if _, counted, err := s.Hours(ctx, midnight.Add(time.Hour), midnight.Add(4*time.Hour)); !counted || err != nil {
		t.Errorf("that many, but most of them earlier: got %v, %v", counted, err)
	}
}
