package store_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/tigerops/tigerops-incidentio/store"
)

// operation is something that must be done wholly or not at all, whatever call of the driver fails in it.
type operation struct {
	name  string
	setup func(t testing.TB, s *store.Store)
	run   func(s *store.Store) error
	// did counts what is there of what run does; all of it makes whole.
	did   string
	whole string
}

var operations = []operation{
	{
		name: "InsertEvents",
		run: func(s *store.Store) error {
			in, err := s.InsertEvents(ctx, [][]byte{event("a", "TIG-1"), event("b", "TIG-2"), event("a", "TIG-1")})
			if err == nil && (in[0].EventID != "a" || in[1].EventID != "b" || !in[2].Duplicate || in[2].ID != in[0].ID) {
				return fmt.Errorf("wrong answer %+v", in)
			}
			return err
		},
		did: "SELECT count(*) FROM outbox", whole: "2",
	},
	{
		name: "InsertEvents of one",
		run:  func(s *store.Store) error { _, err := s.InsertEvents(ctx, [][]byte{event("a", "TIG-1")}); return err },
		did:  "SELECT count(*) FROM outbox", whole: "1",
	},
	{
		name:  "InsertEvents of a repeat",
		setup: func(t testing.TB, s *store.Store) { insert(t, s, event("a", "TIG-1")) },
		run: func(s *store.Store) error {
			in, err := s.InsertEvents(ctx, [][]byte{event("a", "TIG-1")})
			if want := (store.Inserted{ID: 1, EventID: "a", Duplicate: true}); err == nil && in[0] != want {
				return fmt.Errorf("wrong answer %+v", in)
			}
			return err
		},
		did: "SELECT count(*) FROM outbox", whole: "1",
	},
	{
		name:  "InsertEvents of what is known",
		setup: func(t testing.TB, s *store.Store) { insert(t, s, event("a", "TIG-1")) },
		run: func(s *store.Store) error {
			in, err := s.InsertEvents(ctx, [][]byte{event("a", "TIG-1"), event("b", "TIG-1"), event("c", "TIG-1")},
				knownOf("a", "TIG-1"), knownOf("b", "TIG-1"))
			if err == nil && (!in[0].Duplicate || in[0].ID != 1 || in[1].EventID != "b" || in[2].EventID != "c") {
				return fmt.Errorf("wrong answer %+v", in)
			}
			return err
		},
		did: "SELECT count(*) FROM outbox", whole: "3",
	},
	{
		name: "InsertEvents of one that is known",
		run: func(s *store.Store) error {
			_, err := s.InsertEvents(ctx, [][]byte{event("a", "TIG-1")}, knownOf("a", "TIG-1"))
			return err
		},
		did: "SELECT count(*) FROM outbox", whole: "1",
	},
	{
		name: "InsertWebhook",
		run:  func(s *store.Store) error { _, err := s.InsertWebhook(ctx, "msg_1", []byte(`{}`)); return err },
		did:  "SELECT count(*) FROM webhook", whole: "1",
	},
	{
		name: "Commit of everything",
		setup: func(t testing.TB, s *store.Store) {
			insert(t, s, event("a", "TIG-1"), event("b", "TIG-1"), event("c", "TIG-1"), event("d", "TIG-2"))
			if _, err := s.InsertWebhook(ctx, "msg_1", []byte(`{"event_type":"x"}`)); err != nil {
				t.Fatal(err)
			}
			commit(t, s, store.Commit{Freeze: step(1, "declare"), Links: []store.Link{link("TIG-1", "OLD")}})
			commit(t, s, store.Commit{Park: &store.Park{OutboxID: 4, Reason: "waits"}})
		},
		run: func(s *store.Store) error {
			told, err := s.Commit(ctx, store.Commit{
				Why:      "test",
				End:      &store.StepEnd{OutboxID: 1, Name: "declare", State: store.StepDone, HTTPStatus: 201, RemoteID: "NEW"},
				Freeze:   step(2, "timeline.add"),
				Finish:   &store.Finish{OutboxID: 1, State: store.Done, Folded: []int64{3}},
				Merged:   []int64{2},
				Incident: &store.IncidentState{TigerOpsID: "TIG-1", State: []byte(`{"open":true}`)},
				Drop:     &store.Link{TigerOpsID: "TIG-1", IncidentID: "OLD"},
				Links:    []store.Link{link("TIG-1", "NEW")},
				Unpark:   "TIG-2",
				Inbox: []store.InboxRow{
					{Key: "linked", Type: "incident.linked", TigerOpsID: "TIG-1", Payload: []byte(`{"key":"linked"}`)},
					{Key: "status", Repeatable: true, Type: "incident.status_changed", TigerOpsID: "TIG-1", Payload: []byte(`{"key":"status"}`)},
				},
				Webhooks: []store.WebhookEnd{{Seqs: []int64{1}, State: store.WebhookDone}},
				Alert:    &store.Alert{TigerOpsID: "TIG-1", Key: "k", State: store.AlertFired},
				Meta:     map[string]string{"last_sweep": "now"},
			})
			if err == nil && len(told) != 2 {
				return fmt.Errorf("wrong answer %v", told)
			}
			return err
		},
		did: `SELECT (SELECT count(*) FROM delivery WHERE step = 'declare' AND state = 'done') + (SELECT count(*) FROM delivery WHERE step = 'timeline.add')
			+ (SELECT count(*) FROM outbox WHERE state = 'done') + (SELECT count(*) FROM outbox WHERE id = 2 AND merged = 1)
			+ (SELECT count(*) FROM incident) + (SELECT count(*) FROM former_link) + (SELECT count(*) FROM link WHERE incident_id = 'NEW')
			+ (SELECT count(*) FROM outbox WHERE id = 4 AND parked = 0) + (SELECT count(*) FROM outbox_change)
			+ (SELECT count(*) FROM inbox) + (SELECT count(*) FROM inbox_key) + (SELECT count(*) FROM webhook WHERE state = 'done')
			+ (SELECT count(*) FROM alert) + (SELECT count(*) FROM meta WHERE key = 'last_sweep')`,
		whole: "16",
	},
	{
		name: "AckInbox",
		setup: func(t testing.TB, s *store.Store) {
			commit(t, s, store.Commit{Inbox: []store.InboxRow{{Key: "a", Type: "x", Payload: []byte(`{}`)}, {Key: "b", Type: "x", Payload: []byte(`{}`)}}})
		},
		run: func(s *store.Store) error { _, err := s.AckInbox(ctx, 1, 2); return err },
		did: "SELECT count(*) FROM inbox WHERE state = 'applied' AND applied_at IS NOT NULL", whole: "2",
	},
	{
		name: "RejectInbox",
		setup: func(t testing.TB, s *store.Store) {
			commit(t, s, store.Commit{Inbox: []store.InboxRow{{Key: "a", Type: "x", Payload: []byte(`{}`)}, {Key: "b", Type: "x", Payload: []byte(`{}`)}}})
		},
		run: func(s *store.Store) error { _, err := s.RejectInbox(ctx, "no", 1, 2); return err },
		did: "SELECT count(*) FROM inbox WHERE state = 'rejected' AND reason = 'no'", whole: "2",
	},
	{
		name: "RetryInbox",
		setup: func(t testing.TB, s *store.Store) {
			commit(t, s, store.Commit{Inbox: []store.InboxRow{{Key: "a", Type: "x", Payload: []byte(`{}`)}, {Key: "b", Type: "x", Payload: []byte(`{}`)}}})
			if _, err := s.RejectInbox(ctx, "no", 1, 2); err != nil {
				t.Fatal(err)
			}
		},
		run: func(s *store.Store) error { _, err := s.RetryInbox(ctx); return err },
		did: "SELECT count(*) FROM inbox WHERE state = 'pending'", whole: "2",
	},
	{
		name: "PushesDue",
		setup: func(t testing.TB, s *store.Store) {
			commit(t, s, store.Commit{Inbox: []store.InboxRow{{Key: "a", Type: "x", Payload: []byte(`{}`)}, {Key: "b", Type: "x", Payload: []byte(`{}`)}}})
			for id := range int64(2) {
				if err := s.PushDefer(ctx, id+1, future(), "away"); err != nil {
					t.Fatal(err)
				}
			}
		},
		run: func(s *store.Store) error { return s.PushesDue(ctx) },
		did: "SELECT count(*) FROM inbox WHERE next_attempt_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", whole: "2",
	},
	{
		name: "Commit of a deferral",
		setup: func(t testing.TB, s *store.Store) {
			insert(t, s, event("a", "TIG-1"))
			commit(t, s, store.Commit{Freeze: step(1, "declare")})
		},
		run: func(s *store.Store) error {
			_, err := s.Commit(ctx, store.Commit{Why: "test", End: &store.StepEnd{OutboxID: 1, Name: "declare", State: store.StepOpen, HTTPStatus: 503, Error: "away"},
				Defer: &store.Defer{OutboxID: 1, Attempts: 1, Next: future(), Reason: "away"}})
			return err
		},
		did: "SELECT count(*) + (SELECT count(*) FROM delivery WHERE error = 'away') FROM outbox WHERE attempts = 1 AND reason = 'away'", whole: "2",
	},
	{
		name: "RetryEvents",
		setup: func(t testing.TB, s *store.Store) {
			for _, id := range insert(t, s, event("a", "TIG-1"), event("b", "TIG-2")) {
				commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: id, State: store.Dead, Reason: "no"}})
			}
		},
		run: func(s *store.Store) error { _, err := s.RetryEvents(ctx); return err },
		did: "SELECT count(*) + (SELECT count(*) FROM outbox_change) FROM outbox WHERE state = 'pending'", whole: "4",
	},
	{
		name:  "DiscardEvents",
		setup: func(t testing.TB, s *store.Store) { insert(t, s, event("a", "TIG-1"), event("b", "TIG-2")) },
		run:   func(s *store.Store) error { _, err := s.DiscardEvents(ctx, "a test", 1, 2); return err },
		did:   "SELECT count(*) FROM outbox WHERE state = 'skipped' AND reason = 'a test' AND finished_at IS NOT NULL", whole: "2",
	},
	{
		name: "SetMeta",
		run:  func(s *store.Store) error { return s.SetMeta(ctx, "k", "v") },
		did:  "SELECT count(*) FROM meta WHERE key = 'k' AND value = 'v'", whole: "1",
	},
	{
		name: "Prune",
		setup: func(t testing.TB, s *store.Store) {
			done(t, s, insert(t, s, event("a", "TIG-1"), event("b", "TIG-2"))...)
		},
		run: func(s *store.Store) error { _, err := s.Prune(ctx, future(), 10); return err },
		did: "SELECT 2 - count(*) + (SELECT count(*) FROM event_seen) FROM outbox", whole: "4",
	},
}

