package mapping

import "cmp"

// resolve ends the incident by a legal way, post-incident first unless status_mapping says other, once the last of the
// TigerOps incidents tied to it is resolved. With auto_resolve off people do; then it is told on the timeline.
func (p *planner) resolve() {
	p.edit()
	p.roles()
	word := cmp.Or(p.st.Incident.Status, StatusResolved)
	to, ok := p.resolved(word)
	from := p.tie.Agreed.Status
	said := sentence("Resolved", p.who(), "in TigerOps")
	switch {
	case p.did("incident.update"):
		// Where closing straight away was refused it went to a post-incident status, and goes on from there.
		if ok && to.Category == CategoryClosed && from.Category == CategoryLearning {
			p.second(to)
		}
		return
	case p.did("timeline.add"):
		p.update("", statusMove{})
		return
	case over(from.Category):
		p.update("", statusMove{told: word}) // people were there before
		return
	}
	if !p.rules.AutoResolve || p.in.Siblings > 0 || !ok {
		p.tellResolved(said, word, ok)
		return
	}
	m := p.moveTo(to, word)
	if m.to == nil {
		p.tellResolved(said, word, ok)
		return
	}
	p.update(said, m)
}

// resolved is the status that ends the incident: that of TigerOps' word for it, else that of "resolved", else, where
// status_mapping names one that the account lacks, the one that it would be without.
func (p *planner) resolved(word string) (Status, bool) {
	for _, w := range []string{word, StatusResolved} {
		if to, ok := ResolveStatus(w, p.rules, p.dir); ok {
			return to, true
		}
	}
	to, ok := ResolveStatus(StatusResolved, nil, p.dir)
	if name, mapped := lookup(p.rules.StatusMapping, StatusResolved); ok && mapped {
		p.warn("incident.io has no status " + quoted(name) + " (status_mapping of resolved): " + quoted(to.Name) + " in its place")
	}
	return to, ok
}

// second is the second hop to a closed status.
func (p *planner) second(to Status) {
	key := p.key("incident.update.2")
	p.add(Request{
		Name: "incident.update.2", Call: CreateUpdate, Path: pathUpdates, Key: key,
		Body:   encoded(updateBody{Incident: p.tie.IncidentID, Key: key, Status: to.ID}),
		Effect: Effect{Status: &to}, Explain: []string{explainStatus(to)},
	})
}

// tellResolved tells a resolve on the timeline, with why the incident stays as it is.
func (p *planner) tellResolved(said, word string, mapped bool) {
	why := "The incident stays as it is: "
	switch {
	case p.in.Siblings > 0:
		why = "Still open in TigerOps and tied to this incident: " + plural(p.in.Siblings, "other incident") + "."
	case !p.rules.AutoResolve:
		why += "closing it is up to its people (auto_resolve is off)."
	case p.overruled("status"):
		why += "its status was changed here meanwhile."
	case !mapped:
		why += "incident.io has no status to resolve it to."
		p.warn("not resolved in incident.io: there is no status to resolve it to")
	default:
		why += "nothing leads from its status to a resolved one."
	}
	p.addTimeline("timeline.add", "TigerOps "+nameOf(p.st.Incident.ID)+" resolved", paragraphs(said, why), Pushed{Status: word})
	p.update("", statusMove{}) // a severity that changed with it
}

// reopen sets an incident that is still worked on back to investigating. One that could not be opened again has been
// declared anew by now, which says it all.
func (p *planner) reopen() {
	if p.introduced {
		p.sync("")
		return
	}
	p.edit()
	p.roles()
	m := p.status()
	if m.to == nil {
		// TigerOps may say "open", or nothing new.
		if to, ok := ResolveStatus(StatusInvestigating, p.rules, p.dir); ok && p.tie.Pushed.Status != p.st.Incident.Status {
			m = p.moveTo(to, cmp.Or(p.st.Incident.Status, StatusInvestigating))
		}
	}
	p.update(sentence("Reopened", p.who(), "in TigerOps"), m)
}
