package mapping

// Rules are the parts of the configuration that decide what an event means (contract section 2), with defaults
// already filled in. Names are the user's own and are looked up in the Directory.
type Rules struct {
	MinSeverity     string
	Severities      []string // TigerOps severities, least first
	AutoDeclare     bool
	AutoResolve     bool
	SeverityMapping map[string]string // TigerOps severity to incident.io severity by name, id or rank
	StatusMapping   map[string]string // TigerOps status to incident.io status by name, id or category
	CustomFields    map[string]string // TigerOps field (or $.a.b) to custom field id or name
	CreateOptions   bool
	Services        []ServiceRule
	Teams           map[string]string
	Roles           map[string]string // TigerOps role to incident.io role by name, id or role type
	Users           map[string]string // TigerOps user (email or name) to incident.io email
	EscalationPaths map[string]string
	IncidentType    string
	Visibility      string // public or private
	ServiceField    string // custom field id or name; empty: the one mapped to affected_services
	Conflict        string // latest, incident_io or tigerops
	AlertSource     string // alert source id; empty: no alerts

	PushTimeline    bool
	PushActions     bool
	PushPostmortem  bool
	PullStatus      bool
	PullRoles       bool
	PullEscalations bool
	PullTimeline    bool
	PullUnlinked    bool
}

// ServiceRule is one entry of service_mappings.
type ServiceRule struct {
	TigerOps        string
	IncidentIO      string
	DefaultSeverity string // incident.io severity by name, id or rank; empty: none
}

// Values of Rules.Conflict.
const (
	ConflictLatest     = "latest"
	ConflictIncidentIO = "incident_io"
	ConflictTigerOps   = "tigerops"
)
