package cli_test

import (
	"database/sql"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"

	"github.com/tigerops/tigerops-incidentio/agent/cli"
	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tigerops-incidentio": func() {
			os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
		},
	})
}

// Each file of testdata/script is a story of one user. $API is a simulated incident.io of the story's own, $FREE an
// address that nobody listens on.
func TestStories(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			sim := simulator.New(simulator.Options{})
			server := httptest.NewServer(sim)
			e.Defer(server.Close)
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Vars = append(e.Vars, "API="+server.URL, "FREE="+free.Addr().String(), "KEY="+simulator.DefaultKey, "SOURCE="+simulator.DefaultAlertSourceID, "TOKEN="+simulator.DefaultAlertSourceToken)
			return free.Close()
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"eventually": eventually,
			"sql":        runSQL,
			"status":     exitStatus,
			"hangup":     hangUp,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// eventually PATTERN COMMAND… runs a command until its output holds the words of PATTERN, at most 20 s.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND…")
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := ts.Exec(args[1], args[2:]...)
		out := ts.ReadFile("stdout") + ts.ReadFile("stderr")
		if strings.Contains(out, args[0]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no %q in 20 s: %v\n%s", args[0], err, out)
		}
	}
}

// sql FILE STATEMENT runs a statement as a stranger to the database would, and prints the first column of its rows.
func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0])+"?_pragma=busy_timeout(5000)")
	ts.Check(err)
	defer db.Close()
	rows, err := db.Query(args[1])
	ts.Check(err)
	defer rows.Close()
	for rows.Next() {
		var v any
		ts.Check(rows.Scan(&v))
		fmt.Fprintln(ts.Stdout(), v)
	}
	ts.Check(rows.Err())
}

// status N COMMAND… runs a command that must end with the exit status N.
func exitStatus(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

// hangup sends SIGHUP to everything in the background.
func hangUp(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGHUP))
	}
}

// setUserVersion makes a file look as if a later program had migrated it.
func setUserVersion(t *testing.T, path string, version int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		t.Fatal(err)
	}
}
