package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// TestRepeatable plays the same on two accounts of one seed and one of another.
func TestRepeatable(t *testing.T) {
	t.Parallel()
	play := func(seed uint64) string {
		now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
		s := newSim(t, simulator.Options{Seed: seed, Now: func() time.Time { now = now.Add(time.Millisecond); return now }})
		a := newAPI(t, s)
		id := idsOf(s)
		inc := a.do("POST", "/v2/incidents", object{"idempotency_key": "k", "visibility": "public", "severity_id": id.severity["SEV1"]}).want(200).text("incident", "id")
		if err := s.As("lisa@example.com").Close(inc, "done"); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal([]any{s.Snapshot(), s.Account(), s.Webhooks()})
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if one, two, other := play(1), play(1), play(2); one != two || one == other {
		t.Error("the same seed gives another account, or another seed the same")
	}
}

// TestTimesMoveForward sets the clock back between two changes.
func TestTimesMoveForward(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	s := newSim(t, simulator.Options{Now: func() time.Time { return now }})
	a := newAPI(t, s)
	inc := a.declare(s, nil)
	last := time.Time{}
	for i := range 3 {
		now = now.Add(-time.Hour)
		if err := s.As("lisa@example.com").EditSummary(inc, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		v, err := s.Incident(inc)
		if err != nil || !v.UpdatedAt.After(last) {
			t.Errorf("%v after %v, %v", v.UpdatedAt, last, err)
		}
		last = v.UpdatedAt
	}
}

// TestGrowth shows what may come without notice: every object has a field nobody has heard of, and ids are longer.
func TestGrowth(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{Growth: true})
	a := &api{tb: t, sim: s, key: simulator.DefaultKey} // the description does not know these answers
	r := a.do("POST", "/v2/incidents", a.declaration(s, nil)).want(200)
	if len(r.text("incident", "id")) != 36 || r.at("added_later") == nil || r.at("incident", "severity", "added_later") == nil {
		t.Errorf("%s", r.Body)
	}
	if !strings.Contains(s.Webhooks()[0].Body, "added_later") {
		t.Error("webhooks do not grow")
	}
}

// TestManyHands uses everything at once, for the race detector.
func TestManyHands(t *testing.T) {
	t.Parallel()
	r := &receiver{}
	o := hooked(r, simulator.WebhookOptions{DuplicateShare: 0.2, ShuffleWithin: time.Millisecond})
	o.Limits, o.AlertDelay, o.AlertRoute, o.Keep = simulator.NoLimits, time.Millisecond, &simulator.AlertRoute{Delay: time.Millisecond}, 50
	s := newSim(t, o)
	if _, err := s.Break(simulator.Fault{Kind: simulator.ResetAfter, P: 0.1, Path: "/v2/**"}); err != nil {
		t.Fatal(err)
	}
	sev := idsOf(s).severity["SEV1"]
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			a := newAPI(t, s)
			for i := range 25 {
				body := object{"idempotency_key": fmt.Sprint(n, i), "visibility": "public", "severity_id": sev}
				for {
					if _, err := a.try("POST", "/v2/incidents", body); err == nil {
						break
					}
				}
				if _, err := a.try("POST", eventsPath+"?token="+simulator.DefaultAlertSourceToken, event("firing", fmt.Sprint(n, i)), "Authorization", ""); err == nil && i%5 == 0 {
					s.Snapshot()
				}
				if err := s.As("ada@example.com").SetSeverity("1", []string{"SEV1", "SEV2"}[i%2], ""); err != nil {
					t.Error(err)
				}
				s.Requests()
				s.Webhooks()
				s.Counters()
			}
		})
	}
	wg.Wait()
	byKey := 0
	for _, i := range s.Snapshot().Incidents {
		if i.Creator.APIKey != nil {
			byKey++
		}
	}
	if byKey != 200 {
		t.Errorf("%d incidents, want each once: 200", byKey)
	}
	if n := len(s.Requests()); n > 50 {
		t.Errorf("%d requests are kept", n)
	}
}

// TestNoSecretIsKept looks for the key, the tokens and the webhook secret in all that can be looked at.
func TestNoSecretIsKept(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{Key: "inc_very_secret_key", WebhookSecrets: []string{secretA}})
	a := newAPI(t, s)
	a.key = "inc_very_secret_key"
	a.declare(s, nil)
	out, err := json.Marshal([]any{s.Snapshot(), s.Requests(), s.Webhooks(), s.Counters()})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"inc_very_secret_key", secretA, simulator.DefaultAlertSourceToken} {
		if bytes.Contains(out, []byte(secret)) {
			t.Errorf("%s is there", secret)
		}
	}
}

// TestWhateverTheOrder declares the same incidents in two orders: what lasts of their ids and what became of their
// webhooks is the same, with another seed it is not.
func TestWhateverTheOrder(t *testing.T) {
	t.Parallel()
	play := func(seed uint64, order ...int) string {
		s := newSim(t, simulator.Options{Seed: seed, WebhookURL: "http://127.0.0.1:1", Webhooks: simulator.WebhookOptions{DropShare: 0.5, DuplicateShare: 0.5}})
		a := newAPI(t, s)
		byKey := make(map[string]string)
		for _, n := range order {
			key := fmt.Sprintf("key-%d", n)
			inc := a.do("POST", "/v2/incidents", a.declaration(s, object{"idempotency_key": key})).want(200).text("incident", "id")
			if err := s.As("lisa@example.com").Close(inc, "done"); err != nil {
				t.Fatal(err)
			}
			byKey[key] = simulator.Lasting(inc)
			for _, w := range s.Webhooks() {
				if strings.Contains(w.Body, inc) {
					byKey[key] += fmt.Sprintf(" %s dropped: %v", w.EventType, w.State == simulator.HookDropped)
				}
			}
		}
		out, err := json.Marshal(byKey)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	one, two, other := play(1, 1, 2, 3, 4, 5), play(1, 5, 3, 1, 4, 2), play(2, 1, 2, 3, 4, 5)
	if one != two || one == other {
		t.Errorf("in order:\n%s\nin another:\n%s\nwith another seed:\n%s", one, two, other)
	}
}
