package cli

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tigerops/tigerops-incidentio/agent"
)

// everyCommand calls f for each command that does something, with its path below the program's name.
func everyCommand(t *testing.T, f func(path string, cmd *cobra.Command)) {
	t.Helper()
	n := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			if len(c.Commands()) == 0 {
				n++
				f(strings.TrimPrefix(c.CommandPath(), program+" "), c)
			}
			walk(c)
		}
	}
	walk((&app{in: strings.NewReader(""), out: io.Discard, err: io.Discard}).root())
	if n < 18 {
		t.Fatalf("only %d commands", n)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The man page names every command, every flag and every environment variable, and no flag that is not there.
func TestManPageNamesEverything(t *testing.T) {
	t.Parallel()
	page := strings.NewReplacer(`\-`, "-", `\fI`, "", `\fR`, "", `\fB`, "", `"`, "", "\n.BR ", " ", "\n.B ", " ").Replace(read(t, "../../packaging/man/tigerops-incidentio.1"))
	flags := map[string]bool{"--help": true}
	everyCommand(t, func(path string, cmd *cobra.Command) {
		if path == "help" {
			return
		}
		i := regexp.MustCompile(`(?m)^\.TP\s+(\.\w+ )?` + regexp.QuoteMeta(path) + `\b|\.TP ` + regexp.QuoteMeta(path) + `\b`).FindStringIndex(page)
		if i == nil {
			t.Errorf("the man page does not name %q", path)
			return
		}
		about, _, _ := strings.Cut(page[i[1]:], "\n.TP")
		if cmd.Parent().Name() == "completion" {
			return
		}
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			flags["--"+f.Name] = true
			if f.Name != "help" && !strings.Contains(about, "--"+f.Name) {
				t.Errorf("the man page does not name --%s of %q", f.Name, path)
			}
		})
	})
	flags["--config"] = true
	for _, flag := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(page, -1) {
		if !flags[flag] {
			t.Errorf("the man page names %s, which no command has", flag)
		}
	}
	for _, name := range agent.Variables() {
		if !strings.Contains(page, name) {
			t.Errorf("the man page does not name %s", name)
		}
	}
}

// The README's table names every command.
func TestREADMENamesEveryCommand(t *testing.T) {
	t.Parallel()
	text := read(t, "../../README.md")
	everyCommand(t, func(path string, cmd *cobra.Command) {
		first, rest, below := strings.Cut(path, " ")
		row := regexp.MustCompile("(?m)^\\| `"+first+"\\b.*$").FindAllString(text, -1)
		switch {
		case path == "help" || first == "completion":
		case len(row) == 0:
			t.Errorf("no row of a table in README.md begins with `%s`", first)
		case below && !strings.Contains(strings.Join(row, "\n"), rest):
			t.Errorf("README.md does not name %q beside `%s`", rest, first)
		}
	})
}

// Every command takes --config, explains itself in one line and at length, and lists print JSON.
func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	everyCommand(t, func(path string, cmd *cobra.Command) {
		if path == "help" || strings.HasPrefix(path, "completion") {
			return
		}
		if cmd.InheritedFlags().Lookup("config") == nil {
			t.Errorf("%s: takes no --config", path)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || len(cmd.Short) > 90 {
			t.Errorf("%s: explains itself as %q", path, cmd.Short)
		}
		for line := range strings.Lines(cmd.Long) {
			if len([]rune(line)) > 121 {
				t.Errorf("%s: a line of its help is too long: %s", path, line)
			}
		}
		if last := cmd.Name(); (last == "list" || last == "status" || last == "show") && cmd.Flags().Lookup("json") == nil {
			t.Errorf("%s: takes no --json", path)
		}
	})
}
