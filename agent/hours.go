package agent

import (
	"sync"
	"time"
)

// hours counts what happened in each of the last 24 hours since the start, for the charts of the status page.
type hours struct {
	since time.Time // when counting began
	mu    sync.Mutex
	ring  [24]hour
}

type hour struct {
	start                      time.Time
	delivered, failed, changes int
}

// add lets f count in the present hour.
func (d *hours) add(f func(*hour)) {
	start := time.Now().Truncate(time.Hour)
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &d.ring[int(start.Unix()/3600)%len(d.ring)]
	if !h.start.Equal(start) {
		*h = hour{start: start}
	}
	f(h)
}

// last returns the last 24 hours, oldest first, those in which nothing happened included.
func (d *hours) last() []hour {
	now := time.Now().Truncate(time.Hour)
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]hour, 0, len(d.ring))
	for i := len(d.ring) - 1; i >= 0; i-- {
		start := now.Add(-time.Duration(i) * time.Hour)
		h := d.ring[int(start.Unix()/3600)%len(d.ring)]
		if !h.start.Equal(start) {
			h = hour{start: start}
		}
		out = append(out, h)
	}
	return out
}
