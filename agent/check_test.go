package agent_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent"
	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// account is a simulated account and the environment of an agent for it.
func account(t *testing.T, o simulator.Options) (*simulator.Simulator, map[string]string) {
	t.Helper()
	sim := simulator.New(o)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	return sim, map[string]string{"INCIDENT_IO_API_KEY": simulator.DefaultKey, "INCIDENT_IO_API_URL": server.URL, "INCIDENT_IO_WEBHOOK_SECRET": webhook}
}

func TestCheckSaysWhoAsks(t *testing.T) {
	t.Parallel()
	sim, environ := account(t, simulator.Options{})
	findings(t, "", environ)
	for _, r := range sim.Requests() {
		if r.Agent != "tigerops-incidentio/test" {
			t.Errorf("%s %s: user agent %q, want tigerops-incidentio/test", r.Method, r.Path, r.Agent)
		}
	}
}

// findings checks a configuration against an account and returns everything that is not well.
func findings(t *testing.T, yaml string, environ map[string]string) []string {
	t.Helper()
	c, err := load(yaml, environ, nil)
	if err != nil {
		t.Fatal(err)
	}
	found, err := agent.CheckOnline(t.Context(), c, "test")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range found {
		if f.Level != agent.LevelOK {
			all = append(all, f.Level+" "+f.String())
		}
	}
	return all
}

