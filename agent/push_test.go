package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
	"github.com/tigerops/tigerops-incidentio/webhook"
)

const applySecret = "apply-secret-of-tigerops"

// tigerops is TigerOps' end of the push: it answers as answer says and keeps what it took.
type tigerops struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(row) (status int, body string)
	asked  int
	took   []row
	faults []string
}

func newTigerOps(t testing.TB) *tigerops {
	s := &tigerops{answer: func(row) (int, string) { return 204, "" }}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var c row
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked++
		if err := json.Unmarshal(body, &c); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			s.faults = append(s.faults, fmt.Sprintf("%s %s: %v", r.Method, r.Header.Get("Content-Type"), err))
		}
		if got := r.Header.Get(webhook.SignatureHeader); !strings.HasPrefix(got, "sha256=") || !webhook.Verify(applySecret, got, body) {
			s.faults = append(s.faults, "wrong signature "+got)
		}
		status, text := s.answer(c)
		if status >= 200 && status < 300 {
			s.took = append(s.took, c)
		}
		if status >= 300 && status < 400 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *tigerops) says(answer func(row) (int, string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// state copies what came in so far.
func (s *tigerops) state() (asked int, took []row, faults []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, slices.Clone(s.took), slices.Clone(s.faults)
}

func newPushWorld(t testing.TB) (*world, *tigerops) {
	s := newTigerOps(t)
	w := newWorld(t, worldOptions{config: func(c *Config) {
		c.ApplyURL, c.ApplySecret = s.URL+"/apply", NewSecret(applySecret)
		c.BackoffInitial, c.BackoffMax = time.Millisecond, 2*time.Millisecond
	}})
	t.Cleanup(w.a.in.pusher.CloseIdleConnections)
	return w, s
}

// tell puts changes for TigerOps into the inbox.
func (w *world) tell(tigerops string, types ...string) {
	w.Helper()
	for _, typ := range types {
		c := mapping.Change{Key: fmt.Sprintf("%s-%s-%d", tigerops, typ, time.Now().UnixNano()), Type: typ, TigerOpsIncidentID: tigerops, Source: "webhook"}
		r := must(inboxRow(c))(w)
		must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Inbox: []store.InboxRow{r}}))(w)
	}
}

// inboxStates are the states of all inbox rows, in order.
func (w *world) inboxStates() (states []string, reasons []string) {
	w.Helper()
	for _, e := range must(w.a.st.Inbox(w.ctx, store.InboxQuery{Limit: 1000}))(w) {
		states = append(states, e.State)
		reasons = append(reasons, e.Reason)
	}
	return states, reasons
}

func (w *world) push() time.Duration {
	w.Helper()
	return must(w.a.pushOnce(w.ctx))(w)
}

func TestPushMeansWhatTheStatusSays(t *testing.T) {
	t.Parallel()
	for status := 200; status < 600; status++ {
		if http.StatusText(status) == "" && status != 599 {
			continue
		}
		want := store.Pending
		pauses := false
		switch {
		case status < 300:
			want = store.Applied
		case slices.Contains([]int{400, 409, 410, 413, 422}, status):
			want = store.Rejected
		case slices.Contains([]int{401, 403, 404, 405}, status), status < 400:
			pauses = true
		}
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w, s := newPushWorld(t)
			body := `{"error":"these are\n  TigerOps' words, and the secret ` + applySecret + `"}`
			if status == 204 || status == 304 {
				body = ""
			}
			s.says(func(row) (int, string) { return status, body })
			w.tell("TIG-1", "incident.resolved")
			w.tell("TIG-2", "incident.resolved")
			heads := must(w.a.st.Inbox(w.ctx, store.InboxQuery{State: store.Pending, Due: true}))(w)
			_, stop, err := w.a.pushAll(w.ctx, w.a.cfg.Load(), heads)
			w.ok(err)

			states, reasons := w.inboxStates()
			for i, got := range states {
				if got != want {
					t.Errorf("change %d: got %s, want %s", i+1, got, want)
				}
			}
			if want == store.Rejected && reasons[0] != fmt.Sprintf("%d these are TigerOps' words, and the secret <secret>", status) {
				t.Errorf("reason: got %q, want the answer's words on one line without secrets", reasons[0])
			}
			if stop != pauses || (w.a.in.paused() != "") != pauses {
				t.Errorf("paused: got %t (%q), want %t", stop, w.a.in.paused(), pauses)
			}
			if ready := len(w.a.notReady()) == 0; ready == pauses {
				t.Errorf("ready: got %t, want %t", ready, !pauses)
			}
			entries := must(w.a.st.Inbox(w.ctx, store.InboxQuery{Limit: 2}))(w)
			if charged := entries[0].Attempts > 0; charged != (want == store.Pending && !pauses) {
				t.Errorf("attempts: got %d", entries[0].Attempts)
			}
			if _, _, faults := s.state(); len(faults) > 0 {
				t.Errorf("faults of the requests: %v", faults)
			}
		})
	}
}

