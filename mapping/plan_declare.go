package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// declare plans the declaration: all that TigerOps has told, in one request.
func (p *planner) declare() {
	i := p.st.Incident
	fields := p.fieldChanges(false)
	roles := p.roleChanges(false)
	summary, sent := composed(formerText(p.in.Former), "", p.st)
	body := createBody{
		Key: DeclareKey(i.ID, p.st.Generation), Visibility: cmp.Or(p.rules.Visibility, "public"), Mode: "standard",
		incidentParts: incidentParts{
			Name: cmp.Or(line(i.Title), p.fallbackTitle()), Summary: summary, Fields: fields.entries, Roles: roles.entries,
		},
	}
	told := Pushed{Status: i.Status, Title: i.Title, Summary: sectionHash(sent), Fields: fields.pushed, Roles: roles.pushed}
	effect := Effect{Name: body.Name, Summary: summary, Roles: roles.set, Fields: fields.ids}
	explain := []string{"name " + body.Name}

	severity, warning := SeverityFor(p.st, p.rules, p.dir)
	if severity != nil {
		body.Severity, effect.Severity, told.Severity = severity.ID, severity, i.Severity
		explain = append(explain, explainSeverity(severity))
	}
	if warning != "" {
		p.warn(warning)
	}
	if p.rules.IncidentType != "" {
		if t, ok := findType(p.rules.IncidentType, p.dir); ok {
			body.Type = t.ID
			explain = append(explain, fmt.Sprintf("incident type %s (%s)", t.Name, t.ID))
		} else {
			p.warn("incident type left out: incident.io has no type " + quoted(p.rules.IncidentType))
		}
	}
	s, ok := ResolveStatus(i.Status, p.rules, p.dir)
	if !ok {
		p.noStatus(i.Status)
	}
	if ok && (s.Category == CategoryLive || s.Category == CategoryTriage) {
		body.Status, effect.Status = s.ID, &s
		explain = append(explain, explainStatus(s))
	}
	effect.Pushed = told
	explain = slices.Concat(explain, fields.explain, roles.explain)

	p.tie = &Tie{TigerOpsID: i.ID, IncidentID: IncidentPlaceholder, Origin: OriginDeclared, Generation: p.st.Generation}
	p.add(Request{
		Name: "incident.declare", Call: CreateIncident, Path: pathIncidents, Body: encoded(body), Key: body.Key,
		Mark: incidentMark(i.ID), Effect: effect, Explain: explain,
	})
	p.tie.Pushed.Severity = i.Severity // a severity that can't be mapped is not tried again in the steps behind
}

// formerText names the incident that a reopened one goes on from.
func formerText(former *Tie) string {
	if former == nil {
		return ""
	}
	return "Reopened in TigerOps: this goes on from " + link(cmp.Or(former.Reference, former.IncidentID), former.Permalink) + "."
}

// findType finds an incident type by id or name.
func findType(name string, d *Directory) (IncidentType, bool) {
	for _, fits := range []func(IncidentType) bool{
		func(t IncidentType) bool { return t.ID == name },
		func(t IncidentType) bool {
			return strings.EqualFold(strings.TrimSpace(t.Name), strings.TrimSpace(name))
		},
	} {
		if i := slices.IndexFunc(d.Types, fits); i >= 0 {
			return d.Types[i], true
		}
	}
	return IncidentType{}, false
}
