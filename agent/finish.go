package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// stateOf is the incident row that an event's end writes: what all events so far tell.
func (d *delivery) stateOf() (*store.IncidentState, error) {
	return incidentRow(d.ev.IncidentKey, d.state)
}

func incidentRow(key string, state mapping.State) (*store.IncidentState, error) {
	if key == "" {
		return nil, nil
	}
	raw, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("write down the incident's state: %w", err)
	}
	return &store.IncidentState{TigerOpsID: key, State: raw}, nil
}

// finish ends an event whose steps are all done.
func (d *delivery) finish(ctx context.Context, out mapping.Outcome, ledger []store.Step) (verdict, bool, error) {
	a := d.a
	if v, wait, err := d.confirmAlerts(ctx, ledger); wait || err != nil {
		return v, true, err
	}
	c := store.Commit{Why: "finish", Finish: &store.Finish{OutboxID: d.ev.ID, State: "done", Folded: d.folded}}
	reason := d.reason(ledger)
	if reason == "" && len(ledger) == 0 {
		reason = "nothing to change in incident.io"
	}
	c.Finish.Reason = reason
	var err error
	if c.Incident, err = d.stateOf(); err != nil {
		return verdict{}, true, err
	}
	if d.link != nil {
		tie, err := tieOf(*d.link)
		if err != nil {
			return verdict{}, true, err
		}
		tie.Pushed = tie.Pushed.With(out.Pushed)
		link, err := linkOf(*d.link, tie, d.state)
		if err != nil {
			return verdict{}, true, err
		}
		if !sameLink(*d.link, link) {
			c.Links = append(c.Links, link)
		}
	}
	if err := d.endParked(ctx, &c); err != nil {
		return verdict{}, true, err
	}
	if _, err := a.st.Commit(ctx, c); err != nil {
		return verdict{}, true, fmt.Errorf("finish the event: %w", err)
	}
	a.m.finished(d.event.Type, "done", time.Since(d.ev.CreatedAt))
	return verdict{}, true, nil
}

// sameLink says whether writing a link would change nothing that matters.
func sameLink(a, b store.Link) bool {
	return string(a.Agreed) == string(b.Agreed) && string(a.Pushed) == string(b.Pushed) && a.TigerOpsStatus == b.TigerOpsStatus &&
		a.TigerOpsSeverity == b.TigerOpsSeverity && a.Closed == b.Closed && a.Generation == b.Generation
}

// endParked ends what was set aside for an incident that never came, now that the alert is resolved. What those events
// told still adds up; adding an event up twice changes nothing, so a crash in between is harmless.
func (d *delivery) endParked(ctx context.Context, c *store.Commit) error {
	if d.event.Type != mapping.IncidentResolved || d.link != nil || d.ev.IncidentKey == "" {
		return nil
	}
	state, some := d.before, false
	for after, more := int64(0), true; more; {
		waiting, err := d.a.st.Waiting(ctx, d.ev.Lane, after, foldAtMost)
		if err != nil {
			return fmt.Errorf("read what was set aside: %w", err)
		}
		var parked []int64
		for _, p := range waiting {
			after = p.ID
			if p.ID >= d.ev.ID || !p.Parked {
				continue
			}
			if e, faults := mapping.ParseEvent(p.Payload, p.EventID); len(faults) == 0 {
				state = anew(state, e).Apply(e)
			}
			parked = append(parked, p.ID)
		}
		more = len(waiting) == foldAtMost && after < d.ev.ID
		if len(parked) == 0 {
			continue
		}
		some, d.state = true, state
		first := store.Commit{Why: "add up what was set aside"}
		if first.Incident, err = d.stateOf(); err != nil {
			return err
		}
		if _, err := d.a.st.Commit(ctx, first); err != nil {
			return fmt.Errorf("add up what was set aside: %w", err)
		}
		if _, err := d.a.st.DiscardEvents(ctx, "no incident was tied by the time the alert was resolved", parked...); err != nil {
			return fmt.Errorf("end what was set aside: %w", err)
		}
	}
	if !some {
		return nil
	}
	d.state = state.Apply(d.event)
	var err error
	c.Incident, err = d.stateOf()
	return err
}

