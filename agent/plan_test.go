package agent

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
)

func TestTools17Plan(t *testing.T) {
	t.Parallel()
	config := func(c *Config) {
		alerting(c)
		byService(c)
		c.Rules.CustomFields["environment"], c.Rules.CustomFields["team"] = environmentField, teamField
		c.Rules.CreateOptions = true
		c.Rules.EscalationPaths = map[string]string{"payments": simulator.DefaultEscalationPathID}
	}
	plan := func(w *world, e m) Planned {
		w.Helper()
		return must(PlanEvent(w.ctx, w.a.opts, must(json.Marshal(e))(w)))(w)
	}
	names := func(p Planned) (all []string) {
		for _, r := range p.Requests {
			all = append(all, r.Name)
		}
		return all
	}
	explained := func(p Planned, name string) string {
		for _, r := range p.Requests {
			if r.Name == name {
				return strings.Join(r.Explain, "\n")
			}
		}
		return ""
	}

	t.Run("of a first event: every request in order, names beside ids, and nothing sent", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{config: config})
		w.a.opts.Config.DB = filepath.Join(t.TempDir(), "none yet.db")
		p := plan(w, created(gateway, m{"incident": m{"environment": "lab", "team": "Payments"}}))
		same(t, "requests", names(p), "alert.fire", "option.create.2", "incident.declare")
		account := w.sim.Account()
		holds(t, "the declaration", explained(p, "incident.declare"),
			"SEV1", severityID(w.sim, "SEV1"), "Affected services", "API Gateway", servicesField, "Owning team", "Payments",
			"Incident Lead", account.Roles[0].ID, "Ada Byron", ada, account.Users[1].ID, "AI summary")
		holds(t, "the option", explained(p, "option.create.2"), "lab", "Environment", environmentField)
		holds(t, "the alert", explained(p, "alert.fire"), simulator.DefaultAlertSourceID)
		same(t, "requests sent", changing(w))
		is(t, "Tied", p.Tied, "")
	})
	t.Run("of each type of event of an incident not tied yet, the declaration first", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{config: config})
		for _, e := range whole() {
			e["incident"].(m)["severity"] = "critical"
			p := plan(w, e)
			switch e["type"] {
			case mapping.IncidentResolved:
				holds(t, "skipped", p.Skip, "never tied")
			default:
				if i := slices.Index(names(p), "incident.declare"); i < 0 || len(names(p)) < i+1 {
					t.Errorf("%v: got %v, want a declaration and what follows", e["type"], names(p))
				}
				for _, r := range p.Requests[slices.Index(names(p), "incident.declare")+1:] {
					if !strings.Contains(r.Path+string(r.Body), mapping.IncidentPlaceholder) {
						t.Errorf("%v, %s: want the incident as a placeholder", e["type"], r.Name)
					}
				}
			}
		}
		same(t, "requests sent", changing(w))
	})
	t.Run("of an event of a tied incident, beside the running agent", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: config})
		w.says(created(gateway))
		sent := len(changing(w))
		p := plan(w, event(mapping.IncidentEscalated, byAda, m{"incident": m{"team": "payments", "severity": "warning", "status": "mitigated", "title": "Slower"}}))
		same(t, "requests", names(p), "escalation.create", "incident.edit", "incident.update")
		is(t, "tied to", p.Tied, "INC-1")
		holds(t, "the update", explained(p, "incident.update"), "SEV2", severityID(w.sim, "SEV2"), "Monitoring", statusID(w.sim, "Monitoring"), "Escalated by Ada")
		holds(t, "the escalation", explained(p, "escalation.create"), simulator.DefaultEscalationPathID)
		is(t, "requests sent", len(changing(w))-sent, 0)
		is(t, "events", len(must(w.a.st.Waiting(w.ctx, "TIG-1", 0, 10))(w)), 0)
		// A repeat of what was said plans nothing.
		same(t, "requests of nothing new", names(plan(w, updated(m{"title": "Checkout is slow"}))))
	})
	t.Run("says why nothing would be sent", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{config: config})
		holds(t, "below", plan(w, created(m{"severity": "info"})).Skip, "below min_severity")
		holds(t, "unknown", plan(w, event("incident.exploded")).Skip, "incident.exploded")
		w.a.opts.Config.Rules.AutoDeclare = false
		p := plan(w, created(nil))
		same(t, "requests", names(p), "alert.fire")
	})
	t.Run("warns as the delivery would", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{config: config})
		p := plan(w, created(m{"team": "nobody's", "responders": []m{{"role": "owner", "email": "nobody@example.com"}}}))
		holds(t, "warnings", strings.Join(p.Warnings, "\n"), "nobody's", "nobody@example.com")
		same(t, "requests", names(p), "alert.fire", "incident.declare", "timeline.note")
	})
	t.Run("refuses what the doors refuse, by name", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{config: config})
		_, err := PlanEvent(w.ctx, w.a.opts, []byte(`{"id":"e1","type":"incident.created"}`))
		if err == nil || !strings.Contains(err.Error(), "incident.id") {
			t.Errorf("got %v, want an error that names incident.id", err)
		}
	})
	t.Run("says so where incident.io can't be read", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{config: config})
		must(w.sim.Break(simulator.Fault{Kind: simulator.StatusCode, Status: http.StatusUnauthorized}))(w)
		if _, err := PlanEvent(w.ctx, w.a.opts, must(json.Marshal(created(nil)))(w)); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("got %v, want an error that tells of the 401", err)
		}
	})
}
