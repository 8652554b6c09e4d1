package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/julienschmidt/httprouter"
)

// maxFaults bounds the faults that one answer lists; a batch of 1 MiB can have half a million.
const maxFaults = 100

// accepted is the answer to events that are on disk.
type accepted struct {
	Accepted   int      `json:"accepted"`
	Duplicates int      `json:"duplicates"`
	IDs        []string `json:"ids"` // of every event but tests, repeats included, in the order given
}

// events is the door for TigerOps' events: all of a request or nothing of it is on disk when it answers.
func (l *listener) events(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	body, release, err := l.signedBody(w, r)
	if err != nil {
		return err
	}
	defer release()
	payloads, known, places, err := l.parse(body)
	if err != nil {
		return err
	}
	answer := accepted{IDs: []string{}}
	if len(payloads) == 0 {
		return writeJSON(w, http.StatusAccepted, answer)
	}
	// What has been read is stored, whether or not the client waits for it; its repeat is then a duplicate.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeWithin)
	defer cancel()
	rows, err := l.Store(ctx, payloads, known)
	if err != nil {
		return inPlace(err, places)
	}
	for _, row := range rows {
		if row.Duplicate {
			answer.Duplicates++
		} else {
			answer.Accepted++
		}
		answer.IDs = append(answer.IDs, row.ID)
	}
	return writeJSON(w, http.StatusAccepted, answer)
}

// signedBody reads the body of one who may send events. With a secret every door asks for it, this machine's too.
func (l *listener) signedBody(w http.ResponseWriter, r *http.Request) ([]byte, func(), error) {
	secret := l.Secret()
	if secret == "" {
		if err := l.access(r); err != nil {
			return nil, nil, err
		}
		return l.bodies.body(w, r)
	}
	if err := sameSite(r); err != nil {
		return nil, nil, err
	}
	signature, known := r.Header.Get(SignatureHeader), bearer(r, secret)
	unsigned := unauthorized("a right " + SignatureHeader + " or Authorization: Bearer is needed, since TIGEROPS_WEBHOOK_SECRET is set")
	if !known && signature == "" {
		return nil, nil, closing(w, unsigned)
	}
	body, release, err := l.bodies.body(w, r)
	if err != nil {
		return nil, nil, err
	}
	if !known && !Verify(secret, signature, body) {
		release()
		return nil, nil, unsigned
	}
	return body, release, nil
}

// parse takes a body apart and refuses it whole if any event in it has a fault. Tests are left out; places gives the index
// in the request of each payload.
func (l *listener) parse(body []byte) (payloads [][]byte, known []Known, places []int, err error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil, nil, badRequest("the body is empty; a JSON object, an array or NDJSON is needed", nil)
	}
	if !utf8.Valid(body) {
		return nil, nil, nil, badRequest("the body is not UTF-8, so it is not JSON; compressed bodies are not taken", nil)
	}
	events, err := l.Split(body)
	if err != nil {
		return nil, nil, nil, badRequest("the body is not JSON: "+err.Error(), err)
	}
	var faults []FieldError
	wrong := 0
	for i, event := range events {
		test, read, found := l.Check(event)
		if test {
			continue
		}
		if len(found) > 0 {
			wrong++
		}
		for _, f := range found {
			if len(faults) < maxFaults {
				f.Index = i
				faults = append(faults, f)
			}
		}
		payloads, known, places = append(payloads, event), append(known, read), append(places, i)
	}
	if wrong > 0 {
		return nil, nil, nil, invalid(fmt.Sprintf("%d of %d events can't be taken, so nothing was stored", wrong, len(events)), faults)
	}
	return payloads, known, places, nil
}

// inPlace gives the faults that the store found the index that their events have in the request.
func inPlace(err error, places []int) error {
	var e *Error
	if !errors.As(err, &e) || len(e.Errors) == 0 {
		return err
	}
	placed := *e
	placed.Errors = nil
	for _, f := range e.Errors {
		if f.Index >= 0 && f.Index < len(places) {
			f.Index = places[f.Index]
		}
		placed.Errors = append(placed.Errors, f)
	}
	return &placed
}

func badRequest(message string, cause error) *Error {
	return &Error{Status: http.StatusBadRequest, Message: message, Cause: cause, reason: "bad_request"}
}

func invalid(message string, faults []FieldError) *Error {
	return &Error{Status: http.StatusUnprocessableEntity, Message: message, Errors: faults, reason: "invalid"}
}
