package cli_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/cli"
	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/store"
)

// call runs the program in this process.
func call(environ []string, stdin string, args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = cli.Main(args, strings.NewReader(stdin), &out, &err, environ)
	return status, out.String(), err.String()
}

// The documented exit statuses: 0 done, 1 failed, 2 wrong usage or wrong configuration. An error is one line on stderr,
// and nothing goes to stdout then.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := "AGENT_DB=" + filepath.Join(dir, "agent.db")
	event := `{"id":"evt_1","type":"incident.created","incident":{"id":"TIG-1"}}`
	if status, _, stderr := call([]string{db}, event, "enqueue"); status != 0 {
		t.Fatal(stderr)
	}
	newer := filepath.Join(dir, "newer.db")
	copyNewer(t, filepath.Join(dir, "agent.db"), newer)
	foreign := filepath.Join(dir, "foreign.db")
	if err := os.WriteFile(foreign, []byte("no database at all, but long enough to be looked at"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // the subtests run after this function
	key := "INCIDENT_IO_API_KEY=k-that-nobody-may-see"

	for name, test := range map[string]struct {
		environ []string
		args    []string
		stdin   string
		want    int
		stderr  string // a part of it
	}{
		"done":                           {args: []string{"version"}, want: 0},
		"help":                           {args: []string{"--help"}, want: 0},
		"done with the database":         {environ: []string{db}, args: []string{"status"}, want: 0},
		"seen before":                    {environ: []string{db}, args: []string{"enqueue"}, stdin: event, want: 0},
		"no command":                     {args: nil, want: 2, stderr: "Usage:"},
		"unknown command":                {args: []string{"rnu"}, want: 2, stderr: `did you mean "run"?`},
		"unknown flag":                   {args: []string{"status", "--wach"}, want: 2, stderr: "did you mean --watch?"},
		"missing argument":               {args: []string{"backup"}, want: 2, stderr: "FILE is missing"},
		"surplus argument":               {args: []string{"version", "x"}, want: 2, stderr: `unexpected argument "x"`},
		"flags that exclude each other":  {environ: []string{db}, args: []string{"status", "--watch", "--json"}, want: 2, stderr: "leave out --json"},
		"wrong configuration":            {environ: []string{key, "AGENT_WORKERS=x"}, args: []string{"run"}, want: 2, stderr: "AGENT_WORKERS"},
		"wrong configuration, no secret": {environ: []string{db, "AGENT_RATE_LIMIT=x"}, args: []string{"status"}, want: 2, stderr: "AGENT_RATE_LIMIT"},
		"no such configuration":          {environ: []string{key}, args: []string{"run", "--config", filepath.Join(dir, "none.yaml")}, want: 2, stderr: "no such file"},
		"no key":                         {args: []string{"run"}, want: 2, stderr: "INCIDENT_IO_API_KEY"},
		"no webhook secret":              {environ: []string{key}, args: []string{"webhook", "test"}, want: 2, stderr: "INCIDENT_IO_WEBHOOK_SECRET"},
		"no webhook address":             {environ: []string{key, "INCIDENT_IO_WEBHOOK_SECRET=whsec_QUFB"}, args: []string{"webhook", "test", "ftp://x"}, want: 2, stderr: "ftp://x"},
		"a simulation for everybody":     {args: []string{"simulate", "--addr", "0.0.0.0:0"}, want: 2, stderr: "loopback"},
		"no database":                    {environ: []string{"AGENT_DB=" + filepath.Join(dir, "none.db")}, args: []string{"status"}, want: 1, stderr: "none.db"},
		"newer database":                 {environ: []string{key, "AGENT_DB=" + newer}, args: []string{"run"}, want: 1, stderr: "newer"},
		"newer database, looked at":      {environ: []string{"AGENT_DB=" + newer}, args: []string{"status"}, want: 1, stderr: "newer"},
		"somebody else's file":           {environ: []string{key, "AGENT_DB=" + foreign}, args: []string{"run"}, want: 1, stderr: "foreign.db"},
		"directory not there":            {environ: []string{key, "AGENT_DB=/proc/none/agent.db"}, args: []string{"run"}, want: 1, stderr: "/proc/none"},
		"port taken":                     {environ: []string{key, "AGENT_DB=" + filepath.Join(dir, "port.db"), "AGENT_LOCAL_ADDR=" + taken.Addr().String()}, args: []string{"run"}, want: 1, stderr: taken.Addr().String()},
		"event refused":                  {environ: []string{db}, args: []string{"enqueue"}, stdin: `{"id":"x","type":"incident.created"}`, want: 1, stderr: "stdin:1: incident.id"},
		"file not there":                 {environ: []string{db}, args: []string{"enqueue", "/none"}, want: 1, stderr: "/none"},
		"nothing known":                  {environ: []string{db}, args: []string{"show", "INC-9"}, want: 1, stderr: "INC-9"},
		"nobody answers":                 {environ: []string{key, "INCIDENT_IO_API_URL=http://127.0.0.1:1"}, args: []string{"check"}, want: 1, stderr: "127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := call(test.environ, test.stdin, test.args...)
			if status != test.want {
				t.Errorf("exit status %d, want %d\n%s", status, test.want, stderr)
			}
			if !strings.Contains(stderr, test.stderr) {
				t.Errorf("stderr: %q, want %q in it", stderr, test.stderr)
			}
			if test.want != 0 {
				if stdout != "" {
					t.Errorf("stdout: %q", stdout)
				}
				if last := lastLine(stderr); len(test.args) > 0 && !strings.HasPrefix(last, "tigerops-incidentio: ") {
					t.Errorf("no line of the program: %q", last)
				}
			}
			if strings.Contains(stdout+stderr, "nobody-may-see") {
				t.Errorf("shows the key:\n%s%s", stdout, stderr)
			}
		})
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return lines[len(lines)-1]
}

// copyNewer makes a database that a later program has migrated.
func copyNewer(t *testing.T, from, to string) {
	st, err := store.Open(context.Background(), store.Options{Path: from, Owner: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Backup(context.Background(), to); err != nil {
		t.Fatal(err)
	}
	setUserVersion(t, to, 9999)
}

// A second agent on the same file, and a file that may not be written, are exit status 1 and name the file.
func TestExitStatusOfADatabaseInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.db")
	st, err := store.Open(t.Context(), store.Options{Path: path, Owner: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	status, stdout, stderr := call([]string{"AGENT_DB=" + path, "INCIDENT_IO_API_KEY=k", "AGENT_LOCAL_ADDR=127.0.0.1:0"}, "", "run")
	if status != 1 || stdout != "" || !strings.Contains(stderr, path) || !strings.Contains(stderr, "in use") {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	// Everybody else works beside it.
	if status, _, stderr := call([]string{"AGENT_DB=" + path}, "", "status"); status != 0 {
		t.Errorf("status beside an agent: %d %s", status, stderr)
	}
}

// A test webhook is answered, and each answer but 204 comes with a hint.
func TestWebhookTest(t *testing.T) {
	t.Parallel()
	secret := "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="
	for code, hint := range map[int]string{
		204: "", 401: "another webhook secret", 404: "POST /webhooks/incident-io", 405: "POST /webhooks/incident-io", 301: "leads elsewhere", 502: "does not reach the agent",
		503: "can't store it", 413: "bounds bodies", 200: "something else than the agent", 418: "log",
	} {
		var got *http.Request
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r
			w.WriteHeader(code)
		}))
		status, stdout, stderr := call([]string{"INCIDENT_IO_WEBHOOK_SECRET=" + secret}, "", "webhook", "test", server.URL)
		server.Close()
		if got == nil || got.URL.Path != "/webhooks/incident-io" || got.Header.Get("webhook-signature") == "" {
			t.Errorf("%d: the request was %+v", code, got)
		}
		want := 1
		if code == http.StatusNoContent {
			want = 0
		}
		if status != want || !strings.Contains(stderr, hint) || !strings.Contains(stdout, server.URL) {
			t.Errorf("%d: exit status %d, stdout %q, stderr %q", code, status, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, "c2VjcmV0") {
			t.Errorf("%d: shows the secret", code)
		}
	}
	status, _, stderr := call([]string{"INCIDENT_IO_WEBHOOK_SECRET=" + secret}, "", "webhook", "test", "http://127.0.0.1:1")
	if status != 1 || !strings.Contains(stderr, "send a test webhook to http://127.0.0.1:1/webhooks/incident-io: ") {
		t.Errorf("nobody there: exit status %d, %q", status, stderr)
	}
	if _, _, stderr = call([]string{"INCIDENT_IO_WEBHOOK_SECRET=" + secret}, "", "webhook", "test", "http://u:hunter2@127.0.0.1:1"); strings.Contains(stderr, "hunter2") {
		t.Errorf("shows the address's password: %q", stderr)
	}
}

// No command prints a secret, whatever it is asked to print; the one exception is the token that setup has just made.
func TestNoCommandPrintsASecret(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{Key: "inc_secret_of_the_key"})
	server := httptest.NewServer(sim)
	defer server.Close()
	dir := t.TempDir()
	event := filepath.Join(dir, "event.json")
	if err := os.WriteFile(event, []byte(`{"id":"evt_1","type":"incident.created","incident":{"id":"TIG-1","title":"Slow","severity":"critical"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"INCIDENT_IO_API_KEY=inc_secret_of_the_key", "INCIDENT_IO_API_URL=" + server.URL, "INCIDENT_IO_WEBHOOK_SECRET=whsec_c2VjcmV0LW9mLXdlYmhvb2tz",
		"TIGEROPS_WEBHOOK_SECRET=secret-of-tigerops", "TIGEROPS_APPLY_URL=http://127.0.0.1:1", "TIGEROPS_APPLY_SECRET=secret-of-apply",
		"INCIDENT_IO_ALERT_SOURCE_ID=" + simulator.DefaultAlertSourceID, "INCIDENT_IO_ALERT_SOURCE_TOKEN=" + simulator.DefaultAlertSourceToken,
		"AGENT_DB=" + filepath.Join(dir, "agent.db")}
	for _, args := range [][]string{
		{"enqueue", event}, {"check"}, {"check", "--all"}, {"check", "--json"}, {"check", "--offline", "--all"}, {"setup"}, {"setup", "--json"}, {"setup", "--apply", "--json"},
		{"plan", event}, {"plan", event, "--json"}, {"status"}, {"status", "--json"}, {"outbox", "list", "--json"}, {"inbox", "list"},
		{"webhook", "test", server.URL}, {"version"},
	} {
		status, stdout, stderr := call(environ, "", args...)
		if status == 2 {
			t.Errorf("%v: %s", args, stderr)
		}
		for _, secret := range []string{"secret_of_the_key", "c2VjcmV0LW9mLXdlYmhvb2tz", "secret-of-tigerops", "secret-of-apply", simulator.DefaultAlertSourceToken} {
			if strings.Contains(stdout+stderr, secret) {
				t.Errorf("%v prints %s:\n%s%s", args, secret, stdout, stderr)
			}
		}
	}
}
