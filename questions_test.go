package main_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// answers are what the questions of the documents must find, in the incident below.
var answers = map[string][]string{
	"What is not in step?":   {"TIG-4711", "INC-1"},
	"Why is INC-123 stuck?":  {"event", "runbook.action", "The incident takes no actions now"},
	"What did we send to":    {"incident.declare", "Checkout latency above SLO", "action.create", "refused", "422", "takes no actions now"},
	"What did people change": {"TIG-4711", "incident.status_changed", "Lisa Karlin", "Investigating", "Monitoring", "Rolled back"},
}

// The questions that people have at night, as the README and the man page put them, asked with Debian's sqlite3 while the
// agent runs: of an incident whose runbook action incident.io refuses, and whose status somebody changed.
func TestTheFileAnswersQuestions(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("sqlite3 is not installed (apt-get install sqlite3)")
	}
	p := &person{rig: newRig(t, simulator.Options{})}
	p.env["AGENT_DB"] = filepath.Join(p.dir, "tigerops-incidentio.db") // as the documents call it
	p.start()
	p.created("TIG-4711", "Checkout latency above SLO")
	if err := p.sim.As("lisa@example.com").SetStatus("INC-1", "Monitoring", "Rolled back"); err != nil {
		t.Fatal(err)
	}
	p.eventually("the change is known", func() bool { return len(p.inbox("incident.status_changed")) == 1 })
	p.dead("refused", "TIG-4711")

	ask := func(document, question, command string) {
		t.Helper()
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, "INC-123", "INC-1"))
		cmd.Dir = p.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %s: %v\n%s", document, question, err, out)
		}
		for _, want := range answers[question] {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: %s: the answer lacks %q:\n%s", document, question, want, out)
			}
		}
	}
	sql := readme(t).in(t, "Ask the file", "sql")[0].text
	man := readDocument(t, filepath.Join("packaging", "man", "tigerops-incidentio.1")).text
	man = strings.NewReplacer(`\-`, "-", `\(aq`, "'", `\e`, `\`).Replace(man)
	for question := range answers {
		// In the README a comment before each query, in the man page a line before each command.
		query := regexp.MustCompile(`(?s)-- ` + regexp.QuoteMeta(question) + `[^\n]*\n(.*?);\n`).FindStringSubmatch(sql)
		command := regexp.MustCompile(`(?s)\n` + regexp.QuoteMeta(question) + `[^\n]*\n\.PP\n\.RS 4\n\.EX\n(.*?)\n\.EE\n`).FindStringSubmatch(man)
		if query == nil || command == nil {
			t.Errorf("%q is asked in the README: %t, in the man page: %t", question, query != nil, command != nil)
			continue
		}
		ask("README.md", question, "sqlite3 -cmd '.timeout 5000' tigerops-incidentio.db <<'END'\n"+query[1]+";\nEND\n")
		ask("man page", question, command[1])
	}
}
