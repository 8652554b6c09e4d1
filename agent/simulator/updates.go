package simulator

import (
	"net/http"
	"slices"
	"time"
)

func (s *Simulator) createUpdate(c *call) (int, any, *apiError) {
	var in struct {
		IncidentID     string `json:"incident_id" rule:"required"`
		IdempotencyKey string `json:"idempotency_key" rule:"required"`
		Message        string `json:"message"`
		StatusID       string `json:"to_incident_status_id"`
		SeverityID     string `json:"to_severity_id"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	if id, again := s.repeated(c, "update", in.IdempotencyKey); again {
		return created("incident_update", find(s.incident.updates, id, func(u *Update) string { return u.ID }))
	}
	i, e := s.named("incident_id", in.IncidentID)
	if e != nil {
		return no(e)
	}
	k := &checked{s: s}
	if in.Message == "" && in.StatusID == "" && in.SeverityID == "" {
		k.blame("message", codeRequired, "an update needs a message, a status or a severity")
	}
	if in.SeverityID != "" && known(&s.settings, s.settings.severity(in.SeverityID), in.SeverityID) == nil {
		k.blame("to_severity_id", codeNotFound, "no such severity")
	}
	status := i.status
	if in.StatusID != "" {
		to, e := s.move(i, in.StatusID, "to_incident_status_id")
		switch {
		case e != nil && e.Status == http.StatusUnprocessableEntity:
			k.items = append(k.items, e.Errors...)
		case e != nil:
			return no(e)
		}
		status = to
	}
	if e := k.err(); e != nil {
		return no(e)
	}
	up := s.change(i, s.by(), in.Message, func() {
		i.status = status
		if in.SeverityID != "" {
			i.severity = in.SeverityID
		}
	})
	if up == nil { // asked for what is so already: an update all the same
		up = s.addUpdate(i, s.by(), "")
	}
	s.keep(c, "update", in.IdempotencyKey, up.ID)
	return created("incident_update", up)
}

// find is the element of a list that has the id.
func find[T any](list []*T, id string, of func(*T) string) *T {
	for _, v := range list {
		if of(v) == id {
			return v
		}
	}
	return nil
}

// listUpdates answers the newest first; the documentation names no order.
func (s *Simulator) listUpdates(c *call) (int, any, *apiError) {
	p, id := c.q.page(250), c.q.plain("incident_id")
	if e := c.q.done(); e != nil {
		return no(e)
	}
	if i := s.incident.byID[id]; id != "" && !s.visible(i) {
		return no(missing("Incident", id))
	}
	all := slices.Clone(s.incident.updates)
	slices.Reverse(all)
	list, meta, e := cut(all, p, func(u *Update) string { return u.ID }, func(u *Update) bool {
		return (id == "" || u.IncidentID == id) && s.visible(s.incident.byID[u.IncidentID])
	})
	if e != nil {
		return no(e)
	}
	return http.StatusOK, map[string]any{"incident_updates": list, "pagination_meta": meta}, nil
}

func (s *Simulator) createTimeline(c *call) (int, any, *apiError) {
	var in struct {
		IncidentID     string    `json:"incident_id" rule:"required"`
		IdempotencyKey string    `json:"idempotency_key" rule:"required"`
		Title          string    `json:"title" rule:"required,max=255"`
		Timestamp      time.Time `json:"timestamp" rule:"present"`
		Description    string    `json:"description"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	if id, again := s.repeated(c, "timeline", in.IdempotencyKey); again {
		return created("incident_timeline_item", find(s.incident.timeline, id, func(t *TimelineItem) string { return t.ID }))
	}
	i, e := s.named("incident_id", in.IncidentID)
	if e != nil {
		return no(e)
	}
	item := s.addTimeline(i, s.by(), in.Title, in.Description, in.Timestamp)
	s.keep(c, "timeline", in.IdempotencyKey, item.ID)
	return created("incident_timeline_item", item)
}

func (s *Simulator) addTimeline(i *incident, by Actor, title, description string, at time.Time) *TimelineItem {
	now := s.now()
	if at.IsZero() {
		at = now
	}
	item := &TimelineItem{ID: s.newID(), IncidentID: i.id, Title: title, Description: description, Timestamp: at.UTC(), Creator: by, CreatedAt: now, UpdatedAt: now}
	s.incident.timeline = append(s.incident.timeline, item)
	return item
}

func (s *Simulator) listTimeline(c *call) (int, any, *apiError) {
	p, id := c.q.page(250), c.q.plain("incident_id")
	if e := c.q.done(); e != nil {
		return no(e)
	}
	if id == "" {
		return no(refuse("incident_id", codeRequired, "incident_id is required"))
	}
	if !s.visible(s.incident.byID[id]) {
		return no(missing("Incident", id))
	}
	list, meta, e := cut(s.timelineOf(id), p, func(t *TimelineItem) string { return t.ID }, all)
	if e != nil {
		return no(e)
	}
	return http.StatusOK, map[string]any{"incident_timeline_items": list, "pagination_meta": meta}, nil
}

// timelineOf is an incident's timeline: oldest first, by timestamp, then by id.
func (s *Simulator) timelineOf(incident string) []*TimelineItem {
	out := []*TimelineItem{}
	for _, t := range s.incident.timeline {
		if t.IncidentID == incident {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *TimelineItem) int {
		if d := a.Timestamp.Compare(b.Timestamp); d != 0 {
			return d
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}
