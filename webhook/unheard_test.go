package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

// refusals makes a Server note what its handler does not hear of, and what it logs.
func refusals(s *webhook.Server) (counted, logged *book) {
	counted, logged = newBook(), newBook()
	s.Refused = func(status int, reason string) { counted.add(fmt.Sprint(status, " ", reason)) }
	s.Log = logged.logger()
	return counted, logged
}

// unheard are requests that end without a handler, and how they are counted. Those that get no answer end with it.
var unheard = []struct {
	name, sent string
	gone       bool // the client hangs up behind it
	want       string
	said       string
}{
	{"a flood of headers", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Y: "+strings.Repeat("z", 100)+"\r\n", 400), false, "431 header_too_large", "16 KiB"},
	{"nonsense", "nonsense\r\n\r\n", false, "400 malformed", "no HTTP request"},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", false, "400 malformed", "no HTTP request"},
	{"no Host", "GET / HTTP/1.1\r\n\r\n", false, "400 malformed", "missing required Host header"},
	{"a bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", false, "400 malformed", "malformed Host header"},
	{"a header without a colon", "GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", false, "400 malformed", "no HTTP request"},
	{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", false, "400 malformed", "no HTTP request"},
	{"an unknown transfer encoding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", false, "501 transfer_encoding", "Transfer-Encoding"},
	{"an unknown Expect", "POST / HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n", false, "417 expectation", "Expect"},
	{"HTTP of another kind", "GET / HTTP/3.0\r\nHost: x\r\n\r\n", false, "505 http_version", "HTTP/1.1"},
	{"half a header and gone", "POST / HTTP/1.1\r\nHost: x\r\nX-", true, "0 incomplete", ""},
	{"half a line and gone", "PO", true, "0 incomplete", ""},
}

func TestWhatNoHandlerHearsOfIsCountedByReasonAndLoggedOnce(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		for _, before := range []string{"", "POST /before HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"} {
			for _, c := range unheard {
				name := c.name + " over " + network
				if before != "" {
					name += " behind a request"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					stored, notes := &stored{}, newBook()
					s := &webhook.Server{Name: "webhook", Handler: receiver(stored, notes, secretA)}
					counted, logged := refusals(s)
					addr := "127.0.0.1:0"
					if network == "unix" {
						addr = "unix:" + filepath.Join(t.TempDir(), "s")
					}
					ln, err := webhook.Listen(t.Context(), addr)
					if err != nil {
						t.Fatal(err)
					}
					serveOn(t, s, ln)
					transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
						return net.Dial(network, ln.Addr().String())
					}}
					t.Cleanup(transport.CloseIdleConnections)
					honest := &http.Client{Transport: transport, Timeout: patience}

					const times = 3
					for i := range times {
						if said := provoke(t, ln.Addr(), before, c.sent, c.gone); c.said != "" {
							answer := wantAnswer(t, said, c.want[:3])
							if !strings.Contains(answer, c.said) {
								t.Errorf("got %s, want words of %q", answer, c.said)
							}
						}
						counted.wait(t, c.want, i+1)
						status, _, body := do(t, honest, http.MethodPost, "http://x"+webhook.WebhookPath,
							signed(t, secretA, "webhook-", fmt.Sprint("msg_", i), time.Now(), event), bytes.NewReader(event))
						if status != http.StatusNoContent {
							t.Errorf("an honest webhook meanwhile: got %d %s", status, body)
						}
					}
					if got := counted.all(); len(got) != times {
						t.Errorf("counted %q, want %d times %s", got, times, c.want)
					}
					_, reason, _ := strings.Cut(c.want, " ")
					if got := logged.all(); len(got) != 1 || !strings.Contains(got[0], "reason="+reason+" ") || !strings.Contains(got[0], "port=webhook") {
						t.Errorf("logged %q, want one line of %s", got, reason)
					}
					if stored.len() != times {
						t.Errorf("%d webhooks stored, want %d", stored.len(), times)
					}
				})
			}
		}
	}
}

// provoke sends bytes behind a request that is answered, if there is one, and gives what is said to them until the end.
func provoke(t *testing.T, addr net.Addr, before, sent string, gone bool) string {
	t.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if before != "" {
		send(t, conn, []byte(before))
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
	}
	_, _ = conn.Write([]byte(sent)) // it fails where the server has hung up
	if gone {
		return ""
	}
	said, _ := io.ReadAll(r) // a reset behind the answer is none of this test's business
	return string(said)
}

// wantAnswer checks the form of an answer that net/http would have given in its own, and gives its body.
func wantAnswer(t *testing.T, said, status string) string {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(said)), nil)
	if err != nil {
		t.Fatalf("got %q: %v", said, err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(answer.Status, status) || !answer.Close || answer.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %q, want %s, the end of the connection, JSON", said, status)
	}
	wantError(t, string(body))
	return string(body)
}

// piped is a listener whose connections are pipes, so that a test's clock reaches their deadlines.
type piped struct {
	come   chan net.Conn
	closed chan struct{}
}

func (p piped) Accept() (net.Conn, error) {
	select {
	case c := <-p.come:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p piped) Close() error {
	close(p.closed)
	return nil
}

func (p piped) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p piped) dial() net.Conn {
	here, there := net.Pipe()
	p.come <- there
	return here
}

