package simulator

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FaultKind says how a request fails.
type FaultKind string

// The kinds of faults. "No effect" means that the account does not change.
const (
	// Outage lets nobody through: a server drops the connection, RoundTrip refuses it. No effect.
	Outage FaultKind = "outage"
	// ResetBefore drops the connection without an answer. No effect.
	ResetBefore FaultKind = "reset_before"
	// ResetAfter does what was asked and then drops the connection without an answer.
	ResetAfter FaultKind = "reset_after"
	// Hang answers nothing for Delay (0: until the client gives up), then drops the connection. No effect.
	Hang FaultKind = "hang"
	// HangAfter is Hang after doing what was asked.
	HangAfter FaultKind = "hang_after"
	// Delay waits for Delay, then goes on as usual; other faults may follow.
	Delay FaultKind = "delay"
	// StatusCode answers with Status (500 if 0) and Body. No effect.
	StatusCode FaultKind = "status"
	// StatusAfter does what was asked and then answers with Status and Body.
	StatusAfter FaultKind = "status_after"
	// Throttle answers 429 with RetryAfter in one of its forms. No effect.
	Throttle FaultKind = "throttle"
	// RefuseKey answers 401, RefuseRole 403. No effect.
	RefuseKey  FaultKind = "refuse_key"
	RefuseRole FaultKind = "refuse_role"
	// Missing answers 404, as an account does that does not have the call. No effect.
	Missing FaultKind = "missing"
	// Garbage does what was asked and answers the right status with a body that is not JSON.
	Garbage FaultKind = "garbage"
	// Cut does what was asked and drops the connection in the middle of the answer's body.
	Cut FaultKind = "cut"
)

var faultKinds = []FaultKind{Outage, ResetBefore, ResetAfter, Hang, HangAfter, Delay, StatusCode, StatusAfter, Throttle, RefuseKey, RefuseRole, Missing, Garbage, Cut}

// Fault makes requests fail. The first fault that matches and fires is the one that a request meets.
type Fault struct {
	ID     string    `json:"id"`
	Method string    `json:"method,omitempty"` // any if empty
	Path   string    `json:"path,omitempty"`   // * stands for anything but a slash, ** for anything; any if empty
	Kind   FaultKind `json:"kind"`
	Status int       `json:"status,omitempty"`
	Body   string    `json:"body,omitempty"`
	// Delay is for Hang, HangAfter and Delay, and how long Throttle asks to wait (1 s if 0).
	Delay time.Duration `json:"-"`
	// RetryAfter is the form in which Throttle tells it: seconds (the default), http-date, rfc3339 (both in the header),
	// body (only in the body), none, or the header's value itself.
	RetryAfter string `json:"retry_after,omitempty"`
	// Times is how often it fires; 0 is without end. P is the chance that it fires at all; 0 is always.
	Times int     `json:"times,omitempty"`
	P     float64 `json:"p,omitempty"`
	// Skip lets that many matching requests pass first.
	Skip int `json:"skip,omitempty"`

	Fired int `json:"fired"` // how often it did
}

type faults struct {
	mu   sync.Mutex
	rng  *rand.Rand
	n    int
	list []*Fault
}

// Break adds a fault and returns its id, for Mend.
func (s *Simulator) Break(f Fault) (string, error) {
	if !slices.Contains(faultKinds, f.Kind) {
		return "", fmt.Errorf("fault kind %q: known are %v", f.Kind, faultKinds)
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.n++
	f.ID, f.Fired = "fault-"+strconv.Itoa(s.faults.n), 0
	s.faults.list = append(s.faults.list, &f)
	return f.ID, nil
}

// Mend takes faults away, all of them if no id is given.
func (s *Simulator) Mend(ids ...string) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = slices.DeleteFunc(s.faults.list, func(f *Fault) bool { return len(ids) == 0 || slices.Contains(ids, f.ID) })
}

// Faults are the faults in force; those that have fired for the last time are kept too, until Mend.
func (s *Simulator) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	out := []Fault{}
	for _, f := range s.faults.list {
		out = append(out, *f)
	}
	return out
}

// pick finds what a request meets: a pause, and perhaps a fault that ends it.
func (fs *faults) pick(method, path string) (pause time.Duration, end *Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		if (f.Method != "" && !strings.EqualFold(f.Method, method)) || (f.Path != "" && !glob(f.Path, path)) {
			continue
		}
		if f.Times > 0 && f.Fired >= f.Times {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.P > 0 && fs.rng.Float64() >= f.P {
			continue
		}
		f.Fired++
		if f.Kind == Delay {
			pause += f.Delay
			continue
		}
		c := *f
		return pause, &c
	}
	return pause, nil
}

// glob matches a path: * is anything but a slash, ** is anything.
func glob(pattern, path string) bool {
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '*' {
			if path == "" || path[0] != pattern[i] {
				return false
			}
			path = path[1:]
			continue
		}
		deep := i+1 < len(pattern) && pattern[i+1] == '*'
		rest := strings.TrimLeft(pattern[i:], "*")
		for n := 0; n <= len(path); n++ {
			if glob(rest, path[n:]) {
				return true
			}
			if n < len(path) && path[n] == '/' && !deep {
				return false
			}
		}
		return false
	}
	return path == ""
}

// answer is what a fault says in place of the real answer.
func (f *Fault) answer(path, key, requestID string, now time.Time) *answer {
	status := f.Status
	def(&status, http.StatusInternalServerError)
	var e *apiError
	switch {
	case f.Kind == RefuseKey:
		e = unauthorized("invalid_authorization_material", "The API key is not valid")
	case f.Kind == RefuseRole:
		e = forbidden("a role that this key does not have")
	case f.Kind == Missing:
		e = missing("Page", path)
	case f.Kind == Throttle:
		e = f.throttle(key, now)
	case f.Body == "":
		e = plainError(status, "internal_error", "internal_error", "Something went wrong on our side (%d)", status)
	}
	if e != nil {
		e.RequestID = requestID
		return errorAnswer(e)
	}
	a := &answer{status: status, header: http.Header{}, body: []byte(f.Body)}
	switch {
	case strings.HasPrefix(strings.TrimSpace(f.Body), "{"):
		a.header.Set("Content-Type", "application/json")
	default:
		a.header.Set("Content-Type", "text/html")
	}
	return a
}

func (f *Fault) throttle(key string, now time.Time) *apiError {
	wait := f.Delay
	def(&wait, time.Second)
	e := throttled(key, 1200, wait, now)
	at := now.UTC().Add(wait)
	switch f.RetryAfter {
	case "", "seconds":
	case "http-date":
		e.retryAfter = at.Add(time.Second - 1).Format(http.TimeFormat)
	case "rfc3339":
		e.retryAfter = at.Format(time.RFC3339Nano)
	case "body":
		e.retryAfter = ""
	case "none":
		e.retryAfter, e.RateLimit = "", nil
	default:
		e.retryAfter = f.RetryAfter
	}
	return e
}
