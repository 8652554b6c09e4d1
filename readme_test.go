package main_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func readme(t testing.TB) document { return readDocument(t, "README.md") }

// demo is the demo, run once as the README says: what it printed, and the database that it left.
var demo = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(binary), "demo")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	cmd := exec.Command(binary, "demo")
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	return string(out), err
})

// demoDatabase is a copy of the demo's database that a test may write to.
func demoDatabase(t testing.TB) string {
	t.Helper()
	if out, err := demo(); err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(binary), "demo", "tigerops-demo.db"))
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "tigerops-incidentio.db")
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

func TestREADMETwoCommands(t *testing.T) {
	t.Parallel()
	d := readme(t)
	const section = "Try it: two commands, no account"
	got := d.in(t, section, "sh")[0].lines()
	if len(got) != 2 || !strings.HasPrefix(got[0], "go run . demo ") || !strings.HasPrefix(got[1], "go test ./... ") {
		t.Errorf("the two commands are %q", got)
	}
	out, err := demo()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	for _, line := range d.in(t, section, "text")[0].lines() {
		if !strings.Contains(out, line) {
			t.Errorf("the demo does not say %q:\n%s", line, out)
		}
	}
}

func TestREADMEHasThePublishedConfiguration(t *testing.T) {
	t.Parallel()
	if got := readme(t).in(t, "Configuration", "yaml")[0].text; got != publishedYAML {
		t.Errorf("the README's configuration is not the one that is published and tested:\n%s", got)
	}
}

// The reference has every option and variable, each with the code's default, and nothing else.
func TestREADMEReferenceIsTheCode(t *testing.T) {
	t.Parallel()
	d := readme(t)
	want := make(map[string]string)
	for _, s := range agent.Default().Settings() {
		want[s.Name] = s.Value
	}
	none := func(value string) string {
		if value == "" || value == "[]" || value == "{}" {
			return "none"
		}
		return "`" + value + "`"
	}
	keys := make(map[string]string)
	for name, value := range want {
		if strings.ToLower(name) == name {
			keys[name] = none(value)
		}
	}
	inFile := map[string]string{
		"INCIDENT_IO_API_KEY": "api_key", "INCIDENT_IO_ORG_SLUG": "org_slug", "INCIDENT_IO_WEBHOOK_SECRET": "webhook_secret",
		"INCIDENT_IO_ALERT_SOURCE_ID": "alert_source.id", "INCIDENT_IO_ALERT_SOURCE_TOKEN": "alert_source.token",
	}
	variables := make(map[string]string)
	for _, name := range agent.Variables() {
		variables[name] = none(want[name] + want[inFile[name]])
	}
	for heading, want := range map[string]map[string]string{"### Keys of the file": keys, "### Environment": variables} {
		for _, row := range rows(d.under(t, heading)) {
			name := quoted(row[0])[0]
			value, known := want[name]
			if !known {
				t.Errorf("%s: the code knows no %s", heading, name)
			} else if row[1] != value {
				t.Errorf("%s: %s is %s there and %s in the code", heading, name, row[1], value)
			}
			if secret := strings.HasSuffix(name, "_KEY") || strings.HasSuffix(name, "_SECRET") || strings.HasSuffix(name, "_TOKEN"); secret != strings.Contains(row[0], "●") && heading == "### Environment" {
				t.Errorf("%s: is %s a secret?", heading, name)
			}
			delete(want, name)
		}
		for name := range want {
			t.Errorf("%s: %s is missing", heading, name)
		}
	}
	example := string(must(os.ReadFile("packaging/config.yaml")))
	for name := range keys {
		if last := name[strings.LastIndex(name, ".")+1:]; !regexp.MustCompile(`(?m)^ *#? *` + last + `:`).MatchString(example) {
			t.Errorf("packaging/config.yaml has no %s", name)
		}
	}
	code := string(must(os.ReadFile("agent/config_check.go")))
	for _, field := range quoted(d.under(t, "### Custom fields")) {
		if strings.Contains(field, "_") && field != "slo_breach" && !strings.Contains(code, `"`+field+`"`) {
			t.Errorf("%s is no field of custom_fields", field)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The roles of the API key are those that check looks for, and those of the calls that setup makes.
func TestREADMERolesAreThoseOfCheck(t *testing.T) {
	t.Parallel()
	_, wanted, _ := strings.Cut(string(must(os.ReadFile("agent/check.go"))), "func (k *checker) wantedRoles()")
	wanted, _, _ = strings.Cut(wanted, "\n}\n")
	roles := make(map[string]bool)
	for _, m := range regexp.MustCompile(`\[\]string\{([^}]*)\}`).FindAllStringSubmatch(wanted, -1) {
		for _, role := range regexp.MustCompile(`\w+`).FindAllString(m[1], -1) {
			roles[role] = true
		}
	}
	delete(roles, "catalog_editor") // catalog_viewer does
	if len(roles) < 8 {
		t.Fatalf("the roles of agent/check.go are not understood: %v", roles)
	}
	table, _, _ := strings.Cut(readme(t).under(t, "## Connect incident.io"), "**Alert source.**")
	for _, row := range rows(table) {
		if role := quoted(row[0])[0]; !roles[role] {
			t.Errorf("check looks for no role %s", role)
		} else {
			delete(roles, role)
		}
	}
	for role := range roles {
		t.Errorf("the table has no %s", role)
	}
}

func TestREADMECommandsTable(t *testing.T) {
	t.Parallel()
	for _, row := range rows(readme(t).under(t, "## Commands")) {
		words := quoted(row[0] + " " + row[1])
		if _, err := exec.Command(binary, words[0], "-h").Output(); err != nil {
			t.Errorf("%s: %v", words[0], err)
		}
		help := string(must(exec.Command(binary, words[0], "-h").Output()))
		for _, word := range words[1:] {
			if regexp.MustCompile(`^(--)?[a-z]+$`).MatchString(word) && !strings.Contains(help, word) {
				t.Errorf("%s has no %s", words[0], word)
			}
		}
	}
}

// literals are all texts in the code that is shipped, and what SQLite and the kernel say.
func literals(t testing.TB) string {
	t.Helper()
	all := []string{"database is locked", "attempt to write a readonly database", "unable to open database file", "database disk image is malformed", "address already in use"}
	walk(t, func(name string) {
		switch {
		case strings.HasSuffix(name, ".sql"):
			all = append(all, string(must(os.ReadFile(name))))
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, path.Join("agent", "simulator")):
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					all = append(all, must(strconv.Unquote(l.Value)))
				}
				return true
			})
		}
	})
	return strings.Join(all, "\n")
}

