package simulator

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Simulator is one account of incident.io. See the package's documentation.
type Simulator struct {
	o    Options
	log  *slog.Logger
	ctrl *http.ServeMux
	// life ends with Close; whatever waits, waits on it too.
	life context.Context
	end  context.CancelFunc

	mu      sync.Mutex // guards everything below
	rng     *rand.Rand
	made    names     // what ids were made for
	last    time.Time // the last time that was written
	closed  bool
	timers  map[*time.Timer]struct{}
	running sync.WaitGroup // functions that timers have started

	key      NamedActor
	keyValue string
	roles    []string
	settings account
	incident incidents
	alert    alerts
	keys     map[string]keyed
	rate     rates

	faults faults
	seen   record
	hooks  hooks
}

// New makes a Simulator with the default account. Close ends it.
func New(o Options) *Simulator {
	def(&o.Key, DefaultKey)
	def(&o.KeyName, DefaultKeyName)
	def(&o.OrgSlug, DefaultOrgSlug)
	def(&o.BaseURL, "https://api.incident.io")
	def(&o.Keep, 10_000)
	if o.Roles == nil {
		o.Roles = AllRoles
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Simulator{o: o, log: o.Logger, timers: map[*time.Timer]struct{}{}, keys: map[string]keyed{}, made: names{}}
	s.life, s.end = context.WithCancel(context.Background())
	s.rng = rand.New(rand.NewPCG(o.Seed, 0x51_6d))
	s.keyValue, s.roles = o.Key, o.Roles
	s.rate = newRates(o.Limits)
	s.faults.rng = rand.New(rand.NewPCG(o.Seed, 0xfa_17))
	s.seen.keep = o.Keep
	s.fillAccount()
	s.ctrl = s.controls()
	s.startHooks()
	return s
}

func def[T comparable](p *T, v T) {
	if zero := *new(T); *p == zero {
		*p = v
	}
}

// Close ends everything that runs by itself: webhooks under way, delayed alerts, requests that a fault holds. It
// waits for them until ctx ends and returns ctx's error then. A closed Simulator can still be looked into.
func (s *Simulator) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for t := range s.timers {
		if t.Stop() {
			s.running.Done()
		}
	}
	clear(s.timers)
	s.mu.Unlock()
	s.end()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// now is the time to write: the clock's, in UTC and microseconds as the API has them, but always later than the time
// written last, so that updated_at moves with every change. The caller holds mu.
func (s *Simulator) now() time.Time {
	t := s.o.Now().UTC().Truncate(time.Microsecond)
	if !t.After(s.last) {
		t = s.last.Add(time.Microsecond)
	}
	s.last = t
	return t
}

// newID makes an id. The caller holds mu.
func (s *Simulator) newID() string { return ulid(s.o.Now(), s.rng, s.o.Growth) }

// idOf makes the id of something that has a name of its own: behind the time it is a matter of the seed and the name, in
// whatever order things come. The caller holds mu.
func (s *Simulator) idOf(kind, name string) string {
	return ulid(s.o.Now(), s.made.chance(s.o.Seed, kind+" "+name), s.o.Growth)
}

// later runs f with mu held: now if d is 0, else after d unless the Simulator is closed by then. The caller holds mu.
func (s *Simulator) later(d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	if s.closed {
		return
	}
	s.running.Add(1)
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		defer s.running.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.timers, t)
		if !s.closed {
			f()
		}
	})
	s.timers[t] = struct{}{}
}
