package webhook

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// logEvery is the least time between two log lines of one reason.
const logEvery = 30 * time.Second

// throttle logs the first of a kind at once and then at most one line in logEvery, with the count of those it stands for.
// Kinds come from a small fixed set.
type throttle struct {
	log  *slog.Logger
	mu   sync.Mutex
	open map[string]*quiet
}

// quiet is a kind within its logEvery.
type quiet struct {
	count int
	last  func(count int)
}

func newThrottle(log *slog.Logger) *throttle {
	return &throttle{log: logger(log), open: map[string]*quiet{}}
}

func (t *throttle) say(level slog.Level, message, reason string, attrs ...slog.Attr) {
	write := func(count int) {
		all := append([]slog.Attr{slog.String("reason", reason), slog.Int("count", count)}, attrs...)
		t.log.LogAttrs(context.Background(), level, message, all...)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if q := t.open[reason]; q != nil {
		q.count++
		q.last = write
		return
	}
	t.open[reason] = &quiet{}
	t.later(reason)
	write(1)
}

// later ends the silence about reason after logEvery, or goes on with it if there is something to tell.
func (t *throttle) later(reason string) {
	time.AfterFunc(logEvery, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		q := t.open[reason]
		if q.count == 0 {
			delete(t.open, reason)
			return
		}
		q.last(q.count)
		*q = quiet{}
		t.later(reason)
	})
}

// Write takes a line of net/http's own log.
func (t *throttle) Write(line []byte) (int, error) {
	t.say(slog.LevelWarn, "HTTP server", "http", slog.String("line", strings.TrimSpace(string(line))))
	return len(line), nil
}
