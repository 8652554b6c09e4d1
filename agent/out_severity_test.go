package agent

import (
	"fmt"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

func TestOut1Severity(t *testing.T) {
	t.Parallel()
	severity := func(w *world) string {
		w.Helper()
		if s := w.only().Severity; s != nil {
			return s.Name
		}
		return ""
	}
	mapped := func(to map[string]string) worldOptions {
		return rules(func(r *mapping.Rules) { r.SeverityMapping = to })
	}

	t.Run("by name, id or rank number", func(t *testing.T) {
		t.Parallel()
		twin := simulator.New(simulator.Options{}) // of the same seed: its ids are the account's
		id := severityID(twin, "SEV2")
		if err := twin.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"SEV2", " sev2", "2", id} {
			w := newRunning(t, mapped(map[string]string{"critical": name}))
			w.says(created(nil))
			is(t, "severity of critical: "+name, severity(w), "SEV2")
		}
	})
	t.Run("without a mapping by like names, then by rank", func(t *testing.T) {
		t.Parallel()
		for _, c := range [][2]string{{"critical", "SEV1"}, {"warning", "P2 - Warning"}} {
			w := newRunning(t, worldOptions{})
			w.setUp("/v1/severities", "severity", m{"name": "P2 - Warning", "description": "", "rank": 0})
			w.says(created(m{"severity": c[0]}))
			is(t, "severity of "+c[0], severity(w), c[1])
		}
	})
	t.Run("custom labels, and more than three", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) {
			r.Severities, r.MinSeverity = []string{"p5", "p4", "p3", "p2", "Mayday"}, "p4"
			r.SeverityMapping = map[string]string{"mayday": "SEV1", "p2": "SEV1", "p3": "SEV2", "p4": "SEV3"}
		}))
		below := created(m{"id": "TIG-p5", "severity": "p5"})
		w.post(below)
		holds(t, "reason", w.ends(below, store.Skipped).Reason, "below min_severity")
		for i, c := range [][2]string{{"Mayday", "SEV1"}, {"p2", "SEV1"}, {"P3", "SEV2"}, {"p4", "SEV3"}} {
			w.says(created(m{"id": "TIG-" + c[0], "severity": c[0]}))
			is(t, "severity of "+c[0], w.inc(fmt.Sprintf("INC-%d", i+1)).Severity.Name, c[1])
		}
	})
	t.Run("several onto one do not flap", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, mapped(map[string]string{"critical": "SEV1", "warning": "SEV1", "info": "SEV3"}))
		w.says(created(m{"severity": "warning"}))
		w.wantTypes(w.rows(), "incident.linked")
		for _, s := range []string{"critical", "warning", "critical", "warning"} {
			w.says(updated(m{"severity": s}))
		}
		is(t, "severity", severity(w), "SEV1")
		is(t, "updates", len(w.only().Updates), 1)
		w.swept()
		w.wantTypes(w.rows())

		// There and back in incident.io: TigerOps is told of SEV3, then of SEV1 as the word that it used itself.
		w.ok(w.sim.As(lisa).SetSeverity("INC-1", "SEV3", ""))
		w.swept()
		w.ok(w.sim.As(lisa).SetSeverity("INC-1", "SEV1", ""))
		w.swept()
		rows := w.rows()
		w.wantTypes(rows, "incident.severity_changed", "incident.severity_changed")
		is(t, "told first", rows[0].After["severity"], any("info"))
		is(t, "told then", rows[1].After["severity"], any("warning"))
		// TigerOps takes the change over and says so itself: nothing moves.
		w.says(updated(m{"severity": "warning"}))
		is(t, "severity", severity(w), "SEV1")
		w.swept()
		w.wantTypes(w.rows())
	})
	t.Run("default_severity of the service where the event names none", func(t *testing.T) {
		t.Parallel()
		o := rules(func(r *mapping.Rules) {
			r.Services = []mapping.ServiceRule{{TigerOps: "api-gateway", IncidentIO: "API Gateway", DefaultSeverity: "SEV1"}}
		})
		w := newRunning(t, o)
		w.says(created(m{"severity": "", "service": "api-gateway"}))
		is(t, "severity", severity(w), "SEV1")

		named := newRunning(t, o)
		named.says(created(m{"severity": "warning", "service": "api-gateway"}))
		is(t, "severity that the event names", severity(named), "SEV2")
	})
	t.Run("changed on either side moves the other", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(m{"severity": "warning"}))
		w.says(event(mapping.IncidentUpdated, byAda, m{"incident": m{"severity": "critical"}}))
		is(t, "severity", severity(w), "SEV1")
		holds(t, "message", messages(w.only())[0], "Ada", "severity", "warning", "critical")
		w.swept()
		w.wantTypes(w.rows(), "incident.linked")

		w.ok(w.sim.As(lisa).SetSeverity("INC-1", "SEV3", "Only a few."))
		w.swept()
		rows := w.rows()
		w.wantTypes(rows, "incident.severity_changed")
		is(t, "severity for TigerOps", rows[0].After["severity"], any("info"))
		is(t, "severity before", rows[0].Before["severity"], any("critical"))
		is(t, "by", rows[0].Actor.Email, lisa)
		// What TigerOps says of something else leaves the person's severity alone.
		w.says(updated(m{"title": "Checkout is slow again"}))
		is(t, "severity", severity(w), "SEV3")
	})
	t.Run("a mapping to one that is not there never costs the incident", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, mapped(map[string]string{"critical": "SEV0"}))
		holds(t, "reason", w.says(created(nil)).Reason, "SEV0")
		is(t, "severity", severity(w), "SEV1")
	})
	t.Run("a word that nobody knows never costs the incident", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		holds(t, "reason", w.says(created(m{"severity": "catastrophic"})).Reason, "catastrophic")
		w.only()
	})
	t.Run("none at all never costs the incident", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(m{"severity": ""}))
		w.only()
	})
}
