package webhook_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// Two secrets made up here, as incident.io writes them.
var (
	secretA = "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of twenty-four"))
	secretB = "whsec_" + base64.StdEncoding.EncodeToString([]byte("another, also made up 1"))
)

// book is a log or a list that many goroutines write to.
type book struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func newBook() *book { return &book{more: make(chan struct{}, 1)} }

func (b *book) add(line string) {
	b.mu.Lock()
	b.lines = append(b.lines, line)
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
}

func (b *book) Write(p []byte) (int, error) {
	b.add(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (b *book) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.lines...)
}

func (b *book) count(line string) int {
	n := 0
	for _, have := range b.all() {
		if have == line {
			n++
		}
	}
	return n
}

// wait returns when line is there n times.
func (b *book) wait(t testing.TB, line string, n int) {
	t.Helper()
	limit := time.After(patience)
	for b.count(line) < n {
		select {
		case <-b.more:
		case <-limit:
			t.Fatalf("%d of %d times %q in time", b.count(line), n, line)
		}
	}
}

func (b *book) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// stored is a Receiver's storage.
type stored struct {
	mu     sync.Mutex
	bodies map[string][]byte
}

func (s *stored) accept(_ context.Context, id string, body []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bodies == nil {
		s.bodies = map[string][]byte{}
	}
	if _, ok := s.bodies[id]; ok {
		return true, nil
	}
	s.bodies[id] = bytes.Clone(body)
	return false, nil
}

func (s *stored) body(id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[id]
}

func (s *stored) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bodies)
}

// signed gives the headers of a webhook, in the names of family.
func signed(t testing.TB, secret, family, id string, at time.Time, body []byte) http.Header {
	t.Helper()
	signature, err := webhook.SignStandard(secret, id, at, body)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set(family+"id", id)
	h.Set(family+"timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set(family+"signature", signature)
	return h
}

// deliver sends a request to a handler in memory.
func deliver(h http.Handler, method, path string, header http.Header, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, body)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// serve runs a server until the test ends, and gives its address.
func serve(t testing.TB, s *webhook.Server) string {
	t.Helper()
	ln, err := webhook.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, ln)
	return ln.Addr().String()
}

func serveOn(t testing.TB, s *webhook.Server, ln net.Listener) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// client is one that keeps no connection behind a test's back.
func client(t testing.TB) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// do sends a request over the network and gives status, header and body.
func do(t testing.TB, c *http.Client, method, url string, header http.Header, body io.Reader) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: read the answer: %v", method, url, err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

// wantError checks that body is the one shape of an error.
func wantError(t testing.TB, body string) {
	t.Helper()
	var e struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Error == "" {
		t.Errorf("got body %q, want {\"error\":…}", body)
	}
}
