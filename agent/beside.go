package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// tieBeside ties an incident that an alert route made of an alert after the agent had tied another one: TigerOps is told,
// and the people of both. The items on their timelines carry keys, so that they may be sent again after a crash.
func (a *Agent) tieBeside(ctx context.Context, kept store.Link, incidentID, source string) (incidentio.Result, error) {
	unlock, err := a.locks.lock(ctx, incidentID)
	if err != nil {
		return incidentio.Result{}, err
	}
	defer unlock()
	links, err := a.st.LinksOf(ctx, incidentID)
	if err != nil {
		return incidentio.Result{}, fmt.Errorf("read the links: %w", err)
	}
	if slices.ContainsFunc(links, func(l store.Link) bool { return l.TigerOpsID == kept.TigerOpsID }) {
		return incidentio.Result{Class: incidentio.Done}, nil
	}
	remote, r := a.fetchIncident(ctx, incidentID, false)
	if r.Class != incidentio.Done {
		return r, nil
	}
	first, err := tieOf(kept)
	if err != nil {
		return r, err
	}
	state, err := a.stateOf(ctx, kept.TigerOpsID)
	if err != nil {
		return r, err
	}
	tie := mapping.Tie{
		TigerOpsID: kept.TigerOpsID, IncidentID: incidentID, Reference: remote.Reference, Permalink: remote.Permalink,
		Origin: originAlertRoute, Generation: kept.Generation, Agreed: mapping.AgreedOn(remote),
	}
	c := store.Commit{Why: "tie a second incident"}
	if !a.cfg.Load().DryRun {
		if r := a.tellBeside(ctx, first, tie, remote); r.Class != incidentio.Done {
			return r, nil
		}
		link, err := linkOf(store.Link{AlertID: kept.AlertID, Beside: true}, tie, state)
		if err != nil {
			return r, err
		}
		c.Links = []store.Link{link}
	}
	change := mapping.LinkedChange(tie, remote, source)
	change.Message = fmt.Sprintf("An alert route made %s of this incident's alert after %s had been tied. Incidents can't be merged through incident.io's API: "+
		"%s stays the one that is kept in step, and %s is resolved together with it.", remote.Reference, kept.Reference, kept.Reference, remote.Reference)
	if c.Inbox, err = inboxRows([]mapping.Change{change}); err != nil {
		return r, err
	}
	if _, err := a.st.Commit(ctx, c); err != nil {
		return r, fmt.Errorf("tie %s beside %s: %w", remote.Reference, kept.Reference, err)
	}
	a.log.Warn("an alert route made a second incident of an alert", "incident", kept.TigerOpsID, "tied", kept.Reference, "second", remote.Reference,
		"mend", "give the route more time by alert_route_wait, or let it make no incidents of this source's alerts")
	a.told([]mapping.Change{change})
	return r, nil
}

// tellBeside tells the people of both incidents. What incident.io refuses (an older account has no such items) costs a
// log line.
func (a *Agent) tellBeside(ctx context.Context, kept, beside mapping.Tie, remote mapping.Remote) incidentio.Result {
	for _, req := range mapping.TellBeside(kept, beside, remote.CreatedAt) {
		r := a.call(ctx, false, func(ctx context.Context) incidentio.Result {
			return a.io.Send(ctx, incidentio.Call{Method: req.Method, Path: req.Path, Body: req.Body})
		})
		switch r.Class {
		case incidentio.Done:
		case incidentio.Refused:
			a.log.Warn("people are not told of a second incident", "step", req.Name, "incident", kept.TigerOpsID, "error", r.Error())
		default:
			return r
		}
	}
	return incidentio.Result{Class: incidentio.Done}
}

