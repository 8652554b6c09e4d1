package simulator_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// within runs f in a synctest bubble with a Simulator that is closed before the bubble ends.
func within(t *testing.T, o simulator.Options, f func(t *testing.T, s *simulator.Simulator, a *api)) {
	t.Helper()
	loadSpec(t) // outside the bubble
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, o)
		f(t, s, newAPI(t, s))
	})
}

func TestKeyLimit(t *testing.T) {
	t.Parallel()
	within(t, simulator.Options{}, func(t *testing.T, s *simulator.Simulator, a *api) {
		head := func(r reply) string {
			return fmt.Sprint(r.Header["X-Ratelimit-Limit"], r.Header["X-Ratelimit-Remaining"], r.Header["X-Ratelimit-Used"])
		}
		first := a.do("GET", "/v1/identity", nil).want(200)
		if got, want := head(first), "[1200, 1200;window=60] [1199] [1]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := first.Header.Get("X-RateLimit-Reset"), strconv.FormatInt(time.Now().Unix()+1, 10); got != want {
			t.Errorf("reset %s, want %s", got, want)
		}
		for range 1199 {
			a.do("GET", "/v1/identity", nil).want(200)
		}
		over := a.do("GET", "/v1/identity", nil).want(429)
		if got, want := head(over)+over.Header.Get("Retry-After"), "[1200, 1200;window=60] [0] [1200]1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if over.text("type") != "too_many_requests" || over.text("rate_limit", "name") != simulator.DefaultKeyName || over.at("rate_limit", "limit") != 1200.0 ||
			over.text("rate_limit", "retry_after") != time.Now().UTC().Add(time.Second).Format(time.RFC3339) {
			t.Errorf("%s", over.Body)
		}
		time.Sleep(time.Second) // 20 come back
		for range 20 {
			a.do("GET", "/v1/identity", nil).want(200)
		}
		a.do("GET", "/v1/identity", nil).want(429)
		a.do("GET", "/v1/identity", nil, "Authorization", "Bearer wrong").want(401)
	})
}

func TestLowerLimits(t *testing.T) {
	t.Parallel()
	within(t, simulator.Options{}, func(t *testing.T, s *simulator.Simulator, a *api) {
		esc := func(i int) reply {
			return a.do("POST", "/v2/escalations", object{"idempotency_key": fmt.Sprint(i), "title": "t", "escalation_path_id": simulator.DefaultEscalationPathID})
		}
		r := esc(0).want(201)
		if got, want := r.Header.Get("X-RateLimit-Limit"), "60, 1200;window=60, 60;window=60"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for i := range 59 {
			esc(i + 1).want(201)
		}
		if got := esc(60).want(429).at("rate_limit", "limit"); got != 60.0 {
			t.Error(got)
		}
		a.do("GET", "/v2/escalations", nil).want(200)

		event := func() reply {
			return a.do("POST", "/v2/alert_events/http/"+simulator.DefaultAlertSourceID, object{"title": "t", "status": "firing", "deduplication_key": "k"}, "Authorization", "Bearer "+simulator.DefaultAlertSourceToken)
		}
		for range 120 {
			event().want(202)
		}
		over := event().want(429)
		if over.Header.Get("Retry-After") != "1" || over.Header.Get("X-RateLimit-Limit") != "" {
			t.Errorf("%v", over.Header)
		}
		time.Sleep(time.Second)
		event().want(202)
	})
}

func TestHourlyLimit(t *testing.T) {
	t.Parallel()
	within(t, simulator.Options{Limits: simulator.Limits{PerMinute: -1, IncidentsPerHour: 2}}, func(t *testing.T, s *simulator.Simulator, a *api) {
		first := a.declaration(s, nil)
		a.do("POST", "/v2/incidents", first).want(200)
		a.declare(s, nil)
		third := a.declaration(s, nil)
		r := a.do("POST", "/v2/incidents", third).want(429)
		if r.Header.Get("Retry-After") != "" || r.at("rate_limit") != nil {
			t.Errorf("it tells a time: %s %v", r.Body, r.Header)
		}
		a.do("POST", "/v2/incidents", first).want(200) // the key is known
		time.Sleep(30 * time.Minute)
		a.do("POST", "/v2/incidents", third).want(http.StatusOK)
	})
}
