package simulator

import (
	"fmt"
	"slices"
)

// Snapshot is the whole account at one moment. It is a copy: changing it changes nothing.
type Snapshot struct {
	Incidents   []IncidentView `json:"incidents"` // oldest first
	Alerts      []Alert        `json:"alerts"`
	Escalations []Escalation   `json:"escalations"`
	AlertNotes  []AlertNote    `json:"alert_notes"`
	Pings       map[string]int `json:"heartbeat_pings"` // by heartbeat source
}

// IncidentView is an incident with all that hangs on it. Updates are oldest first; Timeline is by its items' time.
type IncidentView struct {
	Incident
	Updates     []Update       `json:"updates"`
	Timeline    []TimelineItem `json:"timeline"`
	Actions     []Action       `json:"actions"`
	FollowUps   []FollowUp     `json:"follow_ups"`
	Postmortems []Postmortem   `json:"postmortems"`
	Attachments []Attachment   `json:"attachments"`
	Alerts      []Alert        `json:"alerts"` // tied to it
	Escalations []Escalation   `json:"escalations"`
}

// Snapshot copies the account, private and test incidents included.
func (s *Simulator) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Snapshot{Incidents: []IncidentView{}, Alerts: copies(s.alert.list, always), Escalations: []Escalation{}, AlertNotes: copies(s.alert.notes, always), Pings: clone(s.alert.pings)}
	for _, i := range s.incident.list {
		out.Incidents = append(out.Incidents, s.view(i))
	}
	for _, v := range s.alert.escalations {
		out.Escalations = append(out.Escalations, s.render(v))
	}
	return out
}

// Incident is one incident, by id, reference or number.
func (s *Simulator) Incident(ref string) (IncidentView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(ref, true)
	if i == nil {
		return IncidentView{}, fmt.Errorf("incident %q: there is none", ref)
	}
	return s.view(i), nil
}

func (s *Simulator) view(i *incident) IncidentView {
	v := IncidentView{Incident: s.show(i), Timeline: copies(s.timelineOf(i.id), always), Alerts: []Alert{}, Escalations: []Escalation{},
		Updates:     copies(s.incident.updates, func(u *Update) bool { return u.IncidentID == i.id }),
		Actions:     copies(s.incident.actions, func(a *Action) bool { return a.IncidentID == i.id }),
		FollowUps:   copies(s.incident.followUps, func(f *FollowUp) bool { return f.IncidentID == i.id }),
		Postmortems: copies(s.incident.postmortems, func(d *Postmortem) bool { return d.IncidentID == i.id }),
		Attachments: copies(s.incident.attachments, func(a *Attachment) bool { return a.IncidentID == i.id }),
	}
	for _, t := range s.alert.ties {
		if t.incident == i.id {
			v.Alerts = append(v.Alerts, *find(s.alert.list, t.alert, func(a *Alert) string { return a.ID }))
		}
	}
	for _, e := range s.alert.escalations {
		if slices.Contains(e.incident, i.id) {
			v.Escalations = append(v.Escalations, s.render(e))
		}
	}
	return v
}

func always[T any](*T) bool { return true }

// copies are the elements that pass, by value. What their pointers point to is never changed in place.
func copies[T any](list []*T, pass func(*T) bool) []T {
	out := []T{}
	for _, v := range list {
		if pass(v) {
			out = append(out, *v)
		}
	}
	return out
}

// Account is what is set up in the account: its settings, by name and id.
type Account struct {
	Severities   []Severity       `json:"severities"`
	Statuses     []Status         `json:"incident_statuses"`
	Types        []IncidentType   `json:"incident_types"`
	Roles        []Role           `json:"incident_roles"`
	Fields       []CustomField    `json:"custom_fields"`
	Options      []FieldOption    `json:"custom_field_options"`
	Users        []User           `json:"users"`
	CatalogTypes []CatalogType    `json:"catalog_types"`
	Entries      []CatalogEntry   `json:"catalog_entries"`
	Teams        []Team           `json:"teams"`
	Sources      []AlertSource    `json:"alert_sources"`
	Paths        []EscalationPath `json:"escalation_paths"`
}

// Account copies the settings, what Remove took out included.
func (s *Simulator) Account() Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.settings
	out := Account{Severities: slices.Clone(a.severities), Statuses: slices.Clone(a.statuses), Types: slices.Clone(a.types), Roles: slices.Clone(a.roles),
		Fields: slices.Clone(a.fields), Options: slices.Clone(a.options), CatalogTypes: slices.Clone(a.catTypes), Entries: slices.Clone(a.entries),
		Teams: slices.Clone(a.teams), Sources: copies(a.sources, always), Paths: slices.Clone(a.paths)}
	for _, u := range a.users {
		out.Users = append(out.Users, u.User)
	}
	return out
}
