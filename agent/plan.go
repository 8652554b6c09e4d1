package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// Planned is what an event would cause in incident.io.
type Planned struct {
	EventID  string            `json:"event_id"`
	Type     string            `json:"event_type"`
	Incident string            `json:"tigerops_incident_id,omitempty"`
	Tied     string            `json:"tied_to,omitempty"` // reference of the incident.io incident
	Skip     string            `json:"skipped,omitempty"` // why nothing would be sent
	Park     string            `json:"set_aside,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
	Requests []mapping.Request `json:"requests"` // in order; those behind a declaration name the incident by a placeholder
}

// PlanEvent says what an event would cause, given what the database tells of its incident, without sending anything:
// incident.io is only read. A database that is not there yet counts as empty.
func PlanEvent(ctx context.Context, o Options, payload []byte) (Planned, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if faults := mapping.Validate(payload); len(faults) > 0 {
		return Planned{}, fmt.Errorf("the event is refused: %s: %s", faults[0].Field, faults[0].Message)
	}
	eventID := idOf(payload)
	event, faults := mapping.ParseEvent(payload, eventID)
	if len(faults) > 0 {
		return Planned{}, fmt.Errorf("the event is refused: %s: %s", faults[0].Field, faults[0].Message)
	}
	p := Planned{EventID: eventID, Type: event.Type, Incident: event.Incident.ID, Requests: []mapping.Request{}}
	if !mapping.KnownType(event.Type) {
		p.Skip = fmt.Sprintf("unknown event type %q", event.Type)
		return p, nil
	}

	a, done, err := newPlanner(ctx, o)
	if err != nil {
		return p, err
	}
	defer done()
	d := &delivery{a: a, event: event, lane: &lane{}, ev: store.Event{EventID: eventID, IncidentKey: event.Incident.ID, CreatedAt: time.Now().UTC(), Lane: event.Incident.ID}}
	if a.st != nil && event.Incident.ID != "" {
		if d.before, err = a.stateOf(ctx, event.Incident.ID); err != nil {
			return p, err
		}
		if d.link, err = a.st.Link(ctx, event.Incident.ID); err != nil {
			return p, fmt.Errorf("read the link: %w", err)
		}
	}
	d.state = d.before.Apply(event)
	if d.link != nil && event.Type == mapping.IncidentReopened && !reopenable(d.link.Category) {
		p.Tied, d.link = "", nil
	}
	in, err := d.planInput(ctx)
	if err != nil {
		return p, err
	}
	if d.link != nil {
		p.Tied = d.link.Reference
	}
	out := mapping.Plan(in)
	p.Skip, p.Park, p.Warnings = out.Skip, out.Park, out.Warnings
	p.Requests = append(p.Requests, out.Next...)
	return p, nil
}

// newPlanner is an agent that only reads: enough of one to plan.
func newPlanner(ctx context.Context, o Options) (*Agent, func(), error) {
	a := &Agent{opts: o, log: o.Log, locks: newKeyedLocks(), in: newInbound(o.Log), now: func() time.Time { return time.Now().UTC() }}
	a.cfg.Store(&o.Config)
	done := func() {}
	if _, err := os.Stat(o.Config.DB); err == nil {
		if a.st, err = store.Open(ctx, store.Options{Path: o.Config.DB, ReadOnly: true, Version: o.Version, Logger: o.Log}); err != nil {
			return nil, nil, err
		}
		done = func() { _ = a.st.Close() }
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("look for the database: %w", err)
	}
	a.m = newMetrics(a)
	var err error
	a.io, err = incidentio.New(incidentio.Options{
		BaseURL: o.Config.APIURL, CAFile: o.Config.CAFile, HTTP: o.HTTP,
		Key:       func() string { return a.cfg.Load().APIKey.Reveal() },
		UserAgent: "tigerops-incidentio/" + o.Version,
	})
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("set up the client of incident.io: %w", err)
	}
	a.up = newUpstream(o.Config.RateLimit, func(ctx context.Context) incidentio.Result {
		_, r := a.io.Identity(ctx)
		return r
	}, nil, o.Log)
	a.dir = newDirectory(a)
	return a, func() { a.io.Close(); done() }, nil
}

// planInput is input without a ledger, and without a database if there is none.
func (d *delivery) planInput(ctx context.Context) (mapping.Input, error) {
	if d.a.st == nil {
		rules := &d.a.cfg.Load().Rules
		in := mapping.Input{Event: d.event, Before: d.before, State: d.state, Rules: rules, ArrivedAt: d.ev.CreatedAt, Ended: map[string]mapping.Ended{}}
		var err error
		if in.Directory, err = d.a.dir.get(ctx); err == nil {
			in.Directory, err = d.a.dir.want(ctx, mapping.Want(in))
		}
		return in, err
	}
	in, _, wait, err := d.input(ctx, nil)
	if err == nil && wait {
		_, err = d.a.dir.get(ctx)
		if err == nil {
			err = errors.New("incident.io's account could not be read")
		}
	}
	return in, err
}

// idOf is the event's id as the database would derive it, or a name that stands for it.
func idOf(payload []byte) string {
	var e struct {
		ID json.RawMessage `json:"id"`
	}
	_ = json.Unmarshal(payload, &e)
	var s string
	if json.Unmarshal(e.ID, &s) == nil && s != "" {
		return s
	}
	if len(e.ID) > 0 && string(e.ID) != "null" && s == "" && e.ID[0] != '"' {
		return string(e.ID)
	}
	return "content:" + string(payload)
}
