package webhook

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
)

// Inserted is what became of one event that Local.Store was given.
type Inserted struct {
	ID        string // the event's id, given or derived
	Duplicate bool   // it was there already
}

// Local is the listener for this machine: health, metrics, the status page, the door for events and the inbox.
// Loopback and the unix socket are trusted to read and tend; anybody else must know the secret.
//
// All functions are needed but Observe; each may be called by many goroutines at once. Errors: ErrNotFound, ErrConflict and
// *Error choose the answer, anything else is 503 with Retry-After and its text in the log only.
type Local struct {
	// Secret gives TIGEROPS_WEBHOOK_SECRET as it is now; empty if there is none.
	Secret func() string

	// Split takes a request's body apart into events: a JSON object, an array or NDJSON. An error means that it is no JSON.
	Split func(body []byte) ([]json.RawMessage, error)
	// Validate tells each fault of an event; the faults' Index is filled in here.
	Validate func(payload []byte) []FieldError
	// IsTest tells a test event, which is answered and changes nothing.
	IsTest func(payload []byte) bool
	// Store makes the events durable, all or none, and tells for each what became of it. An *Error of status 422 may name
	// payloads by their index in the argument. ctx ends after 10 seconds, not when the client goes away.
	Store func(ctx context.Context, payloads [][]byte) ([]Inserted, error)

	// Inbox gives at most limit pending changes with an id above after, in order, each a JSON object with its id.
	Inbox func(ctx context.Context, after int64, limit int) ([]Change, error)
	// Changed gives a channel that is closed when the inbox next changes. It is asked before Inbox is.
	Changed func() <-chan struct{}
	// Ack and Reject end a change: nil also if it was in that state already, ErrConflict if it is in the other,
	// ErrNotFound if there is none.
	Ack    func(ctx context.Context, id int64) error
	Reject func(ctx context.Context, id int64, reason string) error

	// Ready gives the reasons why the agent is not ready; none if it is.
	Ready func(ctx context.Context) []string
	// Metrics answers GET /metrics.
	Metrics http.Handler
	// Status gives what GET /v1/status answers, marshalled as JSON.
	Status func(ctx context.Context) (any, error)
	// Incident gives what GET /v1/incidents/{id} answers, marshalled as JSON. id may be of either side, or "INC-123".
	Incident func(ctx context.Context, id string) (any, error)

	// Page and Story give what the pages at / and /incidents/{id} show.
	Page  func(ctx context.Context) (Page, error)
	Story func(ctx context.Context, id string) (Story, error)
	// Retry makes a dead event due again; Discard ends it for good. ErrNotFound and ErrConflict as for Ack.
	Retry   func(ctx context.Context, id int64) error
	Discard func(ctx context.Context, id int64, reason string) error

	// Observe, if set, is told of each request refused or failed: a status and a word for the reason, fit for metric labels.
	Observe func(status int, reason string)
	// Log, if set, is told of refusals and failures, at most one line for each reason in 30 seconds.
	Log *slog.Logger
}

// Change is one row of the inbox as GET /v1/inbox answers it.
type Change struct {
	ID   int64
	Body json.RawMessage // the whole change, its id included
}

// Handler gives the listener's handler. It panics if a needed field is nil.
func (l *Local) Handler() http.Handler {
	return http.NotFoundHandler()
}
