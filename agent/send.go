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

// findOwn looks whether a step without an idempotency key is there already, by its mark. looked is false where the
// call takes a key, or repeats harmlessly.
func (d *delivery) findOwn(ctx context.Context, req mapping.Request, again bool) (remoteID string, r incidentio.Result, looked bool) {
	a := d.a
	d.overtaken, d.came = false, nil
	incident := ""
	if d.link != nil {
		incident = d.link.IncidentID
	}
	switch req.Call {
	case mapping.CreateAction, mapping.CreateFollowUp, mapping.ImportPostmortem, mapping.CreateAlertNote, mapping.CreateOption:
	case mapping.EditIncident:
		if !again || d.link == nil {
			return "", r, false
		}
	default:
		return "", r, false
	}
	r = a.call(ctx, d.urgent, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		switch req.Call {
		case mapping.CreateAction:
			var items []incidentio.Action
			if items, r = a.io.Actions(ctx, incident); r.OK() {
				for _, i := range items {
					remoteID = ifMarked(remoteID, i.ID, i.Description, req.Mark)
				}
			}
		case mapping.CreateFollowUp:
			var items []incidentio.FollowUp
			if items, r = a.io.FollowUps(ctx, incident); r.OK() {
				for _, i := range items {
					remoteID = ifMarked(remoteID, i.ID, i.Title+"\n"+i.Description, req.Mark)
				}
			}
		case mapping.ImportPostmortem:
			var items []incidentio.Postmortem
			if items, r = a.io.Postmortems(ctx, incident); r.OK() {
				for _, i := range items {
					remoteID = ifMarked(remoteID, i.ID, i.Title, req.Mark)
				}
			}
		case mapping.CreateAlertNote:
			var items []incidentio.AlertNote
			var note struct {
				AlertID string `json:"alert_id"`
			}
			_ = json.Unmarshal(req.Body, &note) // our own bytes
			if items, r = a.io.AlertNotes(ctx, note.AlertID); r.OK() {
				for _, i := range items {
					remoteID = ifMarked(remoteID, i.ID, i.Content, req.Mark)
				}
			}
		case mapping.CreateOption:
			var option struct {
				Field string `json:"custom_field_id"`
				Value string `json:"value"`
			}
			_ = json.Unmarshal(req.Body, &option) // our own bytes
			var items []incidentio.Option
			if items, r = a.io.FieldOptions(ctx, option.Field); r.OK() {
				for _, i := range items {
					if i.Value == option.Value {
						remoteID = i.ID
					}
				}
			}
		case mapping.EditIncident:
			var i incidentio.Incident
			if i, r = a.io.Incident(ctx, incident); r.OK() {
				now := remoteOf(i)
				switch d.fate(req.Effect, now) {
				case mapping.EditCame:
					remoteID, d.came = incident, &now
				case mapping.EditOvertaken:
					d.overtaken = true
				}
			}
		}
		if r.Class == incidentio.Refused && r.Status == http.StatusNotFound {
			r.Class = incidentio.Done // an older account without the list: the create tells
		}
		return r
	})
	return remoteID, r, true
}

func ifMarked(found, id, text, mark string) string {
	if found == "" && mark != "" && mapping.HasMark(text, mark) {
		return id
	}
	return found
}

// overruled says whether a conflict was decided against what a step in doubt would set.
func (d *delivery) overruled(e mapping.Effect) bool {
	if d.link == nil {
		return false
	}
	tie, err := tieOf(*d.link)
	if err != nil {
		return false
	}
	lost := func(field string) bool {
		by, said := d.saidBy[field]
		if !said {
			by = d.lastID
		}
		return by <= tie.Agreed.Overruled[field]
	}
	return e.Status != nil && lost("status") || e.Severity != nil && lost("severity")
}

// sendOverruled settles an update in doubt that a person's later change has overruled: sent again it might be taken for
// the first time now, and undo that change. It is looked for, and left out if it never came.
func (d *delivery) sendOverruled(ctx context.Context, req mapping.Request) (verdict, bool, error) {
	var updates []incidentio.Update
	r := d.a.call(ctx, d.urgent, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		updates, r = d.a.io.Updates(ctx, d.link.IncidentID)
		return r
	})
	if r.Class != incidentio.Done {
		v, err := d.unanswered(ctx, "look for "+req.Name, r)
		return v, true, err
	}
	for _, u := range updates {
		if u.Message == req.Effect.Message && u.Updater.Type == "api_key" {
			d.tookAt = u.CreatedAt
			return d.done(ctx, req, incidentio.Result{Class: incidentio.Done, Status: http.StatusOK}, u.ID, true)
		}
	}
	return d.leaveOut(ctx, req, r, req.Name+" left out: somebody changed it in incident.io meanwhile (conflict: "+d.a.cfg.Load().Rules.Conflict+")")
}

