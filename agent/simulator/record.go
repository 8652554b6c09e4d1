package simulator

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is one request as it was seen. Status is what was answered, 0 while it is under way and where a fault let
// nobody hear an answer. Headers are not kept, so no key is.
type Request struct {
	N       int           `json:"n"` // counts from 1
	At      time.Time     `json:"at"`
	Took    time.Duration `json:"took_ns"`
	Method  string        `json:"method"`
	Path    string        `json:"path"`
	Query   url.Values    `json:"query,omitempty"`
	Body    string        `json:"body,omitempty"`
	Agent   string        `json:"user_agent,omitempty"`
	Status  int           `json:"status"`
	Fault   string        `json:"fault,omitempty"`       // the kind of fault that it met
	Key     string        `json:"key,omitempty"`         // its idempotency key
	Verdict string        `json:"idempotency,omitempty"` // one of the Key constants, where the call takes a key
	Effect  bool          `json:"effect"`                // it changed something
	Error   string        `json:"error,omitempty"`       // the first error of the answer
	ID      string        `json:"request_id"`
}

// What became of an idempotency key.
const (
	KeyNew      = "new"      // this request made the object
	KeyRepeated = "repeated" // the object of an earlier, equal request was answered
	KeyChanged  = "changed"  // the object of an earlier request was answered although this one's bytes are others
)

// Counters count since New.
type Counters struct {
	Requests int            `json:"requests"`
	ByStatus map[int]int    `json:"by_status"` // 0: nobody was answered
	ByCall   map[string]int `json:"by_call"`   // "POST /v2/incidents" to how many
	Faults   map[string]int `json:"faults"`    // by kind
	Repeated int            `json:"repeated"`  // idempotency keys that came again
	Changed  int            `json:"changed"`   // of those, with other bytes
	Webhooks WebhookCounts  `json:"webhooks"`
}

const bodyKept = 64 << 10 // bytes of each body that the record keeps

type record struct {
	mu    sync.Mutex
	keep  int
	n     int
	list  []*Request
	count Counters
}

func (r *record) begin(req *http.Request, body []byte, at time.Time) *Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	e := &Request{N: r.n, At: at, Method: req.Method, Path: req.URL.Path, Body: string(body[:min(len(body), bodyKept)]), Agent: req.UserAgent()}
	if q := req.URL.Query(); len(q) > 0 {
		if q.Has("token") {
			q.Set("token", "<secret>")
		}
		e.Query = q
	}
	r.list = append(r.list, e)
	if len(r.list) > 2*r.keep {
		r.list = slices.Clone(r.list[len(r.list)-r.keep:])
	}
	return e
}

// finish writes what became of a request. call is its route, or "" for none.
func (r *record) finish(e *Request, end Request, call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Took, e.Status, e.Fault, e.Key, e.Verdict, e.Effect, e.Error, e.ID = end.Took, end.Status, end.Fault, end.Key, end.Verdict, end.Effect, end.Error, end.ID
	c := &r.count
	if c.ByStatus == nil {
		c.ByStatus, c.ByCall, c.Faults = map[int]int{}, map[string]int{}, map[string]int{}
	}
	c.Requests++
	c.ByStatus[e.Status]++
	if call != "" {
		c.ByCall[call]++
	}
	if e.Fault != "" {
		c.Faults[e.Fault]++
	}
	if e.Verdict == KeyRepeated || e.Verdict == KeyChanged {
		c.Repeated++
	}
	if e.Verdict == KeyChanged {
		c.Changed++
	}
}

// Requests are the requests seen, oldest first, at most Options.Keep of them. With filters it returns those whose
// "METHOD PATH" holds every one of them.
func (s *Simulator) Requests(filters ...string) []Request {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	out := []Request{}
	from := max(0, len(s.seen.list)-s.seen.keep)
next:
	for _, e := range s.seen.list[from:] {
		for _, f := range filters {
			if !strings.Contains(e.Method+" "+e.Path, f) {
				continue next
			}
		}
		out = append(out, *e)
	}
	return out
}

// Counters counts what happened since New.
func (s *Simulator) Counters() Counters {
	s.seen.mu.Lock()
	c := s.seen.count
	c.ByStatus, c.ByCall, c.Faults = clone(c.ByStatus), clone(c.ByCall), clone(c.Faults)
	s.seen.mu.Unlock()
	c.Webhooks = s.hooks.counts()
	return c
}

func clone[K comparable, V any](m map[K]V) map[K]V {
	out := make(map[K]V, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
