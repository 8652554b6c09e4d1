package agent

import (
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// said counts an incident's updates whose message begins so.
func said(v simulator.IncidentView, beginning string) (n int) {
	for _, text := range messages(v) {
		if strings.HasPrefix(text, beginning) {
			n++
		}
	}
	return n
}

func TestOut6Acknowledge(t *testing.T) {
	t.Parallel()
	t.Run("shows who, assigns them, and moves on as mapped", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) { r.StatusMapping = map[string]string{"acknowledged": "Fixing"} }))
		w.says(created(nil))
		w.says(event(mapping.IncidentAcknowledged, byAda))
		v := w.only()
		is(t, "lead", holder(v, "lead"), ada)
		is(t, "updates that say so", said(v, "Acknowledged by Ada in TigerOps"), 1)
		is(t, "status", v.Status.Name, "Fixing")
		w.settle()
		w.wantTypes(w.rows(), "incident.linked")
	})
	t.Run("leaves accepting it out of triage to people, as the API does", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) { r.StatusMapping = map[string]string{"open": "Triage"} }))
		w.says(created(nil))
		is(t, "status before", w.only().Status.Name, "Triage")
		holds(t, "reason", w.says(event(mapping.IncidentAcknowledged, byAda)).Reason, "nothing leads there", "Triage")
		is(t, "status", w.only().Status.Name, "Triage")
		is(t, "lead", holder(w.only(), "lead"), ada)
		is(t, "updates that say so", said(w.only(), "Acknowledged by Ada in TigerOps"), 1)
		is(t, "refused requests", w.sim.Counters().ByStatus[422], 0)
	})
	t.Run("takes the role from nobody and takes nobody's status back", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil))
		w.ok(w.sim.As(lisa).AssignRole("INC-1", "lead", lisa))
		w.ok(w.sim.As(lisa).SetStatus("INC-1", "Fixing", ""))
		w.says(event(mapping.IncidentAcknowledged, byAda))
		v := w.only()
		is(t, "lead", holder(v, "lead"), lisa)
		is(t, "status", v.Status.Name, "Fixing")
		is(t, "updates that say so", said(v, "Acknowledged by Ada"), 1)
	})
	t.Run("by the owner that it names, else without a name", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil), event(mapping.IncidentAcknowledged, m{"incident": m{"responders": []m{{"role": "owner", "email": grace}}}}))
		is(t, "lead", holder(w.only(), "lead"), grace)
		is(t, "updates that say so", said(w.only(), "Acknowledged in TigerOps"), 1)
	})
}

func TestOut6Escalate(t *testing.T) {
	t.Parallel()
	paths := func(c *Config) {
		c.Rules.EscalationPaths = map[string]string{"payments": simulator.DefaultEscalationPathID}
	}
	escalated := event(mapping.IncidentEscalated, byAda, m{"incident": m{"team": "Payments", "severity": "critical"}})

	t.Run("pages the team's path once, raises the severity, and says who", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: paths})
		w.says(created(m{"severity": "warning"}))
		w.says(escalated)
		v := w.only()
		is(t, "escalations", len(v.Escalations), 1)
		is(t, "path", v.Escalations[0].EscalationPathID, simulator.DefaultEscalationPathID)
		is(t, "severity", v.Severity.Name, "SEV1")
		is(t, "updates that say so", said(v, "Escalated by Ada in TigerOps"), 1)
		w.post(escalated)
		w.settle()
		is(t, "escalations", len(w.only().Escalations), 1)
		w.wantTypes(w.rows(), "incident.linked")
	})
	for _, kind := range []simulator.FaultKind{simulator.ResetAfter, simulator.StatusAfter, simulator.Cut} {
		t.Run("once although the answer was lost: "+string(kind), func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{config: paths})
			w.says(created(nil))
			must(w.sim.Break(simulator.Fault{Method: "POST", Path: "/v2/escalations", Kind: kind, Times: 2}))(w)
			w.says(escalated)
			is(t, "escalations", len(w.only().Escalations), 1)
		})
	}
	t.Run("a team without a path pages nobody, and says so", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: paths})
		w.says(created(nil))
		holds(t, "reason", w.says(event(mapping.IncidentEscalated, m{"incident": m{"team": "search"}})).Reason, "nobody paged", "search")
		is(t, "escalations", len(w.only().Escalations), 0)
		is(t, "updates that say so", said(w.only(), "Escalated in TigerOps"), 1)
	})
	t.Run("a path that is gone never costs the event", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{config: paths})
		w.says(created(m{"severity": "warning"}))
		w.ok(w.sim.Remove("Payments on-call"))
		holds(t, "reason", w.says(escalated).Reason, "nobody paged", simulator.DefaultEscalationPathID)
		is(t, "severity", w.only().Severity.Name, "SEV1")
	})
}

