package simulator

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Post-mortem documents and attachments: neither takes an idempotency key.

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
	now, id := s.now(), s.idOf("document", title)
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
