package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/tigerops/tigerops-incidentio/sqlmigrations"
)

// Readers: how many read side by side, and for how long an idle connection stays open. All of them may idle: to open a
// connection and prepare its statements costs as much as hundreds of reads.
const (
	readers        = 4
	readerIdleTime = time.Minute
)

// Options say which file to open and as whom.
type Options struct {
	Path string
	// Owner is the agent itself: one process at a time, the only one that migrates while it runs. Others put events in
	// and look after the file beside it.
	Owner bool
	// Group names a group to share the file with (mode 0660). A directory that is setgid and writable to its group, as
	// the package makes it, means the same.
	Group string
	// ReadOnly opens nothing for writing and creates no file; every writing method answers ErrReadOnly.
	ReadOnly bool
	// Litestream leaves checkpoints to Litestream. It is also found by its tables.
	Litestream bool
	// Version of the program, told to whoever finds the file in use.
	Version string
	Logger  *slog.Logger // nil: slog.Default()

	driver                     string // of database/sql; tests make one that fails
	migrations                 fs.FS
	patience                   time.Duration // instead of migrationPatience
	heldPages, litestreamPages int64         // instead of the constants
	clock                      clock         // the writer's
}

// Store is the open database. Its methods may be used from any goroutine.
type Store struct {
	o          Options
	sharing    sharing
	lock       *flock.Flock // held by the owner
	writeDB    *sql.DB
	writer     *writer // nil: read-only
	readDB     *sql.DB
	stmts      sync.Map // query text to *sql.Stmt of readDB
	preparing  sync.Mutex
	hub        hub
	litestream atomic.Bool
	pruned     pruneMarks
	health     health
	closing    sync.Once
	closed     error
}

// Open opens the database, creates or migrates it where that is this process's to do, and reads back its settings. It
// answers ErrInUse to an owner where another owns the file, ErrNewer and ErrForeign for a file that is not this
// program's (which stays as it is, byte for byte), ErrDamaged for one that is damaged, and ErrOlder where the schema is
// old and somebody else's to migrate.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.driver == "" {
		o.driver = driverName
	}
	if o.migrations == nil {
		o.migrations = sqlmigrations.FS
	}
	if o.patience == 0 {
		o.patience = migrationPatience
	}
	if o.heldPages == 0 {
		o.heldPages, o.litestreamPages = heldPages, litestreamPages
	}
	if o.clock.now == nil {
		o.clock = systemClock
	}
	o.Path = followLinks(o.Path)
	latest, err := latestVersion(o.migrations)
	if err != nil {
		return nil, err
	}
	version, err := peek(ctx, o.driver, o.Path, latest)
	if err != nil {
		return nil, err
	}
	s := &Store{o: o}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if o.ReadOnly {
		switch {
		case version == absent:
			return nil, fmt.Errorf("opening %s: %w", o.Path, fs.ErrNotExist)
		case version < latest:
			return nil, fmt.Errorf("%s has schema version %d, this program needs %d: start the agent once to migrate it: %w", o.Path, version, latest, ErrOlder)
		}
		return s, s.openReaders(ctx)
	}
	if err := s.prepare(ctx, version, latest); err != nil {
		return nil, s.sound(err)
	}
	if err := s.openWriter(ctx); err != nil {
		return nil, s.sound(err)
	}
	if err := s.openReaders(ctx); err != nil {
		return nil, s.sound(err)
	}
	if s.health.file, err = os.Stat(o.Path); err != nil {
		return nil, fmt.Errorf("looking at the database: %w", err)
	}
	s.health.opened = true
	return s, nil
}

// prepare takes the ownership where it is wanted and brings the file to the latest version.
func (s *Store) prepare(ctx context.Context, version, latest int) (err error) {
	if s.sharing, err = prepareDir(s.o.Path, s.o.Group); err != nil {
		return err
	}
	inUse := false
	switch {
	case s.o.Owner:
		if s.lock, err = takeOwnership(ctx, s.o, s.sharing, ownerPatience); err != nil {
			return err
		}
	case version < latest:
		lock, err := takeOwnership(ctx, s.o, s.sharing, s.o.patience)
		if err == nil {
			defer lock.Close()
		} else if !errors.Is(err, ErrInUse) {
			return err
		}
		inUse = err != nil
	}
	if version < latest {
		// Whoever held the file may have migrated it in the meantime; if not, it is his to do.
		if version, err = peek(ctx, s.o.driver, s.o.Path, latest); err != nil {
			return err
		}
		if version < latest && inUse {
			return fmt.Errorf("%s has schema version %d, this program needs %d, and an older agent runs on it: restart the agent: %w",
				s.o.Path, max(version, 0), latest, ErrOlder)
		}
	}
	if err := s.sharing.create(s.o.Path); err != nil {
		return fmt.Errorf("creating the database: %w", err)
	}
	if err := s.sharing.share(s.o.Path, s.o.Path+"-wal", s.o.Path+"-shm", s.o.Path+".lock"); err != nil {
		return err
	}
	if version == absent {
		s.health.looked = true // there is nothing in it yet
	} else if err := s.checkAtStart(ctx); err != nil {
		return err
	}
	if version < latest {
		return s.o.migrate(ctx, s.sharing, version, latest)
	}
	return nil
}

func (s *Store) openWriter(ctx context.Context) (err error) {
	if s.writeDB, err = sql.Open(s.o.driver, writerDSN(s.o.Path)); err != nil {
		return fmt.Errorf("opening %s: %w", s.o.Path, err)
	}
	s.writeDB.SetMaxOpenConns(1)
	if s.writer, err = startWriter(s.writeDB, s.o.Logger, s.o.clock, s.hub.notify, &s.litestream, s.moveWAL); err != nil {
		return fmt.Errorf("opening %s: %w", s.o.Path, err)
	}
	if err := s.sharing.share(s.o.Path+"-wal", s.o.Path+"-shm"); err != nil {
		return err
	}
	return s.lookForLitestream(ctx)
}

func (s *Store) openReaders(ctx context.Context) (err error) {
	if s.readDB, err = sql.Open(s.o.driver, readerDSN(s.o.Path)); err != nil {
		return fmt.Errorf("opening %s: %w", s.o.Path, err)
	}
	s.readDB.SetMaxOpenConns(readers)
	s.readDB.SetMaxIdleConns(readers)
	s.readDB.SetConnMaxIdleTime(readerIdleTime)
	// A SELECT reads the schema, too, which PRAGMA would leave to the first query.
	var queryOnly int
	if err := s.readDB.QueryRowContext(ctx, "SELECT query_only FROM pragma_query_only").Scan(&queryOnly); err != nil {
		return fmt.Errorf("opening %s for reading: %w", s.o.Path, err)
	}
	if queryOnly != 1 {
		return fmt.Errorf("a read connection to %s could write", s.o.Path)
	}
	return nil
}

// Close waits for what is queued, closes the file and gives up the ownership. It may be called more than once.
func (s *Store) Close() error {
	s.closing.Do(func() {
		if s.writer != nil {
			s.writer.close()
		}
		s.stmts.Range(func(_, v any) bool { v.(*sql.Stmt).Close(); return true })
		if s.readDB != nil {
			s.closed = errors.Join(s.closed, s.readDB.Close())
		}
		if s.writeDB != nil {
			// Last: SQLite moves the WAL into the file when its last connection closes.
			s.closed = errors.Join(s.closed, s.writeDB.Close())
		}
		if s.lock != nil {
			s.closed = errors.Join(s.closed, s.lock.Close())
		}
	})
	return s.closed
}