// TestAFailureOfAnyCallLeavesNothingHalfDone fails the first call that an operation makes, then the second, until none
// is left, once before the call has its effect and once after.
func TestAFailureOfAnyCallLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s after=%v", op.name, after), func(t *testing.T) {
				t.Parallel()
				f := newFaults(t)
				template := ready(t)
				s := open(t, template)
				if op.setup != nil {
					op.setup(t, s)
				}
				ok(t, s.Close())
				for n := 1; ; n += everyNth {
					fired := failNth(t, f, template.Path, op, n, after)
					if fired == "" {
						if n < 5 {
							t.Errorf("only %d calls were failed", n-1)
						}
						return
					}
				}
			})
		}
	}
}

func failNth(t *testing.T, f *faults, template string, op operation, n int, after bool) (fired string) {
	t.Helper()
	o := options(t)
	ok(t, os.WriteFile(o.Path, []byte(bytesOf(t, template)), 0o600))
	s := open(t, o.WithDriver(f.name))
	defer s.Close()
	db := stranger(t, o.Path)
	before := get(t, db, op.did)
	f.arm(n, after)
	err := op.run(s)
	if fired = f.disarm(); fired == "" && err != nil {
		t.Fatalf("call %d: nothing failed, and yet %v", n, err)
	}
	if fired != "" && err != nil && !errors.Is(err, errInjected) {
		t.Errorf("%q failed and was told as %v", fired, err)
	}
	switch now := get(t, db, op.did); {
	case now == op.whole:
	case err == nil:
		t.Errorf("%q failed; the answer was success, but there is %s of %s", fired, now, op.whole)
	case now != before:
		t.Errorf("%q failed; half done: %s of %s", fired, now, op.whole)
	}
	// What failed can be done again, and what was done is known to be.
	if err := op.run(s); err != nil && !errors.Is(err, store.ErrStale) {
		t.Errorf("again, after %q: %v", fired, err)
	}
	equal(t, fmt.Sprintf("after %q and again", fired), get(t, db, op.did), op.whole)
	ok(t, s.Check(ctx))
	return fired
}

