package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tigerops/tigerops-incidentio/sqlmigrations"
	"github.com/tigerops/tigerops-incidentio/store"
)

// later is the schema of a program to come.
func later(t testing.TB) fs.FS {
	t.Helper()
	first, err := fs.ReadFile(sqlmigrations.FS, "00001_schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{
		"00001_schema.sql": {Data: first},
		"00002_later.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE later (x TEXT) STRICT;\nPRAGMA user_version = 2;\n")},
	}
}

func TestOpenMakesAFileWithTheSettingsThatThePromisesNeed(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Path = filepath.Join(filepath.Dir(o.Path), "made", "here", "test.db")
	open(t, o)
	db := stranger(t, o.Path)
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "auto_vacuum": "2", "user_version": "1", "application_id": fmt.Sprint(sqlmigrations.ApplicationID),
	} {
		equal(t, pragma, get(t, db, "PRAGMA "+pragma), want)
	}
	for path, want := range map[string]fs.FileMode{
		filepath.Dir(o.Path): 0o700, o.Path: 0o600, o.Path + "-wal": 0o600, o.Path + "-shm": 0o600, o.Path + ".lock": 0o600,
	} {
		equal(t, "mode of "+filepath.Base(path), must[fs.FileInfo](t)(os.Stat(path)).Mode().Perm(), want)
	}
}

func TestAnAwkwardPathIsTakenLiterally(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Path = filepath.Join(filepath.Dir(o.Path), "a b?c#d%41&e.db")
	s := open(t, o)
	insert(t, s, event("a", "TIG-1"))
	if _, err := os.Stat(o.Path); err != nil {
		t.Error(err)
	}
	ok(t, s.Backup(ctx, o.Path+".copy ?"))
}

func TestFilesAreSharedThroughASetgidDirectory(t *testing.T) {
	t.Parallel()
	o := options(t)
	ok(t, os.Chmod(filepath.Dir(o.Path), fs.ModeSetgid|0o770))
	s := open(t, o)
	insert(t, s, event("a", "TIG-1"))
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		equal(t, "mode of the file"+suffix, must[fs.FileInfo](t)(os.Stat(o.Path+suffix)).Mode().Perm(), 0o660)
	}
}

func TestFilesAreSharedThroughAGroupThatIsNamed(t *testing.T) {
	t.Parallel()
	g, err := user.LookupGroupId(fmt.Sprint(os.Getgid()))
	if err != nil {
		t.Skip("this user's group has no name:", err)
	}
	o := options(t)
	ok(t, open(t, o).Close()) // private at first
	o.Group = g.Name
	open(t, o)
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		equal(t, "mode of the file"+suffix, must[fs.FileInfo](t)(os.Stat(o.Path+suffix)).Mode().Perm(), 0o660)
	}
	o.Path = filepath.Join(filepath.Dir(o.Path), "new", "test.db")
	open(t, o)
	equal(t, "mode of the new directory", must[fs.FileInfo](t)(os.Stat(filepath.Dir(o.Path))).Mode(), fs.ModeDir|fs.ModeSetgid|0o770)

	o.Group = "no-such-group-here"
	if _, err := store.Open(ctx, o); err == nil {
		t.Error("a group that does not exist was accepted")
	}
}

func TestOneProcessOwnsTheFile(t *testing.T) {
	t.Parallel()
	o := options(t)
	s := open(t, o)
	_, err := store.Open(ctx, o)
	if !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) || !strings.Contains(err.Error(), o.Path) {
		t.Errorf("a second owner got %v", err)
	}
	beside := o
	beside.Owner = false
	insert(t, open(t, beside), event("a", "TIG-1"))
	ok(t, s.Close())
	ok(t, s.Close())
	if _, err := os.Stat(o.Path + ".lock"); err != nil {
		t.Error("the lock file is gone:", err)
	}
	open(t, o)
}

