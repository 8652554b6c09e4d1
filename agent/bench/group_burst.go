package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// unlimited is an AGENT_RATE_LIMIT that never makes anybody wait: these rows measure the agent, not the limit.
const unlimited = "AGENT_RATE_LIMIT=1000000000"

// burst is a number of steps, already in the file, on their way to a sink.
type burst struct {
	steps, incidents, workers int
	delay                     time.Duration // of the sink's answers
}

// burstGroup is a burst of steps to a 0 ms sink, one request each: the agent in order, goqite in none, with the same
// number of workers. Bare POSTs tell what the sink takes at most.
func burstGroup(quick bool) *group {
	b := burst{steps: pick(quick, 400, 10_000), incidents: pick(quick, 20, 200), workers: 16}
	return &group{
		name: "burst",
		sides: []side{
			{"agent", func(w *world, dir string) (figures, error) { return b.ofAgent(w, dir) }},
			{"goqite", func(w *world, dir string) (figures, error) { return b.ofGoqite(w, dir) }},
			{"bare", func(w *world, dir string) (figures, error) {
				return b.bare(pick(quick, 100*time.Millisecond, time.Second))
			}},
		},
		rows: []row{
			{what: "burst of 10,000 investigation steps on 200 incidents to a 0 ms sink, 16 workers, in order, against goqite unordered", ours: "agent/steps", peer: "goqite/steps", unit: "/s", must: 4, aim: 6},
			{what: "of it the processor time of one step", ours: "agent/cpu", peer: "goqite/cpu", unit: "µs", less: true, info: true},
			{what: "the same, against bare POSTs on 16 connections", ours: "agent/steps", peer: "bare/steps", unit: "/s", info: true},
		},
	}
}

// slowGroup is a burst to a sink that takes 50 ms for an answer, with as many workers as keep it busy.
func slowGroup(quick bool) *group {
	b := burst{steps: pick(quick, 640, 6_400), incidents: 200, workers: 64, delay: 50 * time.Millisecond}
	return &group{
		name: "slow",
		sides: []side{{"agent", func(w *world, dir string) (figures, error) {
			f, err := b.ofAgent(w, dir)
			if err == nil {
				f["ideal"] = float64(b.workers) / b.delay.Seconds()
			}
			return f, err
		}}},
		rows: []row{{what: "the same to a 50 ms sink, 64 workers, against 64 / 50 ms", ours: "agent/steps", peer: "agent/ideal", unit: "/s", must: 0.85, aim: 0.95}},
	}
}

// hotGroup is one incident with a long queue, beside a loop that does one row after the other.
func hotGroup(quick bool) *group {
	b := burst{steps: pick(quick, 400, 20_000), incidents: 1, workers: 16}
	return &group{
		name:   "hot",
		rounds: 3,
		sides: []side{
			{"agent", func(w *world, dir string) (figures, error) { return b.ofAgent(w, dir) }},
			{"plain", func(w *world, dir string) (figures, error) { return b.ofPlain(w, dir) }},
		},
		rows: []row{
			{what: "one hot incident with 20,000 waiting steps, against a naive serial loop (oldest row, post, mark done, each a commit)", ours: "agent/steps", peer: "plain/steps", unit: "/s", must: 0.9, aim: 1.2},
			{what: "of it the processor time of one step", ours: "agent/cpu", peer: "plain/cpu", unit: "µs", less: true, info: true},
		},
	}
}

func (b burst) ofAgent(w *world, dir string) (figures, error) {
	s, err := newSink(b.delay)
	if err != nil {
		return nil, err
	}
	defer s.close()
	a, err := w.newAgent(dir, s.url(), unlimited, "AGENT_WORKERS="+strconv.Itoa(b.workers))
	if err != nil {
		return nil, err
	}
	defer a.kill()
	if err := a.declare(b.incidents); err != nil {
		return nil, err
	}
	last := s.expect(b.steps)
	if err := a.insertSteps(1, b.steps, b.incidents); err != nil {
		return nil, err
	}
	f, err := b.wait(a.process, last)
	if err != nil {
		return nil, err
	}
	a.kill()
	return f, b.check(a, s)
}

