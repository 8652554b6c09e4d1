package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Commit is everything that one move changes. Members that are nil or empty change nothing. Each transition is fenced: if
// its row is not in the state that it must leave, the answer is ErrStale and nothing stays of the transaction's moves.
type Commit struct {
	Why      string         // a word or two that shows up in errors
	Freeze   *Step          // inserts the ledger row (open; or left_out, which records it only), or counts another attempt
	End      *StepEnd       // ends an open step
	Tried    *StepTry       // notes how an attempt of an open step went
	Defer    *Defer         // the event stays pending and is tried again later
	Park     *Park          // the event is set aside; its effect is in Incident
	Finish   *Finish        // the event ends
	Merged   []int64        // pending events whose effect now is in Incident
	Incident *IncidentState // what TigerOps has told so far
	Links    []Link         // inserted or replaced
	Drop     *Link          // the tie ends (reopen) and moves to the former links, with those beside it that are not in Links
	Unpark   string         // TigerOps id whose set-aside events are due again
	Inbox    []InboxRow     // changes for TigerOps; a key that is there already is passed over
	Webhooks []WebhookEnd
	Alert    *Alert
	Meta     map[string]string
}

// StepEnd ends a step that is open.
type StepEnd struct {
	OutboxID   int64
	Name       string
	State      string // StepDone, StepRefused or StepLeftOut
	HTTPStatus int
	RequestID  string
	RemoteID   string
	Error      string
}

// StepTry is an attempt of an open step that brought no answer about the step itself, which stays open.
type StepTry struct {
	OutboxID   int64
	Name       string
	HTTPStatus int // 0: no answer at all
	RequestID  string
	Error      string // never empty
}

// Defer puts off a pending event.
type Defer struct {
	OutboxID     int64
	Attempts     int // made so far
	Next         time.Time
	Reason       string
	Charged      time.Duration
	FirstAttempt time.Time
}

// Park sets a pending event aside until an incident is tied. Its effect counts as merged.
type Park struct {
	OutboxID int64
	Reason   string
}

// Finish ends a pending event. The events of Folded end done with folded_into set; one of them that a person has
// discarded meanwhile stays as it is, since its effect was sent all the same. The attempt that ended an event counts,
// unless it ends skipped.
type Finish struct {
	OutboxID int64
	State    string // Done, Skipped or Dead
	Reason   string
	Folded   []int64
}

// IncidentState is a TigerOps incident as all its events so far tell it.
type IncidentState struct {
	TigerOpsID string
	State      []byte // a JSON object; its member "open" says whether retention has to spare the incident
}

// InboxRow is a change for TigerOps to apply. Payload is the change as a JSON object without its id; its member "key"
// is set to the row's final key. A Repeatable key gets an ordinal ("#1", "#2", …), because the same change can happen
// again; a key that is not is written once.
type InboxRow struct {
	Key        string
	Repeatable bool
	Type       string
	TigerOpsID string
	IncidentID string
	Payload    []byte
	Source     string
}

// WebhookEnd ends pending webhooks that mean the same; one that has ended already is left as it is.
type WebhookEnd struct {
	Seqs       []int64
	EventType  string // their meaning, which stands in the rows from then on
	IncidentID string
	State      string // WebhookDone, WebhookFailed, WebhookIgnored, or WebhookPending to count a failed attempt
	Error      string
}

