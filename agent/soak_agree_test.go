package agent_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// bothSidesAgree: what incident.io shows is what the agent believes both sides agree on; and that is what TigerOps
// set last, or what TigerOps was told that a person set, as the rule for conflicts has it.
func (m *model) bothSidesAgree() {
	for _, t := range m.ties {
		if t.Dropped != "" || t.Beside == 1 {
			continue // nobody looks at it any more, or it is not kept in step
		}
		i := m.incidents[t.Incident]
		severity, agreed := "", ""
		if i.Severity != nil {
			severity = i.Severity.Name
		}
		if t.Agreed.Severity != nil {
			agreed = t.Agreed.Severity.Name
		}
		lead, believed := "", ""
		for _, r := range i.RoleAssignments {
			if r.Role.RoleType == "lead" && r.Assignee != nil {
				lead = r.Assignee.Email
			}
		}
		var leadID string
		for _, r := range i.RoleAssignments {
			if r.Role.RoleType == "lead" {
				leadID = r.Role.ID
			}
		}
		for _, r := range t.Agreed.Roles {
			if r.Role.Type == "lead" {
				believed = r.User.Email
			}
		}
		for _, c := range [][3]string{
			{"status", i.Status.Name, t.Agreed.Status.Name}, {"severity", severity, agreed}, {"name", i.Name, t.Agreed.Name},
			{"summary", i.Summary, t.Agreed.Summary}, {"lead", lead, believed},
		} {
			if c[1] != c[2] {
				m.wrong("%s: the %s in incident.io is %q, the agent believes %q", i.Reference, c[0], c[1], c[2])
			}
		}
		m.statusTold(t, i)
		// Where several TigerOps incidents share it, it is as one of them has it: lanes wait for none but themselves.
		m.oneAgrees(i, func(t tie) { m.severity(t, i, severity) })
		m.oneAgrees(i, func(t tie) { m.status(t, i) })
		m.oneAgrees(i, func(t tie) { m.lead(t, i, lead, t.Pushed.Roles[leadID]) })
		m.oneAgrees(i, func(t tie) { m.nameOf(t, i) })
		m.oneAgrees(i, func(t tie) { m.summary(t, i) })
		m.oneAgrees(i, func(t tie) { m.field(t, i) })
	}
}

// oneAgrees keeps what a check finds wrong only if it does so for each tie of an incident.
// Of one that let go of it by a reopen it is not known what of it was said before that.
func (m *model) oneAgrees(i simulator.IncidentView, check func(tie)) {
	before := len(m.bad)
	if len(m.owners(i.ID)) > 1 && slices.ContainsFunc(m.byID[i.ID], func(t tie) bool { return t.Dropped != "" }) {
		return
	}
	for _, t := range m.byID[i.ID] {
		n := len(m.bad)
		if check(t); len(m.bad) == n {
			m.bad = m.bad[:before]
			return
		}
	}
}

var severities = map[string]string{"critical": "SEV1", "warning": "SEV2", "info": "SEV3"}

// said is the last event of a TigerOps incident that says something, as long as it is tied, and what.
func (m *model) said(t tie, what func(map[string]any) string) (word string, last *soakEvent) {
	dropped, err := time.Parse(time.RFC3339, t.Dropped)
	for _, ev := range m.stories[t.TigerOps].events {
		var body map[string]any
		if err == nil && ev.at.After(dropped) || ev.poison || json.Unmarshal(ev.payload, &body) != nil {
			continue
		}
		inc, ok := body["incident"].(map[string]any)
		if !ok {
			inc = body
		}
		if w := what(inc); w != "" {
			word, last = w, ev
		}
	}
	return word, last
}

func member(name string) func(map[string]any) string {
	return func(m map[string]any) string { s, _ := m[name].(string); return s }
}

func owner(inc map[string]any) string {
	all, _ := inc["responders"].([]any)
	if len(all) == 0 {
		return ""
	}
	first, _ := all[0].(map[string]any)
	return member("email")(first)
}

// told is the last change that TigerOps was told of something of its incident, in this life or an earlier one.
func (m *model) told(t tie, of func(change) bool) *change {
	var last *change
	for _, r := range m.rowsOf[t.TigerOps] {
		if of(r) {
			last = &r
		}
	}
	return last
}

