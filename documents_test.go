package main_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent"
)

// document is one of the project's texts for people.
type document struct {
	name   string
	text   string
	blocks []block
}

// block is a fenced block of a document.
type block struct {
	lang    string
	text    string
	section string // the heading above it
	line    int
}

func (b block) lines() []string { return strings.Split(strings.TrimSpace(b.text), "\n") }

func readDocument(t testing.TB, name string) document {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := document{name: name, text: string(data)}
	var open *block
	indent, section := "", ""
	for n, line := range strings.Split(d.text, "\n") {
		word, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			indent = line[:strings.Index(line, "`")]
			open = &block{lang: word, section: section, line: n + 1}
		case fence:
			d.blocks = append(d.blocks, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		case strings.HasPrefix(line, "#"):
			section = strings.TrimLeft(line, "# ")
		}
	}
	if open != nil {
		t.Fatalf("%s: the block of line %d has no end", name, open.line)
	}
	return d
}

func documents(t testing.TB) []document {
	t.Helper()
	var all []document
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		all = append(all, readDocument(t, name))
	}
	return all
}

// in are the blocks of a language in a section; the test fails if there is none.
func (d document) in(t testing.TB, section, lang string) []block {
	t.Helper()
	var found []block
	for _, b := range d.blocks {
		if b.section == section && b.lang == lang {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no %s block below %q", d.name, lang, section)
	}
	return found
}

// prose is the document without its blocks.
func (d document) prose() string {
	return regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(d.text, "")
}

// spans are the words in back quotes outside of blocks.
func (d document) spans() []string {
	var all []string
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(d.prose(), -1) {
		all = append(all, m[1])
	}
	return all
}

// under is the text below a heading, up to the next of its level or a higher one.
func (d document) under(t testing.TB, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(d.text, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", d.name, heading)
	}
	level := strings.Count(strings.Fields(heading)[0], "#")
	if end := regexp.MustCompile(fmt.Sprintf(`(?m)^#{1,%d} `, level)).FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	return rest
}

// rows are the rows of the tables in a text, without those that begin and rule a table.
func rows(text string) [][]string {
	var all [][]string
	header := true
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			header = true
		case header:
			header = false
		case strings.HasPrefix(line, "| ---"):
		default:
			cells := strings.Split(strings.Trim(line, "|"), " | ")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, cells)
		}
	}
	return all
}

