package store

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// tell writes a change for TigerOps and answers with its id, 0 if its key is there already.
func (t *tx) tell(r InboxRow) (id int64, err error) {
	key := r.Key
	if r.Repeatable {
		var n int64
		if _, err := t.row(`INSERT INTO inbox_key (base, n, at) VALUES (?, 1, ?)
			ON CONFLICT DO UPDATE SET n = n + 1, at = excluded.at RETURNING n`, []any{r.Key, t.now}, &n); err != nil {
			return 0, err
		}
		key += "#" + strconv.FormatInt(n, 10)
	}
	// The row's id stands in its payload, so it is taken beforehand; nobody else writes meanwhile.
	_, err = t.row(`INSERT INTO inbox (id, key, type, tigerops_incident_id, incident_id, source, created_at, next_attempt_at, payload)
		SELECT n, ?1, ?2, ?3, ?4, ?5, ?6, ?6, '{"id":' || n || ',' || substr(json_set(json_remove(?7, '$.id'), '$.key', ?1), 2)
		FROM (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'inbox'), 0) + 1 AS n)
		WHERE true ON CONFLICT (key) DO NOTHING RETURNING id`,
		[]any{key, r.Type, nullText(r.TigerOpsID), nullText(r.IncidentID), r.Source, t.now, string(r.Payload)}, &id)
	return id, err
}

// Inbox reads changes in the order of their ids.
func (s *Store) Inbox(ctx context.Context, q InboxQuery) ([]InboxEntry, error) {
	from, where, args := `inbox i`, `i.id > ?`, []any{q.After}
	switch {
	case q.Due || q.State == Pending:
		from, where = `inbox i INDEXED BY inbox_pending`, where+` AND i.state = 'pending'`
	case q.State == Rejected:
		from, where = `inbox i INDEXED BY inbox_rejected`, where+` AND i.state = 'rejected'`
	case q.State != "":
		where, args = where+` AND i.state = ?`, append(args, q.State)
	}
	if q.Due {
		// What came while the clock was ahead is due, too: see Head.Due.
		where += ` AND (i.next_attempt_at <= ?2 OR i.created_at > ?2 AND i.next_attempt_at >= i.created_at) AND NOT EXISTS (SELECT 1 FROM inbox e INDEXED BY inbox_pending_incident
			WHERE e.tigerops_incident_id = i.tigerops_incident_id AND e.state = 'pending' AND e.id < i.id)`
		args = append(args, formatTime(time.Now()))
	}
	if q.TigerOpsID != "" {
		where, args = where+` AND i.tigerops_incident_id = ?`, append(args, q.TigerOpsID)
	}
	return all(ctx, s, "reading the inbox", (*InboxEntry).fields, `SELECT i.id, i.key, i.type, i.tigerops_incident_id, i.incident_id,
		i.payload, i.state, i.reason, i.source, i.created_at, i.applied_at, i.attempts, i.next_attempt_at
		FROM `+from+` WHERE `+where+` ORDER BY i.id LIMIT ?`, append(args, limitOr100(q.Limit))...)
}

// AppliedAt tells when TigerOps applied a change, by the key that it was committed with; of a repeatable one the last is
// meant. It is the zero time while TigerOps has not, or has rejected it.
func (s *Store) AppliedAt(ctx context.Context, key string) (at time.Time, err error) {
	_, err = s.one(ctx, "reading whether a change is applied", `SELECT iif(state = 'applied', applied_at, NULL) FROM inbox
		WHERE key = ?1 OR key > ?1 || '#' AND key < ?1 || '$' ORDER BY id DESC LIMIT 1`, []any{key}, dbTime{&at})
	return at, err
}

// NextPush tells when the first of the changes that are put off is due; the zero time if none is.
func (s *Store) NextPush(ctx context.Context) (due time.Time, err error) {
	_, err = s.one(ctx, "reading when a change is due", `SELECT min(next_attempt_at) FROM inbox INDEXED BY inbox_pending
		WHERE state = 'pending' AND next_attempt_at > ?`, []any{formatTime(time.Now())}, dbTime{&due})
	return due, err
}

func limitOr100(limit int) int {
	if limit <= 0 {
		return 100
	}
	return limit
}

