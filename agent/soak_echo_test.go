package agent_test

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// noEcho: every row of the inbox is explained by something that a person did, and nothing is told twice.
func (m *model) noEcho() {
	once := make(map[string]int64) // what each TigerOps incident was told of
	keys := make(map[string]bool)
	moves := make(map[string]int) // "incident what" to how often it was told
	for _, r := range m.rows {
		if keys[r.Key] {
			m.wrong("row %d has the key of another", r.Row)
		}
		keys[r.Key] = true
		i, there := m.incidents[r.Incident.ID]
		if !there && r.Type != "alert.resolved" {
			m.wrong("row %d (%s) is about %q, which is not there", r.Row, r.Type, r.Incident.Reference)
			continue
		}
		if !m.explained(r, i) {
			m.wrong("row %d (%s of %s, %s, by %s) is not explained by what anybody did: before %v, after %v, message %q",
				r.Row, r.Type, r.TigerOps, i.Reference, r.Source, r.Before, r.After, r.Message)
		}
		if what := moveOf(r); what != "" {
			key := r.TigerOps + " " + r.Incident.ID + " " + what
			moves[key]++
			if told, done := moves[key], m.moves(i)[what]; told > done {
				m.wrong("row %d (%s of %s, %s, by %s) tells for the %dth time what people did %d times: %s", r.Row, r.Type, r.TigerOps, i.Reference, r.Source, told, done, what)
			}
		}
		for _, note := range notes.FindAllString(r.Message, -1) {
			if before := once[r.TigerOps+note]; before != 0 {
				m.wrong("rows %d and %d both tell %q", before, r.Row, note)
			}
			once[r.TigerOps+note] = r.Row
		}
		if id := r.after("id"); id != "" && (strings.HasSuffix(r.Type, ".created") || r.Type == "timeline.added") {
			if before := once[r.TigerOps+id]; before != 0 {
				m.wrong("rows %d and %d both tell that %s came", before, r.Row, id)
			}
			once[r.TigerOps+id] = r.Row
		}
	}
	var last int64
	for _, c := range m.ops.taken {
		if c.Row <= last {
			m.wrong("change %d was given after %d was acknowledged", c.Row, last)
		}
		last = max(last, c.Row)
	}
}

// noEmptyWords: where TigerOps says again what it was told, nobody in incident.io is bothered with it. An update of the
// agent's moves something, or tells what an event has to tell, unless somebody came before it: later than a moment
// before it was written down to be sent. Two TigerOps incidents of one may say the same at the same moment.
func (m *model) noEmptyWords() {
	const moment = 3 * time.Second
	planned := make(map[string]time.Time)
	for _, row := range m.agent.rows("SELECT remote_id || ' ' || started_at FROM delivery WHERE remote_id <> ''") {
		id, at, _ := strings.Cut(row, " ")
		planned[id], _ = time.Parse(time.RFC3339, at)
	}
	for _, id := range sortedKeys(m.incidents) {
		i := m.incidents[id]
		status, severity := "", ""
		var person, said time.Time
		words := ""
		for n, u := range i.Updates {
			moved := u.NewStatus.Name != status
			status = u.NewStatus.Name
			if u.NewSeverity != nil {
				moved = moved || u.NewSeverity.Name != severity
				severity = u.NewSeverity.Name
			}
			switch {
			case u.Updater.User != nil:
				person = u.CreatedAt
			case u.Message == words && u.CreatedAt.Sub(said) < moment && len(m.byID[id]) > 1:
			case n > 0 && !moved && !tokens.MatchString(u.Message) && planned[u.ID].Sub(person) > moment:
				m.wrong("%s: the agent's update of %s moves nothing: %q", i.Reference, u.CreatedAt.Format("15:04:05.000"), u.Message)
			}
			words, said = u.Message, u.CreatedAt
		}
	}
}

// moveOf is what a row says that somebody set, as moves names it; empty for rows of something else.
func moveOf(r change) string {
	switch r.Type {
	case "incident.status_changed", "incident.resolved", "incident.reopened", "incident.merged", "incident.acknowledged":
		if r.after("escalation_id") == "" {
			return "status " + r.after("incident_io_status")
		}
	case "incident.severity_changed":
		return "severity " + r.after("incident_io_severity")
	case "incident.role_assigned":
		return "lead " + r.after("email")
	case "incident.role_unassigned":
		return "no lead"
	case "incident.summary_changed":
		return "summary"
	}
	return ""
}

