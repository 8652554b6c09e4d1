package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

// A stranger may come at any moment of a hold, and his sleeps may take a fifth longer than he asked for.
func TestAStrangerMeetsTheLockFreeAfterAHold(t *testing.T) {
	t.Parallel()
	sleeps := []time.Duration{1, 2, 5, 10} // of SQLite's busy handler, in milliseconds
	const step = 50 * time.Microsecond
	for held := time.Duration(0); held <= 18*time.Millisecond; held += step {
		free := held + store.PauseAfter(held)
		for came := time.Duration(0); came < held; came += step {
			for _, late := range []time.Duration{0, 10, 20} {
				try := came
				for _, sleep := range sleeps {
					if try < held {
						try += sleep * time.Millisecond * (100 + late) / 100
					}
				}
				if try < held || try >= free {
					t.Fatalf("the lock is held for %v and free until %v: who comes after %v, %d %% late, tries at %v", held, free, came, late, try)
				}
			}
		}
		if pause, most := store.PauseAfter(held), max(2*time.Millisecond, 4*held); pause > most {
			t.Fatalf("after %v the agent waits for %v", held, pause)
		}
	}
	equal(t, "after a very long hold", store.PauseAfter(time.Minute), store.PauseAfter(18*time.Millisecond))
}

// hands is a clock that moves when it is told to.
type hands struct {
	mu    sync.Mutex
	t     time.Time
	slept []time.Duration

	whenAsleep func() // called in each sleep
}

func (h *hands) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.t
}

func (h *hands) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.t = h.t.Add(d)
}

func (h *hands) sleep(d time.Duration) {
	if h.whenAsleep != nil {
		h.whenAsleep()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slept = append(h.slept, d)
	h.t = h.t.Add(d)
}

// pauses tells for how long the lock was left free since the last call.
func (h *hands) pauses() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.slept = nil }()
	return fmt.Sprint(h.slept)
}

// beside opens a store beside a stranger. come lets him commit something, and the store find out.
func beside(t *testing.T) (s *store.Store, f *faults, db *sql.DB, h *hands, come func()) {
	t.Helper()
	f, h = newFaults(t), &hands{t: time.Now()}
	o := ready(t).WithDriver(f.name).WithClock(h.now, h.sleep)
	s, db = open(t, o), stranger(t, o.Path)
	must[int64](t)(s.DataVersion(ctx))
	return s, f, db, h, func() {
		exec(t, db, "INSERT INTO meta (key, value) VALUES ('stranger', '') ON CONFLICT DO UPDATE SET value = value || '.'")
		must[int64](t)(s.DataVersion(ctx))
		h.move(store.PauseAfter(0))
	}
}

const inserting = "INSERT INTO outbox"

func TestTheLockIsLeftFreeOnlyWhileAStrangerWrites(t *testing.T) {
	t.Parallel()
	s, f, _, h, come := beside(t)
	const held = 2 * time.Millisecond
	f.onCall(func(what string, _ int) {
		if strings.HasPrefix(what, inserting) || strings.HasPrefix(what, "PRAGMA incremental_vacuum") {
			h.move(held)
		}
	})
	write := func(id string) { insert(t, s, event(id, "TIG-1")) }
	pauses := func(what string, want ...time.Duration) {
		t.Helper()
		equal(t, what, h.pauses(), fmt.Sprint(want))
	}
	write("a")
	write("b")
	pauses("pauses without a stranger")
	come()
	write("c")
	pauses("pauses before the first write")
	write("d")
	pauses("pauses between two writes", store.PauseAfter(held))
	h.move(time.Millisecond)
	write("e")
	pauses("pauses between two writes a millisecond apart", store.PauseAfter(held)-time.Millisecond)
	h.move(store.PauseAfter(held))
	ok(t, s.IncrementalVacuum(ctx, 1))
	pauses("pauses where all of it has gone by")
	write("f")
	pauses("pauses between free pages that are given back and a write", store.PauseAfter(held))
	h.move(2 * time.Second)
	write("g")
	write("h")
	pauses("pauses once he has gone")
	h.move(5 * time.Second)

	come()
	h.move(200 * time.Millisecond)
	write("i")
	write("j")
	pauses("pauses a while after he wrote once")
	h.move(5 * time.Second) // as long as he may have waited for the lock
	come()
	h.move(900 * time.Millisecond)
	write("k")
	write("l")
	pauses("pauses a while after he wrote again", store.PauseAfter(held))
	h.move(200 * time.Millisecond)
	write("m")
	write("n")
	pauses("pauses a second after he wrote last")
}

// To wait for the stranger's lock is not to hold it: a lone event begins a transaction then, which tells the one from the other.
func TestTheWaitForAStrangersLockIsNoHold(t *testing.T) {
	t.Parallel()
	s, f, _, h, come := beside(t)
	const wait, held = 15 * time.Millisecond, 2 * time.Millisecond
	locked := false
	f.onCall(func(what string, _ int) {
		takes := what == "BEGIN IMMEDIATE" || strings.HasPrefix(what, inserting)
		if takes && !locked {
			h.move(wait)
		}
		if strings.HasPrefix(what, inserting) {
			h.move(held)
		}
		locked = takes || locked && what != "COMMIT"
	})
	come()
	insert(t, s, event("a", "TIG-1"))
	insert(t, s, event("b", "TIG-1"))
	equal(t, "pauses", h.pauses(), fmt.Sprint([]time.Duration{store.PauseAfter(held)}))
}

func TestBatchesAreShortWhileAStrangerWrites(t *testing.T) {
	t.Parallel()
	s, f, db, h, come := beside(t)
	var errs [10]error
	done := make([]chan struct{}, len(errs))
	calls := make([]func(), len(errs))
	leave := make([]func(), len(errs))
	for i := range errs {
		of, cancel := context.WithCancel(ctx)
		defer cancel()
		leave[i], done[i] = cancel, make(chan struct{})
		calls[i] = func() {
			defer close(done[i])
			_, errs[i] = s.InsertEvents(of, [][]byte{event(fmt.Sprint(i), "TIG-1")})
		}
	}
	insertsTakeAMillisecond := func(what string) {
		if strings.HasPrefix(what, inserting) {
			h.move(time.Millisecond)
		}
	}
	f.onCall(func(what string, _ int) { insertsTakeAMillisecond(what) })
	var others []func()
	for i := range errs {
		others = append(others, func() { insert(t, s, event(fmt.Sprint("other ", i), "TIG-2")) })
	}
	held(t, s, nothing, others...)
	equal(t, "commits without a stranger", f.count("COMMIT"), 1)

	come()
	pauses := 0
	f.onCall(func(what string, nth int) {
		insertsTakeAMillisecond(what)
		if strings.HasPrefix(what, inserting) && nth == 1 {
			leave[4]() // the writer has taken him, and will put him back
			go calls[9]()
			eventually(t, func() bool { return s.Queued() == 1 })
		}
	})
	h.whenAsleep = func() {
		if pauses++; pauses == 2 { // after the first batch
			leave[8]()
			<-done[8]
		}
	}
	held(t, s, nothing, calls[:9]...)
	<-done[9]
	equal(t, "commits for 8 writers of a millisecond each", f.count("COMMIT"), 4)
	equal(t, "rows", get(t, db, "SELECT group_concat(event_id, ' ' ORDER BY id) FROM outbox WHERE incident_key = 'TIG-1'"), "0 1 2 3 5 6 7 9")
	for i, err := range errs {
		if left := errors.Is(err, context.Canceled); left != (i == 4 || i == 8) || err != nil && !left {
			t.Errorf("writer %d: %v", i, err)
		}
	}
}
