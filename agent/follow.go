package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// Notes are events whose only step adds to the timeline: most of what a busy incident brings. They change nothing that
// the other side could change, so those that wait in one lane can be sent one after another without a look at the table
// in between. Their steps are frozen together before the first of them is sent, and what became of them is written down
// together; a crash in between sends some again, under the same keys.
const (
	// followFor is how long a worker goes on with one lane while lanes of the same urgency wait for a worker, and how
	// long what became of a note may wait to be written down.
	followFor = 250 * time.Millisecond

	// followAtFirst is how many notes are frozen together behind the first one that a worker sends of a lane, and how many
	// are read at a time. Each further lot may be twice as long, up to followAtMost notes and followBytes of events and
	// requests in memory: a long queue pays for fewer commits, a short one is soon under way.
	followAtFirst = 16
	followAtMost  = 64
	followBytes   = 1 << 20
)

// follower is a note that is frozen and to be sent once the event before it has been.
type follower struct {
	*delivery
	head store.Head
	req  mapping.Request
}

// ended is a note that was taken, which is still to be written down.
type ended struct {
	commit    store.Commit // but for what TigerOps told so far
	incident  string
	state     mapping.State
	eventType string
	created   time.Time
	at        time.Time
}

// follow makes the notes behind this event ready, as many as are sent within followFor at the pace of the last request.
// The commit that ends this event is to freeze them. None follow where somebody else waits for the incident or for the
// worker.
func (d *delivery) follow(ctx context.Context, c *store.Commit) ([]follower, error) {
	a := d.a
	if d.link == nil || c.Drop != nil || d.stopping() || a.cfg.Load().DryRun || a.locks.contended(d.link.IncidentID) {
		return nil, nil
	}
	link := *d.link
	for _, l := range c.Links {
		if l.TigerOpsID == link.TigerOpsID && l.IncidentID == link.IncidentID {
			link = l
		}
	}
	d.lot = min(max(2*d.lot, followAtFirst), followAtMost)
	var all []follower
	size, most := 0, max(1, min(d.lot, int(a.drain.followFor/max(d.took, time.Microsecond))))
	for last := d; len(all) < most && size < followBytes; {
		f, ok, err := last.follower(ctx, &link)
		if err != nil {
			return nil, err
		}
		if !ok {
			last.ahead = nil // the event that does not follow is still the next
			break
		}
		all = append(all, f)
		size += len(f.ev.Payload) + len(f.req.Body)
		last = f.delivery
	}
	return all, nil
}

// follower is the event behind this one, if it is a note and nothing else has to be done first.
func (d *delivery) follower(ctx context.Context, link *store.Link) (f follower, ok bool, err error) {
	a := d.a
	row, ok, err := d.behind(ctx)
	if err != nil || !ok || row.State != store.Pending || !row.Fresh || row.NextAttempt.After(a.now()) {
		return f, false, err
	}
	event, faults := mapping.ParseEvent(row.Payload, row.EventID)
	if len(faults) > 0 || !mapping.KnownType(event.Type) || changesState(event.Type) {
		return f, false, nil
	}
	ev := store.Event{
		ID: row.ID, Payload: row.Payload, EventID: row.EventID, Type: row.Type, IncidentKey: d.ev.IncidentKey, Lane: d.ev.Lane,
		State: row.State, CreatedAt: row.CreatedAt, NextAttempt: row.NextAttempt, Begun: true,
	}
	n := &delivery{
		a: a, lane: d.lane, stopping: d.stopping, since: d.since, ev: ev, event: event, ahead: d.ahead, link: link, read: d.read,
		before: d.state, state: d.state.Apply(event), saidBy: make(map[string]int64),
	}
	n.says(event, row.ID)
	head := store.Head{
		Lane: ev.Lane, OutboxID: row.ID, EventType: row.Type, Severity: n.state.Incident.Severity, State: row.State,
		NextAttempt: row.NextAttempt, CreatedAt: row.CreatedAt,
	}
	priority := a.priority(head)
	n.urgent = priority <= priorityUrgent
	if !a.drain.mayFollow(d.lane, priority, d.since) {
		return f, false, nil
	}
	in, err := n.gather(ctx, nil)
	if err != nil {
		return f, false, err
	}
	if len(in.Tie.Agreed.Told) > 0 || in.Tie.Origin == originAttached && in.Tie.Pushed.IsZero() {
		return f, false, nil
	}
	if in.Directory, ok = a.dir.settled(ctx, in); !ok {
		return f, false, nil
	}
	out := mapping.Plan(in)
	if out.Skip != "" || out.Park != "" || !out.Pushed.IsZero() || len(out.Next) != 1 {
		return f, false, nil
	}
	req := out.Next[0]
	if req.Call != mapping.CreateTimeline || !req.Effect.IsZero() {
		return f, false, nil
	}
	if ok, _ := a.up.usable(); !ok || a.up.room(scopeKey, n.urgent, time.Now()) > 0 {
		return f, false, nil
	}
	n.warn(out.Warnings...)
	n.last = &out
	return follower{n, head, req}, true, nil
}

