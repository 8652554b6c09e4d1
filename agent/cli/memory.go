package cli

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Go collects garbage once as much has gathered as is in use, but at least 4 MiB. That suits an agent at rest. Under load it
// is a collection for every few dozen events, which took a sixth of the agent's processor time (agent/bench, burst). So while
// it is busy a ballast counts as in use, which is never touched, and so takes no memory itself unless it comes to lie where
// something was before.
const (
	ballastBytes = 8 << 20
	busyCycles   = 4  // collections in a second from which on the agent counts as busy
	restAfter    = 30 // seconds in a row with fewer, after which it is at rest again
)

// memory decides what the collector goes by.
type memory struct {
	cycles  uint64 // collections so far
	calm    int    // seconds in a row in which the agent was not busy
	ballast *[ballastBytes]byte
	rest    func() // gives what is free back to the system
}

// newMemory is told how many collections there were before the first second. What only the start needed, of which those
// were, goes in the first calm one.
func newMemory(cycles uint64, rest func()) *memory {
	return &memory{cycles: cycles, calm: restAfter - 1, rest: rest}
}

// tendMemory runs until ctx ends.
func tendMemory(ctx context.Context) {
	sample := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"}}
	metrics.Read(sample)
	m := newMemory(sample[0].Value.Uint64(), giveBack)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			metrics.Read(sample)
			m.second(sample[0].Value.Uint64())
		}
	}
}

// second is told once a second how many collections there were so far.
func (m *memory) second(cycles uint64) {
	busy := cycles-m.cycles >= busyCycles
	m.cycles = cycles
	if busy {
		m.calm = 0
		if m.ballast == nil {
			m.ballast = new([ballastBytes]byte)
		}
		return
	}
	if m.calm++; m.calm == restAfter {
		m.ballast = nil
		m.rest()
	}
}

// giveBack gives free memory back to the system. A migration and a burst leave buffers of megabytes, which Go would keep for
// minutes, and by which it would go on to measure how much garbage may gather.
func giveBack() {
	runtime.GC() // what is pooled, as some of those buffers are, outlives one collection
	debug.FreeOSMemory()
}
