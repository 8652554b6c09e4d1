package incidentio_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

// exceptions are the statuses that mean something else than their hundred does.
var exceptions = map[int]incidentio.Class{
	401: incidentio.Unauthorized, 403: incidentio.Unauthorized,
	407: incidentio.Unreachable, // only a proxy says so
	408: incidentio.Retry, 421: incidentio.Retry, 425: incidentio.Retry,
	429: incidentio.Throttled,
}

func classWanted(status int) incidentio.Class {
	if c, ok := exceptions[status]; ok {
		return c
	}
	return map[int]incidentio.Class{
		1: incidentio.Retry, 2: incidentio.Done, 3: incidentio.Unreachable, 4: incidentio.Refused, 5: incidentio.Retry,
	}[status/100]
}

func TestEveryStatus(t *testing.T) {
	t.Parallel()
	const problem = `{"type":"validation_error","status":422,"request_id":"req-1",` +
		`"errors":[{"code":"invalid_value","message":"is no severity.","source":{"field":"severity_id"}},{"code":"x","message":"and more"}]}`
	for _, body := range []struct{ name, kind, text string }{
		{"in incident.io's form", "application/json", problem},
		{"a page", "text/html; charset=utf-8", "<html>go away</html>"},
		{"nothing", "", ""},
		{"broken JSON", "application/json", `{"errors":[{`},
	} {
		t.Run(body.name, func(t *testing.T) {
			t.Parallel()
			var status int
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if body.kind != "" {
					w.Header().Set("Content-Type", body.kind)
				}
				w.WriteHeader(status)
				if status != 204 && status != 304 {
					_, _ = w.Write([]byte(body.text))
				}
			})
			for status = 200; status <= 599; status++ {
				r := c.Send(within(t), edit)
				want := classWanted(status)
				sent := body.text
				if status == 204 || status == 304 {
					sent = ""
				}
				// A good status over something that is not incident.io's answer proves nothing.
				if want == incidentio.Done && sent != problem && !(sent == "" && (status == 202 || status == 204 || status == 205)) {
					want = incidentio.Retry
				}
				if r.Class != want || r.Status != status || r.Requests != 1 {
					t.Errorf("%d: got %v (%d, %d requests), want %v", status, r.Class, r.Status, r.Requests, want)
				}
				if r.OK() {
					continue
				}
				if r.Message == "" || r.Err != nil {
					t.Errorf("%d: message %q, error %v", status, r.Message, r.Err)
				}
				if sent == problem && status/100 > 3 && (r.RequestID != "req-1" || r.Code != "invalid_value" ||
					r.Field != "severity_id" || r.Message != "is no severity; and more") {
					t.Errorf("%d: request %q, code %q, field %q, message %q", status, r.RequestID, r.Code, r.Field, r.Message)
				}
			}
		})
	}
}

func TestInformationalStatus(t *testing.T) {
	t.Parallel()
	for status := 100; status <= 199; status++ {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			c := raw(t, func(conn net.Conn) {
				fmt.Fprintf(conn, "HTTP/1.1 %d Well\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n", status)
				if status == 101 {
					_, _ = conn.Read(make([]byte, 1)) // until the client hangs up
				}
			})
			// No answer ever follows.
			want := incidentio.InDoubt
			if status == 101 {
				want = incidentio.Retry // to Go's client this one is an answer
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if r := c.Send(ctx, edit); r.Class != want || ctx.Err() != nil {
				t.Errorf("got %v: %v", r.Class, r)
			}
		})
	}
	t.Run("before the answer", func(t *testing.T) {
		t.Parallel()
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = w.Write([]byte(`{}`))
		})
		if r := c.Send(within(t), edit); r.Class != incidentio.Done || r.Status != 200 {
			t.Errorf("got %v: %v", r.Class, r)
		}
	})
}

func TestThrottled(t *testing.T) {
	t.Parallel()
	large := incidentio.Call{Method: "POST", Path: "/v2/alert_events/http/01AS", Token: "token-of-the-source",
		Body: []byte(`{"title":"` + strings.Repeat("x", 512<<10) + `"}`)}
	small := large
	small.Body = []byte(`{}`)
	elsewhere := large
	elsewhere.Path = "/v2/incidents"
	for _, test := range []struct {
		name      string
		call      incidentio.Call
		status    int
		want      incidentio.Class
		oversized bool
		after     time.Duration
	}{
		{"an alert is", small, 429, incidentio.Throttled, false, 7 * time.Second},
		{"a large alert is refused, as waiting would not help", large, 429, incidentio.Refused, true, 0},
		{"a large request of another kind is", elsewhere, 429, incidentio.Throttled, false, 7 * time.Second},
		{"413 is no throttle", small, 413, incidentio.Refused, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.Header().Set("X-RateLimit-Limit", "120, 120;window=60")
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.WriteHeader(test.status)
			})
			r := c.Send(within(t), test.call)
			if r.Class != test.want || r.Oversized != test.oversized || r.After != test.after {
				t.Errorf("got %v, oversized %v, after %v", r.Class, r.Oversized, r.After)
			}
			if !r.Rate.Known || r.Rate.Limit != 120 || r.Rate.Remaining != 0 || r.Rate.Window != time.Minute {
				t.Errorf("rate %+v", r.Rate)
			}
		})
	}
}

func TestClass(t *testing.T) {
	t.Parallel()
	if (incidentio.Result{}).OK() {
		t.Error("a Result that nobody filled is a success")
	}
	for c, want := range map[incidentio.Class]string{
		-1: "unknown", 0: "unknown", incidentio.Done: "done", incidentio.InDoubt: "in_doubt", incidentio.Refused: "refused", 99: "unknown",
	} {
		if got := c.String(); got != want {
			t.Errorf("%d is %q, want %q", int(c), got, want)
		}
	}
	for c, want := range map[incidentio.Class]bool{
		incidentio.Done: true, incidentio.Retry: true, incidentio.InDoubt: true, incidentio.Unreachable: false,
		incidentio.Throttled: false, incidentio.Unauthorized: false, incidentio.Refused: false,
	} {
		if got := c.Applied(); got != want {
			t.Errorf("%v applied: %v, want %v", c, got, want)
		}
	}
}
