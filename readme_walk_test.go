package main_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// Every query of the README runs on a database of the product, and those about the demo's incident find something.
func TestREADMEQueriesAnswer(t *testing.T) {
	t.Parallel()
	d := readme(t)
	db, err := sql.Open("sqlite", "file:"+demoDatabase(t)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	queries := 0
	for _, b := range d.blocks {
		texts := []string{b.text}
		if b.lang == "sh" {
			texts = nil
			for _, m := range regexp.MustCompile(`(?m)^sqlite3 .*? "(.*)"$`).FindAllStringSubmatch(b.text, -1) {
				texts = append(texts, strings.ReplaceAll(m[1], `\"`, `"`))
			}
		} else if b.lang != "sql" {
			continue
		}
		for _, text := range texts {
			for statement := range strings.SplitSeq(text, ";\n") {
				if strings.TrimSpace(statement) == "" {
					continue
				}
				queries++
				// A thousand events show as well as a million that the statement is right.
				n, err := count(db, strings.NewReplacer("INC-123", "INC-1", "i < 1000000", "i < 1000").Replace(statement))
				if err != nil {
					t.Errorf("README.md:%d: %v\n%s", b.line, err, statement)
				}
				finds := strings.Contains(statement, "TIG-4711") || strings.Contains(statement, "people change") || strings.Contains(statement, "by the hour") || strings.Contains(statement, "webhooks came")
				if finds && strings.Contains(statement, "SELECT") && n == 0 {
					t.Errorf("README.md:%d: finds nothing in the demo's database:\n%s", b.line, statement)
				}
			}
		}
	}
	if queries < 11 {
		t.Errorf("only %d queries were found", queries)
	}
	// The one in the introduction.
	intro := regexp.MustCompile("`sqlite3 tigerops-incidentio.db \"([^\"]*)\"`").FindStringSubmatch(d.text)
	if intro == nil {
		t.Fatal("the introduction has no query")
	}
	if _, err := count(db, intro[1]); err != nil {
		t.Error(err)
	}
}

func count(db *sql.DB, query string) (n int, err error) {
	rows, err := db.Query(query)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

// stroll follows commands of the README as a shell would, each on ports of the test's own, and tries a command again
// until it ends well and says what is wanted: a person waits a moment, too.
type stroll struct {
	t    testing.TB
	dir  string
	env  []string
	port *strings.Replacer
}

func newStroll(t testing.TB) *stroll {
	s := &stroll{t: t, dir: t.TempDir()}
	bin := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(bin, "tigerops-incidentio")); err != nil {
		t.Fatal(err)
	}
	sim, hooks, local := freePort(t), freePort(t), freePort(t)
	s.port = strings.NewReplacer("127.0.0.1:8490", "127.0.0.1:"+sim, "127.0.0.1:8484", "127.0.0.1:"+hooks, "127.0.0.1:8485", "127.0.0.1:"+local,
		"simulate &", "simulate --addr 127.0.0.1:"+sim+" &")
	s.env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + s.dir, "AGENT_WEBHOOK_ADDR=127.0.0.1:" + hooks, "AGENT_LOCAL_ADDR=127.0.0.1:" + local}
	return s
}

// follow runs the lines of a block. says has what a command must print, by a part of its line.
func (s *stroll) follow(b block, says map[string]string) {
	s.t.Helper()
	for _, line := range b.lines() {
		s.step(s.port.Replace(line), says)
	}
}

func (s *stroll) step(line string, says map[string]string) {
	s.t.Helper()
	if assignment, export := strings.CutPrefix(line, "export "); export {
		out, err := s.shell("echo " + strings.ReplaceAll(assignment, "=", "= "))
		if err != nil {
			s.t.Fatalf("%s: %v\n%s", line, err, out)
		}
		s.env = append(s.env, strings.ReplaceAll(strings.TrimSpace(strings.Replace(out, "= ", "=", 1)), "= ", "="))
		return
	}
	if command, background := strings.CutSuffix(line, " &"); background {
		cmd := exec.Command("sh", "-c", "exec "+command)
		cmd.Dir, cmd.Env = s.dir, s.env
		var log lockedBuffer
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() {
			_ = cmd.Process.Signal(os.Interrupt)
			if err := cmd.Wait(); err != nil {
				s.t.Errorf("%s: %v\n%s", command, err, log.String())
			}
		})
		return
	}
	want := ""
	for part, text := range says {
		if strings.Contains(line, part) {
			want = text
		}
	}
	deadline, again := time.NewTimer(20*time.Second), time.NewTicker(50*time.Millisecond)
	defer deadline.Stop()
	defer again.Stop()
	for {
		out, err := s.shell(line)
		if err == nil && strings.Contains(out, want) {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			s.t.Fatalf("%s: %v, want %q in\n%s", line, err, want, out)
		}
	}
}

