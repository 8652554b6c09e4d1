package simulator

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Webhook is one webhook and what became of it.
type Webhook struct {
	ID        string           `json:"id"` // the webhook-id, "msg_…"
	EventType string           `json:"event_type"`
	Body      string           `json:"body"`
	At        time.Time        `json:"at"`
	State     string           `json:"state"` // one of the Hook constants
	Attempts  []WebhookAttempt `json:"attempts"`
}

// States of a webhook.
const (
	HookWaiting   = "waiting"
	HookDelivered = "delivered" // answered with a 2xx
	HookFailed    = "failed"    // given up
	HookDropped   = "dropped"   // by WebhookOptions.DropShare
	HookUnsent    = "unsent"    // there was nowhere to send it to
)

// WebhookAttempt is one attempt to deliver. Status is 0 where there was no answer.
type WebhookAttempt struct {
	At     time.Time `json:"at"`
	Status int       `json:"status"`
	Error  string    `json:"error,omitempty"`
}

// WebhookCounts counts webhooks by their state, and attempts.
type WebhookCounts struct {
	Total     int `json:"total"`
	Waiting   int `json:"waiting"`
	Delivered int `json:"delivered"`
	Failed    int `json:"failed"`
	Dropped   int `json:"dropped"`
	Unsent    int `json:"unsent"`
	Attempts  int `json:"attempts"`
	Doubled   int `json:"doubled"`
}

// hooks sends webhooks, from one goroutine, so that without faults they arrive in order. One whose attempt failed
// steps aside until its next is due and holds up nobody.
type hooks struct {
	o      WebhookOptions
	client *http.Client
	keep   int
	now    func() time.Time

	mu      sync.Mutex
	url     string
	secrets []string
	seed    uint64
	told    names // what webhooks were about
	list    []*Webhook
	due     []*sending
	count   WebhookCounts
	wake    chan struct{} // holds one token
}

// sending is a webhook on its way. double is the second copy of one.
type sending struct {
	hook    *Webhook
	when    time.Time // by the real clock, which is what it waits by
	attempt int
	double  bool
}

func (s *Simulator) startHooks() {
	h := &s.hooks
	h.o, h.keep, h.url, h.secrets, h.now = s.o.Webhooks.filled(), s.o.Keep, s.o.WebhookURL, s.o.WebhookSecrets, s.o.Now
	h.seed, h.told = s.o.Seed, names{}
	h.wake = make(chan struct{}, 1)
	h.client = s.o.WebhookClient
	var own *http.Transport
	if h.client == nil {
		own = &http.Transport{MaxIdleConnsPerHost: 1}
		h.client = &http.Client{Transport: own, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		h.run(s.life)
		if own != nil {
			own.CloseIdleConnections()
		}
	}()
}

// SetWebhook changes where webhooks go and what signs them. Several secrets sign along, as after a rotation.
func (s *Simulator) SetWebhook(url string, secrets ...string) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.url, s.hooks.secrets = url, slices.Clone(secrets)
}

// SetWebhookOptions changes how webhooks travel from now on.
func (s *Simulator) SetWebhookOptions(o WebhookOptions) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.o = o.filled()
}

func (o WebhookOptions) filled() WebhookOptions {
	def(&o.Attempts, 6)
	def(&o.Backoff, 100*time.Millisecond)
	def(&o.Timeout, 15*time.Second)
	return o
}

// Webhooks are the webhooks so far, oldest first, at most Options.Keep of them; with types only those.
func (s *Simulator) Webhooks(types ...string) []Webhook {
	h := &s.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []Webhook{}
	for _, w := range h.list[max(0, len(h.list)-h.keep):] {
		if len(types) == 0 || slices.Contains(types, w.EventType) {
			c := *w
			c.Attempts = slices.Clone(w.Attempts)
			out = append(out, c)
		}
	}
	return out
}

// Replay sends webhooks again, with their own ids, as one does by hand in the dashboard: those with the ids, or all
// that failed or were not sent if none is given. It returns how many.
func (s *Simulator) Replay(ids ...string) int {
	h := &s.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, w := range h.list {
		if slices.Contains(ids, w.ID) || (len(ids) == 0 && w.State != HookDelivered && w.State != HookWaiting) {
			h.move(w, HookWaiting)
			h.queue(&sending{hook: w})
			n++
		}
	}
	return n
}

func (h *hooks) counts() WebhookCounts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

