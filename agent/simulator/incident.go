package simulator

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// incidents holds the incidents and what hangs on them, each list oldest first. Guarded by Simulator.mu.
type incidents struct {
	list        []*incident
	byID        map[string]*incident
	updates     []*Update
	timeline    []*TimelineItem
	actions     []*Action
	followUps   []*FollowUp
	postmortems []*Postmortem
	attachments []*Attachment
}

// incident is one incident by its ids; show makes the API's object of it.
type incident struct {
	id         string
	number     int64
	name       string
	summary    string
	mode       string
	visibility string
	callURL    string
	slackName  string
	docURL     string
	message    string // of the last update
	status     string
	severity   string // empty: none yet
	typ        string
	roles      map[string]string // role id to user id
	fields     []fieldSet
	stamps     map[string]*time.Time
	docs       []string
	creator    Actor
	byKey      bool
	created    time.Time
	updated    time.Time
}

// fieldSet is a custom field of an incident that has, or once had, values.
type fieldSet struct {
	field  string
	values []fieldValue
}

// fieldValue is one value; the member of the field's type is set.
type fieldValue struct{ option, entry, text, link, numeric string }

func (s *Simulator) reference(i *incident) string { return "INC-" + strconv.FormatInt(i.number, 10) }

func (s *Simulator) show(i *incident) Incident {
	a := &s.settings
	v := Incident{
		ID: i.id, Reference: s.reference(i), Name: i.name, Summary: i.summary, Status: *a.status(i.status), Mode: i.mode, Visibility: i.visibility,
		Permalink: fmt.Sprintf("https://app.incident.io/%s/incidents/%d", s.o.OrgSlug, i.number), CallURL: i.callURL,
		SlackTeamID: "T02A1FSLE8J", SlackChannelID: "C" + i.id[len(i.id)-10:], SlackChannelName: i.slackName,
		PostmortemDocumentIDs: listOf(i.docs), PostmortemDocumentURL: i.docURL,
		RoleAssignments: []RoleAssignment{}, CustomFieldEntries: []FieldEntry{}, TimestampValues: []TimestampValue{},
		Creator: i.creator, CreatedAt: i.created, UpdatedAt: i.updated,
	}
	if sev := a.severity(i.severity); sev != nil {
		c := *sev
		v.Severity = &c
	}
	if t := a.typ(i.typ); t != nil {
		c := *t
		v.Type = &c
	}
	for _, r := range a.roles {
		if a.gone[r.ID] && i.roles[r.ID] == "" {
			continue
		}
		ra := RoleAssignment{Role: EmbeddedRole{Role: r}}
		if u := a.user(i.roles[r.ID]); u != nil {
			c := u.User
			ra.Assignee = &c
		}
		v.RoleAssignments = append(v.RoleAssignments, ra)
	}
	for _, f := range i.fields {
		v.CustomFieldEntries = append(v.CustomFieldEntries, s.showField(f))
	}
	for _, t := range a.timestamps {
		tv := TimestampValue{Timestamp: t}
		if at := i.stamps[t.ID]; at != nil {
			c := *at
			tv.Value = &TimeValue{Value: &c}
		}
		v.TimestampValues = append(v.TimestampValues, tv)
	}
	return v
}

func (s *Simulator) showField(f fieldSet) FieldEntry {
	a := &s.settings
	cf := a.field(f.field)
	e := FieldEntry{CustomField: FieldInfo{ID: cf.ID, Name: cf.Name, Description: cf.Description, FieldType: cf.FieldType, Options: a.optionsOf(cf.ID)}, Values: []FieldValue{}}
	for _, v := range f.values {
		out := FieldValue{Text: v.text, Link: v.link, Numeric: v.numeric}
		if o := a.option(v.option); o != nil {
			c := *o
			out.Option = &c
		}
		if c := a.entry(v.entry); c != nil {
			out.Entry = &EntryRef{ID: c.ID, Name: c.Name, ExternalID: c.ExternalID, Aliases: slices.Clone(c.Aliases)}
		}
		e.Values = append(e.Values, out)
	}
	return e
}

// slim is an incident as alerts and escalations embed it, with the other words for two categories.
func (s *Simulator) slim(i *incident) IncidentSlim {
	category := s.settings.status(i.status).Category
	switch category {
	case CategoryLive:
		category = "active"
	case CategoryLearning:
		category = "post-incident"
	}
	return IncidentSlim{ID: i.id, ExternalID: i.number, Name: i.name, Reference: s.reference(i), StatusCategory: category, Summary: i.summary, Visibility: i.visibility}
}

