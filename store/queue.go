package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// unfinished is the condition of the index outbox_unfinished, word for word, so that SQLite uses it.
const unfinished = `state IN ('pending', 'dead') AND parked = 0`

// touchedLimit bounds how many new rows and changes one call of Touched reads.
const touchedLimit = 1000

// lane names the lane of a row: its incident, or itself. An incident whose id begins with "#" gets another one, so that
// it is never taken for a row's number.
func lane(incident string, id int64) string {
	switch {
	case incident == "":
		return "#" + strconv.FormatInt(id, 10)
	case incident[0] == '#':
		return "#" + incident
	}
	return incident
}

// splitLane is the reverse of lane; id is 0 for a lane that is an incident.
func splitLane(lane string) (incident string, id int64) {
	rest, numbered := strings.CutPrefix(lane, "#")
	if !numbered || strings.HasPrefix(rest, "#") {
		return rest, 0
	}
	id, err := strconv.ParseInt(rest, 10, 64)
	if err != nil {
		return "", -1 // no row
	}
	return "", id
}

const headColumns = `o.id, o.event_type, o.incident_key, coalesce(o.severity,
	(SELECT i.state ->> '$.incident.severity' FROM incident i WHERE i.tigerops_incident_id = o.incident_key)),
	o.state, o.next_attempt_at, o.created_at, o.attempts`

func (h *Head) fields() []any {
	return []any{&h.OutboxID, shared{&h.EventType}, dbText[string]{&h.Lane}, shared{&h.Severity},
		shared{&h.State}, dbTime{&h.NextAttempt}, dbTime{&h.CreatedAt}, &h.Attempts}
}

// shared scans one of few texts without a copy for each row: there may be a million lanes.
type shared struct{ to *string }

var sharedTexts sync.Map

// sharedMost bounds them: a stranger may write any text.
const sharedMost = 1000

var sharedCount atomic.Int64

func (f shared) Scan(v any) error {
	if err := dbText[string](f).Scan(v); err != nil {
		return err
	}
	if known, ok := sharedTexts.Load(*f.to); ok {
		*f.to = known.(string)
	} else if sharedCount.Load() < sharedMost {
		sharedCount.Add(1)
		sharedTexts.Store(*f.to, *f.to)
	}
	return nil
}

// Heads tells every lane's oldest unfinished event, those set aside left out, and the place in the outbox's history
// from which Touched goes on.
func (s *Store) Heads(ctx context.Context) (heads []Head, cur Cursor, err error) {
	cur, err = s.EachHead(ctx, func(h Head) { heads = append(heads, h) })
	return heads, cur, err
}

// EachHead does the same without holding all of them.
func (s *Store) EachHead(ctx context.Context, do func(Head)) (Cursor, error) {
	// The place first: what comes in between is told twice, not never.
	cur, err := s.cursor(ctx)
	if err != nil {
		return Cursor{}, err
	}
	// From one incident to the next in the index, however many of its rows wait.
	err = each(ctx, s, "reading the lanes' heads", (*Head).fields, func(h Head) {
		h.Lane = lane(h.Lane, h.OutboxID)
		do(h)
	}, `
		WITH RECURSIVE lane (k) AS (
			SELECT (SELECT incident_key FROM outbox INDEXED BY outbox_unfinished
				WHERE `+unfinished+` AND incident_key IS NOT NULL ORDER BY incident_key LIMIT 1)
			UNION ALL
			SELECT (SELECT incident_key FROM outbox INDEXED BY outbox_unfinished
				WHERE `+unfinished+` AND incident_key > lane.k ORDER BY incident_key LIMIT 1)
			FROM lane WHERE lane.k IS NOT NULL
		), head (id) AS (
			SELECT (SELECT id FROM outbox INDEXED BY outbox_unfinished
				WHERE `+unfinished+` AND incident_key = lane.k ORDER BY id LIMIT 1)
			FROM lane WHERE lane.k IS NOT NULL
			UNION ALL
			SELECT id FROM outbox INDEXED BY outbox_unfinished WHERE `+unfinished+` AND incident_key IS NULL
		)
		SELECT `+headColumns+` FROM head JOIN outbox o ON o.id = head.id`)
	if err != nil {
		return Cursor{}, err
	}
	return cur, nil
}

