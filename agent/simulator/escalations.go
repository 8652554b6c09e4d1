package simulator

import (
	"net/http"
	"slices"
)

// escalation is one escalation by its ids; showEscalationOf makes the API's object of it.
type escalation struct {
	e        Escalation // without what it is related to
	incident []string
	alert    []string
}

func (s *Simulator) render(v *escalation) Escalation {
	e := v.e
	e.Events = slices.Clone(v.e.Events)
	e.RelatedAlerts, e.RelatedIncidents = []AlertSlim{}, []IncidentSlim{}
	for _, id := range v.incident {
		e.RelatedIncidents = append(e.RelatedIncidents, s.slim(s.incident.byID[id]))
	}
	for _, id := range v.alert {
		if a := find(s.alert.list, id, func(a *Alert) string { return a.ID }); a != nil {
			e.RelatedAlerts = append(e.RelatedAlerts, a.slim())
		}
	}
	return e
}

func (s *Simulator) createEscalation(c *call) (int, any, *apiError) {
	var in struct {
		IdempotencyKey string   `json:"idempotency_key" rule:"required"`
		Title          string   `json:"title" rule:"required,max=255"`
		Description    string   `json:"description"`
		PathID         string   `json:"escalation_path_id"`
		UserIDs        []string `json:"user_ids"`
		IncidentID     string   `json:"incident_id"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	if id, again := s.repeated(c, "escalation", in.IdempotencyKey); again {
		return created("escalation", s.render(s.escalationByID(id)))
	}
	if (in.PathID == "") == (len(in.UserIDs) == 0) {
		return no(refuse("escalation_path_id", codeRequired, "exactly one of escalation_path_id and user_ids is required"))
	}
	var users []User
	if in.PathID != "" {
		p := known(&s.settings, s.settings.path(in.PathID), in.PathID)
		if p == nil {
			return no(refuse("escalation_path_id", codeNotFound, "no such escalation path"))
		}
		users = p.CurrentResponders
	}
	for _, id := range in.UserIDs {
		u := known(&s.settings, s.settings.user(id), id)
		if u == nil {
			return no(refuse("user_ids", codeNotFound, "no such user"))
		}
		users = append(users, u.User)
	}
	v := &escalation{e: Escalation{Title: in.Title, Description: in.Description, EscalationPathID: in.PathID, UserIDs: in.UserIDs, IdempotencyKey: in.IdempotencyKey}}
	if in.IncidentID != "" {
		i, e := s.named("incident_id", in.IncidentID)
		if e != nil {
			return no(e)
		}
		v.incident = []string{i.id}
	}
	s.page(v, Actor{}, users) // the API has no word for a key as the creator of an escalation
	s.keep(c, "escalation", in.IdempotencyKey, v.e.ID)
	return created("escalation", s.render(v))
}

// page starts an escalation: it is triggered at once and its people are notified.
func (s *Simulator) page(v *escalation, by Actor, users []User) {
	now := s.now()
	v.e.ID, v.e.Creator, v.e.Priority, v.e.Status, v.e.CreatedAt, v.e.UpdatedAt = s.idOf("escalation", v.e.IdempotencyKey+v.e.Title), by, Priority{Name: "P1"}, "triggered", now, now
	v.e.Events = []EscalationEvent{{ID: s.newID(), Event: "triggered", OccurredAt: now}}
	if len(users) > 0 {
		v.e.Events = append(v.e.Events, EscalationEvent{ID: s.newID(), Event: "notified_users", OccurredAt: now, Urgency: "high", Users: slices.Clone(users)})
	}
	s.alert.escalations = append(s.alert.escalations, v)
	s.tellEscalation(v)
}

// setEscalation moves an escalation on and tells who did it.
func (s *Simulator) setEscalation(v *escalation, status string, by Actor) {
	before := v.e.Status
	if before == status {
		return
	}
	now := s.now()
	v.e.Status, v.e.UpdatedAt = status, now
	if slices.Contains([]string{"triggered", "acked", "cancelled", "resolved", "expired"}, status) {
		ev := EscalationEvent{ID: s.newID(), Event: status, OccurredAt: now}
		if by.User != nil {
			ev.Users = []User{*by.User}
		}
		v.e.Events = append(slices.Clone(v.e.Events), ev)
	}
	s.tellEscalationStatus(v, before, by)
}

func (s *Simulator) escalationByID(id string) *escalation {
	return find(s.alert.escalations, id, func(v *escalation) string { return v.e.ID })
}

// sees tells whether the API key sees an escalation: not that of a private incident only.
func (s *Simulator) sees(v *escalation) bool {
	return !slices.ContainsFunc(v.incident, func(id string) bool { return !s.visible(s.incident.byID[id]) })
}

func (s *Simulator) showEscalation(c *call) (int, any, *apiError) {
	if e := c.q.done(); e != nil {
		return no(e)
	}
	v := s.escalationByID(c.params["id"])
	if v == nil || !s.sees(v) {
		return no(missing("Escalation", c.params["id"]))
	}
	return ok("escalation", s.render(v))
}

func (s *Simulator) listEscalations(c *call) (int, any, *apiError) {
	q := c.q
	p := q.page(50)
	path, status := q.one("escalation_path", "one_of", "not_in"), q.one("status", "one_of", "not_in")
	alert, inc := q.one("alert", "one_of", "not_in"), q.one("incident", "one_of", "not_in")
	made, moved, key := q.span("created_at"), q.span("updated_at"), q.one("idempotency_key", "is", "starts_with")
	if e := q.done(); e != nil {
		return no(e)
	}
	newest := slices.Clone(s.alert.escalations)
	slices.Reverse(newest)
	list, meta, e := cut(newest, p, func(v *escalation) string { return v.e.ID }, func(v *escalation) bool {
		incidents := slices.Clone(v.incident)
		for _, t := range s.alert.ties {
			if slices.Contains(v.alert, t.alert) {
				incidents = append(incidents, t.incident)
			}
		}
		return s.sees(v) && inSet(path, v.e.EscalationPathID) && inSet(status, v.e.Status) && inSet(alert, v.alert...) && inSet(inc, incidents...) &&
			made.holds(v.e.CreatedAt) && moved.holds(v.e.UpdatedAt) && inSet(key, v.e.IdempotencyKey)
	})
	if e != nil {
		return no(e)
	}
	out := []Escalation{}
	for _, v := range list {
		out = append(out, s.render(v))
	}
	return http.StatusOK, map[string]any{"escalations": out, "pagination_meta": meta}, nil
}

func (s *Simulator) listPaths(c *call) (int, any, *apiError) {
	p := c.q.page(25)
	if e := c.q.done(); e != nil {
		return no(e)
	}
	list, meta, e := cut(left(&s.settings, s.settings.paths, func(v EscalationPath) string { return v.ID }), p, func(v EscalationPath) string { return v.ID }, all)
	if e != nil {
		return no(e)
	}
	return http.StatusOK, map[string]any{"escalation_paths": list, "pagination_meta": meta}, nil
}

func (s *Simulator) createPath(c *call) (int, any, *apiError) {
	var in struct {
		Name         string   `json:"name" rule:"required,max=255"`
		Path         []any    `json:"path" rule:"present"`
		TeamIDs      []string `json:"team_ids"`
		RepeatConfig any      `json:"repeat_config"`
		WorkingHours []any    `json:"working_hours"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	if len(in.Path) == 0 {
		return no(refuse("path", codeRequired, "a path needs a node"))
	}
	for _, id := range in.TeamIDs {
		if s.settings.team(id) == nil {
			return no(refuse("team_ids", codeNotFound, "no such team"))
		}
	}
	v := EscalationPath{ID: s.newID(), Name: in.Name, Path: in.Path, TeamIDs: listOf(in.TeamIDs), RepeatConfig: in.RepeatConfig, WorkingHours: in.WorkingHours}
	s.settings.paths = append(s.settings.paths, v)
	return created("escalation_path", v)
}
