package main

import (
	"fmt"
	"iter"
	"path/filepath"
	"sync/atomic"
	"time"
)

// doorIncidents is how many incidents the steps at the door belong to.
const doorIncidents = 200

// doorGroup is POST /v1/events, durable: the agent, goqite and one commit a request behind the same kind of handler, and
// what the disk and loopback HTTP allow. The agent delivers meanwhile as far as incident.io's limits let it.
func doorGroup(quick bool) *group {
	d := pick(quick, 200*time.Millisecond, 2*time.Second)
	return &group{
		name: "door",
		sides: []side{
			{"agent", func(w *world, dir string) (figures, error) { return doorOfAgent(w, dir, d) }},
			{"goqite", func(w *world, dir string) (figures, error) {
				return doorOfPeer(w, dir, d, "goqite", `SELECT json_extract(CAST(body AS TEXT), '$.id') FROM goqite`)
			}},
			{"plain", func(w *world, dir string) (figures, error) {
				return doorOfPeer(w, dir, d, "plain", `SELECT event_id FROM event`)
			}},
			{"group", func(w *world, dir string) (figures, error) {
				return doorOfPeer(w, dir, d, "plain", `SELECT event_id FROM event`, "-group")
			}},
			{"disk", func(w *world, dir string) (figures, error) { return doorOfDisk(w, dir, d) }},
			{"router", func(w *world, dir string) (figures, error) { return doorOfRouter(w, dir, d) }},
		},
		rows: []row{
			{what: "`POST /v1/events`, 16 callers, against goqite Send behind the same handler", ours: "agent/16 callers", peer: "goqite/16 callers", unit: "/s", must: 6, aim: 8},
			{what: "of it the processor time of one request", ours: "agent/16 callers cpu", peer: "goqite/16 callers cpu", unit: "µs", less: true, info: true},
			{what: "the same, a bare table whose requests share commits in the agent's place", ours: "group/16 callers", peer: "goqite/16 callers", unit: "/s", info: true},
			{what: "the same, 64 callers, against one commit a request", ours: "agent/64 callers", peer: "plain/64 callers", unit: "/s", must: 8, aim: 12},
			{what: "the same, a bare table whose requests share commits in the agent's place", ours: "group/64 callers", peer: "plain/64 callers", unit: "/s", info: true},
			{what: "the same, 64 callers, against the router alone, which stores nothing", ours: "agent/64 callers", peer: "router/64 callers", unit: "/s", info: true},
			{what: "the same, 1 caller, against one commit a request", ours: "agent/1 caller", peer: "plain/1 caller", unit: "/s", must: 0.85, aim: 0.95},
			{what: "one caller's rate against fdatasync of 4 KiB behind loopback HTTP", ours: "agent/1 caller", peer: "disk/1 caller", unit: "/s", must: 0.5, aim: 0.7},
		},
	}
}

// doorCallers are measured one after the other on one database.
var doorCallers = []struct {
	name string
	n    int
}{{"1 caller", 1}, {"16 callers", 16}, {"64 callers", 64}}

// fireEvents lets each number of callers post steps, and returns the ids of all that were answered 202.
func fireEvents(p *process, addr string, d time.Duration, f figures) (acked []int64, err error) {
	var numbers atomic.Int64
	for _, c := range doorCallers {
		f[c.name+" cpu"], err = p.spent(func() (int, error) {
			v, err := fire(addr, c.n, d, 202, &numbers, func() gun { return newEventGun(addr, doorIncidents) })
			f[c.name] = v.rate()
			acked = append(acked, v.acked...)
			return len(v.acked), err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return acked, nil
}

func eventIDs(numbers []int64) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, n := range numbers {
			if !yield(eventID(n)) {
				return
			}
		}
	}
}

func doorOfAgent(w *world, dir string, d time.Duration) (figures, error) {
	s, err := newSink(0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	a, err := w.newAgent(dir, s.url())
	if err != nil {
		return nil, err
	}
	defer a.kill()
	if err := a.declare(doorIncidents); err != nil {
		return nil, err
	}
	// incident.io lets a key make 1200 requests at once and 20 a second from then on. The steps of this first burst are
	// delivered before the measurement, so that the whole of it has the steady state.
	if !w.quick {
		burst := s.expect(1200 - doorIncidents - 100)
		if err := a.insertSteps(1e9, 2000, doorIncidents); err != nil {
			return nil, err
		}
		select {
		case <-burst:
		case <-time.After(30 * time.Second):
			return nil, fmt.Errorf("the first burst is not delivered: %s", a.lastWords())
		}
		time.Sleep(500 * time.Millisecond)
	}
	f := figures{}
	acked, err := fireEvents(a.process, a.local, d, f)
	if err != nil {
		return nil, err
	}
	a.kill()
	return f, holds(a.db, `SELECT event_id FROM outbox`, eventIDs(acked))
}

func doorOfPeer(w *world, dir string, d time.Duration, name, ids string, flags ...string) (figures, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, name+".db")
	p, err := start(dir, nil, "http://"+addr+"/healthz", w.program(name), append(flags, "-addr", addr, "-db", file)...)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	f := figures{}
	acked, err := fireEvents(p, addr, d, f)
	if err != nil {
		return nil, err
	}
	p.kill()
	return f, holds(file, ids, eventIDs(acked))
}

func doorOfDisk(w *world, dir string, d time.Duration) (figures, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := start(dir, nil, "http://"+addr+"/healthz", w.program("hello"), "-addr", addr, "-file", filepath.Join(dir, "pages"))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	var numbers atomic.Int64
	v, err := fire(addr, 1, d, 202, &numbers, func() gun { return newEventGun(addr, doorIncidents) })
	if err != nil {
		return nil, err
	}
	return figures{"1 caller": v.rate()}, nil
}

func doorOfRouter(w *world, dir string, d time.Duration) (figures, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := start(dir, nil, "http://"+addr+"/healthz", w.program("hello"), "-addr", addr)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	f := figures{}
	_, err = fireEvents(p, addr, d, f)
	return f, err
}
