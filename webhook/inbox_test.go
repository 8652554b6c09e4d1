package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

// ids reads the ids of an answer of the inbox.
func ids(t testing.TB, w *httptest.ResponseRecorder) []int64 {
	t.Helper()
	var answer struct {
		Changes []struct {
			ID int64 `json:"id"`
		} `json:"changes"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 || answer.Changes == nil {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	all := []int64{}
	for _, c := range answer.Changes {
		all = append(all, c.ID)
	}
	return all
}

func TestInboxPages(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := f.local().Handler()
	for i := range 700 {
		f.tell(fmt.Sprint("change ", i))
	}
	for query, want := range map[string]struct{ first, n int }{
		"":                          {1, 100},
		"?limit=3":                  {1, 3},
		"?after=10&limit=2":         {11, 2},
		"?after=10&limit=120":       {11, 120},
		"?limit=100000":             {1, 500},
		"?after=690":                {691, 10},
		"?after=700":                {0, 0},
		"?after=0&wait=60":          {1, 100},
		"?after=10&wait=30s&limit=": {11, 100},
	} {
		got := ids(t, here.send(h, http.MethodGet, "/v1/inbox"+query, ""))
		if len(got) != want.n || want.n > 0 && (got[0] != int64(want.first) || got[want.n-1] != int64(want.first+want.n-1)) {
			t.Errorf("%q: got %d changes, want %d from %d", query, len(got), want.n, want.first)
		}
	}
	for _, query := range []string{"?after=x", "?after=-1", "?limit=0", "?limit=-5", "?limit=x", "?wait=x", "?wait=-1s", "?after=99999999999999999999"} {
		if w := here.send(h, http.MethodGet, "/v1/inbox"+query, ""); w.Code != 400 {
			t.Errorf("%q: got %d, want 400", query, w.Code)
		}
	}
}

func TestInboxBoundsTheBytesOfAnAnswer(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := f.local().Handler()
	for range 20 {
		f.tell(strings.Repeat("x", 100<<10))
	}
	f.tell(strings.Repeat("y", 1<<20))
	seen, after := 0, int64(0)
	for range 25 {
		w := here.send(h, http.MethodGet, fmt.Sprintf("/v1/inbox?limit=500&after=%d", after), "")
		got := ids(t, w)
		if len(got) > 1 && w.Body.Len() > 300<<10 {
			t.Fatalf("an answer of %d bytes", w.Body.Len())
		}
		if len(got) == 0 {
			break
		}
		seen, after = seen+len(got), got[len(got)-1]
	}
	if seen != 21 {
		t.Errorf("saw %d of 21 changes", seen)
	}
}

func TestAckAndReject(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := f.local().Handler()
	f.tell("first")
	f.tell("second")
	for _, step := range []struct {
		path, body string
		status     int
		answer     string
	}{
		{"/v1/inbox/1/ack", "", 200, `{"id":1,"state":"applied"}`},
		{"/v1/inbox/1/ack", "", 200, `{"id":1,"state":"applied"}`},
		{"/v1/inbox/1/reject", `{"reason":"no"}`, 409, `"error":`},
		{"/v1/inbox/2/reject", `{"reason":"no such incident"}`, 200, `{"id":2,"state":"rejected"}`},
		{"/v1/inbox/2/reject", `{"reason":"no such incident"}`, 200, `{"id":2,"state":"rejected"}`},
		{"/v1/inbox/2/ack", "", 409, `change 2 has ended otherwise`},
		{"/v1/inbox/3/ack", "", 404, `there is no change 3`},
		{"/v1/inbox/x/ack", "", 400, `is a number`},
		{"/v1/inbox/1/reject", "", 422, `"field":"reason"`},
		{"/v1/inbox/1/reject", `{"reason":"  "}`, 422, `"field":"reason"`},
		{"/v1/inbox/1/reject", `{"reason":`, 400, `"error":`},
		{"/v1/inbox/1/reject", `{"reason":"` + strings.Repeat("x", 70<<10) + `"}`, 413, `over 64 KiB`},
	} {
		w := here.send(h, http.MethodPost, step.path, step.body)
		if w.Code != step.status || !strings.Contains(w.Body.String(), step.answer) {
			t.Errorf("%s %.40s: got %d %s, want %d %s", step.path, step.body, w.Code, w.Body, step.status, step.answer)
		}
	}
	if got := ids(t, here.send(h, http.MethodGet, "/v1/inbox", "")); len(got) != 0 {
		t.Errorf("still pending: %v", got)
	}
}

// poll asks in the background, within a synctest bubble.
func poll(ctx context.Context, h http.Handler, query string) <-chan *httptest.ResponseRecorder {
	answer := make(chan *httptest.ResponseRecorder, 1)
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/inbox"+query, nil)
	r.RemoteAddr, r.Host = here.remote, here.host
	go func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		answer <- w
	}()
	return answer
}

// quietFake is a fake for a synctest bubble: what it writes to is used by nobody outside.
func quietFake() (*fake, http.Handler) {
	f := newFake()
	return f, f.local().Handler()
}

func TestLongPollWakesForTheFirstChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, h := quietFake()
		begun := time.Now()
		answer := poll(t.Context(), h, "?wait=30s")
		<-time.After(7 * time.Second)
		f.tell("news")
		if got := ids(t, <-answer); len(got) != 1 || time.Since(begun) > 7*time.Second+200*time.Millisecond {
			t.Errorf("got %v after %v", got, time.Since(begun))
		}
	})
}

func TestLongPollEndsEmptyWhenTheTimeIsUp(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]time.Duration{"?wait=30s": 30 * time.Second, "?wait=5": 5 * time.Second, "?wait=2h": 60 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			_, h := quietFake()
			begun := time.Now()
			if got := ids(t, <-poll(t.Context(), h, query)); len(got) != 0 || time.Since(begun) != want {
				t.Errorf("%s: got %v after %v, want none after %v", query, got, time.Since(begun), want)
			}
		})
	}
}

func TestLongPollInAStormOfWakeUpsSparesTheDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, h := quietFake()
		answer := poll(t.Context(), h, "?wait=10s")
		for range 5000 {
			<-time.After(time.Millisecond)
			f.wake()
		}
		<-answer
		if got := f.reads(); got > 105 {
			t.Errorf("the inbox was read %d times in 10 s", got)
		}
	})
}

func TestLongPollOfAClientThatLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, h := quietFake()
		ctx, leave := context.WithCancel(t.Context())
		begun := time.Now()
		answer := poll(ctx, h, "?wait=30s")
		synctest.Wait()
		leave()
		<-answer
		if time.Since(begun) > 0 {
			t.Errorf("it was waited for %v", time.Since(begun))
		}
	})
}

func TestLongPollsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, h := quietFake()
		var waiting []<-chan *httptest.ResponseRecorder
		for range 100 {
			waiting = append(waiting, poll(t.Context(), h, "?wait=30s"))
		}
		synctest.Wait()
		turned := 0
		f.tell("news")
		for _, answer := range waiting {
			switch w := <-answer; w.Code {
			case 503:
				turned++
				if w.Header().Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
			default:
				ids(t, w)
			}
		}
		if turned != 36 {
			t.Errorf("%d of 100 were turned away, want those beyond 64", turned)
		}
		if got := ids(t, <-poll(t.Context(), h, "")); len(got) != 1 {
			t.Errorf("afterwards: got %v", got)
		}
	})
}

// The server bounds the time in which a request must arrive; a poll that waits for longer than that is not late.
func TestLongPollOutlastsTheServersReadTimeout(t *testing.T) {
	t.Parallel()
	f := newFake()
	addr := serve(t, &webhook.Server{Name: "local", Handler: f.local().Handler(), BodyWithin: 20 * time.Millisecond})
	status, _, body := do(t, client(t), http.MethodGet, "http://"+addr+"/v1/inbox?wait=300ms", nil, nil)
	if status != 200 || strings.TrimSpace(body) != `{"changes":[]}` {
		t.Errorf("got %d %q", status, body)
	}
}

// Readers who ask for all that they can get, over and over, and never read the answers fill their own connections only.
func TestReadersWhoNeverReadHoldNobodyUp(t *testing.T) {
	t.Parallel()
	f := newFake()
	for range 500 {
		f.tell(strings.Repeat("x", 1000))
	}
	var answered atomic.Int64
	inner := f.local().Handler()
	addr := serve(t, &webhook.Server{Name: "local", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r)
		answered.Add(1)
	})})
	greedy := strings.Repeat("GET /v1/inbox?limit=500&wait=30s HTTP/1.1\r\nHost: "+addr+"\r\n\r\n", 50)
	for range 100 {
		conn := dial(t, addr)
		if err := conn.(*net.TCPConn).SetReadBuffer(1 << 10); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, greedy); err != nil {
			t.Fatal(err)
		}
	}
	// Until all of them are stuck: no answer gets further for a while.
	for before := int64(-1); before < 100 || answered.Load() > before; {
		before = answered.Load()
		<-time.After(200 * time.Millisecond)
	}
	if n := answered.Load(); n >= 100*50 {
		t.Fatalf("nobody is stuck: %d answers were taken in", n)
	}
	honest := client(t)
	for i := range 20 {
		if status, _, body := do(t, honest, http.MethodGet, "http://"+addr+"/v1/inbox?limit=1&wait=30s", nil, nil); status != 200 || !strings.Contains(body, "xxx") {
			t.Fatalf("an honest reader: got %d %q", status, body)
		}
		if status, _, body := do(t, honest, http.MethodPost, fmt.Sprint("http://", addr, "/v1/inbox/", i+1, "/ack"), nil, nil); status != 200 {
			t.Fatalf("an ack: got %d %q", status, body)
		}
		event := fmt.Sprintf(`{"id":"e%d","type":"incident.updated","incident":{"id":"TIG-1"}}`, i)
		if status, _, body := do(t, honest, http.MethodPost, "http://"+addr+"/v1/events", nil, strings.NewReader(event)); status != 202 {
			t.Fatalf("an event: got %d %q", status, body)
		}
	}
}

func TestShutdownEndsLongPollsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFake()
	polled := make(chan struct{}, 1)
	l := f.local()
	inbox := l.Inbox
	l.Inbox = func(ctx context.Context, after int64, limit int) ([]webhook.Change, error) {
		polled <- struct{}{}
		return inbox(ctx, after, limit)
	}
	s := &webhook.Server{Name: "local", Handler: l.Handler()}
	addr := serve(t, s)
	type result struct {
		body  bytes.Buffer
		after time.Duration
		err   error
	}
	answer := make(chan *result, 1)
	c := client(t)
	go func() {
		r := &result{}
		defer func() { answer <- r }()
		begun := time.Now()
		got, err := c.Get("http://" + addr + "/v1/inbox?wait=60s")
		if r.err = err; err != nil {
			return
		}
		defer got.Body.Close()
		_, r.err = r.body.ReadFrom(got.Body)
		r.after = time.Since(begun)
	}()
	<-polled
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	r := <-answer
	if r.err != nil || strings.TrimSpace(r.body.String()) != `{"changes":[]}` || r.after > patience {
		t.Errorf("got %q, %v after %v", r.body.String(), r.err, r.after)
	}
}
