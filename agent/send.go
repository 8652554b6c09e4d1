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

// scopeOf names the rate limit beside the key's own that a call counts against.
func scopeOf(c mapping.Call) string {
	switch c {
	case mapping.AlertEvent:
		return scopeAlerts
	case mapping.CreateEscalation:
		return scopeEscalations
	case mapping.CreateIncident:
		return scopeCreate
	}
	return scopeKey
}

// send sends a frozen step and settles what became of it. again says that it may have been sent before.
func (d *delivery) send(ctx context.Context, req mapping.Request, again bool, ledger []store.Step) (v verdict, finished bool, err error) {
	a := d.a
	d.tookAt = time.Time{}
	if again && req.Call == mapping.CreateUpdate && d.overruled(req.Effect) {
		return d.sendOverruled(ctx, req)
	}
	own, r, looked := d.findOwn(ctx, req, again)
	if looked && r.Class != incidentio.Done {
		v, err = d.unanswered(ctx, "look for "+req.Name, r)
		return v, true, err
	}
	if d.overtaken {
		return d.planAnew(ctx, req)
	}
	if own != "" {
		// It is there already: an answer was lost, or an older copy of the database was restored.
		return d.done(ctx, req, incidentio.Result{Class: incidentio.Done, Status: http.StatusOK}, own, true)
	}
	start := time.Now()
	d.scope = scopeOf(req.Call)
	urgent := d.urgent
	if d.scope == scopeAlerts {
		urgent = d.lane.priority == priorityCritical // every alert is urgent: its source's reserve is for the worst
	}
	r = a.up.call(ctx, d.scope, urgent, func(ctx context.Context) incidentio.Result {
		c := incidentio.Call{Method: req.Method, Path: req.Path, Body: req.Body}
		if req.Call == mapping.AlertEvent {
			c.Token = a.cfg.Load().AlertSource.Token.Reveal()
		}
		return a.io.Send(ctx, c)
	})
	d.took = time.Since(start)
	a.m.delivered(req.Name, r.Class.String(), r.Code)
	a.log.Info("delivery", "event", d.ev.ID, "event_type", d.event.Type, "incident", d.ev.IncidentKey, "step", req.Name,
		"outcome", r.Class.String(), "http_status", r.Status, "request_id", r.RequestID, "attempt", d.ev.Attempts+1,
		"took", d.took.Round(time.Microsecond).String())

	if r.Class != incidentio.Done {
		d.next = nil // they wait in their lane
		if err := d.writeDown(ctx, nil); err != nil {
			return verdict{}, true, fmt.Errorf("write down what was sent before: %w", err)
		}
	}
	switch r.Class {
	case incidentio.Done:
		return d.done(ctx, req, r, "", again)
	case incidentio.Refused:
		return d.refused(ctx, req, r, ledger)
	case incidentio.Unauthorized:
		// With no status it was not sent: it is the API key that incident.io refuses just now.
		if req.Call == mapping.AlertEvent && r.Status != 0 && a.cfg.Load().Rules.AutoDeclare && d.ev.IncidentKey != "" {
			// The alert source's own token: the incident is not to wait for it (P6).
			return d.leaveOut(ctx, req, r, "alert not sent: incident.io refuses the alert source's token: "+r.Error())
		}
		if s := req.Effect.Status; r.Status == http.StatusForbidden && s != nil && s.Category == mapping.CategoryClosed {
			// Closing straight away may need a permission of its own, going through the flow does not (facts.md, "Status").
			r.Field = "to_incident_status_id"
			return d.refused(ctx, req, r, ledger)
		}
	}
	d.tried = &store.StepTry{OutboxID: d.ev.ID, Name: req.Name, HTTPStatus: r.Status, RequestID: r.RequestID, Error: oneLine(r.Error(), 500)}
	v, err = d.unanswered(ctx, req.Name, r)
	return v, true, err
}

