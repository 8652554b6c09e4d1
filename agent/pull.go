package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

const (
	// pullBatch is how many waiting webhooks are looked through at a time.
	pullBatch = 1000
	// pullBatchMost bounds the batch when webhooks that wait for something fill it, and those remembered behind it.
	pullBatchMost = 64 * pullBatch
	// pullRead is how many webhooks are read at a time, with bodies of up to 1 MiB.
	pullRead = 100
	// pullCame bounds the webhooks that the door remembers for the loop. Others are read from the table.
	pullCame = 4 * pullBatch
	// pullWorkers is how many incidents are looked at side by side: a look is mostly waiting for answers.
	pullWorkers = 4
	// pullSoon is when a webhook is looked at again that came before what it speaks of was known.
	pullSoon = 500 * time.Millisecond
	// pullFlood is from how many webhooks on, settled or looked through, a turn is one of a flood, and pullRest for how
	// many times its length the loop then rests: what comes in is safe on disk, and taking it in goes before looking at it.
	pullFlood = 16
	pullRest  = 3
	// pullTogether bounds how many webhooks one commit ends, which others wait for.
	pullTogether = 200
	// quietFor is how long after a request of ours that changes an incident its webhooks wait: mostly they tell of that
	// request, and while others follow one look settles the webhooks of all. quietAtMost bounds it.
	quietFor    = 500 * time.Millisecond
	quietAtMost = 2 * time.Second
	// pullIdle is the longest wait of the loop; everything that it waits for wakes it earlier.
	pullIdle = time.Minute
)

// Outcomes of a webhook in metrics, beside the states of its row.
const hookWaits = "waits"

// fetching begins the name under which upstream keeps that the key may not fetch something.
const fetching = "fetch "

// batch are the waiting webhooks that one fetch settles.
type batch struct {
	subject
	key   string // its group
	hooks []store.Webhook
}

