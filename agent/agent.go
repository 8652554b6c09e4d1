// Package agent is the running thing as a value: it takes events from TigerOps through its doors, delivers them to
// incident.io in order per incident and once each, and leaves what people do there in the inbox for TigerOps.
//
// The queue is the outbox table; memory holds only the head of each lane and can be lost at any moment. New wires,
// Run works until its context ends, and what was acknowledged before is on disk by then.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/store"
)

// stopWithin is how long a stop waits for what is in flight (contract section 1).
const stopWithin = 10 * time.Second

// Options are what New needs beside the configuration.
type Options struct {
	Config  Config
	Reload  func() (Config, error) // reads file and secrets again; nil: the configuration never changes
	Log     *slog.Logger           // nil: nothing is logged
	Version string

	// WebhookListener and LocalListener, when given (socket activation, tests), win over the configured addresses.
	WebhookListener, LocalListener net.Listener
	// HTTP is the client towards incident.io; nil: one with timeouts, TLS and the proxies of the environment.
	HTTP *http.Client
	// Notify, if set, is told "ready", "status TEXT", "alive" and "stopping" (systemd).
	Notify func(state, text string)
	// WatchdogEvery is how often "alive" is told to Notify; 0: never.
	WatchdogEvery time.Duration
}

// Agent is the running agent. Its parts are in files of their own: drain.go and deliver.go take events out, pull.go,
// look.go and reconcile.go bring changes in, push.go hands them to TigerOps, keep.go looks after the file.
type Agent struct {
	opts  Options
	cfg   atomic.Pointer[Config]
	st    *store.Store
	io    *incidentio.Client
	log   *slog.Logger
	m     *metrics
	dir   *directory
	up    *upstream
	locks *keyedLocks
	drain *drainer
	edges *edges
	in    *inbound
	noted troubles
	now   func() time.Time // written time; waited time is plain time

	wakePull, wakePush chan struct{} // buffered by one: something new to pull, to push
	wakeSweep          chan struct{}
}

// New opens the database as its owner, brings it up to date, and listens. It starts nothing that touches
// incident.io; Run does. When it fails, everything opened so far is closed again.
func New(ctx context.Context, o Options) (_ *Agent, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{
		opts: o, log: o.Log, locks: newKeyedLocks(), now: func() time.Time { return time.Now().UTC() },
		wakePull: make(chan struct{}, 1), wakePush: make(chan struct{}, 1), wakeSweep: make(chan struct{}, 1),
	}
	a.in = newInbound(o.Log)
	a.cfg.Store(&o.Config)
	var undo []func()
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				undo[i]()
			}
		}
	}()

	a.st, err = store.Open(ctx, store.Options{Path: o.Config.DB, Owner: true, Version: o.Version, Logger: o.Log})
	if err != nil {
		return nil, err
	}
	undo = append(undo, func() { _ = a.st.Close() })
	a.m = newMetrics(a)
	a.io, err = incidentio.New(incidentio.Options{
		BaseURL: o.Config.APIURL, CAFile: o.Config.CAFile, HTTP: o.HTTP,
		Key:       func() string { return a.cfg.Load().APIKey.Reveal() },
		UserAgent: "tigerops-incidentio/" + o.Version,
		Observe:   a.m.request,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the client of incident.io: %w", err)
	}
	a.up = newUpstream(o.Config.RateLimit, func(ctx context.Context) incidentio.Result {
		_, r := a.io.Identity(ctx)
		return r
	}, a.comeBack, o.Log)
	a.dir = newDirectory(a)
	a.drain = newDrainer(a)
	a.edges, err = listen(a)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Run works until ctx ends, then stops taking work, finishes what is in flight within stopWithin, and closes the
// database. It returns nil after such a stop, else what broke.
func (a *Agent) Run(ctx context.Context) error {
	work, stopWork := context.WithCancel(ctx)
	defer stopWork()

	var loops sync.WaitGroup
	failed := make(chan error, 8)
	start := func(name string, f func(context.Context) error) {
		loops.Go(func() {
			if err := f(work); err != nil && work.Err() == nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	start("webhook and local listener", a.edges.serve)
	start("probe", func(ctx context.Context) error { a.up.keepProbing(ctx); return nil })
	start("drain", a.drain.run)
	start("pull", a.pullLoop)
	start("sweep", a.sweepLoop)
	start("push", a.pushLoop)
	start("housekeeping", a.keepLoop)
	start("heartbeat", a.heartbeatLoop)
	start("watchdog", a.watchdogLoop)
	start("damage", func(ctx context.Context) error {
		if err := a.st.LookThrough(ctx); err != nil && ctx.Err() == nil {
			a.failing("look through the database", err)
		}
		return nil
	})
	start("last day", func(ctx context.Context) error {
		if err := a.m.day.recall(ctx, a.st); err != nil && ctx.Err() == nil {
			a.log.Info("the charts of the last day begin anew", "error", err)
		}
		return nil
	})
	a.notify("ready", "")
	a.log.Info("running", "version", a.opts.Version, "database", a.cfg.Load().DB, "local", a.edges.localAddr(), "webhooks", a.edges.webhookAddr())

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	a.notify("stopping", "")
	stopWork()
	ended := make(chan struct{})
	go func() { loops.Wait(); close(ended) }()
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		a.log.Warn("gave up waiting for what is in flight; it is taken up again at the next start", "after", stopWithin.String())
	}
	a.io.Close()
	if cerr := a.st.Close(); cerr != nil && err == nil {
		err = fmt.Errorf("close the database: %w", cerr)
	}
	a.log.Info("stopped")
	return err
}

// Close gives back what New opened, for an agent that is never run.
func (a *Agent) Close() error {
	return errors.Join(a.edges.close(), a.st.Close())
}

// Reload reads the configuration again. A broken one is reported and the old one stays in force.
func (a *Agent) Reload() error {
	if a.opts.Reload == nil {
		return nil
	}
	c, err := a.opts.Reload()
	if err != nil {
		a.log.Error("configuration not reloaded, the old one stays in force", "error", err)
		return err
	}
	a.cfg.Store(&c)
	a.up.setLimit(c.RateLimit)
	a.dir.forget()
	a.log.Info("configuration reloaded")
	if was := a.edges.webhookAddr(); was == "" {
		if err := a.edges.openHooks(); err != nil {
			a.log.Error("there is a webhook secret now, but the webhook port can't be opened", "error", err, "mend", "reload once it is free")
		} else if now := a.edges.webhookAddr(); now != "" {
			a.log.Info("there is a webhook secret now: the webhook port is open", "webhooks", now)
		}
	}
	a.up.hurry() // a new key may be what was missing
	return nil
}

// comeBack runs when incident.io can be used again: what backed off is due, and a sweep finds what was missed.
func (a *Agent) comeBack() {
	a.drain.allDue()
	poke(a.wakeSweep)
	poke(a.wakePull)
}

// call does one request to incident.io on the key's own bucket; see upstream.call.
func (a *Agent) call(ctx context.Context, urgent bool, do func(context.Context) incidentio.Result) incidentio.Result {
	return a.up.call(ctx, scopeKey, urgent, do)
}

func (a *Agent) notify(state, text string) {
	if a.opts.Notify != nil {
		a.opts.Notify(state, text)
	}
}

// poke wakes a loop; one waiting wake-up is enough.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