// done ends a step that incident.io took: ledger, link and what TigerOps hears of it are one transaction.
func (d *delivery) done(ctx context.Context, req mapping.Request, r incidentio.Result, found string, again bool) (verdict, bool, error) {
	a := d.a
	c := store.Commit{Why: "end " + req.Name}
	end := &store.StepEnd{OutboxID: d.ev.ID, Name: req.Name, State: stepDone, HTTPStatus: r.Status, RequestID: r.RequestID, RemoteID: found, Error: oneLine(strings.Join(d.stepWarnings[req.Name], "; "), 1000)}
	c.End = end
	if end.RemoteID == "" && len(r.Body) > 0 {
		end.RemoteID, _ = incidentio.DecodeID(r.Body)
	}
	switch req.Call {
	case mapping.CreateIncident:
		if err := d.declared(ctx, req, r, again, &c); err != nil {
			return verdict{}, true, err
		}
	case mapping.AlertEvent:
		if err := d.alerted(ctx, req, &c); err != nil {
			return verdict{}, true, err
		}
	default:
		if d.link != nil && !isBeside(req.Name) {
			if err := d.agree(ctx, req, r, again, &c); err != nil {
				return verdict{}, true, err
			}
		}
	}
	last := d.last != nil && req.Name == d.last.Next[0].Name && d.last.Pushed.IsZero() && d.endsNow(&c, end)
	var err error
	if last {
		err = d.end(ctx, c)
	} else {
		_, err = a.st.Commit(ctx, c)
	}
	if err != nil {
		if errors.Is(err, store.ErrStale) {
			return verdict{}, true, fmt.Errorf("step %s ended meanwhile: %w", req.Name, err)
		}
		return verdict{}, true, fmt.Errorf("write down the answer to %s: %w", req.Name, err)
	}
	if req.Call == mapping.CreateOption {
		if err := a.dir.refresh(ctx, "an option was created"); err != nil {
			a.failing("read the account's directory", err)
		}
	}
	d.lane.tries = 0
	for _, l := range c.Links {
		a.in.wrote(l.IncidentID)
	}
	if len(c.Inbox) > 0 {
		poke(a.wakePush)
		poke(a.wakePull) // webhooks of an incident that was not tied yet wait for this
	}
	return verdict{}, last, nil
}

// endsNow adds the event's end to the commit that ends its last step, unless something is to be looked after first.
func (d *delivery) endsNow(c *store.Commit, end *store.StepEnd) bool {
	ledger := append(slices.Clone(d.ledger), store.Step{Name: end.Name, State: end.State, Error: end.Error})
	if slices.ContainsFunc(ledger, func(s store.Step) bool { return s.Call == string(mapping.AlertEvent) }) {
		return false // to be confirmed
	}
	c.Finish = &store.Finish{OutboxID: d.ev.ID, State: "done", Reason: d.reason(ledger), Folded: d.folded}
	return true
}

// agree writes what a step changed into the links of every TigerOps incident that is tied to the same incident: both
// sides agree on it from here on. What was pushed is this one's alone.
func (d *delivery) agree(ctx context.Context, req mapping.Request, r incidentio.Result, again bool, c *store.Commit) error {
	e := req.Effect
	came := d.tookAt
	if again && req.Call == mapping.CreateUpdate {
		var body struct {
			Update struct {
				CreatedAt time.Time `json:"created_at"`
			} `json:"incident_update"`
		}
		_ = json.Unmarshal(r.Body, &body) // what can't be read is not known
		if came.IsZero() {
			came = body.Update.CreatedAt
		}
	}
	if e.IsZero() && d.link.TigerOpsStatus == d.state.Incident.Status && d.link.TigerOpsSeverity == d.state.Incident.Severity {
		return nil
	}
	var answer *mapping.Remote
	if i, err := incidentio.DecodeIncident(r.Body); err == nil && i.ID == d.link.IncidentID {
		remote := remoteOf(i)
		answer = &remote
	}
	links, err := d.a.st.LinksOf(ctx, d.link.IncidentID)
	if err != nil {
		return fmt.Errorf("read the incident's links: %w", err)
	}
	for _, l := range links {
		tie, err := tieOf(l)
		if err != nil {
			return err
		}
		own, state := l.TigerOpsID == d.link.TigerOpsID, d.state
		mine := e
		if !own {
			mine.Pushed = mapping.Pushed{}
			if state, err = d.a.stateOf(ctx, l.TigerOpsID); err != nil {
				return err
			}
		}
		if d.came != nil && req.Call == mapping.EditIncident {
			mine = mine.Unseen(tie.Agreed, *d.came)
		}
		if !came.IsZero() && tie.Agreed.RemoteUpdatedAt.After(came) {
			mine = mine.UnseenMoves(tie.Agreed)
		}
		mapping.Agree(&tie, mine, answer)
		if told := d.event.Type != mapping.IncidentReopened || req.Name == "incident.update"; own && told {
			tie.Generation = state.Generation // a reopen goes on in it: its alert is this tie's
		}
		changed, err := linkOf(l, tie, state)
		if err != nil {
			return err
		}
		if !sameLink(l, changed) {
			c.Links = append(c.Links, changed)
		}
	}
	return nil
}