// pullLoop settles webhooks as they come.
func (a *Agent) pullLoop(ctx context.Context) error {
	for {
		changed, watch := a.st.Changed(store.TopicWebhooks), a.up.watch()
		wait, began := pullIdle, time.Now()
		n, err := a.pullOnce(ctx)
		if max(n, len(a.in.hooks)) >= pullFlood {
			select {
			case <-time.After(min(time.Second, pullRest*time.Since(began))):
			case <-ctx.Done():
				return nil
			}
		}
		if err != nil && ctx.Err() == nil {
			a.failing("take in webhooks", err)
			wait = time.Second
		} else {
			a.in.tell.works("take in webhooks", "webhooks are taken in again")
			if ok, _ := a.up.usable(); ok { // else the probe wakes us
				wait = min(wait, a.in.nextPull())
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case <-watch:
		case <-a.wakePull:
			a.in.pullNow()
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pullOnce settles the webhooks that wait, as far as that is possible now, and says how many it settled.
func (a *Agent) pullOnce(ctx context.Context) (n int, err error) {
	if ok, _ := a.up.usable(); !ok {
		return 0, nil // rows wait; a probe tells when to go on
	}
	for {
		batches, full, err := a.dueWebhooks(ctx)
		if err != nil {
			return n, err
		}
		settled, err := a.pullBatches(ctx, batches)
		n += settled
		if err != nil || !full || settled == 0 || ctx.Err() != nil {
			return n, err
		}
	}
}

// dueWebhooks reads the oldest waiting webhooks and puts together those that one fetch settles; what was tried a
// moment ago is left for later. full says that there may be more.
func (a *Agent) dueWebhooks(ctx context.Context) (due []*batch, full bool, err error) {
	for limit := pullBatch; ; limit *= 4 {
		hooks, err := a.waitingHooks(ctx, limit)
		if err != nil {
			return nil, false, err
		}
		all, left := make(map[string]*batch), false
		for _, h := range hooks {
			s, w := h.subject, h.Webhook
			key := s.group(w.EventType)
			b := all[key]
			if b == nil {
				b = &batch{subject: subject{about: s.about, id: s.id, private: s.private, dedup: s.dedup}, key: key}
				all[key] = b
				switch quiet := a.in.stillWriting(s, w.ReceivedAt); {
				case quiet > 0:
					a.in.pullLater(key, quiet)
				case a.in.pullDue(key):
					due = append(due, b)
				}
			}
			if len(b.hooks) == pullTogether {
				left = true
				continue
			}
			b.what |= s.what
			b.hooks = append(b.hooks, w)
			if s.declared != nil {
				b.declared = s.declared
			}
			b.incidents = append(b.incidents, s.incidents...)
			b.alerts = append(b.alerts, s.alerts...)
		}
		full = len(hooks) == limit
		if len(due) > 0 || !full || limit >= pullBatchMost {
			a.in.forgetPulls(all, full)
			return due, full || left, nil
		}
	}
}

// waitingHooks are the oldest webhooks that wait. Each is read once, however often it is passed over: at the door, or
// from the table.
func (a *Agent) waitingHooks(ctx context.Context, limit int) ([]*hook, error) {
	// Before the list is: what is not in it then has ended, or stands behind its last.
	for _, h := range a.in.hooksCame() {
		if len(a.in.hooks) < pullBatchMost {
			a.in.hooks[h.Seq] = h
		}
	}
	seqs, err := a.st.WaitingWebhooks(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("list the waiting webhooks: %w", err)
	}
	waiting := make(map[int64]*hook, len(seqs))
	if len(seqs) == limit { // the list was cut off, so that those behind it may wait as well
		for seq, h := range a.in.hooks {
			if seq > seqs[limit-1] {
				waiting[seq] = h
			}
		}
	}
	var fresh []int64
	for _, seq := range seqs {
		if h := a.in.hooks[seq]; h != nil {
			waiting[seq] = h
		} else {
			fresh = append(fresh, seq)
		}
	}
	for some := range slices.Chunk(fresh, pullRead) {
		read, err := a.st.Webhooks(ctx, some...)
		if err != nil {
			return nil, fmt.Errorf("read the waiting webhooks: %w", err)
		}
		for _, w := range read {
			waiting[w.Seq] = hookOf(w)
		}
	}
	a.in.hooks = waiting
	out := make([]*hook, 0, len(seqs))
	for _, seq := range seqs {
		if h := waiting[seq]; h != nil {
			out = append(out, h)
		}
	}
	return out, nil
}

// pullBatches settles several batches side by side.
func (a *Agent) pullBatches(ctx context.Context, batches []*batch) (settled int, err error) {
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		slots = make(chan struct{}, pullWorkers)
		ties  = &tieIndex{a: a}
	)
	for _, b := range batches {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			done, berr := a.pullBatch(ctx, b, ties)
			mu.Lock()
			defer mu.Unlock()
			if done {
				settled += len(b.hooks)
			}
			if berr != nil && ctx.Err() == nil {
				a.in.pullLater(b.key, time.Second)
				err = errors.Join(err, fmt.Errorf("%s: %w", b.key, berr))
			}
		})
	}
	group.Wait()
	return settled, err
}

// pullBatch settles one batch: done says that its webhooks have ended.
func (a *Agent) pullBatch(ctx context.Context, b *batch, ties *tieIndex) (done bool, err error) {
	switch b.about {
	case aboutIncident:
		return a.pullIncident(ctx, b, ties)
	case aboutAlert:
		return a.pullAlert(ctx, b, ties)
	case aboutEscalation:
		return a.pullEscalation(ctx, b, ties)
	case aboutPart:
		return a.pullPart(ctx, b)
	}
	return a.endHooks(ctx, b, store.WebhookIgnored, "unknown event type, and it names no incident")
}

// pullIncident looks at the incident that the webhooks speak of.
func (a *Agent) pullIncident(ctx context.Context, b *batch, ties *tieIndex) (done bool, err error) {
	s, err := a.lockedLook(ctx, b.id, lookOptions{
		Source: mapping.SourceWebhook, Also: b.what, Webhooks: b.ends(store.WebhookDone, ""),
	})
	switch {
	case err != nil:
		return false, err
	case s.Ties == 0 && s.Result.Class == 0:
		return a.pullUntied(ctx, b, ties)
	case s.Result.Class != incidentio.Done:
		return a.unsettled(ctx, b, "fetch the incident", s.Result)
	}
	a.settled(b, store.WebhookDone)
	return true, nil
}

// lockedLook is a look with the incident's lock held. Without ties nothing is fetched: the result's class is zero.
func (a *Agent) lockedLook(ctx context.Context, incidentID string, o lookOptions) (seen, error) {
	unlock, err := a.locks.lock(ctx, incidentID)
	if err != nil {
		return seen{}, err
	}
	defer unlock()
	links, err := a.st.LinksOf(ctx, incidentID)
	if err != nil {
		return seen{}, fmt.Errorf("read the links: %w", err)
	}
	if len(links) == 0 {
		return seen{}, nil
	}
	return a.lookAt(ctx, incidentID, o)
}

// pullPart looks at the private incidents that an action, follow-up or document may belong to: incident.io tells its
// id alone. Mostly it is one that was seen before.
func (a *Agent) pullPart(ctx context.Context, b *batch) (done bool, err error) {
	links, err := a.st.OpenLinks(ctx)
	if err != nil {
		return false, fmt.Errorf("read the open links: %w", err)
	}
	var known, private []string
	for _, l := range links {
		tie, err := tieOf(l)
		if err != nil {
			return false, err
		}
		if tie.Agreed.Knows(b.id) {
			known = append(known, l.IncidentID)
		}
		if a.in.mayBePrivate(l.IncidentID) {
			private = append(private, l.IncidentID)
		}
	}
	if len(known) == 0 {
		known = private
	}
	slices.Sort(known)
	for _, id := range slices.Compact(known) {
		s, err := a.lockedLook(ctx, id, lookOptions{Source: mapping.SourceWebhook, Also: b.what})
		if err != nil {
			return false, err
		}
		if s.Result.Class == incidentio.Refused {
			continue // this one can't be read; it may be another's
		}
		if s.Ties > 0 && s.Result.Class != incidentio.Done {
			return a.unsettled(ctx, b, "fetch the incident", s.Result)
		}
	}
	if len(known) == 0 {
		return a.endHooks(ctx, b, store.WebhookIgnored, "no tied incident is private")
	}
	return a.endHooks(ctx, b, store.WebhookDone, "")
}

// ends are the ends of a batch's webhooks for a commit.
func (b *batch) ends(state, reason string) []store.WebhookEnd {
	type meaning struct{ eventType, incidentID string }
	var out []store.WebhookEnd
	at := make(map[meaning]int)
	for _, w := range b.hooks {
		m := meaning{w.EventType, w.IncidentID}
		i, ok := at[m]
		if !ok {
			i = len(out)
			at[m] = i
			out = append(out, store.WebhookEnd{EventType: w.EventType, IncidentID: w.IncidentID, State: state, Error: reason})
		}
		out[i].Seqs = append(out[i].Seqs, w.Seq)
	}
	return out
}

// endHooks ends a batch's webhooks in a commit of its own.
func (a *Agent) endHooks(ctx context.Context, b *batch, state, reason string) (done bool, err error) {
	if _, err := a.st.Commit(ctx, store.Commit{Why: "end webhooks", Webhooks: b.ends(state, reason)}); err != nil {
		return false, fmt.Errorf("end the webhooks: %w", err)
	}
	if state == store.WebhookPending {
		return false, nil
	}
	a.settled(b, state)
	return true, nil
}

func (a *Agent) settled(b *batch, state string) {
	a.in.pulled(b.key)
	if state == store.WebhookDone {
		a.up.forbid(fetching+b.about, "") // the key has what it lacked
	}
	for _, w := range b.hooks {
		a.m.webhook(w.EventType, state)
	}
}

// waits leaves a batch for a little later; what it waits for is our own doing.
func (a *Agent) waits(b *batch) (done bool, err error) {
	a.in.pullLater(b.key, pullSoon)
	for _, w := range b.hooks {
		a.m.webhook(w.EventType, hookWaits)
	}
	return false, nil
}

// unsettled decides about webhooks whose subject could not be fetched.
func (a *Agent) unsettled(ctx context.Context, b *batch, what string, r incidentio.Result) (done bool, err error) {
	if ctx.Err() != nil {
		return false, nil
	}
	switch {
	case r.Class == incidentio.Throttled:
		a.in.pullLater(b.key, max(r.After, pullSoon))
		return false, nil
	case r.Class == incidentio.Refused:
		a.up.forbid(fetching+b.about, "") // whatever it lacks, it is not a role
		reason := what + ": " + r.Error()
		if r.Status == http.StatusNotFound {
			reason = "incident.io does not show it to the API key: private to others, or gone"
		}
		if a.in.firstTime("unreadable", b.key) {
			a.log.Warn("a webhook's subject can't be read", "subject", b.key, "reason", reason)
		}
		return a.endHooks(ctx, b, store.WebhookFailed, oneLine(reason, 500))
	case r.Class == incidentio.Unauthorized && r.Status == http.StatusForbidden:
		if a.up.check(ctx) {
			a.up.forbid(fetching+b.about, "incident.io forbids to "+what+": "+r.Error())
		}
	case r.Class == incidentio.Unauthorized:
		return false, nil // everything pauses; the probe tells when to go on
	}
	a.m.failure(r.Class.String())
	if !a.up.check(ctx) {
		return false, nil
	}
	// incident.io works: it is this subject's own failure.
	attempts := a.in.pullFailed(b.key, a.cfg.Load())
	a.in.tell.failed(levelWarn, "pull", "a webhook's subject could not be fetched", "subject", b.key, "attempt", attempts, "error", r.Error())
	state, reason := store.WebhookPending, what+": "+r.Error()
	if a.now().Sub(b.hooks[len(b.hooks)-1].ReceivedAt) > a.cfg.Load().GiveUpAfter {
		state, reason = store.WebhookFailed, "given up: "+reason
	}
	return a.endHooks(ctx, b, state, oneLine(reason, 500))
}

// nextPull is how long until something that was left for later is due.
func (i *inbound) nextPull() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	wait := pullIdle
	for _, r := range i.again {
		wait = min(wait, max(time.Until(r.next), time.Millisecond))
	}
	return wait
}

