package mapping_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// TestFieldValues writes each TigerOps field into each type of custom field.
func TestFieldValues(t *testing.T) {
	t.Parallel()
	yesNo := mapping.Field{ID: "cf", Name: "F", Type: "single_select", Options: []mapping.Option{{ID: "op-1", Value: "TRUE"}, {ID: "op-0", Value: "false"}}}
	services := mapping.Field{ID: "cf", Name: "F", Type: "multi_select", Options: []mapping.Option{{ID: "op-gw", Value: "api gateway"}, {ID: "op-co", Value: "Checkout"}}}
	catalog := func(kind string) mapping.Field {
		return mapping.Field{ID: "cf", Name: "F", Type: kind, CatalogType: "ct"}
	}
	entries := []mapping.Entry{{ID: "en-gw", Name: "API Gateway"}, {ID: "en-co", Name: "Shop", ExternalID: "checkout"}, {ID: "en-pay", Name: "Money", Aliases: []string{"payments", "pay"}}}
	single := func(f mapping.Field) mapping.Field { f.Type = "single_select"; return f }
	text := mapping.Field{ID: "cf", Name: "F", Type: "text"}
	numeric := mapping.Field{ID: "cf", Name: "F", Type: "numeric"}
	link := mapping.Field{ID: "cf", Name: "F", Type: "link"}
	for name, tc := range map[string]struct {
		key   string
		field mapping.Field
		event string // members of the incident
		want  string // the values, as JSON; empty: left out
		warns string
	}{
		"services, options by name":                   {"affected_services", services, `"affected_services":["api-gateway","checkout"]`, `[{"value_option_id":"op-gw"},{"value_option_id":"op-co"}]`, ""},
		"the service alone":                           {"affected_services", services, `"service":"api-gateway"`, `[{"value_option_id":"op-gw"}]`, ""},
		"services into one option":                    {"affected_services", single(services), `"affected_services":["checkout","api-gateway"]`, `[{"value_option_id":"op-co"}]`, "it holds one value, the first of the 2"},
		"a service without an option":                 {"affected_services", services, `"affected_services":["checkout","ledger"]`, `[{"value_option_id":"op-co"}]`, `has no option "ledger"`},
		"services as text":                            {"affected_services", text, `"affected_services":["api-gateway","checkout"]`, `[{"value_text":"API Gateway, checkout"}]`, ""},
		"services as entries: name, external id":      {"affected_services", catalog("multi_select"), `"affected_services":["api-gateway","checkout"]`, `[{"value_catalog_entry_id":"en-gw"},{"value_catalog_entry_id":"en-co"}]`, ""},
		"services as one entry":                       {"affected_services", catalog("single_select"), `"affected_services":["api-gateway","checkout"]`, `[{"value_catalog_entry_id":"en-gw"}]`, "the first of the 2"},
		"a team as an entry by alias":                 {"team", catalog("single_select"), `"team":"payments"`, `[{"value_catalog_entry_id":"en-pay"}]`, ""},
		"a team that is mapped":                       {"team", text, `"team":"core"`, `[{"value_text":"Platform"}]`, ""},
		"a team that the catalog lacks":               {"team", catalog("single_select"), `"team":"search"`, "", `no entry "search"`},
		"a breach as an option":                       {"slo_breach", yesNo, `"slo":{"status":"breached"}`, `[{"value_option_id":"op-1"}]`, ""},
		"no breach as an option":                      {"slo_breach", yesNo, `"slo":{"status":"healthy"}`, `[{"value_option_id":"op-0"}]`, ""},
		"a breach in breached and ok":                 {"slo_breach", mapping.Field{ID: "cf", Type: "single_select", Options: []mapping.Option{{ID: "op-0", Value: "ok"}, {ID: "op-1", Value: "Breached"}}}, `"slo":{"status":"BREACHED"}`, `[{"value_option_id":"op-1"}]`, ""},
		"a breach as a number":                        {"slo_breach", numeric, `"slo":{"status":"breached"}`, `[{"value_numeric":"1"}]`, ""},
		"no breach as a number":                       {"slo_breach", numeric, `"slo":{"status":"at_risk"}`, `[{"value_numeric":"0"}]`, ""},
		"a breach as text":                            {"slo_breach", text, `"slo":{"status":"breached"}`, `[{"value_text":"Yes"}]`, ""},
		"an SLO without a status":                     {"slo_breach", text, `"slo":{"name":"x"}`, "", ""},
		"a breach as a link":                          {"slo_breach", link, `"slo":{"status":"breached"}`, "", "is no web address"},
		"a burn rate as a number":                     {"error_budget_burn_rate", numeric, `"slo":{"error_budget_burn_rate":14.40}`, `[{"value_numeric":"14.4"}]`, ""},
		"a small burn rate has no exponent":           {"error_budget_burn_rate", numeric, `"slo":{"error_budget_burn_rate":0.0000001}`, `[{"value_numeric":"0.0000001"}]`, ""},
		"a number of a path":                          {"$.incident.count", numeric, `"count":12345678901234567890`, `[{"value_numeric":"12345678901234567890"}]`, ""},
		"a number with an exponent":                   {"$.incident.count", numeric, `"count":"1.5e3"`, `[{"value_numeric":"1500"}]`, ""},
		"a measurement with a unit is no number":      {"impacted_metrics", numeric, `"impacted_metrics":[{"name":"p99","value":"2.3 s"}]`, "", `"2.3 s" is no number`},
		"a lone measurement as a number":              {"impacted_metrics", numeric, `"impacted_metrics":[{"name":"p99","value":2.3}]`, `[{"value_numeric":"2.3"}]`, ""},
		"metrics as text":                             {"impacted_metrics", text, `"impacted_metrics":[{"name":"p99","value":"2.3 s","baseline":"180 ms"},{"name":"errors","value":4}]`, `[{"value_text":"p99: 2.3 s (baseline 180 ms); errors: 4"}]`, ""},
		"an infinite number":                          {"$.incident.count", numeric, `"count":"1e999"`, "", "is no number"},
		"a number in words":                           {"$.incident.count", numeric, `"count":"NaN"`, "", "is no number"},
		"a hexadecimal number":                        {"$.incident.count", numeric, `"count":"0x10"`, "", "is no number"},
		"a trace as a link":                           {"trace_url", link, `"trace_url":"https://t.example/x"`, `[{"value_link":"https://t.example/x"}]`, ""},
		"a trace that is no address":                  {"trace_url", link, `"trace_url":"javascript:alert(1)"`, "", "is no web address"},
		"a deployment as a link":                      {"deployment", link, `"deployment":{"sha":"9f2","url":"https://d.example"}`, `[{"value_link":"https://d.example"}]`, ""},
		"a deployment as text":                        {"deployment", text, `"deployment":{"sha":"9f2","service":"checkout","deployed_at":"2026-11-23T01:00:00Z"}`, `[{"value_text":"9f2 of checkout at 2026-11-23 01:00 UTC"}]`, ""},
		"the id as text":                              {"tigerops_id", text, ``, `[{"value_text":"TIG-4711"}]`, ""},
		"the id as a link":                            {"tigerops_id", link, `"url":"https://t.example/4711"`, `[{"value_link":"https://t.example/4711"}]`, ""},
		"the address":                                 {"tigerops_url", link, `"url":"https://t.example/4711"`, `[{"value_link":"https://t.example/4711"}]`, ""},
		"a summary keeps its lines":                   {"ai_summary", text, `"ai_summary":"a\nb\u0007"`, `[{"value_text":"a\nb"}]`, ""},
		"a root cause as an option":                   {"root_cause", single(services), `"root_cause":"checkout"`, `[{"value_option_id":"op-co"}]`, ""},
		"the status of the SLO":                       {"slo_status", text, `"slo":{"status":"breached"}`, `[{"value_text":"breached"}]`, ""},
		"a path to a list":                            {"$.incident.regions", text, `"regions":["eu",1,true,{"x":1}]`, `[{"value_text":"eu, 1, true"}]`, ""},
		"a path into a list":                          {"$.incident.regions[1].name", text, `"regions":[{"name":"eu"},{"name":"us"}]`, `[{"value_text":"us"}]`, ""},
		"a path beyond a list":                        {"$.incident.regions[7].name", text, `"regions":[{"name":"eu"}]`, "", ""},
		"a path to an object":                         {"$.incident.region", text, `"region":{"b":"<1>","a":2}`, `[{"value_text":"{\"a\":2,\"b\":\"<1>\"}"}]`, ""},
		"a path to an object with escapes":            {"$.incident.region", text, `"region":{"a":["\u00e9t\u00e9"],"b":"\u00fc"}`, `[{"value_text":"{\"a\":[\"été\"],\"b\":\"ü\"}"}]`, ""},
		"a path to text with escapes":                 {"$.incident.region", text, `"region":"\u00e9t\u00e9"`, `[{"value_text":"été"}]`, ""},
		"a path to yes":                               {"$.incident.paged", yesNo, `"paged":true`, `[{"value_option_id":"op-1"}]`, ""},
		"a path to no, as a number":                   {"$.incident.paged", numeric, `"paged":false`, `[{"value_numeric":"0"}]`, ""},
		"a path to null":                              {"$.incident.paged", text, `"paged":null`, "", ""},
		"a path to nothing":                           {"$.nothing.here", text, ``, "", ""},
		"a path through text":                         {"$.incident.title.x", text, `"title":"T"`, "", ""},
		"the service by a path":                       {"$.incident.service", catalog("single_select"), `"service":"api-gateway"`, `[{"value_catalog_entry_id":"en-gw"}]`, ""},
		"the team by a path":                          {"$.incident.team", text, `"team":"core"`, `[{"value_text":"Platform"}]`, ""},
		"a type that incident.io has not yet":         {"team", mapping.Field{ID: "cf", Name: "F", Type: "hologram"}, `"team":"x"`, "", `type "hologram" is not known`},
		"an environment that TigerOps did not tell":   {"environment", text, ``, "", ""},
		"deployment sha, and no deployment":           {"deployment_sha", text, ``, "", ""},
		"a key that is no field":                      {"weather", text, ``, "", ""},
		"repeated services once":                      {"affected_services", text, `"affected_services":["a","a"," a "]`, `[{"value_text":"a"}]`, ""},
		"two services of one entry once":              {"affected_services", catalog("multi_select"), `"affected_services":["API gateway","api-gateway"]`, `[{"value_catalog_entry_id":"en-gw"}]`, ""},
		"the id of an option":                         {"environment", single(services), `"environment":"op-co"`, `[{"value_option_id":"op-co"}]`, ""},
		"links of a list: the first, and it is told":  {"$.incident.links", link, `"links":["x","https://a.example","https://b.example"]`, `[{"value_link":"https://a.example"}]`, "one link of the 3"},
		"a text of many lines in an option's place":   {"ai_summary", single(services), `"ai_summary":"api\ngateway"`, `[{"value_option_id":"op-gw"}]`, ""},
		"a very long text":                            {"ai_summary", text, `"ai_summary":"` + strings.Repeat("é", 6000) + `"`, `[{"value_text":"` + strings.Repeat("é", 4993) + `… (cut)"}]`, ""},
		"a boolean path against options that differ":  {"$.incident.paged", single(services), `"paged":true`, "", `has no option "Yes"`},
		"a number that is written in an odd way":      {"$.incident.count", numeric, `"count":"+.5"`, `[{"value_numeric":"0.5"}]`, ""},
		"a number with a thousands separator is none": {"$.incident.count", numeric, `"count":"1,000"`, "", "is no number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.dir.Fields, w.dir.Entries = []mapping.Field{tc.field}, map[string][]mapping.Entry{"ct": entries}
			w.rules.CustomFields = map[string]string{tc.key: "cf"}
			w.rules.Teams = map[string]string{"Core": "Platform"}
			w.says(saying("e1", "incident.created", tc.event, ""))
			got := member(t, w.step("incident.declare"), "custom_field_entries")
			want := ""
			if tc.want != "" {
				want = `[{"custom_field_id":"cf","values":` + tc.want + `}]`
			}
			if got != strings.ReplaceAll(strings.ReplaceAll(want, "<", `\u003c`), ">", `\u003e`) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if warnings := strings.Join(w.warnings, "\n"); (tc.warns == "") != (warnings == "") || !strings.Contains(warnings, tc.warns) {
				t.Errorf("warnings %q, want %q in them", warnings, tc.warns)
			}
			w.says(saying("e2", "incident.updated", tc.event, ""))
			if len(w.steps) != 0 || len(w.warnings) != 0 {
				t.Errorf("the same again sends %s, warns %q", names(w.steps), w.warnings)
			}
		})
	}
}

