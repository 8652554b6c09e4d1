package webhook

import (
	"bytes"
	"container/list"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// Bounds on what a stranger may make the process hold.
const (
	maxBody   = 1 << 20 // contract sections 3 and 5
	maxBodies = 64      // bodies in memory at once, 64 MiB

	firstBytes = 32 << 10 // of a body, before there is room for all of it
)

// gate bounds the bodies in memory. When it is full, whoever has been sending for longest is turned away for the newcomer:
// an honest body is there within milliseconds, a slow one is an attack or a broken line. Bodies that are there in full are
// never turned away; if only those are left, the newcomer is.
type gate struct {
	mu      sync.Mutex
	held    int
	max     int
	reading list.List // of *reading, oldest first
}

// reading is a body on its way in.
type reading struct {
	evict   func() // makes the reading fail soon
	evicted bool
}

var errEvicted = errors.New("made room for others")

// body reads a request's body, bounded; the caller calls release when it is done with it. Every error is an *Error. A
// compressed body is never unpacked: its bytes are what was signed, and they are no JSON.
func (g *gate) body(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if r.ContentLength > maxBody {
		return nil, nil, tooLarge(w, nil)
	}
	place := g.enter(func() { _ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) })
	if place == nil {
		return nil, nil, closing(w, overloaded(nil))
	}
	body, err = readAll(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength)
	evicted := g.arrived(place)
	if evicted {
		w.Header().Set("Connection", "close") // its read deadline is in the past
	}
	if err == nil {
		return body, g.leave, nil
	}
	g.leave()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, nil, tooLarge(w, err)
	case evicted:
		return nil, nil, closing(w, overloaded(errEvicted))
	}
	return nil, nil, closing(w, &Error{Status: http.StatusBadRequest, Message: "the body did not arrive in full", Cause: err, reason: "incomplete"})
}

// readAll reads to the end. A body that says how long it is gets room for all of it once some of it is there: pieces that
// grow would cost several times as much, and room for what never comes is the attacker's to waste.
func readAll(r io.Reader, length int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(max(0, min(length, firstBytes))) + bytes.MinRead)
	if length > firstBytes {
		if _, err := io.CopyN(&b, r, firstBytes); err != nil {
			return nil, err
		}
		b.Grow(int(length) - firstBytes + bytes.MinRead)
	}
	if _, err := b.ReadFrom(r); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func tooLarge(w http.ResponseWriter, cause error) error {
	return closing(w, &Error{Status: http.StatusRequestEntityTooLarge, Message: "the body is over 1 MiB", Cause: cause, reason: "too_large"})
}

func overloaded(cause error) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Message: "too many requests at once; try again", RetryAfter: time.Second, Cause: cause, reason: "overload"}
}

// closing ends the connection behind an answer that is given before the body was read: what is left of it is nobody's.
func closing(w http.ResponseWriter, e *Error) *Error {
	w.Header().Set("Connection", "close")
	return e
}

// enter takes a place for a body about to be read; nil if there is none.
func (g *gate) enter(evict func()) *list.Element {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held >= g.max {
		oldest := g.reading.Front()
		if oldest == nil {
			return nil
		}
		g.reading.Remove(oldest)
		slow := oldest.Value.(*reading)
		slow.evicted = true
		slow.evict() // under the lock: once it has arrived, its connection may be at its next request
	}
	g.held++
	return g.reading.PushBack(&reading{evict: evict})
}

// arrived ends the danger of being turned away and tells whether it is too late for that.
func (g *gate) arrived(place *list.Element) (evicted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading.Remove(place) // does nothing for one that was turned away
	return place.Value.(*reading).evicted
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held--
}
