package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
	"github.com/tigerops/tigerops-incidentio/webhook"
)

const (
	// pushWorkers is how many incidents' changes are posted side by side.
	pushWorkers = 8
	// pushTimeout bounds one post.
	pushTimeout = 30 * time.Second
	// pushPause is how often a paused push tries again.
	pushPause = 30 * time.Second
	// pushIdle is the longest wait between two looks at the inbox; a change wakes the loop at once.
	pushIdle = 15 * time.Second
	// pushAnswer bounds what is read of an answer.
	pushAnswer = 64 << 10
)

// What became of a post, also as a metric's label.
const (
	pushApplied  = "applied"
	pushRejected = "rejected"
	pushPauses   = "paused" // TigerOps' endpoint is not what it should be: no change is to blame
	pushRetried  = "retried"
)

// pushLoop posts changes to TIGEROPS_APPLY_URL as they come; without that TigerOps takes them itself.
func (a *Agent) pushLoop(ctx context.Context) error {
	defer a.in.pusher.CloseIdleConnections()
	for {
		changed := a.st.Changed(store.TopicInbox)
		wait, err := a.pushOnce(ctx)
		if err != nil && ctx.Err() == nil {
			a.failing("push changes to TigerOps", err)
			wait = time.Second
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case <-a.wakePush:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pushOnce posts every change that is due, in order per incident, and says when to look again.
func (a *Agent) pushOnce(ctx context.Context) (next time.Duration, err error) {
	c := a.cfg.Load()
	if c.ApplyURL == "" {
		a.resumePush(ctx)
		return time.Hour, nil
	}
	limit := 16 * pushWorkers
	paused, wait := a.in.pauseLeft(c)
	if wait > 0 {
		return wait, nil
	}
	if paused {
		limit = 1 // one change tells whether TigerOps takes them again
	}
	next = pushIdle
	for ctx.Err() == nil {
		heads, err := a.st.Inbox(ctx, store.InboxQuery{State: store.Pending, Due: true, Limit: limit})
		if err != nil {
			return 0, fmt.Errorf("read the changes that wait: %w", err)
		}
		if len(heads) == 0 {
			a.resumePush(ctx)
			// One that an earlier round put off may be due before any of this one.
			if due, err := a.st.NextPush(ctx); err != nil {
				return 0, err
			} else if !due.IsZero() {
				next = min(next, max(time.Until(due), 0))
			}
			return next, nil
		}
		soonest, stop, err := a.pushAll(ctx, c, heads)
		next = min(next, soonest)
		if err != nil || stop {
			return min(next, pushPause), err
		}
		if paused {
			a.resumePush(ctx)
			a.in.tell.works("push", "TigerOps takes changes again")
			paused, limit = false, 16*pushWorkers
		}
	}
	return next, nil
}

// resumePush ends a pause, if there is one.
func (a *Agent) resumePush(ctx context.Context) {
	if a.in.paused() != "" {
		a.in.resume()
		a.noteTroubles(ctx)
	}
}

// pushAll posts the oldest changes of several incidents side by side. stop says that the push pauses.
func (a *Agent) pushAll(ctx context.Context, c *Config, heads []store.InboxEntry) (soonest time.Duration, stop bool, err error) {
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		slots = make(chan struct{}, pushWorkers)
	)
	soonest = pushIdle
	for _, e := range heads {
		slots <- struct{}{}
		mu.Lock()
		end := stop || err != nil || ctx.Err() != nil
		mu.Unlock()
		if end {
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			p := a.post(ctx, c, e)
			if ctx.Err() != nil && p.outcome == pushRetried {
				return // cut off by our own stop
			}
			wait, serr := a.settlePush(context.WithoutCancel(ctx), c, e, p)
			mu.Lock()
			defer mu.Unlock()
			stop = stop || p.outcome == pushPauses
			if wait > 0 {
				soonest = min(soonest, wait)
			}
			err = errors.Join(err, serr)
		})
	}
	group.Wait()
	return soonest, stop, err
}

// posted is what became of one post.
type posted struct {
	outcome string
	reason  string        // TigerOps' words, or what the network said; one line
	after   time.Duration // how long TigerOps asked to wait, 0 if it did not
}

// settlePush writes down what became of a post; wait is when a change that was not taken is due again.
func (a *Agent) settlePush(ctx context.Context, c *Config, e store.InboxEntry, p posted) (wait time.Duration, err error) {
	a.m.pushes.WithLabelValues(p.outcome).Inc()
	switch p.outcome {
	case pushApplied:
		if _, err = a.st.AckInbox(ctx, e.ID); err != nil {
			err = fmt.Errorf("note that change %d is applied: %w", e.ID, err)
		}
		a.in.tell.works("push retry", "TigerOps takes changes again")
		a.log.Info("TigerOps took a change", "change", e.ID, "type", e.Type, "incident", e.TigerOpsID)
	case pushRejected:
		if _, err = a.st.RejectInbox(ctx, p.reason, e.ID); err != nil {
			err = fmt.Errorf("note that change %d is rejected: %w", e.ID, err)
		}
		a.log.Warn("TigerOps rejected a change", "change", e.ID, "type", e.Type, "incident", e.TigerOpsID, "reason", p.reason)
	case pushPauses:
		a.in.pause(c, p.reason)
		a.noteTroubles(ctx)
		a.in.tell.failed(levelError, "push", "the push to TigerOps pauses", "reason", p.reason, "mend", "set TIGEROPS_APPLY_URL and TIGEROPS_APPLY_SECRET right, then restart the agent (a secret in a file needs SIGHUP only)")
	default:
		wait = max(delay(c.BackoffInitial, c.BackoffMax, e.Attempts+1), p.after)
		if err = a.st.PushDefer(ctx, e.ID, a.now().Add(wait), p.reason); err != nil {
			err = fmt.Errorf("put change %d off: %w", e.ID, err)
		}
		a.in.tell.failed(levelWarn, "push retry", "TigerOps did not take a change, trying again", "change", e.ID, "type", e.Type, "reason", p.reason)
	}
	if errors.Is(err, store.ErrStale) {
		err = nil // TigerOps has ended it by another way meanwhile
	}
	return wait, err
}

// post posts one change and decides what its answer means (contract section 4).
func (a *Agent) post(ctx context.Context, c *Config, e store.InboxEntry) posted {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.ApplyURL, bytes.NewReader(e.Payload))
	if err != nil {
		return posted{outcome: pushPauses, reason: "TIGEROPS_APPLY_URL is no URL that can be posted to"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tigerops-incidentio/"+a.opts.Version)
	if c.ApplySecret.IsSet() {
		req.Header.Set(webhook.SignatureHeader, webhook.Sign(c.ApplySecret.Reveal(), e.Payload))
	}
	res, err := a.in.pusher.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // without the URL, which may hold a password
		}
		return posted{outcome: pushRetried, reason: c.clean("TigerOps can't be reached: " + err.Error())}
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, pushAnswer)) // the status decides; the words are for people
	reason := c.clean(strconv.Itoa(res.StatusCode) + " " + wordsOf(body))
	switch s := res.StatusCode; {
	case s >= 200 && s < 300:
		return posted{outcome: pushApplied}
	case s == 400, s == 409, s == 410, s == 413, s == 422:
		return posted{outcome: pushRejected, reason: reason}
	case s == 401, s == 403, s == 404, s == 405, s >= 300 && s < 400:
		return posted{outcome: pushPauses, reason: "TigerOps answers " + reason}
	}
	return posted{outcome: pushRetried, reason: "TigerOps answers " + reason, after: askedWait(res.Header.Get("Retry-After"))}
}

