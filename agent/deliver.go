package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

const (
	// foldAtMost bounds how many waiting updates are folded into one.
	foldAtMost = 500

	// staleAfter is how old a look may be for a step that sets what people set too: incident.io can't be asked to set it
	// only if it is still as it was. Where every answer is slow, looksAtMost is how often an attempt looks again.
	staleAfter  = time.Second
	looksAtMost = 3

	// mendAtMost bounds how many parts of a refused request are left out one by one before the event is given up.
	mendAtMost = 25
)

// States of a ledger row.
const (
	stepOpen    = "open"
	stepDone    = "done"
	stepRefused = "refused"
	stepLeftOut = "left_out"
)

// verdict is what the drainer needs to know after an attempt: a lane whose head is unchanged is not tried again
// before retryAt, nor before the bucket of the scope it waited for has room.
type verdict struct {
	retryAt time.Time
	scope   string
}

// delivery is one attempt at one event.
type delivery struct {
	a      *Agent
	ev     store.Event
	event  mapping.Event
	lane   *lane
	urgent bool

	stopping func() bool    // no further step is to be taken
	since    time.Time      // when the worker took the lane
	ahead    []store.Queued // of the lane, read already
	next     []follower     // notes that are sent once this event has ended
	ended    []ended        // notes before this event, not written down yet
	lot      int            // most notes that were frozen together last; zero at the first lot of a lane
	took     time.Duration  // by the last request

	taken    time.Time        // when TigerOps applied a change that this event knows nothing of; zero if there is none
	folded   []int64          // waiting updates whose effect this event carries
	lastID   int64            // the newest of ev and folded
	saidBy   map[string]int64 // mapping.Input.SaidBy
	before   mapping.State
	state    mapping.State
	link     *store.Link
	read     tieRead
	warnings []string

	stepWarnings map[string][]string // what was left out of a step, by its name

	// last, if set, is the plan of which the step under way is the only one left: the event ends with it.
	last   *mapping.Outcome
	ledger []store.Step // of the event, as the step under way found it

	tried     *store.StepTry  // the attempt that the event waits after, if its own request is what went wrong
	scope     string          // rate limit of the last request
	looked    bool            // incident.io's state was compared in this attempt
	lookedAt  time.Time       // when that was asked for
	looks     int             // so often
	overtaken bool            // the edit in doubt never came, and somebody changed what it would set
	tookAt    time.Time       // when incident.io took the update in doubt, which a look may have seen since
	came      *mapping.Remote // the edit in doubt came, and the incident is like this now
	routed    bool            // an incident that an alert route made was looked for
	renewed   bool            // the directory was read again after a refusal
}

// deliver takes the head of a lane as far as it goes: finished, or waiting for something. ctx ends the taking of
// further steps, inFlight what is under way.
func (a *Agent) deliver(ctx, inFlight context.Context, l *lane) verdict {
	d := &delivery{
		a: a, lane: l, urgent: l.priority <= priorityUrgent,
		stopping: func() bool { return ctx.Err() != nil }, since: time.Now(),
	}
	forbade := l.forbade
	l.forbade = ""
	v, err := d.attempt(inFlight)
	if forbade != "" && l.forbade != forbade {
		a.up.forbid(forbade, "") // the key has what it lacked, or nobody asks any more
	}
	if err != nil {
		if inFlight.Err() == nil {
			a.failing("deliver an event", fmt.Errorf("event %d (%s): %w", l.head.OutboxID, l.head.EventType, err))
		}
		return verdict{retryAt: time.Now().Add(delay(time.Second, 30*time.Second, l.countTry()))}
	}
	return v
}

func (l *lane) countTry() int { l.tries++; return l.tries }

func (d *delivery) attempt(inFlight context.Context) (verdict, error) {
	a := d.a
	var err error
	if d.ev, err = a.st.Event(inFlight, d.lane.head.OutboxID); err != nil {
		return verdict{}, fmt.Errorf("read it: %w", err)
	}
	if d.ev.State != store.Pending {
		return verdict{}, nil // somebody was faster: the lane's head is read anew
	}
	var faults []mapping.FieldError
	d.event, faults = mapping.ParseEvent(d.ev.Payload, d.ev.EventID)
	if len(faults) > 0 {
		return d.dead(inFlight, "the event can't be read: "+faults[0].Field+": "+faults[0].Message)
	}
	if !mapping.KnownType(d.event.Type) {
		return d.skip(inFlight, fmt.Sprintf("unknown event type %q: nothing is done for it", oneLine(d.event.Type, 80)))
	}
	for {
		if d.stopping() {
			return verdict{}, nil // the next start goes on
		}
		v, finished, err := d.step(inFlight)
		if err != nil || finished {
			return v, err
		}
	}
}

