package simulator

import (
	"net/http"
	"slices"
)

// alerts holds alerts and what hangs on them, each list oldest first. Guarded by Simulator.mu.
type alerts struct {
	list        []*Alert
	ties        []*alertTie
	notes       []*AlertNote
	escalations []*escalation
	pings       map[string]int       // heartbeat source to how often it was pinged
	grouped     map[string]*incident // what the alert route made for each group last
}

// alertTie ties an alert to an incident.
type alertTie struct{ id, route, alert, incident string }

func (s *Simulator) alertEvent(c *call) (int, any, *apiError) {
	src := s.settings.source(c.params["id"])
	if src == nil || src.Disabled || src.SourceType != "http" {
		return no(missing("Alert source", c.params["id"]))
	}
	if e := sourceToken(c.r, src.SecretToken); e != nil {
		return no(e)
	}
	now := s.o.Now()
	if b := spend(now, s.rate.source(src.ID)); b != nil {
		return no(throttled(src.Name, b.size, b.wait(), now))
	}
	if len(c.body) > alertBodyLimit {
		return no(silentlyThrottled("The event is larger than 512 KB"))
	}
	var in struct {
		Title            string         `json:"title" rule:"required"`
		Status           string         `json:"status" rule:"required,enum=firing|resolved"`
		DeduplicationKey string         `json:"deduplication_key"`
		Description      string         `json:"description"`
		SourceURL        string         `json:"source_url"`
		Metadata         map[string]any `json:"metadata"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	if in.DeduplicationKey == "" {
		if src.RequireDeduplicationKey {
			return no(refuse("deduplication_key", codeRequired, "this alert source needs a deduplication_key"))
		}
		in.DeduplicationKey = s.newID()
	}
	ev := Alert{AlertSourceID: src.ID, DeduplicationKey: in.DeduplicationKey, Title: in.Title, Description: in.Description, SourceURL: in.SourceURL,
		Status: in.Status, Metadata: in.Metadata, Private: src.Template.IsPrivate}
	s.later(s.o.AlertDelay, func() { s.takeEvent(ev) })
	return http.StatusAccepted, map[string]any{"deduplication_key": in.DeduplicationKey, "message": "Event accepted for processing", "status": "success"}, nil
}

// takeEvent turns an event into an alert, once for each deduplication key of a source: a further firing event of a
// resolved alert makes it fire again, a resolve of none is nothing.
func (s *Simulator) takeEvent(ev Alert) {
	var a *Alert
	for _, v := range s.alert.list {
		if v.AlertSourceID == ev.AlertSourceID && v.DeduplicationKey == ev.DeduplicationKey {
			a = v
		}
	}
	firing := ev.Status == "firing"
	if a == nil && !firing {
		return
	}
	now := s.now()
	if a == nil {
		a = &ev
		a.ID, a.CreatedAt, a.UpdatedAt, a.Attributes, a.Events = s.idOf("alert", a.DeduplicationKey), now, now, []any{}, 1
		s.alert.list = append(s.alert.list, a)
		s.tellAlert("alert_created_v1", a)
		if r := s.settings.route; r != nil {
			s.later(r.Delay, func() { s.declareByRoute(a, *r) })
		}
		return
	}
	a.Events++
	switch {
	case !firing && a.Status == "firing":
		s.endAlert(a)
	case firing && a.Status == "resolved":
		a.Status, a.ResolvedAt, a.UpdatedAt = "firing", nil, now
	}
}

func (s *Simulator) endAlert(a *Alert) {
	now := s.now()
	a.Status, a.ResolvedAt, a.UpdatedAt = "resolved", &now, now
	s.tellAlert("alert_resolved_v1", a)
}

// declareByRoute declares the incident of an alert, or ties it to the one of its group, unless somebody has tied the alert
// to one meanwhile.
func (s *Simulator) declareByRoute(a *Alert, r AlertRoute) {
	if slices.ContainsFunc(s.alert.ties, func(t *alertTie) bool { return t.alert == a.ID }) {
		return
	}
	group := ""
	if r.Group != nil {
		group = r.Group(*a)
	}
	if i := s.alert.grouped[group]; i != nil && s.settings.status(i.status).Category == CategoryLive {
		s.tieAlert(a, i, s.settings.routeID)
		return
	}
	i := &incident{name: a.Title, summary: a.Description, status: s.settings.firstStatus(CategoryLive).ID, severity: s.settings.severities[0].ID}
	if st := s.statusNamed(r.Status); st != nil {
		i.status = st.ID
	}
	if sev := s.severityNamed(r.Severity); sev != nil {
		i.severity = sev.ID
	}
	s.declare(i, a.DeduplicationKey, Actor{Alert: &TitledActor{ID: a.ID, Title: a.Title}})
	s.tieAlert(a, i, s.settings.routeID)
	if group != "" {
		if s.alert.grouped == nil {
			s.alert.grouped = map[string]*incident{}
		}
		s.alert.grouped[group] = i
	}
}

func (s *Simulator) tieAlert(a *Alert, i *incident, route string) {
	s.alert.ties = append(s.alert.ties, &alertTie{id: s.newID(), route: route, alert: a.ID, incident: i.id})
}

func (s *Simulator) alertByID(id string) *Alert {
	a := find(s.alert.list, id, func(a *Alert) string { return a.ID })
	if a == nil || (a.Private && !s.hasRole("global_access")) {
		return nil
	}
	return a
}

func (a *Alert) slim() AlertSlim {
	return AlertSlim{ID: a.ID, AlertSourceID: a.AlertSourceID, DeduplicationKey: a.DeduplicationKey, Title: a.Title, Description: a.Description,
		SourceURL: a.SourceURL, Status: a.Status, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, ResolvedAt: a.ResolvedAt}
}

func (s *Simulator) listAlerts(c *call) (int, any, *apiError) {
	q := c.q
	p := q.page(50)
	key, status, source := q.one("deduplication_key", "is"), q.one("status", "one_of", "not_in"), q.one("alert_source", "one_of", "not_in")
	group, notes, when := q.one("alert_group_id", "one_of"), q.one("has_notes", "is"), q.span("created_at")
	attrs := q.nested("attributes", "one_of", "not_in", "is")
	q.one("include_maintenance_window", "is")
	if !q.q.Has("page_size") {
		q.errs = append(q.errs, fieldErrorItem("page_size", codeRequired, "page_size is required"))
	}
	if e := q.done(); e != nil {
		return no(e)
	}
	newest := slices.Clone(s.alert.list)
	slices.Reverse(newest)
	list, meta, e := cut(newest, p, func(a *Alert) string { return a.ID }, func(a *Alert) bool {
		noted := "false"
		if slices.ContainsFunc(s.alert.notes, func(n *AlertNote) bool { return n.AlertID == a.ID }) {
			noted = "true"
		}
		// No alert here has a group or an attribute.
		return s.alertByID(a.ID) != nil && inSet(key, a.DeduplicationKey) && inSet(status, a.Status) && inSet(source, a.AlertSourceID) &&
			inSet(group) && inSet(notes, noted) && len(attrs) == 0 && when.holds(a.CreatedAt)
	})
	if e != nil {
		return no(e)
	}
	return http.StatusOK, map[string]any{"alerts": list, "pagination_meta": meta}, nil
}

func (s *Simulator) showAlert(c *call) (int, any, *apiError) {
	if e := c.q.done(); e != nil {
		return no(e)
	}
	a := s.alertByID(c.params["id"])
	if a == nil {
		return no(missing("Alert", c.params["id"]))
	}
	return ok("alert", a)
}

func (s *Simulator) resolveAlert(c *call) (int, any, *apiError) {
	a := s.alertByID(c.params["id"])
	if a == nil {
		return no(missing("Alert", c.params["id"]))
	}
	if a.Status == "firing" {
		s.endAlert(a)
	}
	return ok("alert", a)
}

func (s *Simulator) listIncidentAlerts(c *call) (int, any, *apiError) {
	p, alert, inc := c.q.page(50), c.q.plain("alert_id"), c.q.plain("incident_id")
	if !c.q.q.Has("page_size") {
		c.q.errs = append(c.q.errs, fieldErrorItem("page_size", codeRequired, "page_size is required"))
	}
	if e := c.q.done(); e != nil {
		return no(e)
	}
	list, meta, e := cut(s.alert.ties, p, func(t *alertTie) string { return t.id }, func(t *alertTie) bool {
		return (alert == "" || t.alert == alert) && (inc == "" || t.incident == inc) && s.visible(s.incident.byID[t.incident]) && s.alertByID(t.alert) != nil
	})
	if e != nil {
		return no(e)
	}
	out := []IncidentAlert{}
	for _, t := range list {
		out = append(out, s.showTie(t))
	}
	return http.StatusOK, map[string]any{"incident_alerts": out, "pagination_meta": meta}, nil
}

func (s *Simulator) showTie(t *alertTie) IncidentAlert {
	a := find(s.alert.list, t.alert, func(a *Alert) string { return a.ID })
	return IncidentAlert{ID: t.id, AlertRouteID: t.route, Alert: a.slim(), Incident: s.slim(s.incident.byID[t.incident])}
}

func (s *Simulator) createNote(c *call) (int, any, *apiError) {
	var in struct {
		AlertID string `json:"alert_id"`
		GroupID string `json:"alert_group_id"`
		Content string `json:"content" rule:"required"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	if (in.AlertID == "") == (in.GroupID == "") {
		return no(refuse("alert_id", codeRequired, "exactly one of alert_id and alert_group_id is required"))
	}
	if in.GroupID != "" {
		return no(refuse("alert_group_id", codeNotFound, "no such alert group"))
	}
	a := s.alertByID(in.AlertID)
	if a == nil {
		return no(refuse("alert_id", codeNotFound, "no such alert"))
	}
	now := s.now()
	n := &AlertNote{ID: s.newID(), AlertID: a.ID, Content: in.Content, Creator: s.by(), Images: []NoteImage{}, CreatedAt: now, UpdatedAt: now}
	s.alert.notes = append(s.alert.notes, n)
	return created("alert_note", n)
}

func (s *Simulator) listNotes(c *call) (int, any, *apiError) {
	p, alert, group := c.q.page(250), c.q.plain("alert_id"), c.q.plain("alert_group_id")
	if (alert == "") == (group == "") {
		c.q.errs = append(c.q.errs, fieldErrorItem("alert_id", codeRequired, "exactly one of alert_id and alert_group_id is required"))
	}
	if e := c.q.done(); e != nil {
		return no(e)
	}
	list, meta, e := cut(s.alert.notes, p, func(n *AlertNote) string { return n.ID }, func(n *AlertNote) bool { return n.AlertID == alert })
	if e != nil {
		return no(e)
	}
	return http.StatusOK, map[string]any{"alert_notes": list, "pagination_meta": meta}, nil
}

// ping takes a heartbeat: by the source's own token, or by an API key that may.
func (s *Simulator) ping(c *call) (int, any, *apiError) {
	src := s.settings.source(c.params["id"])
	if src == nil || src.SourceType != "heartbeat" || src.Disabled {
		return no(missing("Alert source", c.params["id"]))
	}
	if e := sourceToken(c.r, src.SecretToken); e != nil && (s.authorize(c.r) != nil || !s.hasRole("heartbeats_ping")) {
		return no(e)
	}
	if s.alert.pings == nil {
		s.alert.pings = map[string]int{}
	}
	s.alert.pings[src.ID]++
	return http.StatusNoContent, nil, nil
}
