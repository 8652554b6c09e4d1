package simulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// TestFaults breaks a declaration in every way, through the RoundTripper and through a server, and looks at what the
// client is told and whether the incident was made.
func TestFaults(t *testing.T) {
	t.Parallel()
	const dropped = -1
	for name, c := range map[string]struct {
		fault  simulator.Fault
		status int
		made   int
		text   string
	}{
		"outage":            {simulator.Fault{Kind: simulator.Outage}, dropped, 0, ""},
		"reset before":      {simulator.Fault{Kind: simulator.ResetBefore}, dropped, 0, ""},
		"reset after":       {simulator.Fault{Kind: simulator.ResetAfter}, dropped, 1, ""},
		"hang":              {simulator.Fault{Kind: simulator.Hang, Delay: time.Millisecond}, dropped, 0, ""},
		"hang till the end": {simulator.Fault{Kind: simulator.Hang}, dropped, 0, ""},
		"hang after":        {simulator.Fault{Kind: simulator.HangAfter, Delay: time.Millisecond}, dropped, 1, ""},
		"cut":               {simulator.Fault{Kind: simulator.Cut}, dropped, 1, ""},
		"delay":             {simulator.Fault{Kind: simulator.Delay, Delay: time.Millisecond}, 200, 1, "INC-1"},
		"status":            {simulator.Fault{Kind: simulator.StatusCode, Status: 502, Body: "<html>"}, 502, 0, "<html>"},
		"default status":    {simulator.Fault{Kind: simulator.StatusCode}, 500, 0, "internal_error"},
		"status after":      {simulator.Fault{Kind: simulator.StatusAfter, Status: 504}, 504, 1, "internal_error"},
		"throttle":          {simulator.Fault{Kind: simulator.Throttle}, 429, 0, "too_many_requests"},
		"refuse key":        {simulator.Fault{Kind: simulator.RefuseKey}, 401, 0, "authentication_error"},
		"refuse role":       {simulator.Fault{Kind: simulator.RefuseRole}, 403, 0, "missing_role"},
		"missing":           {simulator.Fault{Kind: simulator.Missing}, 404, 0, "not_found"},
		"garbage":           {simulator.Fault{Kind: simulator.Garbage}, 200, 1, "<html>"},
	} {
		for _, server := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newSim(t, simulator.Options{})
				client, url := &http.Client{Transport: s}, "https://api.incident.io"
				if server {
					srv := httptest.NewServer(s)
					defer srv.Close()
					client, url = srv.Client(), srv.URL
				}
				f := c.fault
				f.Method, f.Path, f.Times = "POST", "/v2/*", 1
				if _, err := s.Break(f); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if name == "hang till the end" { // the client gives up once the request has met the fault
					first, giveUp := context.WithCancel(ctx)
					ctx = first
					go func() {
						defer giveUp()
						for t.Context().Err() == nil && s.Faults()[0].Fired == 0 {
							runtime.Gosched()
						}
					}()
				}
				send := func(ctx context.Context) (int, string) {
					body := `{"idempotency_key":"k","visibility":"public","severity_id":"` + idsOf(s).severity["SEV1"] + `"}`
					req, err := http.NewRequestWithContext(ctx, "POST", url+"/v2/incidents", strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					req.Header.Set("Authorization", "Bearer "+simulator.DefaultKey)
					resp, err := client.Do(req)
					if err != nil {
						if name == "outage" && !server && !errors.Is(err, syscall.ECONNREFUSED) {
							t.Errorf("outage: %v", err)
						}
						return dropped, ""
					}
					defer resp.Body.Close()
					out, err := io.ReadAll(resp.Body)
					if err != nil {
						return dropped, ""
					}
					return resp.StatusCode, string(out)
				}
				status, text := send(ctx)
				if status != c.status || !strings.Contains(text, c.text) {
					t.Errorf("status %d %s, want %d", status, text, c.status)
				}
				if status >= 400 && !strings.Contains(text, `"request_id":"0`) && name != "status" {
					t.Errorf("no request id: %s", text)
				}
				if n := len(s.Snapshot().Incidents); n != c.made {
					t.Errorf("%d incidents, want %d", n, c.made)
				}
				if status, _ = send(t.Context()); status != 200 || len(s.Snapshot().Incidents) != 1 {
					t.Errorf("after the fault: %d, %d incidents", status, len(s.Snapshot().Incidents))
				}
				if got := s.Counters().Faults[string(c.fault.Kind)]; got != 1 {
					t.Errorf("counted %d", got)
				}
			})
		}
	}
}