func TestCheckOfTheRightConfiguration(t *testing.T) {
	t.Parallel()
	_, environ := account(t, simulator.Options{})
	environ["INCIDENT_IO_ORG_SLUG"] = simulator.DefaultOrgSlug
	environ["INCIDENT_IO_ALERT_SOURCE_ID"], environ["INCIDENT_IO_ALERT_SOURCE_TOKEN"] = simulator.DefaultAlertSourceID, simulator.DefaultAlertSourceToken
	yaml := published + `    escalation_paths: {payments: ` + simulator.DefaultEscalationPathID + `}
    team_mapping: {payments: Payments}
    user_mapping: {ada@tigerops.example.com: ada@example.com}
    incident_type: default
    heartbeat: {id: ` + simulator.DefaultHeartbeatID + `, token: ` + simulator.DefaultHeartbeatToken + `}
`
	if got := findings(t, yaml, environ); len(got) > 0 {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

// Every finding names file, line and key, what is wrong, and the mend.
func TestCheckFindsWhatIsNotThere(t *testing.T) {
	t.Parallel()
	const at = "integrations.incident_io."
	_, environ := account(t, simulator.Options{})
	for name, test := range map[string]struct{ yaml, want string }{
		"severity":               {in(`severity_mapping: {critical: SEV11}`), `error config.yaml:3: ` + at + `severity_mapping.critical: incident.io has no severity "SEV11": did you mean "SEV1"?`},
		"severity of a service":  {in(`service_mappings:`, `  - {tigerops_service: a, default_severity: Bad}`), `error config.yaml:4: ` + at + `service_mappings[0].default_severity: incident.io has no severity "Bad": incident.io has SEV3, SEV2, SEV1`},
		"status":                 {in(`status_mapping: {mitigated: Monitorng}`), `error config.yaml:3: ` + at + `status_mapping.mitigated: incident.io has no status or category "Monitorng": did you mean "Monitoring"?`},
		"type":                   {in(`incident_type: Outage`), `error config.yaml:3: ` + at + `incident_type: incident.io has no incident type "Outage": incident.io has Default`},
		"role":                   {in(`role_mapping: {owner: Comms Lead}`), `error config.yaml:3: ` + at + `role_mapping.owner: incident.io has no incident role "Comms Lead": incident.io has Incident Lead, Reporter, Communications Lead`},
		"role not by hand":       {in(`role_mapping: {owner: reporter}`), `error config.yaml:3: ` + at + `role_mapping.owner: the role "Reporter" can't be assigned by hand: take another role`},
		"field":                  {in(`custom_fields: {environment: Enviroment}`), `error config.yaml:3: ` + at + `custom_fields.environment: incident.io has no custom field "Enviroment": setup creates it; did you mean "Environment"?`},
		"field of another type":  {in(`custom_fields: {ai_summary: Error budget burn rate}`), `warning config.yaml:3: ` + at + `custom_fields.ai_summary: the field "Error budget burn rate" is of the type numeric, which this hardly fits into: take a field of the type text`},
		"service field":          {in(`service_field: Service`), `error config.yaml:3: ` + at + `service_field: incident.io has no custom field "Service": did you mean "Services"?`},
		"option":                 {in(`custom_fields: {affected_services: Affected services}`, `service_mappings:`, `  - {tigerops_service: s, incident_io_service: Serch}`), `error config.yaml:5: ` + at + `service_mappings[0].incident_io_service: the field "Affected services" (custom_fields.affected_services) has no value "Serch": setup creates it; did you mean "Search"?`},
		"catalog entry":          {in(`service_field: Services`, `service_mappings:`, `  - {tigerops_service: s, incident_io_service: Chekout}`), `error config.yaml:5: ` + at + `service_mappings[0].incident_io_service: the field "Services" (service_field) has no value "Chekout": did you mean "Checkout"?`},
		"team":                   {in(`team_mapping: {payments: Paiments}`), `error config.yaml:3: ` + at + `team_mapping.payments: incident.io has no team "Paiments": did you mean "Payments"?`},
		"person":                 {in(`user_mapping: {bob: bob@example.com}`), `warning config.yaml:3: ` + at + `user_mapping.bob: incident.io has no user "bob@example.com": assignments to this person are left out`},
		"escalation path":        {in(`escalation_paths: {payments: 01NONE}`), `error config.yaml:3: ` + at + `escalation_paths.payments: incident.io has no escalation path "01NONE": incident.io has ` + simulator.DefaultEscalationPathID + ` (Payments on-call)`},
		"escalation path's name": {in(`escalation_paths: {payments: Payments on-call}`), `error config.yaml:3: ` + at + `escalation_paths.payments: "Payments on-call" is an escalation path's name: write its id, "` + simulator.DefaultEscalationPathID + `"`},
		"alert source":           {in(`alert_source: {id: 01NONE, token: t}`), `error config.yaml:3: ` + at + `alert_source.id: incident.io has no alert source "01NONE": setup creates one; incident.io has ` + simulator.DefaultAlertSourceID + ` (TigerOps), ` + simulator.DefaultHeartbeatID + ` (TigerOps agent heartbeat)`},
		"alert source's kind":    {in(`alert_source: {id: ` + simulator.DefaultHeartbeatID + `, token: t}`), `error config.yaml:3: ` + at + `alert_source.id: the alert source "TigerOps agent heartbeat" is of the kind heartbeat: take one of the kind http`},
		"alert source's token":   {in(`alert_source: {id: ` + simulator.DefaultAlertSourceID + `, token: not-the-token}`), `error config.yaml:3: ` + at + `alert_source.token: the alert source refuses the token: `},
		"organisation":           {in(`org_slug: other`), `error config.yaml:3: ` + at + `org_slug: is "other", but the key belongs to "example": is it the right key? If so, write the other name here`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := findings(t, test.yaml, environ)
			if len(got) != 1 || !strings.HasPrefix(got[0], test.want) {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), test.want)
			}
		})
	}
}

