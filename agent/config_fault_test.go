package agent_test

import (
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent"
)

// in puts lines below integrations.incident_io; the first is line 3.
func in(lines ...string) string {
	return "integrations:\n  incident_io:\n    " + strings.Join(lines, "\n    ") + "\n"
}

// Each fault is one line with place, key, what is wrong and the mend.
func TestFaults(t *testing.T) {
	t.Parallel()
	const at = "integrations.incident_io."
	for name, test := range map[string]struct {
		yaml    string
		environ map[string]string
		want    string
	}{
		"a word that is none of the choices": {yaml: in(`min_severity: "warnning"`), want: `config.yaml:3: ` + at + `min_severity: "warnning" is none of info, warning, critical: did you mean "warning"?`},
		"a choice far from all":              {yaml: in(`conflict: newest`), want: `config.yaml:3: ` + at + `conflict: "newest" is none of latest, incident_io, tigerops`},
		"an unknown key":                     {yaml: in(`min_severty: info`), want: `config.yaml:3: ` + at + `min_severty: unknown key: did you mean "min_severity"?`},
		"swapped letters":                    {yaml: in(`conflcit: latest`), want: `config.yaml:3: ` + at + `conflcit: unknown key: did you mean "conflict"?`},
		"an unknown key far from all":        {yaml: in(`zzz: 1`), want: `config.yaml:3: ` + at + `zzz: unknown key: the nearest known key is "api_key"`},
		"an unknown key inside":              {yaml: in(`sync_options:`, `  push_timeline: true`), want: `config.yaml:4: ` + at + `sync_options.push_timeline: unknown key: did you mean "push_timeline_events"?`},
		"an unknown root key":                {yaml: "integration: {}\n", want: `config.yaml:1: integration: unknown key: did you mean "integrations"?`},
		"an unknown integration":             {yaml: "integrations:\n  incidentio: {}\n", want: `config.yaml:2: integrations.incidentio: unknown key: did you mean "incident_io"?`},
		"an unknown key in a list":           {yaml: in(`service_mappings:`, `  - tigerops_service: a`, `    incidentio_service: A`), want: `config.yaml:5: ` + at + `service_mappings[0].incidentio_service: unknown key: did you mean "incident_io_service"?`},
		"a key twice":                        {yaml: in(`conflict: latest`, `conflict: tigerops`), want: `config.yaml:4: ` + at + `conflict: stands in line 3 already: keep one of them`},
		"a merge key":                        {yaml: in(`team_mapping: &a {x: X}`, `escalation_paths:`, `  <<: *a`), want: `config.yaml:5: ` + at + `escalation_paths: merge keys (<<) are not taken: write the keys out`},
		"an alias of nothing":                {yaml: in(`team_mapping: *a`), want: `config.yaml:3: ` + at + `team_mapping: no anchor &a stands above it`},
		"an alias of itself":                 {yaml: in(`severities: &a [*a]`), want: `config.yaml:3: ` + at + `severities[0]: must be a single value, not a list`},
		"no boolean":                         {yaml: in(`auto_declare: yes`), want: `config.yaml:3: ` + at + `auto_declare: "yes" is neither true nor false`},
		"a quoted boolean":                   {yaml: in(`auto_declare: "true"`), want: `config.yaml:3: ` + at + `auto_declare: "true" is neither true nor false`},
		"a boolean where text is wanted":     {yaml: in(`incident_type: true`), want: `config.yaml:3: ` + at + `incident_type: true is no text: put it in quotes if it is a name`},
		"a list where text is wanted":        {yaml: in(`incident_type: [a]`), want: `config.yaml:3: ` + at + `incident_type: must be a single value, not a list`},
		"keys where text is wanted":          {yaml: in(`api_key: {a: b}`), want: `config.yaml:3: ` + at + `api_key: must be a single value, not keys and values`},
		"text where keys are wanted":         {yaml: in(`severity_mapping: SEV1`), want: `config.yaml:3: ` + at + `severity_mapping: must hold keys and values, not "SEV1"`},
		"text where a section is wanted":     {yaml: in(`sync_options: all`), want: `config.yaml:3: ` + at + `sync_options: must hold keys and values, not "all"`},
		"text where services are wanted":     {yaml: in(`service_mappings: all`), want: `config.yaml:3: ` + at + `service_mappings: must be a list, not "all"`},
		"a list for the whole":               {yaml: "- a\n", want: `config.yaml:1: must hold keys and values, not a list`},
		"no length of time":                  {yaml: in(`alert_route_wait: 2 seconds`), want: `config.yaml:3: ` + at + `alert_route_wait: "2 seconds" is no length of time: write it like "30s", "5m" or "72h"`},
		"a time without its unit":            {yaml: in(`alert_route_wait: 2`), want: `config.yaml:3: ` + at + `alert_route_wait: "2" is no length of time: write it like "30s", "5m" or "72h"`},
		"a negative time":                    {yaml: in(`alert_route_wait: -2s`), want: `config.yaml:3: ` + at + `alert_route_wait: -2s is not between 0s and 10m`},
		"a value missing":                    {yaml: in(`team_mapping:`, `  payments:`), want: `config.yaml:4: ` + at + `team_mapping.payments: has no value: give it one or remove the line`},
		"an empty value":                     {yaml: in(`team_mapping:`, `  payments: ""`), want: `config.yaml:4: ` + at + `team_mapping.payments: has no value: give it one or remove the line`},
		"an unset variable":                  {yaml: in(`api_key: "${NO_KEY}"`), want: `config.yaml:3: ` + at + `api_key: environment variable NO_KEY is not set: set NO_KEY, or NO_KEY_FILE to a file that holds it, or remove the line`},
		"an empty variable":                  {yaml: in(`api_key: "${NO_KEY}"`), environ: map[string]string{"NO_KEY": ""}, want: `config.yaml:3: ` + at + `api_key: environment variable NO_KEY is not set: set NO_KEY, or NO_KEY_FILE to a file that holds it, or remove the line`},
		"a variable's file missing":          {yaml: in(`api_key: "${KEY}"`), environ: map[string]string{"KEY_FILE": "/none"}, want: `config.yaml:3: ` + at + `api_key: ${KEY}: KEY_FILE: open /none: file does not exist`},
		"a variable not closed":              {yaml: in(`api_key: "${KEY"`), want: `config.yaml:3: ` + at + `api_key: a ${ without its }: write $${ for a literal ${`},
		"a variable with a default":          {yaml: in(`api_key: "${KEY:-x}"`), want: `config.yaml:3: ` + at + `api_key: ${KEY:-x} names no environment variable: a name has letters, digits and _ only; write $${ for a literal ${`},
		"a variable's value is not shown":    {yaml: in(`conflict: "${WORD}"`), environ: map[string]string{"WORD": "hush"}, want: `config.yaml:3: ` + at + `conflict: "${WORD}" is none of latest, incident_io, tigerops`},
		"a secret at the wrong place":        {yaml: in(`api_key: hush-hush`, `conflict: hush-hush`), want: `config.yaml:4: ` + at + `conflict: "<secret>" is none of latest, incident_io, tigerops`},
		"a second document":                  {yaml: "integrations:\n---\nintegrations:\n", want: `config.yaml:2: a second document begins here: keep everything in one document`},
		"text after the end":                 {yaml: "integrations:\n...\nx: 1\n", want: `config.yaml:3: a second document begins here: keep everything in one document`},
		"no YAML":                            {yaml: in("a: b: c"), want: `config.yaml:3: no valid YAML: mapping value is not allowed in this context`},
		"a tab":                              {yaml: "integrations:\n\tincident_io: {}\n", want: `config.yaml:2: no valid YAML: found character ' ' that cannot start any token`},
		"a list not closed":                  {yaml: in("severities: [a, b"), want: `config.yaml:3: no valid YAML: sequence end token ']' not found`},
		"an unknown severity":                {yaml: in(`severity_mapping:`, `  critcal: SEV1`), want: `config.yaml:4: ` + at + `severity_mapping.critcal: "critcal" is none of info, warning, critical: did you mean "critical"?`},
		"a severity listed twice":            {yaml: in(`severities: [info, warning, Info]`), want: `config.yaml:3: ` + at + `severities: "Info" is listed twice: keep one of them`},
		"no severities":                      {yaml: in(`severities: []`), want: `config.yaml:3: ` + at + `severities: the list is empty: list TigerOps' severities, least first, or remove the line`},
		"severities without the default":     {yaml: in(`severities: [low, high]`), want: `config.yaml:3: ` + at + `severities: min_severity is "warning" where nothing else is said, which is not in this list: set min_severity to one of them`},
		"an unknown field":                   {yaml: in(`custom_fields:`, `  afected_services: X`), want: `config.yaml:4: ` + at + `custom_fields.afected_services: unknown TigerOps field: did you mean "affected_services"?`},
		"a field far from all":               {yaml: in(`custom_fields:`, `  region: X`), want: `config.yaml:4: ` + at + `custom_fields.region: unknown TigerOps field: the nearest known field is "team"; any other path of the event is written like "$.incident.region"`},
		"no path":                            {yaml: in(`custom_fields:`, `  $incident: X`), want: `config.yaml:4: ` + at + `custom_fields.$incident: is no path into the event: write it like "$.incident.region"`},
		"no email":                           {yaml: in(`user_mapping:`, `  ada@example.com: Ada`), want: `config.yaml:4: ` + at + `user_mapping.ada@example.com: "Ada" is no email address: give the person's email in incident.io`},
		"a service without a name":           {yaml: in(`service_mappings:`, `  - incident_io_service: A`), want: `config.yaml:4: ` + at + `service_mappings[0]: tigerops_service is missing: name the service as TigerOps does`},
		"a service without a meaning":        {yaml: in(`service_mappings:`, `  - tigerops_service: a`), want: `config.yaml:4: ` + at + `service_mappings[0]: says nothing of "a": add incident_io_service or default_severity`},
		"a service twice":                    {yaml: in(`service_mappings:`, `  - {tigerops_service: a, incident_io_service: A}`, `  - {tigerops_service: a, incident_io_service: B}`), want: `config.yaml:5: ` + at + `service_mappings[1]: "a" has an entry already: keep one of them`},
		"no slug":                            {yaml: in(`org_slug: https://app.incident.io/acme`), want: `config.yaml:3: ` + at + `org_slug: is no slug: it is the word behind app.incident.io/ in the dashboard's address`},
		"no webhook secret":                  {yaml: in(`webhook_secret: [whsec_b25l, "whsec_???"]`), want: `config.yaml:3: ` + at + `webhook_secret: is no whsec_… secret (number 2): behind the prefix there must be base64: copy it anew from incident.io, Settings, Webhooks`},
		"a key with a blank":                 {yaml: in(`api_key: "a b"`), want: `config.yaml:3: ` + at + `api_key: holds a blank, a line break or a letter that no key has: copy it anew`},
		"a source without its token":         {yaml: in(`alert_source:`, `  id: 01`), want: `config.yaml:4: ` + at + `alert_source.id: has no token beside it: add alert_source.token, which incident.io shows with the source`},
		"a token without its source":         {environ: map[string]string{"INCIDENT_IO_ALERT_SOURCE_TOKEN": "hush"}, want: `INCIDENT_IO_ALERT_SOURCE_TOKEN: has no id beside it: add alert_source.id, the source's id`},
		"a heartbeat without its token":      {yaml: in(`heartbeat: {id: 01, every: 10s}`), want: `config.yaml:3: ` + at + `heartbeat.id: has no token beside it: add heartbeat.token, which incident.io shows with the source`},
		"a hasty heartbeat":                  {yaml: in(`heartbeat: {id: 01, token: t, every: 10ms}`), want: `config.yaml:3: ` + at + `heartbeat.every: 10ms is less than 1s`},
		"no number":                          {environ: map[string]string{"AGENT_WORKERS": "many"}, want: `AGENT_WORKERS: "many" is no whole number`},
		"too few workers":                    {environ: map[string]string{"AGENT_WORKERS": "0"}, want: `AGENT_WORKERS: 0 is not between 1 and 1000`},
		"no boolean variable":                {environ: map[string]string{"AGENT_DRY_RUN": "yes"}, want: `AGENT_DRY_RUN: "yes" is neither true nor false`},
		"no length of time in a variable":    {environ: map[string]string{"AGENT_GIVE_UP_AFTER": "3d"}, want: `AGENT_GIVE_UP_AFTER: "3d" is no length of time: write it like "30s", "5m" or "72h"`},
		"a time too short":                   {environ: map[string]string{"AGENT_RETENTION": "1s"}, want: `AGENT_RETENTION: 1s is less than 1h`},
		"the most below the first":           {environ: map[string]string{"AGENT_BACKOFF_INITIAL": "10m"}, want: `AGENT_BACKOFF_MAX: 5m is less than 10m`},
		"no level":                           {environ: map[string]string{"AGENT_LOG_LEVEL": "warning"}, want: `AGENT_LOG_LEVEL: "warning" is none of debug, info, warn, error: did you mean "warn"?`},
		"no format":                          {environ: map[string]string{"AGENT_LOG_FORMAT": "jsn"}, want: `AGENT_LOG_FORMAT: "jsn" is none of text, json: did you mean "json"?`},
		"no URL":                             {environ: map[string]string{"INCIDENT_IO_API_URL": "api.incident.io"}, want: `INCIDENT_IO_API_URL: "api.incident.io" is no URL: write it like "https://host/path"`},
		"a broken URL":                       {environ: map[string]string{"INCIDENT_IO_API_URL": "https://a b/"}, want: `INCIDENT_IO_API_URL: is no URL: invalid character " " in host name`},
		"plain HTTP":                         {environ: map[string]string{"INCIDENT_IO_API_URL": "http://api.incident.io"}, want: `INCIDENT_IO_API_URL: "http://api.incident.io" would send the API key unencrypted: write https://`},
		"a password in a URL":                {environ: map[string]string{"TIGEROPS_APPLY_URL": "https://u:hush@h/"}, want: `TIGEROPS_APPLY_URL: holds a user name: credentials do not belong into a URL`},
		"no certificate":                     {environ: map[string]string{"INCIDENT_IO_CA_FILE": "config.yaml"}, want: `INCIDENT_IO_CA_FILE: config.yaml holds no PEM certificate`},
		"no address":                         {environ: map[string]string{"AGENT_LOCAL_ADDR": "8485"}, want: `AGENT_LOCAL_ADDR: "8485" is no host:port: write it like 127.0.0.1:8485 or unix:/path`},
		"no port":                            {environ: map[string]string{"AGENT_WEBHOOK_ADDR": "localhost:http"}, want: `AGENT_WEBHOOK_ADDR: "localhost:http" has no port number from 0 to 65535: write it like 127.0.0.1:8484`},
		"one address for both":               {environ: map[string]string{"AGENT_LOCAL_ADDR": "127.0.0.1:8484"}, want: `AGENT_LOCAL_ADDR: is the same as AGENT_WEBHOOK_ADDR: give each listener its own port`},
		"no socket":                          {environ: map[string]string{"AGENT_LOCAL_ADDR": "unix:"}, want: `AGENT_LOCAL_ADDR: names no socket: write it like unix:/run/tigerops-incidentio/agent.sock`},
		"no file for the database":           {environ: map[string]string{"AGENT_DB": ":memory:"}, want: `AGENT_DB: ":memory:" is no path: give the path of a file`},
		"a secret's file missing":            {environ: map[string]string{"INCIDENT_IO_API_KEY_FILE": "/none"}, want: `INCIDENT_IO_API_KEY_FILE: open /none: file does not exist`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(test.yaml, test.environ, nil)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestAllFaultsAtOnceInOrder(t *testing.T) {
	t.Parallel()
	_, err := load(in(`min_severity: "warnning"`, `api_key: ${NONE}`, `auto_declare: maybe`, `typo: 1`, `alert_source:`, `  id: x`, `  token: ${NONE}`),
		map[string]string{"AGENT_WORKERS": "x", "AGENT_RATE_LIMIT": "-1"}, nil)
	var config *agent.ConfigError
	if !asConfigError(err, &config) {
		t.Fatalf("got %v", err)
	}
	var places []string
	for _, line := range strings.Split(err.Error(), "\n") {
		place, _, _ := strings.Cut(line, ": ")
		places = append(places, place)
	}
	want := "config.yaml:3 config.yaml:4 config.yaml:5 config.yaml:6 config.yaml:9 AGENT_WORKERS AGENT_RATE_LIMIT"
	if got := strings.Join(places, " "); got != want {
		t.Errorf("got %s\nwant %s\n%v", got, want, err)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		yaml    string
		environ map[string]string
		want    string
	}{
		"a variable misspelt":           {environ: map[string]string{"AGENT_WORKER": "4"}, want: `AGENT_WORKER: is read by nobody: did you mean AGENT_WORKERS?`},
		"a secret twice":                {environ: map[string]string{"INCIDENT_IO_API_KEY": "a", "INCIDENT_IO_API_KEY_FILE": "config.yaml"}, yaml: "# not a\n", want: `INCIDENT_IO_API_KEY: differs from what INCIDENT_IO_API_KEY_FILE names: INCIDENT_IO_API_KEY wins: unset one of them`},
		"nothing that could be sent":    {yaml: in(`auto_declare: false`), want: `config.yaml:3: integrations.incident_io.auto_declare: nothing is declared, and without an alert source no alerts are sent: only incidents tied already are kept in step: add alert_source, or set auto_declare: true`},
		"a status misspelt":             {yaml: in(`status_mapping:`, `  mitigatd: Monitoring`), want: `config.yaml:4: integrations.incident_io.status_mapping.mitigatd: TigerOps has no status of this name that is known here: did you mean "mitigated"?`},
		"two fields in one":             {yaml: in(`custom_fields:`, `  team: X`, `  environment: X`), want: `config.yaml:4: integrations.incident_io.custom_fields.team: fills the same custom field as environment: give each its own`},
		"an open door without a secret": {environ: map[string]string{"AGENT_LOCAL_ADDR": ":8485"}, want: `AGENT_LOCAL_ADDR: :8485 is reached from other machines, but without a secret only loopback is answered: set TIGEROPS_WEBHOOK_SECRET`},
		"a push without a secret":       {environ: map[string]string{"TIGEROPS_APPLY_URL": "https://t/"}, want: `TIGEROPS_APPLY_URL: changes are sent without a signature: set TIGEROPS_APPLY_SECRET`},
		"a push secret for nothing":     {environ: map[string]string{"TIGEROPS_APPLY_SECRET": "s"}, want: `TIGEROPS_APPLY_SECRET: is used by nobody: set TIGEROPS_APPLY_URL`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := load(test.yaml, test.environ, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Warnings) != 1 || c.Warnings[0].String() != test.want {
				t.Errorf("got  %v\nwant %s", c.Warnings, test.want)
			}
		})
	}
}

func asConfigError(err error, target **agent.ConfigError) bool {
	c, ok := err.(*agent.ConfigError)
	*target = c
	return ok
}

// Whatever the bytes, loading ends with a configuration or with faults of one line each, and shows no secret.
func FuzzLoad(f *testing.F) {
	for _, yaml := range []string{published, "", in("api_key: ${INCIDENT_IO_API_KEY}", "api_key: *a"), "a: &a [*a]\n", "? {a: b}\n: c\n", "integrations: {incident_io: {custom_fields: {$.a.b: x}}}", "- - - -\n", "a: !!binary |\n  x\n", "\x00", "integrations:\n  incident_io: {webhook_secret: [\"${INCIDENT_IO_WEBHOOK_SECRET}\", *x]}\n---\n"} {
		f.Add([]byte(yaml))
	}
	f.Fuzz(func(t *testing.T, yaml []byte) {
		e := environ()
		c, err := load(string(yaml), e, nil)
		if err == nil {
			if c.APIURL == "" || c.DB == "" || len(c.Rules.Severities) == 0 {
				t.Errorf("a configuration without its defaults: %+v", c)
			}
			return
		}
		config, ok := err.(*agent.ConfigError)
		if !ok || len(config.Findings) == 0 {
			t.Fatalf("got %T %v", err, err)
		}
		for _, finding := range config.Findings {
			line := finding.String()
			if strings.ContainsAny(line, "\n\r") || line == "" {
				t.Errorf("no single line: %q", line)
			}
			if strings.Contains(line, apiKey) && !strings.Contains(string(yaml), apiKey) {
				t.Errorf("shows the key: %s", line)
			}
		}
	})
}
