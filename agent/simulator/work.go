package simulator

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
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
	a := &Action{ID: s.newID(), IncidentID: i.id, Description: description, Status: "outstanding", Assignee: u, Creator: by, CreatedAt: now, UpdatedAt: now}
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
	f.ID, f.IncidentID, f.Status, f.Creator, f.CreatedAt, f.UpdatedAt = s.newID(), i.id, "outstanding", by, now, now
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

// Post-mortem documents and attachments.

func (s *Simulator) importPostmortem(c *call) (int, any, *apiError) {
	i := s.incident.byID[c.params["id"]]
	if !s.visible(i) {
		return no(missing("Incident", c.params["id"]))
	}
	var in struct {
		Title   string `json:"title" rule:"required,max=255"`
		Content string `json:"content" rule:"required"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	return created("postmortem_document", s.addPostmortem(i, s.by(), in.Title, in.Content))
}

func (s *Simulator) addPostmortem(i *incident, by Actor, title, content string) *Postmortem {
	now, id := s.now(), s.newID()
	d := &Postmortem{ID: id, IncidentID: i.id, Title: title, Content: content, Status: "in_progress", Type: "in_app", Editors: []User{}, ExportedURLs: []string{},
		DocumentURL: "https://app.incident.io/" + s.o.OrgSlug + "/incidents/" + strconv.FormatInt(i.number, 10) + "/post-mortems/" + id, CreatedAt: now, UpdatedAt: now}
	if by.User != nil {
		d.Editors = []User{*by.User}
	}
	s.incident.postmortems = append(s.incident.postmortems, d)
	s.change(i, by, "", func() { i.docs = append(slices.Clone(i.docs), d.ID) })
	return d
}

func (s *Simulator) listPostmortems(c *call) (int, any, *apiError) {
	p, id := c.q.page(250), c.q.plain("incident_id")
	order := c.q.enum("sort_by", "created_at_newest_first", "created_at_newest_first", "created_at_oldest_first")
	if e := c.q.done(); e != nil {
		return no(e)
	}
	all := slices.Clone(s.incident.postmortems)
	if order == "created_at_newest_first" {
		slices.Reverse(all)
	}
	list, meta, e := cut(all, p, func(d *Postmortem) string { return d.ID }, func(d *Postmortem) bool {
		return (id == "" || d.IncidentID == id) && s.visible(s.incident.byID[d.IncidentID])
	})
	if e != nil {
		return no(e)
	}
	return http.StatusOK, map[string]any{"postmortem_documents": list, "pagination_meta": meta}, nil
}

const resourceTypes = "pager_duty_incident|opsgenie_alert|datadog_monitor_alert|github_pull_request|gitlab_merge_request|sentry_issue|jira_issue|jsm_alert|atlassian_statuspage_incident|zendesk_ticket|google_calendar_event|outlook_calendar_event|slack_file|salesforce_case|arbitrary_url|scrubbed|statuspage_incident"

func (s *Simulator) createAttachment(c *call) (int, any, *apiError) {
	var in struct {
		IncidentID string `json:"incident_id" rule:"required"`
		Resource   struct {
			ResourceType string `json:"resource_type" rule:"required"`
			ExternalID   string `json:"external_id"`
			URL          string `json:"url"`
			Title        string `json:"title"`
			Emoji        string `json:"emoji"`
		} `json:"resource" rule:"present"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	i, e := s.named("incident_id", in.IncidentID)
	if e != nil {
		return no(e)
	}
	r := in.Resource
	free := r.ResourceType == "arbitrary_url"
	switch {
	case !isResourceType(r.ResourceType):
		return no(refuse("resource.resource_type", codeInvalid, "%q is no resource type", r.ResourceType))
	case (r.URL == "") == (r.ExternalID == ""):
		return no(refuse("resource", codeInvalid, "exactly one of external_id and url is required"))
	case free && r.URL == "":
		return no(refuse("resource.url", codeRequired, "an arbitrary_url needs a url"))
	case !free && (r.Title != "" || r.Emoji != ""):
		return no(refuse("resource.title", codeInvalid, "title and emoji are for arbitrary_url only"))
	}
	at := &Attachment{ID: s.newID(), IncidentID: i.id, Resource: AttachmentResource{ResourceType: r.ResourceType, ExternalID: r.ExternalID + r.URL, Permalink: r.URL, Title: r.Title}}
	def(&at.Resource.Title, at.Resource.ExternalID)
	def(&at.Resource.Permalink, at.Resource.ExternalID)
	s.incident.attachments = append(s.incident.attachments, at)
	return created("incident_attachment", at)
}

func (s *Simulator) listAttachments(c *call) (int, any, *apiError) {
	id, ext, typ := c.q.plain("incident_id"), c.q.plain("external_id"), c.q.plain("resource_type")
	if id == "" && (ext == "" || typ == "") {
		c.q.errs = append(c.q.errs, fieldErrorItem("incident_id", codeRequired, "incident_id, or external_id and resource_type, is required"))
	}
	out := []*Attachment{}
	for _, a := range s.incident.attachments {
		if s.visible(s.incident.byID[a.IncidentID]) && (id == "" || a.IncidentID == id) && (ext == "" || a.Resource.ExternalID == ext) && (typ == "" || a.Resource.ResourceType == typ) {
			out = append(out, a)
		}
	}
	return whole(c, "incident_attachments", out)
}

func isResourceType(t string) bool { return slices.Contains(strings.Split(resourceTypes, "|"), t) }