// TestAFailureOfAnyCallOfASharedCommitIsTheTruthForEach does the same to writers that share a commit.
func TestAFailureOfAnyCallOfASharedCommitIsTheTruthForEach(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprint("after=", after), func(t *testing.T) {
			t.Parallel()
			f := newFaults(t)
			o := ready(t)
			s := open(t, o.WithDriver(f.name))
			for n := 1; ; n++ {
				var errs [3]error
				var wait sync.WaitGroup
				held(t, s, func() { f.arm(n, after) },
					func() { _, errs[0] = s.InsertEvents(ctx, [][]byte{event(fmt.Sprint(n, "a"), "TIG-1")}) },
					func() {
						_, errs[1] = s.Commit(ctx, store.Commit{Links: []store.Link{link(fmt.Sprint("TIG-", n), "X")},
							Inbox: []store.InboxRow{{Key: fmt.Sprint(n), Type: "x", Payload: []byte(`{}`)}}})
					},
					func() { _, errs[2] = s.InsertWebhook(ctx, fmt.Sprint("msg_", n), []byte(`{}`)) })
				wait.Wait()
				fired := f.disarm()
				db := stranger(t, o.Path)
				for i, query := range []string{
					"SELECT count(*) FROM outbox WHERE event_id = '%da'",
					"SELECT count(*) + (SELECT count(*) FROM inbox WHERE key = '%[1]d') FROM link WHERE tigerops_incident_id = 'TIG-%[1]d'",
					"SELECT count(*) FROM webhook WHERE id = 'msg_%d'",
				} {
					whole := []string{"1", "2", "1"}[i]
					if got := get(t, db, fmt.Sprintf(query, n)); got != whole && (got != "0" || errs[i] == nil) {
						t.Errorf("%q failed: writer %d was told %v and there is %s of %s", fired, i, errs[i], got, whole)
					}
				}
				db.Close()
				if fired == "" {
					return
				}
			}
		})
	}
}

