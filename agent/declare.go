package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// How an incident came to be tied (contract section 7, link.origin).
const (
	originDeclared   = "declared"
	originAttached   = "attached"
	originAlertRoute = "alert_route"
)

const (
	// routeLookEvery is how often an incident that an alert route may make is looked for within alert_route_wait.
	routeLookEvery = 500 * time.Millisecond

	// alertShownWithin is how long an alert that incident.io took (202) may take to show before a warning.
	alertShownWithin = 30 * time.Second
)

// takeExisting looks before a declaration (architecture 3.7): an incident that the alert's route made, or an open one
// with the same service and severity, is taken in its place. The caller releases what keeps other declarations of the
// same service and severity waiting once its own is done.
func (d *delivery) takeExisting(ctx context.Context, in mapping.Input, ledger []store.Step) (taken bool, v verdict, wait bool, release func(), err error) {
	release = func() {}
	taken, v, wait, err = d.takeRouted(ctx, in, ledger)
	if taken || wait || err != nil {
		return taken, v, wait, release, err
	}
	field, value, severity, ok := mapping.AlikeFilter(in)
	if !ok {
		return false, verdict{}, false, release, nil
	}
	release, err = d.a.locks.lock(ctx, "alike:"+field+"\x00"+value+"\x00"+severity)
	if err != nil {
		return false, verdict{}, true, func() {}, err
	}
	taken, v, wait, err = d.takeAlike(ctx, field, value, severity)
	return taken, v, wait, release, err
}

// takeRouted takes the incident that an alert route made of our alert, and waits alert_route_wait for one.
func (d *delivery) takeRouted(ctx context.Context, in mapping.Input, ledger []store.Step) (taken bool, v verdict, wait bool, err error) {
	a := d.a
	alert, err := a.st.Alert(ctx, d.ev.IncidentKey, d.state.Generation)
	if err != nil {
		return false, verdict{}, true, fmt.Errorf("read the alert: %w", err)
	}
	if alert == nil || in.Rules.AlertSource == "" {
		return false, verdict{}, false, nil
	}
	ref, r, err := a.routedIncident(ctx, alert, d.urgent)
	if err != nil {
		return false, verdict{}, true, err
	}
	switch {
	case r.Class == incidentio.Refused: // a key that may not read alerts: declare
		d.warn("an incident of the alert's route could not be looked for: " + r.Error())
		return false, verdict{}, false, nil
	case r.Class != incidentio.Done:
		v, err := d.unanswered(ctx, "look for an incident of the alert's route", r)
		return false, v, true, err
	case ref != "":
		return d.take(ctx, ref, originAlertRoute)
	}
	for _, s := range ledger {
		if s.Call != string(mapping.AlertEvent) || s.State != stepDone {
			continue
		}
		left := s.FinishedAt.Add(a.cfg.Load().AlertRouteWait).Sub(a.now())
		if left <= 0 {
			break
		}
		next := a.now().Add(min(left, routeLookEvery))
		_, err := a.st.Commit(ctx, store.Commit{Why: "wait for the alert's route", Defer: &store.Defer{
			OutboxID: d.ev.ID, Attempts: d.ev.Attempts, Next: next, Charged: d.ev.Charged, FirstAttempt: d.ev.FirstAttempt,
			Reason: "waiting for an incident that an alert route may make",
		}})
		if err != nil {
			return false, verdict{}, true, fmt.Errorf("write down the delay: %w", err)
		}
		return false, verdict{retryAt: next}, true, nil
	}
	return false, verdict{}, false, nil
}

