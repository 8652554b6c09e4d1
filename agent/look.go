package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// details are what can be fetched of an incident beside the incident itself: a request each.
type details uint8

const (
	ofUpdates details = 1 << iota
	ofActions
	ofFollowUps
	ofTimeline
	ofPostmortems
	ofEscalations
)

// detailNames are for logs and people.
var detailNames = map[details]string{
	ofUpdates: "updates", ofActions: "actions", ofFollowUps: "follow-ups", ofTimeline: "timeline items",
	ofPostmortems: "post-mortem documents", ofEscalations: "escalations",
}

// wantedDetails are those that the switches of the configuration want to hear of.
func wantedDetails(r *mapping.Rules) details {
	d := ofUpdates | ofActions | ofFollowUps | ofPostmortems
	if r.PullTimeline {
		d |= ofTimeline
	}
	if r.PullEscalations {
		d |= ofEscalations
	}
	return d
}

const (
	// pendingAtMost bounds the waiting events that a compare takes in; they decide conflicts only.
	pendingAtMost = 500
	// unreadableShare is the part of the reconcile interval for which details that the account or the key does not give
	// are not asked for again: each sweep asks, so that what was refused for a moment is told within the interval.
	unreadableShare = 0.5
	// lackedFor is how long details that are not given are expected to be given again: an incident that is over is
	// polled for them until then.
	lackedFor = time.Hour
	// seenMark in Agreed.Seen says that an incident was looked at since it was tied. No id of incident.io's looks so.
	seenMark = "@looked"
	// clockSlack is the difference between two clocks up to which they count as the same.
	clockSlack = 2 * time.Second
	// overMark says that all of an incident was looked at since it was over, when nothing polls it any more.
	overMark = "@over"
)

// lookOptions say what a look is for.
type lookOptions struct {
	Source  string  // mapping.SourceWebhook, mapping.SourceSweep, or why else somebody looks
	Urgent  bool    // may use what the bucket keeps for urgent requests
	Full    bool    // fetch all details that the switches want
	Also    details // fetch these, where the switches want them
	Exclude int64   // an outbox row that does not count as waiting

	Webhooks    []store.WebhookEnd      // end in the same transaction
	Escalations []incidentio.Escalation // fetched by the caller already, beside those of the incident
	Alert       *resolvedAlert          // to be told to its TigerOps incident
}

// seen is what came of a look.
type seen struct {
	Remote  mapping.Remote
	Result  incidentio.Result // of the request that decided; not Done: nothing was compared or written
	Ties    int               // TigerOps incidents tied to the incident; with none nothing was written
	Changes []mapping.Change  // put into the inbox
}

// look fetches an incident as it is now, compares it for every TigerOps incident tied to it, and writes the changes,
// the new agreed states and the ends of webhooks in one transaction. The caller holds the incident's lock.
func (a *Agent) look(ctx context.Context, incidentID string, o lookOptions) (mapping.Remote, incidentio.Result, error) {
	s, err := a.lookAt(ctx, incidentID, o)
	return s.Remote, s.Result, err
}