// A field is sent again when TigerOps changes its own, when its mapping is mended, and not otherwise.
func TestFieldChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.CustomFields = map[string]string{"environment": "Environment", "error_budget_burn_rate": "Burn rate", "affected_services": "Affected services"}
	w.says(saying("e1", "incident.created", `"environment":"production","slo":{"error_budget_burn_rate":2},"affected_services":["checkout","ledger"]`, ""))
	edits := func(id, incident string) string {
		w.says(saying(id, "incident.updated", incident, ""))
		for _, s := range w.steps {
			if s.Name == "incident.edit" {
				return member(t, s, "incident.custom_field_entries")
			}
		}
		return ""
	}
	if got, want := edits("e2", `"environment":"staging"`), ""; got != want || !strings.Contains(strings.Join(w.warnings, ""), `no option "staging"`) {
		t.Errorf("an option that is missing: got %q, warnings %q", got, w.warnings)
	}
	w.dir.Fields[7].Options = append(w.dir.Fields[7].Options, mapping.Option{ID: "op-staging", Value: "Staging"})
	if got, want := edits("e3", ``), `[{"custom_field_id":"cf-env","values":[{"value_option_id":"op-staging"}]}]`; got != want {
		t.Errorf("once the option is there: got %q, want %q", got, want)
	}
	w.tie.Agreed.Fields["cf-env"] = []string{"op-prod"} // a person
	if got := edits("e4", ``); got != "" {
		t.Errorf("a person's value is taken back: %q", got)
	}
	w.tie.Agreed.Fields["cf-burn"] = []string{"2.50"}
	if got := edits("e5", `"slo":{"error_budget_burn_rate":2.5}`); got != "" {
		t.Errorf("a value that is there already is sent: %q", got)
	}
	w.tie.Agreed.Fields["cf-services"] = []string{"op-gw", "op-checkout"}
	if got := edits("e6", `"affected_services":["checkout","api-gateway"]`); got != "" {
		t.Errorf("values in another order are sent: %q", got)
	}
	w.rules.Services = append(w.rules.Services, mapping.ServiceRule{TigerOps: "checkout", IncidentIO: "API Gateway"})
	if got, want := edits("e7", ``), `[{"custom_field_id":"cf-services","values":[{"value_option_id":"op-gw"}]}]`; got != want {
		t.Errorf("once service_mappings says other: got %q, want %q", got, want)
	}
}

