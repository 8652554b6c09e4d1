package mapping_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// writeGoldens does as UPDATE_GOLDEN=1 in the environment.
var writeGoldens = flag.Bool("update", os.Getenv("UPDATE_GOLDEN") != "", "write the golden files anew")

// told writes an event's steps as they went out, and what became of it, for people.
func (w *world) told(title string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", title)
	for _, s := range w.steps {
		fmt.Fprintf(&b, "\n## %s\n%s %s\ncall %s, key %s", s.Name, s.Method, s.Path, s.Call, s.Key)
		if s.Mark != "" {
			fmt.Fprintf(&b, ", mark %s", s.Mark)
		}
		b.WriteString("\n")
		for _, e := range s.Explain {
			fmt.Fprintf(&b, "  %s\n", e)
		}
		var body, effect bytes.Buffer
		if err := json.Indent(&body, s.Body, "", "  "); err != nil {
			w.t.Fatal(err)
		}
		raw := asJSON(w.t, s.Effect)
		if err := json.Indent(&effect, []byte(raw), "", "  "); err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\neffect %s\n", body.String(), effect.String())
		// Texts once more as people see them.
		var texts map[string]any
		if json.Unmarshal(s.Body, &texts) == nil {
			for _, k := range []string{"summary", "message", "description", "content"} {
				if text, ok := texts[k].(string); ok && strings.Contains(text, "\n") {
					fmt.Fprintf(&b, "--- %s\n%s\n---\n", k, text)
				}
			}
		}
	}
	if w.last.Skip != "" {
		fmt.Fprintf(&b, "\nskipped: %s\n", w.last.Skip)
	}
	if w.last.Park != "" {
		fmt.Fprintf(&b, "\nset aside: %s\n", w.last.Park)
	}
	for _, text := range w.warnings {
		fmt.Fprintf(&b, "\nwarning: %s\n", text)
	}
	if !w.last.Pushed.IsZero() {
		fmt.Fprintf(&b, "\nrecorded: %s\n", asJSON(w.t, w.last.Pushed))
	}
	return b.String()
}