// behind is the event behind this one that is not folded into it. One that was read ahead may have changed meanwhile:
// the commit that would freeze it is refused then.
func (d *delivery) behind(ctx context.Context) (store.Queued, bool, error) {
	for read := false; ; read = true {
		for len(d.ahead) > 0 {
			row := d.ahead[0]
			d.ahead = d.ahead[1:]
			if !slices.Contains(d.folded, row.ID) {
				return row, true, nil
			}
		}
		if read {
			return store.Queued{}, false, nil
		}
		var err error
		if d.ahead, err = d.a.st.Ahead(ctx, d.ev.Lane, d.ev.ID, followAtFirst); err != nil {
			return store.Queued{}, false, fmt.Errorf("read what follows: %w", err)
		}
	}
}

// goesOn says whether there is a note that follows and nothing speaks against sending it now. One that is not sent keeps
// its place in the lane.
func (d *delivery) goesOn() bool {
	a := d.a
	return len(d.next) > 0 && !d.stopping() && !a.cfg.Load().DryRun && !a.locks.contended(d.link.IncidentID) &&
		a.drain.mayFollow(d.lane, d.lane.priority, time.Now())
}

// sendNext sends the note that follows, in this one's place.
func (d *delivery) sendNext(ctx context.Context) (v verdict, finished bool, err error) {
	f, rest, ended, lot := d.next[0], d.next[1:], d.ended, d.lot
	*d = *f.delivery
	d.next, d.ended, d.lot = rest, ended, lot
	d.a.drain.follows(d.lane, f.head)
	return d.send(ctx, f.req, false, nil)
}

// end writes down that this event has ended, with what ended before it and was not written down yet, and freezes what
// follows it. Another note that follows at once is waited for.
func (d *delivery) end(ctx context.Context, c store.Commit) error {
	d.ended = append(d.ended, ended{c, d.ev.IncidentKey, d.state, d.event.Type, d.ev.CreatedAt, time.Now()})
	if len(d.next) > 0 {
		if time.Since(d.ended[0].at) < d.a.drain.followFor && !d.stopping() {
			return nil
		}
		return d.writeDown(ctx, nil)
	}
	var err error
	if d.next, err = d.follow(ctx, &c); err != nil {
		return err
	}
	freeze := make([]store.Commit, 0, len(d.next))
	for _, f := range d.next {
		row, err := f.stepRow(f.req)
		if err != nil {
			return err
		}
		freeze = append(freeze, store.Commit{Why: "freeze " + f.req.Name, Freeze: row})
	}
	return d.writeDown(ctx, freeze)
}

// writeDown commits what became of the notes that have ended, and the freezing of those that follow.
func (d *delivery) writeDown(ctx context.Context, freeze []store.Commit) error {
	if len(d.ended) == 0 {
		return nil
	}
	all := make([]store.Commit, len(d.ended), len(d.ended)+len(freeze))
	for i, e := range d.ended {
		all[i] = e.commit
	}
	last := d.ended[len(d.ended)-1] // its state holds those of all
	var err error
	if all[len(all)-1].Incident, err = incidentRow(last.incident, last.state); err != nil {
		return err
	}
	written := d.ended
	_, err = d.a.st.Commit(ctx, append(all, freeze...)...)
	if err != nil && len(all)+len(freeze) > 1 {
		// Somebody may have changed one of these events by hand: each for itself, and what follows goes the whole way.
		written, d.next, err = nil, nil, nil
		for _, e := range d.ended {
			failed := d.endAlone(ctx, e)
			if failed == nil {
				written = append(written, e)
			} else if err == nil {
				err = failed
			}
		}
	} else if err != nil {
		written, d.next = nil, nil
	}
	for _, e := range written {
		d.a.m.finished(e.eventType, "done", time.Since(e.created))
	}
	d.ended = nil
	return err
}

func (d *delivery) endAlone(ctx context.Context, e ended) (err error) {
	if e.commit.Incident, err = incidentRow(e.incident, e.state); err == nil {
		_, err = d.a.st.Commit(ctx, e.commit)
	}
	return err
}