func (s *stroll) shell(line string) (string, error) {
	if strings.HasPrefix(line, "curl ") {
		line = "curl -fsS " + strings.TrimPrefix(line, "curl ")
	}
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Env = s.dir, s.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// TestREADMEFirstSync does, from an empty directory, what the README tells a newcomer to do.
func TestREADMEFirstSync(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "curl", "base64", "sqlite3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	d := readme(t)
	blocks := d.in(t, "A first sync by hand", "sh")
	if !strings.Contains(blocks[0].text, "go build ") {
		t.Fatalf("the first block builds nothing:\n%s", blocks[0].text)
	}
	s := newStroll(t)
	says := map[string]string{
		"check": "0 errors, 0 warnings", "v1/events": `"accepted":1`, "incidentio status": "INC-1", "set-status": `"ok": true`,
		"inbox list": "Investigating -> Monitoring", "show": "incident.declare", "sqlite3": "incident.status_changed", "webhook test": "204 No Content",
	}
	for _, b := range blocks[1:] {
		s.follow(b, says)
	}
	// The other doors.
	event := `{"id":"evt_3","type":"incident.updated","incident":{"id":"TIG-4711","severity":"warning"}}`
	if err := os.WriteFile(filepath.Join(s.dir, "events.ndjson"), []byte(event+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.follow(d.in(t, "Events in", "sh")[0], map[string]string{"v1/events": `"duplicates":1`, "enqueue": "1 event"})
	s.step(`sqlite3 -cmd '.timeout 5000' tigerops-incidentio.db "SELECT count(*) || ' done' FROM outbox WHERE state = 'done'"`, map[string]string{"sqlite3": "3 done"})
	// The ways out.
	s.step("curl '"+s.port.Replace("http://127.0.0.1:8485/v1/inbox?after=0&limit=100&wait=30s")+"'", map[string]string{"curl": "incident.linked"})
	s.step("curl -X POST "+s.port.Replace("http://127.0.0.1:8485/v1/inbox/1/ack"), map[string]string{"curl": "applied"})
	// The backup, and the same on another host: a copy in another place.
	backup := regexp.MustCompile(`^(tigerops-incidentio backup) .+$`).FindStringSubmatch(d.in(t, "Backup and restore", "sh")[0].lines()[0])
	if backup == nil {
		t.Fatal("no backup in the README")
	}
	s.step(backup[1]+" moved.db", nil)
	s.step("AGENT_DB=moved.db tigerops-incidentio show TIG-4711", map[string]string{"show": "incident.declare"})
}

// TestREADMEProxies passes a webhook and an event through the proxies that the README configures, where they are installed.
func TestREADMEProxies(t *testing.T) {
	t.Parallel()
	d := readme(t)
	r := newRig(t, simulator.Options{})
	r.env["TIGEROPS_WEBHOOK_SECRET"] = testApplySecret
	r.start()
	ports := strings.NewReplacer("127.0.0.1:8484", strings.TrimSuffix(strings.TrimPrefix(r.webhooks, "http://"), "/webhooks/incident-io"), "127.0.0.1:8485", strings.TrimPrefix(r.local, "http://"))
	port := freePort(t)
	try := func(t *testing.T, cmd *exec.Cmd, events bool) {
		t.Helper()
		cmd.Dir, cmd.Env = r.dir, append(os.Environ(), "HOME="+r.dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		r.eventually("a webhook gets through", func() bool {
			out, _, status := r.run("", "webhook", "test", "http://127.0.0.1:"+port)
			return status == 0 && strings.Contains(out, "204")
		})
		for _, other := range []string{"/", "/metrics", "/v1/inbox"} {
			resp, err := http.Get("http://127.0.0.1:" + port + other)
			if err != nil {
				t.Fatal(err)
			}
			body := new(bytes.Buffer)
			_, _ = body.ReadFrom(resp.Body)
			_ = resp.Body.Close()
			if strings.Contains(body.String(), "changes") || strings.Contains(body.String(), "tigerops_incidentio_") {
				t.Errorf("%s is passed on: %s", other, resp.Status)
			}
		}
		if !events {
			return
		}
		for header, want := range map[string]int{"": http.StatusUnauthorized, "Bearer " + testApplySecret: http.StatusAccepted} {
			req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:"+port+"/v1/events", strings.NewReader(`{"id":"p1","type":"incident.updated","incident":{"id":"TIG-1"}}`))
			if err != nil {
				t.Fatal(err)
			}
			if header != "" {
				req.Header.Set("Authorization", header)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("an event through the proxy with %q: %s, want %d", header, resp.Status, want)
			}
		}
	}
	t.Run("nginx", func(t *testing.T) {
		nginx, err := exec.LookPath("nginx")
		if err != nil {
			t.Skip("nginx is not installed")
		}
		temp := ""
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			temp += fmt.Sprintf("%s_temp_path %s;\n", kind, filepath.Join(r.dir, kind))
		}
		locations := d.in(t, "Connect incident.io", "nginx")[0].text + d.in(t, "Events in", "nginx")[0].text
		conf := r.write("nginx.conf", "daemon off; pid "+filepath.Join(r.dir, "nginx.pid")+"; error_log stderr;\nevents {}\nhttp {\naccess_log off;\n"+temp+
			"server {\nlisten 127.0.0.1:"+port+";\n"+ports.Replace(locations)+"}\n}\n")
		try(t, exec.Command(nginx, "-c", conf, "-e", "stderr"), true)
	})
	port = freePort(t)
	t.Run("caddy", func(t *testing.T) {
		caddy, err := exec.LookPath("caddy")
		if err != nil {
			t.Skip("caddy is not installed")
		}
		text := d.in(t, "Connect incident.io", "caddy")[0].text
		conf := r.write("Caddyfile", "{\n\tadmin off\n}\n"+strings.Replace(ports.Replace(text), "hooks.example.com", "http://127.0.0.1:"+port, 1))
		try(t, exec.Command(caddy, "run", "--config", conf, "--adapter", "caddyfile"), false)
	})
}

// TestREADMECapacity counts the requests of the key that the table of the capacity section speaks of.
func TestREADMECapacity(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	for name, value := range map[string]string{"INCIDENT_IO_WEBHOOK_SECRET": "", "AGENT_RECONCILE_INTERVAL": "1h", "TIGEROPS_APPLY_URL": ""} {
		r.env[name] = value
	}
	r.write("config.yaml", "integrations: {incident_io: {custom_fields: {deployment_sha: custom_field_jkl}}}\n")
	r.start()
	settings := regexp.MustCompile(`^/v1/(severities|incident_statuses|incident_types|custom_field_options|identity)|^/v2/(incident_roles|custom_fields)`)
	seen := 0
	look := regexp.MustCompile(`^GET /(v2/incidents/[^/]+$|v2/incident_updates|v3/actions|v3/follow_ups|v2/incident_timeline_items|v1/postmortem_documents|v2/escalations)`)
	requests := func() (own, looks []string) {
		all := r.sim.Requests()
		for _, q := range all[seen:] {
			switch what := q.Method + " " + q.Path; {
			case settings.MatchString(q.Path):
			case look.MatchString(what):
				looks = append(looks, what)
			default:
				own = append(own, what)
			}
		}
		seen = len(all)
		return own, looks
	}
	r.eventually("the first sweep is over", func() bool { return len(r.query("SELECT value FROM meta WHERE key = 'last_sweep'")) == 1 })
	requests()
	for _, c := range []struct {
		event     string
		own, look int // at most
	}{
		{`{"id":"c1","type":"incident.created","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"T-1","title":"Slow","severity":"critical","responders":[{"role":"owner","email":"ada@example.com"}]}}`, 2, 0},
		{`{"id":"c2","type":"investigation.step","incident":{"id":"T-1"},"step":{"kind":"note","title":"a"}}`, 1, 0},
		{`{"id":"c3","type":"runbook.action","incident":{"id":"T-1"},"action":{"title":"b","status":"running"}}`, 1, 1},
		{`{"id":"c4","type":"runbook.action","incident":{"id":"T-1"},"action":{"title":"b","status":"succeeded"}}`, 1, 0},
		{`{"id":"c5","type":"incident.acknowledged","incident":{"id":"T-1"},"actor":{"name":"Ada","email":"ada@example.com"}}`, 2, 7},
		{`{"id":"c6","type":"incident.updated","incident":{"id":"T-1","severity":"warning","deployment":{"sha":"8e1b0d6"}}}`, 2, 7},
		{`{"id":"c7","type":"incident.resolved","incident":{"id":"T-1"}}`, 1, 7},
		{`{"id":"c8","type":"postmortem.ready","incident":{"id":"T-1"},"postmortem":{"timeline_summary":"c","action_items":[{"title":"d"},{"title":"e"}]}}`, 3, 3},
	} {
		r.event(c.event)
		r.settled()
		own, looks := requests()
		if len(own) > c.own || len(own) == 0 || len(looks) > c.look {
			t.Errorf("%s: %d requests and %d of looks, want at most %d and %d:\n%s\n%s", c.event, len(own), len(looks), c.own, c.look, strings.Join(own, "\n"), strings.Join(looks, "\n"))
		}
	}
}

// The changelog tells of released versions in order, newest first, beneath what is not released yet.
func TestCHANGELOGIsInOrder(t *testing.T) {
	t.Parallel()
	d := readDocument(t, "CHANGELOG.md")
	headings := regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(d.text, -1)
	if len(headings) == 0 {
		t.Fatal("no version")
	}
	var versions []string
	for i, h := range headings {
		if i == 0 && h[1] == "Unreleased" {
			continue
		}
		if !regexp.MustCompile(`^\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)$`).MatchString(h[1]) {
			t.Errorf("%q is no version with its date", h[1])
		}
		versions = append(versions, h[1])
	}
	numbers := func(version string) (n [3]int) {
		_, _ = fmt.Sscanf(version, "%d.%d.%d", &n[0], &n[1], &n[2]) // its form is checked above
		return n
	}
	if !slices.IsSortedFunc(versions, func(a, b string) int {
		x, y := numbers(a), numbers(b)
		return slices.Compare(y[:], x[:])
	}) {
		t.Errorf("the versions are not newest first: %q", versions)
	}
}
