package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
)

// Custom fields of the simulator's default account.
const (
	servicesField    = "custom_field_abc" // options
	sloField         = "custom_field_def"
	summaryField     = "custom_field_ghi"
	environmentField = "custom_field_env"
	catalogField     = "custom_field_svc"
	teamField        = "custom_field_team"
)

// fields maps TigerOps fields to custom fields.
func fields(to map[string]string) worldOptions {
	return rules(func(r *mapping.Rules) { r.CustomFields = to })
}

func TestOut2Service(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ field, remote, want string }{
		"onto an option of a select field":       {servicesField, "API Gateway", "API Gateway"},
		"onto a catalog entry by its name":       {catalogField, "API Gateway", "API Gateway"},
		"onto a catalog entry by an external id": {catalogField, "api-gateway", "API Gateway"},
		"onto a catalog entry by an alias":       {catalogField, "edge", "API Gateway"},
		"onto a text field":                      {summaryField, "The front door", "The front door"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, rules(func(r *mapping.Rules) {
				r.CustomFields = map[string]string{"affected_services": c.field}
				r.Services = []mapping.ServiceRule{{TigerOps: "tig-gw", IncidentIO: c.remote}}
			}))
			w.says(created(m{"service": "tig-gw"}))
			same(t, "field", values(w.only(), c.field), c.want)
		})
	}
	t.Run("several, each by its mapping or its own name", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) {
			r.CustomFields = map[string]string{"affected_services": catalogField}
			r.Services = []mapping.ServiceRule{{TigerOps: "tig-gw", IncidentIO: "edge"}}
		}))
		row := w.says(created(m{"service": "tig-gw", "affected_services": []string{"tig-gw", "checkout", "billing", "unheard-of"}}))
		same(t, "field", values(w.only(), catalogField), "API Gateway", "Checkout", "Payments")
		holds(t, "reason", row.Reason, "unheard-of")
	})
}

func TestOut2Team(t *testing.T) {
	t.Parallel()
	for name, remote := range map[string]string{"by the entry's name": "Payments", "by its external id": "payments-team"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, rules(func(r *mapping.Rules) {
				r.CustomFields = map[string]string{"team": teamField}
				r.Teams = map[string]string{"money": remote}
			}))
			w.says(created(m{"team": "money"}))
			same(t, "field", values(w.only(), teamField), "Payments")
		})
	}
}