func TestPlanGoldens(t *testing.T) {
	t.Parallel()
	onDeclared := func(payload string) func(*testing.T) *world {
		return func(t *testing.T) *world {
			w := declared(t)
			w.says(payload)
			return w
		}
	}
	post := `"postmortem":{"contributing_factors":["No index on orders.created_at","Load test skipped"],"timeline_summary":"02:00 latency rises\n02:10 index added",` +
		`"action_items":[{"title":"Add the index","detail":"In a migration.","owner":"ada@example.com","labels":["database"]},{"title":"Load-test checkout","owner":"Grace"}]}`
	for name, play := range map[string]func(*testing.T) *world{
		"incident.created": declaredOnly,
		"incident.updated": onDeclared(saying("evt_2", "incident.updated",
			`"title":"Checkout down","severity":"warning","status":"mitigated","ai_summary":"It was the index.","affected_services":["checkout"],"slo":{"status":"ok"}`, adaDid)),
		"incident.acknowledged": onDeclared(saying("evt_3", "incident.acknowledged", "", `"actor":{"name":"Lisa","email":"lisa@example.com"}`)),
		"incident.escalated": func(t *testing.T) *world {
			w := newWorld(t)
			w.rules.EscalationPaths = map[string]string{"payments": "path-payments"}
			w.says(strings.Replace(full, `"critical"`, `"warning"`, 1))
			w.says(saying("evt_4", "incident.escalated", `"severity":"critical"`, adaDid))
			return w
		},
		"incident.resolved": onDeclared(saying("evt_5", "incident.resolved", "", adaDid)),
		"incident.reopened": func(t *testing.T) *world {
			w := declared(t)
			w.says(saying("evt_5", "incident.resolved", "", adaDid))
			w.says(saying("evt_6", "incident.reopened", "", adaDid))
			return w
		},
		"incident.reopened_closed": func(t *testing.T) *world {
			w := declared(t)
			w.says(saying("evt_5", "incident.resolved", "", adaDid))
			w.former, w.tie = w.tie, nil
			w.says(saying("evt_6", "incident.reopened", "", adaDid))
			return w
		},
		"incident.reopened_open": func(t *testing.T) *world {
			w := declared(t)
			w.rules.AutoResolve = false
			w.says(saying("evt_5", "incident.resolved", "", adaDid))
			w.moves("st-monitoring")
			w.says(saying("evt_6", "incident.reopened", "", adaDid))
			return w
		},
		"investigation.step": onDeclared(saying("evt_7", "investigation.step", "",
			`"step":{"kind":"root_cause_identified","title":"Missing index","detail":"The query on **orders** scans 40 M rows.","url":"https://t.example/steps/7"}`)),
		"runbook.action": onDeclared(saying("evt_8", "runbook.action", "",
			`"action":{"title":"Restart checkout pods","status":"in_progress","detail":"3 of 12 done","url":"https://t.example/runbooks/9"}`)),
		"runbook.action_changed": func(t *testing.T) *world {
			w := declared(t)
			w.says(saying("evt_8", "runbook.action", "", `"action":{"title":"Restart checkout pods","status":"in_progress"}`))
			w.says(saying("evt_9", "runbook.action", "", `"action":{"title":"Restart checkout pods","status":"succeeded","detail":"12 of 12 done"}`))
			return w
		},
		"postmortem.ready": onDeclared(saying("evt_10", "postmortem.ready", "", post)),
		"postmortem.ready_again": func(t *testing.T) *world {
			w := declared(t)
			w.says(saying("evt_10", "postmortem.ready", "", post))
			w.says(saying("evt_11", "postmortem.ready", "", strings.Replace(post, `"Load-test checkout"`, `"Alert on slow queries"`, 1)))
			return w
		},
		"anomaly.detected": func(t *testing.T) *world {
			w := newWorld(t)
			w.says(`{"id":"evt_12","type":"anomaly.detected","timestamp":"2026-11-23T01:58:00Z","incident":{"severity":"warning","service":"checkout",` +
				`"environment":"production","impacted_metrics":[{"name":"p99_latency","value":"2.3 s","baseline":"180 ms"}]}}`)
			return w
		},
		"anomaly.detected_tied": onDeclared(saying("evt_13", "anomaly.detected", `"impacted_metrics":[{"name":"error_rate","value":"4 %"}]`, "")),
		"slo.breached": func(t *testing.T) *world {
			w := newWorld(t)
			w.says(`{"id":"evt_14","type":"slo.breached","timestamp":"2026-11-23T01:58:00Z","incident":{"title":"Checkout availability","severity":"critical","slo":{"name":"checkout","status":"breached","error_budget_burn_rate":14.4}}}`)
			return w
		},
		"slo.breached_declares": func(t *testing.T) *world {
			w := newWorld(t)
			w.says(saying("evt_15", "slo.breached", `"severity":"warning","service":"checkout","slo":{"name":"checkout","status":"breached"}`, ""))
			return w
		},
		"unknown_type": func(t *testing.T) *world {
			w := newWorld(t)
			w.says(saying("evt_16", "incident.renamed", "", ""))
			return w
		},
		"below_min_severity": func(t *testing.T) *world {
			w := newWorld(t)
			w.says(saying("evt_17", "incident.created", `"severity":"info"`, ""))
			return w
		},
		"auto_declare_off": func(t *testing.T) *world {
			w := newWorld(t)
			w.rules.AutoDeclare = false
			w.says(full)
			return w
		},
		"auto_resolve_off": func(t *testing.T) *world {
			w := declared(t)
			w.rules.AutoResolve = false
			w.says(saying("evt_5", "incident.resolved", "", adaDid))
			return w
		},
		"siblings": func(t *testing.T) *world {
			w := declared(t)
			w.siblings = 2
			w.says(saying("evt_5", "incident.resolved", "", adaDid))
			return w
		},
		"attached":    attached,
		"alert_route": routed,
		"every_field": everyField,
		"create_missing_options": func(t *testing.T) *world {
			w := newWorld(t)
			w.rules.CreateOptions = true
			w.says(strings.Replace(full, `"checkout"]`, `"checkout", "ledger", "search"]`, 1))
			return w
		},
		"responder_not_found": func(t *testing.T) *world {
			w := newWorld(t)
			w.rules.Roles["comms"] = "Communications"
			w.dir.UsersUnknown = map[string]string{"bob@example.com": "503 Service Unavailable"}
			w.says(strings.Replace(full, `"responders": [`, `"responders": [{"role":"comms","email":"Bob@example.com","name":"Bob"},{"role":"comms","name":"Eve"},`, 1))
			return w
		},
		"older_account": func(t *testing.T) *world {
			w := newWorld(t)
			w.dir.Missing = map[string]bool{mapping.CallTimeline: true, mapping.CallActions: true, mapping.CallUpdates: true, mapping.CallFollowUps: true, mapping.CallPostmortem: true}
			w.says(full)
			var all []mapping.Request
			for _, e := range []string{
				saying("evt_3", "incident.acknowledged", `"severity":"warning"`, adaDid),
				saying("evt_7", "investigation.step", "", `"step":{"kind":"anomaly_detected"}`),
				saying("evt_8", "runbook.action", "", `"action":{"title":"Restart","status":"succeeded"}`),
				saying("evt_10", "postmortem.ready", "", post),
			} {
				all = append(all, w.says(e)...)
			}
			w.alertID = "al-1"
			all = append(all, w.says(saying("evt_11", "investigation.step", "", `"step":{"kind":"remediation_executed"}`))...)
			w.steps = all
			return w
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sameText(t, filepath.Join("testdata", "plan", name+".golden"), play(t).told(name))
		})
	}
}

