package mapping

import (
	"encoding/json"
	"time"
)

// Event types of contract section 3.
const (
	IncidentCreated      = "incident.created"
	IncidentUpdated      = "incident.updated"
	IncidentAcknowledged = "incident.acknowledged"
	IncidentEscalated    = "incident.escalated"
	IncidentResolved     = "incident.resolved"
	IncidentReopened     = "incident.reopened"
	InvestigationStep    = "investigation.step"
	RunbookAction        = "runbook.action"
	PostmortemReady      = "postmortem.ready"
	AnomalyDetected      = "anomaly.detected"
	SLOBreached          = "slo.breached"
	TestEvent            = "test"
)

// Event is one event from TigerOps, canonical or flat, as contract section 3 describes it.
type Event struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"` // when it happened; zero if the event does not say
	Incident  Incident        `json:"incident"`  // only what this event carries
	Actor     *Person         `json:"actor,omitempty"`
	Step      *Step           `json:"step,omitempty"`
	Action    *Action         `json:"action,omitempty"`
	Post      *Postmortem     `json:"postmortem,omitempty"`
	Raw       json.RawMessage `json:"-"` // the payload as it came, for $.a.b paths
}

// Incident is what TigerOps tells of an incident. A nil or empty member means "not told".
type Incident struct {
	ID               string      `json:"id,omitempty"`
	Title            string      `json:"title,omitempty"`
	Severity         string      `json:"severity,omitempty"`
	Status           string      `json:"status,omitempty"`
	Service          string      `json:"service,omitempty"`
	AffectedServices []string    `json:"affected_services,omitempty"`
	Team             string      `json:"team,omitempty"`
	Environment      string      `json:"environment,omitempty"`
	URL              string      `json:"url,omitempty"`
	TraceURL         string      `json:"trace_url,omitempty"`
	AISummary        string      `json:"ai_summary,omitempty"`
	RootCause        string      `json:"root_cause,omitempty"`
	ImpactedMetrics  []Metric    `json:"impacted_metrics,omitempty"`
	SLO              *SLO        `json:"slo,omitempty"`
	Deployment       *Deployment `json:"deployment,omitempty"`
	Responders       []Responder `json:"responders,omitempty"`
	StartedAt        *time.Time  `json:"started_at,omitempty"`
	ResolvedAt       *time.Time  `json:"resolved_at,omitempty"`
}

// Metric is a measurement that the incident shows in.
type Metric struct {
	Name     string `json:"name"`
	Value    string `json:"value,omitempty"`
	Baseline string `json:"baseline,omitempty"`
}

// SLO is the service level objective at stake.
type SLO struct {
	Name     string   `json:"name,omitempty"`
	Status   string   `json:"status,omitempty"`
	BurnRate *float64 `json:"error_budget_burn_rate,omitempty"`
}

// Deployment is the deployment that TigerOps suspects.
type Deployment struct {
	SHA        string     `json:"sha,omitempty"`
	Service    string     `json:"service,omitempty"`
	URL        string     `json:"url,omitempty"`
	DeployedAt *time.Time `json:"deployed_at,omitempty"`
}

// Responder is a person with a role in TigerOps.
type Responder struct {
	Role  string `json:"role"`
	Email string `json:"email,omitempty"`
	Name  string `json:"name,omitempty"`
}

// Person is somebody named by TigerOps.
type Person struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// Step is a step of TigerOps' investigation.
type Step struct {
	Kind   string `json:"kind"`
	Title  string `json:"title,omitempty"`
	Detail string `json:"detail,omitempty"`
	URL    string `json:"url,omitempty"`
}

// Action is a runbook action that TigerOps ran or proposes.
type Action struct {
	Title  string `json:"title"`
	Status string `json:"status,omitempty"`
	Detail string `json:"detail,omitempty"`
	URL    string `json:"url,omitempty"`
}

// Postmortem is TigerOps' draft of the post-mortem.
type Postmortem struct {
	ContributingFactors []string     `json:"contributing_factors,omitempty"`
	TimelineSummary     string       `json:"timeline_summary,omitempty"`
	ActionItems         []ActionItem `json:"action_items,omitempty"`
}

// ActionItem is work to do after the incident; it becomes a follow-up.
type ActionItem struct {
	Title  string   `json:"title"`
	Detail string   `json:"detail,omitempty"`
	Owner  string   `json:"owner,omitempty"` // an email or a name
	Labels []string `json:"labels,omitempty"`
}

// State is what TigerOps has told of an incident so far: the sum of its events, stored as JSON in incident.state.
type State struct {
	Incident     Incident          `json:"incident"`
	Open         bool              `json:"open"`                   // false once resolved, true again once reopened
	Acknowledged bool              `json:"acknowledged,omitempty"` // somebody took it in TigerOps
	Generation   string            `json:"generation,omitempty"`   // the id of the event that reopened it last; empty for the first life
	Actions      map[string]string `json:"actions,omitempty"`      // runbook action (title) to the status last told
	FollowUps    []string          `json:"follow_ups,omitempty"`   // titles of the action items already turned into follow-ups
	Postmortem   bool              `json:"postmortem,omitempty"`   // a post-mortem document was sent already
	Extra        Extra             `json:"extra,omitzero"`         // all events' payloads merged, for $.a.b paths
	LastEventAt  time.Time         `json:"last_event_at,omitzero"`
}

// Status is a status of the account. Category is triage, live, learning, paused, closed, declined, canceled, merged
// or a word that incident.io adds later.
type Status struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Category string `json:"category"`
	Rank     int64  `json:"rank,omitempty"`
}

