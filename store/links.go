package store

import (
	"context"
	"encoding/json"
)

const linkColumns = `tigerops_incident_id, incident_id, reference, permalink, origin, alert_id, generation, agreed, pushed,
	incident_io_status, incident_io_category, incident_io_severity, tigerops_status, tigerops_severity, created_at, updated_at, closed`

// linkRow and formerRow are what a Link is read from.
const (
	linkRow   = linkColumns + `, beside`
	formerRow = linkColumns + `, 0`
)

func (l *Link) fields() []any {
	return []any{&l.TigerOpsID, &l.IncidentID, &l.Reference, &l.Permalink, &l.Origin, &l.AlertID, &l.Generation,
		dbText[[]byte]{&l.Agreed}, dbText[[]byte]{&l.Pushed}, &l.Status, &l.Category, &l.Severity, &l.TigerOpsStatus, &l.TigerOpsSeverity,
		dbTime{&l.CreatedAt}, dbTime{&l.UpdatedAt}, &l.Closed, &l.Beside}
}

// IncidentState reads what TigerOps has told of an incident so far, as the JSON that Commit was given.
func (s *Store) IncidentState(ctx context.Context, tigeropsID string) (state []byte, ok bool, err error) {
	ok, err = s.near(ctx, "reading an incident", `SELECT state FROM incident WHERE tigerops_incident_id = ?`,
		[]any{tigeropsID}, dbText[[]byte]{&state})
	return state, ok, err
}

// Link reads the tie of a TigerOps incident that is kept in step; nil where it has none.
func (s *Store) Link(ctx context.Context, tigeropsID string) (*Link, error) {
	var l Link
	found, err := s.near(ctx, "reading a link", `SELECT `+linkRow+` FROM link WHERE tigerops_incident_id = ? AND beside = 0`, []any{tigeropsID}, l.fields()...)
	if err != nil || !found {
		return nil, err
	}
	return &l, nil
}

// LinksOf reads the ties of an incident.io incident, oldest first.
func (s *Store) LinksOf(ctx context.Context, incidentID string) ([]Link, error) {
	return all(ctx, s, "reading the links of an incident", (*Link).fields,
		`SELECT `+linkRow+` FROM link WHERE incident_id = ? ORDER BY created_at, rowid`, incidentID)
}

// LinksBeside reads the ties of a TigerOps incident beside the one that is kept in step, oldest first.
func (s *Store) LinksBeside(ctx context.Context, tigeropsID string) ([]Link, error) {
	return all(ctx, s, "reading the links beside", (*Link).fields,
		`SELECT `+linkRow+` FROM link WHERE tigerops_incident_id = ? AND beside = 1 ORDER BY created_at, rowid`, tigeropsID)
}

// OpenLinks reads the ties whose incidents are not closed.
func (s *Store) OpenLinks(ctx context.Context) ([]Link, error) {
	return all(ctx, s, "reading the open links", (*Link).fields,
		`SELECT `+linkRow+` FROM link WHERE closed = 0 ORDER BY created_at, rowid`)
}

// FormerLinks reads the ties that a reopen ended, newest first. With an empty id it reads those of every incident.
func (s *Store) FormerLinks(ctx context.Context, tigeropsID string) ([]Link, error) {
	return all(ctx, s, "reading the former links", (*Link).fields, `SELECT `+formerRow+` FROM former_link
		WHERE ?1 = '' OR tigerops_incident_id = ?1 ORDER BY dropped_at DESC, rowid DESC`, tigeropsID)
}

// FindLinks finds ties, present ones before former ones, by a TigerOps id, an incident.io id or a reference such as
// INC-123, whatever its case.
func (s *Store) FindLinks(ctx context.Context, name string) ([]Link, error) {
	return all(ctx, s, "looking for "+name, (*Link).fields, `SELECT * FROM (SELECT `+linkRow+` FROM link
		WHERE tigerops_incident_id = ?1 OR incident_id = ?1 OR reference = ?1 COLLATE NOCASE ORDER BY beside, created_at)
		UNION ALL SELECT * FROM (SELECT `+formerRow+` FROM former_link
		WHERE tigerops_incident_id = ?1 OR incident_id = ?1 OR reference = ?1 COLLATE NOCASE ORDER BY dropped_at DESC, rowid DESC)`, name)
}

const stepColumns = `d.outbox_id, d.step, d.call, d.idempotency_key, d.method, d.path, d.request, d.effect, d.mark, d.folded, d.state,
	d.attempts, coalesce(d.http_status, 0), d.request_id, d.remote_id, d.error, d.started_at, d.finished_at`

func (d *Step) fields() []any {
	return []any{&d.OutboxID, &d.Name, &d.Call, &d.Key, &d.Method, &d.Path, dbText[[]byte]{&d.Request}, dbText[[]byte]{&d.Effect}, &d.Mark,
		(*idList)(&d.Folded), &d.State, &d.Attempts, &d.HTTPStatus, &d.RequestID, &d.RemoteID, &d.Error, dbTime{&d.StartedAt}, dbTime{&d.FinishedAt}}
}

