package agent_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/tigerops/tigerops-incidentio/agent"
)

// The tests of this package run the agent as a process of its own, so that it can be killed: the test binary itself,
// told so by a variable in its environment.
const (
	agentConfigEnv = "TIGEROPS_TEST_AGENT"      // the configuration file: be the agent, not the tests
	crashPointEnv  = "TIGEROPS_TEST_CRASH"      // where the agent is to crash at each request that changes something
	crashSeenEnv   = "TIGEROPS_TEST_CRASH_SEEN" // the file in which it notes at which requests it has
)

// Points at which the agent crashes, around a request's way.
const (
	crashBefore   = "before the send"
	crashSent     = "after the send, before the answer"
	crashAnswered = "after the answer, before the commit"
)

func TestMain(m *testing.M) {
	if config := os.Getenv(agentConfigEnv); config != "" {
		os.Exit(beAgent(config))
	}
	os.Exit(m.Run())
}

// beAgent runs the agent until SIGTERM.
func beAgent(config string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	environ := make(map[string]string)
	for _, kv := range os.Environ() {
		k, v, _ := strings.Cut(kv, "=")
		environ[k] = v
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	load := func() (agent.Config, error) { return agent.Load(agent.LoadOptions{File: config, Environ: environ}) }
	c, err := load()
	if err != nil {
		log.Error("load the configuration", "error", err)
		return 2
	}
	o := agent.Options{Config: c, Reload: load, Log: log, Version: "test"}
	if at := os.Getenv(crashPointEnv); at != "" {
		o.HTTP = &http.Client{Transport: newCrasher(at, os.Getenv(crashSeenEnv)), Timeout: 10 * time.Second}
	}
	a, err := agent.New(ctx, o)
	if err == nil {
		err = a.Run(ctx)
	}
	if err != nil {
		log.Error("run the agent", "error", err)
		return 1
	}
	return 0
}

// crasher kills its own process once at each request that changes something: the same bytes to the same address pass
// the next time.
type crasher struct {
	at, seen string
	next     http.Transport
	doomed   atomic.Bool // the next bytes that go out are the last
	mu       sync.Mutex
}

func newCrasher(at, seen string) *crasher {
	c := &crasher{at: at, seen: seen}
	c.next.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return doomedConn{conn, &c.doomed}, err
	}
	return c
}

func (c *crasher) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet || !c.first(r) {
		return c.next.RoundTrip(r)
	}
	switch c.at {
	case crashBefore:
		die()
	case crashSent:
		// All of the request is in the connection's buffer by then, which goes out next.
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			WroteRequest: func(httptrace.WroteRequestInfo) { c.doomed.Store(true) },
		}))
	}
	resp, err := c.next.RoundTrip(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	die()
	return nil, nil
}

type doomedConn struct {
	net.Conn
	doomed *atomic.Bool
}

func (c doomedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if c.doomed.Load() {
		die()
	}
	return n, err
}

// first notes a request, and says whether it was not noted before.
func (c *crasher) first(r *http.Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.Sum256(append([]byte(r.Method+" "+r.URL.Path+"\n"), body...))
	name := hex.EncodeToString(sum[:])
	noted, err := os.ReadFile(c.seen)
	if err == nil && strings.Contains(string(noted), name) {
		return false
	}
	f, err := os.OpenFile(c.seen, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	_, err = f.WriteString(name + "\n")
	if err = cmp.Or(err, f.Close()); err != nil {
		panic(err)
	}
	return true
}

// die ends this process as a power cut would.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// process is the agent as a process on a directory of its own, which outlives it.
type process struct {
	testing.TB
	dir   string
	env   map[string]string
	local *http.Client // to the local listener, a socket in dir; the host of the URL does not matter
	hooks string       // the webhook port's URL
	db    *sql.DB      // a stranger's connection, for reading and for the SQL door

	mu      sync.Mutex
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd has ended
	started int
	cpu     time.Duration // of those that ended
}

// Distinctive secrets, so that a leak can be looked for.
const (
	theKey           = "inc_KEY_hunter2_5d2e"
	theWebhookSecret = "whsec_aHVudGVyMi1zb2FrLXNlY3JldC0wMTIzNDU2Nzg5YWI="
	theAlertToken    = "ALERT_TOKEN_hunter2_11bb"
)

const localURL = "http://agent"

// newProcess prepares an agent that talks to the API at url. It is not started yet.
func newProcess(t testing.TB, url, config string, env map[string]string) *process {
	t.Helper()
	// A short path: sockets' names are bounded at some hundred bytes.
	dir, err := os.MkdirTemp("", "tigerops-")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{TB: t, dir: dir}
	t.Cleanup(func() {
		p.kill()
		if p.db != nil {
			_ = p.db.Close()
		}
		if t.Failed() {
			t.Logf("the agent's files are left in %s; its log ends with:\n%s", dir, p.logTail(40))
			return
		}
		_ = os.RemoveAll(dir)
	})
	socket := filepath.Join(dir, "local.sock")
	p.local = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
		MaxIdleConnsPerHost: 64,
	}}
	port := freePort(t)
	p.hooks = "http://127.0.0.1:" + port + "/webhooks/incident-io"
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = map[string]string{
		agentConfigEnv:               file,
		"INCIDENT_IO_API_KEY":        theKey,
		"INCIDENT_IO_API_URL":        url,
		"INCIDENT_IO_WEBHOOK_SECRET": theWebhookSecret,
		"AGENT_DB":                   filepath.Join(dir, "agent.db"),
		"AGENT_WEBHOOK_ADDR":         "127.0.0.1:" + port,
		"AGENT_LOCAL_ADDR":           "unix:" + socket,
		"AGENT_BACKOFF_INITIAL":      "20ms",
		"AGENT_BACKOFF_MAX":          "1s",
		"GORACE":                     "halt_on_error=1",
	}
	for k, v := range env {
		p.env[k] = v
	}
	return p
}

