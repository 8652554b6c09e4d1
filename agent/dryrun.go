package agent

import (
	"cmp"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// pretend gives a dry run's plan the tie and the alert that the events before this one would have made, so that what is
// recorded of an incident reads as it would be sent: one declaration, and then what each event adds. It names the
// incident by mapping.IncidentPlaceholder and is written nowhere.
func pretend(in *mapping.Input) {
	if in.Tie != nil || in.Before.Incident.ID == "" {
		return
	}
	past := *in
	past.Event = mapping.Event{Type: mapping.IncidentUpdated, Incident: mapping.Incident{ID: in.Before.Incident.ID}}
	past.State, past.Before, past.Ended = in.Before, mapping.State{}, nil
	past.State.Open = true
	for _, r := range mapping.Plan(past).Next {
		switch r.Call {
		case mapping.AlertEvent:
			in.AlertFired = in.Before.Open
		case mapping.CreateIncident:
			tie := mapping.Tie{
				TigerOpsID: in.Before.Incident.ID, IncidentID: mapping.IncidentPlaceholder, Reference: mapping.IncidentPlaceholder,
				Origin: originDeclared, Generation: in.Before.Generation,
			}
			for _, s := range in.Directory.Statuses {
				if first := tie.Agreed.Status; s.Category == mapping.CategoryLive && (first.ID == "" || s.Rank < first.Rank) {
					tie.Agreed.Status = s
				}
			}
			mapping.Agree(&tie, r.Effect, nil)
			if !in.Before.Open {
				if s, ok := mapping.ResolveStatus(cmp.Or(in.Before.Incident.Status, mapping.StatusResolved), in.Rules, in.Directory); ok {
					tie.Agreed.Status = s
				}
			}
			in.Tie = &tie
		}
	}
}
