package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

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
				case mapping.EditLost: // people may have set something else and come back to what there was
					d.overtaken = d.overruled(req.Effect)
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
	lost := func(field, saidOf string) bool {
		by, said := d.saidBy[saidOf]
		if !said {
			by = d.lastID
		}
		return by <= tie.Agreed.Overruled[field]
	}
	return e.Status != nil && lost("status", "status") || e.Severity != nil && lost("severity", "severity") ||
		e.Name != "" && lost("name", "name") || e.Summary != "" && lost("summary", "summary") ||
		slices.ContainsFunc(e.Roles, func(r mapping.Assignment) bool { return lost("role:"+r.Role.ID, "roles") })
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
