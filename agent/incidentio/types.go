package incidentio

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Token is a secret that incident.io made, such as an alert source's. It prints and marshals as <secret>; string(t) is
// the secret itself.
type Token string

const hidden = "<secret>"

func (Token) String() string               { return hidden }
func (Token) GoString() string             { return hidden }
func (Token) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Identity is who the API key is, as GET /v1/identity tells it.
type Identity struct {
	Name         string   `json:"name"`
	DashboardURL string   `json:"dashboard_url"` // ends in the organisation's slug
	Roles        []string `json:"roles"`         // held for the whole account
	TeamRoles    []string `json:"team_roles"`    // held for Teams only
	Teams        []Named  `json:"teams"`
}

// Named is a reference to something by id and name.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Severity is a severity of the account; a higher rank is more severe.
type Severity struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Rank        int64  `json:"rank"`
}

// Status is an incident status of the account. Category is triage, live, learning, paused, closed, declined, canceled,
// merged, or a word that incident.io adds later.
type Status struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Category    string `json:"category"`
	Rank        int64  `json:"rank"`
}

// IncidentType is a type of incident of the account.
type IncidentType struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	IsDefault    bool   `json:"is_default"`
	PrivateOnly  bool   `json:"private_incidents_only"`
	CreateTriage string `json:"create_in_triage,omitempty"` // always or optional
}

// Role is an incident role of the account. Type is lead, reporter or custom.
type Role struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Type      string `json:"role_type"`
	Shortform string `json:"shortform,omitempty"`
}

// CustomField is a custom field of the account. Type is single_select, multi_select, text, link or numeric; a select
// with a CatalogTypeID holds catalog entries instead of options.
type CustomField struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Description   string `json:"description,omitempty"`
	Type          string `json:"field_type"`
	CatalogTypeID string `json:"catalog_type_id,omitempty"`
}

// Option is an option of a select field.
type Option struct {
	ID            string `json:"id"`
	CustomFieldID string `json:"custom_field_id,omitempty"`
	Value         string `json:"value"`
	SortKey       int64  `json:"sort_key,omitempty"`
}

// User is a person of the account.
type User struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Email       string `json:"email,omitempty"`
	Role        string `json:"role,omitempty"`
	SlackUserID string `json:"slack_user_id,omitempty"`
}

// CatalogType is a type of the catalog; TypeName is what custom fields and expressions call it.
type CatalogType struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	TypeName string `json:"type_name"`
	IsTeam   bool   `json:"is_team_type,omitempty"`
}

// CatalogEntry is an entry of the catalog. ExternalID and Aliases serve for its id wherever an id is asked for.
type CatalogEntry struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	ExternalID string   `json:"external_id,omitempty"`
	Aliases    []string `json:"aliases,omitempty"`
}

// Team is a team of the account, and its entry in the catalog.
type Team struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	CatalogEntry CatalogEntry `json:"catalog_entry"`
}

// AlertSource is an alert source of the account. Token is empty where the key may not see it.
type AlertSource struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Type      string `json:"source_type"` // http, heartbeat, …
	EventsURL string `json:"alert_events_url,omitempty"`
	Token     Token  `json:"secret_token,omitempty"`
}

// EscalationPath is an escalation path of the account.
type EscalationPath struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	TeamIDs []string `json:"team_ids,omitempty"`
}

// Actor is who did something. Type is user, api_key, workflow, alert, a kind that incident.io adds later, or empty
// where it does not tell. Name is an alert's title.
type Actor struct {
	Type  string
	ID    string
	Name  string
	Email string // of a user, where it is shared
}

// UnmarshalJSON reads incident.io's form, an object with one member named after the kind of actor.
func (a *Actor) UnmarshalJSON(b []byte) error {
	*a = Actor{}
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(b, &kinds); err != nil {
		return err
	}
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	// A user before anything else: what a workflow did for somebody is that person's doing. Then by name, so that the
	// same answer gives the same actor.
	slices.SortFunc(names, func(x, y string) int {
		switch {
		case x == "user":
			return -1
		case y == "user":
			return 1
		}
		return strings.Compare(x, y)
	})
	for _, name := range names {
		raw := bytes.TrimSpace(kinds[name])
		if len(raw) == 0 || raw[0] != '{' {
			continue
		}
		var who struct{ ID, Name, Title, Email string }
		if err := json.Unmarshal(raw, &who); err != nil {
			return err
		}
		*a = Actor{Type: name, ID: who.ID, Name: who.Name, Email: who.Email}
		if a.Name == "" {
			a.Name = who.Title
		}
		return nil
	}
	return nil
}

