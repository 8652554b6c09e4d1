package mapping_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// pending is an event of TigerOps from minute m that waits in the outbox.
func pending(id int64, m int, typ string, inc mapping.Incident) mapping.Pending {
	inc.ID = "TIG-4711"
	return mapping.Pending{OutboxID: id, At: minute(m), Event: mapping.Event{ID: "e", Type: typ, Incident: inc}}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	type inc = mapping.Incident
	// Both sides changed something while the line was down: Lisa at 02:05, TigerOps before or after.
	lisaSets := func(c *mapping.Compare, s *mapping.Severity) {
		person(c, 5, severity(s), posted("u1", 5, "less bad", &investigating, s))
	}
	lisaMoves := func(c *mapping.Compare, s mapping.Status) {
		person(c, 5, status(s), posted("u1", 5, "", &s, nil))
	}
	lisaLeads := func(c *mapping.Compare) {
		person(c, 5, func(r *mapping.Remote) { r.Roles = []mapping.Assignment{{Role: lead, User: userLisa}} })
	}
	// ours makes the summary TigerOps' own section, as a declaration sends it.
	section := mapping.Plan(mapping.Input{
		Event: mapping.Event{ID: "e", Type: mapping.IncidentCreated}, Rules: pullRules(), Directory: pullAccount(),
		State: mapping.State{Open: true, Incident: inc{ID: "TIG-4711", Title: "T", Severity: "critical", AISummary: "It is slow."}},
	}).Next[0].Effect
	ours := func(c *mapping.Compare) {
		c.Tie.Pushed.Summary, c.Tie.Agreed.Summary, c.Look.Remote.Summary = section.Pushed.Summary, section.Summary, section.Summary
	}
	rewrite := func(r *mapping.Remote) { r.Summary = "Lisa: " + r.Summary }
	const (
		told     = "incident.severity_changed SEV1/critical > SEV3/info by Lisa at 02:05: "
		unledBy  = "incident.role_unassigned ada@example.com/Incident Lead/Ada/owner > - by nobody at 02:05 repeatable: "
		ledBy    = "incident.role_assigned - > lisa@example.com/Incident Lead/Lisa/owner by nobody at 02:05 repeatable: "
		resolved = "incident.resolved live/Investigating/investigating > closed/Closed/resolved by Lisa at 02:05: "
	)
	for name, c := range map[string]struct {
		do        func(*mapping.Compare)
		want      []string
		overruled map[string]int64
	}{
		"latest: incident.io changed it later": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Pending = []mapping.Pending{pending(7, 3, "incident.updated", inc{Severity: "info"}), pending(8, 4, "incident.updated", inc{Severity: "warning"}), pending(9, 6, "incident.updated", inc{Title: "T"})}
			},
			[]string{told + "less bad\n\nTigerOps' change to warning, not delivered yet, is overruled (conflict: latest)."},
			map[string]int64{"severity": 8},
		},
		"latest: at the same instant people win": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Pending = []mapping.Pending{pending(8, 5, "incident.updated", inc{Severity: "warning"})}
			},
			[]string{told + "less bad\n\nTigerOps' change to warning, not delivered yet, is overruled (conflict: latest)."},
			map[string]int64{"severity": 8},
		},
		"latest: TigerOps changed it later": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Severity: "warning"})}
			},
			[]string{"incident.message - > - by Lisa at 02:05: less bad\n\nLisa set the severity to SEV3 in incident.io at 2026-11-23 02:05:00 UTC; TigerOps' later change to warning stands (conflict: latest)."},
			nil,
		},
		"incident_io: whenever": {
			func(c *mapping.Compare) {
				c.Rules.Conflict = mapping.ConflictIncidentIO
				lisaSets(c, &sev3)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Severity: "warning"})}
			},
			[]string{told + "less bad\n\nTigerOps' change to warning, not delivered yet, is overruled (conflict: incident_io)."},
			map[string]int64{"severity": 8},
		},
		"tigerops: whenever": {
			func(c *mapping.Compare) {
				c.Rules.Conflict = mapping.ConflictTigerOps
				lisaSets(c, &sev3)
				c.Pending = []mapping.Pending{pending(8, 3, "incident.updated", inc{Severity: "warning"})}
			},
			[]string{"incident.message - > - by Lisa at 02:05: less bad\n\nLisa set the severity to SEV3 in incident.io at 2026-11-23 02:05:00 UTC; TigerOps' change to warning stands (conflict: tigerops)."},
			nil,
		},
		"both to the same is none": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Severity: "info"})}
			},
			[]string{"incident.message - > - by Lisa at 02:05: less bad"}, nil,
		},
		"an event that repeats what both sides agreed on is none, and pushes nothing": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Severity: "critical"})}
			},
			[]string{told + "less bad"}, map[string]int64{"severity": 8},
		},
		"an event that repeats what was sent is none": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Tie.Pushed.Severity = "warning"
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Severity: "warning"})}
			},
			[]string{told + "less bad"}, nil,
		},
		"events that come back to what was sent are none, and push nothing on their way": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Tie.Pushed.Severity = "critical"
				c.Pending = []mapping.Pending{pending(7, 3, "incident.updated", inc{Severity: "warning"}), pending(8, 6, "incident.updated", inc{Severity: "critical"})}
			},
			[]string{told + "less bad"}, map[string]int64{"severity": 8},
		},
		"nor do those before one that comes to the same": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Pending = []mapping.Pending{pending(7, 3, "incident.updated", inc{Severity: "warning"}), pending(8, 6, "incident.updated", inc{Severity: "info"})}
			},
			[]string{"incident.message - > - by Lisa at 02:05: less bad"}, map[string]int64{"severity": 8},
		},
		"an event that says again what was sent before one that is overruled": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Tie.Pushed.Severity = "critical"
				c.Tie.Agreed.Severity = &sev2 // Lisa's too, over the first event's
				c.Tie.Agreed.Overruled = map[string]int64{"severity": 8}
				c.Pending = []mapping.Pending{pending(8, 3, "incident.updated", inc{Severity: "info"}), pending(9, 4, "incident.updated", inc{Severity: "critical"})}
			},
			[]string{"incident.severity_changed SEV2/warning > SEV3/info by Lisa at 02:05: less bad\n\nTigerOps' change to critical, not delivered yet, is overruled (conflict: latest)."},
			map[string]int64{"severity": 9},
		},
		"what was overruled before comes to nothing any more": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Tie.Agreed.Overruled = map[string]int64{"severity": 8}
				c.Pending = []mapping.Pending{pending(8, 3, "incident.updated", inc{Severity: "info"})}
			},
			[]string{told + "less bad"}, map[string]int64{"severity": 8},
		},
		"an event about something else is none": {
			func(c *mapping.Compare) {
				lisaSets(c, &sev3)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Status: "mitigated"})}
			},
			[]string{told + "less bad"}, nil,
		},
		"decided, but not told, where the switch is off": {
			func(c *mapping.Compare) {
				c.Rules.PullStatus = false
				lisaSets(c, &sev3)
				c.Pending = []mapping.Pending{pending(8, 4, "incident.updated", inc{Severity: "warning"})}
			},
			[]string{"incident.message - > - by Lisa at 02:05: less bad"}, map[string]int64{"severity": 8},
		},

		"status: a later one of TigerOps stands": {
			func(c *mapping.Compare) {
				lisaMoves(c, fixing)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Status: "mitigated"})}
			},
			[]string{"incident.message - > - by Lisa at 02:05: Lisa set the status to Fixing in incident.io at 2026-11-23 02:05:00 UTC; TigerOps' later change to mitigated stands (conflict: latest)."},
			nil,
		},
		"status: nothing opens what people closed, whatever the rule": {
			func(c *mapping.Compare) {
				c.Rules.Conflict = mapping.ConflictTigerOps
				lisaMoves(c, closed)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Status: "mitigated"})}
			},
			[]string{resolved + "TigerOps' change to mitigated, not delivered yet, is overruled (incident.io allows no way there from Closed)."},
			map[string]int64{"status": 8},
		},
		"status: an event that repeats what was sent is none": {
			func(c *mapping.Compare) {
				lisaMoves(c, fixing)
				c.Tie.Pushed.Status = "mitigated"
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Status: "mitigated"})}
			},
			[]string{"incident.status_changed live/Investigating/investigating > live/Fixing/investigating by Lisa at 02:05: "}, nil,
		},
		"status: a later resolve stands": {
			func(c *mapping.Compare) {
				lisaMoves(c, fixing)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.resolved", inc{})}
			},
			[]string{"incident.message - > - by Lisa at 02:05: Lisa set the status to Fixing in incident.io at 2026-11-23 02:05:00 UTC; TigerOps' later change to resolved stands (conflict: latest)."},
			nil,
		},
		"status: a resolve that is only told is none": {
			func(c *mapping.Compare) {
				c.Rules.AutoResolve = false
				lisaMoves(c, fixing)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.resolved", inc{})}
			},
			[]string{"incident.status_changed live/Investigating/investigating > live/Fixing/investigating by Lisa at 02:05: "}, nil,
		},
		"status: both resolved it, each in its way": {
			func(c *mapping.Compare) {
				lisaMoves(c, closed)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.resolved", inc{})}
			},
			[]string{resolved}, nil,
		},
		"status: both resolved it alike": {
			func(c *mapping.Compare) {
				lisaMoves(c, documenting)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.resolved", inc{})}
			},
			nil, nil,
		},
		"status: a reopen of what people closed makes a new incident": {
			func(c *mapping.Compare) {
				c.Tie.Agreed.Status = documenting
				lisaMoves(c, closed)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.reopened", inc{})}
			},
			[]string{"incident.status_changed learning/Documenting/resolved > closed/Closed/resolved by Lisa at 02:05: "}, nil,
		},
		"status: an acknowledgement moves no live one": {
			func(c *mapping.Compare) {
				c.Tie.Agreed.Status = fixing
				lisaMoves(c, monitoring)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.acknowledged", inc{})}
			},
			[]string{"incident.status_changed live/Fixing/investigating > live/Monitoring/mitigated by Lisa at 02:05: "}, nil,
		},
		"status: an acknowledgement takes nobody out of triage who went on since": {
			func(c *mapping.Compare) {
				c.Tie.Agreed.Status = triage
				lisaMoves(c, monitoring)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.acknowledged", inc{})}
			},
			[]string{"incident.status_changed triage/Triage/open > live/Monitoring/mitigated by Lisa at 02:05: "}, nil,
		},

		"role: incident.io's is later": {
			func(c *mapping.Compare) {
				lisaLeads(c)
				c.Pending = []mapping.Pending{pending(8, 4, "incident.updated", inc{Responders: []mapping.Responder{{Role: "owner", Email: "Bob@example.com"}}})}
			},
			[]string{unledBy, ledBy + "TigerOps' change to bob@example.com, not delivered yet, is overruled (conflict: latest)."},
			map[string]int64{"role:ro-lead": 8},
		},
		"role: TigerOps' is later": {
			func(c *mapping.Compare) {
				lisaLeads(c)
				c.Rules.Users = map[string]string{"bob@tigerops": "bob@example.com"}
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Responders: []mapping.Responder{{Role: "owner", Email: "bob@tigerops"}}})}
			},
			[]string{"incident.message - > - by nobody at 02:05 repeatable: Somebody set the role Incident Lead to Lisa in incident.io at 2026-11-23 02:05:00 UTC; TigerOps' later change to bob@example.com stands (conflict: latest)."},
			nil,
		},
		"role: who acknowledges takes it from nobody": {
			func(c *mapping.Compare) {
				lisaLeads(c)
				p := pending(8, 6, "incident.acknowledged", inc{})
				p.Event.Actor = &mapping.Person{Email: "bob@example.com"}
				c.Pending = []mapping.Pending{p}
			},
			[]string{unledBy, ledBy}, nil,
		},
		"role: somebody without an email is none": {
			func(c *mapping.Compare) {
				lisaLeads(c)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Responders: []mapping.Responder{{Role: "owner", Name: "Bob"}}})}
			},
			[]string{unledBy, ledBy}, nil,
		},
		"role: an event that repeats who was sent is none": {
			func(c *mapping.Compare) {
				lisaLeads(c)
				c.Tie.Pushed.Roles = map[string]string{"ro-lead": "bob@example.com"}
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Responders: []mapping.Responder{{Role: "owner", Email: "bob@example.com"}}})}
			},
			[]string{unledBy, ledBy}, nil,
		},
		"role: an event that repeats who held it is none, and pushes nothing": {
			func(c *mapping.Compare) {
				lisaLeads(c)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Responders: []mapping.Responder{{Role: "owner", Email: "ada@example.com"}}})}
			},
			[]string{unledBy, ledBy}, map[string]int64{"role:ro-lead": 8},
		},
		"role: both to the same is none": {
			func(c *mapping.Compare) {
				lisaLeads(c)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Responders: []mapping.Responder{{Role: "owner", Email: "lisa@example.com"}}})}
			},
			nil, nil,
		},
		"role: given up there, set here": {
			func(c *mapping.Compare) {
				person(c, 5, func(r *mapping.Remote) { r.Roles = nil })
				c.Pending = []mapping.Pending{pending(8, 4, "incident.updated", inc{Responders: []mapping.Responder{{Role: "owner", Email: "lisa@example.com"}}})}
			},
			[]string{unledBy + "TigerOps' change to lisa@example.com, not delivered yet, is overruled (conflict: latest)."},
			map[string]int64{"role:ro-lead": 8},
		},

		"summary: what people write beside TigerOps' part is in nobody's way": {
			func(c *mapping.Compare) {
				ours(c)
				person(c, 5, func(r *mapping.Remote) { r.Summary += "\n\n---\n\nTheirs." })
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{AISummary: "New."})}
			},
			[]string{"incident.summary_changed OURS > OURS\n\n---\n\nTheirs. by nobody at 02:05 repeatable: "}, nil,
		},
		"summary: without TigerOps' part there is none": {
			func(c *mapping.Compare) {
				ours(c)
				c.Tie.Agreed.Summary = "Nobody's."
				person(c, 5, func(r *mapping.Remote) { r.Summary = "Theirs." })
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{AISummary: "New."})}
			},
			[]string{"incident.summary_changed Nobody's. > Theirs. by nobody at 02:05 repeatable: "}, nil,
		},
		"summary: into TigerOps' part, later": {
			func(c *mapping.Compare) {
				ours(c)
				person(c, 5, rewrite)
				c.Pending = []mapping.Pending{pending(8, 4, "incident.updated", inc{AISummary: "New."})}
			},
			[]string{"incident.summary_changed OURS > Lisa: OURS by nobody at 02:05 repeatable: TigerOps' change, not delivered yet, is overruled (conflict: latest)."},
			map[string]int64{"summary": 8},
		},
		"summary: into TigerOps' part, which is renewed later": {
			func(c *mapping.Compare) {
				ours(c)
				person(c, 5, rewrite)
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{RootCause: "New."})}
			},
			[]string{"incident.summary_changed OURS > Lisa: OURS by nobody at 02:05 repeatable: Somebody set TigerOps' part of the summary in incident.io at 2026-11-23 02:05:00 UTC; TigerOps' later change stands (conflict: latest)."},
			nil,
		},
		"name: incident.io's is later": {
			func(c *mapping.Compare) {
				person(c, 5, func(r *mapping.Remote) { r.Name = "Theirs" })
				c.Pending = []mapping.Pending{pending(8, 4, "incident.updated", inc{Title: "Ours"})}
			},
			[]string{"incident.message - > - by nobody at 02:05 repeatable: The name was set to Theirs in incident.io.\n\nTigerOps' change to Ours, not delivered yet, is overruled (conflict: latest)."},
			map[string]int64{"name": 8},
		},
		"name: both to the same is none": {
			func(c *mapping.Compare) {
				person(c, 5, func(r *mapping.Remote) { r.Name = "Ours" })
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Title: "Ours"})}
			},
			nil, nil,
		},
		"name: an event that repeats what was sent is none": {
			func(c *mapping.Compare) {
				c.Tie.Pushed.Title = "Ours"
				person(c, 5, func(r *mapping.Remote) { r.Name = "Theirs" })
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Title: "Ours"})}
			},
			nil, nil,
		},
		"name: TigerOps' is later": {
			func(c *mapping.Compare) {
				person(c, 5, func(r *mapping.Remote) { r.Name = "Theirs" })
				c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", inc{Title: "Ours"})}
			},
			[]string{"incident.message - > - by nobody at 02:05 repeatable: Somebody set the name to Theirs in incident.io at 2026-11-23 02:05:00 UTC; TigerOps' later change to Ours stands (conflict: latest)."},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare := base()
			c.do(&compare)
			var got []string
			for _, row := range agree(t, compare) {
				got = append(got, strings.ReplaceAll(line(row), section.Summary, "OURS"))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			_, next := mapping.Changes(compare)
			if !maps.Equal(next.Overruled, c.overruled) {
				t.Errorf("overruled %v, want %v", next.Overruled, c.overruled)
			}
			if remote := compare.Look.Remote; next.Status != remote.Status || next.Severity != remote.Severity || next.Summary != remote.Summary {
				t.Error("agreed is not what incident.io shows, so that TigerOps' value would not be pushed over it")
			}
		})
	}
}

// The message that tells how a conflict went must not pass for the change itself, should people make it again.
func TestConflictHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	c := base()
	person(&c, 5, func(r *mapping.Remote) { r.Roles = nil })
	alone := agree(t, c)
	c.Pending = []mapping.Pending{pending(8, 6, "incident.updated", mapping.Incident{Responders: []mapping.Responder{{Role: "owner", Email: "lisa@example.com"}}})}
	contested := agree(t, c)
	if len(alone) != 1 || len(contested) != 1 || alone[0].Key == contested[0].Key {
		t.Errorf("got %s and %s", asJSON(t, alone), asJSON(t, contested))
	}
}
