package incidentio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAlertEvent is the size from which a 429 to an alert event is no throttle: incident.io documents 512 KB, and
// answers bodies over it with 429. The smaller reading of KB is taken, since waiting would never end for such a body.
const maxAlertEvent = 512_000

// answer is an HTTP answer as it was read; readErr says why body is not the whole of it. secret is what was sent: a
// server may give it back.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	readErr error
	secret  string
}

// words makes text of an answer fit to be kept and shown.
func (a answer) words(s string, limit int) string { return oneLine(redact(s, a.secret), limit) }

// problem is the body of an error.
type problem struct {
	RequestID string `json:"request_id"`
	Errors    []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Source  struct {
			Field   string `json:"field"`
			Pointer string `json:"pointer"`
		} `json:"source"`
	} `json:"errors"`
	RateLimit struct {
		RetryAfter string `json:"retry_after"`
	} `json:"rate_limit"`
}

// classify is the one place that decides what an answer means. It adds to r.
func classify(r Result, call Call, a answer, now time.Time) Result {
	r.Status, r.Body, r.Rate = a.status, a.body, rateOf(a.header)
	r.Date, _ = http.ParseTime(a.header.Get("Date"))
	r.RequestID = a.words(a.header.Get("X-Request-Id"), 100)
	r.Class = classOf(a.status)
	tooLarge := errors.Is(a.readErr, errTooLarge)

	if r.Class == Done {
		switch {
		case tooLarge:
			r.Class, r.Code, r.Message = InDoubt, "too_large", a.readErr.Error()
		case a.readErr != nil:
			r.Class, r.Err = InDoubt, a.readErr
		case len(bytes.TrimSpace(a.body)) == 0 && !emptyAnswer(a.status, call.Path),
			len(bytes.TrimSpace(a.body)) > 0 && !jsonObject(a.body):
			// A proxy's or a portal's page under a good status: nobody knows whether the request went on from there.
			r.Class, r.Code, r.Message = Retry, "not_incident_io", notOurs(a)
		}
		return r
	}
	if a.readErr != nil && !tooLarge && r.Class == Refused {
		// The words that tell what is wrong with the request are missing; asked again they come.
		r.Class, r.Err = InDoubt, a.readErr
		return r
	}
	var p problem
	_ = json.Unmarshal(a.body, &p) // as far as it goes: a member of another type hides none of the others
	if p.RequestID != "" {
		r.RequestID = a.words(p.RequestID, 100)
	}
	r.After = waitFor(a.header, p.RateLimit.RetryAfter, now)
	if len(p.Errors) > 0 {
		first := p.Errors[0]
		r.Code = a.words(first.Code, 100)
		r.Field = a.words(first.Source.Field, 200)
		if r.Field == "" {
			r.Field = a.words(strings.ReplaceAll(strings.TrimPrefix(first.Source.Pointer, "/"), "/", "."), 200)
		}
		var messages []string
		for _, e := range p.Errors {
			messages = append(messages, strings.TrimRight(strings.TrimSpace(e.Message), "."))
		}
		r.Message = a.words(strings.Join(messages, "; "), maxMessage)
	}
	if r.Message == "" {
		r.Message = notOurs(a)
		if r.Code == "" && !jsonObject(a.body) {
			r.Code = "not_incident_io"
		}
	}
	switch {
	case r.Class == Unreachable && a.status != http.StatusProxyAuthRequired:
		r.Code, r.Message = "redirected", redirected(a)
	case a.status == http.StatusRequestEntityTooLarge,
		r.Class == Throttled && strings.HasPrefix(call.Path, "/v2/alert_events/") && len(call.Body) > maxAlertEvent:
		r.Class, r.Oversized, r.After = Refused, true, 0
	}
	return r
}

// classOf is what a status means by itself.
func classOf(status int) Class {
	switch {
	case status >= 200 && status <= 299:
		return Done
	case status >= 300 && status <= 399, status == http.StatusProxyAuthRequired:
		// incident.io's API redirects nobody. It is a portal, a proxy or a wrong URL, and nothing that the request could
		// mend: it waits until the way is free.
		return Unreachable
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Unauthorized
	case status == http.StatusTooManyRequests:
		return Throttled
	case status == http.StatusRequestTimeout, status == http.StatusMisdirectedRequest, status == http.StatusTooEarly:
		return Retry
	case status >= 400 && status <= 499:
		return Refused
	}
	return Retry
}

// emptyAnswer says whether nothing is a whole answer.
func emptyAnswer(status int, path string) bool {
	switch status {
	case http.StatusAccepted, http.StatusNoContent, http.StatusResetContent:
		return true
	}
	return strings.HasPrefix(path, "/v2/heartbeat/")
}

func jsonObject(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) > 0 && body[0] == '{' && json.Valid(body)
}

// notOurs describes an answer that does not explain itself in incident.io's form.
func notOurs(a answer) string {
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if kind == "" {
		kind = "no content type"
	}
	return a.words(fmt.Sprintf("%d %s, without an explanation in incident.io's form (%s, %d bytes)",
		a.status, http.StatusText(a.status), kind, len(a.body)), maxMessage)
}

// redirected tells where to, without the query, which may hold a portal's token.
func redirected(a answer) string {
	to := "an address that it does not tell"
	if u, err := url.Parse(a.header.Get("Location")); err == nil && (u.Host != "" || u.Path != "") {
		to = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	}
	return a.words("redirected to "+to+", where the key is not sent: is the API URL right, or does a proxy ask for a login?", maxMessage)
}