// Two TigerOps fields on one custom field: the first of the contract's order fills it.
func TestTwoFieldsOnOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.CustomFields = map[string]string{"tigerops_id": "AI summary", "ai_summary": "cf-ai", "$.incident.x": "cf-ai"}
	w.says(saying("e1", "incident.created", `"ai_summary":"S","x":"X"`, ""))
	if got, want := member(t, w.step("incident.declare"), "custom_field_entries"), `[{"custom_field_id":"cf-ai","values":[{"value_text":"S"}]}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A list without end does not make options without end.
func TestManyValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.CreateOptions = true
	w.rules.CustomFields["$.incident.affected_services"] = "AI summary"
	delete(w.rules.CustomFields, "ai_summary")
	var all []string
	for n := range 300 {
		all = append(all, fmt.Sprintf("%q", fmt.Sprint("s", n)))
	}
	w.says(saying("e1", "incident.created", `"affected_services":[`+strings.Join(all, ",")+`]`, ""))
	if got := strings.Count(names(w.steps), "option.create."); got != 50 {
		t.Errorf("%d options are made", got)
	}
	if body := string(w.step("incident.declare").Body); !strings.Contains(body, `s48, s49 and 250 more"`) {
		t.Errorf("the text tells no end: %s", body)
	}
}