// fate is what became of an edit in doubt.
func (d *delivery) fate(e mapping.Effect, now mapping.Remote) mapping.Fate {
	tie, err := tieOf(*d.link)
	if err != nil {
		return mapping.EditLost
	}
	return mapping.FateOf(e, tie.Agreed, now)
}

// planAnew gives an edit up that never came and that somebody's change has overtaken: as it stands it would undo that
// change. What people did is told, and what is left for the edit to do is planned by what is there now.
func (d *delivery) planAnew(ctx context.Context, req mapping.Request) (verdict, bool, error) {
	d.lookedAt = time.Now()
	_, r, err := d.a.look(ctx, d.link.IncidentID, lookOptions{Source: "delivery", Urgent: d.urgent})
	if err != nil {
		return verdict{}, true, fmt.Errorf("look at %s: %w", d.link.Reference, err)
	}
	if r.Class != incidentio.Done {
		v, err := d.unanswered(ctx, "look at "+d.link.Reference, r)
		return v, true, err
	}
	d.looked, d.last = true, nil
	if _, err := d.a.st.Commit(ctx, store.Commit{Why: "plan " + req.Name + " anew", End: &store.StepEnd{
		OutboxID: d.ev.ID, Name: req.Name, State: stepRefused, HTTPStatus: r.Status, RequestID: r.RequestID,
		Error: req.Name + " planned anew: somebody changed the incident before it came through",
	}}); err != nil {
		return verdict{}, true, fmt.Errorf("write down that %s is planned anew: %w", req.Name, err)
	}
	return verdict{}, false, nil
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
	left, err := d.a.st.AlertLeft(ctx, d.ev.IncidentKey, d.state.Generation)
	if err != nil {
		return fmt.Errorf("read the alert of an earlier life: %w", err)
	}
	if c.Alert = nil; left != nil && left.Key == body.Key {
		left.State = state
		c.Alert = left
	}
	return nil
}

// refused settles a definite no: part of the request is left out, another call takes its place, or the event waits
// for a person.
func (d *delivery) refused(ctx context.Context, req mapping.Request, r incidentio.Result, ledger []store.Step) (verdict, bool, error) {
	a := d.a
	in, v, wait, err := d.input(ctx, ledger)
	if wait || err != nil {
		return v, true, err
	}
	if req.Call == mapping.AlertEvent && a.cfg.Load().Rules.AutoDeclare && d.ev.IncidentKey != "" {
		return d.leaveOut(ctx, req, r, "alert not sent: "+r.Error())
	}
	if r.Status == http.StatusNotFound && r.Field == "" {
		there := in
		there.Tie = tieFor(req, in)
		if other, warning, ok := mapping.Fallback(req, there); ok {
			gone, v, wait, err := d.callGone(ctx)
			if wait || err != nil {
				return v, true, err
			}
			if gone {
				a.dir.missing(req.Call.Newer())
				if known, err := a.dir.want(ctx, mapping.Want(in)); err == nil {
					in.Directory = known
				}
				// The other call may be known to be missing, too: then it is not tried, nor warned of again.
				if n, ok := stepOf(mapping.Plan(in), req.Name); ok {
					other = n
				}
				return d.replace(ctx, req, other, r, warning)
			}
		}
	}
	if !d.renewed && r.Field != "" {
		// Names may point to ids that are gone: read the account anew, and plan the step again if that changes it.
		d.renewed = true
		if err := a.dir.refresh(ctx, "incident.io refused "+r.Field); err == nil {
			if in.Directory, err = a.dir.want(ctx, mapping.Want(in)); err == nil {
				out := mapping.Plan(in)
				if n, ok := stepOf(out, req.Name); ok && string(n.Body) != string(req.Body) {
					return d.replace(ctx, req, n, r, d.fresh(out.Warnings))
				}
			}
		}
	}
	mended, warning, ok := mapping.Mend(req, r.Code, r.Field, r.Message, in)
	switch {
	case ok && len(d.stepWarnings[req.Name]) < mendAtMost:
		return d.replace(ctx, req, mended, r, warning)
	case !ok && warning != "": // the event can go on without it
		return d.leaveOut(ctx, req, r, warning)
	case optional(req.Name):
		return d.leaveOut(ctx, req, r, req.Name+" left out: "+r.Error())
	}
	if _, err := a.st.Commit(ctx, store.Commit{Why: "refuse " + req.Name, End: &store.StepEnd{
		OutboxID: d.ev.ID, Name: req.Name, State: stepRefused, HTTPStatus: r.Status, RequestID: r.RequestID, Error: oneLine(r.Error(), 500),
	}}); err != nil {
		return verdict{}, true, fmt.Errorf("write down the refusal of %s: %w", req.Name, err)
	}
	if a.dir.forbidden() {
		return d.waitFor(ctx, req.Name+": "+r.Error()+"; the API key may not read all of the account that it needs")
	}
	v, err = d.dead(ctx, req.Name+": "+r.Error())
	return v, true, err
}

