package agent

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// linkOf is a link's row with what the tie and TigerOps' side hold now.
func linkOf(l store.Link, t mapping.Tie, s mapping.State) (store.Link, error) {
	var err error
	if l.Agreed, err = json.Marshal(t.Agreed); err != nil {
		return l, fmt.Errorf("write down what was agreed on for %s: %w", t.TigerOpsID, err)
	}
	if l.Pushed, err = json.Marshal(t.Pushed); err != nil {
		return l, fmt.Errorf("write down what was sent for %s: %w", t.TigerOpsID, err)
	}
	l.TigerOpsID, l.IncidentID, l.Reference, l.Permalink = t.TigerOpsID, t.IncidentID, t.Reference, t.Permalink
	l.Origin, l.Generation = t.Origin, t.Generation
	l.Status, l.Category, l.Severity = t.Agreed.Status.Name, t.Agreed.Status.Category, ""
	if t.Agreed.Severity != nil {
		l.Severity = t.Agreed.Severity.Name
	}
	l.TigerOpsStatus, l.TigerOpsSeverity = s.Incident.Status, s.Incident.Severity
	// Until all of it was seen once more it is polled.
	l.Closed = over(l.Category) && t.Agreed.Seen[overMark] != ""
	l.UpdatedAt = time.Time{} // the store's
	return l, nil
}