func TestWhoIsSlowIsCountedAndLoggedOnceInHalfAMinute(t *testing.T) {
	t.Parallel()
	for reason, sent := range map[string]string{"silent": "", "slow": "POST /webhooks/incident-io HTTP/1.1\r\nHost: x\r\nWebhook-"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &webhook.Server{Name: "webhook", Handler: hello}
				counted, logged := refusals(s)
				ln := piped{make(chan net.Conn), make(chan struct{})}
				serveOn(t, s, ln)
				const many = 50
				var conns [many]net.Conn
				for i := range conns {
					conn := ln.dial()
					defer conn.Close()
					conns[i] = conn
					if sent != "" {
						send(t, conn, []byte(sent))
					}
				}
				time.Sleep(5*time.Second + time.Millisecond)
				synctest.Wait()
				for _, conn := range conns {
					if said, err := io.ReadAll(conn); err != nil || len(said) > 0 {
						t.Fatalf("said at the end: %q, %v, want nothing", said, err)
					}
				}
				if got := counted.all(); len(got) != many || counted.count("0 "+reason) != many {
					t.Errorf("counted %d: %q, want %d times 0 %s", len(got), got, many, reason)
				}
				if got := logged.all(); len(got) != 1 || !strings.Contains(got[0], "reason="+reason+" count=1 ") {
					t.Errorf("logged %q, want one line", got)
				}
				time.Sleep(30 * time.Second)
				synctest.Wait()
				if got := logged.all(); len(got) != 2 || !strings.Contains(got[1], fmt.Sprintf("reason=%s count=%d ", reason, many-1)) {
					t.Errorf("logged %q, want a second line for all others", got)
				}
				time.Sleep(time.Minute) // for the throttle's timers to end
			})
		})
	}
}

func TestAnIdleConnectionsEndIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &webhook.Server{Name: "webhook", Handler: hello}
		counted, logged := refusals(s)
		ln := piped{make(chan net.Conn), make(chan struct{})}
		serveOn(t, s, ln)
		answered := func() net.Conn {
			conn := ln.dial()
			for range 2 {
				send(t, conn, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "hello" {
					t.Fatalf("got %q, %v", body, err)
				}
			}
			return conn
		}
		answered().Close() // goes away between requests
		ln.dial().Close()  // goes away before one, as a load balancer's check does
		conn := answered() // stays until the server has had enough
		began := time.Now()
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v, want the end", err)
		}
		if took := time.Since(began); took < time.Minute {
			t.Errorf("the connection ended after %s", took)
		}
		if got := append(counted.all(), logged.all()...); len(got) > 0 {
			t.Errorf("got %q, want nothing", got)
		}
	})
}

func TestWhatAHandlerAnswersIsItsOwn(t *testing.T) {
	t.Parallel()
	s := &webhook.Server{Name: "x", BodyWithin: 100 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic(http.ErrAbortHandler)
		case "/hijack":
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(rw, "HTTP/1.1 400 mine\r\n\r\n")
			rw.Flush()
		default:
			body, err := io.ReadAll(r.Body)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
			fmt.Fprintf(w, "plain %d", len(body))
		}
	})}
	counted, logged := refusals(s)
	addr := serve(t, s)
	for _, c := range []struct{ sent, later, want string }{
		{"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n", "", ""},
		{"GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n", "", "400 mine"},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "", "plain 0"},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhalf", "", "400 Bad Request"},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "", "plain 0HTTP/1.1 200 OK"},
		{"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\n", "a", "plain 1"},
	} {
		conn := dial(t, addr)
		send(t, conn, []byte(c.sent))
		if c.later != "" {
			line := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
			if _, err := io.ReadFull(conn, line); err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 100 Continue")) {
				t.Errorf("%q: got %q, %v, want to go on", c.sent, line, err)
			}
			send(t, conn, []byte(c.later))
		}
		if said := ended(t, conn); !strings.Contains(said, c.want) || strings.Contains(said, "{") {
			t.Errorf("%q: got %q, want %q", c.sent, said, c.want)
		}
	}
	if got := append(counted.all(), logged.all()...); len(got) > 0 {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestWhoMakesRoomIsCountedUnlessItWasIdle(t *testing.T) {
	t.Parallel()
	const places, more = 8, 20
	s := &webhook.Server{Name: "x", Handler: hello, MaxConns: places, HeaderWithin: time.Hour}
	counted, logged := refusals(s)
	addr := serve(t, s)
	for range places {
		conn := dial(t, addr)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			t.Fatal(err)
		}
	}
	var half []net.Conn
	for i := range places + more {
		conn := dial(t, addr)
		if i%2 == 0 {
			fmt.Fprint(conn, "GET / HT")
		}
		half = append(half, conn)
	}
	for _, conn := range half[:more] {
		ended(t, conn)
	}
	if got := counted.all(); len(got) != more || counted.count("0 evicted") != more {
		t.Errorf("counted %q, want %d times 0 evicted", got, more)
	}
	if got := logged.all(); len(got) != 1 || !strings.Contains(got[0], "reason=evicted ") {
		t.Errorf("logged %q, want one line", got)
	}
	if status, _, body := do(t, client(t), http.MethodGet, "http://"+addr, nil, nil); status != 200 || body != "hello" {
		t.Errorf("an honest request: got %d %s", status, body)
	}
}