// stepOf is a step of a plan by its name.
func stepOf(out mapping.Outcome, name string) (mapping.Request, bool) {
	if i := slices.IndexFunc(out.Next, func(r mapping.Request) bool { return r.Name == name }); i >= 0 {
		return out.Next[i], true
	}
	return mapping.Request{}, false
}

// fresh is the warnings that were not given before, as one.
func (d *delivery) fresh(warnings []string) string {
	news := slices.DeleteFunc(slices.Clone(warnings), func(w string) bool { return slices.Contains(d.warnings, oneLine(w, 300)) })
	return strings.Join(news, "; ")
}

// optional steps only tell people something beside the event itself: refusing one costs a warning, not the event.
func optional(step string) bool {
	return strings.HasPrefix(step, "timeline.note") || step == "attach.tell" || isBeside(step)
}

// callGone says whether a 404 means that the account lacks the call: the incident itself is there.
func (d *delivery) callGone(ctx context.Context) (gone bool, v verdict, wait bool, err error) {
	if d.link == nil {
		return true, verdict{}, false, nil
	}
	r := d.a.call(ctx, d.urgent, func(ctx context.Context) incidentio.Result {
		_, r := d.a.io.Incident(ctx, d.link.IncidentID)
		return r
	})
	switch r.Class {
	case incidentio.Done:
		return true, verdict{}, false, nil
	case incidentio.Refused:
		return false, verdict{}, false, nil
	}
	v, err = d.unanswered(ctx, "look at "+d.link.Reference, r)
	return false, v, true, err
}

// replace freezes another request in a refused one's place, under the same step, and lets the loop send it.
func (d *delivery) replace(ctx context.Context, old, req mapping.Request, r incidentio.Result, warning string) (verdict, bool, error) {
	req.Name = old.Name
	d.last = nil // what is left to be done may be another now
	row, err := d.stepRow(req)
	if err != nil {
		return verdict{}, true, err
	}
	if warning != "" {
		d.warn(warning)
		if d.stepWarnings == nil {
			d.stepWarnings = make(map[string][]string)
		}
		d.stepWarnings[req.Name] = append(d.stepWarnings[req.Name], warning)
		d.a.log.Warn("part of a request is left out", "event", d.ev.ID, "incident", d.ev.IncidentKey, "step", req.Name, "what", warning)
	}
	_, err = d.a.st.Commit(ctx, store.Commit{
		Why:    "mend " + req.Name,
		End:    &store.StepEnd{OutboxID: d.ev.ID, Name: old.Name, State: stepRefused, HTTPStatus: r.Status, RequestID: r.RequestID, Error: oneLine(r.Error(), 500)},
		Freeze: row,
	})
	if err != nil {
		return verdict{}, true, fmt.Errorf("write down step %s: %w", req.Name, err)
	}
	return verdict{}, false, nil
}

// leaveOut ends a step that can't be done, with a warning, and goes on with the event.
func (d *delivery) leaveOut(ctx context.Context, req mapping.Request, r incidentio.Result, warning string) (verdict, bool, error) {
	warning = oneLine(warning, 500)
	d.warn(warning)
	d.a.m.failure("left_out")
	d.a.log.Warn("step left out", "event", d.ev.ID, "incident", d.ev.IncidentKey, "step", req.Name, "reason", warning)
	c := store.Commit{Why: "leave out " + req.Name, End: &store.StepEnd{
		OutboxID: d.ev.ID, Name: req.Name, State: stepLeftOut, HTTPStatus: r.Status, RequestID: r.RequestID, Error: warning,
	}}
	if d.link != nil && !req.Effect.Pushed.IsZero() {
		// What was refused is not offered again with every event, only once TigerOps changes it.
		tie, err := tieOf(*d.link)
		if err != nil {
			return verdict{}, true, err
		}
		tie.Pushed = tie.Pushed.With(req.Effect.Pushed)
		link, err := linkOf(*d.link, tie, d.state)
		if err != nil {
			return verdict{}, true, err
		}
		c.Links = append(c.Links, link)
	}
	_, err := d.a.st.Commit(ctx, c)
	if err != nil {
		return verdict{}, true, fmt.Errorf("write down that %s is left out: %w", req.Name, err)
	}
	return verdict{}, false, nil
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
