package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

const pageSize = 4096

// withEvents is a closed database with that many events, each of them on an overflow page of its own.
func withEvents(t testing.TB, events int) store.Options {
	t.Helper()
	o := ready(t)
	s := open(t, o)
	var payloads [][]byte
	for i := range events {
		payloads = append(payloads, append(event(fmt.Sprintf("e%03d", i), fmt.Sprint("TIG-", i%7)), bytes.Repeat([]byte(" "), 2*pageSize)...))
	}
	insert(t, s, payloads...)
	ok(t, s.Close())
	return o
}

// spoil overwrites a page of the file, which nobody has open. The first page is 1.
func spoil(t testing.TB, path string, page int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	ok(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0x5a}, pageSize), int64(page-1)*pageSize)
	ok(t, errors.Join(err, f.Close()))
}

// rootOf is the first page of a table.
func rootOf(t testing.TB, path, table string) int {
	t.Helper()
	db := stranger(t, path)
	defer db.Close()
	n, err := strconv.Atoi(get(t, db, "SELECT rootpage FROM sqlite_schema WHERE name = ?", table))
	ok(t, err)
	return n
}

// wantDamaged fails unless an error names the file, what is wrong with it, and the mend, in one line.
func wantDamaged(t testing.TB, err error, path string, what ...string) {
	t.Helper()
	if !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("got %v, want damage", err)
	}
	for _, w := range append(what, path+" is damaged", "put a backup in its place", "A damaged database") {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than a line: %v", err)
	}
}

func TestADamagedFileIsRefusedByNameAndLeftAsItIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, path string)
		says  string
	}{
		"its first page": {func(t *testing.T, path string) { spoil(t, path, 1) }, "its beginning is not a database's"},
		"the queue":      {func(t *testing.T, path string) { spoil(t, path, rootOf(t, path, "outbox")) }, "table outbox"},
		"the inbox":      {func(t *testing.T, path string) { spoil(t, path, rootOf(t, path, "inbox")) }, "table inbox"},
		"an index":       {func(t *testing.T, path string) { spoil(t, path, rootOf(t, path, "outbox_unfinished")) }, "index outbox_unfinished"},
		"the half of it": {func(t *testing.T, path string) { ok(t, os.Truncate(path, 100*pageSize)) }, "malformed"},
		"all of it but a WAL": {func(t *testing.T, path string) {
			ok(t, os.Truncate(path, 0))
			ok(t, os.WriteFile(path+"-wal", []byte("the last"), 0o600))
		}, "it is empty"},
		"a page of its schema": {func(t *testing.T, path string) { spoil(t, path, 2) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := withEvents(t, 100)
			c.spoil(t, o.Path)
			before := bytesOf(t, o.Path)
			for range 2 { // the second start knows it from the first
				s, err := store.Open(ctx, o)
				if err == nil {
					s.Close()
				}
				wantDamaged(t, err, o.Path, c.says)
			}
			o.Owner = false
			if s, err := store.Open(ctx, o); err == nil {
				_, err = s.InsertEvents(ctx, [][]byte{event("beside", "TIG-1")})
				s.Close()
				wantDamaged(t, err, o.Path)
			} else {
				wantDamaged(t, err, o.Path)
			}
			if bytesOf(t, o.Path) != before {
				t.Error("the damaged file was changed")
			}
		})
	}
}

func TestALargeFileIsLookedThroughOnceItIsOpen(t *testing.T) {
	t.Parallel()
	o := withEvents(t, 1)
	s := open(t, o)
	for i := range 10 {
		insert(t, s, fmt.Appendf(nil, `{"id":"large-%d","type":"incident.updated","incident":{"id":"TIG-1"},"x":"%s"}`, i, strings.Repeat("x", 1<<20)))
	}
	ok(t, s.LookThrough(ctx))
	s.Close() // which moves the WAL into the file
	spoil(t, o.Path, rootOf(t, o.Path, "inbox"))

	s, err := store.Open(ctx, o)
	if err != nil {
		t.Fatal("a start waits for a look through a large file:", err)
	}
	defer s.Close()
	wantDamaged(t, s.LookThrough(ctx), o.Path, "table inbox")
	wantDamaged(t, s.Damaged(), o.Path, "table inbox")
	_, err = s.InsertEvents(ctx, [][]byte{event("late", "TIG-1")})
	wantDamaged(t, err, o.Path)
}

