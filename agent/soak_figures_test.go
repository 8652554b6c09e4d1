package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// figures are what a run took of the machine.
type figures struct {
	memory int64 // most resident bytes of any of the agent's lives
	wal    int64 // most bytes of the write-ahead log
	queue  []int // events that waited, looked at now and then during the storm
}

// measure looks at the agent's process and files again and again, until ctx ends.
func (s *soak) measure(ctx context.Context) {
	next := time.NewTicker(50 * time.Millisecond)
	defer next.Stop()
	for n := 0; ; n++ {
		if n%20 == 0 {
			if waiting, err := s.agent.query("SELECT count(*) FROM outbox WHERE state = 'pending'"); err == nil {
				count, _ := strconv.Atoi(waiting[0])
				s.figures.queue = append(s.figures.queue, count)
			}
		}
		s.figures.memory = max(s.figures.memory, s.agent.peakMemory())
		s.figures.wal = max(s.figures.wal, s.agent.fileSize("-wal"))
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
	}
}

// peakMemory is the most memory that the agent's present life has ever held, 0 where the system does not tell.
func (p *process) peakMemory() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " kB")
	kb, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0 // a process that is just ending has none
	}
	return kb << 10
}

// fileSize is the size of the database, or of the file beside it with this ending; 0 if it is not there.
func (p *process) fileSize(ending string) int64 {
	info, err := os.Stat(p.env["AGENT_DB"] + ending)
	if err != nil {
		return 0
	}
	return info.Size()
}