// moves counts what people set in an incident.
func (m *model) moves(i simulator.IncidentView) map[string]int {
	done := make(map[string]int)
	status, severity := "", ""
	for _, u := range i.Updates {
		byPerson := u.Updater.User != nil
		if byPerson && u.NewStatus.Name != status {
			done["status "+u.NewStatus.Name]++
		}
		if status = u.NewStatus.Name; u.NewSeverity == nil {
			continue
		}
		if byPerson && u.NewSeverity.Name != severity {
			done["severity "+u.NewSeverity.Name]++
		}
		severity = u.NewSeverity.Name
	}
	for _, a := range m.acts[i.ID] {
		switch a.kind {
		case "role":
			done["lead "+a.value]++
			done["no lead"]++ // for who had it
		case "unassign":
			done["no lead"]++
		case "summary":
			done["summary"]++
		}
	}
	return done
}

var conflictText = regexp.MustCompile(`\(conflict: latest\)|incident\.io allows no way there`)

// explained says whether a person did what a row tells.
func (m *model) explained(r change, i simulator.IncidentView) bool {
	did := func(kinds ...string) bool {
		return slices.ContainsFunc(m.acts[i.ID], func(a act) bool { return slices.Contains(kinds, a.kind) })
	}
	doneTo := func(object string, kinds ...string) bool {
		return slices.ContainsFunc(m.doneTo[object], func(a act) bool { return slices.Contains(kinds, a.kind) })
	}
	byPerson := func(moved func(simulator.Update) bool) bool {
		return slices.ContainsFunc(i.Updates, func(u simulator.Update) bool { return u.Updater.User != nil && moved(u) })
	}
	switch r.Type {
	case "incident.linked":
		return slices.ContainsFunc(m.byID[i.ID], func(t tie) bool { return t.TigerOps == r.TigerOps })
	case "incident.acknowledged":
		if id := r.after("escalation_id"); id != "" {
			return doneTo(id, "escalation")
		}
		return byPerson(func(u simulator.Update) bool { return u.NewStatus.Name == r.after("incident_io_status") })
	case "incident.status_changed", "incident.resolved", "incident.reopened", "incident.merged":
		return byPerson(func(u simulator.Update) bool { return u.NewStatus.Name == r.after("incident_io_status") })
	case "incident.severity_changed":
		return byPerson(func(u simulator.Update) bool {
			return u.NewSeverity != nil && u.NewSeverity.Name == r.after("incident_io_severity")
		})
	case "incident.role_assigned":
		return slices.ContainsFunc(m.acts[i.ID], func(a act) bool { return a.kind == "role" && a.value == r.after("email") })
	case "incident.role_unassigned":
		return did("role", "unassign")
	case "incident.escalated":
		return doneTo(r.after("escalation_id"), "escalate")
	case "incident.escalation_updated":
		return doneTo(r.after("escalation_id"), "escalation")
	case "action.created":
		return doneTo(r.after("id"), "action")
	case "action.updated":
		return doneTo(r.after("id"), "action done")
	case "follow_up.created":
		return doneTo(r.after("id"), "follow-up")
	case "follow_up.updated":
		return doneTo(r.after("id"), "follow-up done")
	case "postmortem.updated":
		return doneTo(r.after("id"), "document", "document done")
	case "timeline.added":
		return doneTo(r.after("id"), "timeline")
	case "incident.message":
		said := notes.FindString(r.Message)
		return said != "" && byPerson(func(u simulator.Update) bool { return u.Message == said }) || conflictText.MatchString(r.Message) && len(m.acts[i.ID]) > 0
	case "incident.summary_changed":
		return did("summary")
	case "alert.resolved":
		return doneTo(r.after("id"), "alert")
	}
	return false
}

// everyActTold: what people made and said in an incident was told to each TigerOps incident that was tied to it by then.
// What they set is checked by bothSidesAgree, since only the last of it had to be.
func (m *model) everyActTold() {
	toldID, toldNote := make(map[string]bool), make(map[string]bool) // by TigerOps incident, and what
	for _, r := range m.rows {
		for _, id := range []string{r.after("id"), r.after("escalation_id")} {
			if id != "" {
				toldID[r.TigerOps+id] = true
			}
		}
		for _, note := range notes.FindAllString(r.Message, -1) {
			toldNote[r.TigerOps+note] = true
		}
	}
	for _, id := range sortedKeys(m.incidents) {
		for _, key := range m.owners(id) {
			m.actsTold(m.incidents[id], key, toldID, toldNote)
		}
	}
}

