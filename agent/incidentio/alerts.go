package incidentio

import (
	"context"
	"net/http"
	"net/url"
)

// Alert fetches an alert.
func (c *Client) Alert(ctx context.Context, id string) (Alert, Result) {
	return one[Alert](ctx, c, "/v2/alerts/"+url.PathEscape(id), "alert", nil)
}

// AlertsByKey lists the alerts with a deduplication key, of whatever source.
func (c *Client) AlertsByKey(ctx context.Context, deduplicationKey string) ([]Alert, Result) {
	return list[Alert](ctx, c, listing{path: "/v2/alerts", member: "alerts", pageSize: pageAlerts,
		query: url.Values{"deduplication_key[is]": {deduplicationKey}}})
}

// IncidentAlerts lists the ties of an alert, of an incident, or of the two; an empty id does not filter.
func (c *Client) IncidentAlerts(ctx context.Context, alertID, incidentID string) ([]IncidentAlert, Result) {
	q := url.Values{}
	add(q, "alert_id", alertID)
	add(q, "incident_id", incidentID)
	return list[IncidentAlert](ctx, c, listing{path: "/v2/incident_alerts", member: "incident_alerts", pageSize: pageAlerts, query: q})
}

// AlertNotes lists the notes on an alert.
func (c *Client) AlertNotes(ctx context.Context, alertID string) ([]AlertNote, Result) {
	return list[AlertNote](ctx, c, listing{path: "/v1/alert_notes", member: "alert_notes", pageSize: pageMost,
		query: url.Values{"alert_id": {alertID}}})
}

// Escalation fetches an escalation.
func (c *Client) Escalation(ctx context.Context, id string) (Escalation, Result) {
	return one[Escalation](ctx, c, "/v2/escalations/"+url.PathEscape(id), "escalation", nil)
}

// Escalations lists the escalations of an incident.
func (c *Client) Escalations(ctx context.Context, incidentID string) ([]Escalation, Result) {
	return c.escalations(ctx, "incident[one_of]", incidentID)
}

// EscalationsByKey lists the escalations that were made with an idempotency key.
func (c *Client) EscalationsByKey(ctx context.Context, idempotencyKey string) ([]Escalation, Result) {
	return c.escalations(ctx, "idempotency_key[is]", idempotencyKey)
}

func (c *Client) escalations(ctx context.Context, filter, value string) ([]Escalation, Result) {
	return list[Escalation](ctx, c, listing{path: "/v2/escalations", member: "escalations", pageSize: pageEscalations,
		query: url.Values{filter: {value}}})
}

// PingHeartbeat tells incident.io that the agent is alive, by the heartbeat alert source and its own token.
func (c *Client) PingHeartbeat(ctx context.Context, alertSourceID, token string) Result {
	if token == "" {
		// Send would take the API key in its place.
		return Result{Class: Unauthorized, Code: "no_key", Message: "the heartbeat has no token", what: "heartbeat ping"}
	}
	return c.Send(ctx, Call{Method: http.MethodPost, Path: "/v2/heartbeat/" + url.PathEscape(alertSourceID) + "/ping", Token: token})
}
