package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// litestreamInstall puts the Litestream that the standby is tested with onto the PATH; .ci/run does it.
const litestreamInstall = "go install github.com/benbjohnson/litestream/cmd/litestream@v0.5.18"

// litestream is the real program, a process of its own that the test can kill.
type litestream struct {
	*rig
	config string
	cmd    *exec.Cmd
}

// newLitestream takes packaging/litestream.yml, with a directory for the bucket.
func newLitestream(r *rig, name, db, replica string) *litestream {
	r.t.Helper()
	text := string(must(os.ReadFile(filepath.Join("packaging", "litestream.yml"))))
	for _, change := range [][2]string{
		{`/var/lib/tigerops-incidentio/tigerops-incidentio\.db`, db},
		{`type: s3\n +bucket: tigerops-backups\n +path: tigerops-incidentio\n +region: eu-central-1\n`, "type: file\n      path: " + replica + "\n"},
	} {
		changed := regexp.MustCompile(change[0]).ReplaceAllLiteralString(text, change[1])
		if changed == text {
			r.t.Fatalf("packaging/litestream.yml has no %s", change[0])
		}
		text = changed
	}
	return &litestream{rig: r, config: r.write(name, text)}
}

func (l *litestream) start() {
	l.t.Helper()
	l.cmd = exec.Command("litestream", "replicate", "-config", l.config)
	l.cmd.Stdout, l.cmd.Stderr = l.log, l.log
	if err := l.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(l.kill)
}

// kill ends it as a power cut would.
func (l *litestream) kill() {
	if l.cmd != nil {
		_ = l.cmd.Process.Kill()
		_ = l.cmd.Wait()
		l.cmd = nil
	}
}

// restore runs the command of packaging/examples/restore.conf.
func (l *litestream) restore(db string) (string, error) {
	l.t.Helper()
	unit := string(must(os.ReadFile(filepath.Join("packaging", "examples", "restore.conf"))))
	m := regexp.MustCompile(`(?m)^ExecStartPre=/usr/bin/(litestream restore .*) -config \S+ \S+$`).FindStringSubmatch(unit)
	if m == nil {
		l.t.Fatal("restore.conf restores nothing")
	}
	args := append(strings.Fields(m[1])[1:], "-config", l.config, db)
	out, err := exec.Command("litestream", args...).CombinedOutput()
	return string(out), err
}

// restored are the ids of the events in the copy elsewhere, as it is now.
func (l *litestream) restored() []string {
	l.t.Helper()
	to := filepath.Join(l.t.TempDir(), "look.db")
	out, err := exec.Command("litestream", "restore", "-config", l.config, "-o", to, l.env["AGENT_DB"]).CombinedOutput()
	if err != nil {
		return []string{string(out)} // nothing is there yet
	}
	here := l.env["AGENT_DB"]
	defer func() { l.env["AGENT_DB"] = here }()
	l.env["AGENT_DB"] = to
	return l.query("SELECT event_id FROM outbox ORDER BY id")
}

// TestStandbyFromLitestreamDoublesNothing loses a host and starts the agent elsewhere from Litestream's copy, with the
// files of packaging. What was acknowledged after the last upload is not in the copy.
func TestStandbyFromLitestreamDoublesNothing(t *testing.T) {
	t.Parallel()
	version, err := exec.Command("litestream", "version").Output()
	if err != nil {
		t.Skipf("litestream is not installed (%s): %v", litestreamInstall, err)
	}
	if !strings.HasPrefix(string(version), "v0.5.") {
		t.Skipf("litestream is %s, this is about 0.5 (%s)", strings.TrimSpace(string(version)), litestreamInstall)
	}
	r := newRig(t, simulator.Options{Limits: simulator.NoLimits})
	replica := filepath.Join(r.dir, "bucket")
	r.env["AGENT_DB"] = filepath.Join(r.dir, "primary.db")
	primary := newLitestream(r, "primary.yml", r.env["AGENT_DB"], replica)
	primary.start() // it waits for the database
	var standby *litestream
	r.outlivesItsHost(func(last string) {
		r.eventually("all of it is in the copy", func() bool { return slices.Contains(primary.restored(), last) })
		if log := r.log.String(); !strings.Contains(log, "sync-interval=500ms") {
			t.Errorf("Litestream does not take the file's intervals:\n%s", log)
		}
		if tables := r.query("SELECT name FROM sqlite_schema WHERE name LIKE '\\_litestream\\_%' ESCAPE '\\' ORDER BY name"); len(tables) == 0 {
			t.Error("Litestream has no table in the file: the agent knows it by them")
		}
		primary.kill()
	}, func() {
		r.env["AGENT_DB"] = filepath.Join(r.dir, "elsewhere", "standby.db")
		if err := os.Mkdir(filepath.Dir(r.env["AGENT_DB"]), 0o700); err != nil {
			t.Fatal(err)
		}
		standby = newLitestream(r, "standby.yml", r.env["AGENT_DB"], replica)
		if out, err := standby.restore(r.env["AGENT_DB"]); err != nil {
			t.Fatalf("restore: %v\n%s", err, out)
		}
		standby.start()
	})
	r.eventually("the standby is replicated in its turn", func() bool { return slices.Contains(standby.restored(), "TIG-2 resolved") })
	// A start with a database that is there leaves it alone.
	if out, err := standby.restore(r.env["AGENT_DB"]); err != nil {
		t.Errorf("restore over a database that is there: %v\n%s", err, out)
	}
}