func TestOneProcessOwnsTheFileWhateverItIsCalled(t *testing.T) {
	t.Parallel()
	o := options(t)
	byLink := o
	byLink.Path = filepath.Join(t.TempDir(), "link.db")
	second := filepath.Join(filepath.Dir(byLink.Path), "second.db")
	ok(t, os.Symlink(o.Path, second))
	ok(t, os.Symlink("second.db", byLink.Path)) // to a link, and to a file that is not there yet
	s := open(t, byLink)
	if _, err := store.Open(ctx, o); !errors.Is(err, store.ErrInUse) {
		t.Errorf("an owner beside one who came by a link got %v", err)
	}
	insert(t, s, event("a", "TIG-1"))
	if _, err := os.Stat(o.Path + "-wal"); err != nil {
		t.Error("the file is not where the links lead:", err)
	}
	ok(t, s.Close())
	open(t, o)
	if _, err := store.Open(ctx, byLink); !errors.Is(err, store.ErrInUse) {
		t.Errorf("an owner who came by a link got %v", err)
	}
}

func TestAnEventCanBePutInBeforeTheAgentEverRan(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Owner = false
	s := open(t, o)
	insert(t, s, event("a", "TIG-1"))
	o.Owner = true
	if heads, _, err := open(t, o).Heads(ctx); err != nil || len(heads) != 1 {
		t.Errorf("heads %v, %v", heads, err)
	}
}

func TestANewerFileIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	for name, crashed := range map[string]bool{"closed": false, "with a WAL": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			s := open(t, o.WithMigrations(later(t)))
			insert(t, s, event("a", "TIG-1"))
			path := o.Path
			if crashed {
				// As kill -9 leaves it: all that is newer stands in the WAL alone.
				path = filepath.Join(t.TempDir(), "crashed.db")
				copyCrashed(t, o.Path, path)
			}
			ok(t, s.Close())
			o.Path = path
			before := filesBeside(t, path)
			for _, owner := range []bool{true, false} {
				o.Owner = owner
				_, err := store.Open(ctx, o)
				if !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "up to 1") {
					t.Errorf("got %v", err)
				}
			}
			after := filesBeside(t, path)
			delete(after, filepath.Base(path)+"-shm") // SQLite's index of the WAL, no data
			delete(before, filepath.Base(path)+"-shm")
			sameFiles(t, after, before)
		})
	}
}

// copyCrashed copies a live database with its WAL through a process of its own: this one must not open and close
// files that SQLite holds locks on.
func copyCrashed(t testing.TB, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		run(t, "cp", from+suffix, to+suffix)
	}
}

func TestAStrangersFileIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(t *testing.T, path string){
		"another program's tables": func(t *testing.T, path string) {
			exec(t, stranger(t, path), "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
		},
		"another program's id":      func(t *testing.T, path string) { exec(t, stranger(t, path), "PRAGMA application_id = 77") },
		"another program's version": func(t *testing.T, path string) { exec(t, stranger(t, path), "PRAGMA user_version = 3") },
		"no SQLite file":            func(t *testing.T, path string) { ok(t, os.WriteFile(path, bytes.Repeat([]byte("text "), 1000), 0o600)) },
		"a directory":               func(t *testing.T, path string) { ok(t, os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			fill(t, o.Path)
			before := filesBeside(t, o.Path)
			for _, owner := range []bool{true, false} {
				o.Owner = owner
				if _, err := store.Open(ctx, o); !errors.Is(err, store.ErrForeign) || !strings.Contains(err.Error(), o.Path) {
					t.Errorf("got %v", err)
				}
			}
			sameFiles(t, filesBeside(t, o.Path), before)
		})
	}
}

func TestAnEmptyFileIsFilled(t *testing.T) {
	t.Parallel()
	o := options(t)
	ok(t, os.WriteFile(o.Path, nil, 0o600))
	insert(t, open(t, o), event("a", "TIG-1"))
}

