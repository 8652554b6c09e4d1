package agent_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent"
	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// TestAnOutageLongerThanTheGiveUpAgeKillsNothing keeps incident.io away, refusing the key, or throttling for hours, in
// virtual time: no age counts, few requests are made and few lines logged meanwhile, and everything goes out within a
// minute of its end.
func TestAnOutageLongerThanTheGiveUpAgeKillsNothing(t *testing.T) {
	t.Parallel()
	const away, giveUp, events = 2 * time.Hour, 20 * time.Minute, 20
	for name, fault := range map[string]simulator.Fault{
		"away":        {Kind: simulator.Outage},
		"key refused": {Kind: simulator.RefuseKey},
		"throttled":   {Kind: simulator.Throttle, Delay: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, dir := time.Now(), t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(now.Add(time.Hour))) // see TestACriticalIncident…
				w := newVirtual(t, filepath.Join(dir, "agent.db"), func(c *agent.Config) { c.GiveUpAfter = giveUp })
				w.start()
				time.Sleep(time.Second)
				before, logged, warned := w.sim.Counters().Requests, w.lines.all.Load(), w.lines.warnings.Load()
				if _, err := w.sim.Break(fault); err != nil {
					t.Fatal(err)
				}
				for n := range events {
					w.insert(fmt.Sprintf(`{"id":"e%d","type":"incident.created","incident":{"id":"TIG-%d","title":"Incident %d","severity":"critical"}}`, n, n, n))
				}
				time.Sleep(away)
				requests := w.sim.Counters().Requests - before
				logged, warned = w.lines.all.Load()-logged, w.lines.warnings.Load()-warned
				w.sim.Mend()
				time.Sleep(time.Minute)
				s, err := w.st.Status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if s.Dead != 0 || s.Waiting != 0 {
					t.Errorf("%d events are dead and %d wait a minute after the end, want none", s.Dead, s.Waiting)
				}
				if n := len(w.sim.Snapshot().Incidents); n != events {
					t.Errorf("%d incidents, want %d", n, events)
				}
				// A probe every 15 s, and what was under way when it began; where it throttles, each pause's end lets those
				// go that work side by side.
				most := int(away/(15*time.Second)) + 10*events
				if fault.Kind == simulator.Throttle {
					most += int(away/fault.Delay) * (agent.Default().Workers + 2)
				}
				if requests > most {
					t.Errorf("%d requests within %s, want %d at most", requests, away, most)
				}
				t.Logf("%d requests, %d log lines, %d of them warnings and errors, within %s", requests, logged, warned, away)
				// Each kind of failure is told every 30 s at most, and each request once at most.
				if most := 4 * int64(away/(30*time.Second)); warned > most || logged-warned > int64(requests)+most {
					t.Errorf("%d log lines within %s, %d of them warnings and errors, for %d requests", logged, away, warned, requests)
				}
			})
		})
	}
}
