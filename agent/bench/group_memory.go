package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// load is how many events or alerts make a side loaded, posted a hundred at a time.
const load = 10_000

// memoryGroup is the memory of the agent and of Alertmanager, idle and after the same load, and of the agent with a
// million waiting events; and the processor time of an idle agent.
func memoryGroup(quick bool) *group {
	idle := pick(quick, time.Second, 10*time.Second)
	n := pick(quick, 500, load)
	var waiting string
	return &group{
		name:   "memory",
		rounds: 3,
		prepare: func(w *world) error {
			h, err := w.makeHistory("waiting", 0, doorIncidents)
			if err != nil {
				return err
			}
			h.sink.close()
			waiting = h.file
			began := time.Now()
			events := pick(quick, 5_000, 1_000_000)
			err = addWaiting(waiting, events, doorIncidents)
			w.say("waiting: %s events added in %s", number(float64(events)), time.Since(began).Round(time.Second))
			return err
		},
		sides: []side{
			{"agent", func(w *world, dir string) (figures, error) { return memoryOfAgent(w, dir, idle, n) }},
			{"alertmanager", func(w *world, dir string) (figures, error) { return memoryOfAlertmanager(w, dir, n) }},
			{"waiting", func(w *world, dir string) (figures, error) { return memoryWaiting(w, dir, waiting) }},
		},
		rows: []row{
			{what: "memory idle, against Alertmanager's", ours: "agent/idle", peer: "alertmanager/idle", unit: "MB", less: true, must: 0.6, aim: 0.5},
			{what: "memory at most under 10,000 events, against Alertmanager's under 10,000 alerts", ours: "agent/loaded", peer: "alertmanager/loaded", unit: "MB", less: true, must: 0.3, aim: 0.2},
			{what: "memory with 1 million waiting events, against idle", ours: "waiting/now", peer: "agent/idle", unit: "MB", less: true, must: 4, aim: 2},
			{what: "idle processor time, of one processor", ours: "agent/idle cpu", unit: "%", less: true, must: 1, aim: 0.3},
		},
	}
}

// settle is how long a program has after its start until it counts as idle.
const settle = 3 * time.Second

func memoryOfAgent(w *world, dir string, idle time.Duration, n int) (figures, error) {
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
	time.Sleep(settle)
	f := figures{}
	if f["idle"], _, err = a.resident(); err != nil {
		return nil, err
	}
	before, err := a.cpu()
	if err != nil {
		return nil, err
	}
	time.Sleep(idle)
	after, err := a.cpu()
	if err != nil {
		return nil, err
	}
	f["idle cpu"] = 100 * (after - before).Seconds() / idle.Seconds()
	if err := a.declare(doorIncidents); err != nil {
		return nil, err
	}
	if err := postMany(n, "http://"+a.local+"/v1/events", http.StatusAccepted, func(i int) []byte { return stepEvent(int64(i+1), i%doorIncidents) }); err != nil {
		return nil, err
	}
	time.Sleep(settle)
	if _, f["loaded"], err = a.resident(); err != nil {
		return nil, err
	}
	a.kill()
	there, err := oneNumber(a.db, `SELECT count(*) FROM outbox`)
	if err == nil && there != int64(n+doorIncidents) {
		err = fmt.Errorf("kill -9 lost %d of %d events", int64(n+doorIncidents)-there, n+doorIncidents)
	}
	return f, err
}

func memoryOfAlertmanager(w *world, dir string, n int) (figures, error) {
	s, err := newSink(0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	p, url, err := w.newAlertmanager(dir, s.url())
	if err != nil {
		return nil, err
	}
	defer p.kill()
	time.Sleep(settle)
	f := figures{}
	if f["idle"], _, err = p.resident(); err != nil {
		return nil, err
	}
	if err := postMany(n, url, http.StatusOK, alert); err != nil {
		return nil, err
	}
	time.Sleep(settle)
	_, f["loaded"], err = p.resident()
	return f, err
}

// memoryWaiting is the agent's memory 5 s after its start on a file with many events that wait. The file is as it was
// for the next round.
func memoryWaiting(w *world, dir, file string) (figures, error) {
	own := filepath.Join(dir, "agent.db")
	if err := copyFile(own, file); err != nil {
		return nil, err
	}
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
	time.Sleep(5 * time.Second)
	f := figures{}
	f["now"], f["most"], err = a.resident()
	return f, err
}

// copyFile copies a database that nobody has open. What its WAL held is in the file, since closing it put it there.
func copyFile(to, from string) error {
	if _, err := os.Stat(from + "-wal"); err == nil {
		return fmt.Errorf("copy %s: its WAL is still there", from)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// postMany posts n things, a hundred in an array.
func postMany(n int, url string, status int, one func(i int) []byte) error {
	for from := 0; from < n; from += 100 {
		var b bytes.Buffer
		for i := from; i < min(from+100, n); i++ {
			b.WriteByte("[,"[min(i-from, 1)])
			b.Write(one(i))
		}
		b.WriteByte(']')
		resp, err := http.Post(url, "application/json", &b)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode != status {
			return fmt.Errorf("POST %s: %s %s", url, resp.Status, bytes.TrimSpace(answer))
		}
	}
	return nil
}

// sizeGroup is the size of the stripped binaries.
func sizeGroup() *group {
	size := func(name string) func(w *world, dir string) (figures, error) {
		return func(w *world, _ string) (figures, error) {
			info, err := os.Stat(w.program(name))
			if err != nil {
				return nil, err
			}
			return figures{"size": float64(info.Size()) / 1e6}, nil
		}
	}
	return &group{
		name: "size", rounds: 1,
		sides: []side{{"agent", size("tigerops-incidentio")}, {"alertmanager", size("alertmanager")}},
		rows:  []row{{what: "stripped binary, against Alertmanager's", ours: "agent/size", peer: "alertmanager/size", unit: "MB", less: true, must: 0.7, aim: 0.5}},
	}
}
