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
	APIKey  Secret // without it the agent does not run
	OrgSlug string // the organisation's name in incident.io's URLs; empty: taken from the API's own links
	APIURL  string // no trailing slash
	CAFile  string // PEM bundle of further authorities for APIURL; empty: the system's

	WebhookSecrets []Secret // any of them verifies; none: pull-only, the webhook port stays shut
	AlertSource    AlertSource
	AlertRouteWait time.Duration // 0: a declaration does not wait for an alert route

	TigerOpsSecret Secret // for events that TigerOps posts; none: TCP events from loopback only
	ApplyURL       string // empty: TigerOps reads the inbox itself
	ApplySecret    Secret

	DB          string // path of the SQLite file
	WebhookAddr string // host:port
	LocalAddr   string // host:port or unix:/path
	Workers     int    // incidents drained side by side

	BackoffInitial time.Duration
	BackoffMax     time.Duration
	GiveUpAfter    time.Duration // age of an event at which it is dead, counted as contract section 2 says
	RateLimit      int           // requests a minute

	ReconcileInterval time.Duration
	Retention         time.Duration // of finished rows
	DryRun            bool

	LogLevel  slog.Level
	LogFormat string // text or json

	Heartbeat Heartbeat
	Rules     mapping.Rules

	// Warnings tell what is allowed but hardly meant, one line each. They never hold a secret.
	Warnings []string

	from map[string]Source // where each option that is not at its default was set
}

// AlertSource is the HTTP alert source that alerts go to. Both members are set, or neither.
type AlertSource struct {
	ID    string
	Token Secret
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
