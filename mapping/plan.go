package mapping

import (
	"encoding/json"
	"time"
)

// Call says which kind of request a step is; the agent decides by it how to look first and whose token it carries.
type Call string

// The kinds of steps.
const (
	AlertEvent       Call = "alert_event"       // POST /v2/alert_events/http/{source}, the source's own token
	CreateIncident   Call = "create_incident"   // POST /v2/incidents, takes an idempotency key
	EditIncident     Call = "edit_incident"     // POST /v2/incidents/{id}/actions/edit, absolute values, safe to repeat
	CreateUpdate     Call = "create_update"     // POST /v2/incident_updates, takes an idempotency key
	CreateTimeline   Call = "create_timeline"   // POST /v2/incident_timeline_items, takes an idempotency key
	CreateEscalation Call = "create_escalation" // POST /v2/escalations, takes an idempotency key
	CreateAction     Call = "create_action"     // POST /v3/actions, no key: look by Mark in description
	CreateFollowUp   Call = "create_follow_up"  // POST /v3/follow_ups, no key: look by Mark in description
	ImportPostmortem Call = "import_postmortem" // POST …/import_postmortem_document, no key: look by Mark in title
	CreateAlertNote  Call = "create_alert_note" // POST /v1/alert_notes, no key: look by Mark in content
	CreateOption     Call = "create_option"     // POST /v1/custom_field_options, no key: look by value
)

// Request is one planned call. Body is final: it is frozen in the ledger as it stands.
type Request struct {
	Name    string          `json:"name"` // the step's stable name, e.g. "incident.declare"; part of the key
	Call    Call            `json:"call"`
	Method  string          `json:"method"`
	Path    string          `json:"path"`
	Body    json.RawMessage `json:"body"`
	Key     string          `json:"key"`            // idempotency key; also where incident.io takes none
	Mark    string          `json:"mark,omitempty"` // text that only this step puts there, to know its own by
	Effect  Effect          `json:"effect"`
	Explain []string        `json:"explain,omitempty"` // for people: mapped names beside the ids
}

// Effect is what a step is expected to change, stored with the step: inbound compares with it, and when the step
// ends it is written into the link.
type Effect struct {
	Status   *Status             `json:"status,omitempty"`
	Severity *Severity           `json:"severity,omitempty"`
	Roles    []Assignment        `json:"roles,omitempty"`
	Name     string              `json:"name,omitempty"`
	Summary  string              `json:"summary,omitempty"`
	Fields   map[string][]string `json:"fields,omitempty"`
	Message  string              `json:"message,omitempty"` // text of an update, to know its row by
	Pushed   Pushed              `json:"pushed,omitzero"`   // members to set in Tie.Pushed
	Was      map[string]string   `json:"was,omitempty"`     // Found when an edit was written down
}

// States of Ended. Any other state, and a refusal, leave the step to be planned anew.
const (
	EndedDone    = "done"
	EndedLeftOut = "left_out"
	EndedRefused = "refused"
)

// Ended is a step of the event that has ended already, from the ledger.
type Ended struct {
	State    string // EndedDone, EndedLeftOut or EndedRefused
	RemoteID string
	Error    string
}

// Input is all that a plan depends on.
type Input struct {
	Event    Event
	OutboxID int64
	// SaidBy is the outbox id of the last of the event and those folded into it that says something of a field ("name",
	// "severity", "status", "summary", "roles"); a field that is not there counts as said by OutboxID.
	SaidBy   map[string]int64
	Before   State  // what TigerOps had told before this event (and those folded into it)
	State    State  // and with it
	Tie      *Tie   // nil: not tied
	Former   *Tie   // the tie before a reopen, named by the new incident
	Beside   []Tie  // ties to further incidents that alert routes made of its alert, to be ended together with Tie's
	Siblings int    // other TigerOps incidents tied to the same incident.io incident and not resolved
	AlertID  string // incident.io's alert, once it was looked up
	// AlertFired says that the alert of State.Generation was fired and not resolved yet.
	AlertFired bool
	// AlertLeft is the deduplication key of the alert of an earlier life that fires still, empty if none does: TigerOps
	// reopened the incident without having resolved it.
	AlertLeft string
	// ArrivedAt is when the event was stored: the time of what carries no timestamp of its own.
	ArrivedAt time.Time
	Directory *Directory
	Rules     *Rules
	Ended     map[string]Ended // by step name
}

// Outcome says what becomes of an event beside its steps.
type Outcome struct {
	// Next holds the steps that are still to be done, in order. The agent does the first, then plans again.
	Next []Request
	// Skip, if not empty, is why the event ends skipped: there is nothing to send for it. Next is empty then.
	Skip string
	// Park, if not empty, is why the event is set aside until an incident is tied. Next is empty then: an alert that
	// goes at once comes in a plan before.
	Park string
	// Warnings tell what was left out; they stand in outbox.reason of an event that is done all the same.
	Warnings []string
	// Declare says that Next begins with a declaration, so the agent looks for an incident to take first.
	Declare bool
	// Urgent events (alerts, declarations, resolves of critical incidents) go before notes.
	Urgent bool
	// Pushed holds members of Tie.Pushed to set when the event ends although no step carried them: the other side
	// had the value already.
	Pushed Pushed
}

// IncidentPlaceholder stands where the incident's id belongs in the steps behind a declaration that has not been made
// yet. Such steps are for people to read (the plan command, a dry run); only Next's first step is ever sent.
const IncidentPlaceholder = "{incident}"
