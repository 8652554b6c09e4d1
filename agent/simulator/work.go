package simulator

import (
	"net/http"
	"time"
)

// Actions and follow-ups: they take no idempotency key.

func (s *Simulator) createAction(c *call) (int, any, *apiError) {
	var in struct {
		IncidentID  string `json:"incident_id" rule:"required"`
		Description string `json:"description" rule:"required"`
		AssigneeID  string `json:"assignee_id"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	i, e := s.named("incident_id", in.IncidentID)
	if e != nil {
		return no(e)
	}
	u, e := s.assignee(in.AssigneeID)
	if e != nil {
		return no(e)
	}
	return created("action", s.addAction(i, s.by(), in.Description, u))
}

func (s *Simulator) assignee(id string) (*User, *apiError) {
	if id == "" {
		return nil, nil
	}
	m := known(&s.settings, s.settings.user(id), id)
	if m == nil || !m.Active {
		return nil, refuse("assignee_id", codeNotFound, "no such user")
	}
	u := m.User
	return &u, nil
}

func (s *Simulator) addAction(i *incident, by Actor, description string, u *User) *Action {
	now := s.now()
	a := &Action{ID: s.idOf("action", description), IncidentID: i.id, Description: description, Status: "outstanding", Assignee: u, Creator: by, CreatedAt: now, UpdatedAt: now}
	s.incident.actions = append(s.incident.actions, a)
	s.tellAction("action_created_v1", a)
	return a
}

func (s *Simulator) createFollowUp(c *call) (int, any, *apiError) {
	var in struct {
		IncidentID     string   `json:"incident_id" rule:"required"`
		Title          string   `json:"title" rule:"required,max=255"`
		Description    string   `json:"description"`
		AssigneeID     string   `json:"assignee_id"`
		AssigneeTeamID string   `json:"assignee_team_id"`
		Labels         []string `json:"labels"`
		IssueID        string   `json:"external_issue_reference_id"`
		CategoryID     string   `json:"follow_up_category_id"`
		PriorityID     string   `json:"follow_up_priority_option_id"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	i, e := s.named("incident_id", in.IncidentID)
	if e != nil {
		return no(e)
	}
	u, e := s.assignee(in.AssigneeID)
	if e != nil {
		return no(e)
	}
	f := FollowUp{Title: in.Title, Description: in.Description, Labels: listOf(in.Labels), Assignee: u}
	if in.AssigneeTeamID != "" {
		t := known(&s.settings, s.settings.team(in.AssigneeTeamID), in.AssigneeTeamID)
		if t == nil {
			return no(refuse("assignee_team_id", codeNotFound, "no such team"))
		}
		f.AssigneeTeam = &NamedTeam{ID: t.ID, Name: t.Name}
	}
	for _, v := range [][2]string{{in.IssueID, "external_issue_reference_id"}, {in.CategoryID, "follow_up_category_id"}, {in.PriorityID, "follow_up_priority_option_id"}} {
		if v[0] != "" { // the account has none of these
			return no(refuse(v[1], codeNotFound, "no such %s", v[1]))
		}
	}
	return created("follow_up", s.addFollowUp(i, s.by(), f))
}

func (s *Simulator) addFollowUp(i *incident, by Actor, f FollowUp) *FollowUp {
	now := s.now()
	f.ID, f.IncidentID, f.Status, f.Creator, f.CreatedAt, f.UpdatedAt = s.idOf("follow-up", f.Title), i.id, "outstanding", by, now, now
	s.incident.followUps = append(s.incident.followUps, &f)
	s.tellFollowUp("follow_up_created_v2", &f)
	return &f
}

// workFilter is what the four lists of actions and follow-ups have in common.
func (s *Simulator) workFilter(c *call) func(incident string, updated time.Time) bool {
	id := c.q.plain("incident_id")
	mode := c.q.enum("incident_mode", "", "standard", "retrospective", "test", "tutorial", "stream")
	when := c.q.span("updated_at")
	return func(incident string, updated time.Time) bool {
		i := s.incident.byID[incident]
		fits := i.mode == mode || (mode == "" && (id != "" || i.mode == "standard" || i.mode == "retrospective"))
		return s.visible(i) && fits && (id == "" || id == incident) && when.holds(updated)
	}
}

func (s *Simulator) listActions(c *call) (int, any, *apiError) {
	p, pass := c.q.page(250), s.workFilter(c)
	if e := c.q.done(); e != nil {
		return no(e)
	}
	list, meta, e := cut(s.incident.actions, p, func(a *Action) string { return a.ID }, func(a *Action) bool { return pass(a.IncidentID, a.UpdatedAt) })
	if e != nil {
		return no(e)
	}
	return http.StatusOK, map[string]any{"actions": list, "pagination_meta": meta}, nil
}

func (s *Simulator) listFollowUps(c *call) (int, any, *apiError) {
	p, pass := c.q.page(250), s.workFilter(c)
	if e := c.q.done(); e != nil {
		return no(e)
	}
	list, meta, e := cut(s.incident.followUps, p, func(f *FollowUp) string { return f.ID }, func(f *FollowUp) bool { return pass(f.IncidentID, f.UpdatedAt) })
	if e != nil {
		return no(e)
	}
	return http.StatusOK, map[string]any{"follow_ups": list, "pagination_meta": meta}, nil
}

// The V2 lists have no pages.

func (s *Simulator) listActionsV2(c *call) (int, any, *apiError) {
	pass := s.workFilter(c)
	out := []*Action{}
	for _, a := range s.incident.actions {
		if pass(a.IncidentID, a.UpdatedAt) {
			out = append(out, a)
		}
	}
	return whole(c, "actions", out)
}

func (s *Simulator) listFollowUpsV2(c *call) (int, any, *apiError) {
	pass, team := s.workFilter(c), c.q.plain("assignee_team_id")
	out := []*FollowUp{}
	for _, f := range s.incident.followUps {
		if pass(f.IncidentID, f.UpdatedAt) && (team == "" || (f.AssigneeTeam != nil && f.AssigneeTeam.ID == team)) {
			out = append(out, f)
		}
	}
	return whole(c, "follow_ups", out)
}
