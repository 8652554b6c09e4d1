package agent

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// noContext is for log lines: no handler of ours takes anything from a context.
var noContext = context.Background()

const (
	levelWarn  = slog.LevelWarn
	levelError = slog.LevelError
)

// inbound is what the loops of the way in remember between two rounds. All of it may be lost: the tables hold what
// counts.
type inbound struct {
	tell     *throttle
	quietFor time.Duration // quietFor, but for tests
	pusher   *http.Client  // towards TigerOps
	doubt    chan struct{} // buffered by one: something failed that may be the database's fault

	hooks map[int64]*hook // those that wait, as pullOnce saw them last; its alone

	mu         sync.Mutex
	came       []*hook              // through the door since pullOnce looked; it need not read them
	again      map[string]retry     // subjects of webhooks that could not be settled
	written    map[string]time.Time // when a request of ours last changed an incident
	polled     map[string]time.Time // when a sweep last looked at an incident
	unreadable map[details]refusal  // kinds of details that are not given
	public     map[string]bool      // incidents that are not private
	once       map[string]time.Time // what was done or told already and need not be for a while
	alertTurn  int                  // where the next sweep goes on among the alerts without an incident
	silent     string               // why webhooks seem not to come; empty while they do
	unwritten  string               // why the database can't be written; empty while it can
	pushPaused string               // why the push to TigerOps pauses; empty while it does not
	pushConfig *Config              // under which it does
	pushNext   time.Time            // when a paused push is tried again
}

// retry is when something that went wrong is due again.
type retry struct {
	attempts int
	next     time.Time
}

// refusal is since when something is not given, and when it is asked for again.
type refusal struct{ since, again time.Time }

// resolvedAlert is an alert that incident.io says is resolved, of one TigerOps incident.
type resolvedAlert struct {
	row  store.Alert // as it is from now on
	item mapping.Item
}

func newInbound(log *slog.Logger) *inbound {
	return &inbound{
		tell: newThrottle(log), quietFor: quietFor, written: make(map[string]time.Time), pusher: newPusher(), doubt: make(chan struct{}, 1), again: make(map[string]retry), hooks: make(map[int64]*hook), polled: make(map[string]time.Time),
		unreadable: make(map[details]refusal), public: make(map[string]bool), once: make(map[string]time.Time),
	}
}

func (i *inbound) isUnreadable(d details) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Now().Before(i.unreadable[d].again)
}

// setUnreadable puts asking for a kind of details off, and says whether it was given before.
func (i *inbound) setUnreadable(d details, again time.Duration) (first bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	r, known := i.unreadable[d]
	if !known {
		r.since = now
	}
	r.again = now.Add(again)
	i.unreadable[d] = r
	return !known
}

// lacks says whether a kind of details is not given just now, but may be again.
func (i *inbound) lacks(d details) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	r, known := i.unreadable[d]
	return known && time.Since(r.since) < lackedFor
}

// setReadable says whether a kind of details that is given was not before.
func (i *inbound) setReadable(d details) (was bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, was = i.unreadable[d]
	delete(i.unreadable, d)
	return was
}

// forgetUnreadable asks for everything again: a new configuration may bring a key that may read more.
func (i *inbound) forgetUnreadable() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.unreadable)
}

// rememberAtMost bounds what is remembered by name; beyond it all is forgotten, which costs a request or a log line.
const rememberAtMost = 10_000

// firstTime says whether a thing comes up for the first time, or for the first time since it was forgotten.
func (i *inbound) firstTime(what, name string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	key := what + "\x00" + name
	if _, ok := i.once[key]; ok {
		return false
	}
	if len(i.once) >= rememberAtMost {
		clear(i.once)
	}
	i.once[key] = time.Now()
	return true
}

// sawVisibility remembers whether an incident is private.
func (i *inbound) sawVisibility(incidentID, visibility string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.public) >= rememberAtMost {
		clear(i.public)
	}
	if visibility == "public" {
		i.public[incidentID] = true
		return
	}
	delete(i.public, incidentID)
}

func (i *inbound) mayBePrivate(incidentID string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return !i.public[incidentID]
}