// Severity is a severity of the account; a higher rank is more severe.
type Severity struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Rank int64  `json:"rank"`
}

// Role is an incident role of the account. Type is lead, reporter or custom.
type Role struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Type      string `json:"type"`
	Shortform string `json:"shortform,omitempty"`
}

// User is a person of the account.
type User struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Option is an option of a select field.
type Option struct {
	ID    string `json:"id"`
	Value string `json:"value"`
}

// Field is a custom field of the account. Type is single_select, multi_select, text, link or numeric; a field with a
// CatalogType holds catalog entries.
type Field struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	CatalogType string   `json:"catalog_type,omitempty"`
	Options     []Option `json:"options,omitempty"`
}

// Entry is a catalog entry.
type Entry struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	ExternalID string   `json:"external_id,omitempty"`
	Aliases    []string `json:"aliases,omitempty"`
}

// IncidentType is a type of incident of the account.
type IncidentType struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Default bool   `json:"default"`
}

// Directory is what is known of the incident.io account. Entries and Users hold what Needs asked for: a user that is
// not in Users is not in the account, unless UsersUnknown says that the lookup itself did not succeed.
type Directory struct {
	Severities   []Severity
	Statuses     []Status
	Types        []IncidentType
	Roles        []Role
	Fields       []Field
	Entries      map[string][]Entry // by catalog type id
	Users        map[string]User    // by lower-case email
	UsersUnknown map[string]string  // lower-case email to why the lookup failed
	// UsersPending is the same for lookups that will be tried again in a moment: a plan says nothing of these people yet.
	UsersPending map[string]string
	// Missing holds the calls that the account answered 404 to, by the Call* names, so that Plan takes the fall-back.
	Missing map[string]bool
}

// Calls that an older or limited account may answer 404 to (facts.md, "Newer calls missing").
const (
	CallUpdates    = "incident_updates"
	CallTimeline   = "incident_timeline_items"
	CallActions    = "actions"
	CallFollowUps  = "follow_ups"
	CallPostmortem = "import_postmortem_document"
	CallAlertNotes = "alert_notes"
)

// Remote is an incident of incident.io as the API shows it.
type Remote struct {
	ID            string              `json:"id"`
	Reference     string              `json:"reference"`
	Permalink     string              `json:"permalink,omitempty"`
	Name          string              `json:"name"`
	Summary       string              `json:"summary,omitempty"`
	Status        Status              `json:"status"`
	Severity      *Severity           `json:"severity,omitempty"`
	Roles         []Assignment        `json:"roles,omitempty"`
	Fields        map[string][]string `json:"fields,omitempty"` // custom field id to its values: option ids, entry ids or texts
	PostmortemIDs []string            `json:"postmortem_ids,omitempty"`
	Mode          string              `json:"mode,omitempty"`
	Visibility    string              `json:"visibility,omitempty"`
	CreatedAt     time.Time           `json:"created_at"`
	UpdatedAt     time.Time           `json:"updated_at"`
}

// Assignment is a role that somebody holds in an incident.
type Assignment struct {
	Role Role `json:"role"`
	User User `json:"user"`
}

// Tie is a TigerOps incident tied to an incident.io incident, with what both sides last knew of each other.
type Tie struct {
	TigerOpsID string `json:"tigerops_id"`
	IncidentID string `json:"incident_id"`
	Reference  string `json:"reference"`
	Permalink  string `json:"permalink"`
	Origin     string `json:"origin"` // declared, attached or alert_route
	Generation string `json:"generation,omitempty"`
	Agreed     Agreed `json:"agreed"`
	Pushed     Pushed `json:"pushed"`
}

// Agreed is incident.io's side as both sides last agreed on it: what TigerOps was told of or itself caused.
type Agreed struct {
	Status        Status              `json:"status"`
	Severity      *Severity           `json:"severity,omitempty"`
	Roles         []Assignment        `json:"roles,omitempty"`
	Name          string              `json:"name,omitempty"`
	Summary       string              `json:"summary,omitempty"`
	Fields        map[string][]string `json:"fields,omitempty"`
	PostmortemIDs []string            `json:"postmortem_ids,omitempty"`
	// Seen holds what was told of already or is the agent's own: the kind and id of updates, timeline items, actions,
	// follow-ups, post-mortem documents, escalations and alerts ("action:01FC…", see Agreed.Knows) to a mark of the
	// state that was told.
	Seen map[string]string `json:"seen,omitempty"`
	// Overruled names what a conflict decided for incident.io: a TigerOps event with an outbox id up to the number
	// here may not push that field ("status", "severity", "role:ROLEID", "summary", "name").
	Overruled map[string]int64 `json:"overruled,omitempty"`
	// Told holds, by field (named as in Overruled), what TigerOps was told last, and has said nothing about since.
	Told map[string]Told `json:"told,omitempty"`
	// RemoteUpdatedAt is incident.io's updated_at at the last look.
	RemoteUpdatedAt time.Time `json:"remote_updated_at,omitzero"`
}

// Pushed is TigerOps' side as it was last sent: what TigerOps has not changed since then is not sent again, so that
// a value that a person set in incident.io stands.
type Pushed struct {
	Severity string            `json:"severity,omitempty"` // TigerOps severity
	Status   string            `json:"status,omitempty"`   // TigerOps status
	Title    string            `json:"title,omitempty"`
	Summary  string            `json:"summary,omitempty"` // hash of the summary text that was sent
	Fields   map[string]string `json:"fields,omitempty"`  // custom field id to a hash of TigerOps' value
	Roles    map[string]string `json:"roles,omitempty"`   // incident.io role id to lower-case email
}
