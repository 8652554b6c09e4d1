package main_test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// What the agent exposes after some work is as Prometheus wants it: names, units, types and help texts.
func TestMetricsPassPromtool(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (apt-get install prometheus)")
	}
	r := newRig(t, simulator.Options{})
	r.start()
	for _, e := range oneOfEach[:4] {
		r.event(e)
	}
	r.settled()
	r.eventually("a webhook was looked at", func() bool {
		_, text := r.get("/metrics")
		return strings.Contains(text, "tigerops_incidentio_webhooks_total{")
	})
	status, text := r.get("/metrics")
	if status != http.StatusOK {
		t.Fatalf("GET /metrics: %d", status)
	}
	cmd := exec.Command(tool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
