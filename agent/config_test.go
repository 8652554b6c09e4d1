package agent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent"
	"github.com/tigerops/tigerops-incidentio/mapping"
)

// published is the configuration as TigerOps publishes it.
const published = `integrations:
  incident_io:
    api_key: "${INCIDENT_IO_API_KEY}"
    org_slug: "${INCIDENT_IO_ORG_SLUG}"
    webhook_secret: "${INCIDENT_IO_WEBHOOK_SECRET}"
    min_severity: warning          # info < warning < critical
    auto_declare: true             # false: alerts only, incident.io's alert routes decide
    auto_resolve: true             # false: a TigerOps resolve is told on the timeline, people close the incident
    severity_mapping:
      critical: "SEV1"
      warning: "SEV2"
      info: "SEV3"
    custom_fields:
      affected_services: "custom_field_abc"
      slo_breach: "custom_field_def"
      ai_summary: "custom_field_ghi"
      deployment_sha: "custom_field_jkl"
    sync_options:
      push_timeline_events: true
      push_runbook_actions: true
      pull_status_changes: true
      pull_role_assignments: true
    service_mappings:
      - tigerops_service: "api-gateway"
        incident_io_service: "API Gateway"
        default_severity: "SEV1"
`

// Secrets that no output may show.
const (
	apiKey  = "inc_live_c0ffee"
	webhook = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="
)

func environ(more ...string) map[string]string {
	e := map[string]string{"INCIDENT_IO_API_KEY": apiKey, "INCIDENT_IO_ORG_SLUG": "acme", "INCIDENT_IO_WEBHOOK_SECRET": webhook}
	for i := 0; i < len(more); i += 2 {
		e[more[i]] = more[i+1]
	}
	return e
}

// load loads yaml as config.yaml; files are further files by path.
func load(yaml string, environ map[string]string, files map[string]string) (agent.Config, error) {
	return agent.Load(agent.LoadOptions{File: "config.yaml", Environ: environ, ReadFile: func(path string) ([]byte, error) {
		if path == "config.yaml" {
			return []byte(yaml), nil
		}
		if text, ok := files[path]; ok {
			return []byte(text), nil
		}
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}})
}