func TestOut2Roles(t *testing.T) {
	t.Parallel()
	responders := func(list ...m) m { return m{"responders": list} }
	who := func(role, email string) m {
		return m{"role": role, "email": email, "name": strings.Split(email, "@")[0]}
	}

	t.Run("responders become role assignments by email", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) { r.Roles = map[string]string{"owner": "lead", "scribe": "Communications Lead"} }))
		w.says(created(responders(who("owner", "Ada@Example.com"), who("scribe", grace), who("onlooker", lisa))))
		is(t, "lead", holder(w.only(), "lead"), ada)
		is(t, "communications", holder(w.only(), "comms"), grace)
		w.says(updated(responders(who("owner", lisa))))
		is(t, "lead", holder(w.only(), "lead"), lisa)
		is(t, "communications", holder(w.only(), "comms"), grace)
		w.settle()
		w.wantTypes(w.rows(), "incident.linked")
	})
	t.Run("user_mapping where emails differ, by email or name", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) {
			r.Roles = map[string]string{"owner": "lead", "scribe": "comms"}
			r.Users = map[string]string{"a.byron@tig.example": ada, "Grace B.": grace}
		}))
		w.says(created(responders(who("owner", "a.byron@tig.example"), m{"role": "scribe", "name": "Grace B."})))
		is(t, "lead", holder(w.only(), "lead"), ada)
		is(t, "communications", holder(w.only(), "comms"), grace)
	})
	t.Run("an unknown user is told on the timeline and clears nothing", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(responders(who("owner", ada))))
		row := w.says(updated(responders(who("owner", "nobody@example.com"))))
		holds(t, "reason", row.Reason, "nobody@example.com")
		v := w.only()
		is(t, "lead", holder(v, "lead"), ada)
		holds(t, "timeline", on(t, v, "could not assign").Description, "nobody@example.com", "no such user")
		w.says(updated(m{"title": "Still slow"})) // does not tell of it again
		is(t, "timeline items", len(w.only().Timeline), 1)
	})
	t.Run("an unknown user of a new incident does not hold it up", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(responders(who("owner", "nobody@example.com"))))
		on(t, w.only(), "could not assign")
	})
	t.Run("a failed lookup is told on the timeline and clears nothing", func(t *testing.T) {
		t.Parallel()
		for _, status := range []int{400, 403, 500} {
			w := newRunning(t, worldOptions{})
			w.says(created(responders(who("owner", ada))))
			w.a.dir.patience = 300 * time.Millisecond
			fault := must(w.sim.Break(simulator.Fault{Path: "/v2/users", Kind: simulator.StatusCode, Status: status}))(w)
			w.says(updated(responders(who("owner", grace))))
			v := w.only()
			is(t, "lead", holder(v, "lead"), ada)
			holds(t, "timeline", on(t, v, "could not assign").Description, "grace@example.com", "lookup")
			// Once people can be looked up again, the next event assigns.
			w.sim.Mend(fault)
			w.a.dir.forget()
			w.says(updated(m{"title": "Still slow"}))
			is(t, "lead once the lookup works", holder(w.only(), "lead"), grace)
		}
	})
	t.Run("a person's assignment stands until TigerOps names another", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(responders(who("owner", ada))))
		w.ok(w.sim.As(lisa).AssignRole("INC-1", "lead", lisa))
		w.says(updated(m{"title": "Still slow", "responders": []m{who("owner", ada)}}))
		is(t, "lead", holder(w.only(), "lead"), lisa)
		w.says(updated(responders(who("owner", grace))))
		is(t, "lead", holder(w.only(), "lead"), grace)
	})
}

// everything tells all of TigerOps' fields.
var everything = m{
	"service": "checkout", "affected_services": []string{"checkout", "payments"}, "team": "payments", "environment": "production",
	"slo": m{"name": "availability", "status": "breached", "error_budget_burn_rate": 14.4}, "ai_summary": "The index is cold.",
	"root_cause": "A missing index.", "impacted_metrics": []m{{"name": "p99", "value": "2.3", "baseline": "0.18"}},
	"deployment": m{"sha": "9f2c1e7", "url": "https://ci.example.com/9", "service": "checkout"},
	"trace_url":  "https://trace.example.com/1", "url": "https://tigerops.example.com/TIG-1",
}

