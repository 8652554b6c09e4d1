package agent

import (
	"context"
	"fmt"
	"slices"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// siblings counts the other TigerOps incidents that hold the same incident.io incident open. The caller holds the
// incident's lock, so that of several resolves at the same moment one is the last.
func (d *delivery) siblings(ctx context.Context) (int, error) {
	links, err := d.a.st.LinksOf(ctx, d.link.IncidentID)
	if err != nil {
		return 0, fmt.Errorf("read the incident's links: %w", err)
	}
	n := 0
	for _, l := range links {
		if l.TigerOpsID == d.link.TigerOpsID {
			continue
		}
		open, err := d.a.holdsOpen(ctx, l.TigerOpsID)
		if err != nil {
			return 0, err
		}
		if open {
			n++
		}
	}
	return n, nil
}

// holdsOpen says whether a tied TigerOps incident is open: by its state, or, where its first event is still being
// delivered, by its tie. One whose resolve has been told to incident.io is not, though the event has yet to end.
func (a *Agent) holdsOpen(ctx context.Context, tigeropsID string) (bool, error) {
	s, err := a.stateOf(ctx, tigeropsID)
	if err != nil {
		return false, err
	}
	if s.Incident.ID != "" && !s.Open {
		return false, nil
	}
	head, ok, err := a.st.Head(ctx, laneOf(tigeropsID))
	if err != nil {
		return false, fmt.Errorf("read what waits for %s: %w", tigeropsID, err)
	}
	if !ok || head.EventType != mapping.IncidentResolved {
		return true, nil
	}
	steps, err := a.st.Steps(ctx, head.OutboxID)
	if err != nil {
		return false, fmt.Errorf("read the ledger of %s: %w", tigeropsID, err)
	}
	told := slices.ContainsFunc(steps, func(s store.Step) bool { return s.Name == "timeline.add" || s.Name == "incident.update" })
	return !told, nil
}
