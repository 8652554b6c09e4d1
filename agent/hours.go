package agent

import (
	"context"
	"sync"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

// hours counts what happened in each of the last 24 hours, for the charts of the status page.
type hours struct {
	mu    sync.Mutex
	since time.Time // when counting began; zero once the file has told what was before
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

// recall adds what the file knows of the day before counting began.
func (d *hours) recall(ctx context.Context, st *store.Store) error {
	d.mu.Lock()
	since := d.since
	d.mu.Unlock()
	known, counted, err := st.Hours(ctx, since.Add(-time.Duration(len(d.ring))*time.Hour), since)
	if err != nil || !counted {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range known {
		h := &d.ring[int(k.Start.Unix()/3600)%len(d.ring)]
		switch {
		case h.start.Equal(k.Start):
			h.delivered, h.failed, h.changes = h.delivered+k.Delivered, h.failed+k.Failed, h.changes+k.Changes
		case h.start.Before(k.Start):
			*h = hour{start: k.Start, delivered: k.Delivered, failed: k.Failed, changes: k.Changes}
		}
	}
	d.since = time.Time{}
	return nil
}

// began is when counting began; zero where the file has told what was before.
func (d *hours) began() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.since
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