func (a *Agent) lookAt(ctx context.Context, incidentID string, o lookOptions) (seen, error) {
	var s seen
	s.Remote, s.Result = a.fetchIncident(ctx, incidentID, o.Urgent)
	off := clockOff(s.Result.Date, a.now())
	if s.Result.Class != incidentio.Done {
		return s, nil
	}
	a.in.sawVisibility(incidentID, s.Remote.Visibility)
	links, err := a.st.LinksOf(ctx, incidentID)
	if err != nil {
		return s, fmt.Errorf("read the links of %s: %w", incidentID, err)
	}
	s.Ties = len(links)
	if len(links) == 0 {
		return s, nil
	}
	ties := make([]mapping.Tie, len(links))
	for i, l := range links {
		if ties[i], err = tieOf(l); err != nil {
			return s, err
		}
	}

	l := mapping.Look{Remote: s.Remote, Source: o.Source}
	whole, r := a.fetchDetails(ctx, &l, ties, o)
	if r.Class != incidentio.Done {
		s.Result = r
		return s, nil
	}
	s.Remote = l.Remote
	directory, err := a.dir.get(ctx)
	var away *directoryError
	switch {
	case errors.As(err, &away):
		s.Result = away.result
		return s, nil
	case err != nil:
		return s, err
	}
	rules := &a.cfg.Load().Rules
	common := mapping.Compare{Look: l, KeyName: a.dir.keyName(), Rules: rules, Directory: directory}
	if common.Open, common.Marks, err = a.underWay(ctx, incidentID); err != nil {
		return s, err
	}
	if common.OwnIDs, err = a.st.OwnRemoteIDs(ctx, incidentID); err != nil {
		return s, fmt.Errorf("read what the agent itself made of %s: %w", incidentID, err)
	}

	c := store.Commit{Why: "look", Webhooks: o.Webhooks}
	for i, tie := range ties {
		compare := common
		compare.Tie = tie
		compare.Look.First, compare.Look.TiedAt = tie.Agreed.Seen[seenMark] == "", links[i].CreatedAt.Add(off)
		if o.Alert != nil && o.Alert.row.TigerOpsID == tie.TigerOpsID {
			compare.Look.AlertResolved = &o.Alert.item
			c.Alert = &o.Alert.row
		}
		if compare.State, err = a.stateOf(ctx, tie.TigerOpsID); err != nil {
			return s, err
		}
		if compare.Pending, err = a.waiting(ctx, tie.TigerOpsID, o.Exclude); err != nil {
			return s, err
		}
		if links[i].Beside {
			compare.Pending = nil // they want nothing of this one
		}
		changes, next := mapping.Changes(compare)
		if links[i].Beside {
			changes = ofBeside(changes)
		}
		if next.Seen == nil {
			next.Seen = make(map[string]string, 1)
		}
		next.Seen[seenMark] = "1"
		switch {
		case over(l.Remote.Status.Category) && whole:
			next.Seen[overMark] = "1"
		case !over(l.Remote.Status.Category), !l.Remote.UpdatedAt.Equal(tie.Agreed.RemoteUpdatedAt):
			delete(next.Seen, overMark)
		}
		if len(changes) == 0 && !l.Remote.UpdatedAt.Equal(tie.Agreed.RemoteUpdatedAt) {
			a.m.echoes.Inc()
		}
		tie.Agreed = next
		tie.Reference, tie.Permalink = l.Remote.Reference, l.Remote.Permalink
		link, err := linkOf(links[i], tie, compare.State)
		if err != nil {
			return s, err
		}
		if links[i].TigerOpsStatus != "" { // a step under way may have told more than the events that ended
			link.TigerOpsStatus, link.TigerOpsSeverity = links[i].TigerOpsStatus, links[i].TigerOpsSeverity
		}
		if !sameLink(links[i], link) {
			c.Links = append(c.Links, link)
		}
		rows, err := inboxRows(changes)
		if err != nil {
			return s, err
		}
		c.Inbox = append(c.Inbox, rows...)
		s.Changes = append(s.Changes, changes...)
	}
	if len(c.Links)+len(c.Inbox)+len(c.Webhooks) == 0 && c.Alert == nil {
		return s, nil
	}
	if _, err := a.st.Commit(ctx, c); err != nil {
		return s, fmt.Errorf("write what was seen of %s: %w", l.Remote.Reference, err)
	}
	a.told(s.Changes)
	return s, nil
}

// clockOff is by how much incident.io's clock, which told there in an answer that came now, is ahead of this machine's. What
// an answer tells to the second says nothing of less than that.
func clockOff(there, now time.Time) time.Duration {
	if off := there.Sub(now); !there.IsZero() && off.Abs() > clockSlack {
		return off
	}
	return 0
}