func TestPushKeepsOrderPerIncidentAndRetries(t *testing.T) {
	t.Parallel()
	w, s := newPushWorld(t)
	first := []string{"incident.linked", "incident.acknowledged", "incident.resolved", "incident.reopened"}
	w.tell("TIG-1", first...)
	w.tell("TIG-2", "incident.linked", "incident.resolved")
	left := 3
	s.says(func(r row) (int, string) {
		if r.TigerOps == "TIG-1" && r.Type == "incident.acknowledged" && left > 0 {
			left--
			return 503, "busy"
		}
		return 200, "{}"
	})
	eventually(t, "all changes are applied", func() bool {
		w.push()
		states, _ := w.inboxStates()
		return !slices.Contains(states, store.Pending)
	})
	_, took, faults := s.state()
	byIncident := map[string][]string{}
	seen := map[int64]bool{}
	for _, r := range took {
		byIncident[r.TigerOps] = append(byIncident[r.TigerOps], r.Type)
		if seen[r.ID] {
			t.Errorf("change %d was taken twice", r.ID)
		}
		seen[r.ID] = true
	}
	if got := byIncident["TIG-1"]; !slices.Equal(got, first) {
		t.Errorf("order: got %v, want %v", got, first)
	}
	// While TIG-1 backs off, TIG-2 is not held up.
	if took[0].TigerOps == took[1].TigerOps && took[1].TigerOps == took[2].TigerOps {
		t.Errorf("a change that is retried held up another incident: %v", took)
	}
	if len(faults) > 0 {
		t.Error(faults)
	}
}

// Whatever wakes the push meanwhile, a change that was put off is tried again when its backoff is over.
func TestPushLooksAgainWhenAChangeThatWasPutOffIsDue(t *testing.T) {
	t.Parallel()
	w, s := newPushWorld(t)
	w.a.cfg.Load().BackoffInitial, w.a.cfg.Load().BackoffMax = 5*time.Second, 5*time.Second
	s.says(func(row) (int, string) { return 503, "" })
	w.tell("TIG-1", "incident.resolved")
	w.push()
	if next := w.push(); next <= 0 || next > 5*time.Second {
		t.Errorf("looks again in %s, want within the backoff of 5s", next)
	}
	s.says(func(row) (int, string) { return 204, "" })
	w.tell("TIG-2", "incident.resolved")
	if next := w.push(); next <= 0 || next > 5*time.Second {
		t.Errorf("looks again in %s after another was taken, want within the backoff of 5s", next)
	}
}

func TestPushOfAPortNobodyListensOnIsRetried(t *testing.T) {
	t.Parallel()
	w, s := newPushWorld(t)
	s.Close()
	w.tell("TIG-1", "incident.resolved")
	w.push()
	states, reasons := w.inboxStates()
	if states[0] != store.Pending || !strings.Contains(reasons[0], "can't be reached") || strings.Contains(reasons[0], "http://") {
		t.Errorf("got %s %q, want pending, with a reason without the URL", states[0], reasons[0])
	}
	if w.a.in.paused() != "" {
		t.Error("an unreachable TigerOps pauses the push; want a retry")
	}
}

func TestPausedPushGoesOnOnceTigerOpsTakesChanges(t *testing.T) {
	t.Parallel()
	w, s := newPushWorld(t)
	w.tell("TIG-1", "incident.linked", "incident.resolved")
	w.tell("TIG-2", "incident.linked")
	s.says(func(row) (int, string) { return 401, "who are you" })
	if next := w.push(); next > pushPause {
		t.Errorf("next try: got %s, want at most %s", next, pushPause)
	}
	asked, _, _ := s.state()
	w.push()
	if again, _, _ := s.state(); again != asked {
		t.Errorf("a paused push asked again at once: %d requests", again-asked)
	}
	if r := must(w.a.report(w.ctx))(w); r.Ready || !strings.Contains(r.PushPaused, "401") {
		t.Errorf("status: got ready %t, paused %q, want the status that pauses", r.Ready, r.PushPaused)
	}
	if got := must(w.a.st.Status(w.ctx))(w).Troubles; len(got) != 1 || !strings.Contains(got[0], "401") {
		t.Errorf("troubles in the database: got %q, want the status that pauses", got)
	}

	// A reload ends the wait; one change tells whether it helped.
	fresh := *w.a.cfg.Load()
	w.a.cfg.Store(&fresh)
	w.push()
	if again, _, _ := s.state(); again != asked+1 {
		t.Errorf("requests after a reload that did not help: got %d, want 1", again-asked)
	}
	s.says(func(row) (int, string) { return 204, "" })
	fresher := fresh
	w.a.cfg.Store(&fresher)
	w.push()
	if states, _ := w.inboxStates(); slices.Contains(states, store.Pending) {
		t.Errorf("changes after TigerOps takes them again: got %v, want all applied", states)
	}
	if w.a.in.paused() != "" || len(w.a.notReady()) > 0 {
		t.Errorf("still not ready: %v", w.a.notReady())
	}
	if got := must(w.a.st.Status(w.ctx))(w).Troubles; len(got) > 0 {
		t.Errorf("troubles in the database: got %q, want none", got)
	}
}

func TestAPausedPushEndsWithItsURL(t *testing.T) {
	t.Parallel()
	w, s := newPushWorld(t)
	w.tell("TIG-1", "incident.linked")
	s.says(func(row) (int, string) { return 404, "" })
	w.push()
	without := *w.a.cfg.Load()
	without.ApplyURL = ""
	w.a.cfg.Store(&without)
	w.push()
	if why := w.a.notReady(); len(why) > 0 {
		t.Errorf("not ready without a push: %v", why)
	}
}

func TestPushDoesNotFollowRedirects(t *testing.T) {
	t.Parallel()
	w, s := newPushWorld(t)
	s.says(func(row) (int, string) { return 307, "" })
	w.tell("TIG-1", "incident.resolved")
	w.push()
	if asked, _, _ := s.state(); asked != 1 {
		t.Errorf("requests: got %d, want 1", asked)
	}
}

func TestWithoutAnApplyURLNothingIsPushed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.tell("TIG-1", "incident.resolved")
	w.push()
	if states, _ := w.inboxStates(); states[0] != store.Pending {
		t.Errorf("got %s, want pending", states[0])
	}
}
