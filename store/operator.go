package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// RetryEvents makes dead events pending again and starts their give-up age anew, all of them where no id is given; one
// that waits for its next attempt is due at once. It tells how many it changed. An event that has ended is ErrStale,
// one that is not there ErrNotFound, and then none is changed.
func (s *Store) RetryEvents(ctx context.Context, ids ...int64) (changed int, err error) {
	err = s.write(ctx, "retrying events", 0, func(t *tx) (err error) {
		changed = 0
		todo := ids
		if len(todo) == 0 {
			if todo, err = t.ids(`SELECT id FROM outbox WHERE state = 'dead'`); err != nil {
				return err
			}
		}
		for _, id := range todo {
			// Without counting rev up, as a person's UPDATE would do it: so the running agent notices, here or elsewhere.
			if err := t.tend(id, `UPDATE outbox SET state = 'pending', next_attempt_at = ? WHERE id = ?`, t.now, id); err != nil {
				return err
			}
			changed++
		}
		return nil
	})
	return changed, err
}

// DiscardEvents ends pending and dead events as skipped, with a person's reason. It tells how many it changed; errors
// are those of RetryEvents.
func (s *Store) DiscardEvents(ctx context.Context, reason string, ids ...int64) (changed int, err error) {
	err = s.write(ctx, "discarding events", 0, func(t *tx) error {
		changed = 0
		for _, id := range ids {
			if err := t.tend(id, `UPDATE outbox SET state = 'skipped', reason = ? WHERE id = ?`, reason, id); err != nil {
				return err
			}
			changed++
		}
		return nil
	})
	return changed, err
}

// tend changes an unfinished event by a person's hand.
func (t *tx) tend(id int64, query string, args ...any) error {
	var state string
	found, err := t.row(`SELECT state FROM outbox WHERE id = ?`, []any{id}, &state)
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("event %d: %w", id, ErrNotFound)
	case state != Pending && state != Dead:
		return fmt.Errorf("event %d is %s: %w", id, state, ErrStale)
	}
	t.topics.add(TopicOutbox)
	return t.must(fmt.Sprintf("event %d", id), query, args...)
}

// Outbox lists events, newest first.
func (s *Store) Outbox(ctx context.Context, q OutboxQuery) ([]Event, error) {
	// A part for each partial index, so that neither a long history nor a long queue is read through.
	parts := map[string][]string{
		Pending: {`state IN ('pending', 'dead') AND parked = 0 AND state = 'pending'`, `state = 'pending' AND parked = 1`},
		Dead:    {`state IN ('pending', 'dead') AND parked = 0 AND state = 'dead'`},
		Done:    {`state IN ('done', 'skipped') AND state = 'done'`},
		Skipped: {`state IN ('done', 'skipped') AND state = 'skipped'`},
		"":      {`state IN ('pending', 'dead') AND parked = 0`, `state = 'pending' AND parked = 1`, `state IN ('done', 'skipped')`},
	}[q.State]
	if parts == nil {
		return nil, fmt.Errorf("listing events: no event is ever in state %q", q.State)
	}
	limit := limitOr100(q.Limit)
	var query string
	var args []any
	if q.Incident == "" {
		query = `SELECT ` + eventColumns + ` FROM outbox WHERE ?1 IN (state, '') ORDER BY id DESC LIMIT ?2`
		if q.State == Dead {
			query = `SELECT ` + eventColumns + ` FROM outbox INDEXED BY outbox_dead WHERE state = 'dead' AND ?1 = 'dead' ORDER BY id DESC LIMIT ?2`
		}
		args = []any{q.State, limit}
	} else {
		for i, part := range parts {
			if i > 0 {
				query += ` UNION ALL `
			}
			query += `SELECT * FROM (SELECT ` + eventColumns + ` FROM outbox WHERE incident_key = ?1 AND ` + part + ` ORDER BY id DESC LIMIT ?2)`
		}
		query += ` ORDER BY id DESC LIMIT ?2`
		args = []any{q.Incident, limit}
	}
	events, err := all(ctx, s, "listing events", (*Event).fields, query, args...)
	for i := range events {
		events[i].Lane = lane(events[i].IncidentKey, events[i].ID)
	}
	return events, err
}

// closedLinksShown is how many closed incidents Status shows beside the open ones.
const closedLinksShown = 20