// The steps that make options are numbered by what TigerOps tells, so that a name never comes to mean another option.
func TestOptionStepsKeepTheirNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.CreateOptions = true
	ev, _ := mapping.ParseEvent([]byte(saying("e1", "incident.created", `"affected_services":["ledger","search"]`, "")), "")
	w.state = w.state.Apply(ev)
	w.fired[""] = true
	out := mapping.Plan(w.input(ev, mapping.State{}, nil))
	if got := names(out.Next); got != "option.create.1 option.create.2 incident.declare" {
		t.Fatalf("steps: %s", got)
	}
	first := string(out.Next[1].Body)
	// The account is read anew, and shows the first option.
	w.dir.Fields[0].Options = append(w.dir.Fields[0].Options, mapping.Option{ID: "op-ledger", Value: "ledger"})
	out = mapping.Plan(w.input(ev, mapping.State{}, map[string]mapping.Ended{"option.create.1": {State: "done", RemoteID: "op-ledger"}}))
	if got := names(out.Next); got != "option.create.2 incident.declare" || string(out.Next[0].Body) != first {
		t.Errorf("steps: %s, the first is %s", got, out.Next[0].Body)
	}
}

func TestWant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.Users = map[string]string{"Grace": "G.Hopper@example.com", "bob@tiger.example": "bob@example.com"}
	w.rules.Roles["comms"] = "Communications"
	w.rules.CustomFields = map[string]string{"affected_services": "Service"}
	need := func(payload string) mapping.Needs {
		ev, _ := mapping.ParseEvent([]byte(payload), "")
		in := w.input(ev, mapping.State{}, nil)
		in.State = mapping.State{}.Apply(ev)
		return mapping.Want(in)
	}
	got := need(saying("e1", "incident.created", `"service":"x","responders":[{"role":"OWNER","email":" Ada@Example.com "},{"role":"comms","email":"bob@tiger.example"},{"role":"watcher","email":"eve@example.com"},{"role":"comms","name":"Nobody"}]`, ""))
	if a, b := asJSON(t, got), `{"Emails":["ada@example.com","bob@example.com"],"CatalogTypes":["ct-service"]}`; a != b {
		t.Errorf("got %s, want %s", a, b)
	}
	got = need(saying("e1", "postmortem.ready", "", `"postmortem":{"action_items":[{"title":"a","owner":"Grace"},{"title":"b","owner":"ada@example.com"},{"title":"c","owner":"the team"}]}`))
	if a, b := asJSON(t, got), `{"Emails":["ada@example.com","g.hopper@example.com"],"CatalogTypes":null}`; a != b {
		t.Errorf("got %s, want %s", a, b)
	}
	got = need(saying("e1", "incident.acknowledged", "", adaDid))
	if a, b := asJSON(t, got.Emails), `["ada@example.com"]`; a != b {
		t.Errorf("got %s, want %s", a, b)
	}
	if got := mapping.Want(mapping.Input{}); len(got.Emails)+len(got.CatalogTypes) != 0 {
		t.Errorf("nothing wants %+v", got)
	}
}