// routedIncident finds the incident that incident.io's alert routes tied to an alert, and notes the alert's id once it
// shows.
func (a *Agent) routedIncident(ctx context.Context, alert *store.Alert, urgent bool) (incidentID string, r incidentio.Result, err error) {
	if alert.AlertID == "" {
		var found []incidentio.Alert
		r = a.call(ctx, urgent, func(ctx context.Context) incidentio.Result {
			var r incidentio.Result
			found, r = a.io.AlertsByKey(ctx, alert.Key)
			return r
		})
		if r.Class != incidentio.Done || len(found) == 0 {
			return "", r, nil
		}
		newest := slices.MaxFunc(found, func(x, y incidentio.Alert) int { return x.CreatedAt.Compare(y.CreatedAt) })
		alert.AlertID = newest.ID
		if _, err := a.st.Commit(ctx, store.Commit{Why: "note the alert", Alert: alert}); err != nil {
			return "", r, fmt.Errorf("write down the alert: %w", err)
		}
	}
	var tied []incidentio.IncidentAlert
	r = a.call(ctx, urgent, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		tied, r = a.io.IncidentAlerts(ctx, alert.AlertID, "")
		return r
	})
	if r.Class != incidentio.Done {
		return "", r, nil
	}
	for _, t := range tied {
		c := string(t.Incident.StatusCategory)
		if c == "declined" || c == "canceled" || c == "merged" {
			continue
		}
		if !reopenable(c) {
			switch former, err := a.former(ctx, alert.TigerOpsID, t.Incident.ID); {
			case err != nil:
				return "", r, err
			case former:
				continue // a reopen let go of it, whose alert may fire on
			}
		}
		return t.Incident.ID, r, nil
	}
	return "", r, nil
}

// takeAlike takes the newest open incident with the same service and severity that no agent declared for another
// TigerOps incident.
func (d *delivery) takeAlike(ctx context.Context, field, value, severity string) (taken bool, v verdict, wait bool, err error) {
	a := d.a
	var list []incidentio.Incident
	r := a.call(ctx, d.urgent, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		list, r = a.io.Incidents(ctx, incidentio.ListFilter{
			Categories: []string{"triage", "live"}, SeverityID: severity, CustomField: field, Value: value, Max: 50,
		})
		return r
	})
	switch {
	case r.Class == incidentio.Refused:
		d.warn("an open incident of the same service could not be looked for: " + r.Error())
		return false, verdict{}, false, nil
	case r.Class != incidentio.Done:
		v, err := d.unanswered(ctx, "look for an open incident of the same service", r)
		return false, v, true, err
	}
	for _, i := range list {
		if c := i.Status.Category; c != "triage" && c != "live" {
			continue
		}
		links, err := a.st.LinksOf(ctx, i.ID)
		if err != nil {
			return false, verdict{}, true, fmt.Errorf("read the links of %s: %w", i.Reference, err)
		}
		if declaredForAnother(i, links, d.ev.IncidentKey) {
			continue
		}
		if took, err := d.takeBack(ctx, i.ID); took || err != nil {
			return took, verdict{}, err != nil, err
		}
		return d.take(ctx, i.ID, originAttached)
	}
	return false, verdict{}, false, nil
}

// takeBack ties the event's incident again to one that it was tied to before, and that people have opened again since:
// both sides go on from what they agreed on then.
func (d *delivery) takeBack(ctx context.Context, incidentID string) (bool, error) {
	former, err := d.a.st.FormerLinks(ctx, d.ev.IncidentKey)
	if err != nil {
		return false, fmt.Errorf("read the former links: %w", err)
	}
	i := slices.IndexFunc(former, func(l store.Link) bool { return l.IncidentID == incidentID })
	if i < 0 {
		return false, nil
	}
	link := former[i]
	link.Generation, link.AlertID, link.Closed, link.UpdatedAt = d.state.Generation, "", false, time.Time{}
	if _, err := d.a.st.Commit(ctx, store.Commit{Why: "take back", Links: []store.Link{link}, Unpark: d.ev.IncidentKey}); err != nil {
		return false, fmt.Errorf("tie %s to %s again: %w", d.ev.IncidentKey, link.Reference, err)
	}
	d.looked = false // what people did since
	d.a.log.Info("tied again", "incident", d.ev.IncidentKey, "reference", link.Reference, "origin", link.Origin)
	d.a.drain.wake()
	return true, nil
}