// Status tells how things stand: the depths of the queues, the last contact each way, and the ties, open ones first.
func (s *Store) Status(ctx context.Context) (st Status, err error) {
	var lastSweep, troubles string
	_, err = s.one(ctx, "reading the status", `SELECT
		(SELECT count(*) FROM outbox WHERE state IN ('pending', 'dead') AND parked = 0) - (SELECT count(*) FROM outbox WHERE state = 'dead' AND parked = 0),
		(SELECT count(*) FROM outbox WHERE state = 'pending' AND parked = 1),
		(SELECT count(*) FROM outbox WHERE state = 'dead'),
		(SELECT created_at FROM outbox WHERE id = (SELECT min(id) FROM outbox WHERE state IN ('pending', 'dead') AND parked = 0 AND state = 'pending')),
		(SELECT count(*) FROM inbox WHERE state = 'pending'),
		(SELECT count(*) FROM inbox WHERE state = 'rejected'),
		(SELECT created_at FROM inbox INDEXED BY inbox_pending WHERE state = 'pending' ORDER BY id LIMIT 1),
		(SELECT count(*) FROM webhook WHERE state = 'pending'),
		(SELECT count(*) FROM webhook WHERE state = 'failed'),
		(SELECT created_at FROM outbox ORDER BY id DESC LIMIT 1),
		(SELECT coalesce(finished_at, started_at) FROM delivery ORDER BY rowid DESC LIMIT 1),
		(SELECT received_at FROM webhook ORDER BY seq DESC LIMIT 1),
		(SELECT value FROM meta WHERE key = '`+MetaLastSweep+`'),
		(SELECT value FROM meta WHERE key = '`+MetaTroubles+`'),
		(SELECT count(*) FROM link) - (SELECT count(*) FROM link WHERE closed = 0)`, nil,
		&st.Waiting, &st.Parked, &st.Dead, dbTime{&st.OldestWaiting}, &st.InboxPending, &st.InboxRejected, dbTime{&st.OldestInbox},
		&st.WebhooksPending, &st.WebhooksFailed, dbTime{&st.LastEvent}, dbTime{&st.LastDelivery}, dbTime{&st.LastWebhook}, dbText[string]{&lastSweep}, dbText[string]{&troubles},
		&st.ClosedLinks)
	if err != nil {
		return Status{}, err
	}
	if t, err := time.Parse(time.RFC3339Nano, lastSweep); err == nil {
		st.LastSweep = t.UTC()
	}
	if troubles != "" {
		st.Troubles = strings.Split(troubles, "\n")
	}
	if note := s.noted(); note != "" {
		st.Troubles = append(st.Troubles, note)
	}
	st.Links, err = all(ctx, s, "reading the ties", (*Sync).fields, syncRow+` WHERE tigerops_incident_id IN (
			SELECT tigerops_incident_id FROM link WHERE closed = 0
			UNION ALL SELECT * FROM (SELECT tigerops_incident_id FROM link WHERE closed = 1 ORDER BY updated_at DESC LIMIT ?))
		ORDER BY closed, updated_at DESC`, closedLinksShown)
	st.Links = append([]Sync{}, st.Links...) // a list in JSON, also without an element
	return st, err
}

const syncRow = `SELECT tigerops_incident_id, incident_id, reference, permalink, origin, tigerops_status, tigerops_severity, incident_io_status,
	incident_io_category, incident_io_severity, waiting, dead, unapplied, lag_seconds, closed, updated_at FROM sync_state`

// Syncs reads the ties of the incident that is named as FindLinks finds it, or all there are where name is empty; open
// ones first.
func (s *Store) Syncs(ctx context.Context, name string) ([]Sync, error) {
	links, err := all(ctx, s, "reading the ties", (*Sync).fields, syncRow+` WHERE ?1 IN ('', tigerops_incident_id, incident_id)
		OR reference = ?1 COLLATE NOCASE ORDER BY closed, updated_at DESC`, name)
	return append([]Sync{}, links...), err
}

func (l *Sync) fields() []any {
	return []any{&l.TigerOpsID, &l.IncidentID, &l.Reference, &l.Permalink, &l.Origin, &l.TigerOpsStatus, &l.TigerOpsSeverity, &l.Status,
		&l.Category, &l.Severity, &l.Waiting, &l.Dead, &l.Unapplied, &l.LagSeconds, &l.Closed, dbTime{&l.UpdatedAt}}
}

// Story tells an incident's whole story, both ways, in time order. The incident is named as FindLinks finds it; one
// that is tied to nothing, by its TigerOps or its incident.io id.
func (s *Store) Story(ctx context.Context, incident string) ([]StoryRow, error) {
	links, err := s.FindLinks(ctx, incident)
	if err != nil {
		return nil, err
	}
	names := []string{incident}
	for _, l := range links {
		names = append(names, l.TigerOpsID)
	}
	query, args := `SELECT tigerops_incident_id, incident_id, at, direction, what, detail, state FROM (`, []any{}
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			query, args = query+`SELECT * FROM story WHERE tigerops_incident_id = ? UNION ALL `, append(args, name)
		}
	}
	// Untied: what incident.io told of it, as far as anything was kept.
	query += `SELECT NULL, incident_id, received_at, 'incident.io → TigerOps', event_type, 'webhook ' || id, state FROM webhook
		WHERE incident_id = ? AND NOT EXISTS (SELECT 1 FROM link l WHERE l.incident_id = webhook.incident_id)
		AND NOT EXISTS (SELECT 1 FROM former_link l WHERE l.incident_id = webhook.incident_id)
		UNION ALL SELECT * FROM story WHERE tigerops_incident_id IS NULL AND incident_id = ?) ORDER BY at`
	return all(ctx, s, "reading a story", (*StoryRow).fields, query, append(args, incident, incident)...)
}

func (r *StoryRow) fields() []any {
	return []any{dbText[string]{&r.TigerOpsID}, dbText[string]{&r.IncidentID}, dbTime{&r.At}, &r.Direction, &r.What, &r.Detail, &r.State}
}

// Stuck tells what does not move, and why.
func (s *Store) Stuck(ctx context.Context) ([]StuckRow, error) {
	return all(ctx, s, "looking for what is stuck", func(r *StuckRow) []any {
		return []any{&r.Kind, &r.ID, dbText[string]{&r.Incident}, &r.What, dbTime{&r.Since}, &r.Why}
	}, `SELECT kind, id, incident, what, since, why FROM stuck ORDER BY since`)
}

// Meta reads what was kept under a key; empty where nothing is.
func (s *Store) Meta(ctx context.Context, key string) (value string, err error) {
	_, err = s.one(ctx, "reading "+key, `SELECT value FROM meta WHERE key = ?`, []any{key}, &value)
	return value, err
}

// SetMeta keeps a value under a key.
func (s *Store) SetMeta(ctx context.Context, key, value string) error {
	return s.write(ctx, "keeping "+key, len(value), func(t *tx) error { return t.setMeta(key, value) })
}
