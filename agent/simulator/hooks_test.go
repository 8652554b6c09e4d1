package simulator_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "whsec_c2Vjb25kLXNlY3JldC1vZi10d28="
)

// receiver takes webhooks in a bubble, answering with what answer says.
type receiver struct {
	mu     sync.Mutex
	got    []delivery
	answer func(n int) (int, error) // n counts from 1
}

type delivery struct {
	id, event string
	at        time.Time
	header    http.Header
	body      []byte
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	event, _, _ := strings.Cut(strings.TrimPrefix(string(body[bytes.Index(body, []byte(`"event_type":"`)):]), `"event_type":"`), `"`)
	r.got = append(r.got, delivery{req.Header.Get("webhook-id"), event, time.Now(), req.Header, body})
	n, status := len(r.got), http.StatusNoContent
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		if status, err = answer(n); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Request: req}, nil
}

func (r *receiver) all() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func hooked(r *receiver, o simulator.WebhookOptions) simulator.Options {
	return simulator.Options{WebhookURL: "http://agent/webhooks/incident-io", WebhookSecrets: []string{secretA}, WebhookClient: &http.Client{Transport: r}, Webhooks: o, Seed: 7}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 10)
	bodies := make(chan []byte, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- r
		bodies <- b
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	s := newSim(t, simulator.Options{WebhookURL: srv.URL + "/webhooks/incident-io", WebhookSecrets: []string{secretA}})
	a := newAPI(t, s)
	verify := func(good ...string) {
		t.Helper()
		r, body := <-got, <-bodies
		for _, secret := range []string{secretA, secretB} {
			wh, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := wh.Verify(body, r.Header); (err == nil) != slices.Contains(good, secret) {
				t.Errorf("%s: %v", secret, err)
			}
			if err := wh.Verify(append(body, ' '), r.Header); err == nil {
				t.Error("a changed body verifies")
			}
		}
		if r.Method != "POST" || r.URL.Path != "/webhooks/incident-io" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
	}
	a.declare(s, nil)
	verify(secretA)
	s.SetWebhook(srv.URL+"/webhooks/incident-io", secretB, secretA)
	a.declare(s, nil)
	verify(secretA, secretB)
	s.SetWebhook(srv.URL+"/webhooks/incident-io", secretB)
	a.declare(s, nil)
	verify(secretB)
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	t.Run("in order, once, told as delivered", func(t *testing.T) {
		r := &receiver{}
		within(t, hooked(r, simulator.WebhookOptions{}), func(t *testing.T, s *simulator.Simulator, a *api) {
			for range 5 {
				inc := a.declare(s, nil)
				if err := s.As("lisa@example.com").Close(inc, ""); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			var want, got []string
			for _, w := range s.Webhooks() {
				want = append(want, w.ID+w.EventType+w.State)
			}
			for _, d := range r.all() {
				got = append(got, d.id+d.event+simulator.HookDelivered)
			}
			if len(got) != 15 || !slices.Equal(got, want) {
				t.Errorf("got\n%v, want\n%v", got, want)
			}
		})
	})
	t.Run("again until it is answered, others not held up", func(t *testing.T) {
		r := &receiver{answer: func(n int) (int, error) {
			switch n {
			case 1:
				return 0, errors.New("refused")
			case 3:
				return 503, nil
			}
			return 204, nil
		}}
		within(t, hooked(r, simulator.WebhookOptions{Backoff: time.Second}), func(t *testing.T, s *simulator.Simulator, a *api) {
			begin := time.Now()
			a.declare(s, nil)
			synctest.Wait()
			a.declare(s, nil)
			time.Sleep(time.Minute)
			synctest.Wait()
			d, hooks := r.all(), s.Webhooks()
			if len(d) != 4 || d[0].id != hooks[0].ID || d[1].id != hooks[1].ID || d[2].id != d[0].id || d[3].id != d[0].id {
				t.Fatalf("%d deliveries", len(d))
			}
			if got := d[2].at.Sub(begin); got != time.Second {
				t.Errorf("second attempt after %v", got)
			}
			if got := d[3].at.Sub(begin); got != 3*time.Second {
				t.Errorf("third attempt after %v", got)
			}
			if at := hooks[0].Attempts; len(at) != 3 || at[0].Error == "" || at[1].Status != 503 || at[2].Status != 204 || hooks[0].State != simulator.HookDelivered {
				t.Errorf("%+v", hooks[0])
			}
		})
	})
	t.Run("given up, and replayed by hand", func(t *testing.T) {
		r := &receiver{answer: func(n int) (int, error) {
			if n <= 3 {
				return 500, nil
			}
			return 204, nil
		}}
		within(t, hooked(r, simulator.WebhookOptions{Attempts: 3}), func(t *testing.T, s *simulator.Simulator, a *api) {
			a.declare(s, nil)
			time.Sleep(time.Hour)
			synctest.Wait()
			if c := s.Counters().Webhooks; c.Failed != 1 || c.Attempts != 3 || c.Waiting != 0 {
				t.Errorf("%+v", c)
			}
			if n := s.Replay(); n != 1 {
				t.Errorf("replayed %d", n)
			}
			synctest.Wait()
			if c := s.Counters().Webhooks; c.Failed != 0 || c.Delivered != 1 {
				t.Errorf("%+v", c)
			}
		})
	})
	t.Run("doubled, dropped and shuffled by the share asked for", func(t *testing.T) {
		r := &receiver{}
		o := hooked(r, simulator.WebhookOptions{DropShare: 0.3, DuplicateShare: 0.5, ShuffleWithin: time.Second, Delay: time.Second})
		o.Limits = simulator.NoLimits
		within(t, o, func(t *testing.T, s *simulator.Simulator, a *api) {
			for range 200 {
				a.declare(s, nil)
			}
			synctest.Wait()
			if len(r.all()) != 0 {
				t.Error("some came before the delay")
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
			d, c := r.all(), s.Counters().Webhooks
			ids := map[string]int{}
			for _, v := range d {
				ids[v.id]++
			}
			if c.Total != 200 || c.Dropped < 40 || c.Dropped > 80 || c.Doubled < 50 || c.Doubled > 90 || c.Delivered != 200-c.Dropped || len(ids) != c.Delivered || len(d) != c.Delivered+c.Doubled {
				t.Errorf("%+v, %d ids in %d deliveries", c, len(ids), len(d))
			}
			if order := slices.Collect(func(yield func(string) bool) {
				for _, v := range d {
					if !yield(v.id) {
						return
					}
				}
			}); slices.IsSorted(order) {
				t.Error("they came in order")
			}
			if m := slices.Max(slices.Collect(maps.Values(ids))); m != 2 {
				t.Errorf("one came %d times", m)
			}
		})
	})
	t.Run("kept unsent where there is nowhere to send", func(t *testing.T) {
		within(t, simulator.Options{}, func(t *testing.T, s *simulator.Simulator, a *api) {
			a.declare(s, nil)
			if w := s.Webhooks(); len(w) != 1 || w[0].State != simulator.HookUnsent {
				t.Errorf("%+v", w)
			}
		})
	})
}
