package agent

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/tigerops/tigerops-incidentio/store"
)

// troubles remembers what the database has been told of what holds the agent up.
type troubles struct {
	mu   sync.Mutex
	told *string // nil: whatever an earlier run left there
}

// troubles are what holds the agent up as a whole, and no single event or change: incident.io out of reach or refusing
// the key, TigerOps' endpoint not taking changes.
func (a *Agent) troubles() []string {
	all := a.up.refusals()
	if ok, why := a.up.usable(); !ok && !slices.Contains(all, why) {
		all = append(all, why)
	}
	slices.Sort(all)
	if why := a.in.paused(); why != "" {
		all = append(all, "the push to TigerOps pauses: "+why)
	}
	return all
}

// noteTroubles writes the troubles to the database where they have changed: `status` reads nothing else.
func (a *Agent) noteTroubles(ctx context.Context) {
	a.noted.mu.Lock()
	defer a.noted.mu.Unlock()
	now := strings.Join(a.troubles(), "\n")
	if a.noted.told != nil && *a.noted.told == now {
		return
	}
	if err := a.st.SetMeta(ctx, store.MetaTroubles, now); err != nil {
		if ctx.Err() == nil {
			a.failing("note what holds the agent up", err)
		}
		return
	}
	a.noted.told = &now
}