func TestACopyIsKeptBeforeAMigration(t *testing.T) {
	t.Parallel()
	o := options(t)
	s := open(t, o)
	insert(t, s, event("a", "TIG-1"))
	ok(t, s.Close())
	open(t, o.WithMigrations(later(t)))
	equal(t, "version", get(t, stranger(t, o.Path), "PRAGMA user_version"), "2")
	copies := must[[]string](t)(filepath.Glob(o.Path + ".backup-v1-*"))
	if len(copies) != 1 {
		t.Fatalf("copies: %v", copies)
	}
	equal(t, "mode of the copy", must[fs.FileInfo](t)(os.Stat(copies[0])).Mode().Perm(), 0o600)
	o.Path = copies[0]
	old := open(t, o)
	if e, err := old.Event(ctx, 1); err != nil || e.EventID != "a" {
		t.Errorf("the copy holds %v, %v", e, err)
	}
}

func TestNoCopyIsKeptOfAFileWithoutData(t *testing.T) {
	t.Parallel()
	o := options(t)
	ok(t, open(t, o).Close())
	open(t, o.WithMigrations(later(t)))
	if copies := must[[]string](t)(filepath.Glob(o.Path + ".backup-*")); len(copies) != 0 {
		t.Errorf("copies: %v", copies)
	}
}

func TestAMigrationThatFailsLeavesTheOldVersion(t *testing.T) {
	t.Parallel()
	o := options(t)
	s := open(t, o)
	insert(t, s, event("a", "TIG-1"))
	ok(t, s.Close())
	bad := later(t).(fstest.MapFS)
	bad["00002_later.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE later (x TEXT) STRICT;\nDROP TABLE nowhere;\nPRAGMA user_version = 2;\n")}
	if _, err := store.Open(ctx, o.WithMigrations(bad)); err == nil {
		t.Fatal("the migration did not fail")
	}
	e, err := open(t, o).Event(ctx, 1)
	if err != nil || e.EventID != "a" {
		t.Errorf("the old version reads %v, %v", e, err)
	}
	equal(t, "tables of the failed migration", get(t, stranger(t, o.Path), "SELECT count(*) FROM sqlite_schema WHERE name = 'later'"), "0")
}

func TestOnlyTheOwnerMigrates(t *testing.T) {
	t.Parallel()
	o := options(t)
	agent := open(t, o)
	beside := o
	beside.Owner = false
	_, err := store.Open(ctx, beside.WithMigrations(later(t)).WithPatience(20*time.Millisecond))
	if !errors.Is(err, store.ErrOlder) || !strings.Contains(err.Error(), "restart the agent") {
		t.Errorf("beside an older agent: %v", err)
	}
	reader := o
	reader.ReadOnly = true
	if _, err := store.Open(ctx, reader.WithMigrations(later(t))); !errors.Is(err, store.ErrOlder) {
		t.Errorf("a reader of an older file: %v", err)
	}
	ok(t, agent.Close())
	enqueue := open(t, beside.WithMigrations(later(t)))
	insert(t, enqueue, event("a", "TIG-1"))
	// It took the ownership for that moment alone.
	open(t, o.WithMigrations(later(t)))
}

func TestAReaderWritesNothing(t *testing.T) {
	t.Parallel()
	o := options(t)
	reader := o
	reader.ReadOnly = true
	if _, err := store.Open(ctx, reader); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if found := filesBeside(t, o.Path); len(found) != 0 {
		t.Errorf("a reader made %v", found)
	}
	s := open(t, o)
	insert(t, s, event("a", "TIG-1"))
	r := open(t, reader)
	if e, err := r.Event(ctx, 1); err != nil || e.EventID != "a" {
		t.Errorf("read %v, %v", e, err)
	}
	if _, err := r.InsertEvents(ctx, [][]byte{event("b", "TIG-1")}); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("a reader's insert: %v", err)
	}
	if _, err := r.Status(ctx); err != nil {
		t.Error(err)
	}
	ok(t, r.Backup(ctx, o.Path+".copy"))
}

