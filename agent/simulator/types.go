package simulator

import "time"

// The types below are the API's own objects, with the JSON that the API answers. Times are UTC.

// Severity is a severity; a higher rank is more severe.
type Severity struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Rank        int64     `json:"rank"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// Status is an incident status. Category is one of the Category constants.
type Status struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Category    string    `json:"category"`
	Rank        int64     `json:"rank"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// The categories of statuses, by the API's words.
const (
	CategoryTriage   = "triage"
	CategoryLive     = "live"
	CategoryLearning = "learning"
	CategoryPaused   = "paused"
	CategoryClosed   = "closed"
	CategoryDeclined = "declined"
	CategoryCanceled = "canceled"
	CategoryMerged   = "merged"
)

// IncidentType is a type of incident.
type IncidentType struct {
	ID                   string    `json:"id"`
	Name                 string    `json:"name"`
	Description          string    `json:"description"`
	IsDefault            bool      `json:"is_default"`
	PrivateIncidentsOnly bool      `json:"private_incidents_only"`
	CreateInTriage       string    `json:"create_in_triage"` // always or optional
	CreatedAt            time.Time `json:"created_at"`
	UpdatedAt            time.Time `json:"updated_at"`
}

// Role is an incident role. RoleType is lead, reporter or custom.
type Role struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Description  string    `json:"description"`
	Instructions string    `json:"instructions"`
	Shortform    string    `json:"shortform"`
	RoleType     string    `json:"role_type"`
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`
}

// CustomField is a custom field. FieldType is single_select, multi_select, text, link or numeric; one with a
// CatalogTypeID is a select of catalog entries.
type CustomField struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	Description   string    `json:"description"`
	FieldType     string    `json:"field_type"`
	CatalogTypeID string    `json:"catalog_type_id,omitempty"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// FieldOption is an option of a select field.
type FieldOption struct {
	ID            string `json:"id"`
	CustomFieldID string `json:"custom_field_id"`
	Value         string `json:"value"`
	SortKey       int64  `json:"sort_key"`
}

// User is a person of the account, as other objects embed it.
type User struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Email       string `json:"email,omitempty"`
	SlackUserID string `json:"slack_user_id,omitempty"`
	Role        string `json:"role"`
}

// Actor is who did something: one member is set, or none where the API has no word for it.
type Actor struct {
	User     *User        `json:"user,omitempty"`
	APIKey   *NamedActor  `json:"api_key,omitempty"`
	Workflow *NamedActor  `json:"workflow,omitempty"`
	Alert    *TitledActor `json:"alert,omitempty"`
}

// NamedActor is an API key or a workflow.
type NamedActor struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// TitledActor is an alert that did something.
type TitledActor struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Incident is an incident as GET /v2/incidents/{id} shows it.
type Incident struct {
	ID                      string           `json:"id"`
	Reference               string           `json:"reference"`
	Name                    string           `json:"name"`
	Summary                 string           `json:"summary,omitempty"`
	Status                  Status           `json:"incident_status"`
	Severity                *Severity        `json:"severity,omitempty"`
	Type                    *IncidentType    `json:"incident_type,omitempty"`
	Mode                    string           `json:"mode"`
	Visibility              string           `json:"visibility"`
	Permalink               string           `json:"permalink"`
	CallURL                 string           `json:"call_url,omitempty"`
	RoleAssignments         []RoleAssignment `json:"incident_role_assignments"`
	CustomFieldEntries      []FieldEntry     `json:"custom_field_entries"`
	TimestampValues         []TimestampValue `json:"incident_timestamp_values"`
	PostmortemDocumentIDs   []string         `json:"postmortem_document_ids"`
	PostmortemDocumentURL   string           `json:"postmortem_document_url,omitempty"`
	HasDebrief              bool             `json:"has_debrief"`
	SlackTeamID             string           `json:"slack_team_id"`
	SlackChannelID          string           `json:"slack_channel_id"`
	SlackChannelName        string           `json:"slack_channel_name,omitempty"`
	MostRecentUpdateMessage string           `json:"most_recent_update_message,omitempty"` // webhooks only
	Creator                 Actor            `json:"creator"`
	CreatedAt               time.Time        `json:"created_at"`
	UpdatedAt               time.Time        `json:"updated_at"`
}

// RoleAssignment is a role of an incident and who holds it, if anybody does.
type RoleAssignment struct {
	Role     EmbeddedRole `json:"role"`
	Assignee *User        `json:"assignee,omitempty"`
}

// EmbeddedRole is a role as an incident embeds it.
type EmbeddedRole struct {
	Role
	Required bool `json:"required"`
}

// FieldEntry is a custom field of an incident and its values.
type FieldEntry struct {
	CustomField FieldInfo    `json:"custom_field"`
	Values      []FieldValue `json:"values"`
}

// FieldInfo is a custom field as an incident embeds it.
type FieldInfo struct {
	ID          string        `json:"id"`
	Name        string        `json:"name"`
	Description string        `json:"description"`
	FieldType   string        `json:"field_type"`
	Options     []FieldOption `json:"options"`
}

// FieldValue is one value of a custom field; one member is set.
type FieldValue struct {
	Option  *FieldOption `json:"value_option,omitempty"`
	Entry   *EntryRef    `json:"value_catalog_entry,omitempty"`
	Text    string       `json:"value_text,omitempty"`
	Link    string       `json:"value_link,omitempty"`
	Numeric string       `json:"value_numeric,omitempty"`
}

// EntryRef is a catalog entry as an incident embeds it.
type EntryRef struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	ExternalID string   `json:"external_id,omitempty"`
	Aliases    []string `json:"aliases,omitempty"`
}