// TestAFailureOfAnyCallOfOpenLosesNothing fails the calls of a first start and of a migration.
func TestAFailureOfAnyCallOfOpenLosesNothing(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for _, name := range []string{"a new file", "a migration"} {
			t.Run(fmt.Sprint(name, " after=", after), func(t *testing.T) {
				t.Parallel()
				f := newFaults(t)
				old := ready(t)
				s := open(t, old)
				insert(t, s, event("a", "TIG-1"))
				ok(t, s.Close())
				total := 0
				for n, fired := 0, "all"; fired != ""; n++ {
					// In the middle are the statements of one transaction, of which every ninth will do.
					if n > 0 && n <= total && (n%everyNth != 0 || n > 12 && n < total-20 && n%9 != 0) {
						continue
					}
					o := options(t)
					want := "0"
					if name == "a migration" {
						ok(t, os.WriteFile(o.Path, []byte(bytesOf(t, old.Path)), 0o600))
						o, want = o.WithMigrations(later(t)), "1"
					}
					f.arm(n, after)
					s, err := store.Open(ctx, o.WithDriver(f.name))
					if fired = f.disarm(); err == nil {
						ok(t, s.Close())
					}
					if n == 0 { // nothing was armed: it was all counted
						total, fired = f.calls(), "all"
						continue
					}
					s = open(t, o)
					equal(t, fmt.Sprintf("events after %q failed", fired), get(t, stranger(t, o.Path), "SELECT count(*) FROM outbox"), want)
					insert(t, s, event("b", "TIG-1"))
					ok(t, s.Close())
				}
			})
		}
	}
}