// wordsOf are the words of an answer: an error or message member of JSON, else the text.
func wordsOf(body []byte) string {
	if json.Valid(body) {
		o := object{mapping.MembersOf(body)}
		for _, name := range []string{"error", "message", "reason", "detail"} {
			if s := o.text(name); s != "" {
				return s
			}
		}
	}
	return strings.ToValidUTF8(string(body), "")
}

// askedWait reads a Retry-After of seconds, at most an hour.
func askedWait(header string) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(header))
	if err != nil || n <= 0 {
		return 0
	}
	return min(time.Duration(min(n, 3600))*time.Second, time.Hour)
}

// clean makes a stranger's words fit for a log line and the database: one line, bounded, without our secrets.
func (c *Config) clean(s string) string {
	for _, secret := range c.Secrets() {
		s = strings.ReplaceAll(s, secret, masked)
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	return oneLine(s, 300)
}

// newPusher is the client towards TigerOps. It follows no redirect: a signed change goes where it was meant to go.
func newPusher() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = pushWorkers
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// pauseLeft says whether the push pauses, and for how long until the next try. A new configuration ends the wait.
func (i *inbound) pauseLeft(c *Config) (paused bool, wait time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pushPaused == "" {
		return false, 0
	}
	if i.pushConfig != c {
		return true, 0
	}
	return true, max(time.Until(i.pushNext), 0)
}

func (i *inbound) pause(c *Config, why string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pushPaused, i.pushConfig, i.pushNext = why, c, time.Now().Add(pushPause)
}

func (i *inbound) resume() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pushPaused, i.pushConfig = "", nil
}

func (i *inbound) paused() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.pushPaused
}
