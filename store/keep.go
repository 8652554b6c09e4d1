package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Memory is how long after the end of its retention an incident, its ties and the ids of its events are still known: a
// late event or a repeat finds them then. A year would cost too much where events carry no id of their own, since the
// id that is derived from the content is as long as the content.
const Memory = 180 * 24 * time.Hour

// pruneScan is how many old rows one look for something to prune reads.
const pruneScan = 1000

// resolved is an SQL condition: retention may touch the incident whose TigerOps id is k, since nothing of it is open on
// either side and nothing waits.
func resolved(k string) string {
	return strings.ReplaceAll(`NOT EXISTS (SELECT 1 FROM link l WHERE l.tigerops_incident_id = $k AND l.closed = 0)
		AND NOT EXISTS (SELECT 1 FROM incident i WHERE i.tigerops_incident_id = $k AND i.open = 1)
		AND NOT EXISTS (SELECT 1 FROM outbox w WHERE w.incident_key = $k AND w.state IN ('pending', 'dead') AND w.parked = 0)
		AND NOT EXISTS (SELECT 1 FROM outbox w WHERE w.incident_key = $k AND w.state = 'pending' AND w.parked = 1)`, "$k", k)
}

// resolvedThere is the same by the id of the incident.io incident.
func resolvedThere(k string) string {
	return strings.ReplaceAll(`NOT EXISTS (SELECT 1 FROM link l WHERE l.incident_id = $k AND (l.closed = 0 OR EXISTS
		(SELECT 1 FROM incident i WHERE i.tigerops_incident_id = l.tigerops_incident_id AND i.open = 1)))`, "$k", k)
}

// prunable is a table that retention thins out: in the order of its ids, so nearly of its times.
type prunable struct{ table, id, born, old string }

var prunables = []prunable{
	{"outbox", "id", "created_at", `state IN ('done', 'skipped') AND finished_at < ?1 AND ` + resolved("outbox.incident_key")},
	{"inbox", "id", "created_at", `state IN ('applied', 'rejected') AND applied_at < ?1 AND ` +
		resolved("inbox.tigerops_incident_id") + ` AND ` + resolvedThere("inbox.incident_id")},
	{"webhook", "seq", "received_at", `state <> 'pending' AND processed_at < ?1 AND ` + resolvedThere("webhook.incident_id")},
}

// forgettables outlive retention by Memory. They are small but for event_seen, of which the first rows are the oldest.
var forgettables = []prunable{
	{"event_seen", "seq", "seen_at", `seen_at < ?1 AND seq < 1000 + (SELECT min(seq) FROM event_seen)`},
	{"alert", "rowid", "updated_at", `updated_at < ?1 AND ` + resolved("alert.tigerops_incident_id")},
	{"inbox_key", "rowid", "at", `at < ?1`},
	{"former_link", "rowid", "dropped_at", `dropped_at < ?1 AND ` + resolved("former_link.tigerops_incident_id")},
	{"link", "rowid", "updated_at", `closed = 1 AND updated_at < ?1 AND ` + resolved("link.tigerops_incident_id")},
	{"incident", "rowid", "updated_at", `open = 0 AND updated_at < ?1 AND ` + resolved("incident.tigerops_incident_id")},
}

// changesKept is how much of the log of changes by hand stays. The agent reads it as it grows, and at its start reads
// the outbox itself, so a few are plenty.
const changesKept = 10_000

// pruneMarks remember how far a pass has read, so that rows that must stay are not read again for each chunk.
type pruneMarks struct {
	mu   sync.Mutex
	mark map[string]int64
}

// Prune removes up to limit rows that ended before the time given: finished events with their steps, applied changes,
// webhooks. Nothing of an unresolved incident is touched, and event ids outlive their rows. Call it until it answers 0;
// small limits hold the write lock for a shorter time (about 10 µs a row).
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (n int, err error) {
	s.pruned.mu.Lock()
	defer s.pruned.mu.Unlock()
	if s.pruned.mark == nil {
		s.pruned.mark = map[string]int64{}
	}
	cut := formatTime(before)
	for _, p := range prunables {
		for n < limit {
			ids, last, err := s.old(ctx, p, cut, s.pruned.mark[p.table], limit-n)
			if err != nil {
				return n, err
			}
			if len(ids) > 0 {
				removed, err := s.remove(ctx, p, cut, ids)
				if err != nil {
					return n, err
				}
				n += removed
			}
			s.pruned.mark[p.table] = last
			if last == 0 {
				break
			}
		}
	}
	if n < limit {
		forgotten, err := s.forget(ctx, formatTime(before.Add(-Memory)), limit-n)
		return n + forgotten, err
	}
	return n, nil
}

// old reads on from a row and gives the ids of those that may go; last is where to read on from, 0 at the end of a
// pass: where no row read was born before the cut.
func (s *Store) old(ctx context.Context, p prunable, cut string, after int64, limit int) (ids []int64, last int64, err error) {
	type row struct {
		id         int64
		early, old sql.NullBool
	}
	rows, err := all(ctx, s, "looking for what to prune", func(r *row) []any { return []any{&r.id, &r.early, &r.old} },
		`SELECT `+p.id+`, `+p.born+` < ?1, (`+p.old+`) FROM `+p.table+` WHERE `+p.id+` > ?2 ORDER BY `+p.id+` LIMIT ?3`,
		cut, after, min(pruneScan, max(limit, 100)))
	if err != nil {
		return nil, 0, err
	}
	early := false
	for _, r := range rows {
		early = early || r.early.Bool
		last = r.id
		if r.old.Bool {
			if ids = append(ids, r.id); len(ids) == limit {
				return ids, last, nil
			}
		}
	}
	if !early {
		last = 0
	}
	return ids, last, nil
}