func TestWhatWasCutOffInCreationIsTakenUp(t *testing.T) {
	t.Parallel()
	o := options(t)
	// The moment after the file was marked and before its first migration.
	db := stranger(t, o.Path)
	exec(t, db, fmt.Sprintf("PRAGMA application_id = %d", sqlmigrations.ApplicationID))
	exec(t, db, "CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))")
	exec(t, db, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)")
	ok(t, db.Close())
	insert(t, open(t, o), event("a", "TIG-1"))
}

func TestAClosedStoreRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, options(t))
	ok(t, s.Close())
	if _, err := s.InsertEvents(ctx, [][]byte{event("a", "TIG-1")}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Event(ctx, 1); err == nil {
		t.Error("a closed store was read")
	}
}

func TestCheckpointsAreSteadyAndLeftToLitestreamWhereItIs(t *testing.T) {
	t.Parallel()
	for name, litestream := range map[string]bool{"alone": false, "with Litestream": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			s := open(t, o)
			db := stranger(t, o.Path)
			if litestream {
				exec(t, db, "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER); INSERT INTO _litestream_seq VALUES (1, 7)")
				ok(t, s.Checkpoint(ctx)) // as the agent does it from time to time; here it finds the tables
			}
			size := func(path string) int64 { return must[fs.FileInfo](t)(os.Stat(path)).Size() }
			for i := range 200 { // 5000 pages
				insert(t, s, append(event(fmt.Sprint("e", i), "TIG-1"), bytes.Repeat([]byte(" "), 100_000)...))
				if i == 60 && !litestream { // 1500 pages, which the writer itself does not move yet
					s.Moved()
					if inFile := size(o.Path); inFile < 4<<20 {
						t.Errorf("the file has %d bytes: the WAL is not moved while the writer writes", inFile)
					}
				}
			}
			s.Moved()
			inFile, wal := size(o.Path), size(o.Path+"-wal")
			if litestream {
				if wal < 20_000_000 || inFile > 1<<20 {
					t.Errorf("the WAL has but %d bytes, the file %d: a checkpoint was made behind Litestream's back", wal, inFile)
				}
				ok(t, s.Close())
				o.Owner = false
				open(t, o)
				equal(t, "Litestream's row", get(t, db, "SELECT seq FROM _litestream_seq"), "7")
			} else if wal > 14<<20 || inFile < 16<<20 {
				t.Errorf("the WAL has grown to %d bytes, %d are in the file", wal, inFile)
			}
		})
	}
}

// No read connection is free for it, so the writer moves the WAL, and a stop waits for nobody.
func TestReadersThatAreAllBusyKeepNothingFromTheFile(t *testing.T) {
	t.Parallel()
	o := ready(t)
	s := open(t, o)
	release := must[func()](t)(s.TakeReaders(ctx))
	defer release()
	for i := range 200 { // 5000 pages
		insert(t, s, append(event(fmt.Sprint("e", i), "TIG-1"), bytes.Repeat([]byte(" "), 100_000)...))
	}
	if wal := must[fs.FileInfo](t)(os.Stat(o.Path + "-wal")).Size(); wal > 14<<20 {
		t.Errorf("the WAL has grown to %d bytes", wal)
	}
	s.EndWriter()
}

// A full disk would refuse it, and then nothing could be read or checkpointed any more.
func TestOpeningAFileThatIsThereWritesNothing(t *testing.T) {
	t.Parallel()
	o := ready(t)
	s := open(t, o)
	insert(t, s, event("a", "TIG-1"))
	c := must[*sql.Conn](t)(stranger(t, o.Path).Conn(ctx)) // data_version tells of other connections than its own
	defer c.Close()
	version := func() (v int64) { ok(t, c.QueryRowContext(ctx, "PRAGMA data_version").Scan(&v)); return v }
	before := version()
	o.Owner = false
	ok(t, open(t, o).Close())
	equal(t, "data_version", version(), before)
}

