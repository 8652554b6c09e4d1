package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

const (
	// sweepOverlap goes back behind the last sweep: incident.io takes its timestamps before it commits (facts.md,
	// "Clocks there"). The compare makes looking twice harmless.
	sweepOverlap = 5 * time.Minute
	// sweepRetry is the wait after a sweep that did not come to its end.
	sweepRetry = 30 * time.Second
	// forbiddenRetry is the wait after a sweep that the key lacks a role for.
	forbiddenRetry = 5 * time.Second
	// sweepStays is how long a sweep that some incidents fail goes back to the same start.
	sweepStays = time.Hour
	// sweepShare is the part of the key's requests that polling may take, so that it never crowds deliveries out.
	sweepShare = 0.25
	// pollCost is how many requests a poll of one incident takes at most: the incident and each kind of details.
	pollCost = 7
	// learningFor is how long after its last change a post-incident incident is still polled.
	learningFor = 14 * 24 * time.Hour
	// alertsASweep bounds how many alerts without an incident are looked up in one sweep; the others have their turn
	// in the next.
	alertsASweep = 50
	// silentAfter is how long no webhook may come, while the sweep finds changes, until that is told.
	silentAfter = time.Hour
)

// sweepLoop sweeps at the start, at every interval, and when incident.io comes back.
func (a *Agent) sweepLoop(ctx context.Context) error {
	var wait time.Duration
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-a.wakeSweep:
		case <-timer.C:
		}
		timer.Stop()
		wait = a.cfg.Load().ReconcileInterval
		switch err := a.sweepOnce(ctx); {
		case ctx.Err() != nil:
		case err != nil:
			a.m.sweeps.WithLabelValues("failed").Inc()
			a.in.tell.failed(levelWarn, "sweep", "sweep over incident.io", "error", err)
			var r incidentio.Result
			if wait = min(wait, sweepRetry); errors.As(err, &r) && r.Class == incidentio.Unauthorized {
				wait = min(wait, forbiddenRetry) // it ended at its first request, and readiness waits for it
			}
		default:
			if ok, _ := a.up.usable(); ok { // else it did nothing
				a.in.tell.works("sweep", "sweeps work again")
			}
		}
	}
}

// sweep is one sweep under way.
type sweep struct {
	a      *Agent
	ties   tieIndex
	slots  chan struct{}
	group  sync.WaitGroup
	mu     sync.Mutex
	looked map[string]bool // incidents that this sweep has settled or is about to
	failed error           // of single incidents; the sweep goes on
	stop   error           // what makes going on pointless
	found  []mapping.Change
}

// sweepOnce finds what no webhook told: incidents that changed since the last sweep, incidents that alert routes made
// of our alerts, and what incident.io sends no webhook for. While incident.io can't be used it does nothing.
func (a *Agent) sweepOnce(ctx context.Context) error {
	if ok, _ := a.up.usable(); !ok {
		return nil // coming back wakes the next one
	}
	started := a.now()
	since, err := a.lastSweep(ctx, started)
	if err != nil {
		return err
	}
	s := &sweep{a: a, ties: tieIndex{a: a}, slots: make(chan struct{}, pullWorkers), looked: make(map[string]bool)}
	if err := s.updated(ctx, since.Add(-sweepOverlap)); err != nil {
		return err
	}
	s.group.Wait()
	if err := s.alerts(ctx); err != nil {
		return err
	}
	if err := s.poll(ctx, started); err != nil {
		return err
	}
	s.group.Wait()
	if err := errors.Join(s.stop, ctx.Err()); err != nil {
		return err
	}
	if s.failed != nil && started.Sub(since) < sweepStays {
		return fmt.Errorf("some incidents could not be looked at: %w", s.failed)
	}
	if err := a.st.SetMeta(ctx, store.MetaLastSweep, started.Format(store.TimeLayout)); err != nil {
		return fmt.Errorf("note the sweep: %w", err)
	}
	a.m.sweeps.WithLabelValues("done").Inc()
	return a.healed(ctx, s.found)
}

