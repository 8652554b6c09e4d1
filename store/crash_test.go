package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// cut is the database and its WAL as a power cut leaves them.
type cut struct{ db, wal []byte }

// afterCommits runs commits on a store that makes no checkpoint, with what a reader or Litestream would keep from the
// file, and gives the files as they were after each: the first is that before any.
func afterCommits(t *testing.T, commits int) (cuts []cut) {
	t.Helper()
	o := ready(t)
	o.Litestream = true
	s := open(t, o)
	// Read as another process would: to open and close the file here would take this one's locks.
	now := func() cut {
		return cut{[]byte(run(t, "cat", o.Path)), []byte(run(t, "cat", o.Path+"-wal"))}
	}
	cuts = append(cuts, now())
	for i := range commits {
		insert(t, s, append(event(fmt.Sprint("e", i), fmt.Sprint("TIG-", i%3)), bytes.Repeat([]byte(" "), 1000*(i%5))...))
		cuts = append(cuts, now())
	}
	return cuts
}

// revive starts on what a power cut left and gives the ids of the events that are there.
func revive(t *testing.T, c cut) []string {
	t.Helper()
	o := options(t)
	ok(t, os.WriteFile(o.Path, c.db, 0o600))
	ok(t, os.WriteFile(o.Path+"-wal", c.wal, 0o600))
	s := open(t, o)
	ok(t, s.Check(ctx))
	found := ids(t, s)
	insert(t, s, event("after the power cut", "TIG-1"))
	ok(t, s.Close())
	return found
}

// A WAL that ends anywhere, in whatever a half-written sector holds, loses nothing of a commit that was acknowledged,
// and nothing of one that was not is half there.
func TestATornWALHoldsEveryAcknowledgedCommit(t *testing.T) {
	t.Parallel()
	const commits = 12
	cuts := afterCommits(t, commits)
	whole := cuts[commits]
	rng := rand.New(rand.NewPCG(1, 2))
	acknowledged := func(length int) (n int) {
		for n = commits; n > 0 && len(cuts[n].wal) > length; n-- {
		}
		return n
	}
	for range 15 / everyNth {
		length := len(cuts[0].wal) + rng.IntN(len(whole.wal)-len(cuts[0].wal)+1)
		for name, rest := range map[string][]byte{
			"missing": nil,
			"zeros":   make([]byte, len(whole.wal)-length),
			"garbage": bytes.Repeat([]byte{0x5a}, len(whole.wal)-length),
		} {
			found := revive(t, cut{whole.db, append(slices.Clone(whole.wal[:length]), rest...)})
			if n := acknowledged(length); len(found) != n {
				t.Errorf("the WAL torn at byte %d, the rest %s: %d events, want the %d that were acknowledged", length, name, len(found), n)
			}
		}
	}
}

// A kill in a checkpoint leaves some pages of the file new, some old, and some half and half; the WAL has them all.
func TestAKillInACheckpointLosesNothing(t *testing.T) {
	t.Parallel()
	const commits, sector = 40, 512
	cuts := afterCommits(t, commits)
	before := cuts[commits]
	after := options(t)
	ok(t, os.WriteFile(after.Path, before.db, 0o600))
	ok(t, os.WriteFile(after.Path+"-wal", before.wal, 0o600))
	ok(t, open(t, after).Close()) // moves the WAL into the file
	moved := []byte(bytesOf(t, after.Path))
	if len(moved) <= len(before.db) || bytes.Equal(moved[:len(before.db)], before.db) {
		t.Fatalf("the checkpoint moved nothing: %d bytes before, %d after", len(before.db), len(moved))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 0; n < 20; n += everyNth {
		mixed := slices.Clone(before.db)
		if n%2 == 0 { // the file has grown already
			mixed = append(mixed, make([]byte, len(moved)-len(mixed))...)
		}
		for at := 0; at < len(mixed); at += sector {
			if rng.IntN(20) < n {
				copy(mixed[at:at+sector], moved[at:])
			}
		}
		if found := revive(t, cut{mixed, before.wal}); len(found) != commits {
			t.Errorf("cut %d: %d events, want %d", n, len(found), commits)
		}
	}
}

// A copy made under load holds all that was acknowledged before it was asked for, and is whole.
func TestABackupUnderLoadHoldsWhatWasAcknowledgedBefore(t *testing.T) {
	t.Parallel()
	o := ready(t)
	s := open(t, o)
	dir := t.TempDir()
	var mu sync.Mutex
	var told []string
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", w, i)
				if _, err := s.InsertEvents(ctx, [][]byte{append(event(id, fmt.Sprint("TIG-", w)), bytes.Repeat([]byte(" "), 3000)...)}); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				told = append(told, id)
				mu.Unlock()
			}
		})
	}
	for n := range 5 {
		eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(told) > (n+1)*40 })
		mu.Lock()
		before := slices.Clone(told)
		mu.Unlock()
		to := filepath.Join(dir, fmt.Sprint(n, ".db"))
		ok(t, s.Backup(ctx, to))
		copied, err := sql.Open("sqlite", "file:"+to)
		ok(t, err)
		equal(t, "integrity", get(t, copied, "PRAGMA integrity_check"), "ok")
		for _, id := range before {
			if get(t, copied, "SELECT count(*) FROM outbox WHERE event_id = ?", id) != "1" {
				t.Errorf("backup %d lacks %s, which was acknowledged before", n, id)
			}
		}
		ok(t, copied.Close())
	}
	close(stop)
	writers.Wait()
	if _, err := os.Stat(filepath.Join(dir, "0.db-wal")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a copy needs a WAL beside it: %v", err)
	}
}
