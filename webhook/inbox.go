package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"
)

// Bounds on a reader of the inbox. Beyond them it asks again, with a higher after.
const (
	defaultChanges = 100
	maxChanges     = 500
	changesAtOnce  = 50        // read from the database at a time
	maxChangeBytes = 256 << 10 // of changes in one answer, but at least one change
	maxWait        = 60 * time.Second
	maxPolls       = 64                     // that wait at once
	pollEvery      = 100 * time.Millisecond // a storm of wake-ups asks the database no more often
	maxReason      = 64 << 10               // bytes of a reject's or a discard's body
)

// changes is the answer of GET /v1/inbox.
type changes struct {
	Changes []json.RawMessage `json:"changes"`
}

// ended is the answer to an ack or a reject.
type ended struct {
	ID    int64  `json:"id"`
	State string `json:"state"`
}

// inbox answers the pending changes, and waits for the first if asked to.
func (l *listener) inbox(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	found, err := l.wait(r, q)
	if err != nil {
		return err
	}
	if err := r.Context().Err(); err != nil && len(found.Changes) == 0 {
		return nil // nobody is there to be told
	}
	return writeJSON(w, http.StatusOK, found)
}

// wait looks until there is something, the time is up, the client is gone or the server stops. Writing the answer is not
// part of it, so that one who reads slowly takes no place from those who wait.
func (l *listener) wait(r *http.Request, q query) (changes, error) {
	select {
	case l.polls <- struct{}{}:
		defer func() { <-l.polls }()
	default:
		return changes{}, overloaded(nil)
	}
	ctx := r.Context()
	enough := time.NewTimer(q.wait)
	defer enough.Stop()
	for {
		changed, soonest := l.Changed(), time.After(pollEvery)
		found, err := l.pending(ctx, q)
		if err != nil || len(found.Changes) > 0 || q.wait == 0 {
			return found, err
		}
		if !pause(ctx, enough.C, changed) || !pause(ctx, enough.C, soonest) {
			return found, nil
		}
	}
}

// pause waits for wake; it is false if the wait is over for another reason.
func pause[T any](ctx context.Context, enough <-chan time.Time, wake <-chan T) bool {
	select {
	case <-wake:
		return true
	case <-enough:
	case <-stopping(ctx):
	case <-ctx.Done():
	}
	return false
}

// pending reads changes page by page until there are as many as asked for, or as one answer may hold.
func (l *listener) pending(ctx context.Context, q query) (changes, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	found := changes{Changes: []json.RawMessage{}}
	after, size := q.after, 0
	for len(found.Changes) < q.limit {
		want := min(changesAtOnce, q.limit-len(found.Changes))
		page, err := l.Inbox(ctx, after, want)
		if err != nil {
			return found, err
		}
		for _, c := range page {
			if size += len(c.Body); size > maxChangeBytes && len(found.Changes) > 0 {
				return found, nil
			}
			found.Changes = append(found.Changes, c.Body)
			after = c.ID
		}
		if len(page) < want {
			break
		}
	}
	return found, nil
}

// query is what a reader of the inbox asks for.
type query struct {
	after int64
	limit int
	wait  time.Duration
}

func parseQuery(r *http.Request) (query, error) {
	values := r.URL.Query()
	after, err := strconv.ParseInt(cmp.Or(values.Get("after"), "0"), 10, 64)
	if err != nil || after < 0 {
		return query{}, badRequest("after is the id of the last change seen, a number", nil)
	}
	limit, err := strconv.Atoi(cmp.Or(values.Get("limit"), strconv.Itoa(defaultChanges)))
	if err != nil || limit < 1 {
		return query{}, badRequest("limit is a number from 1", nil)
	}
	wait, err := parseWait(cmp.Or(values.Get("wait"), "0s"))
	if err != nil {
		return query{}, badRequest("wait is a duration such as 30s", nil)
	}
	return query{after: after, limit: min(limit, maxChanges), wait: min(wait, maxWait)}, nil
}

// parseWait takes "30s", and "30" for those who forget the unit.
func parseWait(text string) (time.Duration, error) {
	if _, err := strconv.ParseUint(text, 10, 32); err == nil {
		text += "s"
	}
	wait, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("read a duration: %w", err)
	}
	if wait < 0 {
		return 0, errors.New("a negative duration")
	}
	return wait, nil
}

func (l *listener) ack(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	return l.end(w, r, p, "applied", l.Ack)
}

func (l *listener) reject(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReason)).Decode(&body); err != nil && !errors.Is(err, io.EOF) {
		return bodyFault(err, `the body is not {"reason":"…"}`)
	}
	reason := strings.TrimSpace(body.Reason)
	if reason == "" {
		return invalid("a reason is needed", []FieldError{{Field: "reason", Message: "is needed: it is what people will see"}})
	}
	return l.end(w, r, p, "rejected", func(ctx context.Context, id int64) error { return l.Reject(ctx, id, reason) })
}

// end brings one change into its last state.
func (l *listener) end(w http.ResponseWriter, r *http.Request, p httprouter.Params, state string, do func(context.Context, int64) error) error {
	id, err := strconv.ParseInt(p.ByName("id"), 10, 64)
	if err != nil {
		return badRequest("the id of a change is a number", nil)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeWithin)
	defer cancel()
	switch err := do(ctx, id); {
	case errors.Is(err, ErrNotFound):
		return &Error{Status: http.StatusNotFound, Message: fmt.Sprintf("there is no change %d", id), Cause: err, reason: "not_found"}
	case errors.Is(err, ErrConflict):
		return &Error{Status: http.StatusConflict, Message: fmt.Sprintf("change %d has ended otherwise, so it can't be %s", id, state), Cause: err, reason: "conflict"}
	case err != nil:
		return err
	}
	return writeJSON(w, http.StatusOK, ended{ID: id, State: state})
}

// bodyFault tells a small body that is too large from one that is wrong.
func bodyFault(err error, message string) *Error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &Error{Status: http.StatusRequestEntityTooLarge, Message: "the body is over 64 KiB", Cause: err, reason: "too_large"}
	}
	return badRequest(message, err)
}
