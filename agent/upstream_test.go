package agent

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

func testUpstream(perMinute int, probe func() incidentio.Result, back func()) *upstream {
	if probe == nil {
		probe = func() incidentio.Result { return incidentio.Result{Class: incidentio.Done} }
	}
	return newUpstream(perMinute, func(context.Context) incidentio.Result { return probe() }, back, slog.New(slog.DiscardHandler))
}

func answer(r incidentio.Result) func(context.Context) incidentio.Result {
	return func(context.Context) incidentio.Result { return r }
}

var fine = answer(incidentio.Result{Class: incidentio.Done, Status: http.StatusOK})

func TestUpstreamKeepsAReserveForUrgentRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := testUpstream(1200, nil, nil)
		notes := 0
		for u.room(scopeKey, false, time.Now()) == 0 {
			u.take(scopeKey, time.Now())
			notes++
		}
		if notes != 1140 {
			t.Errorf("notes took %d of 1200 tokens, want 1140: a twentieth is for urgent requests", notes)
		}
		urgent := 0
		for u.room(scopeKey, true, time.Now()) == 0 {
			u.take(scopeKey, time.Now())
			urgent++
		}
		if urgent != 60 {
			t.Errorf("urgent requests took %d more, want 60", urgent)
		}
		if wait := u.room(scopeKey, true, time.Now()); wait <= 0 || wait > 60*time.Millisecond {
			t.Errorf("the next urgent request waits %s, want up to a twentieth of a second", wait)
		}
	})
}

func TestUpstreamHoldsTheRateOverTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := testUpstream(1200, nil, nil)
		start, n := time.Now(), 0
		for time.Since(start) < 10*time.Minute {
			if r := u.call(t.Context(), scopeKey, true, fine); r.Class != incidentio.Done {
				t.Fatalf("request %d: %v", n, r)
			}
			n++
		}
		// The bucket of 1200 and twenty a second.
		if want := 1200 + 600*20; n < want-100 || n > want+20 {
			t.Errorf("%d requests in ten minutes, want about %d and never more", n, want)
		}
	})
}

func TestUpstreamAlertsDoNotTakeFromTheKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := testUpstream(60, nil, nil)
		for range 120 {
			if u.room(scopeAlerts, true, time.Now()) != 0 {
				t.Fatal("the alert source's bucket of 120 ran out early")
			}
			u.take(scopeAlerts, time.Now())
		}
		if u.room(scopeAlerts, true, time.Now()) == 0 {
			t.Error("a 121st alert event may go, want the source's limit to hold it")
		}
		if u.room(scopeKey, true, time.Now()) != 0 {
			t.Error("alert events used up the key's bucket")
		}
	})
}

func TestUpstreamThrottledPausesTheBucketForWhatWasAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := testUpstream(1200, nil, nil)
		r := u.call(t.Context(), scopeKey, false, answer(incidentio.Result{Class: incidentio.Throttled, Status: 429, After: time.Minute}))
		if r.Class != incidentio.Throttled {
			t.Fatalf("got %v, want throttled", r.Class)
		}
		sent := false
		r = u.call(t.Context(), scopeKey, true, func(context.Context) incidentio.Result { sent = true; return incidentio.Result{} })
		if r.Class != incidentio.Throttled || sent || r.After < 59*time.Second {
			t.Errorf("during the pause: %v after %s, sent %v; want throttled for a minute and nothing sent", r.Class, r.After, sent)
		}
		time.Sleep(time.Minute) // the bubble's clock
		if r := u.call(t.Context(), scopeKey, true, fine); r.Class != incidentio.Done {
			t.Errorf("after the pause: %v, want done", r.Class)
		}
	})
}

func TestUpstreamACallsOwnLimitPausesThatCallOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := testUpstream(1200, nil, nil)
		own := incidentio.Rate{Known: true, Limit: 60, Window: time.Minute, Limits: []incidentio.Quota{{Limit: 1200, Window: time.Minute}, {Limit: 60, Window: time.Minute}}}
		u.call(t.Context(), scopeEscalations, true, answer(incidentio.Result{Class: incidentio.Throttled, Status: 429, After: time.Minute, Rate: own}))
		if u.room(scopeEscalations, true, time.Now()) < 59*time.Second {
			t.Error("escalations go on, want them to wait a minute")
		}
		if u.room(scopeKey, true, time.Now()) != 0 {
			t.Error("everything waits for the escalations' own limit")
		}
	})
}