// step does the next step of the event, or ends it and sends the notes that follow. It holds the incident's lock
// throughout.
func (d *delivery) step(ctx context.Context) (v verdict, finished bool, err error) {
	a := d.a
	unlock, err := d.lockIncident(ctx)
	if err != nil {
		return verdict{}, true, err
	}
	defer unlock()
	if d.link != nil && d.link.Origin == originAlertRoute {
		// It may have been tied since the event became the head: what was set aside for that comes first.
		if head, ok, err := a.st.Head(ctx, d.ev.Lane); err != nil || !ok || head.OutboxID != d.ev.ID {
			return verdict{}, true, err
		}
	}

	var ledger []store.Step
	if d.ev.Begun {
		if ledger, err = a.st.Steps(ctx, d.ev.ID); err != nil {
			return verdict{}, true, fmt.Errorf("read the ledger: %w", err)
		}
	}
	d.ledger, d.last = ledger, nil
	if err := d.takeOver(ctx); err != nil {
		return verdict{}, true, err
	}
	if err := d.addUp(ctx, ledger); err != nil {
		return verdict{}, true, err
	}
	for _, s := range ledger {
		if s.State == stepOpen {
			if a.cfg.Load().DryRun {
				v, err = d.skip(ctx, "dry run; "+s.Name+" may have been sent before it began")
				return v, true, err
			}
			// It may have been sent: again, byte for byte.
			return d.send(ctx, requestOf(s), true, ledger)
		}
	}

	if v, wait, err := d.lookFirst(ctx, ledger); wait || err != nil {
		return v, true, err
	}
	in, v, wait, err := d.input(ctx, ledger)
	if wait || err != nil {
		return v, true, err
	}
	pending := ""
	for email, why := range in.Directory.UsersPending {
		pending = "waiting until " + email + " can be looked up: " + why
	}
	if in.Tie != nil && in.Tie.Origin == originAttached && in.Tie.Pushed.IsZero() {
		if pending != "" {
			return d.waitFor(ctx, pending)
		}
		return d.introduce(ctx, in, ledger)
	}
	out := mapping.Plan(in)
	if d.mayBeRouted(in, out, ledger) {
		d.routed = true
		if taken, v, wait, err := d.takeRouted(ctx, in, nil); taken || wait || err != nil {
			return v, true, err // tied: what was set aside comes first
		}
	}
	d.warn(out.Warnings...)
	switch {
	case out.Skip != "":
		v, err = d.skip(ctx, out.Skip)
		return v, true, err
	case a.cfg.Load().DryRun && (out.Park != "" || len(out.Next) == 0):
		v, err = d.record(ctx, "dry run; "+cmp.Or(out.Park, "nothing to change in incident.io"), out)
		return v, true, err
	case d.link != nil && !a.cfg.Load().DryRun && (out.Park != "" || len(out.Next) > 0 && out.Next[0].Call == mapping.CreateIncident):
		// People ended the incident after the look: the next one lets go of it, before another takes its place.
		if d.looks >= looksAtMost {
			return d.waitFor(ctx, "waiting for a look at "+d.link.Reference)
		}
		d.looked = false
		return verdict{}, false, nil
	case out.Park != "":
		v, err = d.park(ctx, out.Park)
		return v, true, err
	case pending != "" && !ahead(out.Next):
		return d.waitFor(ctx, pending)
	case len(out.Next) == 0:
		return d.finish(ctx, out, ledger)
	case a.cfg.Load().DryRun:
		v, err = d.record(ctx, "dry run", out)
		return v, true, err
	}
	d.urgent = d.urgent || out.Urgent
	req := out.Next[0]
	if req.Call == mapping.CreateIncident {
		taken, v, wait, release, err := d.takeExisting(ctx, in, ledger)
		defer release()
		if wait || err != nil {
			return v, true, err
		}
		if taken {
			return verdict{}, true, nil // tied: the lane is read anew, since what was set aside comes first
		}
	}
	if ok, _ := a.up.usable(); !ok {
		return verdict{}, true, nil // nothing is frozen while nothing can be sent
	}
	if d.looked && !req.Effect.IsZero() && time.Since(d.lookedAt) > staleAfter && d.looks < looksAtMost {
		d.looked = false
		return verdict{}, false, nil
	}
	if err := d.freeze(ctx, req); err != nil {
		return verdict{}, true, err
	}
	if len(out.Next) == 1 && endsWith(req.Call) && pending == "" {
		d.last = &out
	}
	v, finished, err = d.send(ctx, req, false, ledger)
	for err == nil && finished && d.goesOn() {
		v, finished, err = d.sendNext(ctx)
	}
	if failed := d.writeDown(ctx, nil); err == nil {
		err = failed
	}
	return v, finished, err
}

