package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tigerops/tigerops-incidentio/store"
)

// held keeps the writer busy until the callers have queued up, in their order.
func held(t testing.TB, s *store.Store, whenQueued func(), callers ...func()) {
	t.Helper()
	begun, release := make(chan struct{}), make(chan struct{})
	go s.Busy(begun, release)
	<-begun
	var wait sync.WaitGroup
	for i, call := range callers {
		wait.Go(call)
		eventually(t, func() bool { return s.Queued() == i+1 })
	}
	whenQueued()
	close(release)
	wait.Wait()
}

func nothing() {}

// eventually waits for a condition, at most ten seconds.
func eventually(t testing.TB, what func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !what(); {
		if time.Now().After(end) {
			t.Fatal("it did not happen within ten seconds")
		}
		time.Sleep(50 * time.Microsecond)
	}
}

func ids(t testing.TB, s *store.Store) (found []string) {
	t.Helper()
	for _, e := range must[[]store.Event](t)(s.Outbox(ctx, store.OutboxQuery{Limit: 1000})) {
		found = append(found, e.EventID)
	}
	slices.Sort(found)
	return found
}

// TestALoneEventIsATransactionOfItsOwn counts the transactions that a lone event costs beside its statement.
func TestALoneEventIsATransactionOfItsOwn(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	o := ready(t).WithDriver(f.name)
	s := open(t, o)
	db := stranger(t, o.Path)
	transactions := func() int { return f.count("BEGIN IMMEDIATE") + f.count("COMMIT") }
	first := insert(t, s, event("a", "TIG-1"))[0]
	repeat := func() store.Inserted {
		return must[[]store.Inserted](t)(s.InsertEvents(ctx, [][]byte{event("a", "TIG-1")}))[0]
	}
	equal(t, "a repeat", repeat(), store.Inserted{ID: first, EventID: "a", Duplicate: true})
	if _, err := s.InsertEvents(ctx, [][]byte{[]byte(`{"type":"x"}`)}); err == nil {
		t.Error("an event without an id was taken")
	}
	equal(t, "transactions for an event, a repeat and a refusal", transactions(), 0)
	equal(t, "rollbacks", f.count("ROLLBACK"), 0)

	f.onCall(func(what string, nth int) {
		if strings.HasPrefix(what, "SELECT id, event_id FROM outbox") && nth == 1 && transactions() == 0 {
			exec(t, db, "DELETE FROM outbox")
		}
	})
	equal(t, "a repeat of an event that goes meanwhile", repeat(), store.Inserted{EventID: "a", Duplicate: true})
	equal(t, "transactions for it", transactions(), 2)
	equal(t, "events", get(t, db, "SELECT count(*) FROM outbox"), "0")
}

func TestWritersThatWaitTogetherShareACommit(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	s := open(t, ready(t).WithDriver(f.name))
	before := f.count("COMMIT")
	var calls []func()
	for i := range 64 {
		calls = append(calls, func() {
			if _, err := s.InsertEvents(ctx, [][]byte{event(fmt.Sprint(i), "TIG-1")}); err != nil {
				t.Error(err)
			}
		})
	}
	held(t, s, nothing, calls...)
	equal(t, "commits for 64 writers", f.count("COMMIT")-before, 1)
	equal(t, "rows", len(ids(t, s)), 64)
}

func TestABatchIsBounded(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	s := open(t, ready(t).WithDriver(f.name))
	before := f.count("COMMIT")
	var calls []func()
	for i := range 9 {
		calls = append(calls, func() {
			if _, err := s.InsertEvents(ctx, [][]byte{append(event(fmt.Sprint(i), "TIG-1"), slices.Repeat([]byte(" "), 1<<20)...)}); err != nil {
				t.Error(err)
			}
		})
	}
	held(t, s, nothing, calls...)
	equal(t, "commits for 9 MiB", f.count("COMMIT")-before, 3)
}

func TestAWritersOwnMistakeIsHisAlone(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	s := open(t, ready(t).WithDriver(f.name))
	before := f.count("COMMIT")
	var errs [4]error
	insertOne := func(i int, payload []byte) func() {
		return func() { _, errs[i] = s.InsertEvents(ctx, [][]byte{event(fmt.Sprint("with", i), "TIG-1"), payload}) }
	}
	held(t, s, nothing, insertOne(0, event("a", "TIG-1")), insertOne(1, []byte("nonsense")),
		func() {
			_, errs[2] = s.Commit(ctx, store.Commit{Incident: &store.IncidentState{TigerOpsID: "TIG-1", State: []byte(`{}`)},
				Finish: &store.Finish{OutboxID: 99, State: store.Done}})
		},
		insertOne(3, event("b", "TIG-1")))
	if c, found := errors.AsType[*store.ConstraintError](errs[1]); errs[0] != nil || errs[3] != nil || !found || c.Index != 1 || !errors.Is(errs[2], store.ErrStale) {
		t.Errorf("got %v", errs)
	}
	equal(t, "commits", f.count("COMMIT")-before, 1)
	equal(t, "rows", fmt.Sprint(ids(t, s)), "[a b with0 with3]")
	if _, found, err := s.IncidentState(ctx, "TIG-1"); found || err != nil {
		t.Errorf("something of the stale commit is left: %v, %v", found, err)
	}
}

