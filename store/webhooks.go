package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// InsertWebhook keeps a webhook as it came and answers with its row once that is on disk; nil is the answer for an id that
// was seen before. Nothing of the body is read here.
func (s *Store) InsertWebhook(ctx context.Context, id string, body []byte) (stored *Webhook, err error) {
	err = s.writeOne(ctx, "storing a webhook", len(body), func(t *tx) error {
		stored = nil
		n, seq, err := t.insert(`INSERT INTO webhook (id, body, received_at) VALUES (?, CAST(? AS TEXT), ?)`, id, body, t.now)
		if err != nil {
			return constraint(0, err)
		}
		if n > 0 {
			stored = &Webhook{Seq: seq, ID: id, Body: body, State: WebhookPending}
			if err := (dbTime{&stored.ReceivedAt}).Scan(t.now); err != nil {
				return err
			}
			t.topics.add(TopicWebhooks)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// WaitingWebhooks lists the webhooks (Webhook.Seq) that nobody has looked at yet, oldest first. It costs a fraction of
// reading them.
func (s *Store) WaitingWebhooks(ctx context.Context, limit int) ([]int64, error) {
	return all(ctx, s, "listing webhooks", func(seq *int64) []any { return []any{seq} },
		`SELECT seq FROM webhook INDEXED BY webhook_pending WHERE state = 'pending' ORDER BY seq LIMIT ?`, limit)
}

// Webhooks reads webhooks, in no order; one that is not there is left out. Its meaning is empty if nobody has looked at it
// yet: the view webhook_meaning tells it to people then.
func (s *Store) Webhooks(ctx context.Context, seqs ...int64) ([]Webhook, error) {
	list, err := json.Marshal(seqs)
	if err != nil {
		return nil, fmt.Errorf("reading webhooks: %w", err)
	}
	return all(ctx, s, "reading webhooks", (*Webhook).fields, `SELECT seq, id, event_type, incident_id, body, state, error, received_at, attempts
		FROM webhook WHERE seq IN (SELECT value FROM json_each(?))`, string(list))
}

func (w *Webhook) fields() []any {
	return []any{&w.Seq, &w.ID, dbText[string]{&w.EventType}, dbText[string]{&w.IncidentID}, dbText[[]byte]{&w.Body}, &w.State, &w.Error,
		dbTime{&w.ReceivedAt}, &w.Attempts}
}

// endWebhooks notes what became of webhooks, and their meaning for whoever reads the table.
func (t *tx) endWebhooks(w WebhookEnd) error {
	seqs, err := json.Marshal(w.Seqs)
	if err != nil {
		return err
	}
	processed := t.now
	if w.State == WebhookPending {
		processed = ""
	}
	_, err = t.exec(`UPDATE webhook SET state = ?2, error = ?3, processed_at = nullif(?4, ''), attempts = attempts + 1,
		event_type = coalesce(event_type, nullif(?5, '')), incident_id = coalesce(incident_id, nullif(?6, '')), room = zeroblob(?7)
		WHERE seq IN (SELECT value FROM json_each(?1)) AND state = 'pending'`, string(seqs), w.State, w.Error, processed, w.EventType, w.IncidentID,
		roomLeft(w.State, w.Error, processed, w.EventType, w.IncidentID))
	return err
}

// webhookRoom is the length of the column room in a new row.
const webhookRoom = 160

// roomLeft is the length of the column room that lets a new row keep its size when it is filled in; 0 where there is not
// enough of it.
func roomLeft(filledIn ...string) int {
	left := inRow(webhookRoom) + inRow(len(WebhookPending)) + (len(filledIn)-1)*inRow(0)
	for _, text := range filledIn {
		left -= inRow(len(text))
	}
	n := left - 1
	if inRow(n) > left { // of two that can't be told apart in length the shorter
		n--
	}
	return max(n, 0)
}

// inRow is what a text or blob takes in SQLite's record format: itself and its length.
func inRow(n int) int {
	if n > 57 {
		return n + 2
	}
	return n + 1
}