func (s *Store) cursor(ctx context.Context) (cur Cursor, err error) {
	_, err = s.one(ctx, "reading the outbox's end", `SELECT coalesce((SELECT max(id) FROM outbox), 0),
		coalesce((SELECT max(seq) FROM outbox_change), 0)`, nil, &cur.LastID, &cur.LastChange)
	return cur, err
}

// Touched tells the lanes that have got new rows since the cursor (grown), and those of which somebody else changed rows
// (a retry, a discard). more is true where the call was cut off at its bound and should be made again with next.
func (s *Store) Touched(ctx context.Context, c Cursor) (grown, changed []string, next Cursor, more bool, err error) {
	type row struct {
		new  bool
		id   int64
		lane string
	}
	fields := func(r *row) []any { return []any{&r.new, &r.id, dbText[string]{&r.lane}} }
	rows, err := all(ctx, s, "reading what is new in the outbox", fields, `
		SELECT 0, seq, lane FROM (SELECT seq, lane FROM outbox_change WHERE seq > ?1 ORDER BY seq LIMIT ?3)
		UNION ALL
		SELECT 1, id, incident_key FROM (SELECT id, incident_key FROM outbox WHERE id > ?2 ORDER BY id LIMIT ?3)`,
		c.LastChange, c.LastID, touchedLimit)
	if err != nil {
		return nil, nil, c, false, err
	}
	next = c
	seen := make(map[string]bool, len(rows))
	n := [2]int{}
	for _, r := range rows {
		to := &changed
		if r.new {
			r.lane, to = lane(r.lane, r.id), &grown
			next.LastID = r.id
			n[1]++
		} else {
			next.LastChange = r.id
			n[0]++
		}
		if !seen[r.lane] {
			seen[r.lane] = true
			*to = append(*to, r.lane)
		}
	}
	return grown, changed, next, max(n[0], n[1]) == touchedLimit, nil
}

// Head tells a lane's oldest unfinished event; false where nothing of it waits.
func (s *Store) Head(ctx context.Context, of string) (Head, bool, error) {
	incident, id := splitLane(of)
	where, arg := `o.incident_key = ? AND o.state IN ('pending', 'dead') AND o.parked = 0 ORDER BY o.id LIMIT 1`, any(incident)
	if id != 0 {
		where, arg = `o.id = ? AND o.incident_key IS NULL AND o.state IN ('pending', 'dead') AND o.parked = 0`, any(id)
	}
	var h Head
	found, err := s.near(ctx, "reading the head of lane "+of, `SELECT `+headColumns+` FROM outbox o WHERE `+where, []any{arg}, h.fields()...)
	h.Lane = of
	return h, found, err
}

// DataVersion is a number that changes when another process has committed to the file. It is read on the write
// connection, so that this process's own commits do not count.
func (s *Store) DataVersion(ctx context.Context) (v int64, err error) {
	err = s.between(ctx, "looking for other writers", func(*tx) (err error) {
		v, err = s.writer.dataVersion(s.writer.clock.now())
		return err
	})
	return v, err
}

const eventColumns = `id, payload, event_id, event_type, incident_key, state, reason, attempts, created_at, first_attempt_at,
	next_attempt_at, finished_at, charged_ms, parked, merged, coalesce(folded_into, 0), EXISTS (SELECT 1 FROM delivery WHERE outbox_id = outbox.id)`

