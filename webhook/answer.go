package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What the functions given to Local answer when there is no such thing, or when its state forbids what was asked. They
// may be wrapped; the text of the wrapping error is for the log, the client is told the status only. A function that has
// words for the client answers an *Error instead.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("state forbids it")
)

// FieldError is one fault of one event in a request.
type FieldError struct {
	Index   int    `json:"index"`   // place of the event in the request, from 0
	Field   string `json:"field"`   // path of the member at fault, "incident.id"
	Message string `json:"message"` // what is wrong with it
}

// Error is an answer other than 2xx: Message is for the client, Cause for the log. Functions given to Receiver and Local
// may answer one, also wrapped, to choose status and words; any other error is told as 503 without its text.
type Error struct {
	Status     int           // HTTP status
	Message    string        // for the client
	Errors     []FieldError  // for a 422: each fault
	Reasons    []string      // for readiness: each reason
	RetryAfter time.Duration // sent as Retry-After in whole seconds, at least 1, where not zero
	Cause      error         // for the log, may be nil
	reason     string        // word for metrics and the log's throttle
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// retryUnavailable is what a client is asked to wait when something could not be stored or read: long enough for a
// checkpoint or a full queue to pass, short enough that incident.io's retries come soon.
const retryUnavailable = 5 * time.Second

// asError makes an answer of whatever a handler returned.
func asError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		if e.reason == "" {
			told := *e
			told.reason = "status_" + strconv.Itoa(e.Status)
			return &told
		}
		return e
	case errors.Is(err, ErrNotFound):
		return &Error{Status: http.StatusNotFound, Message: "there is no such thing here", Cause: err, reason: "not_found"}
	case errors.Is(err, ErrConflict):
		return &Error{Status: http.StatusConflict, Message: "its state forbids that", Cause: err, reason: "conflict"}
	}
	return unavailable("the database does not answer just now; try again", err)
}

func unavailable(message string, cause error) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Message: message, RetryAfter: retryUnavailable, Cause: cause, reason: "unavailable"}
}

// errorBody is the one shape of every error of both ports.
type errorBody struct {
	Error   string       `json:"error"`
	Errors  []FieldError `json:"errors,omitempty"`
	Reasons []string     `json:"reasons,omitempty"`
}

// writeError answers err as JSON, the one place that does.
func writeError(w http.ResponseWriter, e *Error) {
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(max(1, math.Ceil(e.RetryAfter.Seconds())))))
	}
	body, err := encode(errorBody{Error: e.Message, Errors: e.Errors, Reasons: e.Reasons})
	if err != nil {
		body = []byte(`{"error":"unknown"}`) // strings and numbers always marshal
	}
	write(w, e.Status, "application/json", body)
}

// writeJSON answers v.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := encode(v)
	if err != nil {
		return &Error{Status: http.StatusInternalServerError, Message: "the answer could not be written", Cause: err, reason: "marshal"}
	}
	write(w, status, "application/json", body)
	return nil
}

// encode marshals v and leaves <, > and & readable: nothing here is ever put into HTML by its reader's mistake, as its
// type says that it is none.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("marshal %T: %w", v, err)
	}
	return b.Bytes(), nil
}

// write sends an answer, which nobody may keep.
func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is no fault of ours
}

// logger gives log, or one that drops everything.
func logger(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

// notFound answers a path that the router does not know.
func notFound(http.ResponseWriter, *http.Request) error {
	return &Error{Status: http.StatusNotFound, Message: "there is nothing at this path", reason: "path"}
}

// notAllowed answers a method that the path does not know; allow are those that it does.
func notAllowed(w http.ResponseWriter, allow ...string) error {
	w.Header().Set("Allow", strings.Join(allow, ", "))
	return &Error{Status: http.StatusMethodNotAllowed, Message: "the method is not allowed here; Allow names those that are", reason: "method"}
}
