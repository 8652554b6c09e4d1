package mapping

import (
	"cmp"
	"slices"
)

// Attach plans the steps that introduce a TigerOps incident to an incident that is there already: its people are told
// on the timeline (attach.tell), and then fields, roles and the summary are added beside what they wrote (attach.edit).
// Name, status, fields that hold something and roles that somebody holds stay. Steps of in.Ended that are done or left
// out do not come again. What attach.edit pushes makes Tie.Pushed say that the tie is introduced; where there is
// nothing to edit the caller does so.
func Attach(in Input, remote Remote) []Request {
	p := newPlanner(in)
	if p.tie == nil {
		p.tie = &Tie{
			TigerOpsID: in.State.Incident.ID, IncidentID: remote.ID, Reference: remote.Reference, Permalink: remote.Permalink,
			Origin: OriginAttached, Generation: in.State.Generation,
		}
	}
	p.tie.Agreed = AgreedOn(remote)
	p.introduced = true
	p.attach()
	return p.out.Next
}

// introduce plans the same for a tie that was never introduced: one that an alert route made, or one made on the way in.
func (p *planner) introduce() {
	if p.tie == nil || p.tie.Origin == OriginDeclared || p.did("incident.declare") {
		return
	}
	if p.tie.Pushed.IsZero() {
		p.introduced = true
		p.attach()
	}
}

func (p *planner) attach() {
	i := p.st.Incident
	if p.tie.Origin != OriginAlertRoute {
		text := paragraphs(
			"TigerOps tied its incident "+link(nameOf(i.ID), i.URL)+" to this one: it is open, with the same service and severity. What TigerOps finds is told here.",
			cut(prose(i.AISummary), 1_000),
			markLine(i.ID))
		p.addTimeline("attach.tell", "TigerOps "+nameOf(i.ID)+": "+cmp.Or(flat(i.Title), "attached to this incident"), text, Pushed{})
	}
	fields := p.fieldChanges(true)
	roles := p.roleChanges(true)
	parts := incidentParts{Fields: fields.entries, Roles: roles.entries}
	told := Pushed{Status: i.Status, Title: cmp.Or(i.Title, i.ID), Severity: i.Severity, Fields: fields.pushed, Roles: roles.pushed}
	told = told.With(Pushed{Fields: fields.held, Roles: roles.held})
	effect := Effect{Roles: roles.set, Fields: fields.ids}
	explain := slices.Concat(fields.explain, roles.explain)

	text, sent := composed(p.tie.Agreed.Summary, p.tie.Pushed.Summary, p.st)
	told.Summary = sectionHash(sent)
	if !p.overruled("summary") && letters(text) != letters(p.tie.Agreed.Summary) {
		parts.Summary, effect.Summary = text, text
		explain = append(explain, "summary: TigerOps' part is added below what is there")
	}
	// A route may have made the incident without a severity, or with a lesser one; nobody's is lowered.
	if s, warning := SeverityFor(p.st, p.rules, p.dir); s != nil && p.tie.Origin == OriginAlertRoute && !p.overruled("severity") {
		if have := p.tie.Agreed.Severity; have == nil || have.ID != s.ID && have.Rank < s.Rank {
			parts.Severity, effect.Severity = s.ID, s
			explain = append(explain, explainSeverity(s))
		}
	} else if warning != "" {
		p.warn(warning)
	}
	if parts.empty() {
		p.record(told)
		return
	}
	effect.Pushed = told
	p.addEdit("attach.edit", parts, effect, explain)
}