// What the troubleshooting tables say that the program says, it says; and they know every warning and error of its log.
func TestTroubleshootingIsWhatTheProgramSays(t *testing.T) {
	t.Parallel()
	said := literals(t)
	section := readme(t).under(t, "## Troubleshooting")
	var known []string
	for _, row := range rows(section) {
		if len(row) != 2 || row[1] == "" {
			t.Errorf("%q has no remedy", row)
		}
		for _, text := range quoted(row[0]) {
			known = append(known, text)
			if text == "systemctl status" || text == "Retry-After" || text == "warning" {
				continue
			}
			for _, part := range strings.Split(text, "…") {
				if part = strings.TrimSpace(part); part != "" && part != ":" && !strings.Contains(said, part) && !strings.Contains(part, "${") {
					t.Errorf("the program does not say %q (of %q)", part, text)
				}
			}
		}
	}
	if len(known) < 60 {
		t.Errorf("only %d texts in the tables", len(known))
	}
	warning := regexp.MustCompile(`(?:log\.(?:Warn|Error)\(|failed\(level\w+, "[^"]*", |quiet\.say\(level, )("(?:[^"\\]|\\.)*")`)
	walk(t, func(name string) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "agent/simulator") || strings.HasPrefix(name, "agent/bench") {
			return
		}
		for _, m := range warning.FindAllStringSubmatch(string(must(os.ReadFile(name))), -1) {
			text := must(strconv.Unquote(m[1]))
			if !slices.ContainsFunc(known, func(k string) bool { return strings.Contains(text, k) }) {
				t.Errorf("%s logs %q: the README's troubleshooting does not know it", name, text)
			}
		}
	})
}

