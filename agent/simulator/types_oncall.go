package simulator

import "time"

// AlertSource is an alert source. SecretToken is what its events are sent with.
type AlertSource struct {
	ID                        string            `json:"id"`
	Name                      string            `json:"name"`
	SourceType                string            `json:"source_type"`
	AlertEventsURL            string            `json:"alert_events_url,omitempty"`
	SecretToken               string            `json:"secret_token,omitempty"`
	AutoResolveIncidentAlerts *bool             `json:"auto_resolve_incident_alerts,omitempty"`
	AutoResolveTimeoutMinutes *int64            `json:"auto_resolve_timeout_minutes,omitempty"`
	OwningTeamIDs             []string          `json:"owning_team_ids,omitempty"`
	HeartbeatOptions          *HeartbeatOptions `json:"heartbeat_options,omitempty"`
	Template                  AlertTemplate     `json:"template"`

	RequireDeduplicationKey bool `json:"-"` // newly made HTTP sources need one
	Disabled                bool `json:"-"`
}

// HeartbeatOptions are those of an alert source of type heartbeat.
type HeartbeatOptions struct {
	IntervalSeconds    int64  `json:"interval_seconds"`
	GracePeriodSeconds int64  `json:"grace_period_seconds"`
	FailureThreshold   int64  `json:"failure_threshold"`
	PingURL            string `json:"ping_url"`
}

// AlertTemplate says how an alert source makes an alert of an event. The simulator keeps expressions, attributes and
// visible_to_teams as they were sent.
type AlertTemplate struct {
	Title       TemplateText `json:"title"`
	Description TemplateText `json:"description"`
	Attributes  []any        `json:"attributes"`
	Expressions []any        `json:"expressions"`
	IsPrivate   bool         `json:"is_private"`
}

// TemplateText is a text of an AlertTemplate.
type TemplateText struct {
	Label     string `json:"label"`
	Literal   string `json:"literal,omitempty"`
	Reference string `json:"reference,omitempty"`
}

// Alert is an alert. Status is firing or resolved.
type Alert struct {
	ID               string     `json:"id"`
	AlertSourceID    string     `json:"alert_source_id"`
	DeduplicationKey string     `json:"deduplication_key"`
	Title            string     `json:"title"`
	Description      string     `json:"description,omitempty"`
	SourceURL        string     `json:"source_url,omitempty"`
	Status           string     `json:"status"`
	Attributes       []any      `json:"attributes"`
	CreatedAt        time.Time  `json:"created_at"`
	UpdatedAt        time.Time  `json:"updated_at"`
	ResolvedAt       *time.Time `json:"resolved_at,omitempty"`

	Metadata map[string]any `json:"-"` // of the event that made it; the API does not answer it
	Events   int            `json:"-"` // how many events it was sent
	Private  bool           `json:"-"`
}

// AlertSlim is an alert as other objects embed it.
type AlertSlim struct {
	ID               string     `json:"id"`
	AlertSourceID    string     `json:"alert_source_id"`
	DeduplicationKey string     `json:"deduplication_key"`
	Title            string     `json:"title"`
	Description      string     `json:"description,omitempty"`
	SourceURL        string     `json:"source_url,omitempty"`
	Status           string     `json:"status"`
	CreatedAt        time.Time  `json:"created_at"`
	UpdatedAt        time.Time  `json:"updated_at"`
	ResolvedAt       *time.Time `json:"resolved_at,omitempty"`
}

// IncidentAlert ties an alert to an incident. AlertRouteID is set where an alert route did it.
type IncidentAlert struct {
	ID           string       `json:"id"`
	AlertRouteID string       `json:"alert_route_id,omitempty"`
	Alert        AlertSlim    `json:"alert"`
	Incident     IncidentSlim `json:"incident"`
}

// AlertNote is a note on an alert.
type AlertNote struct {
	ID        string      `json:"id"`
	AlertID   string      `json:"alert_id,omitempty"`
	Content   string      `json:"content"`
	Creator   Actor       `json:"creator"`
	Images    []NoteImage `json:"images"`
	CreatedAt time.Time   `json:"created_at"`
	UpdatedAt time.Time   `json:"updated_at"`
}

// NoteImage is an image of an AlertNote.
type NoteImage struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

// Escalation is an escalation: people being paged. Its status is pending, triggered, acked, resolved, expired,
// cancelled, snoozed, delayed or pending_repeat.
type Escalation struct {
	ID               string            `json:"id"`
	Title            string            `json:"title"`
	Description      string            `json:"description"`
	Status           string            `json:"status"`
	EscalationPathID string            `json:"escalation_path_id,omitempty"`
	Priority         Priority          `json:"priority"`
	Creator          Actor             `json:"creator"`
	Events           []EscalationEvent `json:"events"`
	RelatedAlerts    []AlertSlim       `json:"related_alerts"`
	RelatedIncidents []IncidentSlim    `json:"related_incidents"`
	CreatedAt        time.Time         `json:"created_at"`
	UpdatedAt        time.Time         `json:"updated_at"`

	IdempotencyKey string   `json:"-"`
	UserIDs        []string `json:"-"`
}

// Priority is an alert priority.
type Priority struct {
	Name string `json:"name"`
}

// EscalationEvent is something that happened to an Escalation, e.g. triggered or acked.
type EscalationEvent struct {
	ID         string    `json:"id"`
	Event      string    `json:"event"`
	OccurredAt time.Time `json:"occurred_at"`
	Urgency    string    `json:"urgency,omitempty"`
	Users      []User    `json:"users,omitempty"`
}

// EscalationPath says whom an escalation pages, in which order.
type EscalationPath struct {
	ID                string   `json:"id"`
	Name              string   `json:"name"`
	Path              []any    `json:"path"`
	TeamIDs           []string `json:"team_ids"`
	CurrentResponders []User   `json:"current_responders,omitempty"`
	RepeatConfig      any      `json:"repeat_config,omitempty"`
	WorkingHours      []any    `json:"working_hours,omitempty"`
}
