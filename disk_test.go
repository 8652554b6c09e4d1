package main_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// asRoot skips a test that has to mount something or to be somebody else.
func asRoot(t *testing.T, tools ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may do what this test does")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
}

// smallDisk is a file system of its own.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("nothing can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// TestAFullDiskRefusesAndGoesOnByItself fills a real file system under the running agent: what does not fit is not
// acknowledged, readiness says why, and once there is room again everything goes on without anybody's help.
func TestAFullDiskRefusesAndGoesOnByItself(t *testing.T) {
	t.Parallel()
	asRoot(t, "mount", "umount")
	r := newRig(t, simulator.Options{Limits: simulator.NoLimits})
	disk := smallDisk(t, "20m")
	r.env["AGENT_DB"] = filepath.Join(disk, "agent.db")
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, bytes.Repeat([]byte("x"), 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	t.Cleanup(r.kill) // before the file system goes
	var acknowledged []string
	// post sends another event of 30 KB, and says whether it was acknowledged.
	post := func() bool {
		t.Helper()
		id := fmt.Sprintf("e%03d", len(acknowledged))
		status, answer := r.post("/v1/events", fmt.Sprintf(`{"id":%q,"type":"incident.created","incident":{"id":"TIG-%s","title":"Slow","severity":"critical","ai_summary":%q}}`,
			id, id, strings.Repeat("long ", 6000)))
		switch status {
		case http.StatusAccepted:
			acknowledged = append(acknowledged, id)
		case http.StatusServiceUnavailable:
		default:
			t.Fatalf("a full disk is answered %d %s", status, answer)
		}
		return status == http.StatusAccepted
	}
	r.eventually("an event does not fit, and readiness says why", func() bool {
		if post() {
			return false
		}
		status, answer := r.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(answer, "the database can't be written") && strings.Contains(answer, "full")
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	r.eventually("it is ready again", func() bool { status, _ := r.get("/readyz"); return status == http.StatusOK })
	r.eventually("the event that did not fit is taken", post)
	r.settled()
	if got := r.query("SELECT event_id FROM outbox WHERE state = 'done' ORDER BY id"); !slices.Equal(got, acknowledged) {
		t.Errorf("done are %v, want those that were acknowledged: %v", got, acknowledged)
	}
	if n := len(r.sim.Snapshot().Incidents); n != len(acknowledged) {
		t.Errorf("%d incidents, want %d, each once", n, len(acknowledged))
	}
	if got := r.query("PRAGMA integrity_check"); got[0] != "ok" {
		t.Errorf("integrity_check: %v", got)
	}
	if n := strings.Count(r.log.String(), "the database can't be written"); n > 3 {
		t.Errorf("the log tells of it %d times", n)
	}
}

// TestADatabaseThatCannotBeWrittenEndsTheStartByName starts on a file system that is read-only, and as a user who may not
// write the file.
func TestADatabaseThatCannotBeWrittenEndsTheStartByName(t *testing.T) {
	t.Parallel()
	asRoot(t, "mount", "umount", "setpriv")
	r := newRig(t, simulator.Options{})
	disk := smallDisk(t, "6m")
	r.env["AGENT_DB"] = filepath.Join(disk, "agent.db")
	r.start()
	r.event(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Slow","severity":"critical"}}`)
	r.settled()
	r.stop()
	ends := func(what, says string, cmd *exec.Cmd) {
		t.Helper()
		cmd.Dir, cmd.Env = "/", r.environ()
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != 1 || !strings.Contains(string(out), r.env["AGENT_DB"]) || !strings.Contains(string(out), says) || bytes.Count(out, []byte("\n")) != 1 {
			t.Errorf("%s: ended with %d and says\n%s", what, got, out)
		}
	}
	program := forAll(t)
	if out, err := exec.Command("mount", "-o", "remount,ro", disk).CombinedOutput(); err != nil {
		t.Fatalf("remount: %v: %s", err, out)
	}
	ends("a read-only file system", "read-only", exec.Command(program, "run"))
	if out, err := exec.Command("mount", "-o", "remount,rw", disk).CombinedOutput(); err != nil {
		t.Fatalf("remount: %v: %s", err, out)
	}
	if err := os.Chmod(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := disk; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(r.env["AGENT_DB"], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(r.env["AGENT_DB"]+".lock", 0o644); err != nil {
		t.Fatal(err)
	}
	ends("another user's file", "may not write", exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "run"))
	if got := r.query("SELECT event_id FROM outbox"); !slices.Equal(got, []string{"e1"}) {
		t.Errorf("the outbox holds %v", got)
	}
}

// forAll is the program where any user can run it.
func forAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tigerops-incidentio-bin-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	to := filepath.Join(dir, "tigerops-incidentio")
	if err := os.WriteFile(to, must(os.ReadFile(binary)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestALockHeldByAnotherProcessIsWaitedFor holds the write lock from another process, for a moment and for longer than
// anybody waits.
func TestALockHeldByAnotherProcessIsWaitedFor(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("the sqlite3 shell is not installed:", err)
	}
	r := newRig(t, simulator.Options{})
	r.start()
	// hold has the lock until the function that it gives is called.
	hold := func() (release func()) {
		cmd := exec.Command("sqlite3", r.env["AGENT_DB"])
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(in, ".timeout 5000\nBEGIN IMMEDIATE;\nSELECT 'held';")
		if _, err := out.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		return func() { fmt.Fprintln(in, "ROLLBACK;"); _ = in.Close(); _ = cmd.Wait() }
	}
	release := hold()
	var sender sync.WaitGroup
	sender.Go(func() {
		if status, answer := r.post("/v1/events", `{"id":"moment","type":"slo.breached"}`); status != http.StatusAccepted {
			t.Errorf("while the lock was held for a moment: %d %s", status, answer)
		}
	})
	r.eventually("the agent waits for the lock", func() bool { status, _ := r.get("/healthz"); return status == http.StatusOK })
	release()
	sender.Wait()

	release = hold()
	status, answer := r.post("/v1/events", `{"id":"long","type":"slo.breached"}`)
	if status != http.StatusServiceUnavailable {
		t.Errorf("while the lock is held: %d %s, want 503", status, answer)
	}
	r.eventually("readiness says why", func() bool {
		status, answer := r.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(answer, "locked")
	})
	if got := r.query("SELECT event_id FROM outbox ORDER BY id"); !slices.Equal(got, []string{"moment"}) {
		t.Errorf("while the lock is held the outbox holds %v", got)
	}
	release()
	r.eventually("it is ready again", func() bool { status, _ := r.get("/readyz"); return status == http.StatusOK })
	r.event(`{"id":"long","type":"slo.breached"}`)
	r.settled()
	if got := r.query("SELECT event_id FROM outbox ORDER BY id"); !slices.Equal(got, []string{"moment", "long"}) {
		t.Errorf("the outbox holds %v", got)
	}
}

// TestAnotherUserOfTheGroupWorksBySQL has the agent and TigerOps as two users of one group on the directory that the
// package makes, with Debian's own sqlite3: reading, inserting and acknowledging, while the agent runs, while it is
// stopped, and after the other one was killed in the middle.
func TestAnotherUserOfTheGroupWorksBySQL(t *testing.T) {
	t.Parallel()
	asRoot(t, "setpriv", "sqlite3")
	const agentUser, otherUser, group = 48101, 48102, 48100
	r := newRig(t, simulator.Options{})
	state, err := os.MkdirTemp("", "tigerops-incidentio-state-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.kill(); _ = os.RemoveAll(state) })
	if err := os.Chown(state, agentUser, group); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(state, os.ModeSetgid|0o770); err != nil { // as the unit's StateDirectory
		t.Fatal(err)
	}
	r.env["AGENT_DB"] = filepath.Join(state, "tigerops-incidentio.db")
	config := filepath.Join(state, "config.yaml")
	if err := os.WriteFile(config, []byte(publishedYAML), 0o644); err != nil {
		t.Fatal(err)
	}
	as := func(uid int, umask string, args ...string) []string {
		return append([]string{"setpriv", fmt.Sprint("--reuid=", uid), fmt.Sprint("--regid=", group), "--clear-groups",
			"sh", "-c", "umask " + umask + `; exec "$@"`, "sh"}, args...)
	}
	r.program = as(agentUser, "0007", forAll(t), "run", "--config", config)
	shell := func(sql string) string {
		t.Helper()
		args := as(otherUser, "0022", "sqlite3", "-cmd", ".timeout 5000", r.env["AGENT_DB"], sql)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = state
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", sql, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	works := func(when, id string) {
		t.Helper()
		shell(fmt.Sprintf(`INSERT INTO outbox(payload) VALUES ('{"id":"%s","type":"incident.created","incident":{"id":"TIG-%s","title":"Slow","severity":"critical"}}')`, id, id))
		if got := shell(fmt.Sprintf(`SELECT state FROM outbox WHERE event_id = '%s'`, id)); got == "" {
			t.Errorf("%s: the other user does not see what it put in", when)
		}
		shell("SELECT count(*) FROM sync_state; SELECT count(*) FROM stuck; SELECT count(*) FROM story")
		shell(`UPDATE inbox SET state = 'applied' WHERE state = 'pending'`)
		if got := shell("SELECT count(*) FROM inbox WHERE state = 'pending'"); when == "while it is stopped" && got != "0" {
			t.Errorf("%s: %s changes are not acknowledged", when, got)
		}
	}
	delivered := func(id string) {
		t.Helper()
		r.eventually(id+" is declared and told", func() bool {
			return shell("SELECT count(*) FROM inbox WHERE tigerops_incident_id = 'TIG-"+id+"'") == "1"
		})
	}
	r.start()
	works("while it runs", "1")
	delivered("1")
	works("while it runs", "2")
	delivered("2")
	if got := r.stop(); got != 0 {
		t.Errorf("stopped with %d", got)
	}
	works("while it is stopped", "3")

	// Killed while it holds the write lock: -wal and -shm stay, and are its own.
	args := as(otherUser, "0022", "sqlite3", r.env["AGENT_DB"])
	killed := exec.Command(args[0], args[1:]...)
	in, err := killed.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := killed.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, `INSERT INTO outbox(payload) VALUES ('{"id":"4","type":"incident.created","incident":{"id":"TIG-4","title":"Slow","severity":"critical"}}');
BEGIN IMMEDIATE; INSERT INTO outbox(payload) VALUES ('{"id":"half","type":"slo.breached"}'); SELECT 'begun';`)
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	_ = killed.Process.Kill()
	_ = killed.Wait()
	info, err := os.Stat(r.env["AGENT_DB"] + "-wal")
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != otherUser || info.Mode().Perm() != 0o660 {
		t.Errorf("the WAL that the killed one left: %v, %v", info, err)
	}
	r.start()
	delivered("3")
	delivered("4")
	works("while it runs again", "5")
	delivered("5")
	if got := shell("SELECT count(*) FROM outbox WHERE event_id = 'half'"); got != "0" {
		t.Error("what was never committed is there")
	}
	for _, name := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(r.env["AGENT_DB"] + name)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); info.Mode().Perm() != 0o660 || st.Gid != group {
			t.Errorf("%s: mode %o, group %d", filepath.Base(info.Name()), info.Mode().Perm(), st.Gid)
		}
	}
}