// declaredForAnother tells whether an agent declared an incident for other TigerOps incidents than this one. Its own links
// know; what another agent did shows in the summary, and by an API key's having made it: taking an incident that people
// or an alert route made leaves a line there, too.
func declaredForAnother(i incidentio.Incident, links []store.Link, tigeropsID string) bool {
	by := mapping.DeclaredFor(i.Summary)
	for _, l := range links {
		if l.Origin == originDeclared && l.TigerOpsID != tigeropsID {
			return true
		}
		by = slices.DeleteFunc(by, func(id string) bool { return id == l.TigerOpsID && l.Origin != originDeclared })
	}
	people := i.Creator.Type != "" && i.Creator.Type != "api_key"
	return !people && len(by) > 0 && !slices.Contains(by, tigeropsID)
}

// take ties the event's incident to one that is there already.
func (d *delivery) take(ctx context.Context, incidentID, origin string) (taken bool, v verdict, wait bool, err error) {
	unlock, ok := d.a.locks.tryLock(incidentID)
	if !ok {
		v, _, err = d.waitFor(ctx, "waiting for another hand on the incident to take")
		return false, v, true, err
	}
	defer unlock()
	r, err := d.a.tieTo(ctx, d.ev.IncidentKey, incidentID, origin, "delivery", d.state)
	if err != nil {
		return false, verdict{}, true, err
	}
	if r.Class == incidentio.Refused { // gone, or not ours to see: declare
		d.warn("an incident that was found could not be read: " + r.Error())
		return false, verdict{}, false, nil
	}
	if r.Class != incidentio.Done {
		v, err := d.unanswered(ctx, "read the incident to take", r)
		return false, v, true, err
	}
	return true, verdict{}, false, nil
}

// tie ties a TigerOps incident that has no tie to an incident that an alert route made later (origin alert_route), and
// reports it. It is for the way in; the caller holds no lock of either. generation is that of the alert: the event that
// began it may be among those that are set aside, so that the state does not know it yet.
func (a *Agent) tie(ctx context.Context, tigeropsID, generation, incidentID, origin, source string) error {
	unlock, err := a.locks.lock(ctx, lockName(tigeropsID, nil))
	if err != nil {
		return err
	}
	defer unlock()
	link, err := a.st.Link(ctx, tigeropsID)
	if err != nil {
		return fmt.Errorf("read the link of %s: %w", tigeropsID, err)
	}
	if link != nil {
		return nil
	}
	raw, _, err := a.st.IncidentState(ctx, tigeropsID)
	if err != nil {
		return fmt.Errorf("read incident %s: %w", tigeropsID, err)
	}
	var s mapping.State
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("read incident %s: %w", tigeropsID, err)
		}
	}
	s.Generation = generation
	unlockIncident, err := a.locks.lock(ctx, incidentID)
	if err != nil {
		return err
	}
	defer unlockIncident()
	r, err := a.tieTo(ctx, tigeropsID, incidentID, origin, source, s)
	if err == nil && r.Class != incidentio.Done {
		err = fmt.Errorf("tie %s: %w", tigeropsID, r)
	}
	return err
}

// tieTo writes the tie, its row for TigerOps, and makes what was set aside for it due. The caller holds the locks of both:
// what another hand changes between the look and the tie would be taken for a person's change.
func (a *Agent) tieTo(ctx context.Context, tigeropsID, incidentID, origin, source string, s mapping.State) (incidentio.Result, error) {
	var found incidentio.Incident
	r := a.call(ctx, true, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		found, r = a.io.Incident(ctx, incidentID)
		return r
	})
	if r.Class != incidentio.Done {
		return r, nil
	}
	c, err := a.tied(remoteOf(found), tigeropsID, origin, source, s, mapping.Pushed{})
	if err != nil {
		return r, err
	}
	if err := a.noteAlert(ctx, &c.Links[0]); err != nil {
		return r, err
	}
	if _, err := a.st.Commit(ctx, c); err != nil {
		return r, fmt.Errorf("tie %s to %s: %w", tigeropsID, found.Reference, err)
	}
	a.log.Info("tied", "incident", tigeropsID, "reference", found.Reference, "origin", origin)
	poke(a.wakePush)
	a.drain.wake()
	return r, nil
}

