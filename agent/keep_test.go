package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/store"
)

func TestReadinessFailsFromAFailedWriteUntilOneSucceeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	if got := w.a.notReady(); len(got) > 0 {
		t.Fatalf("at the start: got %v, want ready", got)
	}
	for name, err := range map[string]error{
		"a refused row":      &store.ConstraintError{Name: "event_needs_a_type"},
		"a row that is gone": fmt.Errorf("change 7: %w", store.ErrNotFound),
		"nothing wrong":      nil,
	} {
		if w.a.wrote(err); len(w.a.notReady()) > 0 {
			t.Errorf("after %s: got %v, want ready", name, w.a.notReady())
		}
	}
	ctx, stop := context.WithCancel(w.ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = w.a.keepLoop(ctx) }()
	defer func() { stop(); <-ended }()
	poke(w.a.in.doubt)
	eventually(t, "the loop has probed once and sleeps", func() bool { return must(w.a.st.Meta(w.ctx, "probed_at"))(w) != "" })
	start := time.Now()
	w.a.wrote(errors.New("database or disk is full"))
	if got := w.a.notReady(); len(got) != 1 {
		t.Fatalf("after a failed write: got %v, want one reason", got)
	}
	eventually(t, "a probe finds that writes succeed again", func() bool { return len(w.a.notReady()) == 0 })
	if took := time.Since(start); took > 3*probeAgain {
		t.Errorf("ready again after %s, want about %s", took, probeAgain)
	}
}

func TestRetentionRemovesWhatIsOverAndSparesTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	done, _ := w.tie("TIG-1")
	w.tie("TIG-2")
	w.ok(w.sim.As(lisa).Close(done, ""))
	w.pull()
	state := w.state("TIG-1", "critical", "resolved")
	state.Open = false
	must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Incident: &store.IncidentState{TigerOpsID: "TIG-1", State: []byte(`{"open":false}`)}}))(w)
	var ids []int64
	for _, e := range must(w.a.st.Inbox(w.ctx, store.InboxQuery{}))(w) {
		ids = append(ids, e.ID)
	}
	must(w.a.st.AckInbox(w.ctx, ids...))(w)

	w.ok(w.a.keepOnce(w.ctx))
	if got := len(must(w.a.st.Inbox(w.ctx, store.InboxQuery{}))(w)); got != len(ids) {
		t.Fatalf("changes right after: got %d, want all %d", got, len(ids))
	}
	later := w.a.now().Add(w.a.cfg.Load().Retention + time.Hour)
	w.a.now = func() time.Time { return later }
	w.ok(w.a.keepOnce(w.ctx))
	for _, e := range must(w.a.st.Inbox(w.ctx, store.InboxQuery{}))(w) {
		if e.TigerOpsID == "TIG-1" {
			t.Errorf("change %d (%s) of a closed incident outlived its retention", e.ID, e.Type)
		}
	}
	kept := false
	for _, e := range must(w.a.st.Inbox(w.ctx, store.InboxQuery{}))(w) {
		kept = kept || e.TigerOpsID == "TIG-2"
	}
	if !kept {
		t.Error("retention touched an open incident")
	}
}

