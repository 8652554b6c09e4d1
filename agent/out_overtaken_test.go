package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
)

// An edit that did not come through is not sent again over what people changed since: only what is left of it is.
func TestAnEditInDoubtDoesNotUndoWhatPeopleChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says m
		do   func(w *world, i simulator.IncidentView) error
		show func(simulator.IncidentView) string
		want string
		told string
	}{
		"summary": {
			m{"ai_summary": "It is the disk."},
			func(w *world, i simulator.IncidentView) error {
				return w.sim.As(lisa).EditSummary(i.ID, i.Summary+"\n\nCall the bank.")
			},
			func(v simulator.IncidentView) string { return v.Summary[strings.LastIndex(v.Summary, "\n")+1:] }, "Call the bank.",
			"incident.summary_changed",
		},
		"lead": {
			m{"responders": []m{{"role": "owner", "email": ada}}},
			func(w *world, i simulator.IncidentView) error { return w.sim.As(lisa).AssignRole(i.ID, "lead", lisa) },
			func(v simulator.IncidentView) string { return holder(v, "lead") }, lisa,
			"incident.role_assigned",
		},
		"lead, and back": {
			m{"responders": []m{{"role": "owner", "email": ada}}},
			func(w *world, i simulator.IncidentView) error {
				if err := w.sim.As(lisa).AssignRole(i.ID, "lead", lisa); err != nil {
					return err
				}
				w.swept()
				return w.sim.As(lisa).UnassignRole(i.ID, "lead")
			},
			func(v simulator.IncidentView) string { return holder(v, "lead") }, "",
			"incident.role_unassigned",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{})
			w.says(created(m{"ai_summary": "It is slow."}))
			i := w.only()
			edits := "/v2/incidents/" + i.ID + "/actions/edit"
			fault := must(w.sim.Break(simulator.Fault{Kind: simulator.ResetBefore, Path: edits}))(w)
			e := updated(c.says)
			w.post(e)
			eventually(w, "the edit to be in doubt", func() bool { return len(w.sim.Requests("POST "+edits)) > 0 })
			w.ok(c.do(w, i))
			w.swept() // TigerOps is told
			w.sim.Mend(fault)
			w.ends(e, "done")
			is(t, name, c.show(w.only()), c.want)
			w.settle()
			n := 0
			for _, r := range w.rows() {
				if r.Type == c.told {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s: told %d times, want once", c.told, n)
			}
			title := updated(m{"title": "Checkout is down"})
			w.says(title)
			is(t, "the name, set afterwards", w.only().Name, "Checkout is down")
			is(t, name+", after another edit", c.show(w.only()), c.want)
		})
	}
}

// An edit came, its answer did not, and a look sees what people wrote into it before the agent finds that out.
func TestWhatPeopleWriteIntoAnEditInDoubtIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: func(c *Config) { c.BackoffInitial, c.BackoffMax = 2*time.Second, 2*time.Second }})
	w.says(created(m{"ai_summary": "It is slow."}))
	w.settle()
	w.rows()
	edits := "/v2/incidents/" + w.only().ID + "/actions/edit"
	must(w.sim.Break(simulator.Fault{Kind: simulator.ResetAfter, Path: edits, Times: 1}))(w)
	e := updated(m{"ai_summary": "It is the disk."})
	w.post(e)
	eventually(w, "the edit to come", func() bool { return strings.Contains(w.only().Summary, "It is the disk.") })
	w.ok(w.sim.As(lisa).EditSummary("INC-1", w.only().Summary+"\n\nCall the bank."))
	w.swept()
	w.ends(e, "done")
	is(t, "edits", len(w.sim.Requests("POST "+edits)), 1)
	w.swept()
	w.settle()
	w.wantTypes(w.rows(), "incident.summary_changed")
	holds(t, "summary", w.only().Summary, "It is the disk.", "Call the bank.")
}