func TestCheckNamesMissingRoles(t *testing.T) {
	t.Parallel()
	_, environ := account(t, simulator.Options{Roles: []string{"viewer"}})
	got := strings.Join(findings(t, in(`create_missing_options: true`, `visibility: private`, `escalation_paths: {payments: `+simulator.DefaultEscalationPathID+`}`), environ), "\n")
	for _, want := range []string{
		"error INCIDENT_IO_API_KEY: lacks the role incident_creator, which auto_declare needs", "error INCIDENT_IO_API_KEY: lacks the role incident_editor, which ",
		"warning INCIDENT_IO_API_KEY: lacks the role postmortems_manage, which sync_options.push_postmortem needs", "warning INCIDENT_IO_API_KEY: lacks the role manage_settings, which create_missing_options needs",
		"lacks the role escalation_creator or on_call_editor, which escalation_paths needs", "error INCIDENT_IO_API_KEY: lacks the role global_access",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	_, environ = account(t, simulator.Options{Roles: []string{"incident_creator"}})
	if got := strings.Join(findings(t, "", environ), "\n"); !strings.Contains(got, "may not read severities: make a key with the role viewer") {
		t.Errorf("a key that may not read: %s", got)
	}
}

func TestCheckOfAnOlderAccount(t *testing.T) {
	t.Parallel()
	_, environ := account(t, simulator.Options{MissingNewerCalls: true})
	got := findings(t, "", environ)
	for _, path := range []string{"/v2/incident_updates", "/v2/incident_timeline_items", "/v3/actions", "/v3/follow_ups"} {
		if !slices.ContainsFunc(got, func(f string) bool { return strings.HasPrefix(f, "warning this account lacks POST "+path+": ") }) {
			t.Errorf("no warning of %s in\n%s", path, strings.Join(got, "\n"))
		}
	}
}

func TestCheckTellsPullOnly(t *testing.T) {
	t.Parallel()
	_, environ := account(t, simulator.Options{})
	delete(environ, "INCIDENT_IO_WEBHOOK_SECRET")
	got := findings(t, "", environ)
	if len(got) != 1 || !strings.Contains(got[0], "pull-only, changes come every 5m") {
		t.Errorf("got %v", got)
	}
}

func TestCheckMakesNothing(t *testing.T) {
	t.Parallel()
	sim, environ := account(t, simulator.Options{})
	environ["INCIDENT_IO_ALERT_SOURCE_ID"], environ["INCIDENT_IO_ALERT_SOURCE_TOKEN"] = simulator.DefaultAlertSourceID, simulator.DefaultAlertSourceToken
	environ["INCIDENT_IO_ORG_SLUG"] = simulator.DefaultOrgSlug
	findings(t, published, environ)
	for _, r := range sim.Requests() {
		if r.Effect {
			t.Errorf("%s %s changed something", r.Method, r.Path)
		}
	}
	if s := sim.Snapshot(); len(s.Incidents)+len(s.Alerts) > 0 {
		t.Errorf("left %d incidents and %d alerts", len(s.Incidents), len(s.Alerts))
	}
}

func TestCheckOfTheClock(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(simulator.New(simulator.Options{Now: func() time.Time { return time.Now().Add(-10 * time.Minute) }}))
	defer server.Close()
	got := findings(t, "", map[string]string{"INCIDENT_IO_API_KEY": simulator.DefaultKey, "INCIDENT_IO_API_URL": server.URL, "INCIDENT_IO_WEBHOOK_SECRET": webhook})
	if len(got) != 1 || !strings.HasPrefix(got[0], "warning this machine's clock is 10m") {
		t.Errorf("got %v", got)
	}
}

func TestCheckWithoutIncidentIO(t *testing.T) {
	t.Parallel()
	c, err := load("", map[string]string{"INCIDENT_IO_API_KEY": apiKey, "INCIDENT_IO_API_URL": "http://127.0.0.1:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := agent.CheckOnline(t.Context(), c, "test"); err == nil || !strings.Contains(err.Error(), "ask incident.io at http://127.0.0.1:1 who the key is") || strings.Contains(err.Error(), apiKey) {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := agent.CheckOnline(ended, c, "test"); err == nil {
		t.Error("with an ended context: no error")
	}
	environ := map[string]string{"INCIDENT_IO_API_KEY": "not-the-key"}
	_, good := account(t, simulator.Options{})
	environ["INCIDENT_IO_API_URL"] = good["INCIDENT_IO_API_URL"]
	if got := findings(t, "", environ); len(got) != 1 || !strings.HasPrefix(got[0], "error INCIDENT_IO_API_KEY: incident.io refuses the key: ") {
		t.Errorf("a wrong key: %v", got)
	}
}

// Setup makes what is missing, once, and check is content with what it made.
func TestSetup(t *testing.T) {
	t.Parallel()
	sim, environ := account(t, simulator.Options{})
	remove, err := http.NewRequest(http.MethodDelete, environ["INCIDENT_IO_API_URL"]+"/v2/alert_sources/"+simulator.DefaultAlertSourceID, nil)
	if err != nil {
		t.Fatal(err)
	}
	remove.Header.Set("Authorization", "Bearer "+simulator.DefaultKey)
	if resp, err := http.DefaultClient.Do(remove); err != nil || resp.StatusCode >= 300 {
		t.Fatalf("remove the alert source: %v, %v", resp, err)
	}
	yaml := in(`custom_fields: {affected_services: Affected services, root_cause: Root cause, slo_breach: Breach, error_budget_burn_rate: Burn rate, trace_url: Trace, $.incident.region: Region}`,
		`service_mappings:`, `  - {tigerops_service: s, incident_io_service: Search gateway}`, `  - {tigerops_service: t, incident_io_service: search gateway}`)
	c, err := load(yaml, environ, nil)
	if err != nil {
		t.Fatal(err)
	}
	states := func(apply bool) (map[string]string, agent.SetupResult) {
		t.Helper()
		r, err := agent.Setup(t.Context(), c, "test", apply)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, i := range r.Items {
			all[i.Kind+" "+i.Name+" of "+i.Of] = i.State
		}
		return all, r
	}
	missing := []string{"alert source TigerOps of http", "custom field Root cause of text", "custom field Breach of single_select", "custom field Burn rate of numeric",
		"custom field Region of text", "option Search gateway of Affected services", "option Yes of Breach", "option No of Breach"}
	there := []string{"custom field Affected services of multi_select", "custom field Trace of link"}

	for _, step := range []struct {
		apply bool
		want  string
	}{{false, agent.SetupMissing}, {false, agent.SetupMissing}, {true, agent.SetupCreated}, {true, agent.SetupThere}, {false, agent.SetupThere}} {
		before := len(sim.Requests("POST"))
		got, result := states(step.apply)
		for _, name := range missing {
			if got[name] != step.want {
				t.Errorf("apply %v: %s is %q, want %s", step.apply, name, got[name], step.want)
			}
		}
		for _, name := range there {
			if got[name] != agent.SetupThere {
				t.Errorf("apply %v: %s is %q, want it there", step.apply, name, got[name])
			}
		}
		if len(got) != len(missing)+len(there) {
			t.Errorf("apply %v: %v", step.apply, got)
		}
		if made := len(sim.Requests("POST")) > before; made != (step.want == agent.SetupCreated) {
			t.Errorf("apply %v: something was made: %v", step.apply, made)
		}
		if created := step.want == agent.SetupCreated; result.Token.IsSet() != created {
			t.Errorf("apply %v: a token: %v", step.apply, result.Token.IsSet())
		}
		if (result.SourceID != "") != (step.want != agent.SetupMissing) {
			t.Errorf("apply %v: source %q", step.apply, result.SourceID)
		}
	}
	if got := findings(t, yaml, environ); len(got) > 0 {
		t.Errorf("check after setup: %s", strings.Join(got, "\n"))
	}
}

func TestSetupTellsWhatItCanNotMake(t *testing.T) {
	t.Parallel()
	_, environ := account(t, simulator.Options{Roles: []string{"viewer"}})
	c, err := load(in(`custom_fields: {team: 01FCNDV6P870EA6S7TK1DSYDG0, root_cause: Root cause, environment: `+strings.Repeat("x", 51)+`}`, `alert_source: {id: 01NONE, token: t}`), environ, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := agent.Setup(t.Context(), c, "test", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range r.Items {
		if i.State != agent.SetupFailed || i.Note == "" {
			t.Errorf("%+v", i)
		}
	}
	if len(r.Items) != 4 {
		t.Errorf("got %d items", len(r.Items))
	}
	if c, err = load("", map[string]string{"INCIDENT_IO_API_KEY": apiKey, "INCIDENT_IO_API_URL": "http://127.0.0.1:1"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Setup(t.Context(), c, "test", true); err == nil || !strings.Contains(err.Error(), "read alert sources") {
		t.Errorf("without incident.io: %v", err)
	}
}

func TestDeskNamesAMissingDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.db")
	for _, access := range []agent.Access{agent.ToRead, agent.ToWrite} {
		if _, err := agent.OpenDesk(t.Context(), agent.Config{DB: path}, "test", access); err == nil || !strings.Contains(err.Error(), "AGENT_DB") {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Fatal("the file was made")
		}
	}
}