// What the README says in figures is what the code has.
func TestREADMEFiguresAreTheCodes(t *testing.T) {
	t.Parallel()
	text := strings.Join(strings.Fields(readme(t).text), " ")
	for _, f := range []struct{ file, code, says string }{
		{"agent/agent.go", "stopWithin = 10 * time.Second", "within 10 s of SIGTERM"},
		{"agent/upstream.go", "alertsPerMinute = 120", "an alert source 120 alert events a minute"},
		{"agent/reconcile.go", "sweepShare = 0.25", "1200 × 5 × 0.25 / 7 = 214"},
		{"agent/reconcile.go", "pollCost = 7", "1200 × 5 × 0.25 / 7 = 214"},
		{"agent/reconcile.go", "sweepRetry = 30 * time.Second", "it is tried again within 30 s"},
		{"agent/declare.go", "routeLookEvery = 500 * time.Millisecond", "`alert_route_wait` / 0.5 s"},
		{"agent/keep.go", "rereadEvery = 15 * time.Second", "it is read again within 15 s"},
		{"agent/keep.go", "probeAgain = time.Second", "tried every second"},
		{"agent/heartbeat.go", "silentHeart = 10 * time.Minute", "dead or stuck for ten minutes"},
		{"agent/directory.go", "directoryFor = 10 * time.Minute", "the account's settings, every 10 minutes"},
		{"store/keep.go", "Memory = 180 * 24 * time.Hour", "kept for 180 days more"},
		{"webhook/gate.go", "maxBody = 1 << 20", "up to 1 MiB"},
		{"packaging/litestream.yml", "monitor-interval: 500ms", "at most 1 s and the time of an upload"},
		{"packaging/litestream.yml", "sync-interval: 500ms", "at most 1 s and the time of an upload"},
		{"store/keep.go", "litestreamPages = 128 << 10", "until the WAL has grown to half a GiB"},
		{"store/damage.go", "checkAtOnce = 8 << 20", "looks through a file of up to 8 MiB"},
		{"store/damage.go", "checkWithin = time.Second", "at a larger one for a second"},
		{"store/damage.go", "calmAtLast = 30 * time.Second", "once little is written, half a minute later at the latest"},
		{"agent/pull.go", "quietFor = 500 * time.Millisecond", "once it has paused for half a second"},
		{"agent/pull.go", "quietAtMost = 2 * time.Second", "at most 2 s later: one look settles all that wait"},
		{"agent/pull.go", "pullFlood = 16", "after a turn over 16 or more"},
		{"agent/pull.go", "pullRest = 3", "rests three times as long, at most 1 s"},
		{"agent/follow.go", "followFor = 250 * time.Millisecond", "another incident that waits after 250 ms"},
		{"agent/follow.go", "followAtFirst = 16", "Notes behind it, 16 at first"},
		{"agent/follow.go", "followAtMost = 64", "and at most 64, are written down together"},
		{"webhook/server.go", "defaultMaxConns = 4096", "4096 connections"},
		{"webhook/server.go", "defaultHeaderWithin = 5 * time.Second", "5 s for a request's header"},
		{"webhook/server.go", "defaultBodyWithin = 15 * time.Second", "15 s for all of it"},
		{"webhook/bounded.go", "silentFor = 500 * time.Millisecond", "one that has sent no request after half a second"},
		{"webhook/gate.go", "maxBodies = 64", "64 bodies of at most 1 MiB in memory"},
	} {
		if !strings.Contains(strings.Join(strings.Fields(string(must(os.ReadFile(f.file)))), " "), f.code) {
			t.Errorf("%s has no %q, which the README goes by: %q", f.file, f.code, f.says)
		}
		if !strings.Contains(text, f.says) {
			t.Errorf("the README does not say %q", f.says)
		}
	}
}

// Every JSON of the README is JSON, every event is one that the agent takes, and the lists of types are the code's.
func TestREADMEEventsAndChanges(t *testing.T) {
	t.Parallel()
	d := readme(t)
	r := &rig{t: t, dir: t.TempDir(), env: map[string]string{"AGENT_DB": filepath.Join(t.TempDir(), "agent.db")}}
	r.write("config.yaml", "")
	filled := strings.NewReplacer("{{event}}", "incident.created", "{{timestamp}}", "2026-11-23T02:00:00Z", "{{severity}}", "critical")
	events := 0
	for _, b := range d.blocks {
		if b.lang != "json" {
			continue
		}
		var o map[string]any
		if err := json.Unmarshal([]byte(b.text), &o); err != nil {
			t.Errorf("README.md:%d: %v", b.line, err)
		}
		if o["before"] != nil { // a change
			continue
		}
		events++
		if out, errs, status := r.run(filled.Replace(b.text), "enqueue"); status != 0 || !strings.Contains(out, "1 event stored") {
			t.Errorf("README.md:%d: enqueue: %d %s%s", b.line, status, out, errs)
		}
	}
	if got := r.query("SELECT DISTINCT event_type FROM outbox"); !slices.Equal(got, []string{"incident.created"}) {
		t.Errorf("events of the types %q", got)
	}
	if events != 2 {
		t.Errorf("%d events, want the template and the canonical form", events)
	}
	constants := func(pattern string, files ...string) []string {
		var all []string
		for _, file := range files {
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(must(os.ReadFile(file))), -1) {
				all = append(all, m[1])
			}
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	var listed []string
	for _, row := range rows(d.under(t, "### Events in")) {
		listed = append(listed, quoted(row[0])...)
	}
	slices.Sort(listed)
	if want := constants(`(?m)^\s(?:Incident|Investigation|Runbook|Postmortem|Anomaly|SLO)[A-Z]\w+\s+= "([a-z_.]+)"`, "mapping/model.go"); len(want) < 11 || !slices.Equal(listed, want) {
		t.Errorf("event types: got %q, want %q", listed, want)
	}
	_, types, _ := strings.Cut(d.under(t, "### Changes out"), "Types: ")
	told := slices.DeleteFunc(quoted(types), func(w string) bool { return !strings.Contains(w, ".") })
	slices.Sort(told)
	if want := constants(`(?m)^\sChange\w+\s+= "([a-z_.]+)"`, must(filepath.Glob("mapping/*.go"))...); len(want) < 20 || !slices.Equal(told, want) {
		t.Errorf("types of changes: got %q, want %q", told, want)
	}
}
