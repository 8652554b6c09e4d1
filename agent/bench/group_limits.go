package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// newSimulation starts the agent's own simulated incident.io, with its real limits and strictness, at an address.
func (w *world) newSimulation(dir, addr, hooks string) (*process, error) {
	env := []string{"INCIDENT_IO_API_KEY=" + apiKey, "INCIDENT_IO_WEBHOOK_SECRET=" + webhookSecret, "AGENT_WEBHOOK_ADDR=" + hooks}
	own := filepath.Join(dir, "simulation")
	if err := os.Mkdir(own, 0o755); err != nil {
		return nil, err
	}
	return start(own, env, "http://"+addr+"/_sim/counters", w.program("tigerops-incidentio"), "simulate", "--addr", addr)
}

// fetch reads JSON of the simulation's.
func fetch(url string, into any) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

type counters struct {
	Requests int            `json:"requests"`
	ByStatus map[string]int `json:"by_status"`
	ByCall   map[string]int `json:"by_call"`
}

// limitsGroup is a backlog against incident.io's limits, as simulate has them: 1200 requests at once and 20 a second.
func limitsGroup(quick bool) *group {
	d := pick(quick, 2*time.Second, 2*time.Minute)
	return &group{
		name: "limits", rounds: 1,
		sides: []side{{"agent", func(w *world, dir string) (figures, error) { return limits(w, dir, d) }}},
		rows: []row{
			{what: "backlog against incident.io's limits (1200/min, `simulate`, 2 minutes): share of the allowance used", ours: "agent/share", must: 0.9, aim: 0.97},
			{what: "of its requests answered 429", ours: "agent/throttled", unit: "%", less: true, must: 0.5, aim: 0},
		},
	}
}

func limits(w *world, dir string, d time.Duration) (figures, error) {
	const incidents, steps = 50, 6000
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	a, err := w.newAgent(dir, "http://"+addr)
	if err != nil {
		return nil, err
	}
	defer a.kill()
	began := time.Now()
	sim, err := w.newSimulation(dir, addr, a.hooks)
	if err != nil {
		return nil, err
	}
	defer sim.kill()
	if err := a.declare(incidents); err != nil {
		return nil, err
	}
	if err := a.insertSteps(1, steps, incidents); err != nil {
		return nil, err
	}
	time.Sleep(time.Until(began.Add(d)))
	var c counters
	if err := fetch("http://"+addr+"/_sim/counters", &c); err != nil {
		return nil, err
	}
	allowance := 1200 + 20*time.Since(began).Seconds()
	waiting, err := oneNumber(a.db, `SELECT count(*) FROM outbox WHERE state = 'pending'`)
	if err != nil {
		return nil, err
	}
	if waiting == 0 {
		return nil, errors.New("the backlog was too small: nothing is left of it")
	}
	throttled := c.ByStatus["429"]
	a.kill()
	there, err := oneNumber(a.db, `SELECT count(*) FROM outbox`)
	if err == nil && there != incidents+steps {
		err = fmt.Errorf("kill -9 lost %d of %d events", incidents+steps-there, incidents+steps)
	}
	return figures{"share": float64(c.Requests-throttled) / allowance, "throttled": 100 * float64(throttled) / float64(c.Requests)}, err
}

// An hour's outage: what comes in while incident.io can't be reached.
const (
	outageIncidents = 30
	outageUpdates   = 40
	outageSteps     = 20
)

// outageGroup counts all requests, reads too, that the agent needs after an outage, and compares what stands in
// incident.io (simulate) with what TigerOps said last. The hour is in the events' timestamps; the outage itself is short.
func outageGroup() *group {
	return &group{
		name: "outage", rounds: 1,
		sides: []side{{"agent", outage}},
		rows: []row{{what: "all requests to incident.io (reads too) for an hour's outage (30 incidents, 40 updates and 20 steps each), against one an event; final state and every message compared (`simulate`)",
			ours: "agent/requests", peer: "agent/events", less: true, must: 0.6, aim: 0.45}},
	}
}

