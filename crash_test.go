package main_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// TestKilledAtRandomUnderLoad kills the program again and again while events come in and go out, and wants incident.io
// to hold each acknowledged thing once, in order, at the end (P1, P2, P3).
func TestKilledAtRandomUnderLoad(t *testing.T) {
	t.Parallel()
	const incidents, steps, kills = 12, 80, 8
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t, simulator.Options{Seed: seed, Limits: simulator.NoLimits})
	for _, f := range []simulator.Fault{
		{Method: "POST", Path: "/v2/**", Kind: simulator.ResetAfter, P: 0.03},
		{Method: "POST", Path: "/v2/**", Kind: simulator.ResetBefore, P: 0.03},
		{Method: "POST", Path: "/v3/**", Kind: simulator.StatusAfter, Status: 502, P: 0.05},
		{Kind: simulator.Delay, Delay: 20 * time.Millisecond, P: 0.3},
	} {
		if _, err := r.sim.Break(f); err != nil {
			t.Fatal(err)
		}
	}
	r.start()

	// A TigerOps that sends until it is told 202, as any sender does.
	var senders sync.WaitGroup
	for i := range incidents {
		senders.Go(func() {
			key := fmt.Sprintf("TIG-%02d", i)
			events := []string{fmt.Sprintf(`{"id":"%s-created","type":"incident.created","incident":{"id":"%s","title":"Incident %s","severity":"critical"}}`, key, key, key)}
			for n := range steps {
				events = append(events, fmt.Sprintf(`{"id":"%s-step-%03d","type":"investigation.step","timestamp":"2026-11-23T02:%02d:%02dZ","incident":{"id":"%s"},"step":{"kind":"note","title":"%s step %03d"}}`, key, n, n/60, n%60, key, key, n))
				if n%10 == 5 {
					events = append(events, fmt.Sprintf(`{"id":"%s-action-%d","type":"runbook.action","incident":{"id":"%s"},"action":{"title":"%s action %d","status":"running"}}`, key, n, key, key, n))
				}
			}
			events = append(events, fmt.Sprintf(`{"id":"%s-resolved","type":"incident.resolved","incident":{"id":"%s"}}`, key, key))
			again := time.NewTicker(20 * time.Millisecond)
			defer again.Stop()
			for _, e := range events {
				for range 3000 {
					resp, err := http.Post(r.local+"/v1/events", "application/json", strings.NewReader(e))
					if err == nil {
						_ = resp.Body.Close()
						if resp.StatusCode == http.StatusAccepted {
							break
						}
					}
					<-again.C
				}
			}
		})
	}
	for range kills {
		pause := time.NewTimer(time.Duration(100+rng.IntN(500)) * time.Millisecond)
		<-pause.C
		r.kill()
		r.start()
	}
	senders.Wait()
	r.settled()

	if got := r.query("SELECT event_id, state, reason FROM outbox WHERE state <> 'done'"); len(got) != 0 {
		t.Errorf("not done: %v", got)
	}
	snapshot := r.sim.Snapshot()
	if len(snapshot.Incidents) != incidents {
		t.Errorf("%d incidents, want %d: each once", len(snapshot.Incidents), incidents)
	}
	for _, i := range snapshot.Incidents {
		key := strings.TrimPrefix(i.Name, "Incident ")
		seen := make(map[string]int)
		var order []string
		for _, item := range i.Timeline {
			if strings.Contains(item.Title+item.Description, " step ") {
				at := strings.Index(item.Title+" "+item.Description, key+" step ")
				name := (item.Title + " " + item.Description)[at : at+len(key)+len(" step 000")]
				seen[name]++
				order = append(order, item.CreatedAt.Format(time.RFC3339Nano)+" "+name)
			}
		}
		for n := range steps {
			if name := fmt.Sprintf("%s step %03d", key, n); seen[name] != 1 {
				t.Errorf("%q is there %d times, want once", name, seen[name])
			}
		}
		last := ""
		for _, o := range order {
			_, name, _ := strings.Cut(o, " ")
			if name < last {
				t.Errorf("%s came after %s", last, name)
			}
			last = name
		}
		actions := make(map[string]int)
		for _, a := range i.Actions {
			actions[strings.SplitN(a.Description, "\n", 2)[0]]++
		}
		if len(i.Actions) != steps/10 || len(actions) != steps/10 {
			t.Errorf("%s has actions %v, want %d, each once", key, actions, steps/10)
		}
		if i.Status.Category != "learning" {
			t.Errorf("%s is %s, want resolved", key, i.Status.Name)
		}
	}
	if got := r.query("SELECT tigerops_incident_id, type FROM inbox WHERE type <> 'incident.linked'"); len(got) != 0 {
		t.Errorf("echoes: %v", got)
	}
	if got := r.query("PRAGMA integrity_check"); len(got) != 1 || got[0] != "ok" {
		t.Errorf("integrity_check: %v", got)
	}
}
