package simulator

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Person acts in incident.io as a human does in its dashboard or in Slack: with more freedom than the API has (an
// incident can be reopened, merged or made private), and with his name on what he did. Incidents are named by id,
// reference (INC-1) or number; statuses, severities, roles, fields and options by name or id.
type Person struct {
	s     *Simulator
	email string
}

// As is a person of the account, by email. Whether there is such a person shows when he first does something.
func (s *Simulator) As(email string) *Person { return &Person{s: s, email: email} }

// act does something with mu held, as the person.
func (p *Person) act(f func(by Actor) error) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	u := p.s.settings.userByEmail(p.email)
	if u == nil {
		return fmt.Errorf("person %q: not in the account", p.email)
	}
	c := u.User
	return f(Actor{User: &c})
}

// on does something to an incident as the person.
func (p *Person) on(ref string, f func(i *incident, by Actor) error) error {
	return p.act(func(by Actor) error {
		i := p.s.find(ref, true)
		if i == nil {
			return fmt.Errorf("incident %q: there is none", ref)
		}
		return f(i, by)
	})
}

func (s *Simulator) statusNamed(name string) *Status {
	for i := range s.settings.statuses {
		if v := &s.settings.statuses[i]; v.ID == name || strings.EqualFold(v.Name, name) {
			return v
		}
	}
	return nil
}

func (s *Simulator) severityNamed(name string) *Severity {
	for i := range s.settings.severities {
		if v := &s.settings.severities[i]; v.ID == name || strings.EqualFold(v.Name, name) {
			return v
		}
	}
	return nil
}

// SetStatus moves an incident to any status, with a message or without.
func (p *Person) SetStatus(ref, status, message string) error {
	return p.on(ref, func(i *incident, by Actor) error {
		st := p.s.statusNamed(status)
		if st == nil {
			return fmt.Errorf("status %q: there is none", status)
		}
		p.s.change(i, by, message, func() { i.status = st.ID })
		return nil
	})
}

// toFirst moves an incident to the first status of a category.
func (p *Person) toFirst(ref, category, message string) error {
	return p.on(ref, func(i *incident, by Actor) error {
		p.s.change(i, by, message, func() { i.status = p.s.settings.firstStatus(category).ID })
		return nil
	})
}

// Resolve moves an incident into its post-incident flow.
func (p *Person) Resolve(ref, message string) error { return p.toFirst(ref, CategoryLearning, message) }

// Close closes an incident.
func (p *Person) Close(ref, message string) error { return p.toFirst(ref, CategoryClosed, message) }

// Reopen makes an incident live again, which the API can not.
func (p *Person) Reopen(ref, message string) error { return p.toFirst(ref, CategoryLive, message) }

// SetSeverity changes the severity.
func (p *Person) SetSeverity(ref, severity, message string) error {
	return p.on(ref, func(i *incident, by Actor) error {
		sev := p.s.severityNamed(severity)
		if sev == nil {
			return fmt.Errorf("severity %q: there is none", severity)
		}
		p.s.change(i, by, message, func() { i.severity = sev.ID })
		return nil
	})
}

// Message shares an update that changes nothing.
func (p *Person) Message(ref, message string) error {
	return p.on(ref, func(i *incident, by Actor) error {
		p.s.change(i, by, message, func() {})
		return nil
	})
}

// AssignRole gives a role (by name, type, short form or id) to somebody, himself for instance.
func (p *Person) AssignRole(ref, role, email string) error {
	return p.role(ref, role, func() (string, error) {
		u := p.s.settings.userByEmail(email)
		if u == nil {
			return "", fmt.Errorf("person %q: not in the account", email)
		}
		return u.ID, nil
	})
}

// UnassignRole takes a role from whoever holds it.
func (p *Person) UnassignRole(ref, role string) error {
	return p.role(ref, role, func() (string, error) { return "", nil })
}

func (p *Person) role(ref, role string, user func() (string, error)) error {
	return p.on(ref, func(i *incident, by Actor) error {
		n := slices.IndexFunc(p.s.settings.roles, func(r Role) bool {
			return r.ID == role || strings.EqualFold(r.Name, role) || r.RoleType == role || (r.Shortform != "" && r.Shortform == role)
		})
		if n < 0 {
			return fmt.Errorf("role %q: there is none", role)
		}
		id, err := user()
		if err != nil {
			return err
		}
		p.s.change(i, by, "", func() { i.setRoles(map[string]string{p.s.settings.roles[n].ID: id}) })
		return nil
	})
}

// EditSummary writes the summary anew.
func (p *Person) EditSummary(ref, summary string) error {
	return p.on(ref, func(i *incident, by Actor) error {
		p.s.change(i, by, "", func() { i.summary = summary })
		return nil
	})
}

// Rename gives the incident another name.
func (p *Person) Rename(ref, name string) error {
	return p.on(ref, func(i *incident, by Actor) error {
		p.s.change(i, by, "", func() { i.name = name })
		return nil
	})
}