// tied is the commit that ties a TigerOps incident to an incident.io incident as it is now.
func (a *Agent) tied(remote mapping.Remote, tigeropsID, origin, source string, s mapping.State, pushed mapping.Pushed) (store.Commit, error) {
	tie := mapping.Tie{
		TigerOpsID: tigeropsID, IncidentID: remote.ID, Reference: remote.Reference, Permalink: remote.Permalink,
		Origin: origin, Generation: s.Generation, Agreed: mapping.AgreedOn(remote), Pushed: pushed,
	}
	link, err := linkOf(store.Link{}, tie, s)
	if err != nil {
		return store.Commit{}, err
	}
	row, err := inboxRow(mapping.LinkedChange(tie, remote, source))
	if err != nil {
		return store.Commit{}, err
	}
	return store.Commit{Why: "tie", Links: []store.Link{link}, Inbox: []store.InboxRow{row}, Unpark: tigeropsID}, nil
}

// declared adds the tie of a declaration that incident.io took to the step's end.
func (d *delivery) declared(ctx context.Context, req mapping.Request, r incidentio.Result, again bool, c *store.Commit) error {
	a := d.a
	i, err := incidentio.DecodeIncident(r.Body)
	if err != nil {
		return fmt.Errorf("read the declared incident: %w", err)
	}
	remote, pushed := remoteOf(i), req.Effect.Pushed
	if !again && !mapping.Tells(remote.Summary, pushed.Summary) {
		// Another agent with the same TigerOps, or this one before its database was restored, has told more since.
		pushed.Summary = ""
	}
	if now := a.now(); again || now.Add(clockOff(r.Date, now)).Sub(remote.CreatedAt) > time.Minute {
		// The key may have brought back an incident declared earlier, which people have moved since: what it was
		// declared with is what both sides agree on, so that their moves are told.
		a.asDeclared(ctx, req.Effect, &remote)
	}
	more, err := a.tied(remote, d.ev.IncidentKey, originDeclared, "delivery", d.state, pushed)
	if err != nil {
		return err
	}
	if err := a.noteAlert(ctx, &more.Links[0]); err != nil {
		return err
	}
	c.Links, c.Inbox, c.Unpark = more.Links, more.Inbox, more.Unpark
	c.End.RemoteID = remote.ID
	a.log.Info("declared", "incident", d.ev.IncidentKey, "reference", remote.Reference, "permalink", remote.Permalink)
	return nil
}

// noteAlert names the incident's alert in a new link, if it is known already.
func (a *Agent) noteAlert(ctx context.Context, l *store.Link) error {
	alert, err := a.st.Alert(ctx, l.TigerOpsID, l.Generation)
	if err != nil {
		return fmt.Errorf("read the alert: %w", err)
	}
	if alert != nil {
		l.AlertID = alert.AlertID
	}
	return nil
}

// asDeclared sets the remote's state back to what it was declared with, as far as that can be told.
func (a *Agent) asDeclared(ctx context.Context, e mapping.Effect, remote *mapping.Remote) {
	var updates []incidentio.Update
	r := a.call(ctx, true, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		updates, r = a.io.Updates(ctx, remote.ID)
		return r
	})
	if r.Class == incidentio.Done && len(updates) > 0 {
		first := updateOf(slices.MinFunc(updates, func(x, y incidentio.Update) int { return x.CreatedAt.Compare(y.CreatedAt) }))
		if first.Status != nil {
			remote.Status = *first.Status
		}
		if first.Severity != nil {
			remote.Severity = first.Severity
		}
	}
	if e.Severity != nil {
		remote.Severity = e.Severity
	}
	if e.Status != nil {
		remote.Status = *e.Status
	}
	if e.Summary != "" {
		remote.Summary = e.Summary
	}
	if e.Name != "" {
		remote.Name = e.Name
	}
	remote.Roles = e.Roles
}