// Incident is an incident as the API shows it.
type Incident struct {
	ID             string        `json:"id"`
	Reference      string        `json:"reference"` // INC-123
	Name           string        `json:"name"`
	Summary        string        `json:"summary,omitempty"`
	Permalink      string        `json:"permalink,omitempty"`
	Mode           string        `json:"mode"`       // standard, retrospective, test or tutorial
	Visibility     string        `json:"visibility"` // public or private
	Status         Status        `json:"incident_status"`
	Severity       *Severity     `json:"severity,omitempty"`
	Type           *IncidentType `json:"incident_type,omitempty"`
	Creator        Actor         `json:"creator"`
	Roles          []Assignment  `json:"incident_role_assignments"`
	Fields         []FieldEntry  `json:"custom_field_entries"`
	PostmortemIDs  []string      `json:"postmortem_document_ids,omitempty"`
	PostmortemURL  string        `json:"postmortem_document_url,omitempty"`
	SlackChannelID string        `json:"slack_channel_id,omitempty"`
	CreatedAt      time.Time     `json:"created_at"`
	UpdatedAt      time.Time     `json:"updated_at"`
}

// Assignment is an incident's role and who holds it, nil for nobody.
type Assignment struct {
	Role     Role  `json:"role"`
	Assignee *User `json:"assignee,omitempty"`
}

// FieldEntry is a custom field of an incident with its values, none when it is not set.
type FieldEntry struct {
	Field  CustomField  `json:"custom_field"`
	Values []FieldValue `json:"values"`
}

// FieldValue is one value of a custom field; which member is set follows the field's type.
type FieldValue struct {
	Option  *Option       `json:"value_option,omitempty"`
	Entry   *CatalogEntry `json:"value_catalog_entry,omitempty"`
	Text    string        `json:"value_text,omitempty"`
	Link    string        `json:"value_link,omitempty"`
	Numeric string        `json:"value_numeric,omitempty"`
}

// Key is the value in the form that it is written in: the id of an option or an entry, else the text, link or number.
func (v FieldValue) Key() string {
	switch {
	case v.Option != nil:
		return v.Option.ID
	case v.Entry != nil:
		return v.Entry.ID
	case v.Text != "":
		return v.Text
	case v.Link != "":
		return v.Link
	}
	return v.Numeric
}

