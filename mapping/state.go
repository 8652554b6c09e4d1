package mapping

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// TigerOps' own words for a status. Its user may have others beside them.
const (
	StatusOpen          = "open"
	StatusAcknowledged  = "acknowledged"
	StatusInvestigating = "investigating"
	StatusMitigated     = "mitigated"
	StatusResolved      = "resolved"
)

// Apply adds an event up: what it carries replaces what was told before, what it leaves out stays. Any event of an
// incident that is not known yet opens it, unless it resolves it. A reopened incident is a new life, so that what was
// done in the old one (actions, follow-ups, the post-mortem) is to be done again. s is left as it is;
// applying the same event again changes nothing.
func (s State) Apply(ev Event) State {
	if s.Incident.ID == "" {
		s.Open = true
	}
	s.Incident = s.Incident.with(ev.Incident)
	s.Actions = maps.Clone(s.Actions)
	s.FollowUps = slices.Clone(s.FollowUps)
	if ev.Timestamp.After(s.LastEventAt) {
		s.LastEventAt = ev.Timestamp
	}
	s.Extra = s.Extra.with(ev.Raw)

	inc := &s.Incident
	switch ev.Type {
	case IncidentAcknowledged:
		s.Acknowledged = true
		if ev.Incident.Status == "" && (inc.Status == "" || inc.Status == StatusOpen) {
			inc.Status = StatusAcknowledged
		}
	case IncidentResolved:
		s.Open = false
		inc.Status = cmp.Or(ev.Incident.Status, StatusResolved)
		if ev.Incident.ResolvedAt == nil && !ev.Timestamp.IsZero() {
			inc.ResolvedAt = &ev.Timestamp
		}
	case IncidentReopened:
		s.Open = true
		inc.Status = cmp.Or(ev.Incident.Status, StatusInvestigating)
		inc.ResolvedAt = nil
		if s.Generation != ev.ID {
			s.Generation = ev.ID
			s.Acknowledged = false
			s.Actions, s.FollowUps, s.Postmortem = nil, nil, false
		}
	case RunbookAction:
		if ev.Action != nil {
			if s.Actions == nil {
				s.Actions = make(map[string]string)
			}
			s.Actions[ev.Action.Title] = ev.Action.Status
		}
	case PostmortemReady:
		if ev.Post != nil {
			s.Postmortem = true
			for _, item := range ev.Post.ActionItems {
				if !slices.Contains(s.FollowUps, item.Title) {
					s.FollowUps = append(s.FollowUps, item.Title)
				}
			}
		}
	}
	inc.Status = cmp.Or(inc.Status, StatusOpen)
	return s
}

// with is i as an update changes it. Lists are replaced; an SLO and a deployment are merged member by member as long
// as they are the same ones; responders are replaced role by role.
func (i Incident) with(u Incident) Incident {
	i.ID = cmp.Or(i.ID, u.ID)
	i.Title = cmp.Or(u.Title, i.Title)
	i.Severity = cmp.Or(u.Severity, i.Severity)
	i.Status = cmp.Or(u.Status, i.Status)
	i.Service = cmp.Or(u.Service, i.Service)
	i.AffectedServices = slices.Clone(toldOr(u.AffectedServices, i.AffectedServices))
	i.Team = cmp.Or(u.Team, i.Team)
	i.Environment = cmp.Or(u.Environment, i.Environment)
	i.URL = cmp.Or(u.URL, i.URL)
	i.TraceURL = cmp.Or(u.TraceURL, i.TraceURL)
	i.AISummary = cmp.Or(u.AISummary, i.AISummary)
	i.RootCause = cmp.Or(u.RootCause, i.RootCause)
	i.ImpactedMetrics = slices.Clone(toldOr(u.ImpactedMetrics, i.ImpactedMetrics))
	i.SLO = i.SLO.with(u.SLO)
	i.Deployment = i.Deployment.with(u.Deployment)
	i.Responders = withResponders(i.Responders, u.Responders)
	i.StartedAt = cmp.Or(u.StartedAt, i.StartedAt)
	i.ResolvedAt = cmp.Or(u.ResolvedAt, i.ResolvedAt)
	return i
}

// toldOr is the list that an update carries, else the old one.
func toldOr[T any](update, old []T) []T {
	if len(update) > 0 {
		return update
	}
	return old
}

func (s *SLO) with(u *SLO) *SLO {
	if s == nil || u == nil || u.Name != "" && s.Name != "" && u.Name != s.Name {
		return cmp.Or(u, s)
	}
	return &SLO{Name: cmp.Or(u.Name, s.Name), Status: cmp.Or(u.Status, s.Status), BurnRate: cmp.Or(u.BurnRate, s.BurnRate)}
}

func (d *Deployment) with(u *Deployment) *Deployment {
	if d == nil || u == nil || u.SHA != "" && d.SHA != "" && u.SHA != d.SHA {
		return cmp.Or(u, d)
	}
	return &Deployment{
		SHA: cmp.Or(u.SHA, d.SHA), Service: cmp.Or(u.Service, d.Service),
		URL: cmp.Or(u.URL, d.URL), DeployedAt: cmp.Or[*time.Time](u.DeployedAt, d.DeployedAt),
	}
}

func withResponders(old, update []Responder) []Responder {
	if len(update) == 0 {
		return slices.Clone(old)
	}
	var all []Responder
	for _, o := range old {
		if !slices.ContainsFunc(update, func(u Responder) bool { return u.Role == o.Role }) {
			all = append(all, o)
		}
	}
	return append(all, update...)
}