// mayBeRouted says whether it is worth a look if an alert route has made an incident, where only routes make them: when
// the alert was just fired, and before the alert is resolved and what waits for an incident is ended. Where an earlier
// attempt looked, the alert may have been resolved long after, so it is looked once more.
func (d *delivery) mayBeRouted(in mapping.Input, out mapping.Outcome, ledger []store.Step) bool {
	if d.routed || d.link != nil || in.Rules.AutoDeclare || d.a.cfg.Load().DryRun {
		return false
	}
	if d.event.Type == mapping.IncidentResolved {
		return in.AlertFired || len(ledger) > 0
	}
	return in.AlertFired && out.Park != "" && len(ledger) > 0
}

// endsWith says whether an event can end in the transaction that ends its last step. After the others there is more to
// do: an alert is confirmed, a declaration and an option change what the plan goes by.
func endsWith(c mapping.Call) bool {
	return c != mapping.AlertEvent && c != mapping.CreateIncident && c != mapping.CreateOption
}

// ahead says whether what comes next is too urgent to wait until somebody can be looked up.
func ahead(next []mapping.Request) bool {
	return len(next) > 0 && (next[0].Call == mapping.AlertEvent || next[0].Call == mapping.CreateIncident || next[0].Call == mapping.CreateEscalation)
}

// waitFor puts the event off for a moment, uncharged.
func (d *delivery) waitFor(ctx context.Context, reason string) (verdict, bool, error) {
	next := d.a.now().Add(delay(200*time.Millisecond, 5*time.Second, d.lane.countTry()))
	_, err := d.a.st.Commit(ctx, store.Commit{Why: "wait", Defer: &store.Defer{
		OutboxID: d.ev.ID, Attempts: d.ev.Attempts, Next: next, Charged: d.ev.Charged, FirstAttempt: d.ev.FirstAttempt, Reason: oneLine(reason, 500),
	}})
	if err != nil {
		return verdict{}, true, fmt.Errorf("write down the delay: %w", err)
	}
	return verdict{retryAt: next}, true, nil
}

// lockIncident takes the lock that both directions share: the incident.io incident's once it is known, the TigerOps
// incident's before.
func (d *delivery) lockIncident(ctx context.Context) (unlock func(), err error) {
	key := d.ev.IncidentKey
	if key == "" {
		d.link = nil
		return d.a.locks.lock(ctx, "event:"+d.ev.EventID)
	}
	st := d.a.st
	for {
		ties := st.Ties()
		if d.link, err = st.Link(ctx, key); err != nil {
			return nil, fmt.Errorf("read the link: %w", err)
		}
		name := lockName(key, d.link)
		unlock, err := d.a.locks.lock(ctx, name)
		if err != nil || st.Ties() == ties {
			return unlock, err
		}
		// It may have been tied, or dropped, while we waited.
		if d.link, err = st.Link(ctx, key); err != nil {
			unlock()
			return nil, fmt.Errorf("read the link: %w", err)
		}
		if lockName(key, d.link) == name {
			return unlock, nil
		}
		unlock()
	}
}

func lockName(tigerops string, link *store.Link) string {
	if link != nil {
		return link.IncidentID
	}
	return "tigerops:" + tigerops
}

// changesState says whether an event can change something that people change too, so that incident.io's state is
// looked at before it is pushed.
func changesState(eventType string) bool {
	switch eventType {
	case mapping.IncidentCreated, mapping.IncidentUpdated, mapping.IncidentAcknowledged, mapping.IncidentEscalated,
		mapping.IncidentResolved, mapping.IncidentReopened:
		return true
	}
	return false
}