func TestAlikeFilter(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(w *world)
		want   string
	}{
		"by the field of affected_services": {func(w *world) {}, "cf-services=op-gw sev-critical true"},
		"by service_field, a catalog entry": {func(w *world) { w.rules.ServiceField = "Service" }, "cf-service=en-gw sev-critical true"},
		"by a text":                         {func(w *world) { w.rules.ServiceField = "AI summary" }, "cf-ai=API Gateway sev-critical true"},
		"no such field":                     {func(w *world) { w.rules.ServiceField = "gone" }, "=  false"},
		"no field at all":                   {func(w *world) { w.rules.CustomFields = nil }, "=  false"},
		"no service":                        {func(w *world) { w.state.Incident.Service, w.state.Incident.AffectedServices = "", nil }, "=  false"},
		"the first of those affected": {func(w *world) {
			w.state.Incident.Service = ""
			w.state.Incident.AffectedServices = []string{"checkout"}
		}, "cf-services=op-checkout sev-critical true"},
		"a service without an option":           {func(w *world) { w.state.Incident.Service = "ledger" }, "=  false"},
		"a severity that is not mapped":         {func(w *world) { w.rules.SeverityMapping["critical"] = "gone" }, "=  false"},
		"no severity: the service's default":    {func(w *world) { w.state.Incident.Severity = "" }, "cf-services=op-gw sev-critical true"},
		"no severity, and no default to go for": {func(w *world) { w.state.Incident.Severity = ""; w.rules.Services[0].DefaultSeverity = "" }, "=  false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ev, _ := mapping.ParseEvent([]byte(full), "")
			w.state = w.state.Apply(ev)
			tc.change(w)
			field, value, severity, ok := mapping.AlikeFilter(w.input(ev, mapping.State{}, nil))
			got := field + "=" + value + " " + severity + " "
			if ok {
				got += "true"
			} else {
				got += "false"
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
