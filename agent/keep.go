package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

const (
	// keepEvery is how often the file is looked after.
	keepEvery = time.Minute
	// pruneChunk is how many rows are removed in one transaction; a thousand hold the write lock for about 9 ms.
	pruneChunk = 1000
	// vacuumPages is how many free pages go back to the disk in one step.
	vacuumPages = 256
	// probeAgain is how often a write is tried after one failed, until one succeeds (contract section 6).
	probeAgain = time.Second
	// writeWithin is how long a write may take before readiness fails of it: its callers wait, whatever comes of it.
	writeWithin = 3 * time.Second
	// setBackBy is by how much the clock has to be set back for what was put off by the old one to be due at once.
	setBackBy = 10 * time.Second
	// rereadEvery is how often secrets are read again while incident.io refuses the key.
	rereadEvery = 15 * time.Second
)

// keepLoop looks after the database file, finds out when it can be written again, and reads secrets again while
// incident.io refuses the key.
func (a *Agent) keepLoop(ctx context.Context) error {
	next, reread, probed := time.Now().Add(keepEvery), time.Time{}, time.Time{}
	doubt := false
	clock := a.readClock()
	for {
		clock = a.watchClock(ctx, clock)
		wait, watch := time.Until(next), a.up.watch()
		a.noteTroubles(ctx)
		if doubt = doubt || a.in.cantWrite() != ""; doubt {
			wait = min(wait, time.Until(probed.Add(probeAgain)))
		}
		if a.refused() {
			if time.Since(reread) >= rereadEvery {
				reread = time.Now()
				a.rereadSecrets()
			}
			wait = min(wait, time.Until(reread.Add(rereadEvery)))
		}
		timer := time.NewTimer(max(wait, 0))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-watch:
		case <-a.in.doubt:
			doubt = true
		case <-timer.C:
		}
		timer.Stop()
		if doubt && time.Since(probed) >= probeAgain {
			a.wrote(a.st.Probe(ctx))
			doubt, probed = false, time.Now()
		}
		if time.Until(next) <= 0 {
			if err := a.keepOnce(ctx); err != nil && ctx.Err() == nil {
				a.in.tell.failed(levelError, "keep", "look after the database", "error", err)
			}
			next = time.Now().Add(keepEvery)
		}
	}
}

// reading is the time by a clock that nobody sets, and by the one that people read.
type reading struct{ steady, wall time.Time }

func (a *Agent) readClock() reading { return reading{time.Now(), a.now().Round(0)} }

// watchClock notices that the clock was set back since an earlier reading: what was put off until a time of the old clock
// would wait for as much longer. Set forward, it only makes things due early.
func (a *Agent) watchClock(ctx context.Context, was reading) reading {
	now := a.readClock()
	back := now.steady.Sub(was.steady) - now.wall.Sub(was.wall)
	if back < setBackBy {
		return now
	}
	a.log.Warn("the clock was set back, so what was put off is due now", "by", back.Round(time.Second).String())
	a.drain.allDue()
	if err := a.st.PushesDue(ctx); err != nil {
		a.failing("make changes due", err)
	}
	poke(a.wakePush)
	return now
}

// keepOnce removes finished rows past their retention, gives free pages back, and checkpoints, each in small steps.
func (a *Agent) keepOnce(ctx context.Context) error {
	before := a.now().Add(-a.cfg.Load().Retention)
	steps := 1
	for ctx.Err() == nil {
		n, err := a.st.Prune(ctx, before, pruneChunk)
		if err != nil {
			return fmt.Errorf("remove old rows: %w", err)
		}
		a.m.pruned.Add(float64(n))
		if n == 0 {
			break
		}
		steps++
	}
	for range steps {
		if err := a.st.IncrementalVacuum(ctx, vacuumPages); err != nil {
			return fmt.Errorf("give free pages back: %w", err)
		}
	}
	if err := a.st.Checkpoint(ctx); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// wrote takes in how a write to the database ended: readiness fails from the first that fails until one succeeds. What
// the schema refuses, and what the caller gave up, says nothing of the database.
func (a *Agent) wrote(err error) {
	var refused *store.ConstraintError
	if errors.As(err, &refused) || errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrNotFound) || errors.Is(err, context.Canceled) {
		return
	}
	a.in.mu.Lock()
	was := a.in.unwritten
	a.in.unwritten = ""
	if err != nil {
		a.in.unwritten = "the database can't be written: " + err.Error()
	}
	a.in.mu.Unlock()
	switch {
	case err != nil:
		a.in.tell.failed(levelError, "database", "the database can't be written", "error", err)
		if was == "" {
			poke(a.in.doubt)
		}
	case was != "":
		a.in.tell.works("database", "the database can be written again")
		a.drain.wake()
		poke(a.wakePull)
	}
}

// cantWrite says why the database can't be written, nothing while it can.
func (i *inbound) cantWrite() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.unwritten
}

// notReady are the reasons why GET /readyz answers 503.
func (a *Agent) notReady() []string {
	var why []string
	if err := a.st.Damaged(); err != nil {
		why = append(why, err.Error()) // whether the last write failed of it or a read found it
	} else if s := a.in.cantWrite(); s != "" {
		why = append(why, s)
	} else if d := a.st.Writing(); d > writeWithin {
		why = append(why, fmt.Sprintf("the database can't be written: a write has waited for %s; another process holds the write lock, or the disk hangs", d.Truncate(time.Second)))
	}
	why = append(why, a.up.refusals()...)
	if s := a.in.paused(); s != "" {
		why = append(why, "the push to TigerOps pauses: "+s)
	}
	return why
}

// refused says whether incident.io refuses the key as a whole.
func (a *Agent) refused() bool {
	a.up.mu.Lock()
	defer a.up.mu.Unlock()
	return a.up.refused != ""
}

// rereadSecrets reads the configuration again because incident.io refuses the key, and takes it over if it brings
// another key: secrets from files may have been replaced.
func (a *Agent) rereadSecrets() {
	if a.opts.Reload == nil {
		return
	}
	fresh, err := a.opts.Reload()
	if err != nil {
		a.in.tell.failed(levelError, "reread", "the configuration can't be read again; the old one stays in force", "error", err)
		return
	}
	if fresh.APIKey.Equal(a.cfg.Load().APIKey) {
		return
	}
	a.log.Info("incident.io refused the key, and there is another one now")
	_ = a.Reload() // it reports for itself
}
