package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// noContext is for log lines: no handler of ours takes anything from a context.
var noContext = context.Background()

const (
	levelWarn  = slog.LevelWarn
	levelError = slog.LevelError
)

// inbound is what the loops of the way in remember between two rounds. All of it may be lost: the tables hold what
// counts.
type inbound struct {
	tell *throttle

	mu       sync.Mutex
	again    map[string]retry     // incidents that could not be fetched, by what is to be fetched
	polled   map[string]time.Time // when a sweep last polled an incident
	unwritten map[string]string   // what can't be written to the database, by where it was noticed
}

// retry is when something that went wrong is due again.
type retry struct {
	attempts int
	next     time.Time
}

func newInbound(log *slog.Logger) *inbound {
	return &inbound{
		tell: newThrottle(log), again: make(map[string]retry), polled: make(map[string]time.Time), unwritten: make(map[string]string),
	}
}