// lastSweep is when the last finished sweep began; now if there was none.
func (a *Agent) lastSweep(ctx context.Context, now time.Time) (time.Time, error) {
	text, err := a.st.Meta(ctx, store.MetaLastSweep)
	if err != nil {
		return now, fmt.Errorf("read when the last sweep was: %w", err)
	}
	if text == "" {
		return now, nil
	}
	at, err := time.Parse(store.TimeLayout, text)
	if err != nil || at.After(now) { // a clock that was ahead
		return now.Add(-sweepStays), nil
	}
	return at, nil
}

// updated looks at the incidents that changed since a time.
func (s *sweep) updated(ctx context.Context, since time.Time) error {
	a := s.a
	var list []incidentio.Incident
	r := a.call(ctx, false, func(ctx context.Context) incidentio.Result {
		var r incidentio.Result
		list, r = a.io.Incidents(ctx, incidentio.ListFilter{UpdatedSince: since})
		return r
	})
	why := ""
	if r.Class == incidentio.Unauthorized && r.Status == http.StatusForbidden {
		why = "incident.io forbids to list incidents: " + r.Error()
	}
	a.up.forbid("list incidents", why)
	if r.Class != incidentio.Done {
		return fmt.Errorf("list the incidents changed since %s: %w", since.Format(time.RFC3339), r)
	}
	if r.Truncated {
		a.log.Warn("more incidents changed than one sweep can list; the oldest changes wait for their webhooks", "since", since.Format(time.RFC3339))
	}
	for _, i := range list {
		links, err := a.st.LinksOf(ctx, i.ID)
		if err != nil {
			return fmt.Errorf("read the links of %s: %w", i.Reference, err)
		}
		if len(links) == 0 {
			if a.in.firstTime("untied", i.ID+i.UpdatedAt.Format(time.RFC3339Nano)) {
				s.start(ctx, i.ID, func() error { return s.untied(ctx, remoteOf(i)) })
			}
			continue
		}
		moved, err := movedSince(links, i.UpdatedAt)
		if err != nil {
			return err
		}
		if moved {
			s.look(ctx, i.ID)
		}
	}
	return nil
}

// movedSince says whether a look has yet to see what an incident's updated_at tells of.
func movedSince(links []store.Link, updatedAt time.Time) (bool, error) {
	for _, l := range links {
		tie, err := tieOf(l)
		if err != nil {
			return false, err
		}
		if !updatedAt.Equal(tie.Agreed.RemoteUpdatedAt) {
			return true, nil
		}
	}
	return false, nil
}

// start does something for an incident beside others, once a sweep.
func (s *sweep) start(ctx context.Context, incidentID string, do func() error) {
	s.mu.Lock()
	skip := s.looked[incidentID] || s.stop != nil
	s.looked[incidentID] = true
	s.mu.Unlock()
	if skip {
		return
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	s.group.Go(func() {
		defer func() { <-s.slots }()
		if err := do(); err != nil && ctx.Err() == nil {
			s.note(err)
		}
	})
}

// note takes in what went wrong: with incident.io as a whole, or with one incident.
func (s *sweep) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var r incidentio.Result
	if errors.As(err, &r) && (r.Class == incidentio.Unreachable || r.Class == incidentio.Unauthorized || r.Class == incidentio.Throttled) {
		s.stop = err
		return
	}
	s.failed = err
}

// look looks at a tied incident with all details.
func (s *sweep) look(ctx context.Context, incidentID string) {
	s.start(ctx, incidentID, func() error {
		got, err := s.a.lockedLook(ctx, incidentID, lookOptions{Source: mapping.SourceSweep, Full: true})
		s.a.in.sawPoll(incidentID)
		switch {
		case err != nil:
			return fmt.Errorf("look at %s: %w", incidentID, err)
		case got.Ties == 0 && got.Result.Class == 0, got.Result.Class == incidentio.Done:
		case got.Result.Class == incidentio.Refused: // gone, or made private to others
			if s.a.in.firstTime("unreadable", aboutIncident+":"+incidentID) {
				s.a.log.Warn("a tied incident can't be read", "incident_id", incidentID, "error", got.Result.Error())
			}
		default:
			return fmt.Errorf("look at %s: %w", incidentID, got.Result)
		}
		s.mu.Lock()
		s.found = append(s.found, got.Changes...)
		s.mu.Unlock()
		return nil
	})
}

