package mapping

import (
	"cmp"
	"slices"
	"strings"
)

// sync sends what TigerOps has changed since it was last sent: name, summary and fields by an edit, roles by another,
// severity and status by an update with a message. message, if not empty, is told in any case.
func (p *planner) sync(message string) {
	p.edit()
	p.roles()
	p.update(message, p.status())
}

// addEdit plans an edit of the incident.
func (p *planner) addEdit(name string, parts incidentParts, effect Effect, explain []string) {
	p.add(Request{
		Name: name, Call: EditIncident, Path: pathEdit(p.tie.IncidentID), Body: encoded(editBody{Incident: parts}),
		Effect: effect, Explain: explain,
	})
}

// edit plans the edit of name, summary and custom fields.
func (p *planner) edit() {
	fields := p.fieldChanges(false)
	parts := incidentParts{Fields: fields.entries}
	effect := Effect{Fields: fields.ids, Pushed: Pushed{Fields: fields.pushed}}
	explain := fields.explain
	p.record(Pushed{Fields: fields.held})

	agreed := p.tie.Agreed
	if title := p.st.Incident.Title; title != "" && title != p.tie.Pushed.Title {
		if name := line(title); name == agreed.Name || p.overruled("name") {
			p.record(Pushed{Title: title})
		} else {
			parts.Name, effect.Name, effect.Pushed.Title = name, name, title
			explain = append(explain, "name "+name)
		}
	}
	text, sent := composed(agreed.Summary, p.tie.Pushed.Summary, p.st)
	if hash := sectionHash(sent); hash != p.tie.Pushed.Summary {
		if letters(text) == letters(agreed.Summary) || p.overruled("summary") {
			p.record(Pushed{Summary: hash})
		} else {
			parts.Summary, effect.Summary, effect.Pushed.Summary = text, text, hash
			explain = append(explain, "summary: TigerOps' part is renewed")
		}
	}
	if !parts.empty() {
		p.addEdit("incident.edit", parts, effect, explain)
	}
}

// roles plans the assignment of roles.
func (p *planner) roles() {
	roles := p.roleChanges(false)
	p.record(Pushed{Roles: roles.held})
	if len(roles.entries) > 0 {
		p.addEdit("incident.roles", incidentParts{Roles: roles.entries},
			Effect{Roles: roles.set, Pushed: Pushed{Roles: roles.pushed}}, roles.explain)
	}
}

// statusMove is a change of status that an update carries.
type statusMove struct {
	to   *Status
	told string // TigerOps' status, recorded whether a move is sent or not
	say  bool   // told in words only: the move itself is left to people
}

// status is the move that TigerOps' status asks for, if it told another one than was sent.
func (p *planner) status() statusMove {
	word := p.st.Incident.Status
	if word == "" || word == p.tie.Pushed.Status {
		return statusMove{}
	}
	to, ok := ResolveStatus(word, p.rules, p.dir)
	if !ok {
		p.noStatus(word)
		return statusMove{told: word}
	}
	return p.moveTo(to, word)
}

// noStatus warns of a status that status_mapping names and the account lacks, and of one that nobody here has heard of.
// The words that are known need no status of their own there.
func (p *planner) noStatus(word string) {
	if name, named := lookup(p.rules.StatusMapping, word); named {
		p.warn("status left out: incident.io has no status " + quoted(name) + " (status_mapping of " + flat(word) + ")")
		return
	}
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "", StatusOpen, StatusAcknowledged, StatusInvestigating, StatusMitigated, StatusResolved:
	default:
		p.warn("status left out: " + quoted(word) + " is none of TigerOps' that are known here, and no status of incident.io is named like it")
	}
}

// moveTo is the move to a status, as far as it is legal and ours to make.
func (p *planner) moveTo(to Status, word string) statusMove {
	from := p.tie.Agreed.Status
	path, legal := StatusPath(from, to, p.dir)
	switch {
	case p.overruled("status"), legal && len(path) == 0:
	case over(to.Category) && (!p.rules.AutoResolve || p.in.Siblings > 0):
		// Only people, or the last of the incidents tied to it, end the incident.
		return statusMove{told: word, say: !over(from.Category)}
	case !legal:
		if !over(from.Category) || !over(to.Category) {
			p.warn("status " + quoted(to.Name) + " left out: in incident.io nothing leads there from " + quoted(from.Name))
		}
	case p.in.Event.Type == IncidentAcknowledged && from.Category == CategoryLive && to.Category == CategoryLive && from.Rank > to.Rank:
		// People are further than that: an acknowledgement takes nobody back.
	default:
		return statusMove{to: &path[0], told: word}
	}
	return statusMove{told: word}
}

// severity is the change of severity that TigerOps asks for, if it told another one than was sent.
func (p *planner) severity() *Severity {
	word := p.st.Incident.Severity
	if word == "" || word == p.tie.Pushed.Severity {
		return nil
	}
	s, warning := SeverityFor(p.st, p.rules, p.dir)
	switch {
	case s == nil:
		if p.introduced || p.in.Before.Incident.Severity != word {
			p.warn(warning)
		}
		return nil
	case p.overruled("severity") || p.tie.Agreed.Severity != nil && p.tie.Agreed.Severity.ID == s.ID:
		p.record(Pushed{Severity: word})
		return nil
	}
	return s
}

// update plans the update that tells message, severity and status at once.
func (p *planner) update(message string, m statusMove) {
	i := p.st.Incident
	effect := Effect{Status: m.to}
	body := updateBody{Incident: p.tie.IncidentID, Key: p.key("incident.update")}
	var explain, changed []string
	if s := p.severity(); s != nil {
		body.Severity, effect.Severity, effect.Pushed.Severity = s.ID, s, i.Severity
		explain = append(explain, explainSeverity(s))
		changed = append(changed, change("severity", cmp.Or(p.tie.Pushed.Severity, p.in.Before.Incident.Severity), i.Severity))
	}
	if m.to != nil {
		body.Status = m.to.ID
		explain = append(explain, explainStatus(*m.to))
	}
	if (m.to != nil || m.say) && message == "" {
		changed = append(changed, change("status", cmp.Or(p.tie.Pushed.Status, p.in.Before.Incident.Status), i.Status))
	}
	if len(changed) == 0 && body.Status == "" && message == "" {
		p.record(Pushed{Status: m.told})
		return
	}
	effect.Pushed.Status = m.told
	switch who := p.who(); {
	case len(changed) == 0:
	case message != "":
		message = strings.TrimSuffix(message, ".") + ", with a change of " + listed(changed) + "."
	case who != "":
		message = who + " changed " + listed(changed) + " in TigerOps."
	default:
		message = "TigerOps changed " + listed(changed) + "."
	}
	body.Message = cut(message, maxDetail)
	effect.Message = body.Message
	p.add(Request{
		Name: "incident.update", Call: CreateUpdate, Path: pathUpdates, Body: encoded(body), Key: body.Key, Effect: effect,
		Explain: slices.Concat([]string{"message: " + cut(flat(body.Message), 200)}, explain),
	})
}

// change says what went from what to what.
func change(what, from, to string) string {
	if from == "" || from == to {
		return "the " + what + " to " + inline(to)
	}
	return "the " + what + " from " + inline(from) + " to " + inline(to)
}