func TestRetryAfterForms(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	s := newSim(t, simulator.Options{Now: func() time.Time { return now }})
	a := newAPI(t, s)
	for form, want := range map[string][2]string{
		"":          {"5", "2026-11-23T02:00:05Z"},
		"seconds":   {"5", "2026-11-23T02:00:05Z"},
		"http-date": {"Mon, 23 Nov 2026 02:00:05 GMT", "2026-11-23T02:00:05Z"},
		"rfc3339":   {"2026-11-23T02:00:05Z", "2026-11-23T02:00:05Z"},
		"body":      {"", "2026-11-23T02:00:05Z"},
		"none":      {"", ""},
		"soon":      {"soon", "2026-11-23T02:00:05Z"},
	} {
		id, err := s.Break(simulator.Fault{Kind: simulator.Throttle, RetryAfter: form, Delay: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		r := a.do("GET", "/v1/identity", nil).want(429)
		if got := [2]string{r.Header.Get("Retry-After"), r.text("rate_limit", "retry_after")}; got != want {
			t.Errorf("%s: got %q, want %q", form, got, want)
		}
		s.Mend(id)
	}
	a.do("GET", "/v1/identity", nil).want(200)
}

func TestWhichRequestsAFaultMeets(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{Seed: 3, Limits: simulator.NoLimits})
	a := newAPI(t, s)
	meets := func(f simulator.Fault, method, path string) bool {
		t.Helper()
		f.Kind, f.Status = simulator.StatusCode, 599
		if _, err := s.Break(f); err != nil {
			t.Fatal(err)
		}
		defer s.Mend()
		return a.do(method, path, nil).Status == 599
	}
	for _, c := range []struct {
		method, pattern string
		want            bool
	}{
		{"", "", true}, {"GET", "", true}, {"get", "/v2/incidents/x", true}, {"POST", "", false}, {"", "/v2/incidents", false}, {"", "/v2/incidents/*", true},
		{"", "/v2/*", false}, {"", "/v2/**", true}, {"", "**", true}, {"", "/v2/*/x", true}, {"", "/*/incidents/x", true}, {"", "/v3/**", false},
	} {
		if got := meets(simulator.Fault{Method: c.method, Path: c.pattern}, "GET", "/v2/incidents/x"); got != c.want {
			t.Errorf("%s %s: %v", c.method, c.pattern, got)
		}
	}
	if _, err := s.Break(simulator.Fault{Kind: "explode"}); err == nil {
		t.Error("an unknown kind is taken")
	}
	run := func(f simulator.Fault, n int) (out string) {
		f.Kind = simulator.StatusCode
		if _, err := s.Break(f); err != nil {
			t.Fatal(err)
		}
		defer s.Mend()
		for range n {
			out += map[bool]string{true: "x", false: "."}[a.do("GET", "/v1/identity", nil).Status == 500]
		}
		return out
	}
	if got := run(simulator.Fault{Times: 2, Skip: 1}, 5); got != ".xx.." {
		t.Error(got)
	}
	if n := strings.Count(run(simulator.Fault{P: 0.3}, 200), "x"); n < 40 || n > 80 {
		t.Errorf("%d of 200 at 0.3", n)
	}
}

// TestCloseEndsWhatHangs closes a Simulator that holds a request and an alert.
func TestCloseEndsWhatHangs(t *testing.T) {
	t.Parallel()
	loadSpec(t)
	synctest.Test(t, func(t *testing.T) {
		s := simulator.New(simulator.Options{AlertDelay: time.Hour})
		if _, err := s.Break(simulator.Fault{Kind: simulator.Hang, Path: "/v1/identity"}); err != nil {
			t.Fatal(err)
		}
		a := newAPI(t, s)
		a.do("POST", eventsPath+"?token="+simulator.DefaultAlertSourceToken, event("firing", "k"), "Authorization", "").want(202)
		ended := make(chan error, 1)
		go func() {
			_, err := a.try("GET", "/v1/identity", nil)
			ended <- err
		}()
		synctest.Wait()
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("the request was answered")
		}
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("a second close: %v", err)
		}
		if n := len(s.Snapshot().Alerts); n != 0 {
			t.Errorf("%d alerts after the end", n)
		}
	})
}

func TestAFaultOfOnesOwn(t *testing.T) {
	t.Parallel()
	var asked []string
	s := newSim(t, simulator.Options{Fault: func(r *http.Request, body []byte) *simulator.Fault {
		asked = append(asked, r.Method+" "+r.URL.Path+string(body))
		if r.URL.Path == "/v1/identity" {
			return &simulator.Fault{Kind: simulator.StatusCode, Status: 599}
		}
		return nil
	}})
	a := newAPI(t, s)
	a.do("GET", "/v1/identity", nil).want(599)
	a.do("GET", "/v1/severities", nil).want(200)
	if _, err := s.Break(simulator.Fault{Kind: simulator.StatusCode, Status: 503}); err != nil {
		t.Fatal(err)
	}
	a.do("GET", "/v1/identity", nil).want(503) // what Break ends asks nobody
	if want := []string{"GET /v1/identity", "GET /v1/severities"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	if got := s.Counters().Faults["status"]; got != 2 {
		t.Errorf("%d faults counted, want 2", got)
	}
}
