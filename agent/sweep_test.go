package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

func TestSweepHealsCountsAndWarns(t *testing.T) {
	t.Parallel()
	var told logged
	w := newWorld(t, worldOptions{agent: func(o *Options) { o.Log = told.logger() }})
	ref, _ := w.tie("TIG-1")
	const warning = "is the endpoint switched off in incident.io?"

	must(w.sim.As(lisa).AddTimelineItem(ref, "Found it", "", time.Time{}))(w)
	w.drop()
	w.sweep()
	w.wantTypes(w.rows(), "timeline.added")
	if got := w.metric("sweep_healed_changes_total"); got != "0" {
		t.Errorf("healed by a change that has no webhook: got %v, want 0", got)
	}

	w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", ""))
	w.drop()
	w.sweep()
	w.wantTypes(w.rows(), "incident.status_changed")
	if got := w.metric("sweep_healed_changes_total"); got != "1" {
		t.Errorf("healed: got %v, want 1", got)
	}
	if told.count(warning) != 1 || w.a.in.silence() == "" {
		t.Errorf("no warning although no webhook ever came: %s", told.String())
	}

	// One webhook, and the endpoint is alive.
	h := w.a.edges.hookDoor()
	must(h.Accept(w.ctx, "alive", []byte(`{"event_type":"public_incident.incident_updated_v2"}`)))(w)
	if got := w.a.in.silence(); got != "" {
		t.Errorf("warning after a webhook: got %q, want none", got)
	}
	w.ok(w.sim.As(lisa).SetStatus(ref, "Fixing", ""))
	w.sweep()
	if w.a.in.silence() != "" {
		t.Error("warning although a webhook came a moment ago")
	}
}

func TestPullOnlyDoesNotWarnOfMissingWebhooks(t *testing.T) {
	t.Parallel()
	var told logged
	w := newWorld(t, worldOptions{
		config: func(c *Config) { c.WebhookSecrets = nil },
		agent:  func(o *Options) { o.Log = told.logger() },
	})
	if got := w.a.edges.webhookAddr(); got != "" {
		t.Errorf("webhook port without a secret: got %s, want none", got)
	}
	if told.count("pull-only") != 1 {
		t.Errorf("the log does not say pull-only: %s", told.String())
	}
	ref, _ := w.tie("TIG-1")
	w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", ""))
	w.sweep()
	w.wantTypes(w.rows(), "incident.status_changed")
	if told.count("switched off") != 0 {
		t.Error("warned of missing webhooks although none are wanted")
	}
}

func TestSweepGoesOnWhereTheLastOneEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.sweep()
	first := must(time.Parse(store.TimeLayout, must(w.a.st.Meta(w.ctx, store.MetaLastSweep))(w)))(w)
	w.sweep()
	var since string
	for _, r := range w.sim.Requests() {
		if r.Path == "/v2/incidents" {
			since = r.Query.Get("updated_at[gte]")
		}
	}
	got := must(time.Parse(time.RFC3339, since))(w)
	if want := first.Add(-sweepOverlap).Truncate(time.Second); !got.Equal(want) {
		t.Errorf("second sweep asks since %s, want %s", got, want)
	}

	// One that fails does not move on.
	must(w.sim.Break(simulator.Fault{Path: "/v2/incidents", Kind: simulator.StatusCode, Status: 500, Times: 1}))(w)
	before := must(w.a.st.Meta(w.ctx, store.MetaLastSweep))(w)
	if err := w.a.sweepOnce(w.ctx); err == nil {
		t.Fatal("a sweep whose list failed: got no error")
	}
	if after := must(w.a.st.Meta(w.ctx, store.MetaLastSweep))(w); after != before {
		t.Errorf("last sweep after one that failed: got %s, want %s", after, before)
	}
}

func TestSweepOfAnIncidentThatFailsHealsTheOthersAndStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	bad, badID := w.tie("TIG-1")
	good, _ := w.tie("TIG-2")
	must(w.sim.Break(simulator.Fault{Path: "/v2/incidents/" + badID, Kind: simulator.StatusCode, Status: 500, Times: 1}))(w)
	w.ok(w.sim.As(lisa).SetStatus(bad, "Monitoring", ""))
	w.ok(w.sim.As(lisa).SetStatus(good, "Monitoring", ""))
	w.drop()
	if err := w.a.sweepOnce(w.ctx); err == nil {
		t.Error("a sweep that could not look at an incident: got no error")
	}
	w.wantTypes(w.rows(), "incident.status_changed")
	w.sweep()
	w.wantTypes(w.rows(), "incident.status_changed")
}

func TestPollingOfPostIncidentWorkEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ref, id := w.tie("TIG-1")
	w.ok(w.sim.As(lisa).Resolve(ref, ""))
	w.pull()
	w.rows()
	must(w.sim.As(lisa).CreateFollowUp(ref, "More hydrants", ""))(w)
	w.drop()
	w.sweep()
	w.wantTypes(w.rows(), "follow_up.created")

	link := must(w.a.st.Link(w.ctx, "TIG-1"))(w)
	if link.Closed {
		t.Fatal("a link in a post-incident status counts as closed")
	}
	later := w.a.now().Add(learningFor + time.Hour)
	w.a.now = func() time.Time { return later }
	w.sweep()
	if link = must(w.a.st.Link(w.ctx, "TIG-1"))(w); !link.Closed {
		t.Error("two weeks after the last change: the link is still polled")
	}
	before := w.gets("/v2/incidents/" + id)
	w.sweep()
	if got := w.gets("/v2/incidents/"+id) - before; got != 0 {
		t.Errorf("fetches after the polling ended: got %d, want none", got)
	}
	must(w.sim.As(lisa).CreateFollowUp(ref, "A second thought", ""))(w)
	w.pull()
	w.wantTypes(w.rows(), "follow_up.created")
}

// A sweep polls what its share of the requests allows, the live ones first, and the others have their turn next.
func TestSweepKeepsToItsShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ids := make(map[string]string)
	for _, tig := range []string{"TIG-1", "TIG-2", "TIG-3", "TIG-4"} {
		_, ids[tig] = w.tie(tig)
	}
	c := *w.a.cfg.Load()
	c.RateLimit, c.ReconcileInterval = int(2*pollCost/sweepShare), time.Minute // two incidents a sweep
	w.a.cfg.Store(&c)
	looked := func() (n int) {
		for _, id := range ids {
			n += w.gets("/v2/incidents/" + id)
		}
		return n
	}
	for range 2 {
		before := looked()
		w.sweep()
		if got := looked() - before; got != 2 {
			t.Errorf("incidents polled by a sweep: got %d, want 2", got)
		}
	}
	for tig, id := range ids {
		if w.gets("/v2/incidents/"+id) < 2 { // the first look came with the tie
			t.Errorf("%s had no turn", tig)
		}
	}
}

// However many incidents are live, those that are over but for their post-mortem have their turn too.
func TestSweepPassesNobodyOverForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ref, idle := w.tie("TIG-0")
	w.ok(w.sim.As(lisa).Resolve(ref, ""))
	w.sweep()
	for _, tig := range []string{"TIG-1", "TIG-2", "TIG-3", "TIG-4", "TIG-5"} {
		w.tie(tig)
	}
	w.sweep() // it sees what the ties changed
	c := *w.a.cfg.Load()
	c.RateLimit, c.ReconcileInterval = int(4*pollCost/sweepShare), time.Minute // four incidents a sweep
	w.a.cfg.Store(&c)
	before := w.gets("/v2/incidents/" + idle)
	w.sweep()
	if got := w.gets("/v2/incidents/"+idle) - before; got != 1 {
		t.Errorf("polls of the one that is not live, of four places for six: got %d, want 1", got)
	}
}

func TestConflictsAreDecidedByTheRuleAndTold(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		mapping.ConflictIncidentIO: "incident.severity_changed",
		mapping.ConflictTigerOps:   "incident.message",
		mapping.ConflictLatest:     "incident.severity_changed",
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{config: func(c *Config) { c.Rules.Conflict = rule }})
			ref, _ := w.tie("TIG-1")
			// While the line is down TigerOps says warning, and later a person says SEV3.
			must(w.a.st.InsertEvents(w.ctx, [][]byte{[]byte(`{"id":"e1","type":"incident.updated","timestamp":"2026-01-01T00:00:00Z",
				"incident":{"id":"TIG-1","severity":"warning"}}`)}))(w)
			w.ok(w.sim.As(lisa).SetSeverity(ref, "SEV3", "It is not that bad."))
			w.pull()
			rows := w.rows()
			w.wantTypes(rows, want)
			if !strings.Contains(rows[0].Message, "conflict: "+rule) {
				t.Errorf("message: got %q, want it to tell of the conflict", rows[0].Message)
			}
		})
	}
	t.Run("latest, when TigerOps is later", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{})
		ref, _ := w.tie("TIG-1")
		w.ok(w.sim.As(lisa).SetSeverity(ref, "SEV3", ""))
		later := w.a.now().Add(time.Minute).Format(time.RFC3339)
		must(w.a.st.InsertEvents(w.ctx, [][]byte{[]byte(`{"id":"e1","type":"incident.updated","timestamp":"` + later + `",
			"incident":{"id":"TIG-1","severity":"warning"}}`)}))(w)
		w.pull()
		w.wantTypes(w.rows(), "incident.message")
	})
}

func TestASweepThatIsForbiddenShowsInReadiness(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	fault := must(w.sim.Break(simulator.Fault{Path: "/v2/incidents", Kind: simulator.RefuseRole}))(w)
	if err := w.a.sweepOnce(w.ctx); err == nil {
		t.Error("a forbidden sweep: got no error")
	}
	if why := w.a.notReady(); len(why) != 1 || !strings.Contains(why[0], "list incidents") {
		t.Errorf("reasons: got %v, want that listing is forbidden", why)
	}
	w.sim.Mend(fault)
	w.sweep()
	if why := w.a.notReady(); len(why) > 0 {
		t.Errorf("afterwards: not ready: %v", why)
	}
}