// freePort is a port that nobody listens on, below those that the kernel gives to outgoing connections: nobody takes
// it while the agent is dead.
func freePort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(18_000 + rand.IntN(14_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// start starts the agent and waits until it answers. It is false if the agent ended before it did.
func (p *process) start() bool {
	p.Helper()
	ended := p.spawn()
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if resp, err := p.local.Get(localURL + "/healthz"); err == nil {
			_ = resp.Body.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-deadline.C:
			p.Fatalf("the agent does not answer a minute after its start:\n%s", p.logTail(20))
		case <-again.C:
		}
	}
}

// spawn starts the agent and does not wait for anything. ended is closed when it has ended.
func (p *process) spawn() (ended chan struct{}) {
	p.Helper()
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(os.Args[0])
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, p.dir
	for k, v := range p.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	ended = make(chan struct{})
	go func() {
		_ = cmd.Wait()
		p.mu.Lock()
		p.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		p.mu.Unlock()
		close(ended)
	}()
	p.mu.Lock()
	p.cmd, p.ended = cmd, ended
	p.started++
	p.mu.Unlock()
	return ended
}

// kill ends the agent as a power cut would, if it runs.
func (p *process) kill() { p.end(syscall.SIGKILL) }

// stop asks the agent to end, and waits for it.
func (p *process) stop() { p.end(syscall.SIGTERM) }

func (p *process) end(s syscall.Signal) {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.cmd = nil
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(s)
	<-ended
}

// gone is closed when the agent that was started last has ended.
func (p *process) gone() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

func (p *process) logFile() string {
	b, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return ""
	}
	return string(b)
}

func (p *process) logTail(lines int) string {
	all := strings.Split(strings.TrimRight(p.logFile(), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// database is a stranger's connection to the agent's database, as the sqlite3 shell has one.
func (p *process) database() *sql.DB {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.db == nil {
		var err error
		if p.db, err = sql.Open("sqlite", "file:"+p.env["AGENT_DB"]+"?_pragma=busy_timeout(20000)&_txlock=immediate"); err != nil {
			p.Fatal(err)
		}
	}
	return p.db
}

// rows reads the first column of a query's rows, as text.
func (p *process) rows(query string, args ...any) []string {
	p.Helper()
	all, err := p.query(query, args...)
	if err != nil {
		p.Fatalf("%s: %v", query, err)
	}
	return all
}

func (p *process) query(query string, args ...any) (all []string, err error) {
	rows, err := p.database().Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s sql.NullString
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s.String)
	}
	return all, rows.Err()
}

// count is the number that a query answers.
func (p *process) count(query string, args ...any) int {
	p.Helper()
	n, err := strconv.Atoi(p.rows(query, args...)[0])
	if err != nil {
		p.Fatalf("%s: %v", query, err)
	}
	return n
}

func (p *process) exec(query string, args ...any) {
	p.Helper()
	if _, err := p.database().Exec(query, args...); err != nil {
		p.Fatalf("%s: %v", query, err)
	}
}

// post puts events into the outbox through the local listener. Only nil means that they were accepted.
func (p *process) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, localURL+"/v1/events", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := p.local.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("POST /v1/events: %s %s", resp.Status, answer)
	}
	return nil
}

// within waits until a condition holds, and fails the test if it does not come to hold in time.
func within(t testing.TB, d time.Duration, what string, holds func() bool) {
	t.Helper()
	if !holdsWithin(d, holds) {
		t.Fatalf("waited %s in vain: %s", d, what)
	}
}

// holdsWithin waits until a condition holds, and says whether it came to hold in time.
func holdsWithin(d time.Duration, holds func() bool) bool {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			return false
		case <-again.C:
		}
	}
	return true
}

// integrity fails the test unless the database is sound and, with the log, free of secrets.
func (p *process) integrity() {
	p.Helper()
	if got := p.rows("PRAGMA integrity_check"); !slices.Equal(got, []string{"ok"}) {
		p.Errorf("integrity_check: %v", got)
	}
	names, err := os.ReadDir(p.dir)
	if err != nil {
		p.Fatal(err)
	}
	for _, n := range names {
		if !n.Type().IsRegular() || n.Name() == "config.yaml" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(p.dir, n.Name()))
		if err != nil {
			p.Fatal(err)
		}
		for _, secret := range []string{theKey, theWebhookSecret, strings.TrimPrefix(theWebhookSecret, "whsec_"), theAlertToken} {
			if bytes.Contains(b, []byte(secret)) {
				p.Errorf("%s holds the secret %s…", n.Name(), secret[:8])
			}
		}
		if bytes.Contains(b, []byte("DATA RACE")) {
			p.Errorf("%s tells of a data race", n.Name())
		}
	}
}

// text is JSON without the escapes that make a diff hard to read.
func text(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return b.String()
}

// decode reads JSON.
func decode(t testing.TB, b []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
}