func (e *InboxEntry) fields() []any {
	return []any{&e.ID, &e.Key, &e.Type, dbText[string]{&e.TigerOpsID}, dbText[string]{&e.IncidentID}, dbText[[]byte]{&e.Payload}, &e.State,
		&e.Reason, &e.Source, dbTime{&e.CreatedAt}, dbTime{&e.AppliedAt}, &e.Attempts, dbTime{&e.NextAttempt}}
}

// AckInbox sets pending changes applied and tells how many it changed. One that is applied already counts as done; one
// that is rejected is ErrStale, one that is not there ErrNotFound, and then none is changed.
func (s *Store) AckInbox(ctx context.Context, ids ...int64) (int, error) {
	return s.endInbox(ctx, "acknowledging a change", Applied, "", ids)
}

// RejectInbox sets pending changes rejected; like AckInbox otherwise.
func (s *Store) RejectInbox(ctx context.Context, reason string, ids ...int64) (int, error) {
	return s.endInbox(ctx, "rejecting a change", Rejected, reason, ids)
}

func (s *Store) endInbox(ctx context.Context, why, state, reason string, ids []int64) (changed int, err error) {
	err = s.write(ctx, why, 0, func(t *tx) error {
		changed = 0
		for _, id := range ids {
			was, err := t.inboxState(id)
			switch {
			case err != nil:
				return err
			case was == state:
				continue
			case was != Pending:
				return fmt.Errorf("change %d is %s: %w", id, was, ErrStale)
			}
			if err := t.must(fmt.Sprintf("change %d", id), `UPDATE inbox SET state = ?, reason = ? WHERE id = ? AND state = 'pending'`, state, reason, id); err != nil {
				return err
			}
			changed++
			t.topics.add(TopicInbox)
		}
		return nil
	})
	return changed, err
}

func (t *tx) inboxState(id int64) (state string, err error) {
	found, err := t.row(`SELECT state FROM inbox WHERE id = ?`, []any{id}, &state)
	if err == nil && !found {
		err = fmt.Errorf("change %d: %w", id, ErrNotFound)
	}
	return state, err
}

// RetryInbox makes rejected changes pending again, all of them where no id is given, and lets one that is put off be
// pushed at once. It tells how many it changed.
func (s *Store) RetryInbox(ctx context.Context, ids ...int64) (changed int, err error) {
	err = s.write(ctx, "retrying changes", 0, func(t *tx) (err error) {
		changed = 0
		todo := ids
		if len(todo) == 0 {
			if todo, err = t.ids(`SELECT id FROM inbox WHERE state = 'rejected'`); err != nil {
				return err
			}
		}
		for _, id := range todo {
			was, err := t.inboxState(id)
			switch {
			case err != nil:
				return err
			case was == Applied:
				return fmt.Errorf("change %d is applied: %w", id, ErrStale)
			case was == Rejected:
				err = t.must(fmt.Sprintf("change %d", id), `UPDATE inbox SET state = 'pending' WHERE id = ?`, id)
			default:
				err = t.must(fmt.Sprintf("change %d", id), `UPDATE inbox SET next_attempt_at = ? WHERE id = ?`, t.now, id)
			}
			if err != nil {
				return err
			}
			changed++
			t.topics.add(TopicInbox)
		}
		return nil
	})
	return changed, err
}

// PushesDue makes all changes due that were put off.
func (s *Store) PushesDue(ctx context.Context) error {
	return s.write(ctx, "making changes due", 0, func(t *tx) error {
		t.topics.add(TopicInbox)
		_, err := t.exec(`UPDATE inbox SET next_attempt_at = ?1 WHERE state = 'pending' AND next_attempt_at > ?1`, t.now)
		return err
	})
}

// PushDefer counts an attempt to push a pending change and says when the next one is due.
func (s *Store) PushDefer(ctx context.Context, id int64, next time.Time, reason string) error {
	return s.write(ctx, "putting off a change", 0, func(t *tx) error {
		return t.must(fmt.Sprintf("change %d", id), `UPDATE inbox SET attempts = attempts + 1, next_attempt_at = ?, reason = ?
			WHERE id = ? AND state = 'pending'`, formatTime(next), reason, id)
	})
}