func (s *Store) remove(ctx context.Context, p prunable, cut string, ids []int64) (n int, err error) {
	err = s.write(ctx, "pruning "+p.table, len(ids)<<12, func(t *tx) error {
		n = 0
		for _, id := range ids {
			// Looked at again: the incident may have come to life meanwhile.
			d, err := t.exec(`DELETE FROM `+p.table+` WHERE `+p.id+` = ?2 AND (`+p.old+`)`, cut, id)
			if err != nil {
				return err
			}
			n += int(d)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// forget removes what is over for longer than Memory. It looks on a read connection, so that nobody waits meanwhile.
func (s *Store) forget(ctx context.Context, cut string, limit int) (n int, err error) {
	for _, f := range forgettables {
		ids, err := all(ctx, s, "looking for what to forget", func(id *int64) []any { return []any{id} },
			`SELECT `+f.id+` FROM `+f.table+` WHERE `+f.old+` LIMIT ?2`, cut, limit-n)
		if err != nil {
			return n, err
		}
		if len(ids) == 0 {
			continue
		}
		removed, err := s.remove(ctx, f, cut, ids)
		if err != nil {
			return n, err
		}
		n += removed
	}
	var first, last int64
	if _, err := s.one(ctx, "looking at the log of changes", `SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM outbox_change`, nil, &first, &last); err != nil {
		return n, err
	}
	if last-first > changesKept {
		err = s.write(ctx, "shortening the log of changes", 0, func(t *tx) error {
			_, err := t.exec(`DELETE FROM outbox_change WHERE seq <= ?`, last-changesKept)
			return err
		})
	}
	return n, err
}

// Probe makes a real write, for readiness.
func (s *Store) Probe(ctx context.Context) error {
	return s.write(ctx, "probing the database", 0, func(t *tx) error { return t.setMeta("probed_at", t.now) })
}

// Writing is for how long the transaction under way has been trying to be written: milliseconds, unless another process
// holds the write lock or the disk hangs. It is 0 while nothing is written.
func (s *Store) Writing() time.Duration {
	if s.writer == nil {
		return 0
	}
	since := s.writer.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.Unix(0, since))
}

// Bounds of the WAL in pages of 4 KiB. Litestream forces a checkpoint at 121,359 pages of its own accord: a longer WAL
// means that it does not run any more. A reader that keeps more than heldPages from the file has been forgotten.
const (
	litestreamPages = 128 << 10
	heldPages       = 16 << 10
)

// Checkpoint moves the WAL's pages into the file as far as readers allow. With Litestream beside it, the checkpoint is
// left to Litestream, until the WAL is longer than Litestream would ever let it grow.
func (s *Store) Checkpoint(ctx context.Context) error {
	if s.writer == nil {
		return fmt.Errorf("moving the WAL into the file: %w", ErrReadOnly)
	}
	if err := s.lookForLitestream(ctx); err != nil {
		return err
	}
	return s.between(ctx, "moving the WAL into the file", func(t *tx) error {
		var busy, log, moved int64
		if s.litestream.Load() {
			if _, err := t.row("PRAGMA wal_checkpoint(NOOP)", nil, &busy, &log, &moved); err != nil || log < s.o.litestreamPages {
				return err
			}
			s.o.Logger.Warn("Litestream leaves the WAL to grow, so the agent moves it into the file: does it run?", "wal_pages", log)
		}
		if _, err := t.row("PRAGMA wal_checkpoint(PASSIVE)", nil, &busy, &log, &moved); err != nil {
			return err
		}
		if log-moved > s.o.heldPages {
			return fmt.Errorf("%d MiB of the WAL are kept from the file: somebody has a transaction open, often a forgotten sqlite3", (log-moved)>>8)
		}
		return nil
	})
}

// moveWAL is a checkpoint on a read connection, which query_only allows: writers go on meanwhile. It tells how many pages
// it found in the WAL, and how many of them are in the file now.
func (s *Store) moveWAL(ctx context.Context) (log, moved int64, err error) {
	c, err := s.readDB.Conn(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("moving the WAL into the file: %w", err)
	}
	defer c.Close()
	if s.litestream.Load() { // found while this waited for the connection
		return 0, 0, nil
	}
	var busy int64
	if err := c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &log, &moved); err != nil {
		return 0, 0, fmt.Errorf("moving the WAL into the file: %w", s.sound(err))
	}
	return log, moved, nil
}

// lookForLitestream finds its tables, which it makes when it begins to replicate the file.
func (s *Store) lookForLitestream(ctx context.Context) error {
	return s.between(ctx, "looking for Litestream", func(t *tx) error {
		var found bool
		_, err := t.row(`SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name LIKE '\_litestream\_%' ESCAPE '\')`, nil, &found)
		if err == nil {
			s.litestream.Store(found || s.o.Litestream)
		}
		return err
	})
}

// IncrementalVacuum gives up to that many free pages of 4 KiB back to the file system.
func (s *Store) IncrementalVacuum(ctx context.Context, pages int) error {
	return s.between(ctx, "giving back free pages", func(t *tx) error {
		_, err := t.exec(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", pages))
		return err
	})
}

// Backup writes a consistent copy of the database to a new file, also while the agent runs. A file of that name must
// not be there.
func (s *Store) Backup(ctx context.Context, path string) error {
	// A connection of its own: the copy takes a while, and neither the writer nor a reader should wait for it.
	db, err := sql.Open(s.o.driver, dsn(s.o.Path, copySettings))
	if err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	defer db.Close()
	if err := vacuumInto(ctx, db, path, sharing{mode: 0o600, gid: -1}); err != nil {
		return s.sound(fmt.Errorf("copying the database to %s: %w", path, err))
	}
	return nil
}