// alert adds what is known of the incident's alert to the plan's input.
func (d *delivery) alert(ctx context.Context, in *mapping.Input) error {
	if d.ev.IncidentKey == "" || in.Rules.AlertSource == "" {
		return nil
	}
	alert, err := d.a.st.Alert(ctx, d.ev.IncidentKey, d.state.Generation)
	if err != nil {
		return fmt.Errorf("read the alert: %w", err)
	}
	if alert != nil {
		in.AlertID, in.AlertFired = alert.AlertID, alert.State == store.AlertFired
	}
	if d.event.Type != mapping.IncidentReopened && d.event.Type != mapping.IncidentResolved {
		return nil
	}
	left, err := d.a.st.AlertLeft(ctx, d.ev.IncidentKey, d.state.Generation, d.ev.ID)
	if err != nil {
		return fmt.Errorf("read the alert of an earlier life: %w", err)
	}
	if left != nil {
		in.AlertLeft = left.Key
	}
	return nil
}

// confirmAlerts looks up the alerts that this event sent: 202 means taken, not shown (facts.md, "Alert events").
func (d *delivery) confirmAlerts(ctx context.Context, ledger []store.Step) (v verdict, wait bool, err error) {
	a := d.a
	for _, s := range ledger {
		if s.Call != string(mapping.AlertEvent) || s.State != stepDone {
			continue
		}
		var body struct {
			Key    string `json:"deduplication_key"`
			Status string `json:"status"`
		}
		if json.Unmarshal(s.Request, &body) != nil || body.Key == "" {
			continue
		}
		var known *store.Alert
		if d.ev.IncidentKey != "" {
			if known, err = a.st.Alert(ctx, d.ev.IncidentKey, d.state.Generation); err != nil {
				return verdict{}, true, fmt.Errorf("read the alert: %w", err)
			}
			if known != nil && known.Key != body.Key {
				known = nil // it is an earlier life's
			}
			if known != nil && known.AlertID != "" && body.Status == "firing" {
				continue
			}
		}
		var found []incidentio.Alert
		r := a.call(ctx, d.urgent, func(ctx context.Context) incidentio.Result {
			var r incidentio.Result
			found, r = a.io.AlertsByKey(ctx, body.Key)
			return r
		})
		switch r.Class {
		case incidentio.Done:
		case incidentio.Refused:
			d.warn("the alert could not be looked up: " + r.Error())
			continue
		default:
			v, err := d.unanswered(ctx, "confirm the alert", r)
			return v, true, err
		}
		shown := ""
		for _, f := range found {
			if body.Status == "firing" || f.Status == body.Status {
				shown = f.ID
			}
		}
		if shown != "" {
			if known != nil && known.AlertID != shown {
				known.AlertID = shown
				c := store.Commit{Why: "note the alert", Alert: known}
				if d.link != nil {
					d.link.AlertID = shown
					c.Links = []store.Link{*d.link}
				}
				if _, err := a.st.Commit(ctx, c); err != nil {
					return verdict{}, true, fmt.Errorf("write down the alert: %w", err)
				}
			}
			continue
		}
		if a.now().Sub(s.FinishedAt) > alertShownWithin {
			d.warn(fmt.Sprintf("incident.io took the alert (%s) but does not show it", body.Status))
			continue
		}
		return d.waitFor(ctx, "waiting for incident.io to show the alert")
	}
	return verdict{}, false, nil
}
