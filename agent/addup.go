package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// takeOver takes what people changed in incident.io, and TigerOps applied before it said what this event says, into
// TigerOps' side: from then on that is what it believes. Until then it may say again what it believed before, without
// having changed anything.
func (d *delivery) takeOver(ctx context.Context) error {
	d.taken = time.Time{}
	if d.link == nil || len(d.ledger) > 0 {
		return nil
	}
	tie, err := d.read.of(d.link)
	if err != nil || len(tie.Agreed.Told) == 0 {
		return err
	}
	var fields []string
	for field, told := range tie.Agreed.Told {
		if told.Key == "" {
			fields = append(fields, field)
			continue
		}
		at, err := d.a.st.AppliedAt(ctx, told.Key)
		switch {
		case err != nil:
			return fmt.Errorf("read what TigerOps has applied: %w", err)
		case at.IsZero():
		case !at.After(saidAt(d.event, d.ev)):
			fields = append(fields, field)
		case d.taken.IsZero() || at.Before(d.taken):
			d.taken = at
		}
	}
	if len(fields) == 0 {
		return nil
	}
	state, err := d.a.stateOf(ctx, d.ev.IncidentKey)
	if err != nil || state.Incident.ID == "" {
		return err
	}
	mapping.TakeOver(&tie, &state, fields)
	raw, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("write down the incident's state: %w", err)
	}
	link, err := linkOf(*d.link, tie, state)
	if err != nil {
		return err
	}
	if _, err := d.a.st.Commit(ctx, store.Commit{
		Why: "take over", Links: []store.Link{link}, Incident: &store.IncidentState{TigerOpsID: d.ev.IncidentKey, State: raw},
	}); err != nil {
		return fmt.Errorf("take over what TigerOps has applied: %w", err)
	}
	d.link = &link
	return nil
}

// saidAt is when TigerOps said what an event says: its timestamp, else its arrival.
func saidAt(e mapping.Event, row store.Event) time.Time {
	if e.Timestamp.IsZero() {
		return row.CreatedAt
	}
	return e.Timestamp
}

// addUp sets what TigerOps has told before this event and with it, and folds waiting updates in that were never sent.
func (d *delivery) addUp(ctx context.Context, ledger []store.Step) error {
	a := d.a
	d.before, d.state = mapping.State{}, mapping.State{}
	if d.ev.IncidentKey != "" {
		raw, ok, err := a.st.IncidentState(ctx, d.ev.IncidentKey)
		if err != nil {
			return fmt.Errorf("read the incident: %w", err)
		}
		if ok {
			if err := json.Unmarshal(raw, &d.before); err != nil {
				return fmt.Errorf("read the incident's state: %w", err)
			}
		}
	}
	if d.ev.Merged {
		d.before = anew(d.before, d.event)
	}
	d.state = d.before.Apply(d.event)
	d.lastID, d.saidBy = d.ev.ID, make(map[string]int64)
	d.says(d.event, d.ev.ID)
	if d.event.Type != mapping.IncidentUpdated {
		return nil
	}
	waiting, err := a.st.Waiting(ctx, d.ev.Lane, d.ev.ID, foldAtMost)
	if err != nil {
		return fmt.Errorf("read what waits behind it: %w", err)
	}
	if len(ledger) > 0 { // what was folded in when the first step was frozen stays so
		d.folded = ledger[0].Folded
		for _, w := range waiting {
			if slices.Contains(d.folded, w.ID) {
				e, _ := mapping.ParseEvent(w.Payload, w.EventID)
				d.state = d.state.Apply(e)
				d.says(e, w.ID)
			}
		}
		return nil
	}
	var events []mapping.Event
	for _, w := range waiting {
		if w.Attempts > 0 || w.Parked {
			break
		}
		e, faults := mapping.ParseEvent(w.Payload, w.EventID)
		if len(faults) > 0 {
			break
		}
		events = append(events, e)
	}
	d.folded = nil
	for _, i := range mapping.Foldable(d.event, events) {
		if !d.taken.IsZero() && !d.taken.After(saidAt(events[i], waiting[i])) {
			break // it was said by a TigerOps that had heard of a change in incident.io by then
		}
		if to := events[i].Incident.Severity; d.link == nil && to != "" && to != d.state.Incident.Severity {
			break // a rise to min_severity declares, whatever comes after it
		}
		d.state = d.state.Apply(events[i])
		d.folded = append(d.folded, waiting[i].ID)
		d.says(events[i], waiting[i].ID)
	}
	return nil
}

// anew lets a reopen that was set aside begin its life again: it was added up then, and what was set aside before it, of the
// life before, has been added up since.
func anew(s mapping.State, e mapping.Event) mapping.State {
	if e.Type == mapping.IncidentReopened && s.Generation == e.ID {
		s.Generation = ""
	}
	return s
}

// says notes what an event that is delivered now, or folded into it, says something of.
func (d *delivery) says(e mapping.Event, id int64) {
	d.lastID = id
	for _, field := range mapping.Says(e) {
		d.saidBy[field] = id
	}
}
