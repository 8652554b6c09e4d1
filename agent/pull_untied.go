package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

const (
	// routeAgain is how often a new incident is asked for alerts of ours: a route may bring them a moment after it made
	// the incident.
	routeAgain = 2 * time.Second
	// routeWithin is for how long.
	routeWithin = 10 * time.Second
)

// pullUntied settles webhooks of an incident that no TigerOps incident is tied to: it may be one whose declaration is
// under way, or one that an alert route made of our alert; else it is a stranger's.
func (a *Agent) pullUntied(ctx context.Context, b *batch, ties *tieIndex) (done bool, err error) {
	rules := &a.cfg.Load().Rules
	ours := b.declared
	var remote mapping.Remote
	if b.private || rules.PullUnlinked {
		var r incidentio.Result
		if remote, r = a.fetchIncident(ctx, b.id, false); r.Class != incidentio.Done {
			return a.unsettled(ctx, b, "fetch the incident", r)
		}
		ours = mapping.DeclaredFor(remote.Summary)
	}
	for _, id := range ours {
		underWay, err := a.declaring(ctx, id)
		if err != nil {
			return false, err
		}
		if underWay {
			return a.waits(b)
		}
	}
	tied, late, r, err := a.tieRouted(ctx, b.id, ties, mapping.SourceWebhook)
	switch {
	case err != nil:
		return false, err
	case r.Class != incidentio.Done:
		return a.unsettled(ctx, b, "look for the alerts of the incident", r)
	case tied, late:
		return a.pullIncident(ctx, b, ties)
	case b.young(a.now()) && ties.loose():
		a.in.pullLater(b.key, routeAgain)
		return false, nil
	case !rules.PullUnlinked:
		return a.endHooks(ctx, b, store.WebhookIgnored, "no TigerOps incident is tied to it")
	}
	c := store.Commit{Why: "tell of an untied incident", Webhooks: b.ends(store.WebhookDone, "")}
	changes, err := a.unlinked(ctx, remote, mapping.SourceWebhook)
	if err != nil {
		return false, err
	}
	if c.Inbox, err = inboxRows(changes); err != nil {
		return false, err
	}
	ids, err := a.st.Commit(ctx, c)
	if err != nil {
		return false, fmt.Errorf("tell of an untied incident: %w", err)
	}
	if len(ids) > 0 {
		a.told(changes)
	}
	a.settled(b, store.WebhookDone)
	return true, nil
}

// young says whether the webhooks told of a new incident just now.
func (b *batch) young(now time.Time) bool {
	for _, w := range b.hooks {
		if strings.Contains(w.EventType, "incident_created") && now.Sub(w.ReceivedAt) < routeWithin {
			return true
		}
	}
	return false
}

// unlinked is the change that tells TigerOps of an incident which is tied to none of its own; none for one that was
// tied before, that was declared for one, or that is only a test.
func (a *Agent) unlinked(ctx context.Context, remote mapping.Remote, source string) ([]mapping.Change, error) {
	if remote.Mode == "test" || remote.Mode == "tutorial" || len(mapping.DeclaredFor(remote.Summary)) > 0 {
		return nil, nil
	}
	former, err := a.st.FindLinks(ctx, remote.ID)
	if err != nil {
		return nil, fmt.Errorf("read the former links of %s: %w", remote.Reference, err)
	}
	if len(former) > 0 {
		return nil, nil
	}
	return []mapping.Change{mapping.UnlinkedChange(remote, source)}, nil
}

// declaring says whether a declaration for a TigerOps incident may be under way or in doubt: the incident is not tied,
// and an event of it is yet to be delivered.
func (a *Agent) declaring(ctx context.Context, tigeropsID string) (bool, error) {
	link, err := a.st.Link(ctx, tigeropsID)
	if err != nil {
		return false, fmt.Errorf("read the link of %s: %w", tigeropsID, err)
	}
	if link != nil {
		return false, nil
	}
	head, ok, err := a.st.Head(ctx, laneOf(tigeropsID))
	if err != nil {
		return false, fmt.Errorf("read what waits for %s: %w", tigeropsID, err)
	}
	return ok && head.State == store.Pending, nil
}