// Each TigerOps field in each of the six types of custom field; "-" is left out, with a warning.
func TestOut3EachFieldInEachType(t *testing.T) {
	t.Parallel()
	const page, trace, build = "https://tigerops.example.com/TIG-1", "https://trace.example.com/1", "https://ci.example.com/9"
	want := map[string]struct{ single, multi, catalog, text, link, numeric string }{
		"affected_services":      {"checkout", "checkout|payments", "checkout|payments", "checkout, payments", "-", "-"},
		"team":                   {"payments", "payments", "payments", "payments", "-", "-"},
		"environment":            {"production", "production", "production", "production", "-", "-"},
		"slo_status":             {"breached", "breached", "breached", "breached", "-", "-"},
		"slo_breach":             {"Yes", "Yes", "Yes", "Yes", "-", "1"},
		"error_budget_burn_rate": {"14.4", "14.4", "14.4", "14.4", "-", "14.4"},
		"ai_summary":             {"The index is cold.", "The index is cold.", "The index is cold.", "The index is cold.", "-", "-"},
		"root_cause":             {"A missing index.", "A missing index.", "A missing index.", "A missing index.", "-", "-"},
		"impacted_metrics":       {"p99", "p99", "p99", "p99: 2.3 (baseline 0.18)", "-", "2.3"},
		"deployment_sha":         {"9f2c1e7", "9f2c1e7", "9f2c1e7", "9f2c1e7", "-", "-"},
		"deployment":             {"9f2c1e7", "9f2c1e7", "9f2c1e7", "9f2c1e7 of checkout", build, "-"},
		"trace_url":              {trace, trace, trace, trace, trace, "-"},
		"tigerops_url":           {page, page, page, page, page, "-"},
		"tigerops_id":            {"TIG-1", "TIG-1", "TIG-1", "TIG-1", page, "-"},
	}
	for _, f := range mapping.FieldNames() {
		if _, ok := want[f]; !ok {
			t.Errorf("field %s is not tried", f)
		}
	}
	for _, kind := range []string{"single_select", "multi_select", "text", "link", "numeric", "catalog"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, quick(worldOptions{config: func(c *Config) { c.Rules.CreateOptions = true }}))
			named, make := map[string]string{}, m{"description": "", "field_type": kind}
			if kind == "catalog" {
				typ := w.setUp("/v3/catalog_types", "catalog_type", m{"name": "Anything", "description": "", "source_repo_url": "https://example.com", "annotations": m{}, "categories": []string{}})
				for _, c := range want {
					for _, name := range strings.Split(c.catalog, "|") {
						_, _ = setUp(w.ctx, w.sim, "/v3/catalog_entries", "catalog_entry", m{"catalog_type_id": typ, "name": name, "attribute_values": m{}})
					}
				}
				make["field_type"], make["catalog_type_id"] = "multi_select", typ
			}
			for f := range want {
				named[f] = "Tiger " + f
				make["name"] = named[f]
				w.setUp("/v2/custom_fields", "custom_field", make)
			}
			c := *w.a.cfg.Load()
			c.Rules.CustomFields = named
			w.a.cfg.Store(&c)
			w.start()
			row := w.says(created(everything))
			v := w.only()
			for f, c := range want {
				expect := map[string]string{"single_select": c.single, "multi_select": c.multi, "text": c.text, "link": c.link, "numeric": c.numeric, "catalog": c.catalog}[kind]
				got := strings.Join(values(v, named[f]), "|")
				if expect == "-" {
					is(t, f, got, "")
					holds(t, "reason", row.Reason, f+" left out")
					continue
				}
				is(t, f, got, expect)
			}
			// TigerOps says the same again: nothing is sent.
			before := len(w.sim.Requests("POST "))
			w.says(updated(everything))
			is(t, "requests for nothing new", len(w.sim.Requests("POST "))-before, 0)
		})
	}
}