func (h *hooks) tally(state string, d int) {
	switch state {
	case HookWaiting:
		h.count.Waiting += d
	case HookDelivered:
		h.count.Delivered += d
	case HookFailed:
		h.count.Failed += d
	case HookDropped:
		h.count.Dropped += d
	case HookUnsent:
		h.count.Unsent += d
	}
}

func (h *hooks) move(w *Webhook, state string) {
	h.tally(w.State, -1)
	w.State = state
	h.tally(state, 1)
}

// add records a webhook and queues it as the options say. What chance does to it is a matter of the seed, its type, what
// it is about, and the how manieth of these it is.
func (h *hooks) add(event, about string, body []byte, id string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	rng := h.told.chance(h.seed, event+" "+Lasting(about))
	w := &Webhook{ID: "msg_" + id, EventType: event, Body: string(body), At: at}
	h.count.Total++
	h.list = append(h.list, w)
	if len(h.list) > 2*h.keep {
		h.list = slices.Clone(h.list[len(h.list)-h.keep:])
	}
	switch {
	case h.url == "":
		h.move(w, HookUnsent)
		return
	case h.o.DropShare > 0 && rng.Float64() < h.o.DropShare:
		h.move(w, HookDropped)
		return
	}
	h.move(w, HookWaiting)
	h.queue(&sending{hook: w, when: h.start(rng)})
	if h.o.DuplicateShare > 0 && rng.Float64() < h.o.DuplicateShare {
		h.count.Doubled++
		h.queue(&sending{hook: w, when: h.start(rng), double: true})
	}
}

// start is when a webhook is sent first.
func (h *hooks) start(rng *rand.Rand) time.Time {
	d := h.o.Delay
	if h.o.ShuffleWithin > 0 {
		d += time.Duration(rng.Int64N(int64(h.o.ShuffleWithin)))
	}
	if d == 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}

// queue puts a sending in its place by time; equal times keep their order.
func (h *hooks) queue(v *sending) {
	at := len(h.due)
	for at > 0 && h.due[at-1].when.After(v.when) {
		at--
	}
	h.due = slices.Insert(h.due, at, v)
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// next takes the sending that is due, or tells how long to wait (negative: until something is queued).
func (h *hooks) next() (*sending, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.due) == 0 {
		return nil, -1
	}
	if d := time.Until(h.due[0].when); d > 0 && !h.due[0].when.IsZero() {
		return nil, d
	}
	v := h.due[0]
	h.due = h.due[1:]
	return v, 0
}

func (h *hooks) run(ctx context.Context) {
	for ctx.Err() == nil {
		v, d := h.next()
		if v != nil {
			h.send(ctx, v)
			continue
		}
		h.pause(ctx, d)
	}
}

// pause waits for d (negative: without end), for something new in the queue, or for the end.
func (h *hooks) pause(ctx context.Context, d time.Duration) {
	var timer <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-h.wake:
	case <-timer:
	}
}

// send makes one attempt and decides what follows.
func (h *hooks) send(ctx context.Context, v *sending) {
	h.mu.Lock()
	url, secrets, o := h.url, h.secrets, h.o
	h.mu.Unlock()
	at := h.now().UTC()
	status, err := h.post(ctx, o.Timeout, url, secrets, v.hook, at)
	h.mu.Lock()
	defer h.mu.Unlock()
	a := WebhookAttempt{At: at, Status: status}
	if err != nil {
		a.Error = err.Error()
	}
	v.hook.Attempts = append(v.hook.Attempts, a)
	h.count.Attempts++
	v.attempt++
	switch {
	case err == nil && status/100 == 2:
		h.move(v.hook, HookDelivered)
	case ctx.Err() != nil || v.double && v.hook.State == HookDelivered:
	case v.attempt >= o.Attempts:
		if v.hook.State != HookDelivered {
			h.move(v.hook, HookFailed)
		}
	default:
		pause := min(min(o.Backoff, time.Minute)<<min(v.attempt-1, 20), time.Minute)
		v.when = time.Now().Add(pause)
		h.queue(v)
	}
}

func (h *hooks) post(ctx context.Context, timeout time.Duration, url string, secrets []string, w *Webhook, at time.Time) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(w.Body)))
	if err != nil {
		return 0, err
	}
	var signatures []string
	for _, secret := range secrets {
		wh, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return 0, err
		}
		sig, err := wh.Sign(w.ID, at, []byte(w.Body))
		if err != nil {
			return 0, err
		}
		signatures = append(signatures, sig)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Svix-Webhooks/1.0 (simulated)")
	req.Header.Set(standardwebhooks.HeaderWebhookID, w.ID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return resp.StatusCode, err
	}
	return resp.StatusCode, nil
}
