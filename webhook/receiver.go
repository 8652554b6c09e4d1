package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/julienschmidt/httprouter"
)

// WebhookPath is the one path of the webhook port.
const WebhookPath = "/webhooks/incident-io"

// Outcomes of a request to the webhook port, the first argument of Receiver.Observe.
const (
	OutcomeStored      = "stored"      // on disk; the reason is "secret_0" for the first secret, "secret_1" for the second, …
	OutcomeDuplicate   = "duplicate"   // its id was seen before; the reason is as for OutcomeStored
	OutcomeRefused     = "refused"     // 4xx; the reason says why
	OutcomeUnavailable = "unavailable" // 503: not stored; the reason is "unavailable" (storage) or "overload"
)

// storeWithin bounds the wait for storage, within the 15 seconds that incident.io waits for an answer.
const storeWithin = 10 * time.Second

// verifiers bounds the signatures checked at once: each holds its body several times over in the library.
const verifiers = 4

// Receiver is the port that incident.io posts its webhooks to: POST /webhooks/incident-io and nothing else.
// Secrets and Accept are needed.
type Receiver struct {
	// Secrets gives the secrets in force, each "whsec_…" or the bare base64 behind it; any of them verifies. It is asked
	// for each request, so that a rotation needs no restart.
	Secrets func() []string
	// Accept stores a webhook whose signature was right and whose body is JSON. It must be durable when it returns nil.
	// duplicate tells that the id was there already. ctx ends after 10 seconds, not when the sender goes away.
	Accept func(ctx context.Context, id string, body []byte) (duplicate bool, err error)
	// Observe, if set, is told of each request once. Both words come from a small fixed set, fit for metric labels.
	Observe func(outcome, reason string)
	// Log, if set, is told of refusals and failures, at most one line for each reason in 30 seconds.
	Log *slog.Logger
}

// port is a Receiver at work.
type port struct {
	Receiver
	bodies    gate
	verifying chan struct{}
	quiet     *throttle
	keys      atomic.Pointer[keyring] // of the secrets as they last were
}

// Handler gives the port's handler. It panics if a needed field is nil.
func (r *Receiver) Handler() http.Handler {
	if r.Secrets == nil || r.Accept == nil {
		panic("webhook: Receiver needs Secrets and Accept")
	}
	p := &port{Receiver: *r, bodies: gate{max: maxBodies}, verifying: make(chan struct{}, verifiers), quiet: newThrottle(r.Log)}
	router := httprouter.New()
	router.RedirectTrailingSlash, router.RedirectFixedPath, router.HandleOPTIONS = false, false, false
	router.Handler(http.MethodPost, WebhookPath, p.handler(p.receive))
	router.NotFound = p.handler(notFound)
	router.MethodNotAllowed = p.handler(func(w http.ResponseWriter, _ *http.Request) error {
		return notAllowed(w, http.MethodPost)
	})
	return router
}

// handler answers and reports the errors of h.
func (p *port) handler(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		e := asError(err)
		outcome, level := OutcomeRefused, slog.LevelWarn
		if e.Status >= http.StatusInternalServerError {
			outcome, level = OutcomeUnavailable, slog.LevelError
		}
		p.observe(outcome, e.reason)
		attrs := []slog.Attr{slog.Int("status", e.Status), slog.String("remote", r.RemoteAddr)}
		if e.Cause != nil {
			attrs = append(attrs, slog.Any("error", e.Cause))
		}
		p.quiet.say(level, "webhook not taken", e.reason, attrs...)
		writeError(w, e)
	})
}

func (p *port) observe(outcome, reason string) {
	if p.Observe != nil {
		p.Observe(outcome, reason)
	}
}

func (p *port) receive(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > maxBody {
		return tooLarge(w, nil)
	}
	signed, keys := envelopes(r.Header), p.inForce()
	if reason := keys.rule(signed); reason != "" {
		return closing(w, unsigned(reason)) // the body is not even read
	}
	body, release, err := p.bodies.body(w, r)
	if err != nil {
		return err
	}
	defer release()
	p.verifying <- struct{}{}
	id, secret, reason := keys.verify(signed, body)
	<-p.verifying
	if reason != "" {
		return unsigned(reason)
	}
	if !isJSON(body) {
		return &Error{Status: http.StatusBadRequest, Message: "the body is not JSON", reason: "not_json"}
	}
	// The sender's patience is not the row's: what was read is stored, and its repeat is then a duplicate.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeWithin)
	defer cancel()
	duplicate, err := p.Accept(ctx, id, body)
	if err != nil {
		return err
	}
	outcome := OutcomeStored
	if duplicate {
		outcome = OutcomeDuplicate
	}
	p.observe(outcome, "secret_"+strconv.Itoa(secret))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// inForce gives the secrets in force. They are read from their text only when they have changed.
func (p *port) inForce() *keyring {
	secrets := p.Secrets()
	if k := p.keys.Load(); k != nil && slices.Equal(k.secrets, secrets) {
		return k
	}
	k := newKeyring(secrets)
	p.keys.Store(k)
	return k
}

// isJSON tells what encoding/json's Valid does, in a fifth of the time. Names that come twice and text that is no UTF-8
// are JSON to it, too: no webhook is turned away for them.
func isJSON(body []byte) bool {
	return jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// unsigned is one answer for every fault of a signature, so that trying tells nothing.
func unsigned(reason string) *Error {
	return &Error{Status: http.StatusUnauthorized, Message: "the signature is missing, wrong or out of date", reason: reason}
}
