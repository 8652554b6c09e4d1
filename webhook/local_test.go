package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

// fake is what stands behind a Local in these tests: events in memory, an inbox in memory.
type fake struct {
	mu       sync.Mutex
	events   map[string]bool
	storing  error
	changes  []webhook.Change
	states   map[int64]string
	changed  chan struct{}
	asked    int // times the inbox was read
	notReady []string
	page     webhook.Page
	did      []string // "retry 12 …"
	secret   string
	notes    *book
	log      *book
}

func newFake() *fake {
	return &fake{events: map[string]bool{}, states: map[int64]string{}, changed: make(chan struct{}), notes: newBook(), log: newBook()}
}

// tell adds a change to the inbox and wakes those who wait.
func (f *fake) tell(body string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := int64(len(f.changes) + 1)
	f.changes = append(f.changes, webhook.Change{ID: id, Body: json.RawMessage(fmt.Sprintf(`{"id":%d,"body":%q}`, id, body))})
	f.states[id] = "pending"
	close(f.changed)
	f.changed = make(chan struct{})
	return id
}

// wake wakes those who wait for nothing.
func (f *fake) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fake) reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *fake) stored() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.events)
}

func (f *fake) acts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.did...)
}

func (f *fake) end(id int64, state string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.states[id] {
	case "":
		return fmt.Errorf("change %d: %w", id, webhook.ErrNotFound)
	case "pending", state:
		f.states[id] = state
		return nil
	}
	return fmt.Errorf("change %d is %s: %w", id, f.states[id], webhook.ErrConflict)
}

func (f *fake) store(_ context.Context, payloads [][]byte, known []webhook.Known) ([]webhook.Inserted, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.storing != nil {
		return nil, f.storing
	}
	var all []webhook.Inserted
	for i, payload := range payloads {
		var e struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(payload, &e); err != nil {
			return nil, err
		}
		if known[i].ID != e.ID {
			return nil, fmt.Errorf("%s is known as %+v", payload, known[i])
		}
		all = append(all, webhook.Inserted{ID: e.ID, Duplicate: f.events[e.ID]})
		f.events[e.ID] = true
	}
	return all, nil
}

func (f *fake) inbox(_ context.Context, after int64, limit int) ([]webhook.Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	var some []webhook.Change
	for _, c := range f.changes {
		if c.ID > after && f.states[c.ID] == "pending" && len(some) < limit {
			some = append(some, c)
		}
	}
	return some, nil
}

