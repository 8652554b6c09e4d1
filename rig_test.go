package main_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// binary is the program as a user would build it, made once for all tests of this package.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tigerops-incidentio-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "tigerops-incidentio")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the program:", err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// publishedYAML is the configuration file as TigerOps publishes it (contract section 2), verbatim.
const publishedYAML = `integrations:
  incident_io:
    api_key: "${INCIDENT_IO_API_KEY}"
    org_slug: "${INCIDENT_IO_ORG_SLUG}"
    webhook_secret: "${INCIDENT_IO_WEBHOOK_SECRET}"
    min_severity: warning          # info < warning < critical
    auto_declare: true             # false: alerts only, incident.io's alert routes decide
    auto_resolve: true             # false: a TigerOps resolve is told on the timeline, people close the incident
    severity_mapping:
      critical: "SEV1"
      warning: "SEV2"
      info: "SEV3"
    custom_fields:
      affected_services: "custom_field_abc"
      slo_breach: "custom_field_def"
      ai_summary: "custom_field_ghi"
      deployment_sha: "custom_field_jkl"
    sync_options:
      push_timeline_events: true
      push_runbook_actions: true
      pull_status_changes: true
      pull_role_assignments: true
    service_mappings:
      - tigerops_service: "api-gateway"
        incident_io_service: "API Gateway"
        default_severity: "SEV1"
`

// Distinctive secrets, so that a leak can be looked for.
const (
	testKey         = "inc_KEY_hunter2_4f1c"
	testSecret      = "whsec_aHVudGVyMi13ZWJob29rLXNlY3JldC0wMTIzNDU2Nzg5"
	testAlertToken  = "ALERT_TOKEN_hunter2_77aa"
	testApplySecret = "APPLY_SECRET_hunter2_99cc"
)

// rig is the built program on a directory of its own, with a simulated incident.io as the other end.
type rig struct {
	t        testing.TB
	dir      string
	sim      *simulator.Simulator
	server   *httptest.Server
	env      map[string]string
	webhooks string   // the webhook port's URL
	local    string   // the local listener's URL
	program  []string // what start runs; nil: the agent as this user
	socket   *os.File // if set, the webhook port, handed over as the service manager does

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan error
	log  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t testing.TB, o simulator.Options) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), log: &lockedBuffer{}}
	webhookPort, localPort := freePort(t), freePort(t)
	r.webhooks = "http://127.0.0.1:" + webhookPort + "/webhooks/incident-io"
	r.local = "http://127.0.0.1:" + localPort
	o.Key = testKey
	if o.WebhookURL == "" {
		o.WebhookURL, o.WebhookSecrets = r.webhooks, []string{testSecret}
	}
	r.sim = simulator.New(o)
	r.server = httptest.NewServer(r.sim)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = r.sim.Close(ctx)
		r.server.Close()
	})
	r.env = map[string]string{
		"PATH":                       os.Getenv("PATH"),
		"HOME":                       r.dir,
		"INCIDENT_IO_API_KEY":        testKey,
		"INCIDENT_IO_ORG_SLUG":       "example",
		"INCIDENT_IO_WEBHOOK_SECRET": testSecret,
		"INCIDENT_IO_API_URL":        r.server.URL,
		"AGENT_DB":                   filepath.Join(r.dir, "agent.db"),
		"AGENT_WEBHOOK_ADDR":         "127.0.0.1:" + webhookPort,
		"AGENT_LOCAL_ADDR":           "127.0.0.1:" + localPort,
		"AGENT_BACKOFF_INITIAL":      "50ms",
		"AGENT_BACKOFF_MAX":          "1s",
		"AGENT_RECONCILE_INTERVAL":   "2s",
	}
	r.write("config.yaml", publishedYAML)
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			t.Logf("the agent's log:\n%s", tail(r.log.String(), 60))
		}
	})
	return r
}

// nextPort is where freePort goes on.
var nextPort atomic.Int64

func init() { nextPort.Store(rand.Int64N(ports)) }

// ports from firstPort on are below those that the kernel gives to outgoing connections on Linux
// (net.ipv4.ip_local_port_range, 32768 to 60999), so that none of those takes one while the agent is not running.
const firstPort, ports = 18_000, 14_000