func sameText(t *testing.T, path, got string) {
	t.Helper()
	if *writeGoldens {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s", path, got)
	}
}

func declaredOnly(t *testing.T) *world { return declared(t) }

func attached(t *testing.T) *world {
	w := newWorld(t)
	w.says(strings.Replace(full, `"critical"`, `"info"`, 1))
	w.tie = &mapping.Tie{
		TigerOpsID: "TIG-4711", IncidentID: "01OTHER", Reference: "INC-9", Origin: mapping.OriginAttached,
		Agreed: mapping.Agreed{
			Name: "Gateway is slow", Summary: "Lisa: the gateway is slow since lunch.", Status: w.dir.Statuses[3], Severity: &w.dir.Severities[1],
			Fields: map[string][]string{"cf-services": {"op-gw"}}, Roles: []mapping.Assignment{{Role: w.dir.Roles[0], User: w.dir.Users["lisa@example.com"]}},
		},
	}
	w.says(saying("evt_2", "incident.updated", `"severity":"warning"`, adaDid))
	return w
}

func routed(t *testing.T) *world {
	w := newWorld(t)
	w.rules.AutoDeclare = false
	w.says(full)
	w.tie = &mapping.Tie{
		TigerOpsID: "TIG-4711", IncidentID: "01ROUTE", Reference: "INC-10", Origin: mapping.OriginAlertRoute,
		Agreed: mapping.Agreed{Name: "Checkout latency above SLO", Status: w.dir.Statuses[0], Severity: &w.dir.Severities[0]},
	}
	w.state = mapping.State{}
	w.says(full)
	return w
}

func everyField(t *testing.T) *world {
	w := newWorld(t)
	w.rules.CustomFields = map[string]string{
		"affected_services": "Service", "slo_breach": "slo breach", "ai_summary": "cf-ai", "error_budget_burn_rate": "cf-burn",
		"trace_url": "cf-trace", "environment": "cf-env", "deployment": "cf-sha", "$.incident.something_new.a": "cf-services", "team": "gone",
	}
	w.says(full)
	return w
}
