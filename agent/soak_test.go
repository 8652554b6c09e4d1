package agent_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

var (
	soakFor = flag.Duration("soak", 0, "how long TestSoak takes (a few of the minutes at its end are for the checks); 0: a minute")
	metFile = flag.String("met", "", "FILE into which TestSoak writes which request met which fault, to be compared with another run's; TestSoakByAlertRoutes: FILE.routed")
	theSeed = flag.Uint64("seed", 0, "seed of TestSoak; 0: a new one with -soak, else always the same")
)

const soakConfig = `integrations:
  incident_io:
    severity_mapping: {critical: SEV1, warning: SEV2, info: SEV3}
    custom_fields: {affected_services: custom_field_abc, deployment_sha: custom_field_jkl}
    escalation_paths: {payments: ` + simulator.DefaultEscalationPathID + `}
    alert_source: {id: ` + simulator.DefaultAlertSourceID + `, token: ` + simulator.DefaultAlertSourceToken + `}
    alert_route_wait: 0s
`

// routeDelay is how long after an alert its route makes an incident of it.
const routeDelay = 300 * time.Millisecond

// routedConfig leaves declaring to incident.io's alert routes.
const routedConfig = soakConfig + `    auto_declare: false
`

// soakPlan is how rough it gets, for how long.
type soakPlan struct {
	storm       time.Duration // then everything is calm and has to come to rest
	newIncident time.Duration // between two new incidents
	eventGap    time.Duration // mean time between two events of one
	acts        int           // what people do in an incident
	reconcile   time.Duration // AGENT_RECONCILE_INTERVAL
	routed      bool          // incident.io's alert routes declare, not the agent
}

func planFor(d time.Duration, routed bool) soakPlan {
	p := soakPlan{
		routed: routed,
		storm:  45 * time.Second, newIncident: 400 * time.Millisecond, eventGap: 250 * time.Millisecond, acts: 15, reconcile: 4 * time.Second,
	}
	if d > 0 {
		p.storm = d - min(max(d/5, 15*time.Second), 4*time.Minute)
		p.storm = max(p.storm, d/3)
		p.reconcile = max(4*time.Second, min(d/20, 20*time.Second))
		// An incident takes three or four alerts, of which the agent sends two a second: more would wait for nothing else.
		p.newIncident = time.Second
		if d > 20*time.Minute {
			p.newIncident, p.acts = 2*time.Second, 60
		}
	}
	// The two run beside each other.
	p.newIncident = p.newIncident * slower * 3 / 2
	if routed {
		p.newIncident *= 2
	}
	return p
}

// soak is one run.
type soak struct {
	testing.TB
	whole     context.Context
	storm     context.Context
	plan      soakPlan
	seed      uint64
	sim       *simulator.Simulator
	agent     *process
	kills     int // by SIGKILL
	stillborn int // of those: before the agent answered anything
	stops     int // by SIGTERM
	resent    int // events whose sender was not answered
	ops       *tigerOps
	staff     *staff
	weathers  map[string]int
	forecast  []string // incident.io's health, one after the other
	faults    *faultPlan
	deaths    chan death    // that are to come
	beats     chan struct{} // one for each event that was accepted
	figures   figures
	edits     edits

	forbidden []span // when the key lacked a role for something
	calm      []span // when incident.io was well
}

type span struct{ from, till time.Time }

// TestSoak sends thousands of events of hundreds of incidents through an agent that is killed again and again, to an
// incident.io that errs, resets, hangs, throttles, refuses the key and goes away, while people change things there and
// webhooks double, shuffle and vanish. Then all is calm, and what there is on both sides is held against a model:
// nothing accepted is lost, each thing is there once and in order, nothing echoes, both sides agree, nothing is stuck.
//
// Three stories of ten are shared: people have declared an incident alike, which the agent attaches them to as long as it
// is open and as severe.
//
//	go test ./agent -run Soak -soak 10m -seed 42
func TestSoak(t *testing.T) { soakOf(t, false) }

// TestSoakByAlertRoutes is TestSoak where the agent only sends alerts, and incident.io's alert routes make incidents of
// them a moment later: one of each alert, but one of all that belong to a group of shared stories. It is for long runs
// (-soak): its model still takes some harmless coincidences of incidents that several share for faults.
func TestSoakByAlertRoutes(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("it runs with -soak only: go test ./agent -run SoakBy -soak 10m")
	}
	soakOf(t, true)
}