// tieRouted ties the TigerOps incidents whose alerts an alert route brought to an incident, if there are any. The result
// is Done unless incident.io could not be asked. A TigerOps incident that is tied elsewhere already keeps that tie, since
// incidents can't be merged through the API: the second one is tied beside it, and late says so.
func (a *Agent) tieRouted(ctx context.Context, incidentID string, ties *tieIndex, source string) (tied, late bool, r incidentio.Result, err error) {
	done := incidentio.Result{Class: incidentio.Done}
	if a.cfg.Load().Rules.AlertSource == "" {
		return false, false, done, nil
	}
	if any, err := ties.any(ctx); err != nil || !any {
		return false, false, done, err
	}
	var found []incidentio.IncidentAlert
	r = a.call(ctx, false, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		found, r = a.io.IncidentAlerts(ctx, "", incidentID)
		return r
	})
	switch r.Class {
	case incidentio.Done:
	case incidentio.Refused:
		return false, false, done, nil // gone, or alerts are not for this key
	default:
		return false, false, r, nil
	}
	for _, f := range found {
		owner, ours, err := ties.find(ctx, f.Alert.DeduplicationKey)
		if err != nil {
			return tied, late, done, err
		}
		if !ours || over(string(f.Incident.StatusCategory)) {
			continue
		}
		former, err := a.former(ctx, owner.tigeropsID, incidentID)
		switch {
		case err != nil:
			return tied, late, done, err
		case former && owner.incidentID != incidentID && (owner.incidentID != "" || !reopenable(string(f.Incident.StatusCategory))):
			continue // a reopen let go of it, whose alert may fire on
		}
		if owner.incidentID == "" {
			if err := a.tie(ctx, owner.tigeropsID, owner.generation, incidentID, originAlertRoute, source); err != nil {
				var failed incidentio.Result
				switch {
				case !errors.As(err, &failed):
					return tied, late, done, err
				case failed.Class != incidentio.Refused: // else it can't be read: nothing to tie
					return tied, late, failed, nil
				}
				continue
			}
		}
		// It may have been tied elsewhere while we waited for it.
		link, err := a.st.Link(ctx, owner.tigeropsID)
		switch {
		case err != nil:
			return tied, late, done, fmt.Errorf("read the link of %s: %w", owner.tigeropsID, err)
		case link == nil:
		case link.IncidentID == incidentID:
			tied = true
		default:
			late = true
			if r, err := a.tieBeside(ctx, *link, incidentID, source); err != nil || r.Class != incidentio.Done {
				return tied, late, r, err
			}
		}
	}
	return tied, late, done, nil
}

// former says whether a reopen of the TigerOps incident let go of an incident.
func (a *Agent) former(ctx context.Context, tigeropsID, incidentID string) (bool, error) {
	links, err := a.st.FormerLinks(ctx, tigeropsID)
	if err != nil {
		return false, fmt.Errorf("read the former links of %s: %w", tigeropsID, err)
	}
	return slices.ContainsFunc(links, func(l store.Link) bool { return l.IncidentID == incidentID }), nil
}

// tieIndex finds the TigerOps incident of an alert by its deduplication key. It is made when it is first asked.
type tieIndex struct {
	a     *Agent
	once  sync.Once
	err   error
	byKey map[string]alertOwner
}

// alertOwner is whose alert it is.
type alertOwner struct {
	tigeropsID, generation string
	incidentID             string // empty: not tied
}

func (t *tieIndex) find(ctx context.Context, dedup string) (alertOwner, bool, error) {
	t.load(ctx)
	owner, ok := t.byKey[dedup]
	return owner, ok, t.err
}

// any says whether there is any alert that could be ours.
func (t *tieIndex) any(ctx context.Context) (bool, error) {
	t.load(ctx)
	return len(t.byKey) > 0, t.err
}

// loose says, once it is loaded, whether an alert of ours has no incident yet.
func (t *tieIndex) loose() bool {
	for _, o := range t.byKey {
		if o.incidentID == "" {
			return true
		}
	}
	return false
}

func (t *tieIndex) load(ctx context.Context) {
	t.once.Do(func() {
		t.byKey = make(map[string]alertOwner)
		loose, err := t.a.st.OpenAlertsWithoutLink(ctx)
		if err != nil {
			t.err = fmt.Errorf("read the alerts without an incident: %w", err)
			return
		}
		for _, l := range loose {
			t.byKey[l.Key] = alertOwner{l.TigerOpsID, l.Generation, ""}
		}
		fired, err := t.a.st.OpenAlerts(ctx)
		if err != nil {
			t.err = fmt.Errorf("read the alerts that fire: %w", err)
			return
		}
		links, err := t.a.st.OpenLinks(ctx)
		if err != nil {
			t.err = fmt.Errorf("read the open links: %w", err)
			return
		}
		tied := make(map[string]string)
		for _, l := range links {
			if l.Beside {
				continue
			}
			t.byKey[mapping.AlertKey(l.TigerOpsID, l.Generation)] = alertOwner{l.TigerOpsID, l.Generation, l.IncidentID}
			tied[l.TigerOpsID] = l.IncidentID
		}
		for _, f := range fired { // of a life that its incident is yet to be told of
			if incidentID, ok := tied[f.TigerOpsID]; ok {
				t.byKey[f.Key] = alertOwner{f.TigerOpsID, f.Generation, incidentID}
			}
		}
	})
}