// shadow is an incident without what moves by itself, to see whether anything changed.
func (s *Simulator) shadow(i *incident) []byte {
	v := s.show(i)
	v.UpdatedAt = time.Time{}
	return mustJSON(v)
}

// by is who does something through the API.
func (s *Simulator) by() Actor { k := s.key; return Actor{APIKey: &k} }

// change does something to an incident and writes what follows from it: updated_at where what the incident shows is
// another now, an incident update where status or severity moved or there is a message, and the webhooks. A message
// alone moves no updated_at and sends no webhook. The caller holds mu.
func (s *Simulator) change(i *incident, by Actor, message string, f func()) *Update {
	before, status, severity := s.shadow(i), i.status, i.severity
	f()
	changed := !bytes.Equal(before, s.shadow(i))
	var up *Update
	if i.status != status || i.severity != severity || message != "" {
		up = s.addUpdate(i, by, message)
	}
	if !changed {
		return up
	}
	i.updated = s.now()
	if i.status != status {
		s.tellStatus(i, status, message)
	}
	s.tellIncident("incident_updated_v2", i)
	return up
}

func (s *Simulator) addUpdate(i *incident, by Actor, message string) *Update {
	up := &Update{ID: s.newID(), IncidentID: i.id, Message: message, NewStatus: *s.settings.status(i.status), Updater: by, CreatedAt: s.now()}
	if sev := s.settings.severity(i.severity); sev != nil {
		c := *sev
		up.NewSeverity = &c
	}
	if message != "" {
		i.message = message
	}
	s.incident.updates = append(s.incident.updates, up)
	return up
}

// declare adds an incident, with its first update, and tells of it. The caller has set everything but what is set here;
// its id is made for what it comes from, a key or a name.
func (s *Simulator) declare(i *incident, from string, by Actor) {
	if s.incident.byID == nil {
		s.incident.byID = map[string]*incident{}
	}
	i.id, i.number = s.idOf("incident", from), int64(len(s.incident.list)+1)
	i.created = s.now()
	i.updated = i.created
	i.creator = by
	if i.roles == nil {
		i.roles = map[string]string{}
	}
	if i.stamps == nil {
		i.stamps = map[string]*time.Time{}
	}
	def(&i.mode, "standard")
	def(&i.visibility, "public")
	def(&i.name, "Incident "+strconv.FormatInt(i.number, 10))
	if i.typ == "" {
		for _, t := range s.settings.types {
			if t.IsDefault {
				i.typ = t.ID
			}
		}
	}
	def(&i.slackName, "inc-"+strconv.FormatInt(i.number, 10))
	s.incident.list = append(s.incident.list, i)
	s.incident.byID[i.id] = i
	s.addUpdate(i, by, "")
	s.tellIncident("incident_created_v2", i)
}

// find takes an id, the numeric part of a reference, or with any also a reference.
func (s *Simulator) find(id string, any bool) *incident {
	if i, ok := s.incident.byID[id]; ok {
		return i
	}
	for _, i := range s.incident.list {
		if n := strconv.FormatInt(i.number, 10); n == id || (any && "INC-"+n == id) {
			return i
		}
	}
	return nil
}

// visible tells whether the API key sees an incident: private ones need a role, or to be its own.
func (s *Simulator) visible(i *incident) bool {
	return i != nil && (i.visibility != "private" || i.byKey || s.hasRole("global_access"))
}

// named finds the incident that a request's field names, by its id only.
func (s *Simulator) named(field, id string) (*incident, *apiError) {
	i := s.incident.byID[id]
	if !s.visible(i) {
		return nil, refuse(field, codeNotFound, "no such incident")
	}
	return i, nil
}

func (f fieldSet) clone() fieldSet { return fieldSet{f.field, slices.Clone(f.values)} }

// setField sets a custom field; no values clear it, which still shows as an entry without values.
func (i *incident) setField(f fieldSet) {
	for n := range i.fields {
		if i.fields[n].field == f.field {
			i.fields[n] = f.clone()
			return
		}
	}
	if len(f.values) > 0 {
		i.fields = append(i.fields, f.clone())
	}
}

func (i *incident) setRoles(roles map[string]string) {
	maps.Copy(i.roles, roles)
	maps.DeleteFunc(i.roles, func(_, user string) bool { return user == "" })
}