func TestOut6Resolve(t *testing.T) {
	t.Parallel()
	mapped := func(to string) func(*Config) {
		return func(c *Config) { c.Rules.StatusMapping = map[string]string{"resolved": to} }
	}
	closed := statusID(simulator.New(simulator.Options{}), "Closed")
	for name, c := range map[string]struct {
		sim      func(*simulator.Options)
		config   func(*Config)
		from     string // a person's status before
		want     string
		statuses []string // that it goes through; nil: one
		warns    string
	}{
		"to the first post-incident status":     {want: "Documenting"},
		"from triage":                           {from: "Triage", want: "Documenting"},
		"from another live status":              {from: "Monitoring", want: "Documenting"},
		"by status_mapping, a name":             {config: mapped("reviewing"), want: "Reviewing"},
		"by status_mapping, an id":              {config: mapped(closed), want: "Closed"},
		"by status_mapping, a category":         {config: mapped("closed"), want: "Closed"},
		"by status_mapping, the API's category": {config: mapped("learning"), want: "Documenting"},
		"by status_mapping, the user's own word": {
			config: mapped("Post-incident"), want: "Documenting",
		},
		"by a mapping to what is not there, as without": {config: mapped("Gone fishing"), want: "Documenting", warns: "Gone fishing"},
		"to the status that belongs to the flow": {
			sim: func(o *simulator.Options) { o.Flow = []string{"Reviewing"} }, want: "Reviewing", warns: "Reviewing in the place of Documenting",
		},
		"to closed where there is no flow": {
			sim: func(o *simulator.Options) { o.Flow = []string{} }, want: "Closed", warns: "in the place of",
		},
		"to closed through the flow, where closing straight away is not allowed": {
			sim: func(o *simulator.Options) {
				o.FlowRequired = true
				o.Roles = slices.DeleteFunc(slices.Clone(simulator.AllRoles), func(r string) bool { return r == "post_incident_flow_opt_out" })
			},
			config: mapped("Closed"), want: "Closed", statuses: []string{"Documenting", "Closed"}, warns: "Documenting in the place of Closed",
		},
		"where incident.io manages the status itself": {
			sim: func(o *simulator.Options) { o.ManageLearning = true }, config: mapped("Reviewing"), want: "Documenting",
		},
		"not once people have closed it":   {from: "Closed", want: "Closed", statuses: []string{}},
		"not once people have declined it": {from: "Declined", want: "Declined", statuses: []string{}},
		"not once people are reviewing it": {from: "Reviewing", want: "Reviewing", statuses: []string{}},
		"on the timeline alone where no way leads from there": {
			from: "Paused", want: "Paused", statuses: []string{}, warns: "Paused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{sim: c.sim, config: c.config})
			w.says(created(nil))
			if c.from != "" {
				w.ok(w.sim.As(lisa).SetStatus("INC-1", c.from, ""))
				w.settle() // TigerOps knows of it: no conflict
			}
			before := len(w.only().Updates)
			row := w.says(event(mapping.IncidentResolved, byAda))
			v := w.only()
			is(t, "status", v.Status.Name, c.want)
			var through []string
			for _, u := range v.Updates[before:] {
				through = append(through, u.NewStatus.Name)
			}
			if c.statuses == nil {
				c.statuses = []string{c.want}
			}
			if c.from != c.want {
				same(t, "statuses", through, c.statuses...)
				is(t, "updates that say so", said(v, "Resolved by Ada in TigerOps"), 1)
			}
			if c.from == "Paused" {
				holds(t, "timeline", on(t, v, "TIG-1 resolved").Description, "Resolved by Ada")
			}
			holds(t, "reason", row.Reason, c.warns)
			if c.warns == "" && row.Reason != "" && c.from != c.want {
				t.Errorf("reason: got %q, want none", row.Reason)
			}
			w.settle()
			if c.from == "" {
				w.wantTypes(w.rows(), "incident.linked")
			}
		})
	}
	t.Run("with auto_resolve off it is told on the timeline, and people close it", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) { r.AutoResolve = false }))
		w.says(created(nil), event(mapping.IncidentResolved, byAda))
		v := w.only()
		is(t, "status", v.Status.Name, "Investigating")
		holds(t, "timeline", on(t, v, "TIG-1 resolved").Description, "Resolved by Ada", "auto_resolve")
		w.ok(w.sim.As(lisa).Close("INC-1", ""))
		w.settle()
		w.wantTypes(w.rows(), "incident.linked", "incident.resolved")
	})
	t.Run("mitigated and back are statuses like any other", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil))
		for _, c := range [][2]string{{"mitigated", "Monitoring"}, {"investigating", "Investigating"}, {"fixing", "Fixing"}} {
			w.says(updated(m{"status": c[0]}))
			is(t, "status of "+c[0], w.only().Status.Name, c[1])
		}
	})
	t.Run("once although the answer was lost", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		w.says(created(nil))
		must(w.sim.Break(simulator.Fault{Method: "POST", Path: "/v2/incident_updates", Kind: simulator.ResetAfter, Times: 1}))(w)
		w.says(event(mapping.IncidentResolved))
		is(t, "updates that say so", said(w.only(), "Resolved in TigerOps"), 1)
		w.settle()
		w.wantTypes(w.rows(), "incident.linked")
	})
}

