package incidentio

import (
	"context"
	"net/url"
	"time"
)

// Page sizes that the calls take at most, by incident.io's description.
const (
	pageMost        = 250
	pageAlerts      = 50
	pageEscalations = 50
	pagePaths       = 25
)

// Incident fetches an incident by its id, or by the number of its reference.
func (c *Client) Incident(ctx context.Context, id string) (Incident, Result) {
	return one[Incident](ctx, c, "/v2/incidents/"+url.PathEscape(id), "incident", nil)
}

// ListFilter says which incidents are wanted; the zero value of a member does not filter. All that are set must fit.
type ListFilter struct {
	UpdatedSince time.Time // to the second, cut down
	Categories   []string  // triage, live, learning, …
	SeverityID   string
	CustomField  string // a custom field's id, together with Value
	Value        string // the option's or catalog entry's id
	// Modes are standard, retrospective, test, tutorial. Without any, incident.io leaves test and tutorial incidents out.
	Modes []string
	// OldestFirst sorts by creation, oldest first; otherwise newest first.
	OldestFirst bool
	// Max is how many are wanted, 0 for all. More than 50,000 are never given; Result.Truncated says that there are more.
	Max int
}

// Incidents lists incidents.
func (c *Client) Incidents(ctx context.Context, f ListFilter) ([]Incident, Result) {
	q := url.Values{}
	if !f.UpdatedSince.IsZero() {
		q.Set("updated_at[gte]", f.UpdatedSince.UTC().Format(time.RFC3339))
	}
	add(q, "status_category[one_of]", f.Categories...)
	add(q, "severity[one_of]", f.SeverityID)
	if f.CustomField != "" {
		add(q, "custom_field["+f.CustomField+"][one_of]", f.Value)
	}
	add(q, "mode[one_of]", f.Modes...)
	if f.OldestFirst {
		q.Set("sort_by", "created_at_oldest_first")
	}
	return list[Incident](ctx, c, listing{path: "/v2/incidents", member: "incidents", query: q, pageSize: pageMost, max: f.Max})
}

// add puts each value that is not empty under the same key: incident.io takes several as one_of=a&one_of=b.
func add(q url.Values, key string, values ...string) {
	for _, v := range values {
		if v != "" {
			q.Add(key, v)
		}
	}
}

// ofIncident lists what belongs to an incident.
func ofIncident[T any](ctx context.Context, c *Client, path, member, incidentID string) ([]T, Result) {
	return list[T](ctx, c, listing{path: path, member: member, query: url.Values{"incident_id": {incidentID}}, pageSize: pageMost})
}

// Updates lists an incident's updates, as incident.io orders them.
func (c *Client) Updates(ctx context.Context, incidentID string) ([]Update, Result) {
	return ofIncident[Update](ctx, c, "/v2/incident_updates", "incident_updates", incidentID)
}

// Timeline lists an incident's timeline items, oldest first.
func (c *Client) Timeline(ctx context.Context, incidentID string) ([]TimelineItem, Result) {
	return ofIncident[TimelineItem](ctx, c, "/v2/incident_timeline_items", "incident_timeline_items", incidentID)
}

// Actions lists an incident's actions.
func (c *Client) Actions(ctx context.Context, incidentID string) ([]Action, Result) {
	return ofIncident[Action](ctx, c, "/v3/actions", "actions", incidentID)
}

// FollowUps lists an incident's follow-ups.
func (c *Client) FollowUps(ctx context.Context, incidentID string) ([]FollowUp, Result) {
	return ofIncident[FollowUp](ctx, c, "/v3/follow_ups", "follow_ups", incidentID)
}

// Postmortems lists an incident's post-mortem documents.
func (c *Client) Postmortems(ctx context.Context, incidentID string) ([]Postmortem, Result) {
	return ofIncident[Postmortem](ctx, c, "/v1/postmortem_documents", "postmortem_documents", incidentID)
}
