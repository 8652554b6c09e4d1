package store

import "time"

// Commit is everything that one move changes, in one transaction. Members that are nil or empty change nothing.
// Each transition is fenced: if its row is not in the state that it must leave, the answer is ErrStale and nothing of
// the Commit stays.
type Commit struct {
	Why      string         // a word or two that shows up in errors
	Freeze   *Step          // inserts the ledger row (state open), or counts another attempt of it
	End      *StepEnd       // ends an open step
	Defer    *Defer         // the event stays pending and is tried again later
	Park     *Park          // the event is set aside; its effect is in Incident
	Finish   *Finish        // the event ends
	Merged   []int64        // pending events whose effect now is in Incident
	Incident *IncidentState // what TigerOps has told so far
	Links    []Link         // inserted or replaced
	Drop     *Link          // the tie ends (reopen) and moves to the former links
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

// Finish ends a pending event. The events of Folded, which must be pending too, end done with folded_into set.
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

// WebhookEnd ends a pending webhook; one that has ended already is left as it is.
type WebhookEnd struct {
	ID    string
	State string // WebhookDone, WebhookFailed, WebhookIgnored, or WebhookPending to count a failed attempt
	Error string
}
