package agent

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What net/http refuses before a handler hears of it is counted on both ports.
func TestBothPortsCountWhatNoHandlerHearsOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.start()
	say := func(addr, text string) {
		conn := must(net.Dial("tcp", addr))(w)
		defer conn.Close()
		w.ok(conn.SetDeadline(time.Now().Add(20 * time.Second)))
		_, _ = conn.Write([]byte(text))  // it fails where the server has hung up
		_, _ = io.Copy(io.Discard, conn) // until the server hangs up, by a reset perhaps
	}
	for _, c := range []struct{ reason, status, text string }{
		{"malformed", "400", "nonsense\r\n\r\n"},
		{"header_too_large", "431", "GET / HTTP/1.1\r\nHost: x\r\nX-Y: " + strings.Repeat("z", 40_000) + "\r\n\r\n"},
	} {
		say(w.a.edges.webhookAddr(), c.text)
		say(w.a.edges.localAddr(), c.text)
	}
	w.a.m.localRefused(0, "slow")
	scrape := httptest.NewRecorder()
	w.a.m.handler().ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`tigerops_incidentio_webhook_requests_total{outcome="refused",reason="malformed"} 1`,
		`tigerops_incidentio_webhook_requests_total{outcome="refused",reason="header_too_large"} 1`,
		`tigerops_incidentio_local_refusals_total{reason="malformed",status="400"} 1`,
		`tigerops_incidentio_local_refusals_total{reason="header_too_large",status="431"} 1`,
		`tigerops_incidentio_local_refusals_total{reason="slow",status="none"} 1`,
	} {
		if !strings.Contains(scrape.Body.String(), want+"\n") {
			t.Errorf("not counted: %s", want)
		}
	}
}
