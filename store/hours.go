package store

import (
	"context"
	"time"
)

// Hour is what happened in an hour.
type Hour struct {
	Start     time.Time
	Delivered int // events that ended done
	Failed    int // requests of theirs that did not end well, in the hour in which their step ended
	Changes   int // changes that looks at incident.io found for TigerOps
}

// countedAtMost is up to how many events Hours counts; with more in that time a start had better be about them.
const countedAtMost = 100_000

// Hours counts what happened from one time to another, by the hour; hours in which nothing did are left out. Only what came
// in that time is looked at, so that a long history is not read through. counted is false where it was too much to count.
func (s *Store) Hours(ctx context.Context, from, until time.Time) (hours []Hour, counted bool, err error) {
	var early time.Time
	many, err := s.one(ctx, "looking for the hours' events", `SELECT created_at FROM outbox
		WHERE id <= (SELECT max(id) FROM outbox) - ?1 ORDER BY id DESC LIMIT 1`, []any{countedAtMost}, dbTime{&early})
	if err != nil || many && !early.Before(from) {
		return nil, false, err
	}
	hours, err = all(ctx, s, "counting by the hour", func(h *Hour) []any { return []any{dbTime{&h.Start}, &h.Delivered, &h.Failed, &h.Changes} },
		`WITH event AS (
			SELECT id, state, finished_at FROM outbox
			WHERE id > coalesce((SELECT id FROM outbox WHERE created_at < ?1 ORDER BY id DESC LIMIT 1), 0)
		), counted AS (
			SELECT finished_at AS at, 1 AS delivered, 0 AS failed, 0 AS changes FROM event WHERE state = 'done'
			UNION ALL
			SELECT coalesce(d.finished_at, d.started_at), 0, d.attempts - (d.state = 'done' OR d.state = 'open' AND d.error = ''), 0
			FROM event e JOIN delivery d ON d.outbox_id = e.id
			UNION ALL
			SELECT created_at, 0, 0, 1 FROM inbox
			WHERE id > coalesce((SELECT id FROM inbox WHERE created_at < ?1 ORDER BY id DESC LIMIT 1), 0) AND source <> 'delivery'
		)
		SELECT substr(at, 1, 13) || ':00:00.000Z' AS hour, sum(delivered), sum(failed), sum(changes)
		FROM counted WHERE at >= ?1 AND at < ?2 GROUP BY hour ORDER BY hour`, formatTime(from), formatTime(until))
	return hours, err == nil, err
}