// The same of an update, which is sent again with its key.
func TestWhatPeopleSetAfterAnUpdateInDoubtIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: func(c *Config) { c.BackoffInitial, c.BackoffMax = 2*time.Second, 2*time.Second }})
	w.says(created(nil))
	w.settle()
	w.rows()
	must(w.sim.Break(simulator.Fault{Kind: simulator.ResetAfter, Method: "POST", Path: "/v2/incident_updates", Times: 1}))(w)
	e := updated(m{"severity": "warning"})
	w.post(e)
	eventually(w, "the update to come", func() bool { return w.only().Severity.Name == "SEV2" })
	w.ok(w.sim.As(lisa).SetSeverity("INC-1", "SEV3", ""))
	w.swept()
	w.ends(e, "done")
	w.swept()
	w.settle()
	w.wantTypes(w.rows(), "incident.severity_changed")
	is(t, "severity", w.only().Severity.Name, "SEV3")
}

// Where TigerOps' value stands by the rule, but came before what people set: both sides agree on that in the end.
func TestWhatPeopleSetAfterAnUpdateInDoubtThatStandsIsTold(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: func(c *Config) {
		c.BackoffInitial, c.BackoffMax = 2*time.Second, 2*time.Second
		c.Rules.Conflict = mapping.ConflictTigerOps
	}})
	w.says(created(nil))
	w.settle()
	w.rows()
	must(w.sim.Break(simulator.Fault{Kind: simulator.ResetAfter, Method: "POST", Path: "/v2/incident_updates", Times: 1}))(w)
	e := updated(m{"severity": "warning"})
	w.post(e)
	eventually(w, "the update to come", func() bool { return w.only().Severity.Name == "SEV2" })
	w.ok(w.sim.As(lisa).SetSeverity("INC-1", "SEV3", ""))
	w.swept()
	w.wantTypes(w.rows(), "incident.message")
	w.ends(e, "done")
	w.swept()
	w.settle()
	rows := w.rows()
	w.wantTypes(rows, "incident.severity_changed")
	is(t, "severity", rows[0].After["severity"].(string), "info")
}

// While answers are slow people go on: what was seen before is looked at again before it is built upon.
func TestWhatPeopleWriteWhileALookTakesLongStays(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{})
	w.says(created(m{"ai_summary": "It is slow."}))
	i := w.only()
	w.ok(w.sim.As(lisa).SetStatus(i.ID, "Fixing", "")) // so that the look asks who did it
	asked := func() int { return len(w.sim.Requests("GET /v2/incident_updates")) }
	before := asked()
	must(w.sim.Break(simulator.Fault{Kind: simulator.Delay, Path: "/v2/incident_updates", Delay: staleAfter + staleAfter/2, Times: 1}))(w)
	e := updated(m{"ai_summary": "It is the disk."})
	w.post(e)
	eventually(w, "the look to be under way", func() bool { return asked() > before })
	w.ok(w.sim.As(lisa).EditSummary(i.ID, i.Summary+"\n\n---\n\nCall the bank."))
	w.ends(e, "done")
	if got := w.only().Summary; !strings.Contains(got, "Call the bank.") || !strings.Contains(got, "It is the disk.") {
		t.Errorf("the summary lacks what one of both wrote:\n%s", got)
	}
}

