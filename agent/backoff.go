package agent

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// delay is how long to wait after the given number of failed attempts (1 is the first): exponential from initial,
// with jitter of half either way, never more than limit. It is bounded for any number of attempts.
func delay(initial, limit time.Duration, attempts int) time.Duration {
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(initial),
		backoff.WithMaxInterval(limit),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.5),
		backoff.WithMaxElapsedTime(0),
	)
	// 2^62 ns is 146 years: past that many doublings the interval is the cap already.
	d := b.NextBackOff()
	for i := 1; i < min(attempts, 62); i++ {
		d = b.NextBackOff()
	}
	return min(d, limit)
}