// skip ends an event that nothing is sent for; what it tells still adds up. ties are written with its end.
func (d *delivery) skip(ctx context.Context, reason string, ties ...store.Link) (verdict, error) {
	c := store.Commit{Why: "skip", Links: ties, Finish: &store.Finish{OutboxID: d.ev.ID, State: "skipped", Reason: oneLine(reason, 500), Folded: d.folded}}
	var err error
	if mapping.KnownType(d.event.Type) {
		if c.Incident, err = d.stateOf(); err != nil {
			return verdict{}, err
		}
		if err := d.endParked(ctx, &c); err != nil {
			return verdict{}, err
		}
	} else {
		d.a.log.Warn("event skipped", "event", d.ev.ID, "event_id", d.ev.EventID, "reason", reason)
	}
	if _, err := d.a.st.Commit(ctx, c); err != nil {
		return verdict{}, fmt.Errorf("skip the event: %w", err)
	}
	d.a.m.finished(d.event.Type, "skipped", time.Since(d.ev.CreatedAt))
	return verdict{}, nil
}

// park sets an event aside until an incident is tied, without holding up its lane.
func (d *delivery) park(ctx context.Context, reason string) (verdict, error) {
	c := store.Commit{Why: "set aside", Park: &store.Park{OutboxID: d.ev.ID, Reason: oneLine(reason, 500)}}
	if d.event.Type == mapping.IncidentReopened {
		// It adds up at once: for what comes behind it TigerOps' incident is open again.
		var err error
		if c.Incident, err = d.stateOf(); err != nil {
			return verdict{}, err
		}
	}
	if _, err := d.a.st.Commit(ctx, c); err != nil {
		return verdict{}, fmt.Errorf("set the event aside: %w", err)
	}
	return verdict{}, nil
}

// dead gives an event up: it is kept, shown and can be retried, and its lane waits for a person.
func (d *delivery) dead(ctx context.Context, reason string) (verdict, error) {
	reason = oneLine(reason, 500)
	if _, err := d.a.st.Commit(ctx, store.Commit{Why: "give up", Tried: d.tried, Finish: &store.Finish{OutboxID: d.ev.ID, State: "dead", Reason: reason}}); err != nil {
		return verdict{}, fmt.Errorf("write down why the event is given up: %w", err)
	}
	d.a.m.finished(d.event.Type, "dead", time.Since(d.ev.CreatedAt))
	d.a.log.Error("event is dead, its incident waits", "event", d.ev.ID, "event_type", d.event.Type, "incident", d.ev.IncidentKey, "reason", reason,
		"mend", fmt.Sprintf("see `tigerops-incidentio show %s`, then `outbox retry %d` or `outbox discard %d --reason …`", d.ev.IncidentKey, d.ev.ID, d.ev.ID))
	return verdict{}, nil
}

// record ends an event of a dry run: what would be sent stands in the ledger, and nothing of it is ever sent. So that no
// later event sends it either, what it tells of a tied incident counts as sent.
func (d *delivery) record(ctx context.Context, reason string, out mapping.Outcome) (verdict, error) {
	told := out.Pushed
	for _, req := range out.Next {
		told = told.With(req.Effect.Pushed)
		effect, err := json.Marshal(req.Effect)
		if err != nil {
			return verdict{}, fmt.Errorf("write down step %s: %w", req.Name, err)
		}
		_, err = d.a.st.Commit(ctx, store.Commit{Why: "dry run of " + req.Name, Freeze: &store.Step{
			OutboxID: d.ev.ID, Name: req.Name, Call: string(req.Call), Key: req.Key, Method: req.Method, Path: req.Path,
			Request: req.Body, Effect: effect, Mark: req.Mark, Folded: d.folded, State: stepLeftOut, Error: "dry run",
		}})
		if err != nil {
			return verdict{}, fmt.Errorf("write down step %s: %w", req.Name, err)
		}
	}
	if d.link == nil {
		return d.skip(ctx, reason)
	}
	tie, err := tieOf(*d.link)
	if err != nil {
		return verdict{}, err
	}
	tie.Pushed = tie.Pushed.With(told)
	link, err := linkOf(*d.link, tie, d.state)
	if err != nil {
		return verdict{}, err
	}
	return d.skip(ctx, reason, link)
}
