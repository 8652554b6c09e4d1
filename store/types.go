package store

import "time"

// TimeLayout is how times are written in the database: RFC 3339 in UTC with milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// States of an outbox row.
const (
	Pending = "pending" // waits for delivery
	Done    = "done"    // delivered; reason may hold warnings
	Skipped = "skipped" // nothing to send, or discarded; reason says why
	Dead    = "dead"    // given up; its lane waits behind it until a person retries or discards it
)

// States of a delivery row.
const (
	StepOpen    = "open"     // frozen and perhaps sent; the outcome is not known
	StepDone    = "done"     // taken by incident.io
	StepRefused = "refused"  // definitely not applied; may be planned anew
	StepLeftOut = "left_out" // refused for good, the event went on without it
)

// States of a webhook row. WebhookPending as the end of an attempt leaves the row waiting and counts the attempt.
const (
	WebhookPending = "pending"
	WebhookDone    = "done"
	WebhookFailed  = "failed"
	WebhookIgnored = "ignored"
)

// States of an inbox row, beside Pending.
const (
	Applied  = "applied"
	Rejected = "rejected"
)

// States of an alert.
const (
	AlertFired    = "fired"
	AlertResolved = "resolved"
)

// MetaLastSweep is the meta key under which the time of the last finished sweep is kept, for Status.
const MetaLastSweep = "last_sweep"

// MetaTroubles is the meta key under which the agent keeps what holds it up, a line each, for Status.
const MetaTroubles = "troubles"

// Inserted says what became of an event that was put into the outbox.
type Inserted struct {
	ID        int64  // of the row; 0 if the event was seen before and its row has been pruned since
	EventID   string // as the schema derives it from the payload
	Duplicate bool   // seen before: nothing was written
}

// Known is what whoever puts an event in has read of its payload already, exactly as the schema would read it, so that it
// is not read again. Without an ID or a Type nothing is known.
type Known struct {
	ID       string
	Type     string
	Incident string // the TigerOps incident's id; empty: the event names none
	Severity string // the same
}

// Head is the oldest unfinished event of a lane. A lane is an incident; an event without one is a lane of its own.
type Head struct {
	Lane        string // the incident's id, or "#" and the row's id for an event without an incident
	OutboxID    int64
	EventType   string
	Severity    string // as this event tells it, else as TigerOps last told it
	State       string // Pending or Dead
	NextAttempt time.Time
	CreatedAt   time.Time
	Attempts    int
}

// Due is when the head is to be tried. Where the clock was ahead when the event came and has been set back since, what
// the row says by that clock counts no more.
func (h *Head) Due(now time.Time) time.Time {
	if h.CreatedAt.After(now) && !h.NextAttempt.Before(h.CreatedAt) {
		return now
	}
	return h.NextAttempt
}

// Cursor is a place in the outbox's history: rows up to LastID and changes up to LastChange are known.
type Cursor struct{ LastID, LastChange int64 }

// Event is a row of the outbox.
type Event struct {
	ID           int64
	Payload      []byte
	EventID      string
	Type         string
	IncidentKey  string // the TigerOps incident's id; empty without one
	Lane         string
	State        string
	Reason       string
	Attempts     int
	CreatedAt    time.Time
	FirstAttempt time.Time // zero before the first failed attempt
	NextAttempt  time.Time
	FinishedAt   time.Time     // zero while unfinished
	Charged      time.Duration // time that counts towards giving up
	Parked       bool          // set aside until an incident is tied
	Merged       bool          // its effect is in the incident's state already
	FoldedInto   int64         // the event that carried this one's effect; 0 if none
	Begun        bool          // the ledger holds a step of it
}

// Queued is an event that waits in its lane.
type Queued struct {
	ID          int64
	Payload     []byte
	EventID     string
	Type        string
	State       string // Pending or Dead
	CreatedAt   time.Time
	NextAttempt time.Time
	Fresh       bool // never tried, nothing of it in the ledger, not added up yet, and its payload is here
}

// Link ties a TigerOps incident to an incident.io incident.
type Link struct {
	TigerOpsID       string
	IncidentID       string
	Reference        string
	Permalink        string
	Origin           string // declared, attached or alert_route
	AlertID          string
	Generation       string // the id of the event that reopened the TigerOps incident last; empty for its first life
	Agreed           []byte // JSON: incident.io's side as both last agreed on it
	Pushed           []byte // JSON: TigerOps' side as it was last sent
	Status           string // incident.io's names, for people
	Category         string
	Severity         string
	TigerOpsStatus   string
	TigerOpsSeverity string
	CreatedAt        time.Time // zero in a Commit: now, or what the row has
	UpdatedAt        time.Time // written by Commit
	Closed           bool
	Beside           bool // a second incident of the same alert: another link of the TigerOps incident is kept in step
}