// untied settles an incident that nothing is tied to, as pullUntied does.
func (s *sweep) untied(ctx context.Context, remote mapping.Remote) error {
	a := s.a
	for _, id := range mapping.DeclaredFor(remote.Summary) {
		if underWay, err := a.declaring(ctx, id); err != nil || underWay {
			return err // its declaration ties it
		}
	}
	tied, late, r, err := a.tieRouted(ctx, remote.ID, &s.ties, mapping.SourceSweep)
	switch {
	case err != nil:
		return err
	case r.Class != incidentio.Done:
		return fmt.Errorf("look for the alerts of %s: %w", remote.Reference, r)
	case tied, late, !a.cfg.Load().Rules.PullUnlinked:
		return nil
	}
	changes, err := a.unlinked(ctx, remote, mapping.SourceSweep)
	if err != nil || len(changes) == 0 {
		return err
	}
	c := store.Commit{Why: "tell of an untied incident"}
	if c.Inbox, err = inboxRows(changes); err != nil {
		return err
	}
	ids, err := a.st.Commit(ctx, c)
	if err != nil {
		return fmt.Errorf("tell of %s: %w", remote.Reference, err)
	}
	if len(ids) > 0 {
		a.told(changes)
	}
	return nil
}

// alerts looks for incidents that alert routes made of our alerts without anything else telling of it.
func (s *sweep) alerts(ctx context.Context) error {
	a := s.a
	if a.cfg.Load().Rules.AlertSource == "" {
		return nil
	}
	loose, err := a.st.OpenAlertsWithoutLink(ctx)
	if err != nil {
		return fmt.Errorf("read the alerts without an incident: %w", err)
	}
	// A young one is being delivered, and looked up by that.
	loose = slices.DeleteFunc(loose, func(l store.Alert) bool { return a.now().Sub(l.UpdatedAt) < sweepRetry })
	for _, l := range a.in.turn(loose, alertsASweep) {
		incidentID, r, err := a.routedIncident(ctx, &l, false)
		switch {
		case err != nil:
			return err
		case r.Class == incidentio.Refused:
			return nil // alerts are not for this key
		case r.Class != incidentio.Done:
			return fmt.Errorf("look for an incident of the alert of %s: %w", l.TigerOpsID, r)
		case incidentID == "":
			continue
		}
		err = a.tie(ctx, l.TigerOpsID, l.Generation, incidentID, originAlertRoute, mapping.SourceSweep)
		var failed incidentio.Result
		if err != nil && !(errors.As(err, &failed) && failed.Class == incidentio.Refused) { // one that can't be read can't be tied
			return err
		}
	}
	return nil
}

// poll looks at tied incidents that are worked on, for what neither updated_at nor a webhook tells of, within its share
// of the requests: those that are live before the others, and of both those first that were not polled for longest.
func (s *sweep) poll(ctx context.Context, started time.Time) error {
	a := s.a
	links, err := a.st.OpenLinks(ctx)
	if err != nil {
		return fmt.Errorf("read the open links: %w", err)
	}
	links = slices.DeleteFunc(links, func(l store.Link) bool { return s.looked[l.IncidentID] })
	last := a.in.polls(links)
	// After a start nobody knows who was polled when. By the order of the table the last would be behind again and again.
	rand.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
	slices.SortStableFunc(links, func(x, y store.Link) int { return last[x.IncidentID].Compare(last[y.IncidentID]) })
	links = liveFirst(links)
	c := a.cfg.Load()
	budget := max(int(float64(c.RateLimit)*c.ReconcileInterval.Minutes()*sweepShare)/pollCost, 1)
	for _, l := range links {
		s.mu.Lock()
		enough, known := s.stop != nil || budget <= 0 || ctx.Err() != nil, s.looked[l.IncidentID]
		s.mu.Unlock()
		if enough {
			return nil
		}
		if known {
			continue
		}
		if l.Category == "learning" {
			aged, err := a.ageOut(ctx, l, started)
			if err != nil {
				return err
			}
			if aged {
				continue
			}
		}
		budget--
		s.look(ctx, l.IncidentID)
	}
	return nil
}