func soakOf(t *testing.T, routed bool) {
	if timeout := flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration); timeout > 0 && *soakFor > timeout {
		t.Fatalf("-soak %s is longer than the tests may take: give -timeout 0 before the package", *soakFor)
	}
	t.Parallel()
	seed := *theSeed
	switch {
	case seed == 0 && *soakFor == 0:
		seed = 1 // the suite tells what a change broke; long soaks look for what nobody knew
	case seed == 0:
		seed = uint64(time.Now().UnixNano()) % 1e9
	}
	s := newSoak(t, planFor(*soakFor, routed), seed)
	t.Logf("seed %d, a storm of %s; go test ./agent -run '%s$' -soak %s -seed %d", seed, s.plan.storm, t.Name(), *soakFor, seed)
	t.Cleanup(func() {
		switch {
		case *metFile != "":
			if err := os.WriteFile(*metFile+map[bool]string{true: ".routed"}[routed], []byte(s.faults.text()), 0o600); err != nil {
				t.Error(err)
			}
		case t.Failed():
			s.leave("faults.txt", s.faults.text())
		}
	})
	s.rage()
	calm := time.Now()
	s.rest(calm)
	agreed := time.Since(calm)
	m := s.check()
	s.report(m, agreed)
	s.rough(m)
}

func newSoak(t testing.TB, plan soakPlan, seed uint64) *soak {
	s := &soak{TB: t, whole: t.Context(), plan: plan, seed: seed, weathers: make(map[string]int), edits: edits{of: make(map[string][]span)},
		deaths: make(chan death, 1<<16), beats: make(chan struct{}, 1<<10),
	}
	s.faults = newFaultPlan(seed, s.plan.storm > 2*time.Minute, s.die)
	o := simulator.Options{
		Key: theKey, Seed: seed, Keep: 20_000, Fault: s.faults.meet,
		Limits: simulator.Limits{PerMinute: 30_000, AlertsPerMinute: 6_000, EscalationsPerMinute: 6_000},
	}
	config := soakConfig
	if plan.routed {
		config = routedConfig
		o.AlertRoute = &simulator.AlertRoute{Delay: routeDelay, Severity: "SEV2", Group: func(a simulator.Alert) string {
			return groupOf(strings.Split(a.DeduplicationKey, "/")[1])
		}}
	}
	s.sim = simulator.New(o)
	server := httptest.NewServer(s.edits.note(s.sim))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		_ = s.sim.Close(context.Background())
	})
	s.agent = newProcess(t, server.URL, config, map[string]string{
		"AGENT_RATE_LIMIT": "30000", "AGENT_RECONCILE_INTERVAL": s.plan.reconcile.String(),
	})
	s.sim.SetWebhook(s.agent.hooks, theWebhookSecret)
	s.ops, s.staff = newTigerOps(s), &staff{soak: s}
	if !s.agent.start() {
		t.Fatalf("the agent ended at its start:\n%s", s.agent.logTail(20))
	}
	return s
}

// rage is the storm. When it returns, all events are accepted, the agent runs and incident.io is well again.
func (s *soak) rage() {
	s.sim.SetWebhookOptions(simulator.WebhookOptions{
		Attempts: 3, Timeout: 2 * time.Second, DropShare: 0.15, DuplicateShare: 0.2, ShuffleWithin: 700 * time.Millisecond,
	})
	storm, over := context.WithTimeout(s.whole, s.plan.storm)
	defer over()
	s.storm = storm
	var all sync.WaitGroup
	rng := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(s.seed, 1<<32+n)) }
	var tellers sync.WaitGroup
	tellers.Go(func() { s.ops.storm(storm) })
	s.faults.pause(false)
	all.Go(func() { s.weather(storm, rng(10)) })
	all.Go(func() { s.kill(storm) })
	all.Go(func() { s.measure(storm) })
	taking, enough := context.WithCancel(s.whole)
	var taker sync.WaitGroup
	taker.Go(func() { s.consume(taking, rng(12)) })
	all.Wait()
	s.faults.pause(true)
	s.agent.restart() // whatever state the storm left it in
	tellers.Wait()
	enough()
	taker.Wait()
	s.sim.SetWebhookOptions(simulator.WebhookOptions{})
}

