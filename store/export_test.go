package store

import (
	"context"
	"database/sql"
	"io/fs"
	"time"
)

// WithDriver opens through another driver of database/sql.
func (o Options) WithDriver(name string) Options { o.driver = name; return o }

// WithMigrations opens with another schema.
func (o Options) WithMigrations(migrations fs.FS) Options { o.migrations = migrations; return o }

// WithPatience waits so long for a holder of the file that may be migrating it.
func (o Options) WithPatience(d time.Duration) Options { o.patience = d; return o }

// WithPages sets how many pages of the WAL a reader may keep from the file, and Litestream may leave in it.
func (o Options) WithPages(held, litestream int64) Options {
	o.heldPages, o.litestreamPages = held, litestream
	return o
}

// WithClock lets the writer keep away from the lock by another clock.
func (o Options) WithClock(now func() time.Time, sleep func(time.Duration)) Options {
	o.clock = clock{now, sleep}
	return o
}

// PauseAfter is how long the write lock is left free after it was held.
func PauseAfter(held time.Duration) time.Duration { return pauseAfter(held) }

// TakeReaders takes every read connection, until release.
func (s *Store) TakeReaders(ctx context.Context) (release func(), err error) {
	var all []*sql.Conn
	release = func() {
		for _, c := range all {
			c.Close()
		}
	}
	for range readers {
		c, err := s.readDB.Conn(ctx)
		if err != nil {
			release()
			return nil, err
		}
		all = append(all, c)
	}
	return release, nil
}

// EndWriter ends the writer and what it began, as Close does first.
func (s *Store) EndWriter() { s.writer.close() }

// Moved waits for a checkpoint beside the writer.
func (s *Store) Moved() {
	s.writer.moving <- struct{}{}
	<-s.writer.moving
}

// Busy runs a member in the writer's queue that blocks it until release is closed, so that what comes behind waits
// for one batch. begun is closed once it runs.
func (s *Store) Busy(begun chan<- struct{}, release <-chan struct{}) {
	s.writer.between(context.Background(), "holding the writer", func(*tx) error {
		close(begun)
		<-release
		return nil
	})
}

// PanicAlone panics in a member of a writer who is alone, in his goroutine.
func (s *Store) PanicAlone() {
	j := &job{why: "panicking", ctx: context.Background(), done: make(chan struct{}), run: func(*tx) error { panic("a bug") }}
	for s.writer.mu.Lock(); !s.writer.commitAlone(j); s.writer.mu.Lock() {
		s.writer.mu.Unlock()
	}
}

// Queued tells how many writers wait.
func (s *Store) Queued() int {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return len(s.writer.queue)
}

// TryToWriteThroughAReader tells what becomes of a write on the read pool.
func (s *Store) TryToWriteThroughAReader() error {
	_, err := s.readDB.Exec(`INSERT INTO meta (key, value) VALUES ('x', 'y')`)
	return err
}

// Meaning is what the view tells people of a webhook. Its seq is 0 where it is not there.
func (s *Store) Meaning(ctx context.Context, id string) (seq int64, eventType, incidentID string, err error) {
	_, err = s.one(ctx, "reading a meaning", `SELECT seq, CAST(event_type AS TEXT), CAST(incident_id AS TEXT) FROM webhook_meaning WHERE id = ?`, []any{id},
		&seq, dbText[string]{&eventType}, dbText[string]{&incidentID})
	return seq, eventType, incidentID, err
}
