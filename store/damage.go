package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A file that is damaged is left as it is: whatever is written to it may spread the damage over what could still be
// saved, and a fresh file in its place would silently lose the events that wait. So nothing is written from the moment
// that damage shows, and what was found is noted beside the file, in PATH.damaged. While that note is there, whoever
// opens the file for writing reads all of it first; the owner takes the note away once the file is found whole, because
// it was mended or replaced, or because the disk or the memory only erred for a moment.

// checkAtOnce is up to how many bytes a file is looked through before it is opened: a start must not wait for a larger one.
// checkWithin bounds LookThrough, which looks at that (464 MB take 0.75 s). What lies beyond is found when it is read.
// LookThrough waits until there are fewer than calmTransactions in calmFor, but not longer than calmAtLast: it takes a
// processor and keeps the WAL from the file, while after an outage a start has a backlog to take in.
const (
	checkAtOnce = 8 << 20
	checkWithin = time.Second

	calmFor          = 250 * time.Millisecond
	calmTransactions = 5
	calmAtLast       = 30 * time.Second
)

// damageNote is what is put behind the file's name for the note.
const damageNote = ".damaged"

// health is what is known of the file.
type health struct {
	mu     sync.Mutex
	lost   error // set once damage was found, or the file was moved; never taken back while it is open
	opened bool  // before, whoever opens it is told
	looked bool  // through all of it, at the start

	file   fs.FileInfo  // as it was opened
	lookAt atomic.Int64 // when it was last looked whether it is still there
}

// Damaged tells what is damaged, or that the file was moved, and what to do; nil while nothing is known to be wrong.
// Nothing is written once something is.
func (s *Store) Damaged() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.lost
}

// movedLook is how often a writer looks whether the file is still the one that was opened.
const movedLook = 10 * time.Millisecond

// stillThere tells whether the name still leads to the file that is open. SQLite goes on writing to one that was moved or
// deleted, where nobody would ever find what is acknowledged.
func (s *Store) stillThere() error {
	now, last := time.Now().UnixNano(), s.health.lookAt.Load()
	if now-last < int64(movedLook) || !s.health.lookAt.CompareAndSwap(last, now) {
		return s.Damaged()
	}
	info, err := os.Stat(s.o.Path)
	if err == nil && os.SameFile(info, s.health.file) || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.Damaged()
	}
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if s.health.lost == nil {
		s.health.lost = fmt.Errorf("%s was moved, deleted or replaced while it was open, so nothing more is written: restart the agent,"+
			" once the file that it is to go on with has that name: %w", s.o.Path, ErrMoved)
		s.o.Logger.Error("the database was moved, nothing more is written to it", "database", s.o.Path, "error", s.health.lost)
	}
	return s.health.lost
}

// sound passes an error on. One by which SQLite says that the file is damaged is noted and told by the file's name.
func (s *Store) sound(err error) error {
	if !tellsDamage(err) {
		return err
	}
	return s.damaged(sqliteWords(err))
}

// sqliteWords are what SQLite says, without what was attempted.
func sqliteWords(err error) string {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Error()
	}
	return err.Error()
}

func tellsDamage(err error) bool {
	c := code(err) & 0xff
	return c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB
}

// damaged notes what was found, and gives the error that tells of it from now on.
func (s *Store) damaged(what string) error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if s.health.lost != nil {
		return s.health.lost
	}
	s.health.lost = damagedError(s.o.Path, what)
	if s.health.opened {
		s.o.Logger.Error("the database is damaged, nothing more is written to it", "database", s.o.Path, "error", s.health.lost)
	}
	if !s.o.ReadOnly {
		s.note(what)
	}
	return s.health.lost
}

// note leaves what was found for the next start. Where even that can't be written, the next look finds it again.
func (s *Store) note(what string) {
	path := s.o.Path + damageNote
	if err := s.sharing.create(path); err != nil {
		return
	}
	text := fmt.Sprintf("%s %s\n", formatTime(time.Now()), damagedError(s.o.Path, what))
	if err := os.WriteFile(path, []byte(text), s.sharing.mode); err == nil {
		_ = s.sharing.share(path)
	}
}

