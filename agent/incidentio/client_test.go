package incidentio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

func TestNew(t *testing.T) {
	t.Parallel()
	someKey := func() string { return key }
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		options incidentio.Options
		want    string // part of the error, or nothing
	}{
		{"the default address", incidentio.Options{Key: someKey}, ""},
		{"https", incidentio.Options{Key: someKey, BaseURL: "https://proxy.example.com/incident-io/"}, ""},
		{"http on loopback", incidentio.Options{Key: someKey, BaseURL: "http://127.0.0.9:8080"}, ""},
		{"http on loopback, IPv6", incidentio.Options{Key: someKey, BaseURL: "http://[::1]:8080"}, ""},
		{"http on localhost", incidentio.Options{Key: someKey, BaseURL: "http://LocalHost:8080"}, ""},
		{"no key", incidentio.Options{}, "Key"},
		{"http elsewhere", incidentio.Options{Key: someKey, BaseURL: "http://api.incident.io"}, "unencrypted"},
		{"http on a name like localhost", incidentio.Options{Key: someKey, BaseURL: "http://localhost.example.com"}, "unencrypted"},
		{"http on an address like loopback", incidentio.Options{Key: someKey, BaseURL: "http://127.0.0.1.example.com"}, "unencrypted"},
		{"another scheme", incidentio.Options{Key: someKey, BaseURL: "ftp://127.0.0.1"}, "unencrypted"},
		{"no scheme", incidentio.Options{Key: someKey, BaseURL: "api.incident.io"}, "API URL"},
		{"a password in the address", incidentio.Options{Key: someKey, BaseURL: "https://ada:hunter22@api.incident.io"}, "API URL"},
		{"a query", incidentio.Options{Key: someKey, BaseURL: "https://api.incident.io?hunter22"}, "API URL"},
		{"no URL", incidentio.Options{Key: someKey, BaseURL: "https://%zz:hunter22@x"}, "API URL"},
		{"no CA file", incidentio.Options{Key: someKey, CAFile: "/does/not/exist"}, "CA file"},
		{"a CA file without a certificate", incidentio.Options{Key: someKey, CAFile: noPEM}, "no certificate"},
		{"a CA file without effect", incidentio.Options{Key: someKey, CAFile: noPEM, HTTP: http.DefaultClient}, "CA file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := incidentio.New(test.options)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter22")):
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			if c != nil {
				c.Close()
			}
		})
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{}`)
	})
	call := incidentio.Call{Method: "POST", Path: "/v2/alert_events/http/01%2FAS", Body: []byte("{ \"as\":\t\"it is\" }\n")}
	if r := c.Send(within(t), call); !r.OK() {
		t.Fatal(r)
	}
	for header, want := range map[string]string{
		"Authorization": "Bearer " + key, "User-Agent": "tigerops-incidentio/test",
		"Content-Type": "application/json", "Accept": "application/json",
	} {
		if got := got.Header.Get(header); got != want {
			t.Errorf("%s: got %q, want %q", header, got, want)
		}
	}
	if string(body) != string(call.Body) || got.RequestURI != call.Path {
		t.Errorf("sent %q to %s", body, got.RequestURI)
	}
	call.Token = "token-of-the-source"
	c.Send(within(t), call)
	if got := got.Header.Get("Authorization"); got != "Bearer token-of-the-source" {
		t.Errorf("with a token: %q", got)
	}
	c.Send(within(t), get)
	if got.Header.Get("Content-Type") != "" || len(body) != 0 {
		t.Errorf("without a body: %v %q", got.Header, body)
	}
}

func TestKeyIsAskedForEachRequest(t *testing.T) {
	t.Parallel()
	var current, sent string
	srv := roundTrip(func(r *http.Request) (*http.Response, error) {
		sent = r.Header.Get("Authorization")
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
	})
	c, err := incidentio.New(incidentio.Options{Key: func() string { return current }, HTTP: &http.Client{Transport: srv}})
	if err != nil {
		t.Fatal(err)
	}
	for _, current = range []string{"first", "second", " from-a-file\n"} {
		if r := c.Send(within(t), get); !r.OK() || sent != "Bearer "+strings.TrimSpace(current) {
			t.Errorf("%q: sent %q, %v", current, sent, r)
		}
	}
	for _, current = range []string{"", " \n", "two words", "line\nbreak", "schlüssel"} {
		sent = ""
		r := c.Send(within(t), get)
		outcome(t, r, incidentio.Unauthorized)
		if r.Code != "no_key" || r.Requests != 0 || sent != "" || (len(current) > 2 && strings.Contains(r.Error(), current)) {
			t.Errorf("%q: sent %q, %v", current, sent, r)
		}
	}
	current, sent = "good", ""
	if r := c.PingHeartbeat(within(t), "01HB", ""); r.Class != incidentio.Unauthorized || sent != "" {
		t.Errorf("a heartbeat without a token: sent %q, %v", sent, r)
	}
}

func TestPathThatIsNone(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) })
	for _, path := range []string{"", "v1/identity", "/v1/identity?token=x", "/v2/incidents/%zz", "/v2/incidents/a\nb", "@example.com/"} {
		r := c.Send(within(t), incidentio.Call{Method: "GET", Path: path})
		outcome(t, r, incidentio.Refused)
		if r.Requests != 0 || r.Message == "" {
			t.Errorf("%q: %+v", path, r)
		}
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	c, err := incidentio.New(incidentio.Options{BaseURL: "http://" + deadPort(t), Key: func() string { return key },
		Observe: func(method, path string, status int, d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			if d < 0 || d > time.Minute {
				t.Errorf("took %v", d)
			}
			seen = append(seen, fmt.Sprint(method, " ", path, " ", status))
		}})
	if err != nil {
		t.Fatal(err)
	}
	c.Send(within(t), edit)
	c.Send(within(t), incidentio.Call{Method: "POST", Path: "/v2/heartbeat/incidents-9/ping"})
	c.Incidents(within(t), incidentio.ListFilter{})
	want := []string{"POST /v2/incidents/{id}/actions/edit 0", "POST /v2/heartbeat/{id}/ping 0", "GET /v2/incidents 0"}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}

// A server, or something that poses as one, gives back all it was sent, wherever text is kept.
func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	const token = "token-of-the-source"
	// The padding puts the secret across the point where a message is cut.
	for pad := 440; pad < 520; pad += 3 {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			secret := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			w.Header().Set("X-Request-Id", secret)
			w.Header().Set("Location", "https://x:"+secret+"@example.com/"+secret)
			status := 422
			fmt.Sscan(r.URL.Query().Get("status"), &status)
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"request_id": secret, "errors": []any{map[string]any{
				"code": secret, "message": strings.Repeat("x", pad) + secret, "source": map[string]any{"field": secret},
			}, map[string]any{"message": "Bearer " + secret}}})
		})
		for _, call := range []incidentio.Call{{}, {Token: token}} {
			for _, status := range []string{"200", "302", "401", "422", "429", "500"} {
				call.Method, call.Path, call.Query = "POST", "/v2/incidents", map[string][]string{"status": {status}}
				r := c.Send(within(t), call)
				r.Body = nil
				for _, shown := range []string{r.Error(), fmt.Sprintf("%v %+v %#v", r, r, r), r.Message, r.Code, r.Field, r.RequestID} {
					// Half of it is too much as well.
					if strings.Contains(shown, key[:9]) || strings.Contains(shown, token[:9]) {
						t.Fatalf("%s, %d: %s", status, pad, shown)
					}
				}
				if b, err := json.Marshal(r); err != nil || strings.Contains(string(b), key) || strings.Contains(string(b), token) {
					t.Fatalf("%s: %s, %v", status, b, err)
				}
			}
		}
	}
	var source incidentio.AlertSource
	if err := json.Unmarshal([]byte(`{"id":"01","secret_token":"hunter22"}`), &source); err != nil || source.Token != "hunter22" {
		t.Fatalf("%v, %v", source, err)
	}
	b, err := json.Marshal(source)
	if shown := fmt.Sprintf("%v %+v %#v %s %q %s", source, source, source, source.Token, source.Token, b); err != nil || strings.Contains(shown, "hunter22") {
		t.Errorf("%s, %v", shown, err)
	}
}

func TestMessageFitsALine(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(422)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{
			"message": "one\r\ntwo\x1b[31m\u202e\u2028three " + strings.Repeat("ü", 1000),
		}}})
	})
	r := c.Send(within(t), edit)
	if !strings.HasPrefix(r.Message, "one two [31m three üü") || len(r.Message) > 500 || !strings.HasSuffix(r.Message, "ü…") {
		t.Errorf("%d bytes: %q", len(r.Message), r.Message)
	}
	if want := "POST /v2/incidents/01FDAG/actions/edit: refused (422): one two"; !strings.HasPrefix(r.Error(), want) {
		t.Errorf("got %q, want %q", r.Error(), want)
	}
}

func TestErrorWithoutItsForm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ body, code, field, message string }{
		{`{"errors":[{"code":7,"message":"still told","source":{"pointer":"/custom_field_entries/0/values"}}]}`, "", "custom_field_entries.0.values", "still told"},
		{`{"errors":[]}`, "", "", "422 Unprocessable Entity"},
		{`{"errors":"no list"}`, "", "", "422 Unprocessable Entity"},
		{`[]`, "not_incident_io", "", "422 Unprocessable Entity"},
		{`{"errors":[{"code":"x","message":"  "}]}`, "x", "", "422 Unprocessable Entity"},
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(422); io.WriteString(w, test.body) })
		r := c.Send(within(t), edit)
		if r.Class != incidentio.Refused || r.Code != test.code || r.Field != test.field || !strings.Contains(r.Message, test.message) {
			t.Errorf("%s: code %q, field %q, message %q", test.body, r.Code, r.Field, r.Message)
		}
	}
	if err := error(incidentio.Result{Class: incidentio.InDoubt, Err: io.ErrUnexpectedEOF}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
}
