package simulator

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// rates are the token buckets, guarded by Simulator.mu. Each refills continuously, as documented.
type rates struct {
	limits      Limits
	key         *bucket
	escalations *bucket
	hourly      *bucket
	sources     map[string]*bucket // by alert source id
}

func newRates(l Limits) rates {
	def(&l.PerMinute, 1200)
	def(&l.AlertsPerMinute, 120)
	def(&l.EscalationsPerMinute, 60)
	return rates{limits: l, key: newBucket(l.PerMinute, time.Minute), escalations: newBucket(l.EscalationsPerMinute, time.Minute),
		hourly: newBucket(max(l.IncidentsPerHour, 0), time.Hour), sources: map[string]*bucket{}}
}

func (r *rates) source(id string) *bucket {
	b, ok := r.sources[id]
	if !ok {
		b = newBucket(r.limits.AlertsPerMinute, time.Minute)
		r.sources[id] = b
	}
	return b
}

type bucket struct {
	size   int
	window time.Duration
	left   float64
	at     time.Time
}

// newBucket makes a full bucket; nil, which limits nothing, for a size of 0 or less.
func newBucket(size int, window time.Duration) *bucket {
	if size <= 0 {
		return nil
	}
	return &bucket{size: size, window: window, left: float64(size)}
}

func (b *bucket) refill(now time.Time) {
	if b.at.IsZero() {
		b.at = now
	}
	if d := now.Sub(b.at); d > 0 {
		b.left = min(float64(b.size), b.left+d.Seconds()*float64(b.size)/b.window.Seconds())
		b.at = now
	}
}

// wait is how long until one more request is allowed.
func (b *bucket) wait() time.Duration {
	if b.left >= 1 {
		return 0
	}
	return time.Duration((1 - b.left) * float64(b.window) / float64(b.size))
}

// spend takes one token from each bucket, or from none and names the one that is empty.
func spend(now time.Time, bs ...*bucket) *bucket {
	for _, b := range bs {
		if b != nil {
			b.refill(now)
		}
	}
	for _, b := range bs {
		if b != nil && b.left < 1 {
			return b
		}
	}
	for _, b := range bs {
		if b != nil {
			b.left--
		}
	}
	return nil
}

// rateHeaders writes the documented headers: the limit with the least allowance left binds.
func rateHeaders(h http.Header, now time.Time, bs ...*bucket) {
	var bind *bucket
	list := ""
	for _, b := range bs {
		if b == nil {
			continue
		}
		if bind == nil || b.left < bind.left {
			bind = b
		}
		list += fmt.Sprintf(", %d;window=%d", b.size, int(b.window.Seconds()))
	}
	if bind == nil {
		return
	}
	remaining := int(math.Max(0, math.Floor(bind.left)))
	full := time.Duration((float64(bind.size) - bind.left) * float64(bind.window) / float64(bind.size))
	h.Set("X-RateLimit-Limit", strconv.Itoa(bind.size)+list)
	h.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("X-RateLimit-Used", strconv.Itoa(bind.size-remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(int64(math.Ceil(float64(now.Add(full).UnixMilli())/1000)), 10))
}

// throttled is the documented answer to a request over a limit.
func throttled(name string, limit int, wait time.Duration, now time.Time) *apiError {
	e := plainError(http.StatusTooManyRequests, "too_many_requests", "too_many_requests",
		"Too many requests hit the API too quickly. We recommend an exponential backoff of your requests.")
	secs := max(1, int(math.Ceil(wait.Seconds())))
	e.retryAfter = strconv.Itoa(secs)
	e.RateLimit = &rateNote{Name: name, Limit: limit, RetryAfter: now.UTC().Add(time.Duration(secs) * time.Second).Truncate(time.Second)}
	return e
}

// silentlyThrottled is a 429 that tells no time: the hourly limit of incidents, and an alert event that is too large.
func silentlyThrottled(message string) *apiError {
	return plainError(http.StatusTooManyRequests, "too_many_requests", "too_many_requests", "%s", message)
}
