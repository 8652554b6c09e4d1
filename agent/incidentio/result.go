package incidentio

import (
	"fmt"
	"strings"
	"time"
)

// Class is what became of a request. Its zero value is none of them, so that a Result nobody filled is no success.
type Class int

const (
	// Done: incident.io took the request, and its whole answer is here.
	Done Class = iota + 1
	// Retry: incident.io, or something in front of it, could not serve the request just now (5xx, 408, 421, 425, or an
	// answer that is not incident.io's). It may have been applied nevertheless.
	Retry
	// InDoubt: the request was sent, in whole or in part, and no whole answer came back. It may have been applied.
	InDoubt
	// Unreachable: the request certainly never got to incident.io (no address, no connection, no TLS, a proxy's or a
	// redirect's answer in its place).
	Unreachable
	// Throttled: 429. It was not applied. Result.After says how long to wait, zero where incident.io did not tell.
	Throttled
	// Unauthorized: 401 or 403, or there is no key to send. It was not applied.
	Unauthorized
	// Refused: any other 4xx. It was not applied and never will be in this form.
	Refused
)

var classNames = [...]string{"unknown", "done", "retry", "in_doubt", "unreachable", "throttled", "unauthorized", "refused"}

// String is the class in one lower-case word, for logs and metric labels.
func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return classNames[0]
	}
	return classNames[c]
}

// Applied says whether a request of this class may have had an effect in incident.io.
func (c Class) Applied() bool { return c == Done || c == Retry || c == InDoubt }

// Result is what became of a request; for a read that pages, of its last one.
//
// Where the caller's own context ended, the class tells as always whether the request was sent, and Err matches
// context.Canceled or context.DeadlineExceeded: ask ctx.Err() before drawing conclusions about incident.io.
type Result struct {
	Class     Class
	Status    int    // HTTP status, 0 where none came
	RequestID string // incident.io's, for its support
	Code      string // the first error's code; "redirected", "not_incident_io", "too_large", "no_key" are the client's own
	Field     string // the first error's field, e.g. severity_id or custom_field_entries[0].values
	Message   string // all errors' messages on one line, at most 500 bytes, without secrets
	// After is how long incident.io asked to wait: the latest of what Retry-After and the body say, from now, between 0
	// and an hour. 0 with Throttled means that it did not say.
	After     time.Duration
	Rate      Rate
	Date      time.Time // when incident.io answered, by its own clock and to the second; zero where it did not tell
	Body      []byte    `json:"-"` // the answer's body, at most 8 MiB; not redacted: it may hold a token that was just made
	Err       error     // what the network said, without secrets; nil where an answer came
	Oversized bool      // refused because of the request's size, which is no throttle even where the status is 429
	Truncated bool      // a list had more than the client is willing to read (see the list's method)
	Requests  int       // how many requests were made: a list takes one a page, a call without a usable key none

	what string // "POST /v2/incidents"
}

// OK says that incident.io did what was asked.
func (r Result) OK() bool { return r.Class == Done }

// Error is the outcome on one line for people, without secrets and of bounded length.
func (r Result) Error() string {
	var b strings.Builder
	if r.what != "" {
		b.WriteString(r.what + ": ")
	}
	switch r.Class {
	case Done:
		b.WriteString("done")
	case Retry:
		b.WriteString("not served")
	case InDoubt:
		b.WriteString("sent, but no whole answer came")
	case Unreachable:
		b.WriteString("incident.io not reached")
	case Throttled:
		b.WriteString("throttled")
	case Unauthorized:
		b.WriteString("not authorized")
	case Refused:
		b.WriteString("refused")
	default:
		b.WriteString("unknown outcome")
	}
	if r.Status != 0 {
		fmt.Fprintf(&b, " (%d)", r.Status)
	}
	if r.Field != "" {
		b.WriteString(", " + r.Field)
	}
	if r.Message != "" {
		b.WriteString(": " + r.Message)
	}
	if r.RequestID != "" {
		b.WriteString(" [request " + r.RequestID + "]")
	}
	return oneLine(b.String(), 2*maxMessage)
}

// Unwrap gives the network's error, so that errors.Is finds context.Canceled and the like.
func (r Result) Unwrap() error { return r.Err }
