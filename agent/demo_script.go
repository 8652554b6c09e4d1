package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

// DemoIncident is the TigerOps incident that the demo tells of.
const DemoIncident = "TIG-4711"

const (
	demoPerson = "lisa@example.com" // whom the simulated account knows
	demoTitle  = "Checkout latency above SLO"
)

// play runs the script: each event waits until the one before is delivered, each thing that a person does until
// TigerOps has heard of it.
func (d *demo) play(ctx context.Context) error {
	began := time.Now().UTC().Add(-3 * time.Minute).Truncate(time.Second)
	n := 0
	event := func(kind string, more map[string]any) map[string]any {
		n++
		e := map[string]any{"id": fmt.Sprintf("evt_demo_%02d", n), "type": kind, "timestamp": began.Add(time.Duration(n) * 10 * time.Second), "incident": map[string]any{"id": DemoIncident}}
		for k, v := range more {
			e[k] = v
		}
		return e
	}
	incident := func(more map[string]any) map[string]any {
		more["id"] = DemoIncident
		return map[string]any{"incident": more}
	}
	lisa := d.sim.As(demoPerson)
	var ref, escalation string

	for _, step := range []func() error{
		func() error {
			e := event("anomaly.detected", nil)
			e["incident"] = map[string]any{"title": "p99 latency of checkout is 12 times its baseline", "severity": "warning", "service": "checkout"}
			_, err := d.send(ctx, e)
			return err
		},
		func() error {
			_, err := d.send(ctx, event("incident.created", incident(map[string]any{
				"title": demoTitle, "severity": "critical", "status": "open", "service": "checkout", "affected_services": []string{"checkout", "api-gateway"},
				"team": "payments", "environment": "production", "url": "https://tigerops.example.com/incidents/" + DemoIncident,
				"trace_url":        "https://tigerops.example.com/traces/7f3a",
				"ai_summary":       "Checkout answers slowly since the deployment 9f2c1e7. The database's connection pool is exhausted.",
				"impacted_metrics": []any{map[string]any{"name": "p99_latency", "value": "2.3 s", "baseline": "180 ms"}},
				"slo":              map[string]any{"name": "checkout-availability", "status": "breached", "error_budget_burn_rate": 14.4},
				"deployment":       map[string]any{"sha": "9f2c1e7", "service": "checkout"},
				"started_at":       began,
			})))
			if err != nil {
				return err
			}
			link, err := d.a.st.Link(ctx, DemoIncident)
			if err != nil {
				return err
			}
			if link == nil {
				return fmt.Errorf("%s was not declared", DemoIncident)
			}
			ref = link.Reference
			return nil
		},
		func() error {
			_, err := d.send(ctx, event("investigation.step", map[string]any{"step": map[string]any{"kind": "root_cause_identified", "title": "Connection pool exhausted",
				"detail": "The pool's size went from 50 to 5 with the deployment 9f2c1e7."}}))
			return err
		},
		func() error {
			steps, err := d.send(ctx, event("incident.escalated", incident(map[string]any{"team": "payments"})))
			for _, s := range steps {
				if strings.HasPrefix(s.Name, "escalation.create") {
					escalation = s.RemoteID
				}
			}
			if err == nil && escalation == "" {
				err = fmt.Errorf("nobody was paged for %s", DemoIncident)
			}
			return err
		},
		func() error { return d.person(ctx, "incident.acknowledged", lisa.AckEscalation(escalation)) },
		func() error { return d.person(ctx, "incident.role_assigned", lisa.AssignRole(ref, "lead", demoPerson)) },
		func() error {
			_, err := d.send(ctx, event("runbook.action", map[string]any{"action": map[string]any{"title": "Roll checkout back to 4b1d0aa", "status": "succeeded",
				"detail": "Took 41 s.", "url": "https://tigerops.example.com/runbooks/rollback"}}))
			return err
		},
		func() error {
			return d.person(ctx, "incident.severity_changed", lisa.SetSeverity(ref, "SEV2", "Only a part of the customers is affected"))
		},
		func() error {
			_, err := d.send(ctx, event("incident.updated", incident(map[string]any{"root_cause": "The deployment 9f2c1e7 set the pool's size to 5."})))
			return err
		},
		func() error {
			return d.person(ctx, "incident.status_changed", lisa.SetStatus(ref, "Monitoring", "Rolled back, latency is falling"))
		},
		func() error {
			return d.person(ctx, "incident.resolved", lisa.Resolve(ref, "Latency is back to normal"))
		},
		func() error {
			_, err := d.send(ctx, event("incident.resolved", incident(map[string]any{"status": "resolved", "resolved_at": time.Now().UTC().Truncate(time.Second)})))
			return err
		},
		func() error {
			_, err := d.send(ctx, event("postmortem.ready", map[string]any{"postmortem": map[string]any{
				"contributing_factors": []string{"The pool's size is not checked in review", "No alert on pool exhaustion"},
				"timeline_summary":     "Deployed, slow within a minute, found by TigerOps, rolled back by Lisa's team.",
				"action_items": []any{map[string]any{"title": "Alert on pool exhaustion", "detail": "At 80 %", "owner": "ada@example.com"},
					map[string]any{"title": "Check the pool's size in CI"}},
			}}))
			return err
		},
		func() error { return d.person(ctx, "incident.status_changed", lisa.Close(ref, "Post-mortem is done")) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return d.await(ctx, "the last webhooks", func() (bool, error) {
		s, err := d.a.st.Status(ctx)
		return s.WebhooksPending == 0, err
	})
}

// person waits until TigerOps hears of what a person did.
func (d *demo) person(ctx context.Context, changeType string, err error) error {
	if err != nil {
		return err
	}
	return d.expect(ctx, changeType)
}

// stepWords says in words what a step did.
func (d *demo) stepWords(s store.Step) string {
	var body struct {
		Title, Name, Message, Description string
		Status                            string
		Incident                          map[string]json.RawMessage
	}
	_ = json.Unmarshal(s.Request, &body) // what can't be read is not told
	words := ""
	for _, w := range []string{body.Title, body.Name, body.Message, body.Description} {
		if words == "" {
			words = firstLine(w)
		}
	}
	if len(body.Incident) > 0 {
		var changed []string
		for _, member := range []string{"name", "summary", "severity_id", "incident_status_id", "custom_field_entries", "incident_role_assignments"} {
			if _, ok := body.Incident[member]; ok {
				changed = append(changed, strings.ReplaceAll(strings.TrimSuffix(member, "_id"), "_", " "))
			}
		}
		words = strings.Join(changed, ", ")
	}
	if s.Name == "incident.declare" {
		if i, err := d.sim.Incident(s.RemoteID); err == nil {
			words = fmt.Sprintf("%s: %s", i.Reference, words)
			if i.Severity != nil {
				words += " (" + i.Severity.Name + ")"
			}
		}
	}
	const most = 90
	if r := []rune(words); len(r) > most {
		words = string(r[:most]) + "…"
	}
	return words
}

// changeWords says in words what a change for TigerOps is.
func changeWords(payload []byte) string {
	var c struct {
		Incident      struct{ Reference string }
		Before, After map[string]any
		Actor         *struct{ Name string }
		Message       string
	}
	_ = json.Unmarshal(payload, &c) // what can't be read is not told
	words := []string{c.Incident.Reference}
	for _, key := range []string{"incident_io_status", "incident_io_severity", "incident_io_role"} {
		before, after := c.Before[key], c.After[key]
		switch {
		case before != nil && after != nil && before != after:
			words = append(words, fmt.Sprintf("%v → %v", before, after))
		case after != nil && before != after:
			words = append(words, fmt.Sprint(after))
		}
	}
	if c.Actor != nil && c.Actor.Name != "" {
		words = append(words, "by "+c.Actor.Name)
	}
	if c.Message != "" {
		words = append(words, fmt.Sprintf("%q", firstLine(c.Message)))
	}
	return strings.Join(words, " ")
}
