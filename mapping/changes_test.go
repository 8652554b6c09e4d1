package mapping_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// The account that the tests of the way in look at.
var (
	triage        = mapping.Status{ID: "st-tri", Name: "Triage", Category: "triage", Rank: 1}
	investigating = mapping.Status{ID: "st-inv", Name: "Investigating", Category: "live", Rank: 2}
	fixing        = mapping.Status{ID: "st-fix", Name: "Fixing", Category: "live", Rank: 3}
	monitoring    = mapping.Status{ID: "st-mon", Name: "Monitoring", Category: "live", Rank: 4}
	documenting   = mapping.Status{ID: "st-doc", Name: "Documenting", Category: "learning", Rank: 5}
	closed        = mapping.Status{ID: "st-clo", Name: "Closed", Category: "closed", Rank: 6}
	canceled      = mapping.Status{ID: "st-can", Name: "Canceled", Category: "canceled", Rank: 7}
	paused        = mapping.Status{ID: "st-pau", Name: "Paused", Category: "paused", Rank: 8}
	mergedAway    = mapping.Status{ID: "st-mer", Name: "Merged", Category: "merged", Rank: 9}

	sev3 = mapping.Severity{ID: "sv-3", Name: "SEV3", Rank: 1}
	sev2 = mapping.Severity{ID: "sv-2", Name: "SEV2", Rank: 2}
	sev1 = mapping.Severity{ID: "sv-1", Name: "SEV1", Rank: 3}
	sev0 = mapping.Severity{ID: "sv-0", Name: "SEV0", Rank: 4}

	lead     = mapping.Role{ID: "ro-lead", Name: "Incident Lead", Type: "lead", Shortform: "lead"}
	comms    = mapping.Role{ID: "ro-comms", Name: "Communications", Type: "custom"}
	reporter = mapping.Role{ID: "ro-rep", Name: "Reporter", Type: "reporter"}

	userLisa = mapping.User{ID: "us-lisa", Name: "Lisa", Email: "lisa@example.com"}
	userAda  = mapping.User{ID: "us-ada", Name: "Ada", Email: "ada@example.com"}
	byKey    = mapping.Actor{Type: "api_key", Name: "tigerops"}
)

func by(u mapping.User) mapping.Actor {
	return mapping.Actor{Type: "user", Name: u.Name, Email: u.Email}
}

func pullAccount() *mapping.Directory {
	return &mapping.Directory{
		Statuses:   []mapping.Status{triage, investigating, fixing, monitoring, documenting, closed, canceled, paused, mergedAway},
		Severities: []mapping.Severity{sev3, sev2, sev1, sev0},
		Roles:      []mapping.Role{lead, comms, reporter},
	}
}

func pullRules() *mapping.Rules {
	return &mapping.Rules{
		MinSeverity: "warning", Severities: []string{"info", "warning", "critical"}, AutoDeclare: true, AutoResolve: true,
		SeverityMapping: map[string]string{"critical": "SEV1", "warning": "SEV2", "info": "SEV3"},
		Roles:           map[string]string{"owner": "lead"},
		Conflict:        mapping.ConflictLatest,
		PullStatus:      true, PullRoles: true, PullEscalations: true, PullTimeline: true,
	}
}

// minute is a time of the day that all of this happens on.
func minute(m int) time.Time { return time.Date(2026, 11, 23, 2, m, 0, 0, time.UTC) }

// posted is an update that Lisa posted, unless by says otherwise.
func posted(id string, m int, message string, status *mapping.Status, severity *mapping.Severity, who ...mapping.Actor) mapping.Update {
	u := mapping.Update{ID: id, Message: message, Status: status, Severity: severity, At: minute(m), By: by(userLisa)}
	if len(who) > 0 {
		u.By = who[0]
	}
	return u
}

