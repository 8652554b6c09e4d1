package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// pullAlert tells TigerOps that people resolved its alert in incident.io.
func (a *Agent) pullAlert(ctx context.Context, b *batch, ties *tieIndex) (done bool, err error) {
	if !slices.ContainsFunc(b.hooks, func(w store.Webhook) bool { return strings.Contains(w.EventType, "resolved") }) {
		return a.endHooks(ctx, b, store.WebhookIgnored, "an alert that fires changes nothing here")
	}
	if b.dedup != "" {
		_, ours, err := ties.find(ctx, b.dedup)
		if err != nil {
			return false, err
		}
		if !ours {
			return a.endHooks(ctx, b, store.WebhookIgnored, "not an alert of an open TigerOps incident")
		}
	}
	var alert incidentio.Alert
	r := a.call(ctx, false, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		alert, r = a.io.Alert(ctx, b.id)
		return r
	})
	if r.Class != incidentio.Done {
		return a.unsettled(ctx, b, "fetch the alert", r)
	}
	owner, ours, err := ties.find(ctx, alert.DeduplicationKey)
	if err != nil {
		return false, err
	}
	if !ours {
		return a.endHooks(ctx, b, store.WebhookIgnored, "not an alert of an open TigerOps incident")
	}
	news, err := a.alertNews(ctx, owner, alert)
	if err != nil {
		return false, err
	}
	if news == nil {
		return a.endHooks(ctx, b, store.WebhookDone, "")
	}
	if owner.incidentID == "" {
		return a.tellLooseAlert(ctx, b, news)
	}
	s, err := a.lockedLook(ctx, owner.incidentID, lookOptions{
		Source: mapping.SourceWebhook, Alert: news, Webhooks: b.ends(store.WebhookDone, ""),
	})
	switch {
	case err != nil:
		return false, err
	case s.Ties == 0 && s.Result.Class == 0:
		return a.waits(b) // the tie went meanwhile
	case s.Result.Class != incidentio.Done:
		return a.unsettled(ctx, b, "fetch the incident", s.Result)
	}
	a.settled(b, store.WebhookDone)
	return true, nil
}

// alertNews is what TigerOps does not know yet of its alert: nil if it fires, or if TigerOps resolved it itself.
func (a *Agent) alertNews(ctx context.Context, owner alertOwner, alert incidentio.Alert) (*resolvedAlert, error) {
	if alert.Status != "resolved" {
		return nil, nil
	}
	row, err := a.st.Alert(ctx, owner.tigeropsID, owner.generation)
	if err != nil {
		return nil, fmt.Errorf("read the alert of %s: %w", owner.tigeropsID, err)
	}
	if row == nil || row.State == store.AlertResolved {
		return nil, nil
	}
	head, ok, err := a.st.Head(ctx, laneOf(owner.tigeropsID))
	if err != nil {
		return nil, fmt.Errorf("read what waits for %s: %w", owner.tigeropsID, err)
	}
	if ok {
		steps, err := a.st.Steps(ctx, head.OutboxID)
		if err != nil {
			return nil, fmt.Errorf("read the ledger of %s: %w", owner.tigeropsID, err)
		}
		if slices.ContainsFunc(steps, func(s store.Step) bool { return stepKind(s.Name) == "alert.resolve" && s.Mark == row.Key }) {
			return nil, nil // sent by us, and not confirmed yet
		}
	}
	news := &resolvedAlert{row: *row, item: mapping.Item{
		ID: alert.ID, Title: alert.Title, Description: alert.Description, Status: alert.Status, At: alert.UpdatedAt, UpdatedAt: alert.UpdatedAt,
	}}
	news.row.AlertID, news.row.State = alert.ID, store.AlertResolved
	if alert.ResolvedAt != nil {
		news.item.At = *alert.ResolvedAt
	}
	return news, nil
}