// consume takes changes out of the inbox until ctx ends.
func (s *soak) consume(ctx context.Context, rng *rand.Rand) {
	next := time.NewTicker(50 * time.Millisecond)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			s.ops.take(ctx, rng)
		}
	}
}

// die lets a death come, and waits until it has.
func (s *soak) die(ctx context.Context, d death) {
	s.deaths <- d
	select {
	case <-d.died:
	case <-ctx.Done(): // an earlier death broke the request off
	case <-s.storm.Done():
	}
}

// kill ends and starts the agent, a death after the other, until ctx ends.
func (s *soak) kill(ctx context.Context) {
	pause := func(d time.Duration) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	for {
		var d death
		select {
		case <-ctx.Done():
			return
		case d = <-s.deaths:
		}
		pause(d.wait)
		if d.stop {
			s.stops++
			s.agent.stop()
		} else {
			s.kills++
			s.agent.kill()
		}
		s.faults.came(d)
		close(d.died)
		pause(d.dead)
		if d.again {
			ended := s.agent.spawn()
			starting := time.NewTimer(d.starting)
			select {
			case <-ended:
				starting.Stop()
				s.Errorf("the agent ended at its start:\n%s", s.agent.logTail(20))
				return
			case <-starting.C:
			}
			s.kills++
			s.stillborn++
			s.agent.kill()
		}
		if !s.agent.start() {
			s.Errorf("the agent ended at its start:\n%s", s.agent.logTail(20))
			return
		}
	}
}

// weather makes all of incident.io ill and well again, until ctx ends; then it is well. How long each lasts is counted in
// events that TigerOps has told.
func (s *soak) weather(ctx context.Context, rng *rand.Rand) {
	well := func() {
		s.sim.Mend()
		s.sim.SetKey(theKey)
		s.faults.pause(ctx.Err() != nil)
	}
	defer well()
	for {
		kind := weighted(rng, map[string]int{"calm": 60, "away": 16, "key refused": 10, "role refused": 14})
		lasts := 5 + int((0.3+0.7*rng.ExpFloat64())*40) // now and then very long
		s.weathers[kind]++
		s.forecast = append(s.forecast, fmt.Sprintf("%s for %d events", kind, lasts))
		switch kind {
		case "away":
			s.breaks(simulator.Fault{Kind: simulator.Outage})
		case "key refused":
			s.faults.pause(true)
			s.sim.SetKey("another")
		case "role refused":
			s.breaks(simulator.Fault{Kind: simulator.RefuseRole, Path: roleCalls[rng.IntN(len(roleCalls))]})
		}
		began := time.Now()
		for ; lasts > 0 && ctx.Err() == nil; lasts-- {
			select {
			case <-ctx.Done():
			case <-s.beats:
			}
		}
		switch kind {
		case "role refused":
			s.forbidden = append(s.forbidden, span{began, time.Now()})
		case "calm":
			s.calm = append(s.calm, span{began, time.Now()})
		}
		if ctx.Err() != nil {
			return
		}
		well()
	}
}

func (s *soak) breaks(f simulator.Fault) {
	if _, err := s.sim.Break(f); err != nil {
		s.Errorf("break incident.io: %v", err)
	}
}

var roleCalls = []string{
	"/v2/incidents", "/v2/incidents/*", "/v2/incidents/*/actions/*", "/v2/incident_updates", "/v2/incident_timeline_items", "/v3/actions",
	"/v3/follow_ups", "/v2/escalations", "/v2/users", "/v1/severities", "/v2/incident_roles", "/v2/custom_fields", "/v1/postmortem_documents",
}

// restart starts the agent if it does not run.
func (p *process) restart() {
	p.Helper()
	p.mu.Lock()
	running := p.cmd != nil
	p.mu.Unlock()
	if running {
		select {
		case <-p.gone():
		default:
			return
		}
	}
	if !p.start() {
		p.Fatalf("the agent ended at its start:\n%s", p.logTail(20))
	}
}

