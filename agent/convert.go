package agent

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// The leaves don't know each other: here the client's types and the store's rows become the mapping's values.

func statusOf(s incidentio.Status) mapping.Status {
	return mapping.Status{ID: s.ID, Name: s.Name, Category: s.Category, Rank: s.Rank}
}

func severityOf(s *incidentio.Severity) *mapping.Severity {
	if s == nil {
		return nil
	}
	return &mapping.Severity{ID: s.ID, Name: s.Name, Rank: s.Rank}
}

func roleOf(r incidentio.Role) mapping.Role {
	return mapping.Role{ID: r.ID, Name: r.Name, Type: r.Type, Shortform: r.Shortform}
}

func userOf(u incidentio.User) mapping.User {
	return mapping.User{ID: u.ID, Name: u.Name, Email: u.Email}
}

// actorOf returns nil where incident.io does not tell who it was.
func actorOf(a incidentio.Actor) *mapping.Actor {
	if a.Type == "" {
		return nil
	}
	return &mapping.Actor{Type: a.Type, Name: a.Name, Email: a.Email}
}

func remoteOf(i incidentio.Incident) mapping.Remote {
	r := mapping.Remote{
		ID: i.ID, Reference: i.Reference, Permalink: i.Permalink, Name: i.Name, Summary: i.Summary,
		Status: statusOf(i.Status), Severity: severityOf(i.Severity),
		PostmortemIDs: i.PostmortemIDs, Mode: i.Mode, Visibility: i.Visibility, CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
	}
	for _, a := range i.Roles {
		if a.Assignee != nil {
			r.Roles = append(r.Roles, mapping.Assignment{Role: roleOf(a.Role), User: userOf(*a.Assignee)})
		}
	}
	for _, f := range i.Fields {
		for _, v := range f.Values {
			if r.Fields == nil {
				r.Fields = make(map[string][]string)
			}
			r.Fields[f.Field.ID] = append(r.Fields[f.Field.ID], v.Key())
		}
	}
	return r
}

func updateOf(u incidentio.Update) mapping.Update {
	m := mapping.Update{ID: u.ID, Message: u.Message, Severity: severityOf(u.Severity), At: u.CreatedAt, MergedInto: u.MergedInto}
	if u.Status != nil {
		s := statusOf(*u.Status)
		m.Status = &s
	}
	if by := actorOf(u.Updater); by != nil {
		m.By = *by
	}
	return m
}

func actionOf(a incidentio.Action) mapping.Item {
	return mapping.Item{
		ID: a.ID, Title: firstLine(a.Description), Description: a.Description, Status: a.Status, Assignee: assigneeOf(a.Assignee),
		At: a.CreatedAt, UpdatedAt: a.UpdatedAt, By: actorOf(a.Creator),
	}
}

func followUpOf(f incidentio.FollowUp) mapping.Item {
	return mapping.Item{
		ID: f.ID, Title: f.Title, Description: f.Description, Status: f.Status, Assignee: assigneeOf(f.Assignee), Labels: f.Labels,
		At: f.CreatedAt, UpdatedAt: f.UpdatedAt, By: actorOf(f.Creator),
	}
}

func timelineOf(t incidentio.TimelineItem) mapping.Item {
	return mapping.Item{ID: t.ID, Title: t.Title, Description: t.Description, At: t.Timestamp, UpdatedAt: t.UpdatedAt, By: actorOf(t.Creator)}
}

func postmortemOf(p incidentio.Postmortem) mapping.Item {
	return mapping.Item{ID: p.ID, Title: p.Title, Description: p.DocumentURL, Status: p.Status, At: p.CreatedAt.Time, UpdatedAt: p.UpdatedAt.Time}
}

func escalationOf(e incidentio.Escalation) mapping.Escalation {
	m := mapping.Escalation{ID: e.ID, Title: e.Title, Status: e.Status, At: e.CreatedAt, UpdatedAt: e.UpdatedAt, By: actorOf(e.Creator)}
	for _, i := range e.RelatedIncidents {
		m.IncidentIDs = append(m.IncidentIDs, i.ID)
	}
	// The creator raised it; who moved it last is told by its events, for those moves that a person makes.
	if e.Status != "pending" && e.Status != "triggered" {
		m.By = nil
	}
	for _, ev := range e.Events {
		if ev.Event == e.Status {
			m.UpdatedAt = ev.OccurredAt
			if len(ev.Users) > 0 {
				u := ev.Users[0]
				m.By = &mapping.Actor{Type: "user", Name: u.Name, Email: u.Email}
			}
		}
	}
	return m
}

func assigneeOf(u *incidentio.User) string {
	switch {
	case u == nil:
		return ""
	case u.Email != "":
		return u.Email
	}
	return u.Name
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}

// convert maps a list, and keeps the difference between nothing there (empty) and not looked at (nil): the result is
// never nil.
func convert[T, M any](list []T, one func(T) M) []M {
	out := make([]M, 0, len(list))
	for _, v := range list {
		out = append(out, one(v))
	}
	return out
}

// tieOf reads a link's row.
func tieOf(l store.Link) (mapping.Tie, error) {
	t := mapping.Tie{
		TigerOpsID: l.TigerOpsID, IncidentID: l.IncidentID, Reference: l.Reference, Permalink: l.Permalink,
		Origin: l.Origin, Generation: l.Generation,
	}
	if len(l.Agreed) > 0 {
		if err := json.Unmarshal(l.Agreed, &t.Agreed); err != nil {
			return t, fmt.Errorf("read what was agreed on for %s: %w", l.TigerOpsID, err)
		}
	}
	if len(l.Pushed) > 0 {
		if err := json.Unmarshal(l.Pushed, &t.Pushed); err != nil {
			return t, fmt.Errorf("read what was sent for %s: %w", l.TigerOpsID, err)
		}
	}
	return t, nil
}

// tieRead is the link that was read last, since notes that follow one another go by the same.
type tieRead struct {
	link *store.Link
	tie  mapping.Tie
}

// of is tieOf for a link that nobody changes.
func (r *tieRead) of(l *store.Link) (mapping.Tie, error) {
	if r.link != l {
		tie, err := tieOf(*l)
		if err != nil {
			return tie, err
		}
		*r = tieRead{l, tie}
	}
	return r.tie, nil
}

// inboxRow is a change as a row for TigerOps to take.
func inboxRow(c mapping.Change) (store.InboxRow, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return store.InboxRow{}, fmt.Errorf("write the change %s: %w", c.Key, err)
	}
	return store.InboxRow{
		Key: c.Key, Repeatable: c.Repeatable, Type: c.Type, TigerOpsID: c.TigerOpsIncidentID,
		IncidentID: c.Incident.ID, Payload: payload, Source: c.Source,
	}, nil
}

func inboxRows(changes []mapping.Change) ([]store.InboxRow, error) {
	rows := make([]store.InboxRow, 0, len(changes))
	for _, c := range changes {
		row, err := inboxRow(c)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