func TestOut3CustomFields(t *testing.T) {
	t.Parallel()
	t.Run("any path in the event", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, fields(map[string]string{"$.labels.cluster": summaryField, "$.incident.region": "Deployment SHA", "$.checks[1].ms": "custom_field_num"}))
		w.says(created(m{"region": "eu-1"}, m{"labels": m{"cluster": "blue"}, "checks": []m{{"ms": 1}, {"ms": 2300}}}))
		v := w.only()
		same(t, "cluster", values(v, summaryField), "blue")
		same(t, "region", values(v, "Deployment SHA"), "eu-1")
		same(t, "number", values(v, "custom_field_num"), "2300")
		w.says(event(mapping.IncidentUpdated, m{"labels": m{"cluster": "green"}}))
		same(t, "cluster", values(w.only(), summaryField), "green")
	})
	t.Run("a breach in the words of the select", func(t *testing.T) {
		t.Parallel()
		for _, words := range [][2]string{{"true", "false"}, {"Breached", "OK"}} {
			w := newWorld(t, quick(fields(map[string]string{"slo_breach": "Broken"})))
			id := w.setUp("/v2/custom_fields", "custom_field", m{"name": "Broken", "description": "", "field_type": "single_select"})
			for _, o := range words {
				w.setUp("/v1/custom_field_options", "custom_field_option", m{"custom_field_id": id, "value": o})
			}
			w.start()
			w.says(created(m{"slo": m{"status": "breached"}}))
			same(t, "breach", values(w.only(), id), words[0])
			w.says(updated(m{"slo": m{"status": "met"}}))
			same(t, "no breach", values(w.only(), id), words[1])
		}
	})
	t.Run("long texts are cut, and say so", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, fields(map[string]string{"ai_summary": summaryField}))
		w.says(created(m{"ai_summary": strings.Repeat("äöü ", 10_000)}))
		got := values(w.only(), summaryField)
		if len(got) != 1 || len([]rune(got[0])) > 5_000 || !strings.HasSuffix(got[0], "… (cut)") {
			t.Errorf("text: got %d values, %d runes, want one that ends with its cut", len(got), len([]rune(strings.Join(got, ""))))
		}
	})
	t.Run("a missing option is left out, with a warning, and once made is set", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, fields(map[string]string{"environment": environmentField}))
		holds(t, "reason", w.says(created(m{"environment": "lab"})).Reason, "environment left out", "lab")
		same(t, "environment", values(w.only(), environmentField))
		w.setUp("/v1/custom_field_options", "custom_field_option", m{"custom_field_id": environmentField, "value": "Lab"})
		w.a.dir.forget()
		w.says(updated(m{"title": "Still slow"}))
		same(t, "environment", values(w.only(), environmentField), "Lab")
	})
	t.Run("create_missing_options makes it, once", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) {
			r.CustomFields, r.CreateOptions = map[string]string{"environment": environmentField, "affected_services": servicesField}, true
		}))
		w.says(created(m{"environment": "lab", "affected_services": []string{"Search", "mail", "print"}}))
		w.says(created(m{"id": "TIG-2", "environment": "lab", "affected_services": []string{"print"}}))
		same(t, "environment", values(w.inc("INC-2"), environmentField), "lab")
		same(t, "services", values(w.inc("INC-1"), servicesField), "Search", "mail", "print")
		n := map[string]int{}
		for _, o := range w.sim.Account().Options {
			n[o.Value]++
		}
		if n["lab"] != 1 || n["mail"] != 1 || n["print"] != 1 {
			t.Errorf("options made: got %v, want each once", n)
		}
	})
	t.Run("follows TigerOps later, and a person's value stands until TigerOps changes its own", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, fields(map[string]string{"environment": environmentField, "ai_summary": summaryField}))
		w.says(created(m{"environment": "production", "ai_summary": "One"}))
		w.says(updated(m{"ai_summary": "Two"}))
		same(t, "summary", values(w.only(), summaryField), "Two")
		w.ok(w.sim.As(lisa).SetField("INC-1", environmentField, "staging"))
		w.ok(w.sim.As(lisa).SetField("INC-1", summaryField, "Lisa's"))
		w.says(updated(m{"ai_summary": "Three", "environment": "production"}))
		same(t, "summary that TigerOps changed since", values(w.only(), summaryField), "Three")
		same(t, "environment that it did not change", values(w.only(), environmentField), "staging")
	})
	t.Run("a field that the account lacks costs a warning", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, fields(map[string]string{"environment": "custom_field_gone", "ai_summary": summaryField}))
		holds(t, "reason", w.says(created(m{"environment": "production", "ai_summary": "One"})).Reason, "custom_field_gone")
		same(t, "summary", values(w.only(), summaryField), "One")
	})
	t.Run("a number is a number however TigerOps writes it", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, fields(map[string]string{"error_budget_burn_rate": "custom_field_num"}))
		for i, c := range [][2]string{{"14", "14"}, {"14.40", "14.4"}, {"1e3", "1000"}, {"0", "0"}} {
			w.says(created(m{"id": fmt.Sprintf("TIG-%d", i+1), "slo": m{"error_budget_burn_rate": json.Number(c[0])}}))
			same(t, "burn rate of "+c[0], values(w.inc(fmt.Sprintf("INC-%d", i+1)), "custom_field_num"), c[1])
		}
	})
}

func TestOutTypeAndVisibility(t *testing.T) {
	t.Parallel()
	w := newRunning(t, rules(func(r *mapping.Rules) { r.IncidentType, r.Visibility = "default", "private" }))
	w.says(created(nil), updated(m{"title": "Slower"}), event(mapping.IncidentResolved))
	v := w.only()
	is(t, "type", v.Type.Name, "Default")
	is(t, "visibility", v.Visibility, "private")
	is(t, "name", v.Name, "Slower")
	is(t, "status", v.Status.Category, "learning")
}