// told counts and logs changes that are in the inbox now, and wakes the push.
func (a *Agent) told(changes []mapping.Change) {
	if len(changes) == 0 {
		return
	}
	a.m.changed(changes)
	for _, c := range changes {
		a.log.Info("change for TigerOps", "type", c.Type, "incident", c.TigerOpsIncidentID, "reference", c.Incident.Reference, "source", c.Source)
	}
	poke(a.wakePush)
}

func (a *Agent) fetchIncident(ctx context.Context, id string, urgent bool) (mapping.Remote, incidentio.Result) {
	var found incidentio.Incident
	r := a.call(ctx, urgent, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		found, r = a.io.Incident(ctx, id)
		return r
	})
	return remoteOf(found), r
}

// fetchDetails adds to the look what it needs beside the incident itself. whole says that it holds all that there is to
// see. The result is Done, or that of the request which makes the look impossible now.
func (a *Agent) fetchDetails(ctx context.Context, l *mapping.Look, ties []mapping.Tie, o lookOptions) (whole bool, r incidentio.Result) {
	wanted := wantedDetails(&a.cfg.Load().Rules)
	need := o.Also
	for _, t := range ties {
		if !l.Remote.UpdatedAt.Equal(t.Agreed.RemoteUpdatedAt) {
			need |= ofUpdates // who did it, and what they said
		}
		if !slices.Equal(l.Remote.PostmortemIDs, t.Agreed.PostmortemIDs) {
			need |= ofPostmortems
		}
		// Nothing polls an incident that is over: whatever moves it is the occasion to see all of it.
		last := over(l.Remote.Status.Category) && (t.Agreed.Seen[overMark] == "" || !l.Remote.UpdatedAt.Equal(t.Agreed.RemoteUpdatedAt))
		if o.Full || last || t.Agreed.Seen[seenMark] == "" {
			need = wanted
		}
	}
	need &= wanted
	whole = need == wanted
	id := l.Remote.ID
	for _, d := range []struct {
		what  details
		drop  func() // "not looked at" is not "nothing there"
		fetch func(context.Context) incidentio.Result
	}{
		{ofUpdates, func() { l.Updates = nil }, func(ctx context.Context) incidentio.Result {
			list, r := a.io.Updates(ctx, id)
			l.Updates = convert(list, updateOf)
			return r
		}},
		{ofActions, func() { l.Actions = nil }, func(ctx context.Context) incidentio.Result {
			list, r := a.io.Actions(ctx, id)
			l.Actions = convert(list, actionOf)
			return r
		}},
		{ofFollowUps, func() { l.FollowUps = nil }, func(ctx context.Context) incidentio.Result {
			list, r := a.io.FollowUps(ctx, id)
			l.FollowUps = convert(list, followUpOf)
			return r
		}},
		{ofTimeline, func() { l.Timeline = nil }, func(ctx context.Context) incidentio.Result {
			list, r := a.io.Timeline(ctx, id)
			l.Timeline = convert(list, timelineOf)
			return r
		}},
		{ofPostmortems, func() { l.Postmortems = nil }, func(ctx context.Context) incidentio.Result {
			list, r := a.io.Postmortems(ctx, id)
			l.Postmortems = convert(list, postmortemOf)
			return r
		}},
		{ofEscalations, func() { l.Escalations = nil }, func(ctx context.Context) incidentio.Result {
			list, r := a.io.Escalations(ctx, id)
			l.Escalations = convert(list, escalationOf)
			return r
		}},
	} {
		if need&d.what == 0 {
			continue
		}
		if a.in.isUnreadable(d.what) {
			whole = whole && !a.in.lacks(d.what)
			continue
		}
		r := a.call(ctx, o.Urgent, d.fetch)
		switch {
		case r.Class == incidentio.Done:
			if a.in.setReadable(d.what) {
				a.log.Info("incident.io gives this again", "what", detailNames[d.what])
			}
		case r.Class == incidentio.Refused, r.Class == incidentio.Unauthorized && r.Status == http.StatusForbidden:
			// The incident itself was readable a moment ago: it is this call that the account or the key lacks.
			again := time.Duration(unreadableShare * float64(a.cfg.Load().ReconcileInterval))
			if a.in.setUnreadable(d.what, again) {
				a.log.Warn("incident.io does not give this; looks go on without it, and each sweep asks again", "what", detailNames[d.what], "error", r.Error())
			}
			whole = whole && !a.in.lacks(d.what)
			d.drop()
		default:
			return false, r
		}
	}
	for _, e := range o.Escalations {
		if wanted&ofEscalations == 0 || slices.ContainsFunc(l.Escalations, func(x mapping.Escalation) bool { return x.ID == e.ID }) {
			continue
		}
		m := escalationOf(e)
		m.IncidentIDs = nil // the caller says that it belongs to this one
		l.Escalations = append(l.Escalations, m)
	}
	return whole, incidentio.Result{Class: incidentio.Done}
}