// freePort is a port that nobody listens on, another one each time in this process: who asks for two before he listens would
// get the same from the kernel now and then.
func freePort(t testing.TB) string {
	t.Helper()
	for range ports {
		port := strconv.FormatInt(firstPort+nextPort.Add(1)%ports, 10)
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (r *rig) write(name, text string) string {
	r.t.Helper()
	name = filepath.Join(r.dir, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return name
}

func (r *rig) environ() []string {
	var all []string
	for k, v := range r.env {
		all = append(all, k+"="+v)
	}
	return all
}

// start runs the agent and waits until it is ready.
func (r *rig) start() {
	r.t.Helper()
	program := r.program
	if program == nil {
		program = []string{binary, "run", "--config", filepath.Join(r.dir, "config.yaml")}
	}
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = filepath.Dir(r.env["AGENT_DB"]), r.environ(), r.log, r.log
	if r.socket != nil {
		// The agent must find its own process id in the environment, which the shell knows before it becomes the agent.
		cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`}, cmd.Args...)
		cmd.ExtraFiles = []*os.File{r.socket}
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	r.mu.Lock()
	r.cmd, r.done = cmd, done
	r.mu.Unlock()
	r.eventually("the agent is ready", func() bool {
		select {
		case err := <-done:
			r.t.Fatalf("the agent ended at its start: %v\n%s", err, r.log)
		default:
		}
		resp, err := http.Get(r.local + "/healthz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// kill ends the agent as a power cut would.
func (r *rig) kill() {
	r.mu.Lock()
	cmd, done := r.cmd, r.done
	r.cmd = nil
	r.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-done
	}
}

// stop asks the agent to end and returns its exit status.
func (r *rig) stop() int {
	r.t.Helper()
	r.mu.Lock()
	cmd, done := r.cmd, r.done
	r.cmd = nil
	r.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		r.t.Fatal("the agent does not stop within 15 s")
	}
	return cmd.ProcessState.ExitCode()
}

// run runs a command of the program and returns what it printed and its exit status.
func (r *rig) run(stdin string, args ...string) (stdout, stderr string, status int) {
	r.t.Helper()
	cmd := exec.Command(binary, append(args, "--config", filepath.Join(r.dir, "config.yaml"))...)
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, r.environ(), strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		r.t.Fatalf("run %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// eventually waits for something to hold, asking again and again.
func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	eventually(r.t, what, holds)
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(40 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// post sends a body to the local listener.
func (r *rig) post(path, body string) (status int, answer string) {
	r.t.Helper()
	resp, err := http.Post(r.local+path, "application/json", strings.NewReader(body))
	if err != nil {
		r.t.Fatalf("POST %s: %v", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func (r *rig) get(path string) (status int, answer string) {
	r.t.Helper()
	resp, err := http.Get(r.local + path)
	if err != nil {
		r.t.Fatalf("GET %s: %v", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// event posts one event and wants it accepted.
func (r *rig) event(payload string) {
	r.t.Helper()
	if status, answer := r.post("/v1/events", payload); status != http.StatusAccepted {
		r.t.Fatalf("POST /v1/events: %d %s, want 202", status, answer)
	}
}

// query reads rows as the sqlite3 shell would, from outside; each row as text, columns joined by |.
func (r *rig) query(q string, args ...any) []string {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.env["AGENT_DB"]+"?_pragma=busy_timeout(5000)")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.Query(q, args...)
	if err != nil {
		r.t.Fatalf("%s: %v", q, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		r.t.Fatal(err)
	}
	var all []string
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			r.t.Fatal(err)
		}
		line := make([]string, len(columns))
		for i, v := range values {
			line[i] = v.String
		}
		all = append(all, strings.Join(line, "|"))
	}
	if err := rows.Err(); err != nil {
		r.t.Fatalf("%s: %v", q, err)
	}
	return all
}

// exec writes as the sqlite3 shell would.
func (r *rig) exec(q string, args ...any) error {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.env["AGENT_DB"]+"?_pragma=busy_timeout(5000)")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	_, err = db.Exec(q, args...)
	return err
}

// settled waits until every event in the outbox has ended.
func (r *rig) settled() {
	r.t.Helper()
	r.eventually("every event has ended", func() bool { return len(r.query("SELECT id FROM outbox WHERE state = 'pending'")) == 0 })
}

// inbox are the inbox's rows of a type, oldest first, decoded.
func (r *rig) inbox(kind string) []map[string]any {
	r.t.Helper()
	var all []map[string]any
	for _, p := range r.query("SELECT payload FROM inbox WHERE type = ? ORDER BY id", kind) {
		var m map[string]any
		if err := json.Unmarshal([]byte(p), &m); err != nil {
			r.t.Fatalf("inbox payload %s: %v", p, err)
		}
		all = append(all, m)
	}
	return all
}

// incident is the only incident of incident.io.
func (r *rig) incident() simulator.IncidentView {
	r.t.Helper()
	all := r.sim.Snapshot().Incidents
	if len(all) != 1 {
		r.t.Fatalf("incident.io holds %d incidents, want one", len(all))
	}
	return all[0]
}