// noted is what a note says, empty where there is none.
func (s *Store) noted() string {
	b, err := os.ReadFile(s.o.Path + damageNote)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func damagedError(path, what string) error {
	return fmt.Errorf("%s is damaged (%s) and left as it is: put a backup in its place, or save what is left in it"+
		" (README, A damaged database): %w", path, what, ErrDamaged)
}

// checkAtStart looks for damage before anything is written: at all of the file where an earlier look found some, or where
// it is small.
func (s *Store) checkAtStart(ctx context.Context) error {
	_, err := os.Stat(s.o.Path + damageNote)
	if noted := err == nil; noted {
		if err := s.Check(ctx); err != nil {
			return err
		}
		s.health.looked = true
		if s.o.Owner {
			if err := os.Remove(s.o.Path + damageNote); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("taking away the note of damage: %w", err)
			}
			s.o.Logger.Info("the database was damaged and is whole again", "database", s.o.Path)
		}
		return nil
	}
	info, err := os.Stat(s.o.Path)
	if err != nil {
		return fmt.Errorf("looking at the database: %w", err)
	}
	if !s.o.Owner || info.Size() > checkAtOnce {
		return nil
	}
	s.health.looked = true
	return s.check(ctx, "quick_check")
}

// LookThrough looks at a file that was too large for a look at the start, for checkWithin, once little is written. What it
// finds is what Damaged tells from then on.
func (s *Store) LookThrough(ctx context.Context) error {
	if s.health.looked {
		return nil
	}
	s.calm(ctx)
	within, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	if err := s.check(within, "quick_check"); err != nil && (within.Err() == nil || errors.Is(err, ErrDamaged)) {
		return err
	}
	return ctx.Err()
}

// calm waits until little is written.
func (s *Store) calm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, calmAtLast)
	defer cancel()
	tick := time.NewTicker(calmFor)
	defer tick.Stop()
	for before := s.writer.transactions.Load(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.writer.transactions.Load()
		if now-before < calmTransactions {
			return
		}
		before = now
	}
}

// Check reads the whole file and answers with what is wrong in it.
func (s *Store) Check(ctx context.Context) error { return s.check(ctx, "integrity_check") }

// checkSettings are those of a connection of its own, so that no reader waits. A row that breaks a rule of the schema is
// no damage.
var checkSettings = url.Values{
	"mode":          {"rw"},
	"_busy_timeout": {strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
	"_query_only":   {"1"},
	"_pragma":       {"ignore_check_constraints(1)"},
}

func (s *Store) check(ctx context.Context, pragma string) error {
	db, err := sql.Open(s.o.driver, dsn(s.o.Path, checkSettings))
	if err != nil {
		return fmt.Errorf("checking %s: %w", s.o.Path, err)
	}
	defer db.Close()
	var found string
	// The first finding is enough to know, and people see the others with the shell.
	switch err := db.QueryRowContext(ctx, "PRAGMA "+pragma+"(1)").Scan(&found); {
	case err != nil:
		return s.sound(fmt.Errorf("checking %s: %w", s.o.Path, err))
	case found != "ok":
		return s.damaged(nameTrees(ctx, db, found))
	}
	return nil
}

var treeNumber = regexp.MustCompile(`^Tree (\d+) `)

// nameTrees puts the table's or index's name before what the check says of a tree by its number.
func nameTrees(ctx context.Context, db *sql.DB, found string) string {
	found = strings.TrimPrefix(strings.Join(strings.Fields(found), " "), "*** in database main *** ")
	if m := treeNumber.FindStringSubmatch(found); m != nil {
		var name string
		if err := db.QueryRowContext(ctx, `SELECT type || ' ' || name FROM sqlite_schema WHERE rootpage = ?`, m[1]).Scan(&name); err == nil {
			return name + ": " + found
		}
	}
	return found
}