func TestOut6Reopen(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world){
		"closed by people":       func(w *world) { w.ok(w.sim.As(lisa).Close("INC-1", "")) },
		"resolved by TigerOps":   func(w *world) { w.says(event(mapping.IncidentResolved)) },
		"declined by people":     func(w *world) { w.ok(w.sim.As(lisa).SetStatus("INC-1", "Declined", "")) },
		"resolved and then done": func(w *world) { w.says(event(mapping.IncidentResolved)); w.ok(w.sim.As(lisa).Close("INC-1", "")) },
	} {
		t.Run("of one "+name+" declares a new one that names the old", func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{})
			w.says(created(m{"ai_summary": "The index is cold."}), step("anomaly_detected", "One"))
			end(w)
			w.settle()
			w.says(event(mapping.IncidentReopened, byAda), step("anomaly_detected", "Two"))
			is(t, "incidents", len(w.sim.Snapshot().Incidents), 2)
			v := w.inc("INC-2")
			holds(t, "summary", v.Summary, "INC-1", w.inc("INC-1").Permalink, "The index is cold.")
			same(t, "timeline", titles(v), "Anomaly detected: Two")
			is(t, "link", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Reference, "INC-2")
			// The story keeps the old one, and the new one lives and ends as the first did.
			story := map[string]bool{}
			for _, r := range must(w.a.st.Story(w.ctx, "TIG-1"))(w) {
				story[r.IncidentID] = true
			}
			if !story[v.ID] || !story[w.inc("INC-1").ID] {
				t.Errorf("the story tells of %v, want both incidents", story)
			}
			w.says(event(mapping.IncidentResolved))
			is(t, "status of the new one", w.inc("INC-2").Status.Name, "Documenting")
			w.says(event(mapping.IncidentReopened))
			is(t, "incidents", len(w.sim.Snapshot().Incidents), 3)
			holds(t, "summary", w.inc("INC-3").Summary, "INC-2")
			is(t, "INC-1 in the third's summary", strings.Contains(w.inc("INC-3").Summary, "INC-1"), false)
		})
	}
	t.Run("of one that is still worked on sets it back to investigating", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) { r.AutoResolve = false }))
		w.says(created(nil), updated(m{"status": "mitigated"}), event(mapping.IncidentResolved))
		is(t, "status", w.only().Status.Name, "Monitoring")
		w.says(event(mapping.IncidentReopened, byAda))
		is(t, "status", w.only().Status.Name, "Investigating")
		is(t, "updates that say so", said(w.only(), "Reopened by Ada in TigerOps"), 1)
	})
	t.Run("of one never tied declares it", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, worldOptions{})
		first := created(m{"severity": "info"})
		w.post(first)
		w.ends(first, store.Skipped)
		w.says(event(mapping.IncidentReopened, m{"incident": m{"severity": "critical"}}))
		is(t, "name", w.only().Name, "Checkout is slow")
	})
}

func TestOut6BelowMinSeverity(t *testing.T) {
	t.Parallel()
	w := newRunning(t, rules(func(r *mapping.Rules) {
		r.CustomFields = map[string]string{"environment": environmentField, "ai_summary": summaryField}
	}))
	low := []m{created(m{"severity": "info", "environment": "production"}), updated(m{"ai_summary": "The index is cold."}), step("anomaly_detected", "One")}
	w.post(low...)
	for _, e := range low {
		holds(t, "reason", w.ends(e, store.Skipped).Reason, "below min_severity")
	}
	is(t, "incidents", len(w.sim.Snapshot().Incidents), 0)
	w.says(updated(m{"severity": "warning"}))
	v := w.only()
	is(t, "name", v.Name, "Checkout is slow")
	is(t, "severity", v.Severity.Name, "SEV2")
	same(t, "environment", values(v, environmentField), "production")
	holds(t, "summary", v.Summary, "The index is cold.")
	// Once it is tied it stays in step, however low it falls.
	w.says(updated(m{"severity": "info"}), step("anomaly_detected", "Two"))
	is(t, "severity", w.only().Severity.Name, "SEV3")
	on(t, w.only(), "Two")
}