func TestTheMiddleOfThreeWritersIsCancelled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		when    string // the statement before which it happens; "" is while all wait
		nth     int
		written bool
	}{
		"while it waits":                   {"", 0, false},
		"while the first writes":           {"INSERT INTO outbox", 1, false},
		"while it writes":                  {"INSERT INTO outbox", 2, true},
		"while the third writes":           {"INSERT INTO outbox", 3, true},
		"while the commit is on its way":   {"COMMIT", 1, true},
		"before the transaction has begun": {"BEGIN IMMEDIATE", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFaults(t)
			s := open(t, ready(t).WithDriver(f.name))
			cancelled, cancel := context.WithCancel(ctx)
			defer cancel()
			var errs [3]error
			insertOne := func(i int, ctx context.Context) func() {
				return func() { _, errs[i] = s.InsertEvents(ctx, [][]byte{event(fmt.Sprint(i), "TIG-1")}) }
			}
			f.onCall(func(what string, nth int) {
				if c.when != "" && strings.HasPrefix(what, c.when) && nth == c.nth {
					cancel()
				}
			})
			held(t, s, func() {
				if c.when == "" {
					cancel()
					eventually(t, func() bool { return s.Queued() == 2 })
				}
			}, insertOne(0, ctx), insertOne(1, cancelled), insertOne(2, ctx))
			if errs[0] != nil || errs[2] != nil {
				t.Errorf("the others got %v and %v", errs[0], errs[2])
			}
			// An answer is the truth: told of success it is there, told of a cancelled context it is not.
			if c.written {
				equal(t, "rows", fmt.Sprint(ids(t, s), errs[1]), "[0 1 2] <nil>")
			} else if equal(t, "rows", fmt.Sprint(ids(t, s)), "[0 2]"); !errors.Is(errs[1], context.Canceled) {
				t.Errorf("the cancelled one got %v", errs[1])
			}
		})
	}
}

// Once a lone event's statement runs, its caller's patience counts no more: what is on disk is told as that.
func TestALoneWriterIsCancelledWhileItWrites(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"INSERT INTO outbox", "next of INSERT INTO outbox"} {
		f := newFaults(t)
		s := open(t, ready(t).WithDriver(f.name))
		cancelled, cancel := context.WithCancel(ctx)
		f.onCall(func(what string, _ int) {
			if strings.HasPrefix(what, when) {
				cancel()
			}
		})
		_, err := s.InsertEvents(cancelled, [][]byte{event("a", "TIG-1")})
		equal(t, when, fmt.Sprint(ids(t, s), err, cancelled.Err()), "[a] <nil> context canceled")
		equal(t, "transactions", f.count("BEGIN IMMEDIATE"), 0)
	}
}

func TestALostTransactionAcknowledgesNobodyAndEachRunsAgainAlone(t *testing.T) {
	t.Parallel()
	// The statement that fails once, in the shared transaction of three.
	for _, what := range []string{"SAVEPOINT member", "RELEASE member", "COMMIT", "ROLLBACK TO member", "INSERT INTO outbox"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(what, " after=", after), func(t *testing.T) {
				t.Parallel()
				f := newFaults(t)
				s := open(t, ready(t).WithDriver(f.name))
				var errs [3]error
				held(t, s, func() { f.failOn(what, after) },
					func() { _, errs[0] = s.InsertEvents(ctx, [][]byte{event("a", "TIG-1")}) },
					func() { _, errs[1] = s.InsertEvents(ctx, [][]byte{event("b", "TIG-1"), []byte("nonsense")}) },
					func() { _, errs[2] = s.InsertEvents(ctx, [][]byte{event("c", "TIG-1")}) })
				if fired := f.disarm(); !strings.HasPrefix(fired, what) {
					t.Errorf("%q failed, and %q should have", fired, what)
				}
				if _, refused := errors.AsType[*store.ConstraintError](errs[1]); errs[0] != nil || errs[2] != nil || !refused {
					t.Errorf("got %v", errs)
				}
				equal(t, "rows", fmt.Sprint(ids(t, s)), "[a c]")
			})
		}
	}
}

func TestARefusedStatementWithoutASavepointCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	s := open(t, ready(t).WithDriver(f.name))
	var errs [3]error
	savepoints := 0
	f.onCall(func(what string, nth int) {
		if what == "SAVEPOINT member" {
			savepoints = nth
		}
	})
	held(t, s, func() {},
		func() { _, errs[0] = s.InsertEvents(ctx, [][]byte{event("a", "TIG-1")}) },
		func() { _, errs[1] = s.InsertEvents(ctx, [][]byte{[]byte("nonsense")}) },
		func() { _, errs[2] = s.InsertEvents(ctx, [][]byte{event("c", "TIG-1")}) })
	if _, refused := errors.AsType[*store.ConstraintError](errs[1]); errs[0] != nil || errs[2] != nil || !refused {
		t.Errorf("got %v", errs)
	}
	equal(t, "rows", fmt.Sprint(ids(t, s), savepoints), "[a c] 0")
}

func TestAFullDiskAcknowledgesNothingThatIsNotThere(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	o := ready(t).WithDriver(f.name)
	s := open(t, o)
	insert(t, s, event("first", "TIG-1"))
	ok(t, s.Close())
	pages := get(t, stranger(t, o.Path), "PRAGMA page_count")
	n, err := strconv.Atoi(pages)
	ok(t, err)
	f.settings(fmt.Sprintf("&_pragma=max_page_count(%d)", n+40))
	s = open(t, o)
	var wait sync.WaitGroup
	var full atomic.Bool
	for w := range 8 {
		wait.Go(func() {
			for i := 0; !full.Load(); i++ {
				id := fmt.Sprintf("%d-%d", w, i)
				in, err := s.InsertEvents(ctx, [][]byte{append(event(id, "TIG-1"), slices.Repeat([]byte(" "), 2000)...)})
				if err != nil {
					full.Store(true)
					if e, is := errors.AsType[*sqlite.Error](err); !is || e.Code() != sqlite3.SQLITE_FULL {
						t.Errorf("a full disk is told as %v", err)
					}
				} else if e, err := s.Event(ctx, in[0].ID); err != nil || e.EventID != id {
					t.Errorf("acknowledged and not there: %v", err)
				}
			}
		})
	}
	wait.Wait()
	if err := s.Probe(ctx); err != nil {
		t.Logf("a small write does not fit either: %v", err)
	}
	f.settings("")
	ok(t, s.Close())
	s = open(t, o)
	insert(t, s, event("last", "TIG-1"))
	ok(t, s.Check(ctx))
}

func TestALockThatAnotherProcessHoldsFailsTheBatchOnce(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	s := open(t, ready(t).WithDriver(f.name))
	var errs [2]error
	held(t, s, func() { f.failOn("BEGIN IMMEDIATE", false) },
		func() { _, errs[0] = s.InsertEvents(ctx, [][]byte{event("a", "TIG-1")}) },
		func() { _, errs[1] = s.InsertEvents(ctx, [][]byte{event("b", "TIG-1")}) })
	if !errors.Is(errs[0], errInjected) || !errors.Is(errs[1], errInjected) {
		t.Errorf("got %v", errs)
	}
	insert(t, s, event("a", "TIG-1"))
}

func TestClosingFinishesWhatWaits(t *testing.T) {
	t.Parallel()
	o := ready(t)
	s := open(t, o)
	var errs [8]error
	var calls []func()
	for i := range errs {
		calls = append(calls, func() { _, errs[i] = s.InsertEvents(ctx, [][]byte{event(fmt.Sprint(i), "TIG-1")}) })
	}
	closed := make(chan error, 1)
	held(t, s, func() { go func() { closed <- s.Close() }() }, calls...)
	ok(t, <-closed)
	s = open(t, o)
	written := ids(t, s)
	for i, err := range errs {
		if err == nil != slices.Contains(written, fmt.Sprint(i)) {
			t.Errorf("writer %d got %v, written are %v", i, err, written)
		}
	}
}

func TestManyWritersAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	s := open(t, ready(t))
	var wait sync.WaitGroup
	for w := range 16 {
		wait.Go(func() {
			for i := range 50 {
				ctx, cancel := context.WithCancel(ctx)
				if i%7 == 0 {
					go cancel()
				}
				id := fmt.Sprintf("%d-%d", w, i)
				in, err := s.InsertEvents(ctx, [][]byte{event(id, fmt.Sprint("TIG-", w))})
				cancel()
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if err == nil {
					if e, err := s.Event(context.Background(), in[0].ID); err != nil || e.EventID != id {
						t.Errorf("acknowledged and not there: %v, %v", e.EventID, err)
					}
				}
			}
		})
	}
	wait.Wait()
	ok(t, s.Check(ctx))
}

// A handler of net/http survives a panic, so whoever panics in its goroutine must not take the write connection along.
func TestAPanicOfALoneWriterHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nobody panicked")
			}
		}()
		s.PanicAlone()
	}()
	within, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := s.InsertEvents(within, [][]byte{event("a", "TIG-1")}); err != nil {
		t.Fatal(err)
	}
}