const outageConfig = `integrations:
  incident_io:
    severity_mapping:
      critical: "SEV1"
      warning: "SEV2"
      info: "SEV3"
    custom_fields:
      ai_summary: "custom_field_ghi"
      deployment_sha: "custom_field_jkl"
`

// last is what TigerOps says of an incident at the end.
type last struct{ title, severity, status, summary, sha string }

// outageEvents are an incident's events, and what they come to.
func outageEvents(i int) (events []string, end last) {
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	id := fmt.Sprintf("TIG-%06d", i)
	say := func(kind, incident, more string) {
		n := len(events)
		at := begin.Add(time.Duration(n) * 58 * time.Second).UTC().Format(time.RFC3339)
		events = append(events, fmt.Sprintf(`{"id":"outage_%d_%d","type":"%s","timestamp":"%s","incident":{"id":"%s"%s}%s}`, i, n, kind, at, id, incident, more))
	}
	end = last{title: fmt.Sprintf("Incident %d", i), severity: "SEV1", status: "Investigating"}
	say("incident.created", fmt.Sprintf(`,"title":"%s","severity":"critical","status":"open"`, end.title), "")
	steps := 0
	for n := range outageUpdates {
		switch n % 5 {
		case 0:
			end.title = fmt.Sprintf("Incident %d, in other words %d", i, n)
			say("incident.updated", fmt.Sprintf(`,"title":"%s"`, end.title), "")
		case 1:
			word := "warning"
			end.severity = "SEV2"
			if n/5%2 == 0 {
				word, end.severity = "critical", "SEV1"
			}
			say("incident.updated", fmt.Sprintf(`,"severity":"%s"`, word), "")
		case 2:
			word := "mitigated"
			end.status = "Monitoring"
			if n/5%2 == 0 {
				word, end.status = "investigating", "Investigating"
			}
			say("incident.updated", fmt.Sprintf(`,"status":"%s"`, word), "")
		case 3:
			end.summary = fmt.Sprintf("What is known after %d looks.", n)
			say("incident.updated", fmt.Sprintf(`,"ai_summary":"%s"`, end.summary), "")
		case 4:
			end.sha = fmt.Sprintf("%040x", n)
			say("incident.updated", fmt.Sprintf(`,"deployment":{"sha":"%s","service":"api-gateway"}`, end.sha), "")
		}
		if n%2 == 1 {
			say("investigation.step", "", fmt.Sprintf(`,"step":{"kind":"note","title":"step %0*d","detail":"%s"}`, digits, steps, stepDetail))
			steps++
		}
	}
	return events, end
}

func outage(w *world, dir string) (figures, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	a, err := w.agentIn(dir, filepath.Join(dir, "agent.db"), "http://"+addr)
	if err != nil {
		return nil, err
	}
	a.config = filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(a.config, []byte(outageConfig), 0o644); err != nil {
		return nil, err
	}
	if err := a.start(); err != nil {
		return nil, err
	}
	defer a.kill()
	// Incidents take turns, as they do within an hour.
	all := make([][]string, outageIncidents)
	ends := map[string]last{}
	for i := range all {
		var end last
		all[i], end = outageEvents(i)
		ends[end.title] = end
	}
	events := 0
	for n := range all[0] {
		var turn []string
		for i := range all {
			turn = append(turn, all[i][n])
		}
		events += len(turn)
		if err := a.post([]byte(strings.Join(turn, "\n"))); err != nil {
			return nil, err
		}
	}
	// A kill in the middle of it costs nothing but a start.
	a.kill()
	if err := a.start(); err != nil {
		return nil, err
	}
	sim, err := w.newSimulation(dir, addr, a.hooks)
	if err != nil {
		return nil, err
	}
	defer sim.kill()
	if err := a.settled(3 * time.Minute); err != nil {
		return nil, err
	}
	requests, err := quiet(a, addr)
	if err != nil {
		return nil, err
	}
	a.kill()
	if err := compareOutage(addr, ends); err != nil {
		return nil, err
	}
	var c counters
	if err := fetch("http://"+addr+"/_sim/counters", &c); err != nil {
		return nil, err
	}
	for _, call := range slices.Sorted(maps.Keys(c.ByCall)) {
		w.say("outage: %s: %d", call, c.ByCall[call])
	}
	dead, err := oneNumber(a.db, `SELECT count(*) FROM outbox WHERE state NOT IN ('done', 'skipped')`)
	if err == nil && dead > 0 {
		err = fmt.Errorf("%d events have not ended", dead)
	}
	return figures{"requests": float64(requests), "events": float64(events)}, err
}