// base is a declared incident on which both sides agree: Investigating, SEV1, led by Ada.
func base() mapping.Compare {
	remote := mapping.Remote{
		ID: "01FDAG", Reference: "INC-123", Permalink: "https://app.incident.io/incidents/123", Name: "Checkout latency",
		Summary: "It is slow.", Status: investigating, Severity: &sev1, CreatedAt: minute(0), UpdatedAt: minute(1),
		Roles: []mapping.Assignment{{Role: lead, User: userAda}, {Role: reporter, User: userAda}},
	}
	agreed := mapping.AgreedOn(remote)
	agreed.Seen = map[string]string{"update:u0": "1"}
	return mapping.Compare{
		Tie: mapping.Tie{TigerOpsID: "TIG-4711", IncidentID: remote.ID, Origin: mapping.OriginDeclared, Agreed: agreed},
		State: mapping.State{Open: true, Incident: mapping.Incident{
			ID: "TIG-4711", Title: "Checkout latency", Severity: "critical", Status: "investigating",
			Responders: []mapping.Responder{{Role: "owner", Email: "ada@example.com"}},
		}},
		Look:    mapping.Look{Remote: remote, Updates: []mapping.Update{posted("u0", 0, "", &investigating, &sev1, byKey)}, Source: mapping.SourceWebhook},
		KeyName: "tigerops", Rules: pullRules(), Directory: pullAccount(),
	}
}

// person changes the incident as somebody in incident.io does, at minute m.
func person(c *mapping.Compare, m int, change func(*mapping.Remote), updates ...mapping.Update) {
	change(&c.Look.Remote)
	c.Look.Remote.UpdatedAt = minute(m)
	c.Look.Updates = append(c.Look.Updates, updates...)
}

func status(s mapping.Status) func(*mapping.Remote) { return func(r *mapping.Remote) { r.Status = s } }
func severity(s *mapping.Severity) func(*mapping.Remote) {
	return func(r *mapping.Remote) { r.Severity = s }
}
func nothing(*mapping.Remote) {}

// line is a change in short: type, what changed, who, what they said, when.
func line(c mapping.Change) string {
	short := func(m map[string]any) string {
		if m == nil {
			return "-"
		}
		var all []string
		for _, k := range slices.Sorted(maps.Keys(m)) {
			all = append(all, fmt.Sprint(m[k]))
		}
		return strings.Join(all, "/")
	}
	who := "nobody"
	if c.Actor != nil {
		who = c.Actor.Name
	}
	repeat := ""
	if c.Repeatable {
		repeat = " repeatable"
	}
	return fmt.Sprintf("%s %s > %s by %s at %s%s: %s", c.Type, short(c.Before), short(c.After), who, c.OccurredAt.Format("15:04"), repeat, c.Message)
}

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

// agree compares, and checks what must hold of every compare: it leaves its input alone, the rows are complete, their
// keys differ, the next look finds nothing, whatever order the lists come in, and all of it survives storage.
func agree(t testing.TB, c mapping.Compare) []mapping.Change {
	t.Helper()
	before := asJSON(t, c)
	rows, next := mapping.Changes(c)
	if after := asJSON(t, c); after != before {
		t.Errorf("the input changed:\n%s\n%s", before, after)
	}
	keys := make(map[string]bool)
	for _, r := range rows {
		if len(r.Key) != 32 || keys[r.Key] || r.Type == "" || r.TigerOpsIncidentID != c.Tie.TigerOpsID || r.Source != c.Look.Source {
			t.Errorf("an incomplete row, or a key used twice: %+v", r)
		}
		keys[r.Key] = true
	}
	turned := c
	turned.Look.Updates = reversed(c.Look.Updates)
	turned.Look.Actions = reversed(c.Look.Actions)
	turned.Look.FollowUps = reversed(c.Look.FollowUps)
	turned.Look.Timeline = reversed(c.Look.Timeline)
	turned.Look.Postmortems = reversed(c.Look.Postmortems)
	turned.Look.Escalations = reversed(c.Look.Escalations)
	turned.Look.Remote.Roles = reversed(c.Look.Remote.Roles)
	turned.Pending = reversed(c.Pending)
	if other, _ := mapping.Changes(turned); asJSON(t, other) != asJSON(t, rows) {
		t.Errorf("another order of the lists gives other rows:\n%s\n%s", asJSON(t, rows), asJSON(t, other))
	}
	var stored mapping.Agreed
	if err := json.Unmarshal([]byte(asJSON(t, next)), &stored); err != nil {
		t.Fatal(err)
	}
	again := c
	again.Tie.Agreed = stored
	if more, same := mapping.Changes(again); len(more) > 0 || asJSON(t, same) != asJSON(t, next) {
		t.Errorf("the same look again gives rows, or agrees on something else:\n%s\n%s\n%s", asJSON(t, more), asJSON(t, next), asJSON(t, same))
	}
	return rows
}

func reversed[T any](s []T) []T {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}