// ofBeside are the changes of an incident beside the one that is kept in step that TigerOps hears of: what people do and
// say there. Its status, severity and roles are not those of the TigerOps incident; what was said with them is a message.
func ofBeside(changes []mapping.Change) (told []mapping.Change) {
	for _, c := range changes {
		switch c.Type {
		case mapping.ChangeAcknowledged:
			if c.After["status"] == nil { // an escalation's
				break
			}
			fallthrough
		case mapping.ChangeStatus, mapping.ChangeResolved, mapping.ChangeReopened, mapping.ChangeSeverity, mapping.ChangeRoleAssigned,
			mapping.ChangeRoleUnassigned, mapping.ChangeSummary:
			if c.Message == "" {
				continue
			}
			c.Type, c.Before, c.After = mapping.ChangeMessage, nil, nil
		}
		told = append(told, c)
	}
	return told
}

// beside are the ties beside the event's own whose incidents it is to end: still open, and held open by nobody else.
func (d *delivery) beside(ctx context.Context) (ties []mapping.Tie, err error) {
	links, err := d.a.st.LinksBeside(ctx, d.ev.IncidentKey)
	if err != nil {
		return nil, fmt.Errorf("read the links beside: %w", err)
	}
next:
	for _, l := range links {
		if !reopenable(l.Category) {
			continue
		}
		others, err := d.a.st.LinksOf(ctx, l.IncidentID)
		if err != nil {
			return nil, fmt.Errorf("read the links of %s: %w", l.Reference, err)
		}
		for _, o := range others {
			if o.TigerOpsID == l.TigerOpsID {
				continue
			}
			open, err := d.a.holdsOpen(ctx, o.TigerOpsID)
			if err != nil {
				return nil, err
			}
			if open {
				continue next
			}
		}
		tie, err := tieOf(l)
		if err != nil {
			return nil, err
		}
		ties = append(ties, tie)
	}
	return ties, nil
}

// dropLink lets go of the incident that was kept in step. Of those beside it, the oldest that people still work on takes its
// place, and the others stay beside that; wait says that there was one, or that another hand has it.
func (d *delivery) dropLink(ctx context.Context) (v verdict, wait bool, err error) {
	links, err := d.a.st.LinksBeside(ctx, d.ev.IncidentKey)
	if err != nil {
		return verdict{}, true, fmt.Errorf("read the links beside: %w", err)
	}
	var gone []string
	for _, l := range links {
		unlock, ok := d.a.locks.tryLock(l.IncidentID)
		if !ok {
			return d.waitFor(ctx, "waiting for another hand on "+l.Reference)
		}
		defer unlock()
		_, r, err := d.a.look(ctx, l.IncidentID, lookOptions{Source: "delivery", Urgent: d.urgent})
		switch {
		case err != nil:
			return verdict{}, true, fmt.Errorf("look at %s: %w", l.Reference, err)
		case r.Class == incidentio.Refused:
			gone = append(gone, l.IncidentID)
		case r.Class != incidentio.Done:
			v, err := d.unanswered(ctx, "look at "+l.Reference, r)
			return v, true, err
		}
	}
	if links, err = d.a.st.LinksBeside(ctx, d.ev.IncidentKey); err != nil {
		return verdict{}, true, fmt.Errorf("read the links beside: %w", err)
	}
	c := store.Commit{Why: "reopen", Drop: d.link}
	for _, l := range links {
		switch {
		case !reopenable(l.Category) || slices.Contains(gone, l.IncidentID):
			continue
		case len(c.Links) == 0:
			l.Beside, l.Generation, l.AlertID = false, d.state.Generation, ""
		}
		c.Links = append(c.Links, l)
	}
	if _, err := d.a.st.Commit(ctx, c); err != nil {
		return verdict{}, true, fmt.Errorf("let go of %s: %w", d.link.Reference, err)
	}
	d.link = nil
	return verdict{}, len(c.Links) > 0, nil
}

// isBeside says whether a step goes to an incident beside the event's own.
func isBeside(step string) bool { return strings.HasPrefix(step, "beside.") }

// tieFor is the tie of the incident that a step goes to.
func tieFor(req mapping.Request, in mapping.Input) *mapping.Tie {
	if isBeside(req.Name) {
		for i := range in.Beside {
			if id := in.Beside[i].IncidentID; strings.Contains(string(req.Body), id) || strings.Contains(req.Path, id) {
				return &in.Beside[i]
			}
		}
	}
	return in.Tie
}