// Timestamp is a kind of point in time that incidents have, e.g. "Impact started".
type Timestamp struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Rank int64  `json:"rank"`
}

// TimestampValue is a point in time of an incident, if it is known.
type TimestampValue struct {
	Timestamp Timestamp  `json:"incident_timestamp"`
	Value     *TimeValue `json:"value,omitempty"`
}

// TimeValue is the value of a TimestampValue.
type TimeValue struct {
	Value *time.Time `json:"value,omitempty"`
}

// IncidentSlim is an incident as alerts and escalations embed it.
type IncidentSlim struct {
	ID             string `json:"id"`
	ExternalID     int64  `json:"external_id"`
	Name           string `json:"name"`
	Reference      string `json:"reference"`
	StatusCategory string `json:"status_category"` // here live is "active" and learning "post-incident"
	Summary        string `json:"summary,omitempty"`
	Visibility     string `json:"visibility"`
}

// Update is an incident update: a message, a change of status or severity, or several of them. NewStatus and
// NewSeverity are what they were after it.
type Update struct {
	ID                   string    `json:"id"`
	IncidentID           string    `json:"incident_id"`
	Message              string    `json:"message,omitempty"`
	NewStatus            Status    `json:"new_incident_status"`
	NewSeverity          *Severity `json:"new_severity,omitempty"`
	MergedIntoIncidentID string    `json:"merged_into_incident_id,omitempty"`
	Updater              Actor     `json:"updater"`
	CreatedAt            time.Time `json:"created_at"`
}

// TimelineItem is a custom item of an incident's timeline. Timestamp is when it happened.
type TimelineItem struct {
	ID          string    `json:"id"`
	IncidentID  string    `json:"incident_id"`
	Title       string    `json:"title"`
	Description string    `json:"description,omitempty"`
	Timestamp   time.Time `json:"timestamp"`
	Creator     Actor     `json:"creator"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
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

// FollowUp is a follow-up of an incident. Status is as for an Action.
type FollowUp struct {
	ID           string     `json:"id"`
	IncidentID   string     `json:"incident_id"`
	Title        string     `json:"title"`
	Description  string     `json:"description,omitempty"`
	Status       string     `json:"status"`
	Labels       []string   `json:"labels"`
	Assignee     *User      `json:"assignee,omitempty"`
	AssigneeTeam *NamedTeam `json:"assignee_team,omitempty"`
	Creator      Actor      `json:"creator"`
	CompletedAt  *time.Time `json:"completed_at,omitempty"`
	CreatedAt    time.Time  `json:"created_at"`
	UpdatedAt    time.Time  `json:"updated_at"`
}

// NamedTeam is a team as other objects embed it.
type NamedTeam struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Postmortem is a post-mortem document. Status is in_progress, in_review or completed.
type Postmortem struct {
	ID           string    `json:"id"`
	IncidentID   string    `json:"incident_id"`
	Title        string    `json:"title"`
	Status       string    `json:"status"`
	Type         string    `json:"type"`
	DocumentURL  string    `json:"document_url"`
	Editors      []User    `json:"editors"`
	ExportedURLs []string  `json:"exported_urls"`
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`

	Content string `json:"-"` // the Markdown as it was imported; the API does not answer it here
}

// Attachment is an external resource attached to an incident.
type Attachment struct {
	ID         string             `json:"id"`
	IncidentID string             `json:"incident_id"`
	Resource   AttachmentResource `json:"resource"`
}

// AttachmentResource is what an Attachment points to.
type AttachmentResource struct {
	ExternalID   string `json:"external_id"`
	Permalink    string `json:"permalink"`
	ResourceType string `json:"resource_type"`
	Title        string `json:"title"`
}

// CatalogType is a type of the catalog.
type CatalogType struct {
	ID                  string            `json:"id"`
	Name                string            `json:"name"`
	TypeName            string            `json:"type_name"`
	Description         string            `json:"description"`
	Annotations         map[string]string `json:"annotations"`
	Categories          []string          `json:"categories"`
	Color               string            `json:"color"`
	Icon                string            `json:"icon"`
	EngineResourceType  string            `json:"engine_resource_type"`
	IsEditable          bool              `json:"is_editable"`
	Ranked              bool              `json:"ranked"`
	UseNameAsIdentifier bool              `json:"use_name_as_identifier"`
	SourceRepoURL       string            `json:"source_repo_url,omitempty"`
	Schema              CatalogSchema     `json:"schema"`
	CreatedAt           time.Time         `json:"created_at"`
	UpdatedAt           time.Time         `json:"updated_at"`
}

// CatalogSchema is the schema of a CatalogType; the simulator's types have no attributes.
type CatalogSchema struct {
	Version    int64 `json:"version"`
	Attributes []any `json:"attributes"`
}

// CatalogEntry is an entry of the catalog.
type CatalogEntry struct {
	ID              string         `json:"id"`
	CatalogTypeID   string         `json:"catalog_type_id"`
	Name            string         `json:"name"`
	ExternalID      string         `json:"external_id,omitempty"`
	Aliases         []string       `json:"aliases"`
	AttributeValues map[string]any `json:"attribute_values"`
	Rank            int32          `json:"rank"`
	CreatedAt       time.Time      `json:"created_at"`
	UpdatedAt       time.Time      `json:"updated_at"`
}

// Team is a team of the account.
type Team struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	CatalogEntry TeamEntry    `json:"catalog_entry"`
	Members      []TeamMember `json:"members"`
}

// TeamEntry is the catalog entry of a Team.
type TeamEntry struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	ExternalID string `json:"external_id,omitempty"`
}

// TeamMember is a person in a Team.
type TeamMember struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Email       string `json:"email,omitempty"`
	SlackUserID string `json:"slack_user_id,omitempty"`
}