// quarters are the most of each quarter of a series: one that grows from quarter to quarter shows a queue that is filled
// faster than it is emptied.
func quarters(series []int) string {
	var most []string
	for n := range 4 {
		if part := series[n*len(series)/4 : (n+1)*len(series)/4]; len(part) > 0 {
			most = append(most, strconv.Itoa(slices.Max(part)))
		}
	}
	return strings.Join(most, ", ")
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// report prints the figures of the run.
func (s *soak) report(m *model, agreed time.Duration) {
	c := s.sim.Counters()
	events := len(s.ops.events)
	s.Logf("seed %d: %d events of %d TigerOps incidents (%d sent again, %d times one had no answer), %d acts of people, %d changes out, %d times TigerOps said again what it had heard",
		s.seed, events, len(s.ops.stories), s.ops.repeated, s.ops.resent, len(s.staff.acts), len(m.rows), s.ops.said)
	s.Logf("%d kills (%d of them at the start), %d stops; incident.io's health %v; faults met %v", s.kills, s.stillborn, s.stops, s.weathers, c.Faults)
	s.Logf("%d incidents were of several TigerOps incidents; ties %v", m.shared, m.origins())
	s.Logf("which request met which fault: %d names of requests, digest %s (-met FILE has them)", len(s.faults.met), s.faults.digest())
	s.Logf("%d requests, %.1f an event; answered %s; %d idempotency keys came again", c.Requests, float64(c.Requests)/float64(events), statuses(c.ByStatus), c.Repeated)
	s.Logf("webhooks: %d, %d arrived, %d doubled, %d vanished", c.Webhooks.Total, c.Webhooks.Delivered, c.Webhooks.Doubled, c.Webhooks.Dropped+c.Webhooks.Failed)
	all, calm := m.latencies()
	s.Logf("from an event's acceptance to incident.io: %s (p50), %s (p99), outages and deaths included; %s (p50), %s (p99) of those accepted while all of it was well",
		percentile(all, 50), percentile(all, 99), percentile(calm, 50), percentile(calm, 99))
	s.Logf("%s after the storm both sides agreed, whole sweeps included (every %s)", agreed.Round(time.Millisecond), s.plan.reconcile)
	s.Logf("events that waited during the storm: %s at most, by its quarters", quarters(s.figures.queue))
	s.agent.stop() // its processor time is known once it has ended
	s.agent.mu.Lock()
	cpu := s.agent.cpu
	s.agent.mu.Unlock()
	s.Logf("the agent took %s of processor time, %s an event, and at most %s of memory; its file is %s, %.1f kB an event, its write-ahead log was at most %s",
		cpu.Round(10*time.Millisecond), (cpu / time.Duration(events)).Round(10*time.Microsecond), megabytes(s.figures.memory),
		megabytes(s.agent.fileSize("")), float64(s.agent.fileSize(""))/1e3/float64(events), megabytes(s.figures.wal))
}

// rough fails a long run that was not what it says it is: no fault of some kind, too little to do.
func (s *soak) rough(m *model) {
	if s.plan.storm < slower*8*time.Minute {
		return // chance may have left something out
	}
	c := s.sim.Counters()
	for _, kind := range []string{
		"outage", "reset_before", "reset_after", "hang", "hang_after", "status", "status_after", "throttle", "refuse_role", "garbage", "cut",
	} {
		if c.Faults[kind] == 0 {
			s.Errorf("no request met a fault of the kind %s: %v", kind, c.Faults)
		}
	}
	for _, status := range []int{0, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusBadGateway} {
		if c.ByStatus[status] == 0 {
			s.Errorf("no request was answered %d: %v", status, c.ByStatus)
		}
	}
	for what, n := range map[string]int{
		"incidents of several TigerOps incidents": m.shared,
		"kills": s.kills, "kills at the start": s.stillborn, "stops": s.stops, "doubled webhooks": c.Webhooks.Doubled, "vanished webhooks": c.Webhooks.Dropped,
		"repeated idempotency keys": c.Repeated, "events without an answer": s.ops.resent, "changes said again": s.ops.said,
	} {
		if n == 0 {
			s.Errorf("there were no %s", what)
		}
	}
	if events, incidents := len(s.ops.events), len(s.ops.stories); events < 1000 || incidents < 100 {
		s.Errorf("only %d events of %d incidents", events, incidents)
	}
}

// origins counts ties by how they came.
func (m *model) origins() map[string]int {
	n := make(map[string]int)
	for _, t := range m.ties {
		n[t.Origin]++
	}
	return n
}

// latencies are the times from an event's acceptance to its first trace in incident.io: of all that leave one, and of
// those that were accepted while incident.io was well.
func (m *model) latencies() (all, calm []time.Duration) {
	for id, things := range m.things {
		ev := m.ops.events[id]
		if ev == nil || ev.poison || ev.story.poisoned {
			continue
		}
		made := slices.MinFunc(things, func(a, b thing) int { return a.made.Compare(b.made) }).made
		d := max(made.Sub(ev.accepted), 0)
		all = append(all, d)
		if slices.ContainsFunc(m.calm, func(s span) bool { return s.from.Before(ev.accepted) && ev.accepted.Before(s.till) }) {
			calm = append(calm, d)
		}
	}
	return all, calm
}

func statuses(by map[int]int) string {
	var all []string
	for _, status := range slices.Sorted(maps.Keys(by)) {
		all = append(all, fmt.Sprintf("%d: %d", status, by[status]))
	}
	return strings.Join(all, ", ")
}

// edits are the requests of an incident.io that would set its summary: incident to when they were there.
type edits struct {
	mu sync.Mutex
	of map[string][]span
}

// note wraps incident.io, which remembers so many requests only.
func (e *edits) note(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, isEdit := strings.CutSuffix(r.URL.Path, "/actions/edit")
		if !isEdit {
			next.ServeHTTP(w, r)
			return
		}
		began := time.Now()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the agent was killed while it sent
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !bytes.Contains(body, []byte(`"summary"`)) {
			next.ServeHTTP(w, r)
			return
		}
		defer func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			id := path[strings.LastIndexByte(path, '/')+1:]
			e.of[id] = append(e.of[id], span{began, time.Now()})
		}()
		next.ServeHTTP(w, r)
	})
}
