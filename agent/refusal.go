package agent

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// refused settles a definite no: part of the request is left out, another call takes its place, or the event waits
// for a person.
func (d *delivery) refused(ctx context.Context, req mapping.Request, r incidentio.Result, ledger []store.Step) (verdict, bool, error) {
	a := d.a
	in, v, wait, err := d.input(ctx, ledger)
	if wait || err != nil {
		return v, true, err
	}
	former := strings.HasPrefix(req.Name, "alert.resolve.") // an earlier life's, which nothing waits for
	if req.Call == mapping.AlertEvent && (former || a.cfg.Load().Rules.AutoDeclare) && d.ev.IncidentKey != "" {
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
