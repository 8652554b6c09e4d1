package systemd_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/systemd"
)

// child names, in a re-run of the test binary, what it is to do: only a process of its own can be handed sockets.
const child = "SYSTEMD_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	_ = os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	l, err := systemd.Listener()
	switch {
	case err != nil:
		fmt.Print("error ", err)
	case l == nil:
		fmt.Print("none")
	default:
		fmt.Print("address ", l.Addr())
	}
}

// manager is the service manager's end of the socket for messages.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

func TestNotifyTellsTheServiceManager(t *testing.T) {
	c := manager(t)
	for _, step := range []struct{ state, text, want string }{
		{"ready", "", "READY=1"},
		{"status", "in step; 3 events waiting", "STATUS=in step; 3 events waiting"},
		{"status", "two\nREADY=0", "STATUS=two READY=0"},
		{"alive", "", "WATCHDOG=1"},
		{"reloading", "", "RELOADING=1"},
		{"stopping", "", "STOPPING=1"},
	} {
		if err := systemd.Notify(step.state, step.text); err != nil {
			t.Fatalf("%s: %v", step.state, err)
		}
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1024)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("%s: %v", step.state, err)
		}
		equal(t, step.state, string(buf[:n]), step.want)
	}
}

func TestNotifyRefusesAStateThatIsNone(t *testing.T) {
	t.Parallel()
	if err := systemd.Notify("asleep", ""); err == nil {
		t.Error("no error")
	}
}

func TestNotifyWithoutAServiceManagerDoesNothing(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := systemd.Notify("ready", ""); err != nil {
		t.Error(err)
	}
}

func TestNotifyReportsABrokenSocket(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if err := systemd.Notify("ready", ""); err == nil {
		t.Error("no error")
	}
}

func TestWatchdogIsPingedTwiceInItsTime(t *testing.T) {
	for _, c := range []struct {
		name, usec, pid string
		want            time.Duration
		fails           bool
	}{
		{name: "no watchdog"},
		{name: "as in the unit", usec: strconv.Itoa(60_000_000), pid: strconv.Itoa(os.Getpid()), want: 30 * time.Second},
		{name: "another process's", usec: "60000000", pid: "1"},
		{name: "nonsense", usec: "soon", pid: strconv.Itoa(os.Getpid()), fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("WATCHDOG_USEC", c.usec)
			t.Setenv("WATCHDOG_PID", c.pid)
			got, err := systemd.WatchdogEvery()
			if got != c.want || (err != nil) != c.fails {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestListenerIsTheOneSocketThatWasHandedOver(t *testing.T) {
	t.Parallel()
	var files []*os.File
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		files = append(files, f)
		if len(files) == 1 {
			equal(t, "one socket", handedOver(t, files), "address "+l.Addr().String())
		}
	}
	equal(t, "no socket", handedOver(t, nil), "none")
	if got := handedOver(t, files); !strings.HasPrefix(got, "error ") || !strings.Contains(got, "2 were handed over") {
		t.Errorf("two sockets: %s", got)
	}
}

// handedOver says what Listener answers in a process that was given the sockets.
func handedOver(t *testing.T, files []*os.File) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), child+"=1")
	if len(files) > 0 {
		cmd.Env = append(cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(files)))
	}
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
