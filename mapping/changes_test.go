package mapping_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

func TestChanges(t *testing.T) {
	t.Parallel()
	esc := func(id, status string, m int, who *mapping.Actor) mapping.Escalation {
		return mapping.Escalation{ID: id, Title: "Page", Status: status, At: minute(2), UpdatedAt: minute(m), By: who}
	}
	item := func(id, title, status string, m int) mapping.Item {
		return mapping.Item{ID: id, Title: title, Status: status, At: minute(2), UpdatedAt: minute(m), By: ptr(by(userLisa))}
	}
	seen := func(c *mapping.Compare, look func(*mapping.Look)) {
		first := *c
		look(&first.Look)
		_, c.Tie.Agreed = mapping.Changes(first)
	}
	for name, c := range map[string]struct {
		do   func(*mapping.Compare)
		want []string
	}{
		"nothing changed": {func(c *mapping.Compare) {}, nil},

		// Status
		"a status with its message is one row": {
			func(c *mapping.Compare) {
				person(c, 5, status(monitoring), posted("u1", 5, "looks better", &monitoring, &sev1))
			},
			[]string{"incident.status_changed live/Investigating/investigating > live/Monitoring/mitigated by Lisa at 02:05: looks better"},
		},
		"a status that means the same is a row": {
			func(c *mapping.Compare) { person(c, 5, status(fixing), posted("u1", 5, "", &fixing, nil)) },
			[]string{"incident.status_changed live/Investigating/investigating > live/Fixing/investigating by Lisa at 02:05: "},
		},
		"a close is one resolve": {
			func(c *mapping.Compare) { person(c, 5, status(closed), posted("u1", 5, "done", &closed, nil)) },
			[]string{"incident.resolved live/Investigating/investigating > closed/Closed/resolved by Lisa at 02:05: done"},
		},
		"a close through learning is one resolve, and the other message is told": {
			func(c *mapping.Compare) {
				person(c, 6, status(closed), posted("u1", 5, "over", &documenting, nil), posted("u2", 6, "written", &closed, nil))
			},
			[]string{
				"incident.message - > - by Lisa at 02:05: over",
				"incident.resolved live/Investigating/investigating > closed/Closed/resolved by Lisa at 02:06: written",
			},
		},
		"from learning to closed is no second resolve": {
			func(c *mapping.Compare) {
				c.Tie.Agreed.Status = documenting
				person(c, 5, status(closed), posted("u1", 5, "", &closed, nil))
			},
			[]string{"incident.status_changed learning/Documenting/resolved > closed/Closed/resolved by Lisa at 02:05: "},
		},
		"out of learning is a reopen": {
			func(c *mapping.Compare) {
				c.Tie.Agreed.Status = documenting
				person(c, 5, status(fixing), posted("u1", 5, "again", &fixing, nil))
			},
			[]string{"incident.reopened learning/Documenting/resolved > live/Fixing/investigating by Lisa at 02:05: again"},
		},
		"a status named like an acknowledgement is one": {
			func(c *mapping.Compare) {
				acked := mapping.Status{ID: "st-ack", Name: "Acknowledged", Category: "live"}
				c.State.Incident.Status, c.Tie.Agreed.Status = "open", triage
				person(c, 5, status(acked), posted("u1", 5, "", &acked, nil))
			},
			[]string{"incident.acknowledged triage/Triage/open > live/Acknowledged/acknowledged by Lisa at 02:05: "},
		},
		"what TigerOps acknowledged is no acknowledgement": {
			func(c *mapping.Compare) {
				acked := mapping.Status{ID: "st-ack", Name: "Acknowledged", Category: "live"}
				c.State.Acknowledged = true
				person(c, 5, status(acked), posted("u1", 5, "", &acked, nil))
			},
			[]string{"incident.status_changed live/Investigating/investigating > live/Acknowledged/acknowledged by Lisa at 02:05: "},
		},
		"a merge names where to": {
			func(c *mapping.Compare) {
				u := posted("u1", 5, "", &mergedAway, nil)
				u.MergedInto = "01OTHER"
				person(c, 5, status(mergedAway), u)
			},
			[]string{"incident.merged live/Investigating/investigating > merged/Merged/01OTHER/investigating by Lisa at 02:05: "},
		},
		"paused keeps TigerOps' word": {
			func(c *mapping.Compare) { person(c, 5, status(paused), posted("u1", 5, "", &paused, nil)) },
			[]string{"incident.status_changed live/Investigating/investigating > paused/Paused/investigating by Lisa at 02:05: "},
		},
		"there and back is no row, but what was said is told": {
			func(c *mapping.Compare) {
				person(c, 6, nothing, posted("u1", 5, "oops", &closed, nil), posted("u2", 6, "not yet", &investigating, nil))
			},
			[]string{"incident.message - > - by Lisa at 02:05: oops", "incident.message - > - by Lisa at 02:06: not yet"},
		},
		"without the updates nobody is named, and it may come again": {
			func(c *mapping.Compare) {
				person(c, 5, status(monitoring))
				c.Look.Updates = nil
			},
			[]string{"incident.status_changed live/Investigating/investigating > live/Monitoring/mitigated by nobody at 02:05 repeatable: "},
		},
		"the newest of several updates is the one": {
			func(c *mapping.Compare) {
				person(c, 8, status(monitoring), posted("u2", 7, "still", &monitoring, nil, by(userAda)), posted("u1", 5, "now", &monitoring, nil))
			},
			[]string{
				"incident.status_changed live/Investigating/investigating > live/Monitoring/mitigated by Lisa at 02:05: now",
				"incident.message - > - by Ada at 02:07: still",
			},
		},
		"an update whose effect the incident does not show yet waits": {
			func(c *mapping.Compare) {
				person(c, 4, nothing, posted("u1", 5, "done", &closed, nil), posted("u2", 6, "bye", &closed, nil))
			},
			nil,
		},
		"an update told before names nobody for a later move": {
			func(c *mapping.Compare) {
				c.Tie.Agreed.Status = fixing
				c.Tie.Agreed.Seen["update:u1"] = "1"
				person(c, 9, status(monitoring), posted("u1", 5, "", &monitoring, nil))
			},
			[]string{"incident.status_changed live/Fixing/investigating > live/Monitoring/mitigated by nobody at 02:09 repeatable: "},
		},
		"an update is told though incident.io itself moved on without one": {
			func(c *mapping.Compare) {
				c.Tie.Agreed.Status = documenting
				person(c, 9, status(documenting), posted("u1", 5, "done", &closed, nil))
			},
			[]string{"incident.message - > - by Lisa at 02:05: done"},
		},
		"a status of a category that nobody knows is told": {
			func(c *mapping.Compare) {
				odd := mapping.Status{ID: "st-x", Name: "Hibernating", Category: "hibernation"}
				person(c, 5, status(odd), posted("u1", 5, "", &odd, nil))
			},
			[]string{"incident.status_changed live/Investigating/investigating > hibernation/Hibernating/investigating by Lisa at 02:05: "},
		},

		// Severity
		"a severity with its message": {
			func(c *mapping.Compare) {
				person(c, 5, severity(&sev3), posted("u1", 5, "less bad", &investigating, &sev3))
			},
			[]string{"incident.severity_changed SEV1/critical > SEV3/info by Lisa at 02:05: less bad"},
		},
		"status and severity in one update tell its message once": {
			func(c *mapping.Compare) {
				person(c, 5, func(r *mapping.Remote) { r.Status, r.Severity = monitoring, &sev2 }, posted("u1", 5, "both", &monitoring, &sev2))
			},
			[]string{
				"incident.status_changed live/Investigating/investigating > live/Monitoring/mitigated by Lisa at 02:05: both",
				"incident.severity_changed SEV1/critical > SEV2/warning by Lisa at 02:05: ",
			},
		},
		"a severity that nothing maps onto is the nearest word": {
			func(c *mapping.Compare) { person(c, 5, severity(&sev0), posted("u1", 5, "", nil, &sev0)) },
			[]string{"incident.severity_changed SEV1/critical > SEV0/critical by Lisa at 02:05: "},
		},
		"a severity taken away": {
			func(c *mapping.Compare) { person(c, 5, severity(nil)) },
			[]string{"incident.severity_changed SEV1/critical > <nil>/critical by nobody at 02:05 repeatable: "},
		},

		// People
		"another lead is given up and taken": {
			func(c *mapping.Compare) {
				person(c, 5, func(r *mapping.Remote) {
					r.Roles = []mapping.Assignment{{Role: reporter, User: userLisa}, {Role: lead, User: userLisa}, {Role: comms, User: userAda}}
				})
			},
			[]string{
				"incident.role_unassigned ada@example.com/Incident Lead/Ada/owner > - by nobody at 02:05 repeatable: ",
				"incident.role_assigned - > ada@example.com/Communications/Ada/communications by nobody at 02:05 repeatable: ",
				"incident.role_assigned - > lisa@example.com/Incident Lead/Lisa/owner by nobody at 02:05 repeatable: ",
			},
		},
		"people are told by the names that TigerOps has for them": {
			func(c *mapping.Compare) {
				c.Rules.Users = map[string]string{"Lisa": "lisa@example.com", "l@tigerops": "LISA@example.com"}
				c.Rules.Roles = map[string]string{"commander": "ro-lead", "owner": "lead"}
				person(c, 5, func(r *mapping.Remote) { r.Roles = []mapping.Assignment{{Role: lead, User: userLisa}} })
			},
			[]string{
				"incident.role_unassigned ada@example.com/Incident Lead/Ada/owner > - by nobody at 02:05 repeatable: ",
				"incident.role_assigned - > l@tigerops/Incident Lead/Lisa/commander by nobody at 02:05 repeatable: ",
			},
		},
		"a summary that people wrote": {
			func(c *mapping.Compare) { person(c, 5, func(r *mapping.Remote) { r.Summary = "It is very slow." }) },
			[]string{"incident.summary_changed It is slow. > It is very slow. by nobody at 02:05 repeatable: "},
		},
		"other white space is no other summary": {
			func(c *mapping.Compare) { person(c, 5, func(r *mapping.Remote) { r.Summary = " It is\n\nslow. " }) },
			nil,
		},
		"a name is taken over": {
			func(c *mapping.Compare) { person(c, 5, func(r *mapping.Remote) { r.Name = "New" }) },
			nil,
		},
		"what people say is told, not what machines of ours say": {
			func(c *mapping.Compare) {
				person(c, 7, nothing,
					posted("u1", 5, "hello", &investigating, nil),
					posted("u2", 6, "from TigerOps", &investigating, nil, byKey),
					posted("u3", 7, " ", &investigating, nil),
					posted("u4", 7, "another tool", &investigating, nil, mapping.Actor{Type: "workflow", Name: "Bot"}))
			},
			[]string{"incident.message - > - by Lisa at 02:05: hello", "incident.message - > - by Bot at 02:07: another tool"},
		},

		// Lists
		"actions": {
			func(c *mapping.Compare) {
				seen(c, func(l *mapping.Look) {
					l.Actions = []mapping.Item{item("a1", "Restart", "outstanding", 2), item("a2", "Scale", "outstanding", 2), item("a3", "Own", "outstanding", 2)}
				})
				c.OwnIDs = map[string]bool{"a4": true, "a5": true}
				done := item("a1", "Restart", "completed", 5)
				done.Assignee, done.Labels = "lisa@example.com", []string{"x"}
				c.Look.Actions = []mapping.Item{
					done, item("a2", "Scale", "outstanding", 7), item("a3", "Own, renamed", "outstanding", 6),
					item("a4", "Our new one", "outstanding", 2), item("a5", "Ours, done by people", "completed", 8),
					item("a6", "New", "not_doing", 3), item("a7", "Gone", "deleted", 3),
				}
			},
			[]string{
				"action.created - > a6/not_doing/New by Lisa at 02:02: ",
				"action.updated a1/outstanding > lisa@example.com/a1/[x]/completed/Restart by nobody at 02:05: ",
				"action.updated a3/outstanding > a3/outstanding/Own, renamed by nobody at 02:06: ",
				"action.updated a5/outstanding > a5/completed/Ours, done by people by nobody at 02:08: ",
			},
		},
		"follow-ups": {
			func(c *mapping.Compare) { c.Look.FollowUps = []mapping.Item{item("f1", "Index", "outstanding", 3)} },
			[]string{"follow_up.created - > f1/outstanding/Index by Lisa at 02:02: "},
		},
		"a post-mortem and its status": {
			func(c *mapping.Compare) {
				seen(c, func(l *mapping.Look) { l.Postmortems = []mapping.Item{item("p1", "PM", "draft", 3)} })
				c.OwnIDs = map[string]bool{"p2": true}
				c.Look.Postmortems = []mapping.Item{item("p1", "PM", "complete", 5), item("p2", "Ours", "draft", 3), item("p3", "Other", "draft", 4)}
			},
			[]string{
				"postmortem.updated - > p3/draft/Other by Lisa at 02:02: ",
				"postmortem.updated p1/draft > p1/complete/PM by nobody at 02:05: ",
			},
		},
		"documents of people at the first look, and what they did to the agent's own": {
			func(c *mapping.Compare) {
				c.Look.First = true
				c.OwnIDs = map[string]bool{"p1": true, "p2": true}
				theirs := item("p3", "Theirs", "in_progress", 4)
				theirs.By = nil // incident.io names nobody for a document
				c.Look.Postmortems = []mapping.Item{item("p1", "Ours", "in_progress", 3), item("p2", "Ours too", "completed", 5), theirs}
			},
			[]string{
				"postmortem.updated - > p3/in_progress/Theirs by nobody at 02:02: ",
				"postmortem.updated p2/in_progress > p2/completed/Ours too by nobody at 02:05: ",
			},
		},
		"the timeline": {
			func(c *mapping.Compare) {
				c.OwnIDs = map[string]bool{"t1": true}
				c.Marks = []string{"evt_7"}
				own := mapping.Item{ID: "t2", Title: "Step", At: minute(3), By: &byKey}
				doubt := mapping.Item{ID: "t3", Title: "Step (evt_7)", At: minute(3)}
				c.Look.Timeline = []mapping.Item{item("t1", "Ours", "", 3), own, doubt, item("t4", "evt_7 quoted by Lisa", "", 3)}
			},
			[]string{"timeline.added - > t4/evt_7 quoted by Lisa by Lisa at 02:02: "},
		},

		// Escalations and alerts
		"an escalation, its ack, and what came after": {
			func(c *mapping.Compare) {
				seen(c, func(l *mapping.Look) {
					l.Escalations = []mapping.Escalation{esc("e1", "triggered", 3, nil), esc("e2", "acked", 3, nil), esc("e3", "triggered", 3, nil)}
				})
				other := esc("e5", "acked", 3, nil)
				other.IncidentIDs = []string{"01OTHER"}
				ours := esc("e6", "triggered", 3, nil)
				ours.IncidentIDs = []string{"01OTHER", "01FDAG"}
				c.Look.Escalations = []mapping.Escalation{
					esc("e1", "acked", 6, ptr(by(userLisa))), esc("e2", "resolved", 7, nil), esc("e3", "triggered", 3, nil),
					esc("e4", "acked", 8, ptr(by(userAda))), other, ours,
				}
			},
			[]string{
				"incident.escalated - > e4/acked/Page by nobody at 02:02: ",
				"incident.escalated - > e6/triggered/Page by nobody at 02:02: ",
				"incident.acknowledged e1/triggered/Page > e1/acked/Page by Lisa at 02:06: ",
				"incident.escalation_updated e2/acked/Page > e2/resolved/Page by nobody at 02:07: ",
				"incident.acknowledged e4/pending/Page > e4/acked/Page by Ada at 02:08: ",
			},
		},
		"an escalation is acknowledged once": {
			func(c *mapping.Compare) {
				for _, s := range []string{"acked", "triggered"} {
					seen(c, func(l *mapping.Look) { l.Escalations = []mapping.Escalation{esc("e1", s, 3, nil)} })
				}
				c.Look.Escalations = []mapping.Escalation{esc("e1", "acked", 9, ptr(by(userLisa)))}
			},
			[]string{"incident.escalation_updated e1/triggered/Page > e1/acked/Page by Lisa at 02:09: "},
		},
		"our own escalation is not told, its ack and its end are": {
			func(c *mapping.Compare) {
				c.OwnIDs = map[string]bool{"e1": true, "e2": true, "e3": true}
				c.Look.Escalations = []mapping.Escalation{esc("e1", "triggered", 3, nil), esc("e2", "acked", 4, ptr(by(userLisa))), esc("e3", "expired", 5, nil)}
			},
			[]string{
				"incident.acknowledged e2/pending/Page > e2/acked/Page by Lisa at 02:04: ",
				"incident.escalation_updated e3/pending/Page > e3/expired/Page by nobody at 02:05: ",
			},
		},
		"an escalation in doubt is known by its title": {
			func(c *mapping.Compare) {
				c.Marks = []string{"Page"}
				c.Look.Escalations = []mapping.Escalation{esc("e1", "triggered", 3, nil)}
			},
			nil,
		},
		"an alert that people resolved": {
			func(c *mapping.Compare) {
				c.Look.AlertResolved = &mapping.Item{ID: "al", Title: "Checkout", At: minute(5)}
			},
			[]string{"alert.resolved - > al/resolved/Checkout by nobody at 02:05: "},
		},
		"an alert of an incident that TigerOps resolved": {
			func(c *mapping.Compare) {
				c.State.Open = false
				c.Look.AlertResolved = &mapping.Item{ID: "al", At: minute(5)}
			},
			nil,
		},
		"an alert that a waiting event resolves": {
			func(c *mapping.Compare) {
				c.Pending = []mapping.Pending{{OutboxID: 9, Event: mapping.Event{Type: "incident.resolved"}, At: minute(4)}}
				c.Look.AlertResolved = &mapping.Item{ID: "al", At: minute(5)}
			},
			nil,
		},
		"an alert of no incident": {
			func(c *mapping.Compare) {
				c.Look = mapping.Look{AlertResolved: &mapping.Item{ID: "al", Title: "T", At: minute(5)}}
			},
			[]string{"alert.resolved - > al/resolved/T by nobody at 02:05: "},
		},

		// Own effects
		"a state that a step under way sets is ours": {
			func(c *mapping.Compare) {
				c.Open = []mapping.Effect{{Status: &monitoring, Severity: &sev2, Summary: "S", Roles: []mapping.Assignment{{Role: lead, User: mapping.User{Email: "lisa@example.com"}}}}}
				person(c, 5, func(r *mapping.Remote) {
					r.Status, r.Severity, r.Summary = monitoring, &sev2, "S\n"
					r.Roles = []mapping.Assignment{{Role: lead, User: userLisa}}
				}, posted("u1", 5, "", &monitoring, &sev2, byKey))
			},
			nil,
		},
		"another state than the step under way sets is a person's": {
			func(c *mapping.Compare) {
				c.Open = []mapping.Effect{{Status: &monitoring}}
				person(c, 6, status(fixing), posted("u1", 5, "", &monitoring, nil, byKey), posted("u2", 6, "no", &fixing, nil))
			},
			[]string{"incident.status_changed live/Investigating/investigating > live/Fixing/investigating by Lisa at 02:06: no"},
		},
		"an update of a step in doubt is known by its message, if no person wrote it": {
			func(c *mapping.Compare) {
				c.KeyName = ""
				c.Open = []mapping.Effect{{Message: "Ada acknowledged\nthis."}}
				person(c, 6, nothing,
					posted("u1", 5, "Ada acknowledged this.", &investigating, nil, mapping.Actor{Type: "api_key", Name: "any"}),
					posted("u2", 6, "Ada acknowledged this.", &investigating, nil))
			},
			[]string{"incident.message - > - by Lisa at 02:06: Ada acknowledged this."},
		},
		"a move that a step made is ours by the update's id": {
			func(c *mapping.Compare) {
				c.OwnIDs = map[string]bool{"u1": true}
				person(c, 5, status(monitoring), posted("u1", 5, "ours", &monitoring, nil, byKey))
			},
			nil,
		},
		"a state that our key left otherwise is told": {
			func(c *mapping.Compare) {
				person(c, 5, status(monitoring), posted("u1", 5, "", &monitoring, nil, byKey))
			},
			[]string{"incident.status_changed live/Investigating/investigating > live/Monitoring/mitigated by tigerops at 02:05: "},
		},

		// First look
		"what was there before an incident was attached is not told, what changed since is": {
			func(c *mapping.Compare) {
				c.Tie.Origin, c.Look.First = mapping.OriginAttached, true
				person(c, 6, status(monitoring), posted("u1", 5, "old", &investigating, nil), posted("u2", 6, "new", &monitoring, nil))
				c.Look.Timeline = []mapping.Item{item("t1", "old", "", 3)}
				c.Look.Actions = []mapping.Item{item("a1", "old", "outstanding", 3)}
				c.Look.Escalations = []mapping.Escalation{esc("e1", "triggered", 3, nil), esc("e2", "acked", 4, ptr(by(userAda)))}
			},
			[]string{
				"incident.acknowledged e2/pending/Page > e2/acked/Page by Ada at 02:04: ",
				"incident.status_changed live/Investigating/investigating > live/Monitoring/mitigated by Lisa at 02:06: new",
			},
		},
		"what people wrote since an incident was attached is told, also at the first look": {
			func(c *mapping.Compare) {
				c.Tie.Origin, c.Look.First, c.Look.TiedAt = mapping.OriginAttached, true, minute(4)
				person(c, 6, nothing, posted("u1", 3, "old", &investigating, nil), posted("u2", 6, "since", &investigating, nil))
				since := item("t2", "since", "", 5)
				since.At = minute(5)
				c.Look.Timeline = []mapping.Item{item("t1", "old", "", 3), since}
				since.ID, since.Status = "a2", "outstanding"
				c.Look.Actions = []mapping.Item{item("a1", "old", "outstanding", 3), since}
			},
			[]string{
				"action.created - > a2/outstanding/since by Lisa at 02:05: ",
				"timeline.added - > t2/since by Lisa at 02:05: ",
				"incident.message - > - by Lisa at 02:06: since",
			},
		},
		"neither is an acknowledgement that TigerOps has itself, nor a summary that nobody agreed on": {
			func(c *mapping.Compare) {
				c.Tie.Origin, c.Look.First, c.Tie.Agreed.Summary = mapping.OriginAlertRoute, true, ""
				c.State.Acknowledged = true
				c.Look.Escalations = []mapping.Escalation{esc("e2", "acked", 4, ptr(by(userAda)))}
			},
			nil,
		},
		"a declared incident has no before": {
			func(c *mapping.Compare) {
				c.Look.First, c.KeyName = true, ""
				person(c, 6, nothing, posted("u1", 5, "Declared", &investigating, nil, byKey), posted("u2", 6, "hello", &investigating, nil))
				c.Look.Timeline = []mapping.Item{item("t1", "new", "", 3), {ID: "t2", Title: "Incident declared", At: minute(1)}}
			},
			[]string{"timeline.added - > t1/new by Lisa at 02:02: ", "incident.message - > - by Lisa at 02:06: hello"},
		},
		"a declaration's own status is not told where it is not known": {
			func(c *mapping.Compare) {
				c.Look.First = true
				c.Tie.Agreed.Status, c.Tie.Agreed.Severity = mapping.Status{}, nil
				c.State.Incident.Status = "open"
			},
			nil,
		},
		"a declared incident that was closed before anybody looked is resolved": {
			func(c *mapping.Compare) {
				c.Look.First = true
				c.Tie.Agreed.Status = mapping.Status{}
				person(c, 5, status(closed), posted("u1", 5, "no", &closed, nil))
			},
			[]string{"incident.resolved - > closed/Closed/resolved by Lisa at 02:05: no"},
		},

		// Switches
		"pull_status_changes off": {
			func(c *mapping.Compare) {
				c.Rules.PullStatus = false
				person(c, 5, func(r *mapping.Remote) { r.Status, r.Severity = closed, &sev2 }, posted("u1", 5, "said all the same", &closed, &sev2))
			},
			[]string{"incident.message - > - by Lisa at 02:05: said all the same"},
		},
		"pull_role_assignments off": {
			func(c *mapping.Compare) {
				c.Rules.PullRoles = false
				person(c, 5, func(r *mapping.Remote) { r.Roles = nil })
			},
			nil,
		},
		"pull_escalations off": {
			func(c *mapping.Compare) {
				c.Rules.PullEscalations = false
				c.Look.Escalations = []mapping.Escalation{esc("e1", "acked", 3, nil)}
			},
			nil,
		},
		"pull_timeline_events off": {
			func(c *mapping.Compare) {
				c.Rules.PullTimeline = false
				person(c, 5, func(r *mapping.Remote) { r.Summary = "S" }, posted("u1", 5, "hello", &investigating, nil))
				c.Look.Timeline = []mapping.Item{item("t1", "new", "", 3)}
			},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare := base()
			c.do(&compare)
			var got []string
			for _, row := range agree(t, compare) {
				got = append(got, line(row))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}
