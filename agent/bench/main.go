// bench measures the built agent beside its peers and beside what the machine can do at most: it builds them all, lets
// them take turns for several rounds, and prints a table. A module of its own, so that the peers are no dependencies of the
// agent.
//
//	cd agent/bench && go run .
//	go run . -list
//	go run . -only 'door|webhook' -rounds 3
//	go run . -quick
//
// The agent runs as installed, with the defaults of its configuration but for what a row says. Each turn begins with a
// new database and ends with kill -9; what was acknowledged or sent before must then be in the file, else the
// measurement fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// world is what all measurements share.
type world struct {
	ctx    context.Context
	bin    string // the built programs
	agent  string // measured in place of the one to be built, if not empty
	dir    string // below it each turn has a directory
	keep   bool   // those directories stay
	rounds int
	quick  bool
	began  time.Time
}

func main() {
	rounds := flag.Int("rounds", 5, "`N` rounds; the long measurements have fewer")
	only := flag.String("only", "", "the groups whose names match `REGEXP` (-list names them)")
	quick := flag.Bool("quick", false, "one round, with little of everything: shows that it works, and measures nothing")
	agent := flag.String("agent", "", "measure the built agent `FILE` rather than build one, such as one that serves profiles")
	list := flag.Bool("list", false, "name the groups and end")
	keep := flag.String("dir", "", "keep databases and logs in `DIR`, on the disk to be measured (default: a temporary directory in the current one, removed at the end unless something failed)")
	flag.Parse()
	if *list {
		for _, g := range groups(*quick) {
			fmt.Println(g.name)
		}
		return
	}
	if err := run(*rounds, *only, *quick, *keep, *agent); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, only string, quick bool, dir, agent string) (err error) {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		running.killAll()
	})
	keep := dir != ""
	if !keep {
		// Not below /tmp, which may be in memory: it is the disk that is measured.
		if dir, err = os.MkdirTemp(".", "run-"); err != nil {
			return err
		}
		defer func() {
			if err == nil || ctx.Err() != nil { // else it is worth a look
				os.RemoveAll(dir)
			}
		}()
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if quick {
		rounds = 1
	}
	w := &world{ctx: ctx, dir: dir, keep: keep, bin: filepath.Join(dir, "bin"), rounds: rounds, quick: quick, agent: agent, began: time.Now()}
	all := groups(quick)
	var wanted []*group
	for _, g := range all {
		if chosen.MatchString(g.name) {
			wanted = append(wanted, g)
		}
	}
	if err := w.build(wanted); err != nil {
		return err
	}
	var lines []line
	var failed []error
	for _, g := range wanted {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o := w.measure(g)
		for _, r := range g.rows {
			lines = append(lines, o.line(r))
		}
		if o.err != nil {
			w.say("%v", o.err)
			failed = append(failed, o.err)
		}
		w.say("%s took %s", g.name, o.took.Round(time.Second))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Println(table(lines))
	fmt.Println(w.conditions())
	for _, err := range failed {
		fmt.Println("\nFailed: " + err.Error())
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d groups failed", len(failed), len(wanted))
	}
	return nil
}

// say tells how far it is, on stderr: stdout is for the table.
func (w *world) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(w.began).Seconds(), fmt.Sprintf(format, args...))
}

// directory makes a new directory for a turn. done removes it; after a failure it stays for a look.
func (w *world) directory(name string) (dir string, done func(), err error) {
	dir, err = os.MkdirTemp(w.dir, strings.Map(func(r rune) rune {
		if r == ' ' || r == '/' {
			return '-'
		}
		return r
	}, name)+"-")
	return dir, func() {
		if !w.keep {
			os.RemoveAll(dir)
		}
	}, err
}

// conditions say on what and how the table was made.
func (w *world) conditions() string {
	var uts syscall.Utsname
	kernel := ""
	if syscall.Uname(&uts) == nil {
		for _, c := range uts.Release {
			if c == 0 {
				break
			}
			kernel += string(rune(c))
		}
	}
	rounds := fmt.Sprintf("Up to %d rounds", w.rounds)
	if w.quick {
		rounds = "One quick round, whose figures mean nothing"
	}
	return fmt.Sprintf("%s; medians, in parentheses the least and the most. %s, %d × %s, Linux %s; %s; agent %s; `go run . %s`, %s.",
		rounds, time.Now().UTC().Format("2 January 2006 15:04 UTC"), runtime.NumCPU(), processor(), kernel, runtime.Version(), revision(),
		strings.Join(os.Args[1:], " "), time.Since(w.began).Round(time.Second))
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo") // told only where it is known
	for l := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func revision() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "of an unknown commit"
	}
	commit := strings.TrimSpace(string(out))
	if out, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err == nil && len(out) > 0 {
		commit += " with changes"
	}
	return commit
}

// build makes the programs that the groups need, stripped as the packages have them.
func (w *world) build(wanted []*group) error {
	if err := os.MkdirAll(w.bin, 0o755); err != nil {
		return err
	}
	flags := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"}
	if w.quick { // what was compiled for anything else serves
		flags = slices.Delete(flags, 1, 2)
	}
	if w.agent == "" {
		if err := w.goTool("../..", append(flags, "-o", w.program("tigerops-incidentio"), "."), "CGO_ENABLED=0"); err != nil {
			return err
		}
	} else {
		built, err := filepath.Abs(w.agent)
		if err != nil {
			return err
		}
		if err := link(built, w.program("tigerops-incidentio")); err != nil {
			return err
		}
	}
	if err := w.goTool(".", append(flags, "-o", w.bin+"/", "./peers/..."), "CGO_ENABLED=0"); err != nil {
		return err
	}
	for _, g := range wanted {
		for _, s := range g.sides {
			if s.name == "alertmanager" {
				return w.buildAlertmanager()
			}
		}
	}
	return nil
}

// alertmanagerVersion is the newest whose module holds the files of its web interface, without which it does not build
// (those later make them with Node.js).
const alertmanagerVersion = "v0.31.1"

// buildAlertmanager builds it with the dependencies of its own go.mod. A built one in the user's cache is taken.
func (w *world) buildAlertmanager() error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(cache, "tigerops-incidentio-bench", alertmanagerVersion+"-"+runtime.Version())
	built := filepath.Join(dir, "alertmanager")
	if _, err := os.Stat(built); err != nil {
		w.say("building Alertmanager %s, which takes some minutes the first time", alertmanagerVersion)
		err := w.goTool(".", []string{"install", "-trimpath", "-ldflags", "-s -w", "github.com/prometheus/alertmanager/cmd/alertmanager@" + alertmanagerVersion},
			"CGO_ENABLED=0", "GOBIN="+dir, "GOFLAGS=")
		if err != nil {
			return err
		}
	}
	return link(built, w.program("alertmanager"))
}

// link puts a program where the built ones are, in place of one that an earlier run put there.
func link(program, place string) error {
	if err := os.Remove(place); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(program, place)
}

func (w *world) goTool(dir string, args []string, env ...string) error {
	cmd := exec.CommandContext(w.ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func (w *world) program(name string) string { return filepath.Join(w.bin, name) }
