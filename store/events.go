package store

import (
	"context"
	"fmt"
)

// eventID is what the schema derives a row's event_id from, for a payload that was passed over.
const eventID = `coalesce(
	CASE json_type(?1, '$.id') WHEN 'text' THEN nullif(?1 ->> '$.id', '') WHEN 'integer' THEN ?1 -> '$.id' WHEN 'real' THEN ?1 -> '$.id' END,
	'content:' || json(?1))`

// InsertEvents puts events into the outbox, all or none of them, and answers once they are on disk. An event that is
// there already, or was once, is a Duplicate and changes nothing. What the schema refuses is a *ConstraintError with
// the place of the payload among those given. known is what the caller has read of the payloads in the same places; SQLite
// reads those of which nothing is known, or which have no place in it.
func (s *Store) InsertEvents(ctx context.Context, payloads [][]byte, known ...Known) ([]Inserted, error) {
	size := 0
	texts := make([]string, len(payloads))
	for i, p := range payloads {
		texts[i] = string(p)
		size += len(p)
	}
	inserted := make([]Inserted, len(payloads))
	write := s.write
	if len(payloads) == 1 {
		write = s.writeOne
	}
	err := write(ctx, "storing events", size, func(t *tx) error {
		for i, payload := range texts {
			var k Known
			if i < len(known) {
				k = known[i]
			}
			in, err := t.insertEvent(payload, k)
			if err != nil {
				return constraint(i, err)
			}
			inserted[i] = in
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return inserted, nil
}

func (t *tx) insertEvent(payload string, k Known) (Inserted, error) {
	if k.ID == "" || k.Type == "" {
		return t.insertUnread(payload)
	}
	// A repeat of an event whose row has been pruned lacks a payload, and what lacks something is passed over as a repeat
	// of one that is there, and so is what is refused.
	n, id, err := t.insert(`INSERT OR IGNORE INTO outbox (payload, created_at, next_attempt_at, known_id, known_type, known_incident, known_severity)
		VALUES (iif(EXISTS (SELECT 1 FROM event_seen WHERE event_id = ?3), NULL, ?1), ?2, ?2, ?3, ?4, ?5, ?6)`,
		payload, t.now, k.ID, k.Type, nullText(k.Incident), nullText(k.Severity))
	if err != nil {
		return Inserted{}, err
	}
	if n == 0 {
		in := Inserted{EventID: k.ID, Duplicate: true} // unless it is neither there nor seen
		found, err := t.row(`SELECT id FROM outbox WHERE event_id = ?1 UNION ALL SELECT 0 FROM event_seen WHERE event_id = ?1 LIMIT 1`, []any{k.ID}, &in.ID)
		if err != nil || found {
			return in, err
		}
		return t.insertUnread(payload) // which says why
	}
	return t.new(Inserted{ID: id, EventID: k.ID}, k.Incident), nil
}

// insertUnread puts an event in and has SQLite read it.
func (t *tx) insertUnread(payload string) (in Inserted, err error) {
	var seen bool
	var incident string
	// The times are what the schema would give, but that it would read the clock and write the text twice.
	found, err := t.row(`INSERT INTO outbox (payload, created_at, next_attempt_at) VALUES (?1, ?2, ?2)
		RETURNING id, event_id, EXISTS (SELECT 1 FROM event_seen WHERE event_id = outbox.event_id), incident_key`,
		[]any{payload, t.now}, &in.ID, &in.EventID, &seen, dbText[string]{&incident})
	if err != nil {
		return Inserted{}, err
	}
	if found && !seen {
		return t.new(in, incident), nil
	}
	in.Duplicate = true
	if seen {
		in.ID = 0 // the trigger has taken the row away again
		return in, nil
	}
	found, err = t.row(`SELECT id, event_id FROM outbox WHERE event_id = `+eventID, []any{payload}, &in.ID, &in.EventID)
	if err == nil && !found {
		if t.bare {
			return in, errTransaction // the row went before it was read
		}
		err = fmt.Errorf("the outbox passed over an event and does not hold it")
	}
	return in, err
}

// new notes an event that has come in.
func (t *tx) new(in Inserted, incident string) Inserted {
	t.topics.add(TopicNew)
	t.arrived = append(t.arrived, Arrival{in.ID, lane(incident, in.ID)})
	return in
}