// Update is an update of an incident: a message, and the status and severity that it left. MergedInto is the incident
// that this one was merged into.
type Update struct {
	ID         string    `json:"id"`
	IncidentID string    `json:"incident_id"`
	Message    string    `json:"message,omitempty"`
	Status     *Status   `json:"new_incident_status,omitempty"`
	Severity   *Severity `json:"new_severity,omitempty"`
	Updater    Actor     `json:"updater"`
	MergedInto string    `json:"merged_into_incident_id,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
}

// TimelineItem is an item of an incident's timeline. Timestamp is when it happened.
type TimelineItem struct {
	ID            string    `json:"id"`
	IncidentID    string    `json:"incident_id"`
	Title         string    `json:"title"`
	Description   string    `json:"description,omitempty"`
	ActivityLogID string    `json:"activity_log_id,omitempty"` // set where the item is incident.io's own record
	Timestamp     time.Time `json:"timestamp"`
	Creator       Actor     `json:"creator"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// Action is an action of an incident. Status is outstanding, completed, deleted or not_doing.
type Action struct {
	ID          string     `json:"id"`
	IncidentID  string     `json:"incident_id"`
	Description string     `json:"description"`
	Status      string     `json:"status"`
	Assignee    *User      `json:"assignee,omitempty"`
	Creator     Actor      `json:"creator"`
	CompletedAt *time.Time `json:"completed_at,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// FollowUp is a follow-up of an incident. Status is outstanding, completed, deleted or not_doing.
type FollowUp struct {
	ID          string     `json:"id"`
	IncidentID  string     `json:"incident_id"`
	Title       string     `json:"title"`
	Description string     `json:"description,omitempty"`
	Status      string     `json:"status"`
	Labels      []string   `json:"labels,omitempty"`
	Assignee    *User      `json:"assignee,omitempty"`
	Creator     Actor      `json:"creator"`
	CompletedAt *time.Time `json:"completed_at,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// Postmortem is a post-mortem document. Status is in_progress, in_review or completed; Type in_app or external.
// The times are zero where incident.io sends no readable one: its description does not promise their form.
type Postmortem struct {
	ID          string `json:"id"`
	IncidentID  string `json:"incident_id"`
	Title       string `json:"title"`
	Status      string `json:"status"`
	Type        string `json:"type"`
	DocumentURL string `json:"document_url"`
	CreatedAt   Stamp  `json:"created_at"`
	UpdatedAt   Stamp  `json:"updated_at"`
}

// Stamp is a time that is zero where the text is no RFC 3339 time, in place of an error.
type Stamp struct{ time.Time }

// UnmarshalJSON never fails.
func (s *Stamp) UnmarshalJSON(b []byte) error {
	if err := s.Time.UnmarshalJSON(b); err != nil {
		s.Time = time.Time{}
	}
	return nil
}

// Alert is an alert. Status is firing or resolved.
type Alert struct {
	ID               string     `json:"id"`
	Title            string     `json:"title"`
	Description      string     `json:"description,omitempty"`
	Status           string     `json:"status"`
	DeduplicationKey string     `json:"deduplication_key"`
	AlertSourceID    string     `json:"alert_source_id"`
	SourceURL        string     `json:"source_url,omitempty"`
	CreatedAt        time.Time  `json:"created_at"`
	UpdatedAt        time.Time  `json:"updated_at"`
	ResolvedAt       *time.Time `json:"resolved_at,omitempty"`
}

// IncidentAlert ties an alert to an incident. AlertRouteID is the route that did it, if one did.
type IncidentAlert struct {
	ID           string      `json:"id"`
	AlertRouteID string      `json:"alert_route_id,omitempty"`
	Alert        Alert       `json:"alert"`
	Incident     IncidentRef `json:"incident"`
}

// IncidentRef is an incident in short. StatusCategory is in the words of Status.Category.
type IncidentRef struct {
	ID             string   `json:"id"`
	Reference      string   `json:"reference"`
	Name           string   `json:"name"`
	Summary        string   `json:"summary,omitempty"`
	StatusCategory Category `json:"status_category"`
	Visibility     string   `json:"visibility"`
}

// Category is a status category in the words of Status.Category. Some answers use the dashboard's words, active and
// post-incident; they are read as live and learning.
type Category string

// UnmarshalJSON reads either wording.
func (c *Category) UnmarshalJSON(b []byte) error {
	var word string
	if err := json.Unmarshal(b, &word); err != nil {
		return err
	}
	switch word {
	case "active":
		word = "live"
	case "post-incident", "post_incident":
		word = "learning"
	}
	*c = Category(word)
	return nil
}

// AlertNote is a note on an alert.
type AlertNote struct {
	ID        string    `json:"id"`
	AlertID   string    `json:"alert_id,omitempty"`
	Content   string    `json:"content"`
	Creator   Actor     `json:"creator"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Escalation is an escalation. Status is pending, triggered, acked, resolved, expired, cancelled, snoozed, delayed or
// pending_repeat.
type Escalation struct {
	ID               string            `json:"id"`
	Title            string            `json:"title"`
	Description      string            `json:"description,omitempty"`
	Status           string            `json:"status"`
	EscalationPathID string            `json:"escalation_path_id,omitempty"`
	Creator          Actor             `json:"creator"`
	Events           []EscalationEvent `json:"events"`
	RelatedAlerts    []Alert           `json:"related_alerts"`
	RelatedIncidents []IncidentRef     `json:"related_incidents"`
	CreatedAt        time.Time         `json:"created_at"`
	UpdatedAt        time.Time         `json:"updated_at"`
}

// EscalationEvent is one thing that happened to an escalation: triggered, notified_users, acked, …
type EscalationEvent struct {
	ID         string    `json:"id"`
	Event      string    `json:"event"`
	OccurredAt time.Time `json:"occurred_at"`
	Users      []User    `json:"users,omitempty"` // for acked, who did
}