// The same of the edit that introduces TigerOps' incident to one that an alert route made.
func TestAnIntroductionInDoubtDoesNotUndoWhatPeopleChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says m
		do   func(w *world, i simulator.IncidentView) error
		want []string // severity, lead, and a text of the summary
		told []string
	}{
		"severity": {
			m{},
			func(w *world, i simulator.IncidentView) error { return w.sim.As(lisa).SetSeverity(i.ID, "SEV2", "") },
			[]string{"SEV2", "", "Since noon."},
			[]string{"incident.linked", "incident.severity_changed"},
		},
		"severity, and back": {
			m{},
			func(w *world, i simulator.IncidentView) error {
				if err := w.sim.As(lisa).SetSeverity(i.ID, "SEV2", ""); err != nil {
					return err
				}
				w.swept()
				return w.sim.As(lisa).SetSeverity(i.ID, "SEV3", "")
			},
			[]string{"SEV3", "", "Since noon."},
			[]string{"incident.linked", "incident.severity_changed", "incident.severity_changed"},
		},
		"severity and text": {
			m{"ai_summary": "It is the disk."},
			func(w *world, i simulator.IncidentView) error { return w.sim.As(lisa).SetSeverity(i.ID, "SEV2", "") },
			[]string{"SEV2", "", "Since noon.", "It is the disk."},
			[]string{"incident.linked", "incident.severity_changed"},
		},
		"text": {
			m{"ai_summary": "It is the disk."},
			func(w *world, i simulator.IncidentView) error {
				return w.sim.As(lisa).EditSummary(i.ID, i.Summary+"\n\n---\n\nCall the bank.")
			},
			[]string{"SEV1", "", "Since noon.", "Call the bank.", "It is the disk."},
			[]string{"incident.linked", "incident.summary_changed"},
		},
		"lead": {
			m{"ai_summary": "It is the disk.", "responders": []m{{"role": "owner", "email": ada}}},
			func(w *world, i simulator.IncidentView) error { return w.sim.As(lisa).AssignRole(i.ID, "lead", lisa) },
			[]string{"SEV1", lisa, "Since noon.", "It is the disk."},
			[]string{"incident.linked", "incident.role_assigned"},
		},
		"lead, and the severity as it would": {
			m{"ai_summary": "It is the disk.", "responders": []m{{"role": "owner", "email": ada}}},
			func(w *world, i simulator.IncidentView) error {
				return errors.Join(w.sim.As(lisa).AssignRole(i.ID, "lead", lisa), w.sim.As(lisa).SetSeverity(i.ID, "SEV1", ""))
			},
			[]string{"SEV1", lisa, "Since noon.", "It is the disk."},
			[]string{"incident.linked", "incident.role_assigned"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRunning(t, worldOptions{config: alertsOnly})
			e := created(c.says)
			w.post(e)
			w.parked(e)
			fault := must(w.sim.Break(simulator.Fault{Kind: simulator.ResetBefore, Path: "/v2/incidents/*/actions/edit"}))(w)
			ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert", Severity: "SEV3", Summary: "Since noon."}))(w)
			w.ok(w.sim.As(lisa).AttachAlert(ref, w.sim.Snapshot().Alerts[0].ID))
			edits := "POST /v2/incidents/" + w.only().ID + "/actions/edit"
			eventually(w, "the edit to be in doubt", func() bool { return len(w.sim.Requests(edits)) > 0 })
			w.ok(c.do(w, w.only()))
			w.swept() // TigerOps is told
			w.sim.Mend(fault)
			w.ends(e, "done")
			w.settle()
			w.swept()
			i := w.only()
			is(t, "severity", i.Severity.Name, c.want[0])
			is(t, "lead", holder(i, "lead"), c.want[1])
			holds(t, "summary", i.Summary, c.want[2:]...)
			w.wantTypes(w.rows(), c.told...)
		})
	}
}