// After an outage a start has a backlog to take in, which a long read would hold up.
func TestALookThroughALargeFileWaitsForABusyWriter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ busy, least, most time.Duration }{
		"at rest":     {0, 0, time.Second},
		"busy":        {3 * time.Second, 3 * time.Second, 4 * time.Second},
		"busy always": {40 * time.Second, 30 * time.Second, 31 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := withEvents(t, 1)
			s := open(t, o)
			for i := range 10 {
				insert(t, s, fmt.Appendf(nil, `{"id":"large-%d","type":"incident.updated","incident":{"id":"TIG-1"},"x":"%s"}`, i, strings.Repeat("x", 1<<20)))
			}
			s.Close()
			spoil(t, o.Path, rootOf(t, o.Path, "inbox"))
			synctest.Test(t, func(t *testing.T) {
				s, err := store.Open(ctx, o)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				began := time.Now()
				var writer sync.WaitGroup
				defer writer.Wait()
				writer.Go(func() {
					for i := 0; time.Since(began) < c.busy && s.Damaged() == nil; i++ {
						_, _ = s.InsertEvents(ctx, [][]byte{event(fmt.Sprint("e", i), "TIG-1")}) // refused once the damage is found
						time.Sleep(40 * time.Millisecond)
					}
				})
				wantDamaged(t, s.LookThrough(ctx), o.Path, "table inbox")
				if after := time.Since(began); after < c.least || after > c.most {
					t.Errorf("the look ended after %s, want %s to %s", after, c.least, c.most)
				}
			})
		})
	}
}

func TestDamageThatShowsWhileItRunsEndsAllWriting(t *testing.T) {
	t.Parallel()
	o := withEvents(t, 100)
	log := &logged{}
	o.Logger = log.logger()
	s := open(t, o)
	if err := s.Damaged(); err != nil {
		t.Fatalf("a sound file: %v", err)
	}
	// As a disk does that goes bad. The file is written to, not opened and closed: that would take this process's locks.
	spoilOpen(t, o.Path, rootOf(t, o.Path, "webhook"))
	_, err := s.InsertWebhook(ctx, "msg_1", []byte(`{}`))
	wantDamaged(t, err, o.Path)
	wantDamaged(t, s.Damaged(), o.Path)
	_, err = s.InsertEvents(ctx, [][]byte{event("later", "TIG-1")})
	wantDamaged(t, err, o.Path)
	wantDamaged(t, s.Probe(ctx), o.Path)
	wantDamaged(t, s.Checkpoint(ctx), o.Path)
	if n := log.count("the database is damaged"); n != 1 {
		t.Errorf("told %d times in the log, want once", n)
	}
	if rows, err := s.Outbox(ctx, store.OutboxQuery{}); err != nil || len(rows) != 100 {
		t.Errorf("what is whole can't be read any more: %d rows, %v", len(rows), err)
	}
	ok(t, s.Close())
	if got := get(t, stranger(t, o.Path), "SELECT count(*) FROM outbox WHERE event_id = 'later'"); got != "0" {
		t.Error("an event went into the damaged file")
	}
	if note := bytesOf(t, o.Path+".damaged"); !strings.Contains(note, "malformed") || !strings.Contains(note, "put a backup in its place") {
		t.Errorf("the note beside the file says %q", note)
	}
}

// While a note is there the whole file is read, and a file found whole is used again.
func TestAFileThatWasMendedIsTakenAndTheNoteGoes(t *testing.T) {
	t.Parallel()
	o := withEvents(t, 3)
	ok(t, os.WriteFile(o.Path+".damaged", []byte("an earlier start found something"), 0o600))
	s := open(t, o)
	insert(t, s, event("after", "TIG-1"))
	if _, err := os.Stat(o.Path + ".damaged"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the note is there still: %v", err)
	}
}

// spoilOpen overwrites a page of a file that this process has open.
func spoilOpen(t testing.TB, path string, page int) {
	t.Helper()
	run(t, "dd", "if=/dev/urandom", "of="+path, "bs=4096", "count=1", "conv=notrunc", fmt.Sprint("seek=", page-1))
}

// SQLite would go on writing to a file that nobody finds any more.
func TestNothingIsAcknowledgedIntoAFileThatWasMoved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(path string) error{
		"moved":   func(path string) error { return os.Rename(path, path+".old") },
		"deleted": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, []byte("x"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := ready(t)
			log := &logged{}
			o.Logger = log.logger()
			s := open(t, o)
			insert(t, s, event("before", "TIG-1"))
			ok(t, c(o.Path))
			var err error
			eventually(t, func() bool {
				_, err = s.InsertEvents(ctx, [][]byte{event("after", "TIG-1")})
				return err != nil
			})
			if !errors.Is(err, store.ErrMoved) || !errors.Is(s.Damaged(), store.ErrMoved) || !errors.Is(s.Probe(ctx), store.ErrMoved) {
				t.Errorf("got %v, %v, %v", err, s.Damaged(), s.Probe(ctx))
			}
			if n := log.count("the database was moved"); n != 1 {
				t.Errorf("told %d times", n)
			}
			if _, err := os.Stat(o.Path + ".damaged"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("there is a note of damage beside the new file: %v", err)
			}
		})
	}
}
