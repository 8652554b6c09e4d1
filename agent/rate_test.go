package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent"
	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/store"
)

// TestACriticalIncidentIsDeclaredWithinTwoSecondsOfABacklog lets a backlog of thousands drain against incident.io's
// documented limits (1200 requests a minute, 120 alert events, 60 escalations), in virtual time: new critical incidents
// come in all along, and each is declared within 2 s (P7).
func TestACriticalIncidentIsDeclaredWithinTwoSecondsOfABacklog(t *testing.T) {
	t.Parallel()
	const incidents, steps, lone, every = 120, 16 / slower, 250, 5 * time.Second
	now, dir := time.Now(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		// SQLite's own clock, by which rows are due, knows nothing of the bubble: ours is to be ahead of it throughout.
		time.Sleep(time.Until(now.Add(time.Hour)))
		w := newVirtual(t, filepath.Join(dir, "agent.db"), func(c *agent.Config) {
			c.Rules.EscalationPaths = map[string]string{"payments": simulator.DefaultEscalationPathID}
		})
		var backlog []string
		add := func(format string, args ...any) { backlog = append(backlog, fmt.Sprintf(format, args...)) }
		for i := range incidents {
			severity := []string{"warning", "critical"}[i%2]
			add(`{"id":"old-%d","type":"incident.created","incident":{"id":"OLD-%d","title":"Old incident %d","severity":%q,"team":"payments"}}`, i, i, i, severity)
			add(`{"id":"old-%d-escalated","type":"incident.escalated","incident":{"id":"OLD-%d"}}`, i, i)
			for n := range steps {
				add(`{"id":"old-%d-%d","type":"investigation.step","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"OLD-%d"},"step":{"kind":"note","title":"Step %d"}}`, i, n, i, n)
			}
		}
		for n := range lone {
			add(`{"id":"lone-%d","type":"slo.breached","timestamp":"2026-11-23T02:00:00Z","incident":{"severity":"warning"},"step":{"kind":"slo","title":"Budget %d"}}`, n, n)
		}
		w.insert(backlog...)
		began := time.Now()
		w.start()

		var waits []time.Duration
		for n := 0; w.waiting() > 0; n++ {
			name := fmt.Sprintf("Fresh incident %d", n)
			came := time.Now()
			w.insert(fmt.Sprintf(`{"id":"fresh-%d","type":"incident.created","incident":{"id":"NEW-%d","title":%q,"severity":"critical"}}`, n, n, name))
			time.Sleep(every)
			declared := w.declaredAt(name)
			if declared.IsZero() {
				t.Fatalf("%s is not declared %s after it came; %d events wait", name, every, w.waiting())
			}
			waits = append(waits, declared.Sub(came))
			if d := declared.Sub(came); d > 2*time.Second {
				t.Errorf("%s was declared after %s, want 2 s at most; %d events wait", name, d, w.waiting())
			}
		}
		took := time.Since(began)
		c := w.sim.Counters()
		throttled := c.ByStatus[http.StatusTooManyRequests]
		byKey := c.Requests - c.ByCall["POST /v2/alert_events/http/{id}"]
		share := float64(byKey) / (1200 * (1 + took.Minutes()))
		t.Logf("%d events drained in %s of virtual time beside %d new critical incidents, declared after %s (p50), %s (p99), %s at most",
			incidents*(steps+2)+lone, took.Round(time.Second), len(waits), percentile(waits, 50), percentile(waits, 99), percentile(waits, 100))
		t.Logf("%d requests, %.0f%% of what the key's limit allows in that time, %d answered 429", c.Requests, 100*share, throttled)
		if len(waits) < 10 {
			t.Errorf("the backlog was gone after %d new incidents: not much of one", len(waits))
		}
		if throttled > c.Requests/100 {
			t.Errorf("%d of %d requests were answered 429, want 1%% at most", throttled, c.Requests)
		}
		if n := len(w.sim.Snapshot().Incidents); n != incidents+len(waits) {
			t.Errorf("%d incidents, want %d", n, incidents+len(waits))
		}
	})
}

// virtual is an agent within this process, whose network is in memory, so that a bubble's time runs as fast as nobody
// has anything to do.
type virtual struct {
	testing.TB
	sim   *simulator.Simulator
	a     *agent.Agent
	st    *store.Store // a stranger's, beside the agent's
	cfg   agent.Config
	lines *lines
}

func newVirtual(t testing.TB, db string, change func(*agent.Config)) *virtual {
	t.Helper()
	w := &virtual{TB: t, sim: simulator.New(simulator.Options{Key: theKey}), cfg: agent.Default(), lines: &lines{}}
	t.Cleanup(func() { _ = w.sim.Close(context.Background()) })
	w.cfg.APIKey, w.cfg.DB = agent.NewSecret(theKey), db
	w.cfg.AlertSource = agent.AlertSource{ID: simulator.DefaultAlertSourceID, Token: agent.NewSecret(simulator.DefaultAlertSourceToken)}
	w.cfg.Rules.AlertSource, w.cfg.AlertRouteWait = simulator.DefaultAlertSourceID, 0
	change(&w.cfg)
	var err error
	w.a, err = agent.New(t.Context(), agent.Options{
		Config: w.cfg, Version: "test", Log: slog.New(slog.NewTextHandler(w.lines, nil)), HTTP: &http.Client{Transport: w.sim}, LocalListener: newDeaf(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.st, err = store.Open(t.Context(), store.Options{Path: db}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.st.Close() })
	return w
}

// lines counts what is logged.
type lines struct {
	all      atomic.Int64
	warnings atomic.Int64 // and errors
}

func (l *lines) Write(line []byte) (int, error) {
	l.all.Add(1)
	if !bytes.Contains(line, []byte("level=INFO")) {
		l.warnings.Add(1)
	}
	return len(line), nil
}

// start runs the agent until the test ends.
func (w *virtual) start() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.a.Run(ctx) }()
	w.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.Errorf("the agent: %v", err)
		}
	})
}

func (w *virtual) insert(events ...string) {
	w.Helper()
	payloads := make([][]byte, len(events))
	for i, e := range events {
		payloads[i] = []byte(e)
	}
	if _, err := w.st.InsertEvents(context.Background(), payloads); err != nil {
		w.Fatal(err)
	}
}

func (w *virtual) waiting() int {
	w.Helper()
	s, err := w.st.Status(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	return s.Waiting
}

func (w *virtual) declaredAt(name string) time.Time {
	for _, i := range w.sim.Snapshot().Incidents {
		if i.Name == name {
			return i.CreatedAt
		}
	}
	return time.Time{}
}

// deaf is a listener that nobody comes to.
type deaf struct {
	once   sync.Once
	closed chan struct{}
}

func newDeaf() *deaf { return &deaf{closed: make(chan struct{})} }

func (d *deaf) Accept() (net.Conn, error) { <-d.closed; return nil, net.ErrClosed }
func (d *deaf) Close() error              { d.once.Do(func() { close(d.closed) }); return nil }
func (d *deaf) Addr() net.Addr            { return &net.UnixAddr{Name: "nowhere", Net: "unix"} }

// percentile is the pth percentile of durations.
func percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(time.Millisecond)
}
