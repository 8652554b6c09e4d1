package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// tellEvery is the least time between two log lines of one failure.
const tellEvery = 30 * time.Second

// throttle logs a failure once, then at most every tellEvery with the count of those in between, and says once when it
// is over. Keys name a kind of failure and come from a small fixed set, or end with forget.
type throttle struct {
	log *slog.Logger

	mu   sync.Mutex
	open map[string]*failure
}

// failure is one that is going on.
type failure struct {
	since, told time.Time
	count       int // since it was told last
	total       int
}

func newThrottle(log *slog.Logger) *throttle {
	return &throttle{log: log, open: make(map[string]*failure)}
}

// failed tells of a failure. The arguments are those of slog.
func (t *throttle) failed(level slog.Level, key, message string, args ...any) {
	now := time.Now()
	t.mu.Lock()
	f := t.open[key]
	if f == nil {
		f = &failure{since: now}
		t.open[key] = f
	}
	f.count++
	f.total++
	quiet := !f.told.IsZero() && now.Sub(f.told) < tellEvery
	count := f.count
	if !quiet {
		f.told, f.count = now, 0
	}
	t.mu.Unlock()
	if quiet {
		return
	}
	if count > 1 {
		args = append(args, "count", count)
	}
	t.log.Log(noContext, level, message, args...)
}

// works tells, once, that what failed under key works again. It costs nothing while nothing failed.
func (t *throttle) works(key, message string, args ...any) {
	t.mu.Lock()
	f := t.open[key]
	delete(t.open, key)
	t.mu.Unlock()
	if f == nil {
		return
	}
	args = append(args, "after", time.Since(f.since).Round(time.Millisecond).String(), "failures", f.total)
	t.log.Info(message, args...)
}

// failing tells of a failure of the agent's own work, as "what: err", in the manner of throttle. What a stop cut off is
// none.
func (a *Agent) failing(what string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	a.m.failure("internal")
	a.in.tell.failed(levelError, what, what, "error", err)
	poke(a.in.doubt) // it may be the database: a write of our own tells
}