// rest waits until everything that has an end came to it: events, webhooks, and a sweep behind them. Then an operator
// discards the poison, and it all comes to rest again.
func (s *soak) rest(calm time.Time) {
	s.Helper()
	rng := rand.New(rand.NewPCG(s.seed, 13))
	behindPoison := `SELECT count(*) FROM outbox o WHERE state = 'pending' AND NOT EXISTS (
		SELECT 1 FROM outbox d WHERE d.state = 'dead' AND d.incident_key = o.incident_key AND d.id < o.id)`
	quiet := func() bool {
		s.ops.take(s.whole, rng)
		return s.agent.count(behindPoison) == 0 &&
			s.agent.count("SELECT count(*) FROM webhook WHERE state = 'pending'") == 0 && s.sim.Counters().Webhooks.Waiting == 0
	}
	if s.plan.routed {
		s.settles("only what rightly is set aside waits", func() bool {
			s.ops.take(s.whole, rng)
			return s.agent.count(behindPoison+" AND parked = 0") == 0 && s.rightlyParked()
		})
		s.ops.resolveParked()
	}
	s.settles("everything that waits has its end", quiet)
	s.Logf("%s after the storm nothing waits any more", time.Since(calm).Round(time.Millisecond))
	s.dead()
	s.settles("what waited behind the poison has its end", func() bool {
		return quiet() && s.agent.count("SELECT count(*) FROM outbox WHERE state = 'pending'") == 0
	})
	// Timeline items and messages are polled, so many incidents a sweep (sweepShare).
	share := 30_000 * s.plan.reconcile.Minutes() / 4 / 7
	live := float64(s.agent.count("SELECT count(*) FROM link WHERE closed = 0 AND incident_io_category = 'live'"))
	others := float64(s.agent.count("SELECT count(*) FROM link WHERE closed = 0 AND incident_io_category <> 'live'"))
	polls := 1 + int(math.Ceil(max(live/(share-min(others, share/4)), others/(share-min(live, share*3/4)))))
	for at := time.Now(); polls > 0; polls-- {
		s.settles("a sweep", func() bool {
			swept, err := time.Parse(time.RFC3339, s.agent.sweeps())
			if err == nil && swept.After(at) && quiet() {
				at = swept
				return true
			}
			return false
		})
	}
	s.settles("TigerOps has taken every change", func() bool {
		s.ops.take(s.whole, rng)
		return s.agent.count("SELECT count(*) FROM inbox WHERE state = 'pending'") == 0
	})
}

// settles waits for what has to come, and fails the test with what is in its way if it does not.
func (s *soak) settles(what string, holds func() bool) {
	s.Helper()
	if holdsWithin(5*time.Minute+s.plan.storm/4, holds) { // on a busy machine a backlog waits for the rate of the alerts
		return
	}
	s.Errorf("stuck:\n%s", strings.Join(s.agent.rows("SELECT kind || ' ' || id || ' ' || incident || ' ' || what || ': ' || why FROM stuck LIMIT 20"), "\n"))
	s.Errorf("waiting:\n%s", strings.Join(s.agent.rows("SELECT id || ' ' || event_id || ' ' || event_type || ' attempts ' || attempts || ', next ' || next_attempt_at || ': ' || reason FROM outbox WHERE state = 'pending' LIMIT 20"), "\n"))
	s.Errorf("webhooks:\n%s", strings.Join(s.agent.rows("SELECT id || ' ' || coalesce(event_type, '') || ': ' || error FROM webhook WHERE state = 'pending' LIMIT 20"), "\n"))
	s.Errorf("webhooks on their way: %+v", s.sim.Counters().Webhooks)
	s.Fatalf("waited in vain: %s", what)
}

// dead wants exactly the poison to be dead, and discards it as an operator does.
func (s *soak) dead() {
	s.Helper()
	var want []string
	for _, ev := range s.ops.events {
		if ev.poison {
			want = append(want, ev.id)
		}
	}
	slices.Sort(want)
	if got := s.agent.rows("SELECT event_id FROM outbox WHERE state = 'dead' ORDER BY event_id"); !slices.Equal(got, want) {
		s.Errorf("dead: got %v, want %v\n%s", got, want, strings.Join(s.agent.rows("SELECT event_id || ' ' || reason FROM outbox WHERE state = 'dead'"), "\n"))
	}
	s.agent.exec("UPDATE outbox SET state = 'skipped', reason = 'discarded: poison' WHERE state = 'dead'")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
