package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })

// dial opens a connection that the test drives by hand.
func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ended waits until the other side has closed the connection, whatever it says before.
func ended(t testing.TB, conn net.Conn) string {
	t.Helper()
	said, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the connection was left open; it said %q", said)
	}
	return string(said)
}

func TestListenNamesTheTakenPort(t *testing.T) {
	t.Parallel()
	ln, err := webhook.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := webhook.Listen(t.Context(), ln.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("got %v, want one that names the address", err)
	}
}

func TestListenOnASocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "local.sock")
	ln, err := webhook.Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("got mode %v, %v, want 0660", info.Mode(), err)
	}
	if _, err := webhook.Listen(t.Context(), "unix:"+path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a socket in use: got %v", err)
	}
	serveOn(t, &webhook.Server{Name: "local", Handler: newFake().local().Handler()}, ln)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	if status, _, body := do(t, &http.Client{Transport: transport}, http.MethodGet, "http://any.name/v1/status", nil, nil); status != 200 {
		t.Errorf("through the socket: got %d %s", status, body)
	}
}

func TestListenReplacesADeadProcessesSocketOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.sock")
	dead, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	ln, err := webhook.Listen(t.Context(), "unix:"+stale)
	if err != nil {
		t.Fatalf("a socket that nobody listens on: %v", err)
	}
	ln.Close()
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays behind: %v", err)
	}

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := webhook.Listen(t.Context(), "unix:"+file); err == nil {
		t.Error("a file was taken for a socket")
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "dear" {
		t.Errorf("the file was touched: %q, %v", text, err)
	}
	for _, bad := range []string{"unix:", "unix:@abstract", "unix:" + filepath.Join(dir, "none", "x.sock"), "127.0.0.1", "nonsense:port:1"} {
		if ln, err := webhook.Listen(t.Context(), bad); err == nil {
			ln.Close()
			t.Errorf("%s: was listened on", bad)
		}
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	t.Run("before Serve", func(t *testing.T) {
		t.Parallel()
		s := &webhook.Server{Name: "x", Handler: hello}
		for range 2 {
			if err := s.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ln, err := webhook.Listen(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(ln); err != nil {
			t.Errorf("Serve after Shutdown: %v", err)
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener was left open: %v", err)
		}
	})
	t.Run("racing Serve", func(t *testing.T) {
		t.Parallel()
		for range 50 {
			ln, err := webhook.Listen(t.Context(), "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := &webhook.Server{Name: "x", Handler: hello}
			done := make(chan error, 3)
			go func() { done <- s.Serve(ln) }()
			for range 2 {
				go func() { done <- s.Shutdown(context.Background()) }()
			}
			for range 3 {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	t.Run("waits for what is under way", func(t *testing.T) {
		t.Parallel()
		begun, finish := make(chan struct{}), make(chan struct{})
		s := &webhook.Server{Name: "x", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-finish
			fmt.Fprint(w, "done")
		})}
		addr := serve(t, s)
		conn := dial(t, addr)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-begun
		stopped := make(chan error, 1)
		go func() { stopped <- s.Shutdown(context.Background()) }()
		close(finish)
		if said := ended(t, conn); !strings.Contains(said, "done") {
			t.Errorf("the answer was lost: %q", said)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	t.Run("answers who is let in at the last moment", func(t *testing.T) {
		t.Parallel()
		ln, err := webhook.Listen(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		late := &lateListener{Listener: ln, came: make(chan struct{}), closed: make(chan struct{})}
		s := &webhook.Server{Name: "x", Handler: hello}
		served := make(chan error, 1)
		go func() { served <- s.Serve(late) }()
		conn := dial(t, ln.Addr().String())
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-late.came
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if said := ended(t, conn); !strings.Contains(said, "hello") {
			t.Errorf("the request was dropped: %q", said)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Run("closes what takes too long", func(t *testing.T) {
		t.Parallel()
		begun, finish := make(chan struct{}), make(chan struct{})
		s := &webhook.Server{Name: "x", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			close(begun)
			<-finish
		})}
		addr := serve(t, s)
		conn := dial(t, addr)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-begun
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		ended(t, conn)
		close(finish)
	})
}

// lateListener gives its first connection away only once it is closed: a client that comes just as the server stops.
type lateListener struct {
	net.Listener
	came, closed chan struct{}
}

func (l *lateListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		close(l.came)
		<-l.closed
	}
	return conn, err
}

func (l *lateListener) Close() error {
	close(l.closed)
	return l.Listener.Close()
}

func TestServerCutsOffWhoIsSlow(t *testing.T) {
	t.Parallel()
	notes := newBook()
	s := &webhook.Server{Name: "webhook", Handler: receiver(&stored{}, notes, secretA), HeaderWithin: 50 * time.Millisecond, BodyWithin: 200 * time.Millisecond}
	addr := serve(t, s)
	for name, sent := range map[string]string{
		"nothing":       "",
		"half a header": "POST /webhooks/incident-io HTTP/1.1\r\nHost: x\r\nWebhook-",
		"half a line":   "PO",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, addr)
			fmt.Fprint(conn, sent)
			ended(t, conn)
		})
	}
	t.Run("half a body", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, addr)
		send(t, conn, webhookRequest(t, len(event), event[:20]))
		if said := ended(t, conn); !strings.HasPrefix(said, "HTTP/1.1 400 ") {
			t.Errorf("got %q", said)
		}
		notes.wait(t, "refused incomplete", 1)
	})
}

// webhookRequest is a webhook with headers in good order, and as much of its body as given.
func webhookRequest(t testing.TB, length int, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", webhook.WebhookPath, length)
	if err := signed(t, secretB, "webhook-", "msg_1", time.Now(), body).Write(&b); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "\r\n%s", body)
	return b.Bytes()
}

// send writes to a connection of dial.
func send(t testing.TB, conn net.Conn, request []byte) {
	t.Helper()
	if _, err := conn.Write(request); err != nil {
		t.Error(err)
	}
}

func TestServerRefusesAFloodOfHeaders(t *testing.T) {
	t.Parallel()
	addr := serve(t, &webhook.Server{Name: "webhook", Handler: receiver(&stored{}, newBook(), secretA)})
	conn := dial(t, addr)
	go func() { // the server stops reading, so this may fail
		fmt.Fprint(conn, "POST /webhooks/incident-io HTTP/1.1\r\nHost: x\r\n")
		for i := range 10000 {
			if _, err := fmt.Fprintf(conn, "X-%d: %s\r\n", i, strings.Repeat("y", 100)); err != nil {
				return
			}
		}
	}()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.Contains(line, " 431 ") {
		t.Errorf("got %q", line)
	}
}

func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	addr := serve(t, &webhook.Server{Name: "x", Handler: hello, MaxConns: 8, HeaderWithin: time.Hour})
	var silent []net.Conn
	for range 40 {
		conn := dial(t, addr)
		fmt.Fprint(conn, "GET / HT")
		silent = append(silent, conn)
	}
	if status, _, body := do(t, client(t), http.MethodGet, "http://"+addr, nil, nil); status != 200 || body != "hello" {
		t.Errorf("got %d %s", status, body)
	}
	for _, conn := range silent[:32] { // the first in are the first out
		ended(t, conn)
	}
}

// telling is a listener that tells of each connection that it hands out.
type telling struct {
	net.Listener
	came chan struct{}
}

func (l telling) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.came <- struct{}{}
	}
	return conn, err
}

func TestBusyConnectionsMakeTheNextWait(t *testing.T) {
	t.Parallel()
	const limit = 4
	begun, first, rest := make(chan struct{}, limit), make(chan struct{}), make(chan struct{})
	ln, err := webhook.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan struct{}, limit+1)
	serveOn(t, &webhook.Server{Name: "x", MaxConns: limit, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/first":
			begun <- struct{}{}
			<-first
		case "/rest":
			begun <- struct{}{}
			<-rest
		}
		fmt.Fprint(w, "hello")
	})}, telling{ln, came})
	var busy []net.Conn
	for i := range limit {
		conn := dial(t, ln.Addr().String())
		path := "/rest"
		if i == limit-1 {
			path = "/first"
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		busy = append(busy, conn)
		<-begun
		<-came
	}
	next := dial(t, ln.Addr().String())
	fmt.Fprint(next, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	<-came
	close(first) // that one is idle then, and makes room
	if said := ended(t, next); !strings.Contains(said, "hello") {
		t.Errorf("got %q", said)
	}
	close(rest)
	for i, conn := range busy {
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || answer.StatusCode != 200 {
			t.Errorf("busy connection %d was cut off: %v", i, err)
		}
	}
}

func TestServerLogsNetHTTPsComplaintsSparingly(t *testing.T) {
	t.Parallel()
	logged := newBook()
	addr := serve(t, &webhook.Server{Name: "webhook", Log: logged.logger(), Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") })})
	for range 20 {
		conn := dial(t, addr)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		ended(t, conn)
	}
	if got := logged.all(); len(got) != 1 || !strings.Contains(got[0], "port=webhook") {
		t.Errorf("got %d lines: %.300q", len(got), got)
	}
}
