package simulator

import (
	"log/slog"
	"net/http"
	"time"
)

// What New gives an account when Options does not say.
const (
	DefaultKey              = "inc_simulated_key"
	DefaultKeyName          = "TigerOps agent"
	DefaultOrgSlug          = "example"
	DefaultAlertSourceID    = "01SMATERTS0VRCEHTTP0000001"
	DefaultAlertSourceToken = "simulated-alert-source-token"
	DefaultHeartbeatID      = "01SMHEARTBEAT0000000000001"
	DefaultHeartbeatToken   = "simulated-heartbeat-token"
	DefaultEscalationPathID = "01SMESCATATNPATH0000000001"
)

// AllRoles are the API key's roles when Options.Roles is nil: all that a call of the simulator asks for.
var AllRoles = []string{
	"viewer", "incident_creator", "incident_editor", "manage_settings", "global_access", "catalog_viewer", "catalog_editor",
	"on_call_editor", "on_call_viewer", "escalation_creator", "post_incident_flow_opt_out", "postmortems_manage", "heartbeats_ping",
}

// Options make a Simulator. The zero value is an ordinary account that sends no webhooks.
type Options struct {
	Key     string   // the API key; DefaultKey if empty
	KeyName string   // as /v1/identity and updaters tell it; DefaultKeyName if empty
	Roles   []string // the key's roles; AllRoles if nil
	OrgSlug string   // in permalinks and the dashboard URL; DefaultOrgSlug if empty
	BaseURL string   // in the URLs of alert sources and heartbeats; https://api.incident.io if empty

	WebhookURL     string       // where webhooks go; none are sent if empty
	WebhookSecrets []string     // whsec_…; every one signs, as after a rotation
	WebhookClient  *http.Client // how they are sent; one of its own, with a timeout of 15 s, if nil
	Webhooks       WebhookOptions

	Limits Limits
	// AlertDelay is how long after the 202 an alert shows. 0 is at once.
	AlertDelay time.Duration
	// AlertRoute, if not nil, declares an incident of each new firing alert.
	AlertRoute *AlertRoute
	// DeduplicationKeyOptional lifts what newly made HTTP alert sources demand, for the source that New makes.
	DeduplicationKeyOptional bool
	// SeverityOptional takes incidents without a severity, not only in triage.
	SeverityOptional bool
	// FlowRequired says that closing an incident straight away needs the role post_incident_flow_opt_out.
	FlowRequired bool
	// Flow holds the names of the learning statuses of the post-incident flow that applies; nil is all of them. Others
	// are refused.
	Flow []string
	// ManageLearning makes the post-incident flow choose the status itself: whatever learning status is asked for, the
	// incident is in the flow's first.
	ManageLearning bool
	// MissingNewerCalls answers 404 to the calls that older accounts do not have: incident updates and timeline items
	// (the writing of updates, both of items), /v3/actions, /v3/follow_ups and the import of post-mortems.
	MissingNewerCalls bool
	// Growth shows what the API says may come without notice: longer ids and fields nobody has heard of in every object.
	Growth bool

	// Now is the clock; time.Now if nil. Times that are written always move forward, whatever the clock does.
	Now func() time.Time
	// Seed makes ids and everything that is left to chance repeatable. The same seed, clock and requests in the same
	// order give the same account. In whatever order they come, the same is what Lasting tells of the ids of incidents,
	// alerts, escalations, actions, follow-ups and documents, and what becomes of the nth webhook of a type about one.
	Seed uint64
	// Fault, if not nil, is asked for the fault of each request that none of Break's ends; nil lets it pass. It may keep a
	// request waiting. Method, Path, Times, P and Skip of what it answers mean nothing.
	Fault func(r *http.Request, body []byte) *Fault
	// Keep bounds the records of requests and of webhooks (each): older ones are forgotten, counters go on. 10,000 if 0.
	Keep   int
	Logger *slog.Logger // nil logs nothing
}

// Limits are rate limits. In each a 0 means the documented figure and a negative number none.
type Limits struct {
	PerMinute            int // requests of the key: 1200
	AlertsPerMinute      int // alert events of each source: 120
	EscalationsPerMinute int // POST /v2/escalations: 60
	IncidentsPerHour     int // POST /v2/incidents, a limit that tells no reset time; none unless set
}

// NoLimits has no rate limit at all.
var NoLimits = Limits{PerMinute: -1, AlertsPerMinute: -1, EscalationsPerMinute: -1, IncidentsPerHour: -1}

// AlertRoute declares incidents of alerts, as a route that is set up in incident.io does.
type AlertRoute struct {
	// Delay is how long after the alert shows.
	Delay time.Duration `json:"-"`
	// Severity and Status are names; the least severity and the first live status if empty.
	Severity string `json:"severity,omitempty"`
	Status   string `json:"status,omitempty"`
	// Group, if not nil, names what an alert belongs to; one joins the incident that the route made of another of that
	// name, while that incident is live. An empty name is a group of one.
	Group func(Alert) string `json:"-"`
}

// WebhookOptions say how webhooks travel. The zero value delivers each in order, once, without delay.
type WebhookOptions struct {
	// Attempts is how often one is sent until it is given up; 6 if 0. Backoff is the pause before the second attempt,
	// doubled before each further one up to a minute; 100 ms if 0. The real service tries for about a day.
	Attempts int
	Backoff  time.Duration
	Timeout  time.Duration // for an answer; 15 s if 0
	// Delay holds every webhook back. ShuffleWithin adds a random time up to it, so that they overtake each other.
	Delay         time.Duration
	ShuffleWithin time.Duration
	// DropShare is the share (0 to 1) that is never sent, DuplicateShare the share that is sent twice with the same id.
	DropShare      float64
	DuplicateShare float64
}