func (e *Event) fields() []any {
	return []any{&e.ID, dbText[[]byte]{&e.Payload}, &e.EventID, &e.Type, dbText[string]{&e.IncidentKey}, &e.State, &e.Reason, &e.Attempts,
		dbTime{&e.CreatedAt}, dbTime{&e.FirstAttempt}, dbTime{&e.NextAttempt}, dbTime{&e.FinishedAt},
		(*millis)(&e.Charged), &e.Parked, &e.Merged, &e.FoldedInto, &e.Begun}
}

// millis scans a duration kept in milliseconds.
type millis time.Duration

func (m *millis) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("milliseconds were expected, not %T", v)
	}
	*m = millis(time.Duration(n) * time.Millisecond)
	return nil
}

// Event reads a row of the outbox; ErrNotFound where there is none.
func (s *Store) Event(ctx context.Context, id int64) (e Event, err error) {
	found, err := s.near(ctx, "reading an event", `SELECT `+eventColumns+` FROM outbox WHERE id = ?`, []any{id}, e.fields()...)
	if err == nil && !found {
		err = fmt.Errorf("event %d: %w", id, ErrNotFound)
	}
	e.Lane = lane(e.IncidentKey, e.ID)
	return e, err
}

// aheadBytes is the longest payload that is read ahead: what lies behind a lane's head is not to fill the memory.
const aheadBytes = 64 << 10

// Ahead reads the lane's unfinished events behind the row `after`, oldest first, those set aside left out. One that is
// longer than aheadBytes comes without its payload, and not as fresh.
func (s *Store) Ahead(ctx context.Context, of string, after int64, limit int) ([]Queued, error) {
	incident, id := splitLane(of)
	if id != 0 {
		return nil, nil
	}
	fields := func(q *Queued) []any {
		return []any{&q.ID, dbText[[]byte]{&q.Payload}, &q.EventID, &q.Type, &q.State, dbTime{&q.CreatedAt}, dbTime{&q.NextAttempt}, &q.Fresh}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading the events ahead: %w", err)
	}
	// Few rows: to watch the context meanwhile costs two goroutines.
	return all(context.Background(), s, "reading the events ahead", fields, `SELECT id, iif(octet_length(payload) <= ?4, payload, ''), event_id, event_type, state, created_at, next_attempt_at,
			octet_length(payload) <= ?4 AND attempts = 0 AND first_attempt_at IS NULL AND merged = 0 AND NOT EXISTS (SELECT 1 FROM delivery WHERE outbox_id = outbox.id)
		FROM outbox WHERE incident_key = ?1 AND id > ?2 AND state IN ('pending', 'dead') AND parked = 0 ORDER BY id LIMIT ?3`, incident, after, limit, aheadBytes)
}

// Waiting reads the lane's pending events behind the row `after`, oldest first, those set aside included.
func (s *Store) Waiting(ctx context.Context, of string, after int64, limit int) ([]Event, error) {
	incident, id := splitLane(of)
	if id != 0 {
		return nil, nil
	}
	queued, err := all(ctx, s, "reading waiting events", (*Event).fields, `SELECT `+eventColumns+` FROM outbox
		WHERE incident_key = ? AND id > ? AND state IN ('pending', 'dead') AND parked = 0 AND state = 'pending' ORDER BY id LIMIT ?`,
		incident, after, limit)
	if err != nil {
		return nil, err
	}
	parked, err := all(ctx, s, "reading events set aside", (*Event).fields, `SELECT `+eventColumns+` FROM outbox
		WHERE incident_key = ? AND id > ? AND state = 'pending' AND parked = 1 ORDER BY id LIMIT ?`, incident, after, limit)
	if err != nil {
		return nil, err
	}
	events := make([]Event, 0, min(limit, len(queued)+len(parked)))
	for len(events) < limit && len(queued)+len(parked) > 0 {
		next := &queued
		if len(queued) == 0 || len(parked) > 0 && parked[0].ID < queued[0].ID {
			next = &parked
		}
		e := (*next)[0]
		e.Lane = of
		events = append(events, e)
		*next = (*next)[1:]
	}
	return events, nil
}