// wait waits for the last step at the sink.
func (b burst) wait(p *process, last <-chan time.Time) (figures, error) {
	f := figures{}
	began := time.Now()
	var err error
	f["cpu"], err = p.spent(func() (int, error) {
		select {
		case at := <-last:
			f["steps"] = float64(b.steps) / at.Sub(began).Seconds()
			return b.steps, nil
		case <-p.ended:
			return 0, fmt.Errorf("it ended: %s", p.lastWords())
		case <-time.After(3 * time.Minute):
			return 0, fmt.Errorf("the last of %d steps did not come within 3 minutes: %s", b.steps, p.lastWords())
		}
	})
	return f, err
}

// check looks after a kill whether the ledger in the file has every step that came to the sink: it is committed before
// each is sent. Then it starts the agent again and lets it end what it had begun: every step must have come once, those of
// an incident in order, and every event must be done.
func (b burst) check(a *agent, s *sink) error {
	if err := holds(a.db, `SELECT idempotency_key FROM delivery`, s.keys()); err != nil {
		return fmt.Errorf("the ledger: %w", err)
	}
	if err := a.start(); err != nil {
		return err
	}
	if err := a.settled(60 * time.Second); err != nil {
		return err
	}
	a.kill()
	_, steps, disorder := s.counted()
	if steps != b.steps || disorder > 0 {
		return fmt.Errorf("after kill -9 the sink has %d of %d steps, %d of them out of order", steps, b.steps, disorder)
	}
	done, err := oneNumber(a.db, `SELECT count(*) FROM outbox WHERE state = 'done'`)
	if err == nil && done != int64(b.steps+b.incidents) {
		err = fmt.Errorf("after kill -9 %d of %d events are done", done, b.steps+b.incidents)
	}
	return err
}

func (b burst) ofGoqite(w *world, dir string) (figures, error) {
	s, err := newSink(b.delay)
	if err != nil {
		return nil, err
	}
	defer s.close()
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "goqite.db")
	p, err := start(dir, nil, "http://"+addr+"/healthz", w.program("goqite"),
		"-addr", addr, "-db", file, "-sink", s.url()+"/v2/incident_timeline_items", "-workers", strconv.Itoa(b.workers))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	last := s.expect(b.steps)
	if err := bulk(file, `INSERT INTO goqite (queue, body) VALUES ('events', ?)`, b.steps, func(i int) []any {
		return []any{timelineItem(int64(i+1), i%b.incidents)}
	}); err != nil {
		return nil, err
	}
	return b.wait(p, last)
}

func (b burst) ofPlain(w *world, dir string) (figures, error) {
	s, err := newSink(b.delay)
	if err != nil {
		return nil, err
	}
	defer s.close()
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "plain.db")
	p, err := start(dir, nil, "http://"+addr+"/healthz", w.program("plain"), "-addr", addr, "-db", file, "-sink", s.url()+"/v2/incident_timeline_items")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	last := s.expect(b.steps)
	if err := bulk(file, `INSERT INTO event (event_id, payload) VALUES (?, ?)`, b.steps, func(i int) []any {
		return []any{eventID(int64(i + 1)), string(timelineItem(int64(i+1), i%b.incidents))}
	}); err != nil {
		return nil, err
	}
	f, err := b.wait(p, last)
	if err != nil {
		return nil, err
	}
	if _, steps, disorder := s.counted(); steps != b.steps || disorder > 0 {
		return nil, fmt.Errorf("the sink has %d of %d steps, %d of them out of order", steps, b.steps, disorder)
	}
	return f, nil
}

// timelineItem is the request that the agent makes of a step.
func timelineItem(n int64, incident int) []byte {
	return fmt.Appendf(nil, `{"incident_id":"01INCIDENT%016d","idempotency_key":"bench-%040d","title":"Note: step %0*d","timestamp":"2026-11-23T02:00:00.000Z","description":"%s"}`,
		incident, n, digits, n, stepDetail)
}

// bare posts the same requests without any queue.
func (b burst) bare(d time.Duration) (figures, error) {
	s, err := newSink(b.delay)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var numbers atomic.Int64
	v, err := fire(s.addr(), b.workers, d, 201, &numbers, func() gun { return itemGun{s.addr(), b.incidents} })
	if err != nil {
		return nil, err
	}
	return figures{"steps": v.rate()}, nil
}

type itemGun struct {
	addr      string
	incidents int
}

func (g itemGun) next(n int64) (head, body []byte) {
	body = timelineItem(n, int(n)%g.incidents)
	return fmt.Appendf(nil, "POST /v2/incident_timeline_items HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", g.addr, len(body)), body
}
