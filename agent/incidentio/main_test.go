package incidentio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

// key is the API key of all tests; it must turn up nowhere but in the Authorization header.
const key = "inc_live_0123456789abcdef"

func TestMain(m *testing.M) {
	if child := os.Getenv("INCIDENTIO_TEST_CHILD"); child != "" {
		os.Exit(childMain(child))
	}
	goleak.VerifyTestMain(m)
}

// childMain makes one request in a process of its own, whose environment is the test's to choose.
func childMain(address string) int {
	c, err := incidentio.New(incidentio.Options{
		BaseURL: address, Key: func() string { return key }, CAFile: os.Getenv("INCIDENTIO_TEST_CA"),
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	r := c.Send(context.Background(), get)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"class": r.Class.String(), "error": r.Error()})
	return 0
}

var (
	get  = incidentio.Call{Method: http.MethodGet, Path: "/v1/identity"}
	edit = incidentio.Call{Method: http.MethodPost, Path: "/v2/incidents/01FDAG/actions/edit", Body: []byte(`{"incident":{}}`)}
)

// client makes a client of the test's server.
func client(t testing.TB, address string) *incidentio.Client {
	t.Helper()
	c, err := incidentio.New(incidentio.Options{BaseURL: address, Key: func() string { return key }, UserAgent: "tigerops-incidentio/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve starts a server that answers with h.
func serve(t testing.TB, h http.HandlerFunc) *incidentio.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return client(t, srv.URL)
}

// raw starts a server that speaks whatever answer does on each connection, after it has read one request.
func raw(t testing.TB, answer func(net.Conn)) *incidentio.Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := conn.Read(make([]byte, 64<<10)); err == nil {
				answer(conn)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return client(t, "http://"+l.Addr().String())
}

// within is a context that ends long after any test should have.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