// Step is a row of the ledger: one request to incident.io, frozen before it is sent.
type Step struct {
	OutboxID   int64
	Name       string
	Call       string
	Key        string
	Method     string
	Path       string
	Request    []byte // exact bytes
	Effect     []byte // JSON: what the step is expected to change
	Mark       string
	Folded     []int64 // outbox rows whose effect this step carries too
	State      string
	Attempts   int
	HTTPStatus int
	RequestID  string
	RemoteID   string
	Error      string
	StartedAt  time.Time // of the first attempt
	FinishedAt time.Time
}

// Alert is an alert that was sent to incident.io's HTTP alert source for a TigerOps incident (or, for an event
// without an incident, under the event's id).
type Alert struct {
	TigerOpsID string
	Generation string
	Key        string // deduplication key
	AlertID    string // incident.io's id, once it was looked up
	State      string // AlertFired or AlertResolved
	UpdatedAt  time.Time
}

// Webhook is a webhook as it came.
type Webhook struct {
	Seq        int64  // in the order of arrival
	ID         string // the webhook-id header
	EventType  string // as an earlier look has noted it; empty before
	IncidentID string // the same; empty where the payload names none
	Body       []byte
	State      string
	Error      string
	ReceivedAt time.Time
	Attempts   int
}

// InboxQuery selects inbox rows, in order of their ids. A zero Limit means 100; an empty State means every state.
type InboxQuery struct {
	After      int64
	Limit      int
	State      string
	TigerOpsID string
	Due        bool // only rows whose next push attempt is due, and that have no earlier pending row of the same incident
}

// InboxEntry is a change for TigerOps to apply.
type InboxEntry struct {
	ID          int64
	Key         string
	Type        string
	TigerOpsID  string
	IncidentID  string
	Payload     []byte // the whole change as JSON, id and key included
	State       string
	Reason      string
	Source      string
	CreatedAt   time.Time
	AppliedAt   time.Time // when it was applied or rejected; zero while pending
	Attempts    int       // of pushing it
	NextAttempt time.Time
}

// OutboxQuery selects outbox rows. A zero Limit means 100; an empty State means every state.
type OutboxQuery struct {
	State    string
	Incident string // TigerOps incident id
	Limit    int
}

// Status is what people and the metrics want to know at a glance.
type Status struct {
	Waiting         int       `json:"waiting"` // pending events, those set aside not counted
	Parked          int       `json:"parked"`  // set aside until an incident is tied
	Dead            int       `json:"dead"`
	OldestWaiting   time.Time `json:"oldest_waiting,omitzero"`
	InboxPending    int       `json:"inbox_pending"`
	InboxRejected   int       `json:"inbox_rejected"`
	OldestInbox     time.Time `json:"oldest_inbox,omitzero"`
	WebhooksPending int       `json:"webhooks_pending"`
	WebhooksFailed  int       `json:"webhooks_failed"`
	LastEvent       time.Time `json:"last_event,omitzero"`
	LastDelivery    time.Time `json:"last_delivery,omitzero"` // last step that ended
	LastWebhook     time.Time `json:"last_webhook,omitzero"`
	LastSweep       time.Time `json:"last_sweep,omitzero"`
	Troubles        []string  `json:"troubles,omitempty"` // what holds the agent up as a whole, as it last said
	Links           []Sync    `json:"links"`              // all that are open, and the closed ones that changed last
	ClosedLinks     int       `json:"closed_links"`       // how many are closed, shown or not
}

// Sync is a line of the view sync_state.
type Sync struct {
	TigerOpsID       string    `json:"tigerops_incident_id"`
	IncidentID       string    `json:"incident_id"`
	Reference        string    `json:"reference"`
	Permalink        string    `json:"permalink"`
	Origin           string    `json:"origin"`
	TigerOpsStatus   string    `json:"tigerops_status"`
	TigerOpsSeverity string    `json:"tigerops_severity"`
	Status           string    `json:"incident_io_status"`
	Category         string    `json:"incident_io_category"`
	Severity         string    `json:"incident_io_severity"`
	Waiting          int       `json:"waiting"`
	Dead             int       `json:"dead"`
	Unapplied        int       `json:"unapplied"` // inbox rows that TigerOps has not taken
	LagSeconds       float64   `json:"lag_seconds"`
	Closed           bool      `json:"closed"`
	UpdatedAt        time.Time `json:"updated_at"`
}

// StoryRow is a line of the view story: a step of an incident's life, in either direction.
type StoryRow struct {
	TigerOpsID string    `json:"tigerops_incident_id"`
	IncidentID string    `json:"incident_id"`
	At         time.Time `json:"at"`
	Direction  string    `json:"direction"`
	What       string    `json:"what"`
	Detail     string    `json:"detail"`
	State      string    `json:"state"`
}

// StuckRow is a line of the view stuck: something that does not move, and why.
type StuckRow struct {
	Kind     string    `json:"kind"` // event, webhook or change
	ID       string    `json:"id"`
	Incident string    `json:"incident"` // TigerOps id, else incident.io id
	What     string    `json:"what"`
	Since    time.Time `json:"since"`
	Why      string    `json:"why"`
}