// golden compares with a file of testdata; UPDATE_GOLDEN=1 in the environment writes it anew.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", "changes", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func TestChangesMarshalAsTheContractSays(t *testing.T) {
	t.Parallel()
	c := base()
	person(&c, 9, func(r *mapping.Remote) {
		r.Status, r.Severity, r.Summary = monitoring, &sev2, "It <is> slower & slower."
		r.Roles = []mapping.Assignment{{Role: lead, User: userLisa}}
	}, posted("u1", 5, "looks better", &monitoring, &sev1), posted("u2", 6, "", &monitoring, &sev2), posted("u3", 7, "waiting", &monitoring, &sev2))
	c.Look.Actions = []mapping.Item{{ID: "a1", Title: "Restart", Description: "Restart\nall of it", Status: "outstanding", Assignee: "ada@example.com", At: minute(3), UpdatedAt: minute(3), By: ptr(by(userAda))}}
	c.Look.FollowUps = []mapping.Item{{ID: "f1", Title: "Index", Status: "outstanding", Labels: []string{"db"}, At: minute(8), UpdatedAt: minute(8)}}
	c.Look.Timeline = []mapping.Item{{ID: "t1", Title: "Rolled back", At: minute(4), By: ptr(by(userLisa))}}
	c.Look.Escalations = []mapping.Escalation{{ID: "e1", Title: "Page", Status: "acked", At: minute(2), UpdatedAt: minute(3), By: ptr(by(userLisa))}}
	c.Look.Postmortems = []mapping.Item{{ID: "p1", Title: "PM", Description: "https://doc", Status: "draft", At: minute(9)}}
	golden(t, "all.json", agree(t, c))
}

func TestLinkChanges(t *testing.T) {
	t.Parallel()
	c := base()
	golden(t, "links.json", []mapping.Change{
		mapping.LinkedChange(c.Tie, c.Look.Remote, mapping.SourceSweep),
		mapping.UnlinkedChange(c.Look.Remote, mapping.SourceWebhook),
		mapping.LinkedChange(mapping.Tie{TigerOpsID: "TIG-1", Origin: mapping.OriginAttached}, mapping.Remote{ID: "01X", UpdatedAt: minute(5)}, mapping.SourceWebhook),
	})
}

// A key must be the same on another day and in another copy of the database: it may hold no time of the agent's own,
// nothing of how the change was noticed, and nothing of what was agreed before.
func TestKeysDependOnTheChangeAlone(t *testing.T) {
	t.Parallel()
	one, other := base(), base()
	person(&one, 5, status(closed), posted("u1", 5, "done", &closed, nil))
	person(&other, 9, status(closed), posted("u0b", 3, "", &documenting, nil), posted("u1", 5, "done", &closed, nil))
	other.Look.Source = mapping.SourceSweep
	other.Tie.Agreed.Status = documenting
	other.Tie.Agreed.Seen["update:u0b"] = "1"
	a, b := agree(t, one), agree(t, other)
	if len(a) != 1 || len(b) != 1 || a[0].Key != b[0].Key {
		t.Errorf("keys differ: %s and %s", asJSON(t, a), asJSON(t, b))
	}
	third := base()
	third.Tie.TigerOpsID = "TIG-2"
	person(&third, 5, status(closed), posted("u1", 5, "done", &closed, nil))
	if c := agree(t, third); c[0].Key == a[0].Key {
		t.Error("two TigerOps incidents share a key")
	}
}

// Two tied TigerOps incidents, one after the other, see a sequence of states; what each hears adds up to the last one.
func TestEveryStateThatALookSawIsTold(t *testing.T) {
	t.Parallel()
	c := base()
	var heard []string
	for i, s := range []mapping.Status{fixing, monitoring, monitoring, investigating, documenting, closed} {
		s := s
		person(&c, 10+i, status(s), posted(fmt.Sprint("v", i), 10+i, "", &s, nil))
		rows, next := mapping.Changes(c)
		c.Tie.Agreed = next
		for _, r := range rows {
			heard = append(heard, r.Type+" "+fmt.Sprint(r.After["incident_io_status"]))
		}
	}
	want := []string{
		"incident.status_changed Fixing", "incident.status_changed Monitoring", "incident.status_changed Investigating",
		"incident.resolved Documenting", "incident.status_changed Closed",
	}
	if !reflect.DeepEqual(heard, want) {
		t.Errorf("got %q, want %q", heard, want)
	}
}
