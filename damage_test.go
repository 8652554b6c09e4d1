package main_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// spoil overwrites a table's first page, as a disk does that goes bad.
func (r *rig) spoil(table string) {
	r.t.Helper()
	page, err := strconv.Atoi(r.query("SELECT rootpage FROM sqlite_schema WHERE name = ?", table)[0])
	if err != nil {
		r.t.Fatal(err)
	}
	f, err := os.OpenFile(r.env["AGENT_DB"], os.O_WRONLY, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0x5a}, 4096), int64(page-1)*4096)
	if err := errors.Join(err, f.Close()); err != nil {
		r.t.Fatal(err)
	}
}

// TestADamagedDatabaseStopsTheAgentUntilItIsMended goes through what README says of it, with the commands that it gives:
// nothing is acknowledged or sent once the damage shows, the file is left as it is, and what is saved of it is delivered.
func TestADamagedDatabaseStopsTheAgentUntilItIsMended(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("the sqlite3 shell is not installed:", err)
	}
	r := newRig(t, simulator.Options{})
	r.env["AGENT_DB"] = r.dir + "/tigerops-incidentio.db"
	r.start()
	r.event(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"First","severity":"critical"}}`)
	r.settled()
	r.eventually("the webhooks of that have ended, so that none is looked at after the restart", func() bool {
		return len(r.query("SELECT id FROM webhook WHERE state = 'done'")) > 0 && len(r.query("SELECT id FROM webhook WHERE state = 'pending'")) == 0
	})
	away, err := r.sim.Break(simulator.Fault{Method: "POST", Path: "/v2/**", Kind: simulator.StatusCode, Status: http.StatusServiceUnavailable})
	if err != nil {
		t.Fatal(err)
	}
	r.event(`{"id":"e2","type":"incident.created","incident":{"id":"TIG-2","title":"Waits","severity":"critical"}}`)

	r.stop() // which moves the WAL into the file
	r.start()
	r.spoil("webhook")
	// What another process commits makes the agent read from the file again what it held in memory.
	if err := r.exec(`INSERT INTO outbox (payload) VALUES ('{"id":"sql","type":"slo.breached"}')`); err != nil {
		t.Fatal(err)
	}
	r.eventually("the damage shows", func() bool {
		r.run("", "webhook", "test")
		status, answer := r.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(answer, "is damaged")
	})
	if status, answer := r.post("/v1/events", `{"id":"e3","type":"incident.updated","incident":{"id":"TIG-1","title":"Third"}}`); status != http.StatusServiceUnavailable {
		t.Errorf("an event for the damaged file: %d %s, want 503", status, answer)
	}
	if out, _, _ := r.run("", "webhook", "test"); !strings.Contains(out, "503") {
		t.Errorf("a webhook for the damaged file: %s, want 503", out)
	}
	if out, stderr, _ := r.run("", "status"); !strings.Contains(out+stderr, "is damaged") {
		t.Errorf("status says\n%s%s", out, stderr)
	}
	if got := r.stop(); got != 0 {
		t.Errorf("asked to stop it ended with %d", got)
	}
	r.sim.Mend(away)
	if n := strings.Count(r.log.String(), "the database is damaged"); n != 1 {
		t.Errorf("the log tells of the damage %d times, want once", n)
	}

	for _, args := range [][]string{{"run"}, {"enqueue", "-"}} {
		_, stderr, status := r.run(`{"id":"e3","type":"incident.updated","incident":{"id":"TIG-1","title":"Third"}}`, args...)
		if status != 1 || !strings.Contains(stderr, r.env["AGENT_DB"]+" is damaged (") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v ended with %d and says %s", args, status, stderr)
		}
	}

	var commands []string
	for _, b := range readme(t).in(t, "A damaged database", "sh") {
		for _, line := range b.lines() {
			if !strings.Contains(line, "systemctl") && !strings.HasPrefix(line, "cd ") && !strings.HasPrefix(line, "chown ") {
				commands = append(commands, line)
			}
		}
	}
	sh := exec.Command("sh", "-c", strings.Join(commands, "\n"))
	sh.Dir = r.dir
	if out, err := sh.CombinedOutput(); err != nil || !strings.Contains(string(out), "ok") {
		t.Fatalf("%s\n%v\n%s", strings.Join(commands, "\n"), err, out)
	}
	r.start()
	r.event(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"First","severity":"critical"}}`)
	r.settled()
	if n := len(r.sim.Snapshot().Incidents); n != 2 {
		t.Errorf("incident.io has %d incidents, want each of the two once", n)
	}
	if status, answer := r.get("/readyz"); status != http.StatusOK {
		t.Errorf("after the mend: %d %s", status, answer)
	}
	if got := r.query("PRAGMA auto_vacuum")[0] + " " + r.query("PRAGMA journal_mode")[0]; got != "2 wal" {
		t.Errorf("auto_vacuum and journal_mode: got %s, want 2 wal", got)
	}
}
