package mapping

import (
	"bytes"
	"encoding/json"
)

// The bodies of requests, exactly as incident.io's API description has them: it refuses members that it does not know.

// incidentParts are the members that a declaration and an edit share, and that can be left out one by one.
type incidentParts struct {
	Name     string       `json:"name,omitempty"`
	Summary  string       `json:"summary,omitempty"`
	Severity string       `json:"severity_id,omitempty"`
	Type     string       `json:"incident_type_id,omitempty"` // a declaration's only
	Status   string       `json:"incident_status_id,omitempty"`
	Fields   []fieldEntry `json:"custom_field_entries,omitempty"`
	Roles    []roleEntry  `json:"incident_role_assignments,omitempty"`
}

func (p incidentParts) empty() bool {
	return p.Name == "" && p.Summary == "" && p.Severity == "" && p.Type == "" && p.Status == "" && len(p.Fields) == 0 && len(p.Roles) == 0
}

type fieldEntry struct {
	Field  string       `json:"custom_field_id"`
	Values []fieldValue `json:"values"`
}

// fieldValue has one member set, that of the field's own type.
type fieldValue struct {
	Catalog string `json:"value_catalog_entry_id,omitempty"`
	Link    string `json:"value_link,omitempty"`
	Numeric string `json:"value_numeric,omitempty"`
	Option  string `json:"value_option_id,omitempty"`
	Text    string `json:"value_text,omitempty"`
}

type roleEntry struct {
	Role     string   `json:"incident_role_id"`
	Assignee assignee `json:"assignee"`
}

type assignee struct {
	ID    string `json:"id,omitempty"`
	Email string `json:"email,omitempty"`
}

type createBody struct {
	Key        string `json:"idempotency_key"`
	Visibility string `json:"visibility"`
	Mode       string `json:"mode"`
	incidentParts
}

type editBody struct {
	Incident incidentParts `json:"incident"`
	Notify   bool          `json:"notify_incident_channel"`
}

type updateBody struct {
	Incident string `json:"incident_id"`
	Key      string `json:"idempotency_key"`
	Message  string `json:"message,omitempty"`
	Status   string `json:"to_incident_status_id,omitempty"`
	Severity string `json:"to_severity_id,omitempty"`
}

type timelineBody struct {
	Incident    string `json:"incident_id"`
	Key         string `json:"idempotency_key"`
	Title       string `json:"title"`
	Timestamp   string `json:"timestamp"`
	Description string `json:"description,omitempty"`
}

type actionBody struct {
	Incident    string `json:"incident_id"`
	Description string `json:"description"`
}

type followUpBody struct {
	Incident    string   `json:"incident_id"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Assignee    string   `json:"assignee_id,omitempty"`
	Labels      []string `json:"labels,omitempty"`
}

type escalationBody struct {
	Key         string `json:"idempotency_key"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Path        string `json:"escalation_path_id"`
	Incident    string `json:"incident_id,omitempty"`
}

type postmortemBody struct {
	Title   string `json:"title"`
	Content string `json:"content"`
}

type noteBody struct {
	Alert   string `json:"alert_id"`
	Content string `json:"content"`
}

type optionBody struct {
	Field string `json:"custom_field_id"`
	Value string `json:"value"`
}

type alertBody struct {
	Title       string         `json:"title"`
	Status      string         `json:"status"` // firing or resolved
	Key         string         `json:"deduplication_key"`
	Description string         `json:"description,omitempty"`
	SourceURL   string         `json:"source_url,omitempty"`
	Metadata    *alertMetadata `json:"metadata,omitempty"`
}

// alertMetadata is what alert routes can go by.
type alertMetadata struct {
	EventType        string   `json:"event_type,omitempty"`
	TigerOpsID       string   `json:"tigerops_id,omitempty"`
	EventID          string   `json:"tigerops_event_id,omitempty"`
	Severity         string   `json:"severity,omitempty"`
	RemoteSeverity   string   `json:"incident_io_severity,omitempty"`
	Service          string   `json:"service,omitempty"`
	RemoteService    string   `json:"incident_io_service,omitempty"`
	Team             string   `json:"team,omitempty"`
	Environment      string   `json:"environment,omitempty"`
	SLO              string   `json:"slo,omitempty"`
	SLOStatus        string   `json:"slo_status,omitempty"`
	BurnRate         *float64 `json:"error_budget_burn_rate,omitempty"`
	DeploymentSHA    string   `json:"deployment_sha,omitempty"`
	TraceURL         string   `json:"trace_url,omitempty"`
	AffectedServices []string `json:"affected_services,omitempty"`
	ImpactedMetrics  []Metric `json:"impacted_metrics,omitempty"`
}

// encoded writes a body with its members in order and <, > and & as they are. What it is given always marshals.
func encoded(body any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		panic("mapping: a request's body does not marshal: " + err.Error())
	}
	return bytes.TrimSpace(b.Bytes())
}
