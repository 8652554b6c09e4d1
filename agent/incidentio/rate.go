package incidentio

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Rate is the allowance that an answer's X-RateLimit headers tell. Limit, Remaining, Window and Reset are those of the
// limit with the least left, which may be one call's own and not the key's: Limits has all of them.
type Rate struct {
	Known     bool // an answer carried the headers
	Limit     int
	Remaining int           // requests that may be made right now; may lag a little
	Window    time.Duration // Limit/Window is the rate that can be kept up; 0 where it is not told
	Reset     time.Time     // when the allowance is whole again, by incident.io's clock
	Limits    []Quota
}

// Quota is one limit that applied to a request.
type Quota struct {
	Limit  int
	Window time.Duration
}

// rateOf reads the headers of facts, e.g. X-RateLimit-Limit: "60, 1200;window=60, 60;window=60": the binding limit
// first, then every limit that applied. What can't be read is left out.
func rateOf(h http.Header) Rate {
	var r Rate
	first, rest, _ := strings.Cut(h.Get("X-RateLimit-Limit"), ",")
	number, parameters, _ := strings.Cut(first, ";")
	limit, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || limit < 0 {
		return r
	}
	remaining, err := strconv.Atoi(strings.TrimSpace(h.Get("X-RateLimit-Remaining")))
	if err != nil || remaining < 0 {
		return r
	}
	r.Known, r.Limit, r.Remaining, r.Window = true, limit, remaining, windowOf(parameters)
	for item := range strings.SplitSeq(rest, ",") {
		number, parameters, _ := strings.Cut(item, ";")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if err != nil || n < 0 {
			continue
		}
		q := Quota{Limit: n, Window: windowOf(parameters)}
		r.Limits = append(r.Limits, q)
		// Two limits of the same number: the longer window is the lower rate.
		if n == limit {
			r.Window = max(r.Window, q.Window)
		}
	}
	if seconds, err := strconv.ParseInt(strings.TrimSpace(h.Get("X-RateLimit-Reset")), 10, 64); err == nil && seconds > 0 {
		r.Reset = time.Unix(seconds, 0).UTC()
	}
	return r
}

// windowOf reads "window=60", seconds, out of a limit's parameters. More than a day is taken for nonsense.
func windowOf(parameters string) time.Duration {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if seconds, err := strconv.Atoi(value); name == "window" && err == nil && seconds > 0 && seconds <= 86400 {
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}
