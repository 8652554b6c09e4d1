package store_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

// TestTheFileStaysAsLargeAsItIsOverMonths lives through fifteen months in steps of ten days, with retention and the giving
// back of pages as the agent does them, and wants the file, its WAL and every table to grow no more once the oldest that
// is ever kept has gone.
func TestTheFileStaysAsLargeAsItIsOverMonths(t *testing.T) {
	t.Parallel()
	const steps, days, events, retention = 45, 10, 4, 30 * 24 * time.Hour
	incidents := max(4/everyNth, 1)
	o := ready(t)
	s := open(t, o)
	db := stranger(t, o.Path)
	db.SetMaxOpenConns(1)
	size := func(suffix string) int64 { return must[fs.FileInfo](t)(os.Stat(o.Path + suffix)).Size() }
	steady := int((retention+store.Memory)/(days*24*time.Hour)) + 2
	var before, most, wal int64
	for step := range steps {
		// Ten days pass: all that is there gets older.
		for _, column := range []string{"outbox created_at", "outbox finished_at", "delivery started_at", "delivery finished_at", "event_seen seen_at",
			"incident updated_at", "link updated_at", "link created_at", "former_link dropped_at", "alert updated_at", "webhook received_at", "webhook processed_at",
			"inbox created_at", "inbox applied_at", "inbox_key at"} {
			var table, name string
			fmt.Sscan(column, &table, &name)
			exec(t, db, fmt.Sprintf(`UPDATE %s SET %s = strftime('%%Y-%%m-%%dT%%H:%%M:%%fZ', %[2]s, '-%d days') WHERE %[2]s IS NOT NULL`, table, name, days))
		}
		for i := range incidents {
			tigerops, incident := fmt.Sprintf("TIG-%d-%d", step, i), fmt.Sprintf("I-%d-%d", step, i)
			var told [][]byte
			for n := range events {
				told = append(told, append(event(fmt.Sprint(tigerops, "-", n), tigerops), bytes.Repeat([]byte(" "), 600*n)...))
			}
			for n, id := range insert(t, s, told...) {
				freeze := step0(id, tigerops)
				commit(t, s, store.Commit{Freeze: freeze, Incident: &store.IncidentState{TigerOpsID: tigerops, State: []byte(`{"open":true}`)}})
				l := link(tigerops, incident)
				l.Closed = n == events-1
				commit(t, s, store.Commit{
					End: &store.StepEnd{OutboxID: id, Name: freeze.Name, State: store.StepDone, HTTPStatus: 201}, Finish: &store.Finish{OutboxID: id, State: store.Done},
					Incident: &store.IncidentState{TigerOpsID: tigerops, State: fmt.Appendf(nil, `{"open":%v}`, n < events-1)}, Links: []store.Link{l},
					Alert: &store.Alert{TigerOpsID: tigerops, Key: tigerops, State: store.AlertFired},
					Inbox: []store.InboxRow{{Key: fmt.Sprint(tigerops, n), Repeatable: true, Type: "x", TigerOpsID: tigerops, IncidentID: incident, Payload: []byte(`{}`)}},
				})
			}
			if _, err := s.InsertWebhook(ctx, incident, fmt.Appendf(nil, `{"event_type":"public_incident.incident_updated_v2","public_incident.incident_updated_v2":{"id":%q}}`, incident)); err != nil {
				t.Fatal(err)
			}
			commit(t, s, store.Commit{Webhooks: meaning(t, s, end{ID: incident, State: store.WebhookDone})})
		}
		exec(t, db, "UPDATE inbox SET state = 'applied' WHERE state = 'pending'")
		for n := 1; n > 0; {
			n = must[int](t)(s.Prune(ctx, time.Now().Add(-retention), 1000))
			ok(t, s.IncrementalVacuum(ctx, 256))
		}
		ok(t, s.Checkpoint(ctx))
		wal = max(wal, size("-wal"))
		if step == steady {
			before = size("")
		} else if step > steady {
			most = max(most, size(""))
		}
	}
	t.Logf("after %d days %d KiB, the most in the %d days since %d KiB; the WAL at most %d KiB", steady*days, before>>10, (steps-steady)*days, most>>10, wal>>10)
	if most > before+before/10 {
		t.Errorf("the file has grown from %d to %d bytes", before, most)
	}
	if wal > 16<<20 {
		t.Errorf("the WAL has grown to %d bytes", wal)
	}
	for table, limit := range map[string]int{
		"outbox": 5 * events * incidents, "delivery": 5 * events * incidents, "inbox": 5 * events * incidents, "webhook": 5 * incidents,
		"event_seen": 23 * events * incidents, "incident": 23 * incidents, "link": 23 * incidents, "alert": 23 * incidents, "inbox_key": 23 * events * incidents, "outbox_change": 11_000,
	} {
		var n int
		ok(t, db.QueryRow("SELECT count(*) FROM "+table).Scan(&n))
		if n == 0 && table != "outbox_change" || n > limit {
			t.Errorf("%s has %d rows, want some and at most %d", table, n, limit)
		}
	}
	ok(t, s.Check(ctx))
}

// step0 is a step of an event of its own.
func step0(id int64, tigerops string) *store.Step {
	f := step(id, "timeline.add")
	f.Key = fmt.Sprint(tigerops, id)
	return f
}