// wrote notes that a request of ours has changed an incident.
func (i *inbound) wrote(incidentID string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.written) >= rememberAtMost {
		clear(i.written)
	}
	i.written[incidentID] = time.Now()
}

// stillWriting is how long a webhook that came at a time waits for more requests of ours that change its incident.
func (i *inbound) stillWriting(s subject, came time.Time) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	waited := time.Since(came)
	if s.about != aboutIncident || waited > quietAtMost || waited < 0 { // by a clock that was set back nobody can tell
		return 0
	}
	return i.quietFor - time.Since(i.written[s.id])
}

// hookCame takes a webhook that the door has stored.
func (i *inbound) hookCame(h *hook) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.came) < pullCame {
		i.came = append(i.came, h)
	}
}

// hooksCame gives the webhooks that came through the door since the last call.
func (i *inbound) hooksCame() []*hook {
	i.mu.Lock()
	defer i.mu.Unlock()
	came := i.came
	i.came = nil
	return came
}

// pullNow makes everything that was left for later due: incident.io is back.
func (i *inbound) pullNow() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.again)
}

func (i *inbound) pullDue(key string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return !time.Now().Before(i.again[key].next)
}

func (i *inbound) pullLater(key string, d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	r := i.again[key]
	r.next = time.Now().Add(d)
	i.again[key] = r
}

// pullFailed puts a subject off, longer with each failure, and counts it.
func (i *inbound) pullFailed(key string, c *Config) (attempts int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	r := i.again[key]
	r.attempts++
	r.next = time.Now().Add(delay(c.BackoffInitial, c.BackoffMax, r.attempts))
	i.again[key] = r
	return r.attempts
}

func (i *inbound) pulled(key string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.again, key)
}

// forgetPulls drops what no webhook waits for any more; of a list that was cut off nothing is known.
func (i *inbound) forgetPulls(waiting map[string]*batch, cut bool) {
	if cut {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for key := range i.again {
		if waiting[key] == nil {
			delete(i.again, key)
		}
	}
}
