package incidentio_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

// outcome fails the test unless a request ended as wanted, and its words are fit to be shown.
func outcome(t *testing.T, r incidentio.Result, want incidentio.Class) {
	t.Helper()
	if r.Class != want {
		t.Errorf("got %v, want %v: %v", r.Class, want, r)
	}
	if line := r.Error(); line == "" || strings.ContainsAny(line, "\r\n\x1b") || strings.Contains(line, key) {
		t.Errorf("not fit to be shown: %q", line)
	}
}

func deadPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestNeverSent(t *testing.T) {
	t.Parallel()
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of our hanging up
	tls.StartTLS()
	t.Cleanup(tls.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for _, test := range []struct{ name, address string }{
		{"a dead port", "http://" + deadPort(t)},
		{"no such name", "https://incident-io.invalid"},
		{"a certificate of nobody's", tls.URL},
		{"no TLS at the other end", strings.Replace(plain.URL, "http:", "https:", 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := client(t, test.address).Send(within(t), edit)
			outcome(t, r, incidentio.Unreachable)
			if r.Err == nil || r.Status != 0 || r.Requests != 1 {
				t.Errorf("error %v, status %d, %d requests", r.Err, r.Status, r.Requests)
			}
		})
	}
	t.Run("cancelled before", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r := client(t, plain.URL).Send(ctx, edit)
		outcome(t, r, incidentio.Unreachable)
		if !errors.Is(r, context.Canceled) {
			t.Errorf("the cancellation is lost: %v", r.Err)
		}
	})
}

func TestSentWithoutAnswer(t *testing.T) {
	t.Parallel()
	reset := func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }
	for _, test := range []struct {
		name   string
		answer func(net.Conn)
	}{
		{"reset before the answer", reset},
		{"closed before the answer", func(net.Conn) {}},
		{"no HTTP", func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.6\r\n") }},
		{"cut in the headers", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le") }},
		{"reset in mid-body", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"incident\":")
			reset(c)
		}},
		{"closed in mid-body", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"incident\":")
		}},
		{"closed in mid-chunk", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{}")
		}},
		{"a refusal cut off before it says why", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 422 Unprocessable Entity\r\nContent-Length: 100\r\n\r\n{\"errors\":")
		}},
		{"gzip that is none", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := raw(t, test.answer).Send(within(t), edit)
			outcome(t, r, incidentio.InDoubt)
			if r.Err == nil {
				t.Error("no error says why")
			}
		})
	}
	// What the status alone decides needs no body.
	for status, want := range map[int]incidentio.Class{
		401: incidentio.Unauthorized, 429: incidentio.Throttled, 503: incidentio.Retry, 302: incidentio.Unreachable,
	} {
		t.Run(fmt.Sprintf("%d cut off", status), func(t *testing.T) {
			t.Parallel()
			c := raw(t, func(c net.Conn) {
				fmt.Fprintf(c, "HTTP/1.1 %d No\r\nRetry-After: 3\r\nContent-Length: 100\r\n\r\n{", status)
			})
			r := c.Send(within(t), edit)
			outcome(t, r, want)
			if r.After != 3*time.Second {
				t.Errorf("after %v", r.After)
			}
		})
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		head string // sent before the hang
	}{
		{"before the answer", ""},
		{"in mid-body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			asked := make(chan struct{})
			c := raw(t, func(conn net.Conn) {
				io.WriteString(conn, test.head)
				close(asked)
				<-release
			})
			t.Cleanup(func() { close(release) })
			ctx, cancel := context.WithCancel(context.Background())
			go func() { <-asked; cancel() }()
			r := c.Send(ctx, edit)
			outcome(t, r, incidentio.InDoubt)
			if !errors.Is(r.Err, context.Canceled) {
				t.Errorf("error %v", r.Err)
			}
		})
	}
	t.Run("beyond the client's own time", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release }))
		t.Cleanup(srv.Close)
		t.Cleanup(func() { close(release) })
		c, err := incidentio.New(incidentio.Options{BaseURL: srv.URL, Key: func() string { return key },
			HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 50 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		r := c.Send(context.Background(), edit)
		outcome(t, r, incidentio.InDoubt)
		if !errors.Is(r, context.DeadlineExceeded) || !strings.Contains(r.Message, "50ms") {
			t.Errorf("error %v", r)
		}
	})
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{other.URL + "/login?token=abc", "/v1/elsewhere", "http://[::1", ""} {
			var asked atomic.Int32
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if to != "" {
					w.Header().Set("Location", to)
				}
				w.WriteHeader(status)
			})
			for _, call := range []incidentio.Call{get, edit} {
				r := c.Send(within(t), call)
				outcome(t, r, incidentio.Unreachable)
				if r.Code != "redirected" || strings.Contains(r.Message, "token") {
					t.Errorf("code %q, message %q", r.Code, r.Message)
				}
			}
			if asked.Load() != 2 {
				t.Errorf("%d to %q: asked %d times, want 2", status, to, asked.Load())
			}
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	const most = 8 << 20
	answer := func(size int) []byte { // a JSON object of exactly that size
		return []byte(`{"a":"` + strings.Repeat("x", size-8) + `"}`)
	}
	for _, test := range []struct {
		name   string
		status int
		size   int
		zip    bool
		want   incidentio.Class
	}{
		{"8 MiB is taken", 200, most, false, incidentio.Done},
		{"more is not", 200, most + 1, false, incidentio.InDoubt},
		{"gzip", 200, 1 << 20, true, incidentio.Done},
		{"gzip that swells", 200, most + 1, true, incidentio.InDoubt},
		{"a long refusal", 422, most + 1, false, incidentio.Refused},
		{"a long failure", 500, 64 << 20, true, incidentio.Retry},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if !test.zip {
					w.WriteHeader(test.status)
					_, _ = w.Write(answer(test.size))
					return
				}
				if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
					t.Error("gzip was not asked for")
				}
				w.Header().Set("Content-Encoding", "gzip")
				w.WriteHeader(test.status)
				z := gzip.NewWriter(w)
				_, _ = z.Write(answer(test.size))
				_ = z.Close()
			})
			r := c.Send(within(t), edit)
			outcome(t, r, test.want)
			if len(r.Body) > most {
				t.Errorf("%d bytes were kept", len(r.Body))
			}
			if test.want == incidentio.InDoubt && r.Code != "too_large" {
				t.Errorf("code %q", r.Code)
			}
		})
	}
}