// tellLooseAlert tells of an alert whose TigerOps incident is tied to nothing.
func (a *Agent) tellLooseAlert(ctx context.Context, b *batch, news *resolvedAlert) (done bool, err error) {
	unlock, err := a.locks.lock(ctx, lockName(news.row.TigerOpsID, nil))
	if err != nil {
		return false, err
	}
	defer unlock()
	state, err := a.stateOf(ctx, news.row.TigerOpsID)
	if err != nil {
		return false, err
	}
	directory, err := a.dir.get(ctx)
	var away *directoryError
	switch {
	case errors.As(err, &away):
		return a.unsettled(ctx, b, "read the account", away.result)
	case err != nil:
		return false, err
	}
	changes, _ := mapping.Changes(mapping.Compare{
		Tie: mapping.Tie{TigerOpsID: news.row.TigerOpsID, Generation: news.row.Generation}, State: state,
		Look:  mapping.Look{AlertResolved: &news.item, Source: mapping.SourceWebhook},
		Rules: &a.cfg.Load().Rules, Directory: directory,
	})
	c := store.Commit{Why: "alert resolved", Webhooks: b.ends(store.WebhookDone, ""), Alert: &news.row}
	if c.Inbox, err = inboxRows(changes); err != nil {
		return false, err
	}
	if _, err := a.st.Commit(ctx, c); err != nil {
		return false, fmt.Errorf("tell of a resolved alert: %w", err)
	}
	a.told(changes)
	a.settled(b, store.WebhookDone)
	return true, nil
}

// pullEscalation looks at the tied incidents that an escalation belongs to, by itself or by its alerts.
func (a *Agent) pullEscalation(ctx context.Context, b *batch, ties *tieIndex) (done bool, err error) {
	if !a.cfg.Load().Rules.PullEscalations {
		return a.endHooks(ctx, b, store.WebhookIgnored, "pull_escalations is off")
	}
	if !b.private {
		tied, err := a.tiedIncidents(ctx, b.incidents, b.alerts, ties)
		if err != nil {
			return false, err
		}
		if len(tied) == 0 {
			return a.endHooks(ctx, b, store.WebhookIgnored, "no TigerOps incident is tied to what it belongs to")
		}
	}
	var e incidentio.Escalation
	r := a.call(ctx, false, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		e, r = a.io.Escalation(ctx, b.id)
		return r
	})
	if r.Class != incidentio.Done {
		return a.unsettled(ctx, b, "fetch the escalation", r)
	}
	var incidents, alerts []string
	for _, i := range e.RelatedIncidents {
		incidents = append(incidents, i.ID)
	}
	for _, al := range e.RelatedAlerts {
		alerts = append(alerts, al.DeduplicationKey)
	}
	tied, err := a.tiedIncidents(ctx, incidents, alerts, ties)
	if err != nil {
		return false, err
	}
	for _, id := range tied {
		s, err := a.lockedLook(ctx, id, lookOptions{
			Source: mapping.SourceWebhook, Also: ofEscalations, Escalations: []incidentio.Escalation{e},
		})
		if err != nil {
			return false, err
		}
		if s.Ties > 0 && s.Result.Class != incidentio.Done && s.Result.Class != incidentio.Refused {
			return a.unsettled(ctx, b, "fetch the incident", s.Result)
		}
	}
	if len(tied) == 0 {
		return a.endHooks(ctx, b, store.WebhookIgnored, "no TigerOps incident is tied to what it belongs to")
	}
	return a.endHooks(ctx, b, store.WebhookDone, "")
}

// tiedIncidents are those of the given incidents, and of the given alerts' incidents, that TigerOps incidents are tied to.
func (a *Agent) tiedIncidents(ctx context.Context, incidents, alerts []string, ties *tieIndex) ([]string, error) {
	var tied []string
	for _, id := range incidents {
		links, err := a.st.LinksOf(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read the links: %w", err)
		}
		if len(links) > 0 {
			tied = append(tied, id)
		}
	}
	for _, key := range alerts {
		owner, ok, err := ties.find(ctx, key)
		if err != nil {
			return nil, err
		}
		if ok && owner.incidentID != "" {
			tied = append(tied, owner.incidentID)
		}
	}
	slices.Sort(tied)
	return slices.Compact(tied), nil
}
