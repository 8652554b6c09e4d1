package simulator

import (
	"net/http"
	"slices"
	"strings"
)

const sourceTypes = "alertmanager app_optics azure_monitor big_panda bugsnag checkly chronosphere cloudwatch cloudflare coralogix cronitor crowdstrike_falcon dash0 datadog dynatrace elasticsearch email expel github_issue google_cloud grafana heartbeat http http_custom honeycomb incoming_calls jira jsm monte_carlo nagios new_relic opsgenie prtg pager_duty panther pingdom runscope sns sentry sentry_metric service_now splunk status_cake status_page_views sumo_logic uptime vercel wiz zendesk"

type textIn struct {
	Literal   string `json:"literal"`
	Reference string `json:"reference"`
}

type templateIn struct {
	Title          textIn `json:"title" rule:"present"`
	Description    textIn `json:"description" rule:"present"`
	Attributes     []any  `json:"attributes" rule:"present"`
	Expressions    []any  `json:"expressions" rule:"present"`
	IsPrivate      bool   `json:"is_private"`
	VisibleToTeams any    `json:"visible_to_teams"`
}

type heartbeatIn struct {
	IntervalSeconds    int64 `json:"interval_seconds" rule:"present"`
	GracePeriodSeconds int64 `json:"grace_period_seconds"`
	FailureThreshold   int64 `json:"failure_threshold"`
}

type sourceIn struct {
	Name          string       `json:"name" rule:"required,max=255"`
	SourceType    string       `json:"source_type" rule:"required"`
	Template      templateIn   `json:"template" rule:"present"`
	AutoResolve   *bool        `json:"auto_resolve_incident_alerts"`
	AutoTimeout   *int64       `json:"auto_resolve_timeout_minutes"`
	OwningTeamIDs []string     `json:"owning_team_ids"`
	Heartbeat     *heartbeatIn `json:"heartbeat_options"`
	Email         any          `json:"email_options"`
	HTTPCustom    any          `json:"http_custom_options"`
	Jira          any          `json:"jira_options"`
}

type sourceEdit struct {
	Name          string       `json:"name" rule:"required,max=255"`
	Template      templateIn   `json:"template" rule:"present"`
	Disabled      bool         `json:"disabled"`
	AutoResolve   *bool        `json:"auto_resolve_incident_alerts"`
	AutoTimeout   *int64       `json:"auto_resolve_timeout_minutes"`
	OwningTeamIDs []string     `json:"owning_team_ids"`
	Heartbeat     *heartbeatIn `json:"heartbeat_options"`
	Email         any          `json:"email_options"`
	HTTPCustom    any          `json:"http_custom_options"`
	Jira          any          `json:"jira_options"`
}

func (t templateIn) template() AlertTemplate {
	text := func(in textIn) TemplateText {
		return TemplateText{Label: in.Literal + in.Reference, Literal: in.Literal, Reference: in.Reference}
	}
	return AlertTemplate{Title: text(t.Title), Description: text(t.Description), Attributes: []any{}, Expressions: []any{}, IsPrivate: t.IsPrivate}
}

// check refuses a template with attributes or expressions: the account has no alert attributes to bind them to.
func (t templateIn) check() *apiError {
	if len(t.Attributes) > 0 {
		return refuse("template.attributes.0.alert_attribute_id", codeNotFound, "no such alert attribute")
	}
	if len(t.Expressions) > 0 {
		return refuse("template.expressions", codeInvalid, "the simulator has no expressions")
	}
	return nil
}

func (s *Simulator) listSources(c *call) (int, any, *apiError) {
	list := []AlertSource{}
	for _, v := range s.settings.sources {
		list = append(list, s.shown(v))
	}
	return whole(c, "alert_sources", list)
}

// shown is an alert source as this key sees it: its token is for those who may set sources up.
func (s *Simulator) shown(src *AlertSource) AlertSource {
	v := *src
	if !s.hasRole("on_call_editor") && !s.hasRole("manage_settings") {
		v.SecretToken = ""
	}
	return v
}

func (s *Simulator) showSource(c *call) (int, any, *apiError) {
	if e := c.q.done(); e != nil {
		return no(e)
	}
	src := s.settings.source(c.params["id"])
	if src == nil {
		return no(missing("Alert source", c.params["id"]))
	}
	return ok("alert_source", s.shown(src))
}

func (s *Simulator) createSource(c *call) (int, any, *apiError) {
	var in sourceIn
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	switch {
	case !slices.Contains(strings.Fields(sourceTypes), in.SourceType):
		return no(refuse("source_type", codeInvalid, "%q is no source type", in.SourceType))
	case in.SourceType == "heartbeat" && in.Heartbeat == nil:
		return no(refuse("heartbeat_options", codeRequired, "a heartbeat source needs heartbeat_options"))
	}
	if e := in.Template.check(); e != nil {
		return no(e)
	}
	if slices.ContainsFunc(s.settings.sources, func(v *AlertSource) bool { return v.Name == in.Name }) {
		return no(refuse("name", "already_exists", "an alert source of that name exists"))
	}
	id := s.newID()
	src := s.httpSource(id, in.Name, strings.ToLower(s.newID()), true)
	src.SourceType, src.Template = in.SourceType, in.Template.template()
	src.AutoResolveIncidentAlerts, src.AutoResolveTimeoutMinutes, src.OwningTeamIDs = in.AutoResolve, in.AutoTimeout, in.OwningTeamIDs
	if in.SourceType == "heartbeat" {
		src.AlertEventsURL = ""
		src.HeartbeatOptions = s.heartbeat(id, *in.Heartbeat)
	}
	s.settings.sources = append(s.settings.sources, src)
	return ok("alert_source", src)
}

func (s *Simulator) heartbeat(id string, in heartbeatIn) *HeartbeatOptions {
	h := &HeartbeatOptions{IntervalSeconds: in.IntervalSeconds, GracePeriodSeconds: in.GracePeriodSeconds, FailureThreshold: in.FailureThreshold, PingURL: s.o.BaseURL + "/v2/heartbeat/" + id + "/ping"}
	def(&h.FailureThreshold, 1)
	return h
}

func (s *Simulator) updateSource(c *call) (int, any, *apiError) {
	src := s.settings.source(c.params["id"])
	if src == nil {
		return no(missing("Alert source", c.params["id"]))
	}
	var in sourceEdit
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	if e := in.Template.check(); e != nil {
		return no(e)
	}
	src.Name, src.Template, src.Disabled = in.Name, in.Template.template(), in.Disabled
	src.AutoResolveIncidentAlerts, src.AutoResolveTimeoutMinutes, src.OwningTeamIDs = in.AutoResolve, in.AutoTimeout, in.OwningTeamIDs
	if in.Heartbeat != nil && src.SourceType == "heartbeat" {
		src.HeartbeatOptions = s.heartbeat(src.ID, *in.Heartbeat)
	}
	return ok("alert_source", src)
}

func (s *Simulator) deleteSource(c *call) (int, any, *apiError) {
	n := len(s.settings.sources)
	s.settings.sources = slices.DeleteFunc(s.settings.sources, func(v *AlertSource) bool { return v.ID == c.params["id"] })
	if len(s.settings.sources) == n {
		return no(missing("Alert source", c.params["id"]))
	}
	return http.StatusNoContent, nil, nil
}
