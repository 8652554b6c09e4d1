package store

import "context"

// InsertWebhook keeps a webhook as it came and answers once it is on disk; duplicate is true for an id that was seen
// before. Nothing of the body is read here.
func (s *Store) InsertWebhook(ctx context.Context, id string, body []byte) (duplicate bool, err error) {
	text := string(body)
	err = s.writeOne(ctx, "storing a webhook", len(body), func(t *tx) error {
		n, err := t.exec(`INSERT INTO webhook (id, body, received_at) VALUES (?, ?, ?)`, id, text, t.now)
		if err != nil {
			return constraint(0, err)
		}
		if duplicate = n == 0; !duplicate {
			t.topics.add(TopicWebhooks)
		}
		return nil
	})
	return duplicate, err
}

// PendingWebhooks reads webhooks that nobody has looked at yet, oldest first, with their meaning. What stands where a
// text should be is read as one: a webhook of another form holds up no other.
func (s *Store) PendingWebhooks(ctx context.Context, limit int) ([]Webhook, error) {
	return all(ctx, s, "reading webhooks", (*Webhook).fields, `SELECT w.id, CAST(w.event_type AS TEXT), CAST(w.incident_id AS TEXT), w.body, w.state, w.error, w.received_at, w.attempts
		FROM (SELECT seq FROM webhook INDEXED BY webhook_pending WHERE state = 'pending' ORDER BY seq LIMIT ?) p
		JOIN webhook_meaning w ON w.seq = p.seq ORDER BY w.seq`, limit)
}

func (w *Webhook) fields() []any {
	return []any{&w.ID, dbText[string]{&w.EventType}, dbText[string]{&w.IncidentID}, dbText[[]byte]{&w.Body}, &w.State, &w.Error,
		dbTime{&w.ReceivedAt}, &w.Attempts}
}

// endWebhook notes what became of a webhook, and its meaning for whoever reads the table.
func (t *tx) endWebhook(w WebhookEnd) error {
	processed := any(t.now)
	if w.State == WebhookPending {
		processed = nil
	}
	_, err := t.exec(`UPDATE webhook SET state = ?2, error = ?3, processed_at = ?4, attempts = attempts + 1,
		event_type = coalesce(event_type, nullif(?5, '')), incident_id = coalesce(incident_id, nullif(?6, ''))
		WHERE id = ?1 AND state = 'pending'`, w.ID, w.State, w.Error, processed, w.EventType, w.IncidentID)
	return err
}