// lookFirst compares incident.io's state before an event that changes it is pushed: what people did meanwhile is
// told first, and a true conflict is decided. After a reopen it lets go of an incident that can't be opened again.
func (d *delivery) lookFirst(ctx context.Context, ledger []store.Step) (v verdict, wait bool, err error) {
	if d.link == nil || d.looked || !changesState(d.event.Type) {
		return verdict{}, false, nil
	}
	for _, s := range ledger {
		if s.Call == string(mapping.CreateIncident) && s.State == stepDone {
			return verdict{}, false, nil // its own declaration, a moment ago
		}
	}
	// Before a reopen it may be the last look at the incident.
	full := d.event.Type == mapping.IncidentReopened
	d.lookedAt = time.Now()
	d.looks++
	remote, r, err := d.a.look(ctx, d.link.IncidentID, lookOptions{Source: "delivery", Urgent: d.urgent, Full: full})
	if err != nil {
		return verdict{}, true, fmt.Errorf("look at %s: %w", d.link.Reference, err)
	}
	if r.Class != incidentio.Done {
		v, err := d.unanswered(ctx, "look at "+d.link.Reference, r)
		return v, true, err
	}
	d.looked = true
	if d.link, err = d.a.st.Link(ctx, d.ev.IncidentKey); err != nil {
		return verdict{}, true, fmt.Errorf("read the link: %w", err)
	}
	told := slices.ContainsFunc(ledger, func(s store.Step) bool { return s.Name == "incident.update" && s.State == stepDone })
	if d.event.Type == mapping.IncidentReopened && d.link != nil && d.link.Generation != d.state.Generation && !told && !reopenable(remote.Status.Category) {
		if d.a.cfg.Load().DryRun {
			return verdict{}, false, nil
		}
		return d.dropLink(ctx)
	}
	return verdict{}, false, nil
}

// introduce does the next step of telling the people of an incident that was there already about the TigerOps incident
// that was tied to it. Once they are all done, the tie holds what was pushed, and the event's own plan goes on.
func (d *delivery) introduce(ctx context.Context, in mapping.Input, ledger []store.Step) (verdict, bool, error) {
	a := d.a
	var found incidentio.Incident
	r := a.call(ctx, d.urgent, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		found, r = a.io.Incident(ctx, d.link.IncidentID)
		return r
	})
	if r.Class != incidentio.Done {
		v, err := d.unanswered(ctx, "look at "+d.link.Reference, r)
		return v, true, err
	}
	steps := mapping.Attach(in, remoteOf(found))
	for _, req := range steps {
		if s := in.Ended[req.Name].State; s == mapping.EndedDone || s == mapping.EndedLeftOut {
			continue
		}
		if a.cfg.Load().DryRun {
			told := mapping.Pushed{Title: cmp.Or(d.state.Incident.Title, d.ev.IncidentKey)} // as below
			v, err := d.record(ctx, "dry run", mapping.Outcome{Next: steps, Pushed: told})
			return v, true, err
		}
		if err := d.freeze(ctx, req); err != nil {
			return verdict{}, true, err
		}
		return d.send(ctx, req, false, ledger)
	}
	// Nothing was left to push: the title stands for it, so that this is not done again.
	in.Tie.Pushed.Title = d.state.Incident.Title
	if in.Tie.Pushed.Title == "" {
		in.Tie.Pushed.Title = d.ev.IncidentKey
	}
	link, err := linkOf(*d.link, *in.Tie, d.state)
	if err != nil {
		return verdict{}, true, err
	}
	if _, err := a.st.Commit(ctx, store.Commit{Why: "introduced", Links: []store.Link{link}}); err != nil {
		return verdict{}, true, fmt.Errorf("write down the tie: %w", err)
	}
	return verdict{}, false, nil
}

// reopenable says whether an incident in this category is still worked on; the others can't be opened again through
// the API (facts.md, "Status").
func reopenable(category string) bool {
	return category == "triage" || category == "live" || category == "paused"
}

// input is everything that the plan depends on; wait says that the account can't be read now.
func (d *delivery) input(ctx context.Context, ledger []store.Step) (in mapping.Input, v verdict, wait bool, err error) {
	a := d.a
	if in, err = d.gather(ctx, ledger); err != nil {
		return in, verdict{}, true, err
	}
	in.Directory, err = a.dir.get(ctx)
	if err == nil {
		in.Directory, err = a.dir.want(ctx, mapping.Want(in))
	}
	if err != nil {
		// Without the account's severities and statuses nothing can be planned.
		if ok, _ := a.up.usable(); ok {
			a.failing("read the account's directory", err)
		}
		a.up.check(ctx)
		return in, verdict{retryAt: time.Now().Add(delay(time.Second, 15*time.Second, d.lane.countTry()))}, true, nil
	}
	if a.cfg.Load().DryRun {
		pretend(&in)
	}
	return in, verdict{}, false, nil
}

