package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent"
)

// The demo tells each step on a line of its own, from the anomaly to the closed incident, and leaves a database under
// a new name each time.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tigerops-demo.db"), []byte("of an earlier demo"), 0o600); err != nil {
		t.Fatal(err)
	}
	var lines []string
	db, err := agent.Demo(t.Context(), agent.DemoOptions{Dir: dir, Version: "test", Tell: func(line string) { lines = append(lines, line) }})
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	if want := filepath.Join(dir, "tigerops-demo-2.db"); db != want {
		t.Errorf("the database is %s, want %s", db, want)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "TigerOps → incident.io  ") && !strings.HasPrefix(line, "incident.io → TigerOps  ") {
			t.Errorf("a line that is no step: %q", line)
		}
	}
	next := 0
	for _, want := range []string{
		"TigerOps → incident.io  alert.fire", "TigerOps → incident.io  incident.declare", "incident.io → TigerOps  incident.linked",
		"TigerOps → incident.io  timeline.add", "TigerOps → incident.io  escalation.create", "incident.io → TigerOps  incident.acknowledged",
		"incident.io → TigerOps  incident.role_assigned", "TigerOps → incident.io  action.create", "incident.io → TigerOps  incident.severity_changed",
		"TigerOps → incident.io  incident.edit", "incident.io → TigerOps  incident.status_changed", "incident.io → TigerOps  incident.resolved",
		"TigerOps → incident.io  alert.resolve", "TigerOps → incident.io  postmortem.import", "TigerOps → incident.io  followup.create.1",
		"TigerOps → incident.io  followup.create.2", "incident.io → TigerOps  incident.status_changed",
	} {
		for next < len(lines) && !strings.HasPrefix(lines[next], want) {
			next++
		}
		if next == len(lines) {
			t.Fatalf("no %q in its turn:\n%s", want, strings.Join(lines, "\n"))
		}
		next++
	}
	desk, err := agent.OpenDesk(t.Context(), agent.Config{DB: db}, "test", agent.ToRead)
	if err != nil {
		t.Fatal(err)
	}
	defer desk.Close()
	status, err := desk.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.Waiting != 0 || status.Dead != 0 || status.InboxPending != 0 || status.WebhooksPending != 0 || len(status.Links) != 1 {
		t.Errorf("the database it leaves: %+v", status)
	}
	if err := desk.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
