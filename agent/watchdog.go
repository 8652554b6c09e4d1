package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

const (
	// turnWithin is how long the drain's loop may take for one turn before it counts as hanging. It turns at least every
	// pollStranger, also when idle, paused, throttled or cut off.
	turnWithin = 30 * time.Second
	// statusEvery is how often the line of `systemctl status` is looked at; it is sent when it changed.
	statusEvery = 5 * time.Second
)

// watchdogLoop tells the service manager that the agent is alive, as long as the drain's loop turns, and what it is
// doing. A loop that hangs is told nothing for, so that the service manager restarts the agent.
func (a *Agent) watchdogLoop(ctx context.Context) error {
	if a.opts.Notify == nil {
		return nil
	}
	every := statusEvery
	if w := a.opts.WatchdogEvery; w > 0 {
		every = min(every, w)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if a.opts.WatchdogEvery > 0 && a.drain.turnedWithin(turnWithin) {
			a.notify("alive", "")
		}
		s, err := a.st.Status(ctx)
		if err != nil {
			continue // readiness tells
		}
		if line := a.statusLine(s); line != told {
			told = line
			a.notify("status", line)
		}
	}
}

// statusLine is the agent's state in a line.
func (a *Agent) statusLine(s store.Status) string {
	line := fmt.Sprintf("%d events waiting, %d dead, %d changes for TigerOps", s.Waiting, s.Dead, s.InboxPending)
	if ok, why := a.up.usable(); !ok {
		return why + "; " + line
	}
	return "in touch with incident.io; " + line
}

// turnedWithin says whether the loop went round lately.
func (d *drainer) turnedWithin(t time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Since(d.lastTurn) < t
}