// underWay are the effects and marks of steps that were sent, or are about to be, and whose outcome is not known.
func (a *Agent) underWay(ctx context.Context, incidentID string) (open []mapping.Effect, marks []string, err error) {
	steps, err := a.st.OpenStepsOf(ctx, incidentID)
	if err != nil {
		return nil, nil, fmt.Errorf("read the open steps of %s: %w", incidentID, err)
	}
	for _, s := range steps {
		req := requestOf(s)
		open = append(open, req.Effect)
		if req.Mark != "" {
			marks = append(marks, req.Mark)
		}
		if req.Call == mapping.CreateEscalation {
			var body struct {
				Title string `json:"title"`
			}
			if json.Unmarshal(req.Body, &body) == nil && body.Title != "" {
				marks = append(marks, body.Title)
			}
		}
	}
	return open, marks, nil
}

// stateOf is what TigerOps has told of an incident; the zero state before its first event ended.
func (a *Agent) stateOf(ctx context.Context, tigeropsID string) (mapping.State, error) {
	var s mapping.State
	raw, ok, err := a.st.IncidentState(ctx, tigeropsID)
	if err != nil {
		return s, fmt.Errorf("read incident %s: %w", tigeropsID, err)
	}
	if ok {
		if err := json.Unmarshal(raw, &s); err != nil {
			return s, fmt.Errorf("read the state of incident %s: %w", tigeropsID, err)
		}
	}
	return s, nil
}

// waiting are the events of a TigerOps incident that are not delivered yet and not part of its state.
func (a *Agent) waiting(ctx context.Context, tigeropsID string, exclude int64) ([]mapping.Pending, error) {
	rows, err := a.st.Waiting(ctx, laneOf(tigeropsID), 0, pendingAtMost)
	if err != nil {
		return nil, fmt.Errorf("read what waits for %s: %w", tigeropsID, err)
	}
	var out []mapping.Pending
	for _, row := range rows {
		if row.ID == exclude {
			continue
		}
		e, faults := mapping.ParseEvent(row.Payload, row.EventID)
		if len(faults) > 0 {
			continue // delivery tells what is wrong with it
		}
		at := e.Timestamp
		if at.IsZero() {
			at = row.CreatedAt
		}
		out = append(out, mapping.Pending{OutboxID: row.ID, Event: e, At: at})
	}
	return out, nil
}

// over says whether nothing more is done in an incident of this category. In a post-incident (learning) status people
// still work on follow-ups and the post-mortem.
func over(category string) bool {
	switch category {
	case "closed", "declined", "canceled", "merged":
		return true
	}
	return false
}

// laneOf is how the store names the lane of a TigerOps incident: "#" and a number are lanes of events without one.
func laneOf(tigeropsID string) string {
	if strings.HasPrefix(tigeropsID, "#") {
		return "#" + tigeropsID
	}
	return tigeropsID
}