func TestUpstreamFollowsALowerRateOfIncidentIO(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := testUpstream(1200, nil, nil)
		low := incidentio.Rate{Known: true, Limit: 60, Remaining: 2, Window: time.Minute, Limits: []incidentio.Quota{{Limit: 60, Window: time.Minute}}}
		u.call(t.Context(), scopeKey, true, answer(incidentio.Result{Class: incidentio.Done, Status: 200, Rate: low}))
		n := 0
		for u.room(scopeKey, true, time.Now()) == 0 {
			u.take(scopeKey, time.Now())
			n++
		}
		if n != 2 {
			t.Errorf("%d requests may go at once, want the 2 that incident.io says are left", n)
		}
		if wait := u.room(scopeKey, true, time.Now()); wait < 900*time.Millisecond || wait > 1100*time.Millisecond {
			t.Errorf("the next waits %s, want a second: 60 a minute", wait)
		}
	})
}

func TestUpstreamRefusedKeyPausesAndOneProbeFreesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		good := atomic.Bool{}
		backs := atomic.Int32{}
		u := testUpstream(1200, func() incidentio.Result {
			if good.Load() {
				return incidentio.Result{Class: incidentio.Done, Status: 200}
			}
			return incidentio.Result{Class: incidentio.Unauthorized, Status: 401}
		}, func() { backs.Add(1) })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); u.keepProbing(ctx) }()

		u.call(t.Context(), scopeKey, true, answer(incidentio.Result{Class: incidentio.Unauthorized, Status: 401}))
		if ok, why := u.usable(); ok || why == "" {
			t.Fatalf("usable %v (%q) with a refused key, want a pause with a reason", ok, why)
		}
		if r := u.call(t.Context(), scopeKey, true, func(context.Context) incidentio.Result { panic("sent with a refused key") }); r.Class != incidentio.Unauthorized {
			t.Errorf("got %v, want unauthorized without a request", r.Class)
		}
		good.Store(true)
		time.Sleep(2 * probeEvery) // the bubble's clock
		if ok, why := u.usable(); !ok {
			t.Errorf("still paused: %s", why)
		}
		if backs.Load() != 1 {
			t.Errorf("the lanes were freed %d times, want once", backs.Load())
		}
		stop()
		<-done
	})
}

func TestUpstreamProbeTellsAwayFromTheEventsOwnFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up := atomic.Bool{}
		up.Store(true)
		u := testUpstream(1200, func() incidentio.Result {
			if up.Load() {
				return incidentio.Result{Class: incidentio.Done, Status: 200}
			}
			return incidentio.Result{Class: incidentio.Unreachable}
		}, nil)
		u.call(t.Context(), scopeKey, true, answer(incidentio.Result{Class: incidentio.Retry, Status: 500}))
		if !u.check(t.Context()) {
			t.Error("a 500 while the probe succeeds counts as away")
		}
		up.Store(false)
		if u.check(t.Context()) {
			t.Error("incident.io counts as there while the probe fails")
		}
		if ok, _ := u.usable(); ok {
			t.Error("requests go on while incident.io is away")
		}
	})
}

func TestDelayIsBoundedForAnyNumberOfAttempts(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 0, 1, 2, 10, 63, 64, 65, 1_000_000} {
		if d := delay(time.Second, 5*time.Minute, n); d <= 0 || d > 5*time.Minute {
			t.Errorf("after %d attempts: %s, want more than nothing and at most five minutes", n, d)
		}
	}
	if d := delay(time.Second, 5*time.Minute, 1); d > 1500*time.Millisecond {
		t.Errorf("after the first attempt: %s, want about a second", d)
	}
	if d := delay(time.Second, 5*time.Minute, 1000); d < 2*time.Minute {
		t.Errorf("after a thousand attempts: %s, want about the cap", d)
	}
}
