package mapping

import (
	"encoding/json"
	"time"
)

// Values of Look.Source and Change.Source.
const (
	SourceWebhook = "webhook" // a webhook asked for the look
	SourceSweep   = "sweep"   // the sweep found the incident
)

// Values of Tie.Origin.
const (
	OriginDeclared   = "declared"
	OriginAttached   = "attached"
	OriginAlertRoute = "alert_route"
)

// Actor is who did something in incident.io. Type is user, api_key, workflow or alert; the zero Actor is "not told".
type Actor struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Update is an update of an incident: the only place where incident.io tells who changed status or severity.
// Status and Severity are those that the incident had after it; incident.io fills in the status of every update,
// also of one that changed none.
type Update struct {
	ID         string
	Message    string
	Status     *Status
	Severity   *Severity
	At         time.Time
	By         Actor
	MergedInto string // id of the incident that this one was merged into by this update
}

// Item is an action, a follow-up, a timeline item, a post-mortem document or an alert. By is who made it, nil where
// incident.io does not tell. At is when it was made, for a timeline item when it happened.
type Item struct {
	ID          string
	Title       string
	Description string
	Status      string
	Assignee    string // email, else name; empty: nobody
	Labels      []string
	At          time.Time
	UpdatedAt   time.Time
	By          *Actor
}

// Escalation is a page that went out for an incident. By is who made its last move (the one who acknowledged it),
// nil where that is not known. At is when it was made, UpdatedAt its last move. IncidentIDs are the incidents that
// it belongs to; an escalation that names some but not the one looked at is passed over.
type Escalation struct {
	ID          string
	Title       string
	Status      string
	At          time.Time
	UpdatedAt   time.Time
	By          *Actor
	IncidentIDs []string
}

// Look is what was seen of an incident of incident.io at one time. A nil slice means "not looked at", an empty one
// "looked, and nothing is there". The order of the slices does not matter.
type Look struct {
	Remote        Remote
	Updates       []Update
	Actions       []Item
	FollowUps     []Item
	Timeline      []Item
	Postmortems   []Item
	Escalations   []Escalation
	AlertResolved *Item  // the tie's alert, once incident.io says that it is resolved; At is when. It may stand without Remote
	Source        string // SourceWebhook or SourceSweep
	// First is the first look after the tie: of an incident that was attached, what people wrote before is not
	// told, only how its state differs from Agreed. A declared incident has no before: all that people wrote is told.
	First bool
	// TiedAt is when the incident was attached, by incident.io's clock: what people wrote since is told, also at the first look.
	TiedAt time.Time
}

// Pending is an event of TigerOps that is not delivered yet. At is its timestamp, else its arrival.
type Pending struct {
	OutboxID int64
	Event    Event
	At       time.Time
}

// Compare is all that finding the changes of one tie depends on.
type Compare struct {
	Tie   Tie
	State State // what TigerOps has told, without the events in Pending
	Look  Look
	// Open holds the effects of steps that are under way or in doubt: a state or a message that equals one is the
	// agent's own.
	Open []Effect
	// Marks are the texts by which steps in doubt know their own (Request.Mark, the title of an escalation): what
	// holds one in its title or text is the agent's own.
	Marks []string
	// OwnIDs are incident.io's ids of what steps made, of all TigerOps incidents tied to this incident.
	OwnIDs map[string]bool
	// KeyName is the name of the agent's API key as incident.io shows it. What it wrote (messages, timeline items,
	// actions) was not written by people and is never told; a state that it left is compared like any other.
	KeyName   string
	Pending   []Pending
	Rules     *Rules
	Directory *Directory
}

// Ref names an incident of incident.io for people and programs.
type Ref struct {
	ID        string `json:"id"`
	Reference string `json:"reference"`
	Permalink string `json:"permalink"`
	Name      string `json:"name"`
}

func refOf(r Remote) Ref {
	return Ref{ID: r.ID, Reference: r.Reference, Permalink: r.Permalink, Name: r.Name}
}

// Change is one change for TigerOps to apply. It marshals as contract section 4 says, without the id, which the
// inbox gives it.
type Change struct {
	// Key tells repeats: 32 hex digits of a hash over both incidents, the kind and what changed.
	Key                string
	Type               string
	TigerOpsIncidentID string // empty only for incident.declared
	Incident           Ref
	Before             map[string]any // nil where there was nothing
	After              map[string]any // nil where nothing is left
	Actor              *Actor         // nil where incident.io does not tell who did it
	Message            string
	OccurredAt         time.Time
	Source             string
	// Repeatable says that Key holds no id of incident.io's, so that the same change can come again another day:
	// the inbox tells such repeats apart by an ordinal.
	Repeatable bool
}

// timeLayout is how times are written: RFC 3339 UTC with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON implements json.Marshaler.
func (c Change) MarshalJSON() ([]byte, error) {
	orNull := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	var at string
	if !c.OccurredAt.IsZero() {
		at = c.OccurredAt.UTC().Format(timeLayout)
	}
	return json.Marshal(struct {
		Key        string         `json:"key"`
		Type       string         `json:"type"`
		TigerOpsID *string        `json:"tigerops_incident_id"`
		Incident   Ref            `json:"incident"`
		Before     map[string]any `json:"before"`
		After      map[string]any `json:"after"`
		Actor      *Actor         `json:"actor"`
		Message    string         `json:"message"`
		OccurredAt *string        `json:"occurred_at"`
		Source     string         `json:"source"`
	}{c.Key, c.Type, orNull(c.TigerOpsIncidentID), c.Incident, c.Before, c.After, c.Actor, c.Message, orNull(at), c.Source})
}