// MakePrivate makes an incident private. From then on its webhooks tell only ids.
func (p *Person) MakePrivate(ref string) error {
	return p.on(ref, func(i *incident, by Actor) error {
		p.s.change(i, by, "", func() { i.visibility = "private" })
		return nil
	})
}

// Merge merges an incident into another.
func (p *Person) Merge(ref, into string) error {
	return p.on(ref, func(i *incident, by Actor) error {
		target := p.s.find(into, true)
		if target == nil || target == i {
			return fmt.Errorf("incident %q: there is none to merge into", into)
		}
		if up := p.s.change(i, by, "", func() { i.status = p.s.settings.firstStatus(CategoryMerged).ID }); up != nil {
			up.MergedIntoIncidentID = target.id
		}
		return nil
	})
}

// SetField sets a custom field (by name or id) to values: options by their text or id, catalog entries by name, id,
// external id or alias, else the text, link or number itself. Without values it is cleared.
func (p *Person) SetField(ref, field string, values ...string) error {
	return p.on(ref, func(i *incident, by Actor) error {
		a := &p.s.settings
		n := slices.IndexFunc(a.fields, func(f CustomField) bool { return f.ID == field || strings.EqualFold(f.Name, field) })
		if n < 0 {
			return fmt.Errorf("custom field %q: there is none", field)
		}
		f := &a.fields[n]
		k := &checked{s: p.s}
		set := fieldSet{field: f.ID}
		for _, v := range values {
			fv, ok := k.value(f, p.s.worded(f, v), "value")
			if !ok {
				return fmt.Errorf("custom field %q: %w", field, k.err())
			}
			set.values = append(set.values, fv)
		}
		p.s.change(i, by, "", func() { i.setField(set) })
		return nil
	})
}

// worded is the request's value for a person's word.
func (s *Simulator) worded(f *CustomField, v string) valueIn {
	switch {
	case f.CatalogTypeID != "":
		for i := range s.settings.entries {
			if e := &s.settings.entries[i]; e.CatalogTypeID == f.CatalogTypeID && e.is(v, true) {
				return valueIn{Entry: &e.ID}
			}
		}
		return valueIn{Entry: &v}
	case f.FieldType == "text":
		return valueIn{Text: &v}
	case f.FieldType == "link":
		return valueIn{Link: &v}
	case f.FieldType == "numeric":
		return valueIn{Numeric: &v}
	}
	for _, o := range s.settings.optionsOf(f.ID) {
		if strings.EqualFold(o.Value, v) {
			v = o.ID
		}
	}
	return valueIn{Option: &v}
}

// NewIncident is what a person declares. Status, Severity and Type are names or ids; the first live status, the least
// severity and the default type if empty.
type NewIncident struct {
	Name     string              `json:"name"`
	Summary  string              `json:"summary,omitempty"`
	Status   string              `json:"status,omitempty"`
	Severity string              `json:"severity,omitempty"`
	Type     string              `json:"type,omitempty"`
	Mode     string              `json:"mode,omitempty"`
	Private  bool                `json:"private,omitempty"`
	Fields   map[string][]string `json:"fields,omitempty"` // custom field by name or id to values, as SetField takes them
}

// Declare declares an incident and returns its reference. The person is its reporter.
func (p *Person) Declare(in NewIncident) (ref string, err error) {
	err = p.act(func(by Actor) error {
		a := &p.s.settings
		i := &incident{name: in.Name, summary: in.Summary, mode: in.Mode, status: a.firstStatus(CategoryLive).ID, severity: a.severities[0].ID, roles: map[string]string{}}
		if in.Status != "" {
			st := p.s.statusNamed(in.Status)
			if st == nil {
				return fmt.Errorf("status %q: there is none", in.Status)
			}
			i.status = st.ID
		}
		if in.Severity != "" {
			sev := p.s.severityNamed(in.Severity)
			if sev == nil {
				return fmt.Errorf("severity %q: there is none", in.Severity)
			}
			i.severity = sev.ID
		}
		if in.Private {
			i.visibility = "private"
		}
		for _, t := range a.types {
			if in.Type != "" && (t.ID == in.Type || strings.EqualFold(t.Name, in.Type)) {
				i.typ = t.ID
			}
		}
		for _, r := range a.roles {
			if r.RoleType == "reporter" {
				i.roles[r.ID] = by.User.ID
			}
		}
		p.s.declare(i, in.Name, by)
		ref = p.s.reference(i)
		return nil
	})
	for f, values := range in.Fields {
		if err == nil {
			err = p.SetField(ref, f, values...)
		}
	}
	return ref, err
}

// AddTimelineItem adds an item to the timeline, as of a time (now if zero), and returns its id.
func (p *Person) AddTimelineItem(ref, title, description string, at time.Time) (id string, err error) {
	err = p.on(ref, func(i *incident, by Actor) error {
		id = p.s.addTimeline(i, by, title, description, at).ID
		return nil
	})
	return id, err
}
