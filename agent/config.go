package agent

import (
	"log/slog"
	"slices"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// Config is the whole configuration with every default filled in (contract section 2). It is made by Default or
// Load, is never changed once it is in force, and is replaced as a whole by a reload.
type Config struct {
	APIKey  Secret `env:"INCIDENT_IO_API_KEY"`  // without it the agent does not run
	OrgSlug string `env:"INCIDENT_IO_ORG_SLUG"` // the organisation's name in incident.io's URLs; empty: not compared
	APIURL  string `env:"INCIDENT_IO_API_URL"`  // no trailing slash
	CAFile  string `env:"INCIDENT_IO_CA_FILE"`  // PEM bundle of the authorities for APIURL; empty: the system's

	WebhookSecrets []Secret `env:"INCIDENT_IO_WEBHOOK_SECRET" envSeparator:" "` // any of them verifies; none: pull-only
	AlertSource    AlertSource
	AlertRouteWait time.Duration // 0: a declaration does not wait for an alert route

	TigerOpsSecret Secret `env:"TIGEROPS_WEBHOOK_SECRET"` // of events that TigerOps posts; none: TCP from loopback only
	ApplyURL       string `env:"TIGEROPS_APPLY_URL"`      // empty: TigerOps reads the inbox itself
	ApplySecret    Secret `env:"TIGEROPS_APPLY_SECRET"`

	DB          string `env:"AGENT_DB"`           // path of the SQLite file
	WebhookAddr string `env:"AGENT_WEBHOOK_ADDR"` // host:port
	LocalAddr   string `env:"AGENT_LOCAL_ADDR"`   // host:port or unix:/path
	Workers     int    `env:"AGENT_WORKERS"`      // incidents drained side by side

	BackoffInitial time.Duration `env:"AGENT_BACKOFF_INITIAL"`
	BackoffMax     time.Duration `env:"AGENT_BACKOFF_MAX"`
	GiveUpAfter    time.Duration `env:"AGENT_GIVE_UP_AFTER"` // age at which an event is dead, as contract section 2 counts it
	RateLimit      int           `env:"AGENT_RATE_LIMIT"`    // requests a minute

	ReconcileInterval time.Duration `env:"AGENT_RECONCILE_INTERVAL"`
	Retention         time.Duration `env:"AGENT_RETENTION"` // of finished rows
	DryRun            bool          `env:"AGENT_DRY_RUN"`

	LogLevel  slog.Level `env:"AGENT_LOG_LEVEL"`
	LogFormat string     `env:"AGENT_LOG_FORMAT"` // text or json

	Heartbeat Heartbeat
	Rules     mapping.Rules `env:"-"`

	// Warnings tell what is allowed but hardly meant. They never hold a secret.
	Warnings []Finding `env:"-"`

	from map[string]Source // where each option that is not at its default was set, by key or variable
}

// AlertSource is the HTTP alert source that alerts go to. Both members are set, or neither.
type AlertSource struct {
	ID    string `env:"INCIDENT_IO_ALERT_SOURCE_ID"`
	Token Secret `env:"INCIDENT_IO_ALERT_SOURCE_TOKEN"`
}

// Heartbeat is the heartbeat alert source that the agent pings, so that incident.io tells when the agent is dead.
type Heartbeat struct {
	ID    string // empty: no heartbeat
	Token Secret
	Every time.Duration
}

// Values of Config.LogFormat.
const (
	LogText = "text"
	LogJSON = "json"
)

// Default returns the configuration of an empty file in an empty environment.
func Default() Config {
	return Config{
		APIURL:            "https://api.incident.io",
		AlertRouteWait:    2 * time.Second,
		DB:                "tigerops-incidentio.db",
		WebhookAddr:       "127.0.0.1:8484",
		LocalAddr:         "127.0.0.1:8485",
		Workers:           8,
		BackoffInitial:    time.Second,
		BackoffMax:        5 * time.Minute,
		GiveUpAfter:       72 * time.Hour,
		RateLimit:         1200,
		ReconcileInterval: 5 * time.Minute,
		Retention:         720 * time.Hour,
		LogLevel:          slog.LevelInfo,
		LogFormat:         LogText,
		Heartbeat:         Heartbeat{Every: time.Minute},
		Rules: mapping.Rules{
			MinSeverity:     "warning",
			Severities:      []string{"info", "warning", "critical"},
			AutoDeclare:     true,
			AutoResolve:     true,
			Roles:           map[string]string{"owner": "lead"},
			Visibility:      "public",
			Conflict:        mapping.ConflictLatest,
			PushTimeline:    true,
			PushActions:     true,
			PushPostmortem:  true,
			PullStatus:      true,
			PullRoles:       true,
			PullEscalations: true,
			PullTimeline:    true,
		},
	}
}

// Secrets returns the value of every secret that is set, longest first, for redaction and for tests of leaks.
func (c Config) Secrets() []string {
	all := append([]Secret{c.APIKey, c.AlertSource.Token, c.TigerOpsSecret, c.ApplySecret, c.Heartbeat.Token}, c.WebhookSecrets...)
	var values []string
	for _, s := range all {
		if s.IsSet() {
			values = append(values, s.Reveal())
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(values)
}
