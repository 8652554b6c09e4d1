package store

import "time"

// Between processes SQLite's write lock has no queue: who finds it taken sleeps and tries again, ever more seldom, and one
// who writes without a pause gets it nearly every time. So while a stranger writes too no batch holds the lock for long, and
// after each it is left free until he must have met it so: for strangerFor after a commit of his that follows another
// within strangerAgain, and for strangerOnce after any other, since many write once and are gone. strangerAgain is longer
// than he waits for the lock by the examples' busy_timeout.
const (
	strangerLook  = 5 * time.Millisecond
	strangerFor   = time.Second
	strangerAgain = 6 * time.Second
	strangerOnce  = 100 * time.Millisecond
	// strangerBatch is for how long members join a batch then. With its commit it mostly ends before the second of the
	// strangerTries.
	strangerBatch = 1500 * time.Microsecond
)

// strangerTries are the first times at which SQLite, told to wait, tries again after it has found the lock taken.
var strangerTries = [...]time.Duration{time.Millisecond, 3 * time.Millisecond, 8 * time.Millisecond, 18 * time.Millisecond}

// pauseAfter is how long the lock is left free after it was held. Whoever came meanwhile tries again at the first of the
// strangerTries that is not before the end of a hold as long as this one, which is at most that much after it ended. His sleeps
// come late, so there is some time on top. The last serves all longer holds: from there on, the tries are that far apart.
func pauseAfter(held time.Duration) time.Duration {
	try := strangerTries[0]
	for _, next := range strangerTries[1:] {
		if held > try {
			try = next
		}
	}
	return try + try/4 + 250*time.Microsecond
}

// strangerCame notes that a stranger has committed something.
func (w *writer) strangerCame(now time.Time) {
	stays := strangerOnce
	if now.Sub(w.strangerAt) <= strangerAgain {
		stays = strangerFor
	}
	w.strangerAt, w.strangerTill = now, now.Add(stays)
}

// clock is what the writer keeps away from the lock by.
type clock struct {
	now   func() time.Time
	sleep func(time.Duration)
}

var systemClock = clock{time.Now, time.Sleep}

// held notes that the write lock was held since then.
func (w *writer) held(since time.Time) {
	if now := w.clock.now(); now.Before(w.strangerTill) {
		w.freeTill = now.Add(pauseAfter(now.Sub(since)))
	}
}