// split is a small stand-in for the real parser: an object, an array or lines of JSON.
func split(body []byte) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil {
		return list, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	for d.More() {
		var one json.RawMessage
		if err := d.Decode(&one); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

func check(event json.RawMessage) (test bool, known webhook.Known, faults []webhook.FieldError) {
	if string(bytes.TrimSpace(event)) == "{}" || bytes.Contains(event, []byte(`"type":"test"`)) {
		return true, webhook.Known{}, nil
	}
	var e struct {
		ID   *string `json:"id"`
		Type string  `json:"type"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return false, webhook.Known{}, []webhook.FieldError{{Field: "", Message: "is no event"}}
	}
	if e.ID == nil {
		faults = append(faults, webhook.FieldError{Field: "id", Message: "is needed"})
	} else {
		known.ID = *e.ID
	}
	if e.Type == "" {
		faults = append(faults, webhook.FieldError{Field: "type", Message: "is needed"})
	}
	return false, known, faults
}

func (f *fake) local() *webhook.Local {
	return &webhook.Local{
		Secret: func() string { return f.secret },
		Split:  split,
		Check:  check,
		Store:  f.store,
		Inbox:  f.inbox,
		Changed: func() <-chan struct{} {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.changed
		},
		Ack: func(_ context.Context, id int64) error { return f.end(id, "applied") },
		Reject: func(_ context.Context, id int64, reason string) error {
			if reason == "" {
				return errors.New("no reason reached the storage")
			}
			return f.end(id, "rejected")
		},
		Ready:   func(context.Context) []string { return f.notReady },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "up 1") }),
		Status:  func(context.Context) (any, error) { return map[string]any{"waiting": 3}, nil },
		Incident: func(_ context.Context, id string) (any, error) {
			if id == "gone" {
				return nil, webhook.ErrNotFound
			}
			return map[string]string{"id": id}, nil
		},
		Page: func(context.Context) (webhook.Page, error) { return f.page, nil },
		Story: func(_ context.Context, id string) (webhook.Story, error) {
			if id == "gone" {
				return webhook.Story{}, webhook.ErrNotFound
			}
			return webhook.Story{Now: time.Now(), Incident: webhook.PageIncident{TigerOpsID: id}}, nil
		},
		Retry: func(_ context.Context, id int64) error { return f.tend("retry", id, "") },
		Discard: func(_ context.Context, id int64, reason string) error {
			return f.tend("discard", id, reason)
		},
		Observe: func(status int, reason string) { f.notes.add(fmt.Sprint(status, " ", reason)) },
		Log:     f.log.logger(),
	}
}

func (f *fake) tend(what string, id int64, reason string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch id {
	case 404:
		return webhook.ErrNotFound
	case 409:
		return webhook.ErrConflict
	}
	f.did = append(f.did, strings.TrimSpace(fmt.Sprint(what, " ", id, " ", reason)))
	return nil
}

// from is where a request seems to come from.
type from struct {
	remote, local, host string
	header              http.Header
}

func (f from) send(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = f.remote, f.host
	for name, values := range f.header {
		r.Header[name] = values
	}
	var local net.Addr
	if f.local == "unix" {
		local = &net.UnixAddr{Name: "/run/x.sock", Net: "unix"}
	} else {
		addr, err := net.ResolveTCPAddr("tcp", f.local)
		if err != nil {
			panic(err)
		}
		local = addr
	}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// here is a program on this machine.
var here = from{remote: "127.0.0.1:50000", local: "127.0.0.1:8485", host: "127.0.0.1:8485"}

func (f from) with(header, value string) from {
	h := f.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set(header, value)
	f.header = h
	return f
}

func TestLocalAccess(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	far := from{remote: "203.0.113.9:50000", local: "192.0.2.1:8485", host: "192.0.2.1:8485"}
	v6 := from{remote: "[::1]:50000", local: "[::1]:8485", host: "[::1]:8485"}
	socket := from{remote: "@", local: "unix", host: "anything"}
	named := func(f from, host string) from { f.host = host; return f }
	for name, tc := range map[string]struct {
		from            from
		secret          string
		read, post, put int // GET /v1/status; POST /v1/inbox/1/ack; POST /v1/events
	}{
		"loopback":                         {here, "", 200, 200, 202},
		"loopback, IPv6":                   {v6, "", 200, 200, 202},
		"loopback, mapped IPv4":            {from{remote: "[::ffff:127.0.0.1]:5", local: "127.0.0.1:8485", host: "127.0.0.1"}, "", 200, 200, 202},
		"loopback, by name":                {named(here, "LocalHost:8485"), "", 200, 200, 202},
		"loopback, no Host":                {named(here, ""), "", 200, 200, 202},
		"loopback to the outer address":    {from{remote: "127.0.0.1:5", local: "192.0.2.1:8485", host: "192.0.2.1:8485"}, "", 200, 200, 202},
		"socket":                           {socket, "", 200, 200, 202},
		"far":                              {far, "", 401, 401, 401},
		"far, made-up bearer":              {far.with("Authorization", "Bearer "), "", 401, 401, 401},
		"loopback, foreign Host":           {named(here, "evil.example"), "", 403, 403, 403},
		"loopback, foreign Host that ends": {named(here, "evil.localhost"), "", 403, 403, 403},
		"loopback, another address":        {named(here, "198.51.100.7"), "", 403, 403, 403},
		"loopback, through a proxy":        {here.with("X-Forwarded-For", "127.0.0.1"), "", 401, 401, 401},
		"socket, through a proxy":          {socket.with("Forwarded", "for=10.0.0.1"), "", 401, 401, 401},
		"far, says it is loopback":         {far.with("X-Forwarded-For", "127.0.0.1").with("X-Real-Ip", "127.0.0.1"), "", 401, 401, 401},
		"another site's script":            {here.with("Origin", "https://evil.example"), "", 403, 403, 403},
		"a file's script":                  {here.with("Origin", "null"), "", 403, 403, 403},
		"another site's form":              {here.with("Sec-Fetch-Site", "cross-site"), "", 200, 403, 403},
		"a sister site's form":             {here.with("Sec-Fetch-Site", "same-site"), "", 200, 403, 403},
		"another port's script":            {here.with("Origin", "http://127.0.0.1:3000"), "", 403, 403, 403},
		"the page's own script":            {here.with("Origin", "http://127.0.0.1:8485"), "", 200, 200, 202},
		"the page's own form":              {here.with("Sec-Fetch-Site", "same-origin").with("Origin", "null"), "", 200, 200, 202},

		"secret: loopback":                      {here, secret, 200, 200, 401},
		"secret: socket":                        {socket, secret, 200, 200, 401},
		"secret: loopback, bearer":              {here.with("Authorization", "bearer "+secret), secret, 200, 200, 202},
		"secret: far":                           {far, secret, 401, 401, 401},
		"secret: far, bearer":                   {far.with("Authorization", "Bearer "+secret), secret, 200, 200, 202},
		"secret: far, wrong bearer":             {far.with("Authorization", "Bearer s3creT"), secret, 401, 401, 401},
		"secret: far, other scheme":             {far.with("Authorization", "Basic "+secret), secret, 401, 401, 401},
		"secret: far, signed":                   {far.with(webhook.SignatureHeader, webhook.Sign(secret, []byte(one))), secret, 401, 401, 202},
		"secret: proxied under a name, signed":  {named(here, "agent.example").with("X-Forwarded-For", "1.2.3.4").with(webhook.SignatureHeader, webhook.Sign(secret, []byte(one))), secret, 401, 401, 202},
		"secret: foreign Host, bearer":          {named(here, "agent.example").with("Authorization", "Bearer "+secret), secret, 200, 200, 202},
		"secret: wrongly signed":                {here.with(webhook.SignatureHeader, webhook.Sign("other", []byte(one))), secret, 200, 200, 401},
		"secret: bearer, but another's script":  {here.with("Authorization", "Bearer "+secret).with("Origin", "https://evil.example"), secret, 403, 403, 403},
		"secret: signed, but another's request": {here.with(webhook.SignatureHeader, webhook.Sign(secret, []byte(one))).with("Sec-Fetch-Site", "cross-site"), secret, 200, 403, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			f.secret = tc.secret
			f.tell("x")
			h := f.local().Handler()
			for _, try := range []struct {
				method, path, body string
				want               int
			}{
				{http.MethodGet, "/v1/status", "", tc.read},
				{http.MethodGet, "/", "", tc.read},
				{http.MethodGet, "/metrics", "", tc.read},
				{http.MethodGet, "/v1/inbox", "", tc.read},
				{http.MethodPost, "/v1/inbox/1/ack", "", tc.post},
				{http.MethodPost, "/v1/events", one, tc.put},
				{http.MethodGet, "/healthz", "", 200},
				{http.MethodGet, "/readyz", "", 200},
			} {
				w := tc.from.send(h, try.method, try.path, try.body)
				if w.Code != try.want {
					t.Errorf("%s %s: got %d %s, want %d", try.method, try.path, w.Code, w.Body, try.want)
				}
				if w.Code >= 400 {
					wantError(t, w.Body.String())
				}
				if w.Code == 401 && w.Header().Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s: 401 does not say what it wants", try.method, try.path)
				}
			}
			if got := f.stored(); (got == 1) != (tc.put == 202) {
				t.Errorf("%d events stored after %d", got, tc.put)
			}
		})
	}
}

func TestLocalReads(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := f.local().Handler()
	for path, want := range map[string]string{
		"/healthz":             `{"status":"ok"}`,
		"/readyz":              `{"status":"ready"}`,
		"/metrics":             `up 1`,
		"/v1/status":           `{"waiting":3}`,
		"/v1/incidents/TIG-1":  `{"id":"TIG-1"}`,
		"/v1/incidents/a%2Fb":  `{"id":"a/b"}`,
		"/v1/incidents/a/b?x=": `{"id":"a/b"}`,
		"/v1/inbox":            `{"changes":[]}`,
	} {
		if w := here.send(h, http.MethodGet, path, ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("GET %s: got %d %s, want %s", path, w.Code, w.Body, want)
		}
		if w := here.send(h, http.MethodHead, path, ""); w.Code != 200 {
			t.Errorf("HEAD %s: got %d", path, w.Code)
		}
	}
	for path, want := range map[string]int{"/v1/incidents/gone": 404, "/v1/incidents/": 404, "/incidents/": 404, "/v1/nothing": 404, "/v1/inbox/": 404, "/favicon.ico": 404, "/assets/status.html": 404, "/assets/none.css": 404} {
		w := here.send(h, http.MethodGet, path, "")
		if w.Code != want {
			t.Errorf("GET %s: got %d, want %d", path, w.Code, want)
		}
		wantError(t, w.Body.String())
	}
	if w := here.send(h, http.MethodDelete, "/v1/inbox", ""); w.Code != 405 || !strings.Contains(w.Header().Get("Allow"), "GET") {
		t.Errorf("DELETE: got %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestLocalTellsWhyItIsNotReady(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.notReady = []string{"incident.io refuses the key (401)", "the last write failed: disk full"}
	w := here.send(f.local().Handler(), http.MethodGet, "/readyz", "")
	const want = `{"error":"not ready","reasons":["incident.io refuses the key (401)","the last write failed: disk full"]}`
	if w.Code != 503 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if got := f.log.all(); len(got) > 0 {
		t.Errorf("asking filled the log: %q", got)
	}
}

func TestLocalSaysNothingOfAReaderThatLeft(t *testing.T) {
	t.Parallel()
	f := newFake()
	l := f.local()
	ctx, leave := context.WithCancel(t.Context())
	l.Status = func(ctx context.Context) (any, error) {
		leave()
		return nil, fmt.Errorf("read the status: %w", ctx.Err())
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/status", nil)
	r.RemoteAddr, r.Host = here.remote, here.host
	l.Handler().ServeHTTP(httptest.NewRecorder(), r)
	if logged, noted := f.log.all(), f.notes.all(); len(logged)+len(noted) > 0 {
		t.Errorf("logged %q, observed %q", logged, noted)
	}
}

func TestLocalNeedsEveryFunction(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a Local without functions was built")
		}
	}()
	(&webhook.Local{}).Handler()
}