// Commit writes everything that each of the moves changes, all or nothing, and answers once it is on disk, with the ids
// of the inbox rows that are new.
func (s *Store) Commit(ctx context.Context, moves ...Commit) (inboxIDs []int64, err error) {
	why, size := "commit", 0
	for i := range moves {
		size += moves[i].size()
	}
	if len(moves) > 0 && moves[0].Why != "" {
		why = moves[0].Why
	}
	err = s.write(ctx, why, size, func(t *tx) error {
		inboxIDs = nil
		for i := range moves {
			ids, err := t.move(&moves[i])
			if err != nil {
				return err
			}
			inboxIDs = append(inboxIDs, ids...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return inboxIDs, nil
}

func (t *tx) move(c *Commit) (inboxIDs []int64, err error) {
	if err := t.steps(c); err != nil {
		return nil, constraint(0, err)
	}
	if err := t.ties(c); err != nil {
		return nil, constraint(0, err)
	}
	if err := t.event(c); err != nil {
		return nil, constraint(0, err)
	}
	for i, row := range c.Inbox {
		id, err := t.tell(row)
		if err != nil {
			return nil, fmt.Errorf("telling TigerOps of %s: %w", row.Key, constraint(i, err))
		}
		if id != 0 {
			inboxIDs = append(inboxIDs, id)
			t.topics.add(TopicInbox)
		}
	}
	for i, w := range c.Webhooks {
		if err := t.endWebhooks(w); err != nil {
			return nil, fmt.Errorf("ending webhooks %v: %w", w.Seqs, constraint(i, err))
		}
		t.topics.add(TopicWebhooks)
	}
	for key, value := range c.Meta {
		if err := t.setMeta(key, value); err != nil {
			return nil, err
		}
	}
	return inboxIDs, nil
}

// size is about how many bytes the commit writes.
func (c *Commit) size() int {
	n := 512
	if c.Freeze != nil {
		n += len(c.Freeze.Request) + len(c.Freeze.Effect)
	}
	if c.Incident != nil {
		n += len(c.Incident.State)
	}
	for _, l := range c.Links {
		n += len(l.Agreed) + len(l.Pushed)
	}
	for _, r := range c.Inbox {
		n += len(r.Payload)
	}
	return n
}

// steps ends one step and freezes the next.
func (t *tx) steps(c *Commit) error {
	if e := c.End; e != nil {
		err := t.must(fmt.Sprintf("ending step %s of event %d", e.Name, e.OutboxID),
			`UPDATE delivery SET attempts = attempts + (error <> ''), state = ?, http_status = nullif(?, 0), request_id = ?, remote_id = ?, error = ?, finished_at = ?
			WHERE outbox_id = ? AND step = ? AND state = 'open'`,
			e.State, e.HTTPStatus, e.RequestID, e.RemoteID, e.Error, t.now, e.OutboxID, e.Name)
		if err != nil {
			return err
		}
	}
	if try := c.Tried; try != nil {
		// An open step's error is that of its last attempt, so that what comes after one is another attempt.
		err := t.must(fmt.Sprintf("noting an attempt of step %s of event %d", try.Name, try.OutboxID),
			`UPDATE delivery SET attempts = attempts + (error <> ''), http_status = nullif(?, 0), request_id = ?, error = ?
			WHERE outbox_id = ? AND step = ? AND state = 'open'`, try.HTTPStatus, try.RequestID, try.Error, try.OutboxID, try.Name)
		if err != nil {
			return err
		}
	}
	f := c.Freeze
	if f == nil {
		return nil
	}
	what := fmt.Sprintf("freezing step %s of event %d", f.Name, f.OutboxID)
	folded := "[]"
	if len(f.Folded) > 0 {
		b, err := json.Marshal(f.Folded)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		folded = string(b)
	}
	effect := string(f.Effect)
	if effect == "" {
		effect = "{}"
	}
	if f.State == StepLeftOut {
		// Recorded only, as in a dry run: there is no moment at which a restart would send it.
		_, err := t.exec(`INSERT INTO delivery (outbox_id, step, state, attempts, started_at, finished_at, call, method, path, idempotency_key, mark, folded,
			effect, error, request) VALUES (?, ?, 'left_out', 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (outbox_id, step) DO NOTHING`,
			f.OutboxID, f.Name, t.now, t.now, f.Call, f.Method, f.Path, f.Key, f.Mark, folded, effect, f.Error, string(f.Request))
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	// What was ever sent goes out again byte for byte: an open row only counts the attempt, and other bytes for it are
	// stale. One that was definitely refused may be planned anew.
	return t.must(what, `
		INSERT INTO delivery (outbox_id, step, started_at, call, method, path, idempotency_key, mark, folded, effect, request)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE EXISTS (SELECT 1 FROM outbox WHERE id = ?1 AND state = 'pending')
		ON CONFLICT (outbox_id, step) DO UPDATE SET attempts = attempts + 1, state = 'open', finished_at = NULL,
			call = excluded.call, method = excluded.method, path = excluded.path, idempotency_key = excluded.idempotency_key,
			mark = excluded.mark, folded = excluded.folded, effect = excluded.effect, request = excluded.request,
			http_status = NULL, request_id = '', error = ''
		WHERE state = 'refused' OR state = 'open' AND (request, method, path, idempotency_key)
			= (excluded.request, excluded.method, excluded.path, excluded.idempotency_key)`,
		f.OutboxID, f.Name, t.now, f.Call, f.Method, f.Path, f.Key, f.Mark, folded, effect, string(f.Request))
}

// ties writes what is known of the incident on both sides.
func (t *tx) ties(c *Commit) error {
	if i := c.Incident; i != nil {
		if _, err := t.exec(`INSERT INTO incident (tigerops_incident_id, updated_at, state) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET updated_at = excluded.updated_at, state = excluded.state`,
			i.TigerOpsID, t.now, string(i.State)); err != nil {
			return fmt.Errorf("keeping incident %s: %w", i.TigerOpsID, err)
		}
	}
	if c.Drop != nil || len(c.Links) > 0 {
		t.topics.add(TopicTies)
	}
	if d := c.Drop; d != nil {
		what := fmt.Sprintf("ending the tie of %s to %s", d.TigerOpsID, d.IncidentID)
		if err := t.must(what, `INSERT OR REPLACE INTO former_link (`+linkColumns+`, dropped_at)
			SELECT `+linkColumns+`, ?1 FROM link WHERE tigerops_incident_id = ?2 AND (incident_id = ?3 OR beside = 1)
			AND EXISTS (SELECT 1 FROM link WHERE tigerops_incident_id = ?2 AND incident_id = ?3 AND beside = 0)
			ORDER BY beside DESC`, t.now, d.TigerOpsID, d.IncidentID); err != nil { // the one in step last: it is the newest
			return err
		}
		if err := t.must(what, `DELETE FROM link WHERE tigerops_incident_id = ?`, d.TigerOpsID); err != nil {
			return err
		}
	}
	for _, l := range c.Links {
		created := t.now
		if !l.CreatedAt.IsZero() {
			created = formatTime(l.CreatedAt)
		}
		if _, err := t.exec(`INSERT INTO link (`+linkRow+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET incident_id = excluded.incident_id, reference = excluded.reference, permalink = excluded.permalink,
				origin = excluded.origin, alert_id = excluded.alert_id, generation = excluded.generation, agreed = excluded.agreed,
				pushed = excluded.pushed, incident_io_status = excluded.incident_io_status, incident_io_category = excluded.incident_io_category,
				incident_io_severity = excluded.incident_io_severity, tigerops_status = excluded.tigerops_status,
				tigerops_severity = excluded.tigerops_severity, updated_at = excluded.updated_at, closed = excluded.closed, beside = excluded.beside`,
			l.TigerOpsID, l.IncidentID, l.Reference, l.Permalink, l.Origin, l.AlertID, l.Generation, object(l.Agreed), object(l.Pushed),
			l.Status, l.Category, l.Severity, l.TigerOpsStatus, l.TigerOpsSeverity, created, t.now, l.Closed, l.Beside); err != nil {
			return fmt.Errorf("tying %s to %s: %w", l.TigerOpsID, l.IncidentID, err)
		}
	}
	if d := c.Drop; d != nil && len(c.Links) > 0 { // those beside it that stay tied
		if _, err := t.exec(`DELETE FROM former_link WHERE tigerops_incident_id = ?1
			AND incident_id IN (SELECT incident_id FROM link WHERE tigerops_incident_id = ?1)`, d.TigerOpsID); err != nil {
			return fmt.Errorf("keeping what is beside the tie of %s: %w", d.TigerOpsID, err)
		}
	}
	if a := c.Alert; a != nil {
		if _, err := t.exec(`INSERT INTO alert (`+alertColumns+`) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
			key = excluded.key, alert_id = excluded.alert_id, state = excluded.state, updated_at = excluded.updated_at`,
			a.TigerOpsID, a.Generation, a.Key, a.AlertID, a.State, t.now); err != nil {
			return fmt.Errorf("keeping the alert of %s: %w", a.TigerOpsID, err)
		}
	}
	return nil
}

// object is a JSON text, the empty object where there is none.
func object(b []byte) string {
	if len(b) == 0 {
		return "{}"
	}
	return string(b)
}

// event moves the outbox's rows. Each of these updates counts rev up, which tells the agent's own changes from a
// person's.
func (t *tx) event(c *Commit) error {
	for _, id := range c.Merged {
		if err := t.must(fmt.Sprintf("merging event %d", id),
			`UPDATE outbox SET merged = 1, rev = rev + 1 WHERE id = ? AND state = 'pending'`, id); err != nil {
			return err
		}
	}
	if d := c.Defer; d != nil {
		t.topics.add(TopicDelivery)
		if err := t.must(fmt.Sprintf("putting off event %d", d.OutboxID),
			`UPDATE outbox SET attempts = ?, next_attempt_at = ?, reason = ?, charged_ms = ?, first_attempt_at = ?, rev = rev + 1
			WHERE id = ? AND state = 'pending'`,
			d.Attempts, formatTime(d.Next), d.Reason, d.Charged.Milliseconds(), nullTime(d.FirstAttempt), d.OutboxID); err != nil {
			return err
		}
	}
	if p := c.Park; p != nil {
		t.topics.add(TopicDelivery)
		if err := t.must(fmt.Sprintf("setting event %d aside", p.OutboxID),
			`UPDATE outbox SET parked = 1, merged = 1, reason = ?, rev = rev + 1 WHERE id = ? AND state = 'pending'`,
			p.Reason, p.OutboxID); err != nil {
			return err
		}
	}
	if f := c.Finish; f != nil {
		t.topics.add(TopicDelivery)
		finished := any(t.now)
		if f.State == Dead {
			finished = nil
		}
		if err := t.must(fmt.Sprintf("ending event %d", f.OutboxID),
			`UPDATE outbox SET state = ?1, reason = ?2, finished_at = ?3, parked = 0, attempts = attempts + (?1 <> 'skipped'), rev = rev + 1
			WHERE id = ?4 AND state = 'pending'`,
			f.State, f.Reason, finished, f.OutboxID); err != nil {
			return err
		}
		for _, id := range f.Folded {
			if _, err := t.exec(`UPDATE outbox SET state = 'done', folded_into = ?, merged = 1, parked = 0, attempts = attempts + 1, finished_at = ?, rev = rev + 1
				WHERE id = ? AND state = 'pending'`, f.OutboxID, t.now, id); err != nil {
				return fmt.Errorf("folding event %d into %d: %w", id, f.OutboxID, err)
			}
		}
	}
	if c.Unpark != "" {
		n, err := t.exec(`UPDATE outbox SET parked = 0, next_attempt_at = ?, rev = rev + 1
			WHERE incident_key = ? AND state = 'pending' AND parked = 1`, t.now, c.Unpark)
		if err == nil && n > 0 {
			t.topics.add(TopicOutbox)
			_, err = t.exec(`INSERT INTO outbox_change (lane) VALUES (?)`, lane(c.Unpark, 0))
		}
		if err != nil {
			return fmt.Errorf("taking up the events set aside for %s: %w", c.Unpark, err)
		}
	}
	return nil
}

func (t *tx) setMeta(key, value string) error {
	_, err := t.exec(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`, key, value)
	if err != nil {
		return fmt.Errorf("keeping %s: %w", key, err)
	}
	return nil
}
