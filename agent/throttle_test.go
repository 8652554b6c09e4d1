package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestThrottleTellsAFailureOnceThenEvery30Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		th := newThrottle(slog.New(slog.NewTextHandler(&out, nil)))
		lines := func() []string {
			defer out.Reset()
			return strings.Split(strings.TrimSpace(out.String()), "\n")
		}

		for range 10 {
			th.failed(levelWarn, "pull", "no answer", "error", "reset")
			time.Sleep(2 * time.Second)
		}
		if got := lines(); len(got) != 1 || strings.Contains(got[0], "count=") {
			t.Fatalf("ten failures in 20 s: got %q, want one line without a count", got)
		}
		time.Sleep(10 * time.Second)
		th.failed(levelWarn, "pull", "no answer", "error", "reset")
		if got := lines(); len(got) != 1 || !strings.Contains(got[0], "count=10") {
			t.Fatalf("after 30 s: got %q, want one line with count=10", got)
		}
		th.failed(levelWarn, "push", "refused")
		if got := lines(); !strings.Contains(got[0], "refused") {
			t.Fatalf("another failure: got %q, want it told at once", got)
		}
		th.works("pull", "works again")
		th.works("pull", "works again")
		if got := lines(); len(got) != 1 || !strings.Contains(got[0], "failures=11") || !strings.Contains(got[0], "after=30s") {
			t.Fatalf("recovery: got %q, want one line with failures=11 after=30s", got)
		}
		th.failed(levelWarn, "pull", "no answer")
		if got := lines(); !strings.Contains(got[0], "no answer") {
			t.Fatalf("a failure after the recovery: got %q, want it told at once", got)
		}
	})
}

func TestWhatAStopCutOffIsNoFailure(t *testing.T) {
	t.Parallel()
	var told logged
	w := newWorld(t, worldOptions{agent: func(o *Options) { o.Log = told.logger() }})
	w.a.failing("read the outbox", fmt.Errorf("reading: %w", context.Canceled))
	if got := told.count("read the outbox"); got != 0 {
		t.Errorf("lines about what was cut off: got %d, want none", got)
	}
	w.a.failing("read the outbox", errors.New("disk I/O error"))
	if got := told.count("read the outbox"); got != 1 {
		t.Errorf("lines about a failure: got %d, want 1", got)
	}
}
