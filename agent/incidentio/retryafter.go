package incidentio

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAfter bounds what one answer can make the agent wait. The longest limit known is hourly (incident creation).
const maxAfter = time.Hour

// waitFor is how long to wait from now, by the Retry-After headers and the body's rate_limit.retry_after: the latest of
// all that can be read, between 0 and maxAfter.
func waitFor(h http.Header, body string, now time.Time) time.Duration {
	wait := waitIn(body, now)
	for _, v := range h.Values("Retry-After") {
		wait = max(wait, waitIn(v, now))
	}
	return wait
}

// waitIn reads one value: seconds as the documentation has it, an HTTP date or an RFC 3339 time, both of which were
// seen from this vendor. Dates are held against this machine's clock.
func waitIn(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		switch {
		case seconds > 0 && seconds < maxAfter.Seconds():
			return time.Duration(seconds * float64(time.Second))
		case seconds > 0:
			return maxAfter
		}
		return 0
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		if at, err = http.ParseTime(value); err != nil {
			return 0
		}
	}
	return min(max(at.Sub(now), 0), maxAfter)
}