func TestAClockThatStepsHoldsNothingUpAndForgetsNothing(t *testing.T) {
	t.Parallel()
	event := []byte(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Slow","severity":"critical"}}`)
	put := func(w *world) store.Head {
		w.Helper()
		row := must(w.a.st.InsertEvents(w.ctx, [][]byte{event}))(w)[0]
		must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Defer: &store.Defer{OutboxID: row.ID, Attempts: 1, Next: time.Now().Add(time.Hour)}}))(w)
		h, _, err := w.a.st.Head(w.ctx, "TIG-1")
		w.ok(err)
		w.a.drain.setHeadLocked(h.Lane, h, true)
		return h
	}
	t.Run("back", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{})
		put(w)
		was := w.a.readClock()
		if w.a.watchClock(w.ctx, was); w.a.drain.later.Len() != 1 {
			t.Fatal("a lane that backed off is due although nobody set the clock")
		}
		w.a.now = func() time.Time { return time.Now().UTC().Add(-59 * time.Minute) }
		if w.a.watchClock(w.ctx, was); w.a.drain.ready.Len() != 1 {
			t.Error("a lane that backed off waits for the time of the old clock")
		}
	})
	t.Run("forward", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{})
		put(w)
		over := must(w.a.st.InsertEvents(w.ctx, [][]byte{[]byte(`{"id":"over","type":"slo.breached"}`)}))(w)[0]
		must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Finish: &store.Finish{OutboxID: over.ID, State: store.Done}}))(w)
		was := w.a.readClock()
		w.a.now = func() time.Time { return time.Now().UTC().AddDate(0, 6, 0) }
		w.a.watchClock(w.ctx, was)
		w.ok(w.a.keepOnce(w.ctx))
		if h, ok, err := w.a.st.Head(w.ctx, "TIG-1"); err != nil || !ok || h.State != store.Pending {
			t.Errorf("the event that waits: %+v %v %v", h, ok, err)
		}
		for _, again := range []string{string(event), `{"id":"over","type":"slo.breached"}`} {
			if in := must(w.a.st.InsertEvents(w.ctx, [][]byte{[]byte(again)}))(w); !in[0].Duplicate {
				t.Errorf("%s is taken for a new event", again)
			}
		}
	})
}

// Secrets from files are read again while incident.io refuses the key, and a new key ends the refusal.
func TestARefusedKeyIsReadAgain(t *testing.T) {
	t.Parallel()
	var w *world
	key := make(chan string, 1)
	w = newWorld(t, worldOptions{agent: func(o *Options) {
		current := o.Config
		o.Reload = func() (Config, error) {
			select {
			case k := <-key:
				current.APIKey = NewSecret(k)
			default:
			}
			return current, nil
		}
	}})
	w.sim.SetKey("a-new-key", simulator.AllRoles...)
	w.a.up.check(w.ctx)
	if !w.a.refused() || len(w.a.notReady()) == 0 {
		t.Fatalf("after the key was changed in incident.io: got not refused, reasons %v", w.a.notReady())
	}
	w.a.rereadSecrets() // the same key still: nothing happens
	if !w.a.refused() {
		t.Fatal("the old key cannot have helped")
	}
	key <- "a-new-key"
	w.a.rereadSecrets()
	w.a.up.check(w.ctx) // as keepProbing does at once, being hurried
	if w.a.refused() {
		t.Error("the new key is not taken")
	}
	if got := w.a.notReady(); len(got) > 0 {
		t.Errorf("not ready: %v", got)
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	beating := worldOptions{config: func(c *Config) {
		c.Heartbeat = Heartbeat{ID: simulator.DefaultHeartbeatID, Token: NewSecret(simulator.DefaultHeartbeatToken), Every: time.Minute}
	}}
	pings := func(w *world) (n int) {
		for _, p := range w.sim.Snapshot().Pings {
			n += p
		}
		return n
	}
	event := []byte(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Slow","severity":"critical"}}`)

	t.Run("beats when there is nothing to do", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, beating)
		h := heart{}
		w.a.beat(w.ctx, w.a.cfg.Load(), &h)
		if got := pings(w); got != 1 {
			t.Errorf("pings: got %d, want 1", got)
		}
	})
	t.Run("stops when a due event was not tried for long", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, beating)
		h := heart{}
		must(w.a.st.InsertEvents(w.ctx, [][]byte{event}))(w)
		start := w.a.now()
		for after, want := range map[time.Duration]int{0: 1, stuckAfter + silentHeart - time.Minute: 1, stuckAfter + silentHeart + time.Minute: 0} {
			w.a.now = func() time.Time { return start.Add(after) }
			before := pings(w)
			w.a.beat(w.ctx, w.a.cfg.Load(), &h)
			if got := pings(w) - before; got != want {
				t.Errorf("after %s: got %d pings, want %d", after, got, want)
			}
		}
	})
	t.Run("stops when an event has been dead for long, and goes on once it is mended", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, beating)
		h := heart{}
		row := must(w.a.st.InsertEvents(w.ctx, [][]byte{event}))(w)[0]
		must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Finish: &store.Finish{OutboxID: row.ID, State: store.Dead, Reason: "refused"}}))(w)
		start := w.a.now()
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{0, 1}, {silentHeart - time.Second, 1}, {silentHeart, 0}, {time.Hour, 0}} {
			w.a.now = func() time.Time { return start.Add(step.after) }
			before := pings(w)
			w.a.beat(w.ctx, w.a.cfg.Load(), &h)
			if got := pings(w) - before; got != step.want {
				t.Errorf("after %s: got %d pings, want %d", step.after, got, step.want)
			}
		}
		must(w.a.st.DiscardEvents(w.ctx, "done by hand", row.ID))(w)
		before := pings(w)
		w.a.beat(w.ctx, w.a.cfg.Load(), &h)
		if got := pings(w) - before; got != 1 {
			t.Errorf("after the event was discarded: got %d pings, want 1", got)
		}
	})
	t.Run("stops when a webhook was not looked at for long", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, beating)
		h := heart{}
		must(w.a.st.InsertWebhook(w.ctx, "h1", []byte(`{}`)))(w)
		later := w.a.now().Add(stuckAfter + silentHeart + time.Minute)
		w.a.now = func() time.Time { return later }
		w.a.beat(w.ctx, w.a.cfg.Load(), &h)
		if got := pings(w); got != 0 {
			t.Errorf("pings: got %d, want none", got)
		}
	})
}

func TestDirectoryIsReadOnceAndOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) { c.Rules.CustomFields = map[string]string{"affected_services": "Affected services"} }})
	first := must(w.a.dir.get(w.ctx))(w)
	if len(first.Severities) != 3 || len(first.Statuses) == 0 || len(first.Roles) == 0 || len(first.Types) == 0 || len(first.Fields) == 0 {
		t.Fatalf("directory: got %+v, want the account's settings", first)
	}
	options := 0
	for _, f := range first.Fields {
		if f.Name != "Affected services" && len(f.Options) > 0 {
			t.Errorf("options of %s were read although nothing names it", f.Name)
		}
		options += len(f.Options)
	}
	if options != 4 {
		t.Errorf("options: got %d, want the 4 of the field in use", options)
	}
	if w.a.dir.keyName() != simulator.DefaultKeyName || w.a.dir.orgSlug() != simulator.DefaultOrgSlug {
		t.Errorf("key and organisation: got %q %q", w.a.dir.keyName(), w.a.dir.orgSlug())
	}
	asked := len(w.sim.Requests())
	must(w.a.dir.get(w.ctx))(w)
	if got := len(w.sim.Requests()); got != asked {
		t.Errorf("requests for the second get: got %d, want none", got-asked)
	}

	fault := must(w.sim.Break(simulator.Fault{Method: http.MethodGet, Kind: simulator.StatusCode, Status: 500}))(w)
	w.a.dir.readAt = w.a.dir.readAt.Add(-2 * directoryFor)
	if old := must(w.a.dir.get(w.ctx))(w); len(old.Severities) != 3 {
		t.Error("the older copy does not serve while incident.io fails")
	}
	w.a.dir.forget()
	if old := must(w.a.dir.get(w.ctx))(w); len(old.Severities) != 3 {
		t.Error("a reload during an outage lost what was known")
	}
	w.sim.Mend(fault)

	other := newWorld(t, worldOptions{})
	must(other.sim.Break(simulator.Fault{Method: http.MethodGet, Kind: simulator.StatusCode, Status: 500}))(other)
	var away *directoryError
	if _, err := other.a.dir.get(other.ctx); !errors.As(err, &away) || away.result.Status != 500 {
		t.Errorf("with nothing known: got %v, want a directoryError with the answer", err)
	}
}

func TestDirectoryRefreshIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	must(w.a.dir.get(w.ctx))(w)
	before := w.gets("/v1/severities")
	for range 50 {
		w.ok(w.a.dir.refresh(w.ctx, "a test"))
	}
	if got := w.gets("/v1/severities") - before; got < 1 || got > 6 {
		t.Errorf("reads for 50 refreshes in a row: got %d, want a few", got)
	}
}