// quoted are the words in back quotes of a text.
func quoted(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// Every variable that a text names is one that the agent, systemd, Go or the tests read.
func TestDocumentsNameVariablesThatExist(t *testing.T) {
	t.Parallel()
	known := agent.Variables()
	for _, d := range documents(t) {
		for _, name := range regexp.MustCompile(`\b(?:INCIDENT_IO|TIGEROPS|AGENT)_[A-Z_]+`).FindAllString(d.text, -1) {
			if !slices.Contains(known, name) && !slices.Contains(known, strings.TrimSuffix(name, "_FILE")) {
				t.Errorf("%s: nobody reads %s", d.name, name)
			}
		}
	}
}

// Every call of the program in a text is of a command, with flags, that exist.
func TestDocumentsNameCommandsThatExist(t *testing.T) {
	t.Parallel()
	call := regexp.MustCompile(`(?:^|[\s(;])tigerops-incidentio ((?:[a-z]+(?: |$))+)(.*)$`)
	n := 0
	for _, d := range documents(t) {
		var lines []string
		for _, b := range d.blocks {
			if b.lang == "sh" {
				lines = append(lines, b.lines()...)
			}
		}
		for _, line := range append(lines, d.spans()...) {
			for _, word := range []string{"apt ", "adduser ", "install ", "go build ", "systemctl ", "journalctl "} {
				if strings.HasPrefix(line, word) {
					line = ""
				}
			}
			m := call.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			n++
			help, err := exec.Command(binary, append(strings.Fields(m[1]), "-h")...).CombinedOutput()
			if err != nil || !strings.Contains(string(help), "tigerops-incidentio "+strings.TrimSpace(m[1])) {
				t.Errorf("%s: %s: %v\n%s", d.name, line, err, help)
			}
			for _, flag := range regexp.MustCompile(`(?:^|\s)(--[a-z-]+)`).FindAllStringSubmatch(m[2], -1) {
				if !bytes.Contains(help, []byte(flag[1])) {
					t.Errorf("%s: %s: there is no %s", d.name, line, flag[1])
				}
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d calls of the program were found", n)
	}
}

// Tests that the texts name are there: TestName, or TestName/what a sub-test of it is called.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	tests := make(map[string]string) // name to the file's text
	walk(t, func(name string) {
		if strings.HasSuffix(name, "_test.go") {
			text := string(must(os.ReadFile(name)))
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`).FindAllStringSubmatch(text, -1) {
				tests[m[1]] = text
			}
		}
	})
	n := 0
	for _, d := range documents(t) {
		for _, word := range d.spans() {
			if !regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]`).MatchString(word) {
				continue
			}
			n++
			name, sub, _ := strings.Cut(word, "/")
			text, ok := tests[name]
			if !ok || !strings.Contains(text, sub) {
				t.Errorf("%s: there is no test %q", d.name, word)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d tests are named", n)
	}
	for _, p := range []string{"P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"} {
		if !slices.ContainsFunc(rows(readme(t).under(t, "## Reliability")), func(r []string) bool { return r[0] == p && len(quoted(r[2])) > 0 }) {
			t.Errorf("the README names no test of %s", p)
		}
	}
}

// The map of the code has every package, and the commands for tests name packages, tests and flags that exist.
func TestCONTRIBUTINGKnowsTheCode(t *testing.T) {
	t.Parallel()
	d := readDocument(t, "CONTRIBUTING.md")
	rooms := make(map[string]bool)
	for _, row := range rows(d.under(t, "## The map")) {
		rooms[strings.Trim(row[0], "`")] = true
	}
	for room := range arrows {
		if !rooms[room] {
			t.Errorf("the map has no %s", room)
		}
	}
	for _, b := range d.in(t, "Tests", "sh") {
		for _, line := range b.lines() {
			line, _, _ = strings.Cut(line, " #")
			m := regexp.MustCompile(`^go test (?:-timeout 0 )?\./(\S+)(.*)$`).FindStringSubmatch(line)
			if m == nil || m[1] == "..." {
				continue
			}
			files := must(filepath.Glob(m[1] + "/*_test.go"))
			if len(files) == 0 {
				t.Errorf("%s: no tests are there", line)
			}
			var code []byte
			for _, f := range files {
				code = append(code, must(os.ReadFile(f))...)
			}
			for _, f := range regexp.MustCompile(` -(\w+)(?: (\w+))?`).FindAllStringSubmatch(m[2], -1) {
				switch {
				case f[1] == "v" || f[1] == "fuzztime" || f[2] == "XXX":
				case f[1] == "run" || f[1] == "fuzz":
					if !regexp.MustCompile(`(?m)^func (Test|Fuzz)?` + f[2] + `\(`).Match(code) {
						t.Errorf("%s: there is no %s", line, f[2])
					}
				case !bytes.Contains(code, []byte(`("`+f[1]+`", `)):
					t.Errorf("%s: there is no flag -%s", line, f[1])
				}
			}
		}
	}
}

// walk calls f for every file of the project.
func walk(t testing.TB, f func(name string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(name, ".git"):
			return filepath.SkipDir
		case !e.IsDir():
			f(filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Every link leads somewhere: to a file that is there, or to a heading.
func TestDocumentsLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		anchors := make(map[string]bool)
		for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(d.prose(), -1) {
			slug := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
			anchors[strings.ReplaceAll(slug, " ", "-")] = true
		}
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(d.prose(), -1) {
			u, err := url.Parse(m[1])
			switch {
			case err != nil:
				t.Errorf("%s: %s: %v", d.name, m[1], err)
			case u.Scheme != "":
				if u.Scheme != "https" || u.Host == "" {
					t.Errorf("%s: %s is no public address", d.name, m[1])
				}
			case u.Path == "":
				if !anchors[u.Fragment] {
					t.Errorf("%s: no heading is #%s", d.name, u.Fragment)
				}
			default:
				if _, err := os.Stat(u.Path); err != nil {
					t.Errorf("%s: %v", d.name, err)
				}
			}
		}
		for _, word := range d.spans() {
			first, _, _ := strings.Cut(word, "/")
			if slices.Contains([]string{"agent", "mapping", "store", "webhook", "systemd", "packaging", "sqlmigrations", ".ci"}, first) && strings.Contains(word, "/") {
				word, _, _ = strings.Cut(word, " ")
				if found, _ := filepath.Glob(word); len(found) == 0 {
					t.Errorf("%s: %s is not there", d.name, word)
				}
			}
		}
	}
}

func TestDocumentsNameMetricsAndPathsThatExist(t *testing.T) {
	t.Parallel()
	metrics := string(must(os.ReadFile("agent/metrics.go")))
	local := string(must(os.ReadFile("webhook/local.go")))
	for _, d := range documents(t) {
		for _, name := range regexp.MustCompile(`\btigerops_incidentio_(\w+)`).FindAllStringSubmatch(d.text, -1) {
			if !strings.Contains(metrics, `"`+name[1]+`"`) {
				t.Errorf("%s: there is no metric %s", d.name, name[0])
			}
		}
	}
	for _, row := range rows(readme(t).under(t, "## Watch it")) {
		p := strings.Replace(quoted(row[0])[0], "TIG-4711", "*id", 1)
		if !strings.Contains(local, `"`+p+`"`) {
			t.Errorf("the local listener has no %s", p)
		}
	}
}
