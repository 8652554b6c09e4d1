package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// history is a database of the agent's own making with many finished events, kept over the rounds.
type history struct {
	file string
	sink *sink // that knows its incidents
}

// makeHistory lets the agent make its database and declare incidents, and adds finished events with random ids to it as a
// long time would have.
func (w *world) makeHistory(name string, finished, incidents int) (*history, error) {
	dir, err := os.MkdirTemp(w.dir, name+"-")
	if err != nil {
		return nil, err
	}
	s, err := newSink(0)
	if err != nil {
		return nil, err
	}
	a, err := w.newAgent(dir, s.url(), unlimited)
	if err != nil {
		return nil, err
	}
	defer a.kill()
	if incidents > 0 {
		if err := a.declare(incidents); err != nil {
			return nil, err
		}
	}
	a.kill()
	began := time.Now()
	if err := addFinished(a.db, finished); err != nil {
		return nil, err
	}
	if finished > 0 {
		w.say("%s: %s finished events added in %s", name, number(float64(finished)), time.Since(began).Round(time.Second))
	}
	return &history{file: a.db, sink: s}, nil
}

// addFinished adds finished events with ids as random as a hash. They come sorted, so that this takes no hours; the next
// id still falls anywhere among them.
func addFinished(file string, n int) error {
	return add(file, n, `INSERT INTO outbox (payload, state, finished_at, rev)
		SELECT printf('{"id":"evt_%08x%04x","type":"investigation.step","incident":{"id":"OLD-%05d"},"step":{"kind":"note","title":"long ago"}}',
			i * 4294967295 / ?3, random() & 65535, i % 20000), 'done', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 1 FROM n`)
}

// addWaiting adds steps that wait, on incidents that take turns.
func addWaiting(file string, n, incidents int) error {
	return add(file, n, `INSERT INTO outbox (payload)
		SELECT printf('{"id":"evt_%012d","type":"investigation.step","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"TIG-%06d"},'
			|| '"step":{"kind":"note","title":"step %012d","detail":"%s"}}', i, i % ?4, i, ?5) FROM n WHERE ?3`, incidents, stepDetail)
}

// add runs an INSERT over the numbers below n, in the table n, and returns when all is on the disk. It is made once, and
// lost it would be made anew, so it need not be safe meanwhile.
func add(file string, n int, insert string, args ...any) error {
	db, err := openSQL(file)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, q := range []string{`PRAGMA synchronous = OFF`, `PRAGMA cache_size = -524288`} {
		if _, err := db.Exec(q); err != nil {
			return err
		}
	}
	const chunk = 250_000
	for from := 0; from < n; from += chunk {
		_, err := db.Exec(`WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2) `+insert,
			append([]any{from, min(from+chunk, n), n}, args...)...)
		if err != nil {
			return fmt.Errorf("add events: %w", err)
		}
		if _, err := db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
			return err
		}
	}
	if err := db.Close(); err != nil {
		return err
	}
	syscall.Sync() // nothing is to be on its way to the disk while something is measured
	return nil
}

// historyGroup is inserting and delivering with five million finished events in the file, and with none.
func historyGroup(quick bool) *group {
	const incidents = 200
	var many, none *history
	d := pick(quick, 200*time.Millisecond, 3*time.Second)
	round := new(atomic.Int64)
	turn := func(h **history) func(w *world, dir string) (figures, error) {
		return func(w *world, dir string) (figures, error) {
			return (*h).insertAndDeliver(w, dir, d, incidents, round.Add(1))
		}
	}
	return &group{
		name:   "history",
		rounds: 4,
		prepare: func(w *world) (err error) {
			if none, err = w.makeHistory("without-history", 0, incidents); err != nil {
				return err
			}
			many, err = w.makeHistory("with-history", pick(quick, 20_000, 5_000_000), incidents)
			return err
		},
		sides: []side{{"many", turn(&many)}, {"none", turn(&none)}},
		rows: []row{
			{what: "insert and claim (16 callers, until all is delivered) with 5 million finished rows with random event ids, against none", ours: "many/delivered", peer: "none/delivered", unit: "/s", must: 0.85, aim: 0.95},
			{what: "of it the inserts alone", ours: "many/inserted", peer: "none/inserted", unit: "/s", info: true},
		},
	}
}

// insertAndDeliver posts steps with random ids while the agent delivers without a limit, and waits until all is delivered.
func (h *history) insertAndDeliver(w *world, dir string, d time.Duration, incidents int, round int64) (figures, error) {
	a, err := w.agentIn(dir, h.file, h.sink.url(), unlimited, "AGENT_WORKERS=16")
	if err != nil {
		return nil, err
	}
	if err := a.start(); err != nil {
		return nil, err
	}
	defer a.kill()
	_, before, _ := h.sink.counted()
	var numbers atomic.Int64
	numbers.Store(round * 1e9)
	began := time.Now()
	v, err := fire(a.local, 16, d, 202, &numbers, func() gun { return &randomGun{newEventGun(a.local, incidents)} })
	if err != nil {
		return nil, err
	}
	if err := a.until(2*time.Minute, 5*time.Millisecond, "all is delivered", func() (bool, error) {
		_, steps, _ := h.sink.counted()
		return steps-before >= len(v.acked), nil
	}); err != nil {
		return nil, err
	}
	took := time.Since(began)
	a.kill()
	db, err := openSQL(h.file)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	for _, n := range v.acked {
		var there bool
		if err := db.QueryRow(`SELECT EXISTS (SELECT 1 FROM outbox WHERE event_id = ?)`, "evt_"+string(scrambled(n))).Scan(&there); err != nil {
			return nil, err
		}
		if !there {
			return nil, fmt.Errorf("kill -9 lost event %d, which was acknowledged", n)
		}
	}
	return figures{"delivered": float64(len(v.acked)) / took.Seconds(), "inserted": v.rate()}, nil
}

