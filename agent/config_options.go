package agent

import (
	"slices"
	"strings"
)

// prefix stands before every option's key in the file.
const prefix = "integrations.incident_io."

// option is a key of the file below integrations.incident_io. in gives the pointer that its value goes to; the
// pointer's type says what is taken.
type option struct {
	key string
	in  func(*Config) any
}

// options is every key of contract section 2.
var options = []option{
	{"api_key", func(c *Config) any { return &c.APIKey }},
	{"org_slug", func(c *Config) any { return &c.OrgSlug }},
	{"webhook_secret", func(c *Config) any { return &c.WebhookSecrets }},
	{"min_severity", func(c *Config) any { return &c.Rules.MinSeverity }},
	{"severities", func(c *Config) any { return &c.Rules.Severities }},
	{"auto_declare", func(c *Config) any { return &c.Rules.AutoDeclare }},
	{"auto_resolve", func(c *Config) any { return &c.Rules.AutoResolve }},
	{"severity_mapping", func(c *Config) any { return &c.Rules.SeverityMapping }},
	{"status_mapping", func(c *Config) any { return &c.Rules.StatusMapping }},
	{"custom_fields", func(c *Config) any { return &c.Rules.CustomFields }},
	{"create_missing_options", func(c *Config) any { return &c.Rules.CreateOptions }},
	{"service_field", func(c *Config) any { return &c.Rules.ServiceField }},
	{"service_mappings", func(c *Config) any { return &c.Rules.Services }},
	{"team_mapping", func(c *Config) any { return &c.Rules.Teams }},
	{"role_mapping", func(c *Config) any { return &c.Rules.Roles }},
	{"user_mapping", func(c *Config) any { return &c.Rules.Users }},
	{"escalation_paths", func(c *Config) any { return &c.Rules.EscalationPaths }},
	{"incident_type", func(c *Config) any { return &c.Rules.IncidentType }},
	{"visibility", func(c *Config) any { return &c.Rules.Visibility }},
	{"conflict", func(c *Config) any { return &c.Rules.Conflict }},
	{"alert_source.id", func(c *Config) any { return &c.AlertSource.ID }},
	{"alert_source.token", func(c *Config) any { return &c.AlertSource.Token }},
	{"alert_route_wait", func(c *Config) any { return &c.AlertRouteWait }},
	{"sync_options.push_timeline_events", func(c *Config) any { return &c.Rules.PushTimeline }},
	{"sync_options.push_runbook_actions", func(c *Config) any { return &c.Rules.PushActions }},
	{"sync_options.push_postmortem", func(c *Config) any { return &c.Rules.PushPostmortem }},
	{"sync_options.pull_status_changes", func(c *Config) any { return &c.Rules.PullStatus }},
	{"sync_options.pull_role_assignments", func(c *Config) any { return &c.Rules.PullRoles }},
	{"sync_options.pull_escalations", func(c *Config) any { return &c.Rules.PullEscalations }},
	{"sync_options.pull_timeline_events", func(c *Config) any { return &c.Rules.PullTimeline }},
	{"sync_options.pull_unlinked", func(c *Config) any { return &c.Rules.PullUnlinked }},
	{"heartbeat.id", func(c *Config) any { return &c.Heartbeat.ID }},
	{"heartbeat.token", func(c *Config) any { return &c.Heartbeat.Token }},
	{"heartbeat.every", func(c *Config) any { return &c.Heartbeat.Every }},
}

// optionNamed finds an option by its full path in the file.
func optionNamed(path string) (option, bool) {
	i := slices.IndexFunc(options, func(o option) bool { return prefix+o.key == path })
	if i < 0 {
		return option{}, false
	}
	return options[i], true
}

// optionsBelow returns the keys that may stand directly below a path of the file, "" for the whole file.
func optionsBelow(path string) []string {
	if path != "" {
		path += "."
	}
	var keys []string
	for _, o := range options {
		if rest, ok := strings.CutPrefix(prefix+o.key, path); ok {
			if key, _, _ := strings.Cut(rest, "."); !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}
