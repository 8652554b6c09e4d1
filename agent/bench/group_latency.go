package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// between is the pause from one event to the next, so that nothing of one is left to be done when the next comes.
const between = 5 * time.Millisecond

// latencyGroup is the time from an event's being sent to its request's being at the sink, one event after the other:
// the agent, which writes event and ledger to the disk first, and Alertmanager's incident.io receiver, which writes nothing.
func latencyGroup(quick bool) *group {
	n := pick(quick, 20, 400)
	return &group{
		name: "latency",
		sides: []side{
			{"agent", func(w *world, dir string) (figures, error) { return latencyOfAgent(w, dir, n) }},
			{"alertmanager", func(w *world, dir string) (figures, error) { return latencyOfAlertmanager(w, dir, n) }},
		},
		rows: []row{
			{what: "event to sink, one by one, p50, against Alertmanager's incident.io receiver with group_wait=0s, which writes nothing to disk",
				ours: "agent/p50", peer: "alertmanager/p50", unit: "ms", less: true, must: 2, aim: 1.3},
			{what: "the same, p99", ours: "agent/p99", peer: "alertmanager/p99", unit: "ms", less: true, info: true},
		},
	}
}

// tell hands on when something has come to the sink, if anybody waits for it.
func tell(hits chan<- time.Time) func(time.Time) {
	return func(at time.Time) {
		select {
		case hits <- at:
		default:
		}
	}
}

// oneByOne posts bodies and takes the time until each is at the sink.
func oneByOne(hits <-chan time.Time, url string, status, n int, body func(i int) []byte) (figures, error) {
	client := &http.Client{Timeout: 10 * time.Second}
	var all []time.Duration
	for i := range n {
		start := time.Now()
		resp, err := client.Post(url, "application/json", bytes.NewReader(body(i)))
		if err != nil {
			return nil, err
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != status {
			return nil, fmt.Errorf("event %d is answered %s %s", i, resp.Status, bytes.TrimSpace(answer))
		}
		select {
		case at := <-hits:
			all = append(all, at.Sub(start))
		case <-time.After(10 * time.Second):
			return nil, fmt.Errorf("event %d did not come to the sink within 10 s", i)
		}
		time.Sleep(between)
	}
	return figures{"p50": millis(quantile(all, 0.5)), "p99": millis(quantile(all, 0.99))}, nil
}

func latencyOfAgent(w *world, dir string, n int) (figures, error) {
	hits := make(chan time.Time, 1)
	s, err := newSink(0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.onHit = tell(hits)
	a, err := w.newAgent(dir, s.url())
	if err != nil {
		return nil, err
	}
	defer a.kill()
	if err := a.declare(1); err != nil {
		return nil, err
	}
	f, err := oneByOne(hits, "http://"+a.local+"/v1/events", http.StatusAccepted, n, func(i int) []byte { return stepEvent(int64(i+1), 0) })
	if err != nil {
		return nil, err
	}
	a.kill()
	return f, burst{steps: n, incidents: 1}.check(a, s)
}

// newAlertmanager starts Alertmanager with the incident.io receiver, each alert a group of its own that waits for no other.
func (w *world) newAlertmanager(dir, sink string) (p *process, url string, err error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	config := filepath.Join(dir, "alertmanager.yml")
	text := fmt.Sprintf(`route:
  receiver: incidentio
  group_by: ['...']
  group_wait: 0s
  group_interval: 5m
  repeat_interval: 4h
receivers:
  - name: incidentio
    incidentio_configs:
      - url: %s/v2/alert_events/http/01SOURCE
        alert_source_token: token
`, sink)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, "", err
	}
	p, err = start(dir, nil, "http://"+addr+"/-/ready", w.program("alertmanager"), "--config.file="+config,
		"--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--cluster.listen-address=")
	return p, "http://" + addr + "/api/v2/alerts", err
}

// alert is a new alert, as large as a step.
func alert(i int) []byte {
	return fmt.Appendf(nil, `{"labels":{"alertname":"step %0*d","severity":"critical"},"annotations":{"description":"%s"}}`, digits, i, stepDetail)
}

func latencyOfAlertmanager(w *world, dir string, n int) (figures, error) {
	hits := make(chan time.Time, 1)
	s, err := newSink(0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.onHit = tell(hits)
	p, url, err := w.newAlertmanager(dir, s.url())
	if err != nil {
		return nil, err
	}
	defer p.kill()
	f, err := oneByOne(hits, url, http.StatusOK, n, func(i int) []byte {
		return fmt.Appendf(nil, "[%s]", alert(i))
	})
	if err != nil {
		return nil, errors.Join(err, errors.New(p.lastWords()))
	}
	return f, nil
}
