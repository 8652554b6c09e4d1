package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// pullUntied settles webhooks of an incident that no TigerOps incident is tied to: it may be one whose declaration is
// under way, or one that an alert route made of our alert; else it is a stranger's.
func (a *Agent) pullUntied(ctx context.Context, b *batch) (done bool, err error) {
	rules := &a.cfg.Load().Rules
	summary := b.summary
	var remote mapping.Remote
	if b.private || rules.PullUnlinked {
		var r incidentio.Result
		if remote, r = a.fetchIncident(ctx, b.id, false); r.Class != incidentio.Done {
			return a.unsettled(ctx, b, "fetch the incident", r)
		}
		summary = remote.Summary
	}
	ours := mapping.DeclaredFor(summary)
	for _, id := range ours {
		underWay, err := a.declaring(ctx, id)
		if err != nil {
			return false, err
		}
		if underWay {
			return a.waits(b)
		}
	}
	tied, r, err := a.tieRouted(ctx, b.id, mapping.SourceWebhook)
	switch {
	case err != nil:
		return false, err
	case r.Class != incidentio.Done:
		return a.unsettled(ctx, b, "look for the alerts of the incident", r)
	case tied:
		return a.pullIncident(ctx, b)
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
// is Done unless incident.io could not be asked.
func (a *Agent) tieRouted(ctx context.Context, incidentID, source string) (tied bool, r incidentio.Result, err error) {
	done := incidentio.Result{Class: incidentio.Done}
	if a.cfg.Load().Rules.AlertSource == "" {
		return false, done, nil
	}
	loose, err := a.st.OpenAlertsWithoutLink(ctx)
	if err != nil {
		return false, done, fmt.Errorf("read the alerts without an incident: %w", err)
	}
	if len(loose) == 0 {
		return false, done, nil
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
		return false, done, nil // gone, or alerts are not for this key
	default:
		return false, r, nil
	}
	for _, f := range found {
		i := slices.IndexFunc(loose, func(l store.Alert) bool { return l.Key == f.Alert.DeduplicationKey })
		if i < 0 || over(string(f.Incident.StatusCategory)) {
			continue
		}
		err := a.tie(ctx, loose[i].TigerOpsID, incidentID, originAlertRoute, source)
		var failed incidentio.Result
		switch {
		case errors.As(err, &failed):
			return tied, failed, nil
		case err != nil:
			return tied, done, err
		}
		tied = true
	}
	return tied, done, nil
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
		links, err := t.a.st.OpenLinks(ctx)
		if err != nil {
			t.err = fmt.Errorf("read the open links: %w", err)
			return
		}
		for _, l := range links {
			t.byKey[mapping.AlertKey(l.TigerOpsID, l.Generation)] = alertOwner{l.TigerOpsID, l.Generation, l.IncidentID}
		}
	})
	owner, ok := t.byKey[dedup]
	return owner, ok, t.err
}