// quiet waits until every webhook has been looked at and no request comes for a while, and tells how many came.
func quiet(a *agent, addr string) (requests int, err error) {
	since := time.Now()
	err = a.until(time.Minute, 100*time.Millisecond, "it is quiet", func() (bool, error) {
		var c counters
		if err := fetch("http://"+addr+"/_sim/counters", &c); err != nil {
			return false, err
		}
		waiting, err := oneNumber(a.db, `SELECT count(*) FROM webhook WHERE state = 'pending'`)
		if err != nil {
			return false, err
		}
		if c.Requests != requests || waiting > 0 {
			requests, since = c.Requests, time.Now()
		}
		return time.Since(since) > 3*time.Second, nil
	})
	return requests, err
}

// compareOutage compares incident.io with what TigerOps said last, field by field, and wants every step there once and
// in order.
func compareOutage(addr string, ends map[string]last) error {
	var account struct {
		Incidents []struct {
			Name     string                `json:"name"`
			Summary  string                `json:"summary"`
			Status   struct{ Name string } `json:"incident_status"`
			Severity struct{ Name string } `json:"severity"`
			Fields   []struct {
				Field  struct{ ID string } `json:"custom_field"`
				Values []struct {
					Text string `json:"value_text"`
				} `json:"values"`
			} `json:"custom_field_entries"`
			Timeline []struct {
				Title     string    `json:"title"`
				Timestamp time.Time `json:"timestamp"`
				CreatedAt time.Time `json:"created_at"`
			} `json:"timeline"`
		} `json:"incidents"`
	}
	if err := fetch("http://"+addr+"/_sim/snapshot", &account); err != nil {
		return err
	}
	if len(account.Incidents) != len(ends) {
		return fmt.Errorf("incident.io has %d incidents, TigerOps %d", len(account.Incidents), len(ends))
	}
	var wrong []error
	for _, i := range account.Incidents {
		want, known := ends[i.Name]
		if !known {
			wrong = append(wrong, fmt.Errorf("%q is the last title of none", i.Name))
			continue
		}
		got := last{title: i.Name, severity: i.Severity.Name, status: i.Status.Name}
		for _, f := range i.Fields {
			if len(f.Values) == 0 {
				continue
			}
			switch f.Field.ID {
			case "custom_field_ghi":
				got.summary = f.Values[0].Text
			case "custom_field_jkl":
				got.sha = f.Values[0].Text
			}
		}
		if got != want || !strings.Contains(i.Summary, want.summary) {
			wrong = append(wrong, fmt.Errorf("incident.io has %+v, TigerOps said %+v", got, want))
		}
		next := 0
		var before time.Time
		for _, item := range i.Timeline {
			if _, number, is := strings.Cut(item.Title, "step "); is {
				if number != fmt.Sprintf("%0*d", digits, next) || item.CreatedAt.Before(before) {
					wrong = append(wrong, fmt.Errorf("%s: step %s stands where %d belongs", i.Name, number, next))
				}
				next, before = next+1, item.CreatedAt
			}
		}
		if next != outageSteps {
			wrong = append(wrong, fmt.Errorf("%s has %d of %d steps", i.Name, next, outageSteps))
		}
	}
	return errors.Join(wrong...)
}