// A person sets something else than a step in doubt is to set, of which TigerOps is told, and takes that back: TigerOps, which
// may have applied the first by then, is told of the second as well.
func TestWhoTakesBackToWhatAStepInDoubtIsToSetIsTold(t *testing.T) {
	t.Parallel()
	severity := func(to string) func(*world) error {
		return func(w *world) error { return w.sim.As(lisa).SetSeverity("INC-1", to, "") }
	}
	status := func(to string) func(*world) error {
		return func(w *world) error { return w.sim.As(lisa).SetStatus("INC-1", to, "") }
	}
	lead := func(to string) func(*world) error {
		return func(w *world) error { return w.sim.As(lisa).AssignRole("INC-1", "lead", to) }
	}
	shownSeverity := func(v simulator.IncidentView) string { return v.Severity.Name }
	shownStatus := func(v simulator.IncidentView) string { return v.Status.Name }
	shownLead := func(v simulator.IncidentView) string { return holder(v, "lead") }
	for name, c := range map[string]struct {
		routed   bool   // an introduction to an incident that an alert route made, else an event after the declaration
		path     string // of the step in doubt
		says     m
		do, back func(*world) error
		told     string // by both
		show     func(simulator.IncidentView) string
		want     string
		after    m // of the last row
	}{
		"severity of an introduction": {
			true, "/v2/incidents/*/actions/edit", m{"severity": "critical"}, severity("SEV2"), severity("SEV1"),
			"incident.severity_changed", shownSeverity, "SEV1", m{"severity": "critical"},
		},
		"lead of an introduction": {
			true, "/v2/incidents/*/actions/edit", m{"responders": []m{{"role": "owner", "email": ada}}}, lead(lisa), lead(ada),
			"incident.role_assigned", shownLead, ada, m{"email": ada},
		},
		"severity": {
			false, "/v2/incident_updates", m{"severity": "info"}, severity("SEV2"), severity("SEV3"),
			"incident.severity_changed", shownSeverity, "SEV3", m{"severity": "info"},
		},
		"status": {
			false, "/v2/incident_updates", m{"status": "mitigated"}, status("Fixing"), status("Monitoring"),
			"incident.status_changed", shownStatus, "Monitoring", m{"status": "mitigated"},
		},
		"lead": {
			false, "/v2/incidents/*/actions/edit", m{"responders": []m{{"role": "owner", "email": ada}}}, lead(lisa), lead(ada),
			"incident.role_assigned", shownLead, ada, m{"email": ada},
		},
	} {
		for _, applied := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, applied between: %v", name, applied), func(t *testing.T) {
				t.Parallel()
				o := worldOptions{}
				if c.routed {
					o.config = alertsOnly
				}
				w := newRunning(t, o)
				e := created(c.says)
				if c.routed {
					w.post(e)
					w.parked(e)
				} else {
					w.says(created(nil))
					w.swept()
					w.apply()
					e = updated(c.says)
				}
				must(w.sim.Break(simulator.Fault{Kind: simulator.ResetBefore, Method: "POST", Path: c.path}))(w)
				if c.routed {
					ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "From the alert", Severity: "SEV3"}))(w)
					w.ok(w.sim.As(lisa).AttachAlert(ref, w.sim.Snapshot().Alerts[0].ID))
				} else {
					w.post(e)
				}
				eventually(w, "the step to be in doubt", func() bool {
					return len(w.sim.Requests("POST "+strings.Replace(c.path, "*", w.only().ID, 1))) > 0
				})
				w.ok(c.do(w))
				w.swept()
				if applied {
					w.apply()
				}
				w.ok(c.back(w))
				w.swept()
				w.sim.Mend()
				w.ends(e, "done")
				w.settle()
				w.swept()
				rows := slices.DeleteFunc(w.rows(), func(r row) bool { return r.Type != c.told })
				w.wantTypes(rows, c.told, c.told)
				is(t, "in incident.io", c.show(w.only()), c.want)
				for field, want := range c.after {
					is(t, field+" for TigerOps", rows[1].After[field], want)
				}
				// TigerOps applies it, and says it of itself: nothing moves.
				w.apply()
				w.says(step("note", "It goes on"), updated(c.says), updated(m{"title": "Checkout is down"}))
				w.settle()
				w.swept()
				is(t, "in incident.io in the end", c.show(w.only()), c.want)
				w.wantTypes(w.rows())
				link := must(w.a.st.Link(w.ctx, "TIG-1"))(w)
				if s, is := c.after["severity"]; is && link.TigerOpsSeverity != s {
					t.Errorf("TigerOps' severity in the end: got %s, want %s", link.TigerOpsSeverity, s)
				}
			})
		}
	}
}

// And of the edit that introduces it to one that was open already.
func TestAnAttachmentInDoubtDoesNotUndoWhatPeopleChangedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newRunning(t, worldOptions{config: byService})
	w.open("SEV1")
	w.ok(w.sim.As(lisa).SetStatus("INC-1", "Monitoring", ""))
	fault := must(w.sim.Break(simulator.Fault{Kind: simulator.ResetBefore, Path: "/v2/incidents/*/actions/edit"}))(w)
	e := created(gateway, m{"incident": m{"status": "investigating", "ai_summary": "It is the disk.", "responders": []m{{"role": "owner", "email": ada}}}})
	w.post(e)
	edits := "POST /v2/incidents/" + w.only().ID + "/actions/edit"
	eventually(w, "the edit to be in doubt", func() bool { return len(w.sim.Requests(edits)) > 0 })
	w.ok(w.sim.As(lisa).AssignRole("INC-1", "lead", lisa))
	w.ok(w.sim.As(lisa).EditSummary("INC-1", "Call the bank."))
	w.swept()
	w.sim.Mend(fault)
	w.ends(e, "done")
	w.settle()
	w.swept()
	i := w.only()
	is(t, "status", i.Status.Name, "Monitoring")
	is(t, "lead", holder(i, "lead"), lisa)
	holds(t, "summary", i.Summary, "Call the bank.", "It is the disk.")
	w.wantTypes(w.rows(), "incident.linked", "incident.role_assigned", "incident.summary_changed")
}
