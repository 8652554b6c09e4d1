package mapping

import "strings"

// acknowledge shows who took the incident: the owner's role goes to them, and an update says so.
func (p *planner) acknowledge() {
	p.sync(sentence("Acknowledged", p.who(), "in TigerOps"))
}

// escalate pages the team's escalation path, raises the severity as mapped, and says who escalated.
func (p *planner) escalate() {
	i := p.st.Incident
	if path, ok := lookup(p.rules.EscalationPaths, i.Team); ok && i.Team != "" && path != "" {
		title := line(title(p.st, p.fallbackTitle()))
		body := escalationBody{
			Key: p.key("escalation.create"), Title: title, Path: path, Incident: p.tie.IncidentID,
			Description: cut(paragraphs(sentence("Escalated", p.who(), "in TigerOps"), story(p.st), markLine(i.ID)), maxDetail),
		}
		p.add(Request{
			Name: "escalation.create", Call: CreateEscalation, Path: pathEscalations, Body: encoded(body), Key: body.Key,
			Explain: []string{"escalation path of team " + flat(i.Team) + " (" + path + ")"},
		})
	} else if len(p.rules.EscalationPaths) > 0 {
		what := "the incident has no team"
		if i.Team != "" {
			what = "escalation_paths has none for the team " + quoted(i.Team)
		}
		p.warn("nobody paged: " + what)
	}
	p.sync(sentence("Escalated", p.who(), "in TigerOps"))
}

// title is what an incident is called.
func title(st State, otherwise string) string {
	if t := flat(st.Incident.Title); t != "" {
		return t
	}
	return otherwise
}

// tellPeople names responders who could not be assigned to the people of the incident.
func (p *planner) tellPeople() {
	if len(p.people) == 0 || p.tie == nil {
		return
	}
	text := "Somebody may want to assign them by hand; nobody was taken out of a role.\n\n" + strings.Join(bounded(p.people, 20), "\n")
	p.addTimeline("timeline.note", "TigerOps could not assign "+plural(len(p.people), "responder"), text, Pushed{})
}

func plural(n int, what string) string {
	if n == 1 {
		return "a " + what
	}
	return number(float64(n)) + " " + what + "s"
}