// gather is what the database knows of what the plan depends on.
func (d *delivery) gather(ctx context.Context, ledger []store.Step) (in mapping.Input, err error) {
	a := d.a
	rules := &a.cfg.Load().Rules
	in = mapping.Input{
		Event: d.event, OutboxID: d.lastID, SaidBy: d.saidBy, Before: d.before, State: d.state, Rules: rules,
		ArrivedAt: d.ev.CreatedAt, Ended: make(map[string]mapping.Ended, len(ledger)),
	}
	for _, s := range ledger {
		in.Ended[s.Name] = mapping.Ended{State: s.State, RemoteID: s.RemoteID, Error: s.Error}
	}
	if d.link != nil {
		tie, err := d.read.of(d.link)
		if err != nil {
			return in, err
		}
		in.Tie = &tie
		if d.event.Type == mapping.IncidentResolved || d.state.Incident.Status != tie.Pushed.Status {
			if in.Siblings, err = d.siblings(ctx); err != nil {
				return in, err
			}
		}
		if d.event.Type == mapping.IncidentResolved {
			if in.Beside, err = d.beside(ctx); err != nil {
				return in, err
			}
		}
	} else if d.state.Generation != "" {
		former, err := a.st.FormerLinks(ctx, d.ev.IncidentKey)
		if err != nil {
			return in, fmt.Errorf("read the former links: %w", err)
		}
		if len(former) > 0 {
			tie, err := tieOf(former[0]) // the newest
			if err != nil {
				return in, err
			}
			in.Former = &tie
		}
	}
	return in, d.alert(ctx, &in)
}

// freeze writes the step to the ledger before its first send: from here on it is sent as it stands.
func (d *delivery) freeze(ctx context.Context, req mapping.Request) error {
	row, err := d.stepRow(req)
	if err != nil {
		return err
	}
	if _, err := d.a.st.Commit(ctx, store.Commit{Why: "freeze " + req.Name, Freeze: row}); err != nil {
		return fmt.Errorf("write down step %s: %w", req.Name, err)
	}
	d.ev.Begun = true
	return nil
}

// stepRow is a step as the ledger holds it from its first send on.
func (d *delivery) stepRow(req mapping.Request) (*store.Step, error) {
	effect, err := d.effect(req)
	if err != nil {
		return nil, fmt.Errorf("write down step %s: %w", req.Name, err)
	}
	return &store.Step{
		OutboxID: d.ev.ID, Name: req.Name, Call: string(req.Call), Key: req.Key, Method: req.Method, Path: req.Path,
		Request: req.Body, Effect: effect, Mark: req.Mark, Folded: d.folded, State: stepOpen,
	}, nil
}

// effect is what the ledger keeps of what a step changes: of an edit also what it finds there, so that it can be told
// later what became of it.
func (d *delivery) effect(req mapping.Request) ([]byte, error) {
	if req.Call == mapping.EditIncident && d.link != nil {
		tie, err := tieOf(*d.link)
		if err != nil {
			return nil, err
		}
		req.Effect.Was = req.Effect.Found(tie.Agreed)
	}
	return json.Marshal(req.Effect)
}

func requestOf(s store.Step) mapping.Request {
	req := mapping.Request{Name: s.Name, Call: mapping.Call(s.Call), Method: s.Method, Path: s.Path, Body: s.Request, Key: s.Key, Mark: s.Mark}
	// An effect that can't be read was written by us and is never refused for it: the step is sent all the same.
	_ = json.Unmarshal(s.Effect, &req.Effect)
	return req
}

func (d *delivery) warn(texts ...string) {
	for _, t := range texts {
		if t = oneLine(t, 300); t != "" && !slices.Contains(d.warnings, t) {
			d.warnings = append(d.warnings, t)
		}
	}
}

// reason is what stands in outbox.reason of an event that is done all the same.
func (d *delivery) reason(ledger []store.Step) string {
	all := slices.Clone(d.warnings)
	for _, s := range ledger {
		if s.State == stepOpen || s.Error == "" {
			continue
		}
		for _, e := range strings.Split(s.Error, "; ") { // a step may hold several warnings
			if !slices.Contains(all, e) {
				all = append(all, e)
			}
		}
	}
	return strings.Join(all, "; ")
}

// oneLine flattens text and cuts it to n runes.
func oneLine(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