// alerted notes what became of the incident's alert.
func (d *delivery) alerted(ctx context.Context, req mapping.Request, c *store.Commit) error {
	if d.ev.IncidentKey == "" {
		return nil
	}
	var body struct {
		Key    string `json:"deduplication_key"`
		Status string `json:"status"`
	}
	_ = json.Unmarshal(req.Body, &body) // our own bytes
	state := store.AlertFired
	if body.Status == "resolved" {
		state = store.AlertResolved
	}
	c.Alert = &store.Alert{TigerOpsID: d.ev.IncidentKey, Generation: d.state.Generation, Key: body.Key, State: state}
	if body.Key == mapping.AlertKey(d.ev.IncidentKey, d.state.Generation) {
		return nil
	}
	left, err := d.a.st.AlertLeft(ctx, d.ev.IncidentKey, d.state.Generation, d.ev.ID)
	if err != nil {
		return fmt.Errorf("read the alert of an earlier life: %w", err)
	}
	if c.Alert = nil; left != nil && left.Key == body.Key {
		left.State = state
		c.Alert = left
	}
	return nil
}

// unanswered settles a request that came to no answer about itself: the event keeps its place and waits. Only a
// failure of its own, while incident.io works, is charged (architecture 3.6).
func (d *delivery) unanswered(ctx context.Context, what string, r incidentio.Result) (verdict, error) {
	a := d.a
	c := a.cfg.Load()
	if ctx.Err() != nil {
		return verdict{}, nil // we are being stopped
	}
	now := a.now()
	wait := store.Defer{OutboxID: d.ev.ID, Attempts: d.ev.Attempts, Charged: d.ev.Charged, FirstAttempt: d.ev.FirstAttempt, Reason: oneLine(what+": "+r.Error(), 500)}
	if wait.FirstAttempt.IsZero() {
		wait.FirstAttempt = now
	}
	switch r.Class {
	case incidentio.Throttled:
		wait.Next = now.Add(max(r.After, 50*time.Millisecond))
		if r.Status == 0 { // our own bucket: nothing to write down
			return verdict{retryAt: wait.Next, scope: d.scope}, nil
		}
	case incidentio.Unauthorized:
		if r.Status == http.StatusForbidden && a.up.check(ctx) {
			d.lane.forbade = what
			if d.link != nil {
				d.lane.forbade = strings.TrimSuffix(what, " "+d.link.Reference) // what is forbidden for one is for all
			}
			a.up.forbid(d.lane.forbade, "incident.io forbids to "+d.lane.forbade+": "+r.Error())
		}
		wait.Next = now.Add(delay(c.BackoffInitial, c.BackoffMax, d.lane.countTry()))
	case incidentio.Refused:
		if r.Status != http.StatusNotFound && r.Status != http.StatusUnprocessableEntity && r.Status != http.StatusBadRequest {
			wait.Next = now.Add(delay(c.BackoffInitial, c.BackoffMax, d.lane.countTry()))
			break
		}
		return d.dead(ctx, what+": "+r.Error())
	default:
		a.m.failure(r.Class.String())
		if !a.up.check(ctx) {
			// Away: the age does not count, and comeBack makes the lane due.
			wait.Next = now.Add(delay(c.BackoffInitial, c.BackoffMax, d.lane.countTry()))
			break
		}
		wait.Attempts++
		if !d.lane.lastTry.IsZero() {
			wait.Charged += time.Since(d.lane.lastTry)
		}
		if wait.Charged >= c.GiveUpAfter {
			return d.dead(ctx, fmt.Sprintf("given up after %s of trying: %s", wait.Charged.Round(time.Second), wait.Reason))
		}
		wait.Next = now.Add(delay(c.BackoffInitial, c.BackoffMax, wait.Attempts))
	}
	if _, err := a.st.Commit(ctx, store.Commit{Why: "defer", Tried: d.tried, Defer: &wait}); err != nil {
		return verdict{}, fmt.Errorf("write down the delay: %w", err)
	}
	return verdict{retryAt: wait.Next, scope: d.scope}, nil
}