func TestPublishedConfigLoadsUnchanged(t *testing.T) {
	t.Parallel()
	c, err := load(published, environ(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.APIKey.Reveal() != apiKey || c.OrgSlug != "acme" || len(c.WebhookSecrets) != 1 || c.WebhookSecrets[0].Reveal() != webhook {
		t.Errorf("variables: got key %d bytes, slug %q, %d webhook secrets", len(c.APIKey.Reveal()), c.OrgSlug, len(c.WebhookSecrets))
	}
	want := agent.Default().Rules
	want.SeverityMapping = map[string]string{"critical": "SEV1", "warning": "SEV2", "info": "SEV3"}
	want.CustomFields = map[string]string{"affected_services": "custom_field_abc", "slo_breach": "custom_field_def", "ai_summary": "custom_field_ghi", "deployment_sha": "custom_field_jkl"}
	want.Services = []mapping.ServiceRule{{TigerOps: "api-gateway", IncidentIO: "API Gateway", DefaultSeverity: "SEV1"}}
	if !reflect.DeepEqual(c.Rules, want) {
		t.Errorf("rules: got %+v, want %+v", c.Rules, want)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
}

func TestKeyAloneRunsOnDefaults(t *testing.T) {
	t.Parallel()
	c, err := agent.Load(agent.LoadOptions{Environ: map[string]string{"INCIDENT_IO_API_KEY": apiKey}})
	if err != nil {
		t.Fatal(err)
	}
	want := agent.Default()
	want.APIKey = agent.NewSecret(apiKey)
	for i, s := range c.Settings() {
		if w := want.Settings()[i]; s.Value != w.Value {
			t.Errorf("%s: got %q, want %q", s.Name, s.Value, w.Value)
		}
	}
	if err := c.CheckRun(); err != nil {
		t.Errorf("with a key: %v", err)
	}
	if err := agent.Default().CheckRun(); err == nil || !strings.Contains(err.Error(), "INCIDENT_IO_API_KEY") {
		t.Errorf("without a key: got %v", err)
	}
}

func TestEmptyFileIsDefaults(t *testing.T) {
	t.Parallel()
	for _, yaml := range []string{"", "# nothing\n", "---\n", "null\n", "integrations:\n", "integrations:\n  incident_io:\n", "\ufeff# bom\n", "integrations: {incident_io: {}}\n", "%YAML 1.2\n---\nintegrations:\n...\n", "integrations:\r\n  incident_io:\r\n    min_severity: warning\r\n"} {
		c, err := load(yaml, nil, nil)
		if err != nil {
			t.Errorf("%q: %v", yaml, err)
		} else if got, want := fmt.Sprint(c.Rules), fmt.Sprint(agent.Default().Rules); got != want {
			t.Errorf("%q: got %s, want %s", yaml, got, want)
		}
	}
}

func TestEveryKeyIsTaken(t *testing.T) {
	t.Parallel()
	c, err := load(`
integrations:
  incident_io:
    api_key: k
    org_slug: acme
    webhook_secret: ["whsec_b25l", whsec_dHdv]
    severities: [low, mid, high, worst]
    min_severity: MID
    severity_mapping: {worst: 4, HIGH: "SEV 1", mid: 01ABC}
    auto_declare: false
    auto_resolve: false
    status_mapping: {mitigated: Monitoring, resolved: learning}
    custom_fields: {team: Team, $.incident.region: Region, "$.labels.zone": 01F}
    create_missing_options: true
    service_field: Service
    service_mappings:
      - {tigerops_service: a, incident_io_service: A}
      - {tigerops_service: b, default_severity: 3}
    team_mapping: {payments: Payments}
    role_mapping: {comms: "Communications Lead"}
    user_mapping: {Ada: ada@example.com, b@example.com: c@example.com}
    escalation_paths: {payments: 01PATH}
    incident_type: Outage
    visibility: Private
    conflict: TigerOps
    alert_source: {id: 01SRC, token: tok}
    alert_route_wait: 0s
    sync_options:
      push_timeline_events: false
      push_runbook_actions: false
      push_postmortem: false
      pull_status_changes: false
      pull_role_assignments: false
      pull_escalations: false
      pull_timeline_events: false
      pull_unlinked: true
    heartbeat: {id: 01HB, token: beat, every: 30s}
`, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Rules, (mapping.Rules{
		MinSeverity: "mid", Severities: []string{"low", "mid", "high", "worst"},
		SeverityMapping: map[string]string{"worst": "4", "high": "SEV 1", "mid": "01ABC"},
		StatusMapping:   map[string]string{"mitigated": "Monitoring", "resolved": "learning"},
		CustomFields:    map[string]string{"team": "Team", "$.incident.region": "Region", "$.labels.zone": "01F"},
		CreateOptions:   true, ServiceField: "Service",
		Services:        []mapping.ServiceRule{{TigerOps: "a", IncidentIO: "A"}, {TigerOps: "b", DefaultSeverity: "3"}},
		Teams:           map[string]string{"payments": "Payments"},
		Roles:           map[string]string{"comms": "Communications Lead"},
		Users:           map[string]string{"Ada": "ada@example.com", "b@example.com": "c@example.com"},
		EscalationPaths: map[string]string{"payments": "01PATH"},
		IncidentType:    "Outage", Visibility: "private", Conflict: mapping.ConflictTigerOps, AlertSource: "01SRC",
		PullUnlinked: true,
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("rules:\ngot  %+v\nwant %+v", got, want)
	}
	if c.AlertSource.Token.Reveal() != "tok" || c.AlertRouteWait != 0 || c.Heartbeat.ID != "01HB" || c.Heartbeat.Token.Reveal() != "beat" || c.Heartbeat.Every != 30*time.Second || len(c.WebhookSecrets) != 2 {
		t.Errorf("beside the rules: %+v", c)
	}
	// Nothing is left at its default in the file, so each option must say which line it comes from.
	for _, s := range c.Settings() {
		if strings.ToLower(s.Name) == s.Name && !strings.HasPrefix(s.Source, "config.yaml:") {
			t.Errorf("%s: set in %q, want a line of the file", s.Name, s.Source)
		}
	}
}

func TestEveryVariableIsTaken(t *testing.T) {
	t.Parallel()
	set := map[string]string{
		"INCIDENT_IO_API_KEY": "k", "INCIDENT_IO_ORG_SLUG": "acme", "INCIDENT_IO_WEBHOOK_SECRET": " whsec_b25l  whsec_dHdv ",
		"INCIDENT_IO_ALERT_SOURCE_ID": "01SRC", "INCIDENT_IO_ALERT_SOURCE_TOKEN": "tok", "INCIDENT_IO_API_URL": "http://127.0.0.1:9/",
		"INCIDENT_IO_CA_FILE": "../packaging/none.pem", "TIGEROPS_WEBHOOK_SECRET": "in", "TIGEROPS_APPLY_URL": "https://tigerops.example.com/apply",
		"TIGEROPS_APPLY_SECRET": "out", "AGENT_DB": "/var/lib/x.db", "AGENT_WEBHOOK_ADDR": ":80", "AGENT_LOCAL_ADDR": "unix:/run/x.sock",
		"AGENT_WORKERS": "3", "AGENT_BACKOFF_INITIAL": "2s", "AGENT_BACKOFF_MAX": "3m", "AGENT_GIVE_UP_AFTER": "4h", "AGENT_RATE_LIMIT": "600",
		"AGENT_RECONCILE_INTERVAL": "1m", "AGENT_RETENTION": "24h", "AGENT_DRY_RUN": "true", "AGENT_LOG_LEVEL": "debug", "AGENT_LOG_FORMAT": "JSON",
	}
	delete(set, "INCIDENT_IO_CA_FILE") // needs a certificate; see the faults below
	c, err := load("", set, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := agent.Default()
	want.APIKey, want.OrgSlug = agent.NewSecret("k"), "acme"
	want.WebhookSecrets = []agent.Secret{agent.NewSecret("whsec_b25l"), agent.NewSecret("whsec_dHdv")}
	want.AlertSource = agent.AlertSource{ID: "01SRC", Token: agent.NewSecret("tok")}
	want.Rules.AlertSource = "01SRC"
	want.APIURL, want.TigerOpsSecret = "http://127.0.0.1:9", agent.NewSecret("in")
	want.ApplyURL, want.ApplySecret = "https://tigerops.example.com/apply", agent.NewSecret("out")
	want.DB, want.WebhookAddr, want.LocalAddr, want.Workers = "/var/lib/x.db", ":80", "unix:/run/x.sock", 3
	want.BackoffInitial, want.BackoffMax, want.GiveUpAfter, want.RateLimit = 2*time.Second, 3*time.Minute, 4*time.Hour, 600
	want.ReconcileInterval, want.Retention, want.DryRun = time.Minute, 24*time.Hour, true
	want.LogLevel, want.LogFormat = slog.LevelDebug, agent.LogJSON
	if got, want := values(c), values(want); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got, want := c.Secrets(), want.Secrets(); !slices.Equal(got, want) {
		t.Errorf("secrets: got %v, want %v", got, want)
	}
}

func values(c agent.Config) (all []string) {
	for _, s := range c.Settings() {
		all = append(all, s.Name+"="+s.Value)
	}
	return all
}

func TestEnvironmentWins(t *testing.T) {
	t.Parallel()
	c, err := load("integrations:\n  incident_io:\n    api_key: filekey\n    org_slug: fileslug\n", environ(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.APIKey.Reveal() != apiKey || c.OrgSlug != "acme" {
		t.Errorf("got slug %q, key of the file %v", c.OrgSlug, c.APIKey.Reveal() == "filekey")
	}
	if c, err = load("integrations: {incident_io: {org_slug: fileslug}}", map[string]string{"INCIDENT_IO_ORG_SLUG": ""}, nil); err != nil || c.OrgSlug != "fileslug" {
		t.Errorf("an empty variable counts as unset: got %q, %v", c.OrgSlug, err)
	}
}

func TestSecretsFromFilesAndCredentials(t *testing.T) {
	t.Parallel()
	files := map[string]string{"/a/key": "from-file\n", "/run/cred/incident_io_api_key": "from-credential\n", "/run/cred/incident_io_webhook_secret": webhook + " whsec_dHdv\r\n"}
	for name, test := range map[string]struct {
		yaml, want string
		environ    map[string]string
		warned     bool
	}{
		"the variable":                           {want: "direct", environ: map[string]string{"INCIDENT_IO_API_KEY": "direct"}},
		"the variable before the file":           {want: "direct", environ: map[string]string{"INCIDENT_IO_API_KEY": "direct", "INCIDENT_IO_API_KEY_FILE": "/a/key"}, warned: true},
		"the variable that says the same":        {want: "from-file", environ: map[string]string{"INCIDENT_IO_API_KEY": "from-file", "INCIDENT_IO_API_KEY_FILE": "/a/key"}},
		"the file":                               {want: "from-file", environ: map[string]string{"INCIDENT_IO_API_KEY_FILE": "/a/key"}},
		"the file before the credential":         {want: "from-file", environ: map[string]string{"INCIDENT_IO_API_KEY_FILE": "/a/key", "CREDENTIALS_DIRECTORY": "/run/cred"}},
		"the credential":                         {want: "from-credential", environ: map[string]string{"CREDENTIALS_DIRECTORY": "/run/cred"}},
		"the credential, the variable empty":     {want: "from-credential", environ: map[string]string{"CREDENTIALS_DIRECTORY": "/run/cred", "INCIDENT_IO_API_KEY": ""}},
		"no such credential":                     {want: "", environ: map[string]string{"CREDENTIALS_DIRECTORY": "/nowhere"}},
		"a reference to the file":                {yaml: "${INCIDENT_IO_API_KEY}", want: "from-file", environ: map[string]string{"INCIDENT_IO_API_KEY_FILE": "/a/key"}},
		"a reference to another name's file":     {yaml: "${MY_KEY}", want: "from-file", environ: map[string]string{"MY_KEY_FILE": "/a/key"}},
		"a reference to the credential":          {yaml: "${INCIDENT_IO_API_KEY}", want: "from-credential", environ: map[string]string{"CREDENTIALS_DIRECTORY": "/run/cred"}},
		"the environment before what is written": {yaml: "written", want: "from-file", environ: map[string]string{"INCIDENT_IO_API_KEY_FILE": "/a/key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			yaml := ""
			if test.yaml != "" {
				yaml = "integrations: {incident_io: {api_key: \"" + test.yaml + "\"}}"
			}
			c, err := load(yaml, test.environ, files)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.APIKey.Reveal(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if got := len(c.Warnings) > 0; got != test.warned {
				t.Errorf("warnings: %v", c.Warnings)
			}
		})
	}
	c, err := load("", map[string]string{"CREDENTIALS_DIRECTORY": "/run/cred"}, files)
	if err != nil || len(c.WebhookSecrets) != 2 {
		t.Errorf("several webhook secrets in a credential: got %d, %v", len(c.WebhookSecrets), err)
	}
}

func TestVariablesInTheFile(t *testing.T) {
	t.Parallel()
	e := map[string]string{"A": "one", "B": "${A}", "YES": "true", "WAIT": "7s"}
	for written, want := range map[string]string{
		`"${A}"`: "one", `${A}`: "one", `"x-${A}-y"`: "x-one-y", `"${A}${A}"`: "oneone", `'${A}'`: "one",
		`"${B}"`: "${A}", `"$${A}"`: "${A}", `"$$${A}"`: "$${A}", `"$A"`: "$A", `"a$"`: "a$", "|\n      ${A}\n": "one",
	} {
		c, err := load("integrations:\n  incident_io:\n    incident_type: "+written+"\n", e, nil)
		if err != nil || c.Rules.IncidentType != want {
			t.Errorf("%s: got %q, %v, want %q", written, c.Rules.IncidentType, err, want)
		}
	}
	c, err := load("# ${UNSET} in a comment is no matter\nintegrations:\n  incident_io:\n    auto_declare: ${YES}\n    alert_route_wait: ${WAIT}\n", e, nil)
	if err != nil || !c.Rules.AutoDeclare || c.AlertRouteWait != 7*time.Second {
		t.Errorf("other types: %v, %v, %v", c.Rules.AutoDeclare, c.AlertRouteWait, err)
	}
}

func TestAnchorsAndTags(t *testing.T) {
	t.Parallel()
	c, err := load("integrations:\n  incident_io:\n    team_mapping: &teams {a: A, b: !!str 7}\n    escalation_paths: *teams\n", nil, nil)
	if err != nil || !maps.Equal(c.Rules.Teams, c.Rules.EscalationPaths) || c.Rules.Teams["b"] != "7" {
		t.Errorf("got %v, %v, %v", c.Rules.Teams, c.Rules.EscalationPaths, err)
	}
}

func TestLenientPassesOverSecrets(t *testing.T) {
	t.Parallel()
	unreadable := func(path string) ([]byte, error) {
		if path == "config.yaml" {
			return []byte(published + "    alert_source: {id: x, token: \"${TOKEN}\"}\n    conflict: ${CONFLICT}\n    user_mapping: {a: \"${ADA}\"}\n"), nil
		}
		return nil, os.ErrPermission
	}
	o := agent.LoadOptions{File: "config.yaml", Environ: map[string]string{"TOKEN_FILE": "/root/token", "AGENT_DB": "x.db"}, ReadFile: unreadable}
	if _, err := agent.Load(o); err == nil {
		t.Error("without Lenient: no error")
	}
	o.Lenient = true
	c, err := agent.Load(o)
	if err != nil {
		t.Fatalf("with Lenient: %v", err)
	}
	if c.DB != "x.db" || c.Rules.Conflict != mapping.ConflictLatest || c.APIKey.IsSet() {
		t.Errorf("got %+v", c)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	c, err := load(published, environ("TIGEROPS_WEBHOOK_SECRET", "tiger-in", "TIGEROPS_APPLY_SECRET", "tiger-out", "INCIDENT_IO_ALERT_SOURCE_ID", "01", "INCIDENT_IO_ALERT_SOURCE_TOKEN", "source-token",
		"TIGEROPS_APPLY_URL", "https://tigerops.example/apply?token=of-the-address"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.Settings()); strings.Contains(got, "of-the-address") || !strings.Contains(got, "https://tigerops.example/apply?<secret>") {
		t.Errorf("the address of the push is shown as %s", got)
	}
	if got := len(c.Secrets()); got != 5 {
		t.Fatalf("got %d secrets, want 5", got)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "config", c, "key", c.APIKey, "secrets", c.WebhookSecrets)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "config", c, "key", c.APIKey)
	outer := struct{ inner struct{ key agent.Secret } }{}
	outer.inner.key = c.APIKey
	shown := []string{string(asJSON), log.String(), fmt.Sprint(c.Settings()), fmt.Errorf("key %v", c.APIKey).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, c), fmt.Sprintf(verb, &c), fmt.Sprintf(verb, outer), fmt.Sprintf(verb, c.APIKey), fmt.Sprintf(verb, c.WebhookSecrets))
	}
	for _, secret := range c.Secrets() {
		for _, text := range shown {
			if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Errorf("%q shows in %s", secret, text)
			}
		}
	}
	if got := c.APIKey.String(); got != "<secret>" {
		t.Errorf("got %q", got)
	}
	if got := (agent.Secret{}).String(); got != "" {
		t.Errorf("an unset secret shows as %q", got)
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.yaml")
	_, err := agent.Load(agent.LoadOptions{File: path})
	if err == nil || err.Error() != path+": no such file or directory" {
		t.Errorf("got %v", err)
	}
	if _, err := agent.Load(agent.LoadOptions{File: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: got %v", err)
	}
	var config *agent.ConfigError
	if !errors.As(err, &config) || len(config.Findings) != 1 {
		t.Errorf("got %T", err)
	}
}