// randomGun gives its events ids in no order of time.
type randomGun struct{ *eventGun }

func (g *randomGun) next(n int64) (head, body []byte) {
	head, body = g.eventGun.next(n)
	copy(g.id, scrambled(n))
	return head, body
}

// scrambled is a number as hexadecimal digits that tell nothing of its order, as a hash would.
func scrambled(n int64) []byte {
	x := uint64(n) * 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	return fmt.Appendf(nil, "%0*x", digits, x>>16)
}

// strangerGroup is a stranger who writes to the table while the agent is busy at its door and delivers what it can.
func strangerGroup(quick bool) *group {
	d := pick(quick, 300*time.Millisecond, 5*time.Second)
	return &group{
		name:  "stranger",
		sides: []side{{"agent", func(w *world, dir string) (figures, error) { return stranger(w, dir, d) }}},
		rows: []row{{what: "a stranger's `INSERT` every 10 ms while the agent is saturated (16 callers at the door, delivery without a limit), p99",
			ours: "agent/p99", unit: "ms", less: true, must: 20, aim: 10}},
	}
}

func stranger(w *world, dir string, d time.Duration) (figures, error) {
	s, err := newSink(0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	a, err := w.newAgent(dir, s.url(), unlimited)
	if err != nil {
		return nil, err
	}
	defer a.kill()
	if err := a.declare(doorIncidents); err != nil {
		return nil, err
	}
	var numbers atomic.Int64
	fired := make(chan error, 1)
	var acked volley
	go func() {
		var err error
		acked, err = fire(a.local, 16, d+500*time.Millisecond, 202, &numbers, func() gun { return newEventGun(a.local, doorIncidents) })
		fired <- err
	}()
	time.Sleep(250 * time.Millisecond)
	took, inserted, err := insertEvery(a.db, 10*time.Millisecond, d)
	if err = errors.Join(err, <-fired); err != nil {
		return nil, err
	}
	a.kill()
	if err := holds(a.db, `SELECT event_id FROM outbox`, eventIDs(append(inserted, acked.acked...))); err != nil {
		return nil, err
	}
	return figures{"p99": millis(quantile(took, 0.99)), "p50": millis(quantile(took, 0.5)), "door": acked.rate()}, nil
}

func insertEvery(file string, every, d time.Duration) (took []time.Duration, inserted []int64, err error) {
	db, err := openSQL(file)
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		return nil, nil, err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for end, n := time.Now().Add(d), int64(5e9); time.Now().Before(end); n++ {
		<-tick.C
		start := time.Now()
		if _, err := db.Exec(`INSERT INTO outbox (payload) VALUES (?)`, string(stepEvent(n, int(n%doorIncidents)))); err != nil {
			return nil, nil, fmt.Errorf("a stranger's INSERT: %w", err)
		}
		took = append(took, time.Since(start))
		inserted = append(inserted, n)
	}
	return took, inserted, nil
}

// startGroup is the time from exec to the first good answer: on a new file, on one with a million finished events, and a
// server with the same router that does nothing else.
func startGroup(quick bool) *group {
	n := pick(quick, 2, 10)
	var h *history
	return &group{
		name: "start",
		prepare: func(w *world) (err error) {
			h, err = w.makeHistory("million", pick(quick, 10_000, 1_000_000), 0)
			return err
		},
		sides: []side{
			{"new", func(w *world, dir string) (figures, error) {
				return starts(n, func(i int, addr string) (*process, error) {
					return beginAgent(w, dir, filepath.Join(dir, fmt.Sprintf("new-%d.db", i)), addr, h.sink.url())
				}, "/readyz")
			}},
			{"million", func(w *world, dir string) (figures, error) {
				return starts(n, func(_ int, addr string) (*process, error) {
					return beginAgent(w, dir, h.file, addr, h.sink.url())
				}, "/readyz")
			}},
			{"hello", func(w *world, dir string) (figures, error) {
				return starts(n, func(_ int, addr string) (*process, error) {
					return start(dir, nil, "", w.program("hello"), "-addr", addr)
				}, "/healthz")
			}},
		},
		rows: []row{
			{what: "start to ready on a new file, against a hello server of the same router", ours: "new/ready", peer: "hello/ready", unit: "ms", less: true, must: 20, aim: 8},
			{what: "the same with 1 million finished rows", ours: "million/ready", peer: "hello/ready", unit: "ms", less: true, must: 20, aim: 8},
		},
	}
}

// beginAgent starts an agent that is not waited for.
func beginAgent(w *world, dir, db, addr, sink string) (*process, error) {
	a, err := w.agentIn(dir, db, sink, "AGENT_LOCAL_ADDR="+addr)
	if err != nil {
		return nil, err
	}
	return a.begin("")
}

// starts starts a program n times and gives the median of the times until it answers 200.
func starts(n int, begin func(i int, addr string) (*process, error), path string) (figures, error) {
	var all []time.Duration
	for i := range n {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		began := time.Now()
		p, err := begin(i, addr)
		if err != nil {
			return nil, err
		}
		err = p.until(20*time.Second, 100*time.Microsecond, "it answers", func() (bool, error) { return answers(addr, path), nil })
		all = append(all, time.Since(began))
		p.kill()
		if err != nil {
			return nil, err
		}
	}
	return figures{"ready": millis(quantile(all, 0.5))}, nil
}

// answers says whether GET is answered 200 now.
func answers(addr, path string) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, addr); err != nil {
		return false
	}
	b := make([]byte, 12)
	n, _ := c.Read(b) // what did not come is no 200
	return bytes.HasSuffix(b[:n], []byte(" 200"))
}