func TestAnswersWithoutEnd(t *testing.T) {
	t.Parallel()
	t.Run("headers", func(t *testing.T) {
		t.Parallel()
		var written atomic.Int64
		c := raw(t, func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for written.Load() < 64<<20 {
				n, err := io.WriteString(conn, "X: "+strings.Repeat("x", 32<<10)+"\r\n")
				written.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		outcome(t, c.Send(within(t), edit), incidentio.InDoubt)
		// What the kernel buffers is not ours to bound; Go's own bound would be 10 MiB.
		if n := written.Load(); n > 9<<20 {
			t.Errorf("%d bytes of headers were taken", n)
		}
	})
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, strings.Repeat(" ", 32<<10))
			}
		})
		r := c.Send(within(t), edit)
		outcome(t, r, incidentio.InDoubt)
		if r.Code != "too_large" {
			t.Errorf("code %q: %v", r.Code, r)
		}
	})
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	var drop atomic.Bool
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if drop.Load() {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, `{"proto":%q}`, r.Proto)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	c, err := incidentio.New(incidentio.Options{BaseURL: srv.URL, Key: func() string { return key }, CAFile: caFile(t, srv)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	r := c.Send(within(t), edit)
	outcome(t, r, incidentio.Done)
	if string(r.Body) != `{"proto":"HTTP/2.0"}` {
		t.Errorf("body %s", r.Body)
	}
	drop.Store(true)
	outcome(t, c.Send(within(t), edit), incidentio.InDoubt)
}

// A connection that the server dropped while it was idle, and then nobody listens: nothing was sent.
func TestServerGoneBetweenRequests(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{}`) }))
	c := client(t, srv.URL)
	outcome(t, c.Send(within(t), edit), incidentio.Done)
	srv.Close()
	deadline := time.Now().Add(10 * time.Second)
	for {
		// The first request may still find the old connection; then it is in doubt, and the next one dials.
		r := c.Send(within(t), edit)
		if r.Class == incidentio.Unreachable {
			return
		}
		if r.Class != incidentio.InDoubt || time.Now().After(deadline) {
			t.Fatalf("got %v: %v", r.Class, r)
		}
	}
}

func TestOtherTransports(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		err  error
		want incidentio.Class
	}{
		{"an error that proves nothing", errors.New("something broke"), incidentio.InDoubt},
		{"a failed read", &net.OpError{Op: "read", Err: errors.New("connection reset")}, incidentio.InDoubt},
		{"a failed dial", &net.OpError{Op: "dial", Err: errors.New("refused")}, incidentio.Unreachable},
		{"no such name", fmt.Errorf("lookup: %w", &net.DNSError{Err: "no such host", Name: "x"}), incidentio.Unreachable},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := incidentio.New(incidentio.Options{Key: func() string { return key },
				HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, test.err })}})
			if err != nil {
				t.Fatal(err)
			}
			r := c.Send(within(t), edit)
			outcome(t, r, test.want)
			if !errors.Is(r, test.err) {
				t.Errorf("error %v", r.Err)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func caFile(t *testing.T, srv *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The environment's proxy is read once by a process, so each case has its own.
func TestProxy(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key || r.Host != "example.com" {
			t.Errorf("host %q, authorization %q", r.Host, r.Header.Get("Authorization"))
		}
		io.WriteString(w, `{}`)
	}))
	t.Cleanup(api.Close)
	ca := caFile(t, api)
	for _, test := range []struct {
		name   string
		status int
		host   string
		env    string // PORT stands for the proxy's host and port
		want   string
		words  string
		used   bool
	}{
		{"is used", 200, "example.com", "HTTPS_PROXY=http://PORT", "done", "done", true},
		{"wants a login", 407, "example.com", "HTTPS_PROXY=http://ada:hunter22@PORT", "unreachable", "407", true},
		{"refuses", 403, "example.com", "HTTPS_PROXY=http://PORT", "unreachable", "403", true},
		{"is not used where NO_PROXY says so", 200, "incident-io.invalid", "NO_PROXY=.invalid HTTPS_PROXY=http://PORT", "unreachable", "lookup", false},
		{"is nonsense", 200, "example.com", "HTTPS_PROXY=http://ada:hunter22@[PORT", "unreachable", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var used atomic.Bool
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				used.Store(true)
				if r.Header.Get("Authorization") != "" {
					t.Error("the proxy got the key")
				}
				if test.status != 200 {
					w.WriteHeader(test.status)
					return
				}
				tunnel(w, api.Listener.Addr().String())
			}))
			t.Cleanup(proxy.Close)
			cmd := exec.CommandContext(within(t), exe, "-test.run=^$")
			// Nothing of this process's environment, which may have proxies of its own.
			cmd.Env = append(strings.Fields(strings.ReplaceAll(test.env, "PORT", proxy.Listener.Addr().String())),
				"INCIDENTIO_TEST_CHILD=https://"+test.host, "INCIDENTIO_TEST_CA="+ca)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var got struct{ Class, Error string }
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got.Class != test.want || !strings.Contains(got.Error, test.words) {
				t.Errorf("got %s, want %s with %q", out, test.want, test.words)
			}
			if used.Load() != test.used || strings.Contains(string(out), "hunter22") || strings.Contains(string(out), key) {
				t.Errorf("the proxy was used: %v, want %v; output %s", used.Load(), test.used, out)
			}
		})
	}
}

// tunnel joins a CONNECT request with an address.
func tunnel(w http.ResponseWriter, address string) {
	up, err := net.Dial("tcp", address)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	down, read, err := http.NewResponseController(w).Hijack()
	if err != nil {
		up.Close()
		return
	}
	go func() {
		_, _ = io.Copy(up, read) // which may have the first bytes already
		up.Close()
	}()
	_, _ = io.Copy(down, up)
	down.Close()
}
