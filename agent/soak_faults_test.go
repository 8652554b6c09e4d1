package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// faultPlan says what each request meets. That is a matter of the seed, of the request's name and of how many of that
// name came before it, and of nothing else: not of the order in which lanes come to send, nor of the clock. The same holds
// for deaths: they are tied to requests and to events of TigerOps.
type faultPlan struct {
	seed uint64
	long bool // a request may hang until the agent gives it up
	die  func(context.Context, death)

	mu     sync.Mutex
	off    bool                // nothing counts: before and after the storm, and while all requests are refused anyway
	met    map[string][]string // by the requests' names: what each of them met, in that order
	deaths map[string]bool     // what the deaths that came were tied to
}

func newFaultPlan(seed uint64, long bool, die func(context.Context, death)) *faultPlan {
	return &faultPlan{seed: seed, long: long, die: die, off: true, met: make(map[string][]string), deaths: make(map[string]bool)}
}

func (p *faultPlan) pause(off bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = off
}

// chance is a random source that depends on the seed and on a name, and on nothing else.
func (p *faultPlan) chance(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(p.seed, h.Sum64()))
}

var (
	anyID       = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{26}\b`)
	anyEvent    = regexp.MustCompile(`TIG-[0-9]+-[EL][0-9]+`)
	anyTigerOps = regexp.MustCompile(`TIG-[0-9]+`)
)

// nameOf is what a request is, in words that another run has for it too: its method and path, the incident.io incident it
// is about, its key, and the event of TigerOps that it tells. Of ids it holds what lasts.
func nameOf(r *http.Request, body []byte) string {
	name := []string{r.Method, r.URL.Path}
	query := r.URL.Query()
	for _, k := range sortedKeys(query) {
		for _, v := range query[k] {
			if anyID.MatchString(v) || strings.HasPrefix(v, "tigerops") {
				name = append(name, k+"="+v)
			}
		}
	}
	if len(body) > 0 {
		var in struct {
			IncidentID       string `json:"incident_id"`
			IdempotencyKey   string `json:"idempotency_key"`
			DeduplicationKey string `json:"deduplication_key"`
			Status           string `json:"status"`
		}
		_ = json.Unmarshal(body, &in) // what is not there is not in the name
		event := anyEvent.FindString(string(body))
		if event == "" {
			event = anyTigerOps.FindString(string(body))
		}
		name = append(name, in.IncidentID, in.IdempotencyKey, in.DeduplicationKey, in.Status, event)
	}
	name = slices.DeleteFunc(name, func(s string) bool { return s == "" })
	return anyID.ReplaceAllStringFunc(strings.Join(name, " "), simulator.Lasting)
}

// meet is what incident.io asks of every request (simulator.Options.Fault).
func (p *faultPlan) meet(r *http.Request, body []byte) *simulator.Fault {
	p.mu.Lock()
	if p.off {
		p.mu.Unlock()
		return nil
	}
	name := nameOf(r, body)
	n := len(p.met[name])
	word, f, d := p.at(name, n, r.Method != http.MethodGet)
	p.met[name] = append(p.met[name], word)
	p.mu.Unlock()
	if d != nil {
		p.die(r.Context(), *d)
	}
	return f
}

// at is what the nth request of a name meets, in a word too, and the death that goes with it.
func (p *faultPlan) at(name string, n int, writes bool) (word string, f *simulator.Fault, d *death) {
	at := fmt.Sprintf("%s #%d", name, n)
	rng := p.chance(at)
	if writes && n < 3 && rng.IntN(250) == 0 {
		d = deathOf(at, rng)
		d.stop, d.wait = false, 0
		if rng.IntN(2) == 0 {
			return "death before", &simulator.Fault{Kind: simulator.ResetBefore}, d
		}
		return "death after", &simulator.Fault{Kind: simulator.ResetAfter}, d
	}
	pick := rng.Float64()
	short := time.Duration(20+rng.IntN(400)) * time.Millisecond
	form := []string{"seconds", "http-date", "rfc3339", "body", "none", "0", "soon"}[rng.IntN(7)]
	page := []string{"", "<html>upstream</html>"}[rng.IntN(2)]
	type chance struct {
		p float64
		f simulator.Fault
	}
	all := []chance{
		{0.06, simulator.Fault{Kind: simulator.Delay, Delay: short}},
		{0.010, simulator.Fault{Kind: simulator.ResetBefore}}, {0.013, simulator.Fault{Kind: simulator.ResetAfter}},
		{0.007, simulator.Fault{Kind: simulator.Cut}}, {0.007, simulator.Fault{Kind: simulator.Garbage}},
		{0.007, simulator.Fault{Kind: simulator.Hang, Delay: short}}, {0.007, simulator.Fault{Kind: simulator.HangAfter, Delay: short}},
		{0.0006, simulator.Fault{Kind: simulator.Throttle, RetryAfter: form, Delay: short}},
	}
	for _, status := range []int{408, 425, 500, 502, 503, 504} {
		all = append(all,
			chance{0.0035, simulator.Fault{Kind: simulator.StatusCode, Status: status}},
			chance{0.0035, simulator.Fault{Kind: simulator.StatusAfter, Status: status, Body: page}})
	}
	if p.long {
		all = append(all, chance{0.0003, simulator.Fault{Kind: simulator.Hang}}, chance{0.0003, simulator.Fault{Kind: simulator.HangAfter}})
	}
	for _, c := range all {
		if pick -= c.p; pick < 0 {
			word = string(c.f.Kind)
			if c.f.Status > 0 {
				word += fmt.Sprintf(" %d", c.f.Status)
			}
			return word, &c.f, nil
		}
	}
	return "-", nil, nil
}

// death is an end of the agent.
type death struct {
	at       string        // what it is tied to
	wait     time.Duration // how long after it
	stop     bool          // by SIGTERM
	dead     time.Duration // how long it is not there
	again    bool          // and once more while it starts
	starting time.Duration // how long after its start
	died     chan struct{} // closed when it has ended
}

// deathOf is what a death is like.
func deathOf(at string, rng *rand.Rand) *death {
	return &death{
		at: at, wait: time.Duration(rng.IntN(300)) * time.Millisecond, stop: rng.IntN(4) == 0, dead: time.Duration(rng.IntN(300)) * time.Millisecond,
		again: rng.IntN(4) == 0, starting: time.Duration(rng.IntN(200)) * time.Millisecond, died: make(chan struct{}),
	}
}

// deathBy is the death that comes when TigerOps sends an event, nil if none does.
func (p *faultPlan) deathBy(event string) *death {
	rng := p.chance("death by " + event)
	if rng.IntN(150) > 0 {
		return nil
	}
	return deathOf(event, rng)
}

// came notes that a death came.
func (p *faultPlan) came(d death) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaths[d.at] = true
}

// text is what the plan came to: a line for each request's name, and for each death.
func (p *faultPlan) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b bytes.Buffer
	for _, name := range sortedKeys(p.met) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(p.met[name], ", "))
	}
	for _, at := range sortedKeys(p.deaths) {
		fmt.Fprintf(&b, "death: %s\n", at)
	}
	return b.String()
}

// digest is a short word for text.
func (p *faultPlan) digest() string {
	sum := sha256.Sum256([]byte(p.text()))
	return fmt.Sprintf("%x", sum[:6])
}

// TestSoakReplays plays a short storm twice with one seed. Two runs of real processes are never the same: how often a
// request is tried, and which looks fall together, is up to the clock, and so is which requests there are at all where
// people and TigerOps change the same thing at the same moment. What replays is this: whenever a request comes in both
// runs, and as often as it does, it meets the same fault, the agent's death included; incident.io is ill in the same ways,
// in the same order, for as many of TigerOps' events.
func TestSoakReplays(t *testing.T) {
	t.Parallel()
	const seed = 11
	play := func() *soak {
		plan := planFor(0, false)
		plan.storm = slower * 8 * time.Second
		s := newSoak(t, plan, seed)
		s.rage()
		s.agent.kill()
		return s
	}
	one, two := play(), play()
	writes, others, common := 0, 0, 0
	for name := range two.faults.met {
		if !strings.HasPrefix(name, http.MethodGet) {
			others++
		}
	}
	for name, met := range one.faults.met {
		also := two.faults.met[name]
		for n := range min(len(met), len(also)) {
			if met[n] != also[n] {
				t.Errorf("%s #%d met %q, and in another run %q", name, n, met[n], also[n])
			}
		}
		if !strings.HasPrefix(name, http.MethodGet) {
			writes++
			if also != nil {
				common++
			}
		}
	}
	t.Logf("%d names of requests in one run, %d in the other; of %d and %d that change something %d came in both; deaths %d and %d",
		len(one.faults.met), len(two.faults.met), writes, others, common, len(one.faults.deaths), len(two.faults.deaths))
	if fewer := min(writes, others); fewer < 20 || common < fewer/2 {
		t.Errorf("of %d and %d names of requests that change something %d came in both runs, want at least half of at least 20", writes, others, common)
	}
	for n := range min(len(one.forecast), len(two.forecast)) {
		if one.forecast[n] != two.forecast[n] {
			t.Errorf("incident.io was %s, and in another run %s", one.forecast[n], two.forecast[n])
		}
	}
	other, differs := newFaultPlan(seed+1, false, nil), 0
	for name, met := range one.faults.met {
		if word, _, _ := other.at(name, 0, !strings.HasPrefix(name, http.MethodGet)); word != met[0] {
			differs++
		}
	}
	if differs == 0 {
		t.Error("another seed gives every request the same fault")
	}
}