// idList scans a JSON array of row ids.
type idList []int64

func (l *idList) Scan(v any) error {
	text, _ := v.(string)
	if text == "[]" {
		*l = nil
		return nil
	}
	return json.Unmarshal([]byte(text), l)
}

// Steps reads the ledger of an event, in the order of the first sends.
func (s *Store) Steps(ctx context.Context, outboxID int64) ([]Step, error) {
	return all(ctx, s, "reading an event's steps", (*Step).fields,
		`SELECT `+stepColumns+` FROM delivery d WHERE d.outbox_id = ? ORDER BY d.rowid`, outboxID)
}

// OpenStepsOf reads the steps in doubt or under way of all TigerOps incidents tied to an incident.io incident.
func (s *Store) OpenStepsOf(ctx context.Context, incidentID string) ([]Step, error) {
	return all(ctx, s, "reading the open steps of an incident", (*Step).fields, `SELECT `+stepColumns+`
		FROM delivery d INDEXED BY delivery_open JOIN outbox o ON o.id = d.outbox_id
		WHERE d.state = 'open' AND o.incident_key IN (SELECT tigerops_incident_id FROM link WHERE incident_id = ?)
		ORDER BY d.rowid`, incidentID)
}

// OwnRemoteIDs tells the ids of what the agent itself made in incident.io (updates, timeline items, actions, …) for
// the TigerOps incidents that are or were tied to an incident.
func (s *Store) OwnRemoteIDs(ctx context.Context, incidentID string) (map[string]bool, error) {
	ids, err := all(ctx, s, "reading the agent's own steps", func(id *string) []any { return []any{id} }, `
		WITH tied (k) AS (
			SELECT tigerops_incident_id FROM link WHERE incident_id = ?1
			UNION SELECT tigerops_incident_id FROM former_link WHERE incident_id = ?1
		), event (id) AS (
			SELECT o.id FROM tied JOIN outbox o ON o.incident_key = tied.k WHERE o.state IN ('done', 'skipped')
			UNION ALL SELECT o.id FROM tied JOIN outbox o ON o.incident_key = tied.k WHERE o.state IN ('pending', 'dead') AND o.parked = 0
			UNION ALL SELECT o.id FROM tied JOIN outbox o ON o.incident_key = tied.k WHERE o.state = 'pending' AND o.parked = 1
		)
		SELECT d.remote_id FROM event JOIN delivery d ON d.outbox_id = event.id WHERE d.remote_id <> ''`, incidentID)
	if err != nil {
		return nil, err
	}
	own := make(map[string]bool, len(ids))
	for _, id := range ids {
		own[id] = true
	}
	return own, nil
}

const alertColumns = `tigerops_incident_id, generation, key, alert_id, state, updated_at`

func (a *Alert) fields() []any {
	return []any{&a.TigerOpsID, &a.Generation, &a.Key, &a.AlertID, &a.State, dbTime{&a.UpdatedAt}}
}

// Alert reads the alert of a TigerOps incident's life (generation); nil where none was sent.
func (s *Store) Alert(ctx context.Context, tigeropsID, generation string) (*Alert, error) {
	var a Alert
	found, err := s.near(ctx, "reading an alert", `SELECT `+alertColumns+` FROM alert WHERE tigerops_incident_id = ? AND generation = ?`,
		[]any{tigeropsID, generation}, a.fields()...)
	if err != nil || !found {
		return nil, err
	}
	return &a, nil
}

// AlertLeft reads the latest alert of a TigerOps incident that fires for an earlier life than this, as an event of it sees
// that; nil where there is none. A reopen behind that event, which was set aside, may have fired the alert of a later one.
func (s *Store) AlertLeft(ctx context.Context, tigeropsID, generation string, outboxID int64) (*Alert, error) {
	var a Alert
	found, err := s.near(ctx, "reading the alert of an earlier life", `SELECT `+alertColumns+` FROM alert
		WHERE tigerops_incident_id = ? AND state = 'fired' AND generation <> ?
		AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = generation AND o.id > ?) ORDER BY updated_at DESC LIMIT 1`,
		[]any{tigeropsID, generation, outboxID}, a.fields()...)
	if err != nil || !found {
		return nil, err
	}
	return &a, nil
}

// OpenAlerts reads the alerts that fire.
func (s *Store) OpenAlerts(ctx context.Context) ([]Alert, error) {
	return all(ctx, s, "reading the alerts that fire", (*Alert).fields, `SELECT `+alertColumns+` FROM alert WHERE state = 'fired' ORDER BY updated_at`)
}

// OpenAlertsWithoutLink reads the alerts that fire for TigerOps incidents that are not tied.
func (s *Store) OpenAlertsWithoutLink(ctx context.Context) ([]Alert, error) {
	return all(ctx, s, "reading alerts without a link", (*Alert).fields, `SELECT `+alertColumns+` FROM alert a WHERE state = 'fired'
		AND NOT EXISTS (SELECT 1 FROM link l WHERE l.tigerops_incident_id = a.tigerops_incident_id) ORDER BY updated_at`)
}