func TestAWALThatLitestreamLeavesToGrowIsMovedInTheEnd(t *testing.T) {
	t.Parallel()
	log := &logged{}
	o := ready(t).WithPages(1<<20, 500)
	o.Logger = log.logger()
	s := open(t, o)
	exec(t, stranger(t, o.Path), "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
	ok(t, s.Checkpoint(ctx))
	var most int64
	for i := range 200 {
		insert(t, s, append(event(fmt.Sprint("e", i), "TIG-1"), bytes.Repeat([]byte(" "), 100_000)...))
		ok(t, s.Checkpoint(ctx)) // as once a minute
		most = max(most, must[fs.FileInfo](t)(os.Stat(o.Path+"-wal")).Size())
	}
	if most < 450*4096 || most > 600*4096 {
		t.Errorf("the WAL grew to %d pages, want about the 500 at which it is moved", most/4096)
	}
	if log.count("does it run?") == 0 {
		t.Error("the log says nothing of it")
	}
}

func TestAReaderThatKeepsTheWALFromTheFileIsTold(t *testing.T) {
	t.Parallel()
	o := ready(t).WithPages(100, 1<<20)
	s := open(t, o)
	forgotten := must[*sql.Tx](t)(stranger(t, o.Path).Begin())
	var n int
	ok(t, forgotten.QueryRow("SELECT count(*) FROM outbox").Scan(&n))
	for i := range 20 {
		insert(t, s, append(event(fmt.Sprint("e", i), "TIG-1"), bytes.Repeat([]byte(" "), 100_000)...))
	}
	if err := s.Checkpoint(ctx); err == nil || !strings.Contains(err.Error(), "somebody has a transaction open") {
		t.Errorf("got %v", err)
	}
	ok(t, forgotten.Rollback())
	ok(t, s.Checkpoint(ctx))
}

// filesBeside reads all files whose names begin with the database's, none of which may be open in this process.
func filesBeside(t testing.TB, path string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range must[[]string](t)(filepath.Glob(path + "*")) {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			found[filepath.Base(name)] = bytesOf(t, name)
		}
	}
	return found
}

func sameFiles(t testing.TB, got, want map[string]string) {
	t.Helper()
	for name, bytes := range want {
		if got[name] != bytes {
			t.Errorf("%s was changed", name)
		}
	}
	for name := range got {
		if _, was := want[name]; !was {
			t.Errorf("%s was made", name)
		}
	}
}

// A look at the file from the process that has it open must not cost it its locks.
func TestOpeningTheFileAgainInTheSameProcessKeepsItsLocks(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/locks"); err != nil {
		t.Skip("the kernel does not tell its locks here:", err)
	}
	o := ready(t)
	open(t, o)
	inode := fmt.Sprint(":", must[fs.FileInfo](t)(os.Stat(o.Path)).Sys().(*syscall.Stat_t).Ino, " ")
	// While others take and release locks, one reading may miss one or tell it twice.
	locks := func() int {
		all := make(map[string]bool)
		for range 3 {
			for line := range strings.Lines(bytesOf(t, "/proc/locks")) {
				if _, lock, _ := strings.Cut(line, ": "); strings.Contains(lock, inode) {
					all[lock] = true
				}
			}
		}
		return len(all)
	}
	before := locks()
	if before == 0 {
		t.Fatal("the open file has no lock")
	}
	if _, err := store.Open(ctx, o); !errors.Is(err, store.ErrInUse) {
		t.Fatal(err)
	}
	o.ReadOnly = true
	ok(t, open(t, o).Close())
	equal(t, "locks", locks(), before)
}

// In another encoding the bytes of a webhook would be other text.
func TestAFileInAnotherEncodingIsRefused(t *testing.T) {
	t.Parallel()
	o := options(t)
	db := must[*sql.DB](t)(sql.Open("sqlite", o.Path))
	for _, statement := range []string{"PRAGMA encoding = 'UTF-16le'", "CREATE TABLE x (a)", "DROP TABLE x"} {
		must[sql.Result](t)(db.Exec(statement))
	}
	ok(t, db.Close())
	s, err := store.Open(ctx, o)
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), `the database's encoding is "UTF-16le" and must be "UTF-8"`) {
		t.Errorf("got %v", err)
	}
}