// liveFirst puts links of live incidents before the others, except that each fourth place is for one of the others:
// however many are live, nobody is passed over for good.
func liveFirst(links []store.Link) []store.Link {
	var live, others []store.Link
	for _, l := range links {
		if reopenable(l.Category) {
			live = append(live, l)
		} else {
			others = append(others, l)
		}
	}
	out := make([]store.Link, 0, len(links))
	for len(live) > 0 && len(others) > 0 {
		n := min(3, len(live))
		out, live = append(out, live[:n]...), live[n:]
		out, others = append(out, others[0]), others[1:]
	}
	return append(append(out, live...), others...)
}

// ageOut ends the polling of a post-incident incident that nobody has touched for long. A webhook or a later change
// still brings it back.
func (a *Agent) ageOut(ctx context.Context, l store.Link, now time.Time) (bool, error) {
	tie, err := tieOf(l)
	if err != nil {
		return false, err
	}
	if at := tie.Agreed.RemoteUpdatedAt; at.IsZero() || now.Sub(at) < learningFor {
		return false, nil
	}
	unlock, err := a.locks.lock(ctx, l.IncidentID)
	if err != nil {
		return false, err
	}
	defer unlock()
	links, err := a.st.LinksOf(ctx, l.IncidentID)
	if err != nil {
		return false, fmt.Errorf("read the links of %s: %w", l.Reference, err)
	}
	i := slices.IndexFunc(links, func(x store.Link) bool { return x.TigerOpsID == l.TigerOpsID })
	if i < 0 || string(links[i].Agreed) != string(l.Agreed) {
		return false, nil
	}
	fresh := links[i]
	fresh.Closed = true
	if _, err := a.st.Commit(ctx, store.Commit{Why: "no longer polled", Links: []store.Link{fresh}}); err != nil {
		return false, fmt.Errorf("end the polling of %s: %w", l.Reference, err)
	}
	return true, nil
}

// healed counts what a sweep found that a webhook should have told, and warns when none has come for long.
func (a *Agent) healed(ctx context.Context, found []mapping.Change) error {
	n := 0
	for _, c := range found {
		switch c.Type {
		case mapping.ChangeTimeline, mapping.ChangeMessage: // incident.io sends no webhook for these
		default:
			n++
		}
	}
	if n == 0 {
		return nil
	}
	a.m.healed.Add(float64(n))
	if len(a.cfg.Load().WebhookSecrets) == 0 {
		return nil // pull-only: the sweep is how changes come
	}
	status, err := a.st.Status(ctx)
	if err != nil {
		return fmt.Errorf("read when the last webhook came: %w", err)
	}
	if a.now().Sub(status.LastWebhook) < silentAfter {
		a.in.setSilent("")
		return nil
	}
	last := "never"
	if !status.LastWebhook.IsZero() {
		last = status.LastWebhook.Format(time.RFC3339)
	}
	a.in.setSilent("the sweep found changes, but the last webhook came: " + last)
	a.in.tell.failed(levelWarn, "silent", "the sweep found changes that no webhook told: is the endpoint switched off in incident.io?",
		"changes", n, "last_webhook", last)
	return nil
}

// polls are the times of the last polls of links' incidents; those of other incidents are forgotten.
func (i *inbound) polls(links []store.Link) map[string]time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	last := make(map[string]time.Time, len(links))
	for _, l := range links {
		last[l.IncidentID] = i.polled[l.IncidentID]
	}
	if len(i.polled) > rememberAtMost {
		clear(i.polled)
	}
	return last
}

func (i *inbound) sawPoll(incidentID string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.polled[incidentID] = time.Now()
}

// turn takes n alerts, going on where the last turn ended.
func (i *inbound) turn(all []store.Alert, n int) []store.Alert {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(all) <= n {
		return all
	}
	from := i.alertTurn % len(all)
	i.alertTurn = from + n
	return slices.Concat(all[from:], all[:from])[:n]
}

func (i *inbound) setSilent(why string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.silent = why
}

func (i *inbound) silence() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.silent
}