// settled holds what incident.io shows against what TigerOps said last and what it was told last. Who spoke last has it:
// TigerOps, if it had applied what it was told by then; the person, if that was after all that TigerOps said.
// In between, while one did not know of the other, either may stand.
func settled(t tie, shown, want string, said *soakEvent, toldValue string, told *change) bool {
	const slack = 100 * time.Millisecond
	switch {
	case told == nil:
		return shown == want
	case said != nil && said.at.After(told.Taken.Add(slack)):
		return shown == want
	case told.Incident.ID != t.Incident, told.OccurredAt.Before(t.Created):
		return true // declared or tied with one or the other, or with what was told before that
	case said == nil || said.accepted.Add(slack).Before(told.OccurredAt):
		return shown == toldValue
	}
	return shown == want || shown == toldValue
}

func (m *model) unsettled(i simulator.IncidentView, what, shown, want string, said *soakEvent, toldValue string, told *change) {
	at := func(t time.Time) string { return t.Format("15:04:05.000") }
	text := fmt.Sprintf("%s: its %s is %q", i.Reference, what, shown)
	if said != nil {
		text += fmt.Sprintf("; TigerOps said %q at %s (%s, accepted %s)", want, at(said.at), said.id, at(said.accepted))
	}
	if told != nil {
		text += fmt.Sprintf("; it was told %q (row %d), set at %s, and had applied it at %s", toldValue, told.Row, at(told.OccurredAt), at(told.Taken))
	}
	m.bad = append(m.bad, text)
}

// lastMove is who set a value last, by the updates of an incident, and when.
func lastMove(i simulator.IncidentView, value func(simulator.Update) string) (by simulator.Actor, at time.Time) {
	was := ""
	for _, u := range i.Updates {
		if v := value(u); v != was {
			was, by, at = v, u.Updater, u.CreatedAt
		}
	}
	return by, at
}

func (m *model) severity(t tie, i simulator.IncidentView, shown string) {
	word, said := m.said(t, member("severity"))
	told := m.told(t, func(c change) bool { return c.Type == "incident.severity_changed" })
	value := ""
	if told != nil {
		value = told.after("incident_io_severity")
	}
	if want := severities[word]; !settled(t, shown, want, said, value, told) {
		m.unsettled(i, "severity", shown, want, said, value, told)
	}
}

func (m *model) status(t tie, i simulator.IncidentView) {
	by, _ := lastMove(i, func(u simulator.Update) string { return u.NewStatus.Name })
	word := m.statusWord(t.TigerOps)
	if meant := statusWords[word]; meant == i.Status.Name || by.User == nil && meant == "" {
		return // both set the same, or nothing is meant
	}
	if by.User == nil {
		m.wrong("%s: the agent set %s last, %s says %s", i.Reference, i.Status.Name, t.TigerOps, word)
	}
}

// statusTold: TigerOps was told of a status that a person set last, each of its incidents that was tied by then.
func (m *model) statusTold(t tie, i simulator.IncidentView) {
	by, at := lastMove(i, func(u simulator.Update) string { return u.NewStatus.Name })
	if by.User == nil || statusWords[m.statusWord(t.TigerOps)] == i.Status.Name || !at.After(t.Created) {
		return
	}
	told := m.told(t, func(c change) bool {
		return strings.HasPrefix(c.Type, "incident.") && c.Type != "incident.linked" && c.After["incident_io_status"] != nil
	})
	// What the agent set last is what TigerOps knows without being told, and before that what it was tied to.
	known, since := "", time.Time{}
	for _, r := range m.rowsOf[t.TigerOps] {
		if r.Type == "incident.linked" && r.Incident.ID == t.Incident {
			known = r.after("incident_io_status")
		}
	}
	was := ""
	for _, u := range i.Updates {
		if u.NewStatus.Name != was && u.Updater.User == nil && (known == "" || u.CreatedAt.After(t.Created)) {
			known, since = u.NewStatus.Name, u.CreatedAt
		}
		was = u.NewStatus.Name
	}
	if told != nil && told.OccurredAt.After(since) && told.Incident.ID == t.Incident {
		known = told.after("incident_io_status")
	}
	if known != i.Status.Name {
		m.wrong("%s: %s set %s at %s, TigerOps was told %v", i.Reference, by.User.Name, i.Status.Name, at.Format("15:04:05.000"), told)
	}
}

// statusWords is what incident.io calls TigerOps' statuses.
var statusWords = map[string]string{"acknowledged": "Investigating", "investigating": "Investigating", "mitigated": "Monitoring", "resolved": "Documenting"}

