package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"
)

// Inserted is what became of one event that Local.Store was given.
type Inserted struct {
	ID        string // the event's id, given or derived
	Duplicate bool   // it was there already
}

// Known is what Local.Check has read of an event and Local.Store need not read again. The zero value is nothing.
type Known struct {
	ID       string
	Type     string
	Incident string
	Severity string
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
	// Check tells each fault of an event that Split gave, or that it is a test, which is answered and changes nothing. The
	// faults' Index is filled in here, and what is known of the event goes to Store.
	Check func(event json.RawMessage) (test bool, known Known, faults []FieldError)
	// Store makes the events durable, all or none, and tells for each what became of it. An *Error of status 422 may name
	// payloads by their index in the argument. known belongs to the payload in the same place. ctx ends after 10 seconds, not
	// when the client goes away.
	Store func(ctx context.Context, payloads [][]byte, known []Known) ([]Inserted, error)

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

// listener is a Local at work.
type listener struct {
	Local
	bodies gate
	polls  chan struct{} // a place each for those that wait for a change
	quiet  *throttle
}

// handle is a handler of the local listener; what it returns is answered by one function.
type handle func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error

// Handler gives the listener's handler. It panics if a needed field is nil.
func (l *Local) Handler() http.Handler {
	if l.Secret == nil || l.Split == nil || l.Check == nil || l.Store == nil || l.Inbox == nil ||
		l.Changed == nil || l.Ack == nil || l.Reject == nil || l.Ready == nil || l.Metrics == nil || l.Status == nil ||
		l.Incident == nil || l.Page == nil || l.Story == nil || l.Retry == nil || l.Discard == nil {
		panic("webhook: Local needs every function but Observe")
	}
	at := &listener{Local: *l, bodies: gate{max: maxBodies}, polls: make(chan struct{}, maxPolls), quiet: newThrottle(l.Log)}
	router := httprouter.New()
	router.RedirectTrailingSlash, router.RedirectFixedPath = false, false
	get := func(path string, h handle) {
		router.GET(path, at.wrap(h))
		router.HEAD(path, at.wrap(h)) // net/http drops the body
	}
	get("/healthz", at.health)
	get("/readyz", at.ready)
	get("/metrics", at.guarded(at.metrics))
	get("/v1/status", at.guarded(at.status))
	get("/v1/incidents/*id", at.guarded(at.incident)) // ids of TigerOps may hold slashes
	router.POST("/v1/events", at.wrap(at.events))
	get("/v1/inbox", at.guarded(at.inbox))
	router.POST("/v1/inbox/:id/ack", at.wrap(at.guarded(at.ack)))
	router.POST("/v1/inbox/:id/reject", at.wrap(at.guarded(at.reject)))
	get("/", at.guarded(at.page))
	get("/incidents/*id", at.guarded(at.story))
	get("/assets/:name", at.guarded(at.asset))
	router.POST("/outbox/:id/retry", at.wrap(at.guarded(at.retry)))
	router.POST("/outbox/:id/discard", at.wrap(at.guarded(at.discard)))
	outside := func(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
		wrapped := at.wrap(at.guarded(func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error { return h(w, r) }))
		return func(w http.ResponseWriter, r *http.Request) { wrapped(w, r, nil) }
	}
	router.NotFound = outside(notFound)
	router.MethodNotAllowed = outside(func(w http.ResponseWriter, _ *http.Request) error {
		return notAllowed(w, w.Header().Get("Allow")) // the router's own list
	})
	return router
}

// guarded lets h answer only those who may read and tend.
func (l *listener) guarded(h handle) handle {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
		if err := l.access(r); err != nil {
			return err
		}
		return h(w, r, p)
	}
}

// wrap answers and reports the errors of h.
func (l *listener) wrap(h handle) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) {
		err := h(w, r, p)
		if err == nil || r.Context().Err() != nil && errors.Is(err, context.Canceled) {
			return // or nobody is there any more to be told, and the reading was ended for that
		}
		e := asError(err)
		if l.Observe != nil {
			l.Observe(e.Status, e.reason)
		}
		if e.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		if !told(e) {
			l.tell(r, e)
		}
		if forPerson(r) {
			l.errorPage(w, e)
			return
		}
		writeError(w, e)
	}
}

// told says of which errors the log need not hear, since they are the asker's business only: what is not there, what the
// state forbids, and readiness, which whoever makes it false logs itself.
func told(e *Error) bool {
	return e.Status == http.StatusNotFound || e.Status == http.StatusConflict || e.reason == reasonNotReady
}

func (l *listener) tell(r *http.Request, e *Error) {
	level := slog.LevelWarn
	if e.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.Int("status", e.Status), slog.String("path", r.URL.Path), slog.String("remote", r.RemoteAddr)}
	if e.Cause != nil {
		attrs = append(attrs, slog.Any("error", e.Cause))
	}
	l.quiet.say(level, "local request not answered", e.reason, attrs...)
}

// forPerson tells a browser that shows a page from a program.
func forPerson(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "text/html")
}

const reasonNotReady = "not_ready"

// readWithin bounds the wait for what is only read.
const readWithin = 10 * time.Second

func (l *listener) health(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (l *listener) ready(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	ctx, cancel := context.WithTimeout(r.Context(), readWithin)
	defer cancel()
	if reasons := l.Ready(ctx); len(reasons) > 0 {
		return &Error{Status: http.StatusServiceUnavailable, Message: "not ready", Reasons: reasons, reason: reasonNotReady}
	}
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

func (l *listener) metrics(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	l.Metrics.ServeHTTP(w, r)
	return nil
}

func (l *listener) status(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	ctx, cancel := context.WithTimeout(r.Context(), readWithin)
	defer cancel()
	status, err := l.Status(ctx)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, status)
}

func (l *listener) incident(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	ctx, cancel := context.WithTimeout(r.Context(), readWithin)
	defer cancel()
	id := strings.TrimPrefix(p.ByName("id"), "/")
	if id == "" {
		return notFound(w, r) // rather than all there are
	}
	incident, err := l.Incident(ctx, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, incident)
}