func (m *model) actsTold(i simulator.IncidentView, key string, toldID, toldNote map[string]bool) {
	from, till := m.lookedAt(i, key)
	for _, a := range m.acts[i.ID] {
		switch a.kind {
		case "timeline", "action", "follow-up", "escalate", "document":
			if !toldID[key+a.object] && a.begun.After(from) && a.end.Before(till) {
				m.wrong("%s: nobody told %s of the %s %s of %s (now %s)", i.Reference, key, a.kind, a.token, a.end.Format("15:04:05.000"), i.Status.Name)
			}
		}
	}
	for _, u := range i.Updates {
		if u.Updater.User != nil && u.Message != "" && u.CreatedAt.After(from) && u.CreatedAt.Before(till) && !toldNote[key+notes.FindString(u.Message)] {
			m.wrong("%s: nobody told %s of %q of %s (now %s)", i.Reference, key, u.Message, u.CreatedAt.Format("15:04:05.000"), i.Status.Name)
		}
	}
	if till.Before(time.Now()) {
		return
	}
	for _, v := range i.Actions {
		m.toldAs(i, key, "action", v.ID, v.Status, "outstanding", func(c change) (string, bool) {
			return c.after("status"), strings.HasPrefix(c.Type, "action.") && c.after("id") == v.ID
		})
	}
	for _, v := range i.FollowUps {
		m.toldAs(i, key, "follow-up", v.ID, v.Status, "outstanding", func(c change) (string, bool) {
			return c.after("status"), strings.HasPrefix(c.Type, "follow_up.") && c.after("id") == v.ID
		})
	}
	for _, v := range i.Escalations {
		m.toldAs(i, key, "escalation", v.ID, v.Status, "triggered", func(c change) (string, bool) {
			return c.after("escalation_status"), c.after("escalation_id") == v.ID
		})
	}
}

// lookedAt is from when until when the agent looks at an incident, for a TigerOps incident, for what neither a webhook nor
// updated_at tells of: from the tie until it is over, or TigerOps' incident is reopened as another one.
func (m *model) lookedAt(i simulator.IncidentView, key string) (from, till time.Time) {
	never := time.Now().Add(time.Hour)
	till = never
	for _, u := range i.Updates {
		switch over := u.NewStatus.Category == "closed" || u.NewStatus.Category == "merged"; {
		case !over:
			till = never
		case till.Equal(never):
			till = u.CreatedAt
		}
	}
	for _, t := range m.byID[i.ID] {
		if t.TigerOps != key {
			continue
		}
		if from.IsZero() || t.Created.Before(from) {
			from = t.Created
		}
		dropped, err := time.Parse(time.RFC3339, t.Dropped)
		if err != nil {
			continue
		}
		// The last look before takes a while, and sees nothing of what was forbidden just then: that was told by a sweep
		// before, if at all.
		last := dropped.Add(-3 * time.Second)
		for _, f := range m.forbidden {
			if f.from.Before(dropped) && f.till.Add(m.plan.reconcile).After(last) {
				last = time.Time{}
			}
		}
		dropped = last
		if dropped.Before(till) {
			till = dropped
		}
	}
	return from, till
}

// toldAs: a TigerOps incident was told the status that something has now, unless it never had another than it began with.
func (m *model) toldAs(i simulator.IncidentView, key, what, id, status, first string, of func(change) (string, bool)) {
	told, ever := "", false
	for _, r := range m.rowsIn[i.ID] {
		if v, ok := of(r); ok && r.TigerOps == key {
			told, ever = v, true
		}
	}
	if !ever {
		if slices.ContainsFunc(m.byID[i.ID], func(t tie) bool { return t.TigerOps == key && t.Origin != "declared" }) {
			return // it may have been there before the tie, and moved before the first look
		}
		told = first
	}
	if told != status {
		m.wrong("%s: the %s %s is %s, %s was told %s", i.Reference, what, id, status, key, told)
	}
}