// statusWord is TigerOps' present status of an incident.
func (m *model) statusWord(key string) string {
	word := ""
	for _, ev := range m.stories[key].events {
		var body struct {
			Status   string
			Incident struct{ Status string }
		}
		if ev.poison || json.Unmarshal(ev.payload, &body) != nil {
			continue
		}
		switch told := body.Status + body.Incident.Status; {
		case told != "":
			word = told
		case ev.kind == "incident.created":
			word = "open"
		case ev.kind == "incident.resolved":
			word = "resolved"
		case ev.kind == "incident.reopened":
			word = "investigating"
		case ev.kind == "incident.acknowledged" && word == "open":
			word = "acknowledged"
		}
	}
	return word
}

func (m *model) lead(t tie, i simulator.IncidentView, lead, pushed string) {
	want, said := m.said(t, owner)
	told := m.told(t, func(c change) bool {
		return (c.Type == "incident.role_assigned" && c.after("incident_io_role") == "Incident Lead") ||
			(c.Type == "incident.role_unassigned" && c.before("incident_io_role") == "Incident Lead")
	})
	value := ""
	if told != nil {
		value = told.after("email")
	}
	// Who acknowledges takes a role that nobody holds.
	if !settled(t, lead, want, said, value, told) && (lead == "" || lead != pushed) {
		m.unsettled(i, "lead", lead, want, said, value, told)
	}
}

func (m *model) nameOf(t tie, i simulator.IncidentView) {
	word, _ := m.said(t, member("title"))
	byHand := slices.ContainsFunc(m.acts[t.Incident], func(a act) bool { return a.kind == "name" && a.value == i.Name })
	first := t.Origin != "declared" && i.Creator.User != nil && i.Name == "Payments trouble" // it is left as people named it
	// A route names an incident by its first alert, which may be of another TigerOps incident of the group.
	key, named := strings.CutPrefix(i.Name, "Incident ")
	routed := t.Origin == "alert_route" && named && groupOf(key) != "" && groupOf(key) == groupOf(t.TigerOps)
	if i.Name != word && !byHand && !first && !routed {
		m.wrong("%s is named %q, TigerOps says %q", i.Reference, i.Name, word)
	}
}

// field: the deployment is the one that TigerOps told last, or what a person wrote there.
func (m *model) field(t tie, i simulator.IncidentView) {
	word, _ := m.said(t, func(inc map[string]any) string {
		deployment, _ := inc["deployment"].(map[string]any)
		return member("sha")(deployment)
	})
	shown := ""
	for _, e := range i.CustomFieldEntries {
		for _, v := range e.Values {
			if e.CustomField.Name == "Deployment SHA" {
				shown += v.Text
			}
		}
	}
	byHand := slices.ContainsFunc(m.acts[t.Incident], func(a act) bool { return a.kind == "field" && a.value == shown })
	if shown != word && !byHand {
		m.wrong("%s: its deployment is %q, TigerOps says %q", i.Reference, shown, word)
	}
}

var notes = regexp.MustCompile(`note N[0-9]+`)

// summary: TigerOps' latest summary is there, and so is what people wrote, unless an edit of the agent's was under way
// while they did.
func (m *model) summary(t tie, i simulator.IncidentView) {
	word, _ := m.said(t, member("ai_summary"))
	var last *act
	for _, a := range m.acts[t.Incident] {
		if a.kind == "summary" {
			last = &a
		}
	}
	if !strings.Contains(i.Summary, word) && last == nil {
		m.wrong("%s: the summary lacks %q:\n%s", i.Reference, word, i.Summary)
	}
	if last == nil {
		return
	}
	for _, note := range notes.FindAllString(last.value, -1) {
		if !strings.Contains(i.Summary, note) && !m.editing(i.ID, last.begun, last.end) {
			m.wrong("%s: the summary lacks %q, which somebody wrote into it at %s:\n%s", i.Reference, note, last.end.Format("15:04:05.000"), i.Summary)
		}
	}
}

// editing says whether the agent looked at an incident before a time and sent an edit of its summary after it.
func (m *model) editing(incident string, begun, end time.Time) bool {
	return slices.ContainsFunc(m.edits.of[incident], func(e span) bool {
		return e.from.Add(-2*time.Second).Before(end) && e.till.Add(time.Second).After(begun)
	})
}
