package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

// heads tells the lanes' heads as "lane:row", sorted.
func heads(t testing.TB, s *store.Store) string {
	t.Helper()
	found, _, err := s.Heads(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, h := range found {
		out = append(out, fmt.Sprint(h.Lane, ":", h.OutboxID))
		// One head is told like all of them.
		one, ok, err := s.Head(ctx, h.Lane)
		if err != nil || !ok || one != h {
			t.Errorf("head of %s: %+v, %v, %v; among all %+v", h.Lane, one, ok, err, h)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestTheHeadOfALaneIsItsOldestUnfinishedEvent(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	equal(t, "of an empty outbox", heads(t, s), "")
	insert(t, s, event("1", "TIG-1"), event("2", "TIG-2"), event("3", "TIG-1"), []byte(`{"id":"4","type":"slo.breached"}`),
		[]byte(`{"id":"5","type":"slo.breached"}`), event("6", "#4"), event("7", "##4"), event("8", "TIG-2"))
	equal(t, "at first", heads(t, s), "###4:7 ##4:6 #4:4 #5:5 TIG-1:1 TIG-2:2")
	done(t, s, 1, 4)
	commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: 2, State: store.Dead}})
	equal(t, "a dead one stays in front", heads(t, s), "###4:7 ##4:6 #5:5 TIG-1:3 TIG-2:2")
	commit(t, s, store.Commit{Park: &store.Park{OutboxID: 3}})
	equal(t, "one set aside does not", heads(t, s), "###4:7 ##4:6 #5:5 TIG-2:2")
	commit(t, s, store.Commit{Unpark: "TIG-1"})
	equal(t, "taken up again", heads(t, s), "###4:7 ##4:6 #5:5 TIG-1:3 TIG-2:2")
	for _, lane := range []string{"nobody", "#4", "#99", "#x", ""} {
		if h, found, err := s.Head(ctx, lane); found || err != nil {
			t.Errorf("head of %q: %+v, %v", lane, h, err)
		}
	}
}

func TestAHeadTellsWhatItsUrgencyDependsOn(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	insert(t, s, []byte(`{"id":"a","type":"incident.resolved","incident":{"id":"TIG-1"}}`))
	commit(t, s, store.Commit{Incident: &store.IncidentState{TigerOpsID: "TIG-1", State: []byte(`{"incident":{"severity":"critical"}}`)}})
	h, _, err := s.Head(ctx, "TIG-1")
	if err != nil || h.Severity != "critical" || h.EventType != "incident.resolved" || h.State != store.Pending || h.CreatedAt.IsZero() || h.NextAttempt.After(time.Now()) {
		t.Errorf("%+v, %v", h, err)
	}
	insert(t, s, []byte(`{"id":"b","event":"incident.updated","incident_id":"TIG-2","severity":"info"}`))
	if h, _, err := s.Head(ctx, "TIG-2"); err != nil || h.Severity != "info" {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestWaitingReadsOnInTheLane(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	for i := range 10 {
		insert(t, s, event(fmt.Sprint(i), "TIG-1"), event(fmt.Sprint("other", i), "TIG-2"))
	}
	commit(t, s, store.Commit{Park: &store.Park{OutboxID: 5, Reason: "aside"}})
	commit(t, s, store.Commit{Park: &store.Park{OutboxID: 11}})
	commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: 7, State: store.Dead}})
	done(t, s, 9)
	rows := func(after int64, limit int) (out []int64) {
		t.Helper()
		for _, e := range must[[]store.Event](t)(s.Waiting(ctx, "TIG-1", after, limit)) {
			out = append(out, e.ID)
			if e.Lane != "TIG-1" || e.State != store.Pending || e.Parked != (e.ID == 5 || e.ID == 11) || e.Merged != e.Parked {
				t.Errorf("%+v", e)
			}
		}
		return out
	}
	equal(t, "all", fmt.Sprint(rows(0, 100)), "[1 3 5 11 13 15 17 19]")
	equal(t, "behind the head", fmt.Sprint(rows(1, 3)), "[3 5 11]")
	equal(t, "behind the end", len(rows(19, 3)), 0)
	if more, err := s.Waiting(ctx, "#1", 0, 10); len(more) != 0 || err != nil {
		t.Errorf("behind an event without an incident: %v, %v", more, err)
	}
}

func TestTouchedTellsNewEventsAndChangesByHand(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	insert(t, s, event("a", "TIG-1"), event("b", "TIG-2"), []byte(`{"id":"c","type":"slo.breached"}`), event("d", "#1"))
	_, cur, err := s.Heads(ctx)
	if err != nil {
		t.Fatal(err)
	}
	touched := func(want string) {
		t.Helper()
		grown, changed, next, more, err := s.Touched(ctx, cur)
		if err != nil || more {
			t.Fatal(err, more)
		}
		slices.Sort(grown)
		equal(t, "touched", strings.TrimSuffix(strings.Join(changed, " ")+" + "+strings.Join(grown, " "), " + "), want)
		cur = next
	}
	touched("")
	// The agent's own moves are not news to it.
	commit(t, s, store.Commit{Defer: &store.Defer{OutboxID: 1, Attempts: 1, Next: future()}})
	commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: 2, State: store.Dead}})
	commit(t, s, store.Commit{Merged: []int64{3}})
	touched("")
	exec(t, db, "UPDATE outbox SET next_attempt_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = 1")
	touched("TIG-1")
	exec(t, db, "UPDATE outbox SET state = 'pending' WHERE state = 'dead'")
	touched("TIG-2")
	exec(t, db, "UPDATE outbox SET state = 'skipped', reason = 'by hand' WHERE id IN (3, 4)")
	touched("#3 ##1")
	exec(t, db, "UPDATE outbox SET reason = 'a word' WHERE id = 1")
	touched("")
	exec(t, db, "INSERT INTO outbox (payload) VALUES (?), (?)", string(event("e", "TIG-1")), `{"id":"f","type":"slo.breached"}`)
	touched(" + #6 TIG-1")
	if _, err := s.RetryEvents(ctx, 1); err != nil {
		t.Fatal(err)
	}
	touched("TIG-1")
	if _, err := s.DiscardEvents(ctx, "no", 6); err != nil {
		t.Fatal(err)
	}
	touched("#6")
	commit(t, s, store.Commit{Park: &store.Park{OutboxID: 1}})
	touched("")
	commit(t, s, store.Commit{Unpark: "TIG-1"})
	touched("TIG-1")
	exec(t, db, "DELETE FROM outbox WHERE id = 1")
	touched("TIG-1")
}

func TestTouchedIsBounded(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	var payloads [][]byte
	for i := range 1100 {
		payloads = append(payloads, event(fmt.Sprint(i), fmt.Sprint("TIG-", i)))
	}
	insert(t, s, payloads...)
	var cur store.Cursor
	calls, lanes := 0, 0
	for more := true; more; calls++ {
		var got []string
		var err error
		got, _, cur, more, err = s.Touched(ctx, cur)
		if err != nil {
			t.Fatal(err)
		}
		lanes += len(got)
	}
	equal(t, "lanes", lanes, 1100)
	equal(t, "calls", calls, 2)
}

func TestAStrangersCommitIsSeenAndOwnOnesAreNot(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	v := must[int64](t)(s.DataVersion(ctx))
	insert(t, s, event("a", "TIG-1"))
	equal(t, "after an own commit", must[int64](t)(s.DataVersion(ctx)), v)
	exec(t, db, "INSERT INTO outbox (payload) VALUES (?)", string(event("b", "TIG-1")))
	next := must[int64](t)(s.DataVersion(ctx))
	if next == v {
		t.Error("a stranger's commit went unseen")
	}
	equal(t, "and then", must[int64](t)(s.DataVersion(ctx)), next)
}

func TestDataVersionChangesWithTheConnection(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	s := open(t, ready(t).WithDriver(f.name))
	v := must[int64](t)(s.DataVersion(ctx))
	f.arm(1, false) // BEGIN fails: the connection is given up
	if _, err := s.InsertEvents(ctx, [][]byte{event("a", "TIG-1")}); err == nil {
		t.Fatal("nothing failed")
	}
	f.disarm()
	if must[int64](t)(s.DataVersion(ctx)) == v {
		t.Error("what a stranger committed meanwhile could go unseen")
	}
}

func TestArrivedTellsThisProcessOwnEvents(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	arrived := func(want string) {
		t.Helper()
		var got []string
		eventually(t, func() bool { // they are told after the commit was answered
			for _, a := range s.Arrived() {
				got = append(got, fmt.Sprint(a.OutboxID, "@", a.Lane))
			}
			return len(got) >= len(strings.Fields(want))
		})
		equal(t, "arrived", strings.Join(got, " "), want)
	}
	insert(t, s, event("a", "TIG-1"), []byte(`{"id":"b","type":"slo.breached"}`))
	arrived("1@TIG-1 2@#2")
	arrived("")
	exec(t, db, "INSERT INTO outbox (payload) VALUES (?)", string(event("c", "TIG-1")))
	insert(t, s, event("a", "TIG-1"), event("d", "#1"))
	arrived("5@##1") // the repeat has used up a number
	if _, err := s.InsertEvents(ctx, [][]byte{event("e", "TIG-1"), []byte(`[]`)}); err == nil {
		t.Error("an array was taken for an event")
	}
	arrived("")
	many := make([][]byte, 5000) // more than are kept
	for i := range many {
		many[i] = event(fmt.Sprint("n", i), "TIG-1")
	}
	ids := insert(t, s, many...)
	arrived(fmt.Sprint(ids[len(ids)-1], "@TIG-1"))
}

func TestChangedWakesWhoeverWaits(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	closed := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	}
	anything, events, inbox, hooks := s.Changed(), s.Changed(store.TopicNew), s.Changed(store.TopicInbox, store.TopicWebhooks), s.Changed(store.TopicWebhooks)
	insert(t, s, event("a", "TIG-1"))
	eventually(t, func() bool { return closed(anything) && closed(events) })
	if closed(inbox) || closed(hooks) {
		t.Error("woken for nothing")
	}
	events = s.Changed(store.TopicNew)
	insert(t, s, event("a", "TIG-1"))
	ok(t, s.SetMeta(ctx, "x", "y"))
	commit(t, s, store.Commit{Inbox: []store.InboxRow{{Key: "a", Type: "x", Payload: []byte(`{}`)}}})
	eventually(t, func() bool { return closed(inbox) })
	if closed(events) || closed(hooks) {
		t.Error("woken for a repeat")
	}
	if _, err := s.InsertWebhook(ctx, "m", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return closed(hooks) })
}

func TestNobodyIsWokenForWhatStandsBehind(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	s.Behind(func(lane string) bool { return lane == "TIG-1" })
	arrived := 0
	woken := func(lanes ...string) bool {
		events, anything := s.Changed(store.TopicNew), s.Changed()
		var payloads [][]byte
		for i, lane := range lanes {
			payloads = append(payloads, event(fmt.Sprint(lanes, i), lane))
		}
		insert(t, s, payloads...)
		<-anything
		arrived += len(s.Arrived()) // which waits until everybody has been told
		select {
		case <-events:
			return true
		default:
			return false
		}
	}
	for _, c := range []struct {
		lanes []string
		want  bool
	}{{[]string{"TIG-1"}, false}, {[]string{"TIG-2"}, true}, {[]string{"TIG-1", "TIG-1"}, false}, {[]string{"TIG-1", "TIG-2"}, true}} {
		if got := woken(c.lanes...); got != c.want {
			t.Errorf("events of %v: woken %v", c.lanes, got)
		}
	}
	equal(t, "arrived all the same", arrived, 6)
}

// What came while the clock was ahead does not wait until that time has come.
func TestWhatIsLongIsNotReadAhead(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	long := []byte(`{"id":"b","type":"incident.updated","incident":{"id":"TIG-1","title":"` + strings.Repeat("x", 1<<20) + `"}}`)
	ids := insert(t, s, event("a", "TIG-1"), event("a2", "TIG-1"), long, event("c", "TIG-1"))
	got := must[[]store.Queued](t)(s.Ahead(ctx, "TIG-1", ids[0], 16))
	var have []string
	for _, q := range got {
		have = append(have, fmt.Sprint(q.EventID, " ", q.Fresh, " ", len(q.Payload) > 0))
	}
	equal(t, "ahead", strings.Join(have, ", "), "a2 true true, b false false, c true true")
}

func TestWhatCameWhileTheClockWasAheadIsDue(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	ahead := time.Now().Add(24 * time.Hour)
	at := ahead.UTC().Format(store.TimeLayout)
	exec(t, db, `INSERT INTO outbox (payload, created_at, next_attempt_at) VALUES (?1, ?2, ?2)`, string(event("a", "TIG-1")), at)
	h, _, err := s.Head(ctx, "TIG-1")
	ok(t, err)
	now := time.Now()
	if !h.NextAttempt.After(now) || h.Due(now).After(now) {
		t.Errorf("next attempt %v, due %v: want it due now, %v", h.NextAttempt, h.Due(now), now)
	}
	// Put off since, by the clock that is right, it waits.
	next := now.Add(time.Minute).Truncate(time.Millisecond)
	commit(t, s, store.Commit{Defer: &store.Defer{OutboxID: h.OutboxID, Attempts: 1, Next: next}})
	h, _, err = s.Head(ctx, "TIG-1")
	ok(t, err)
	if !h.Due(now).Equal(next) {
		t.Errorf("put off until %v it is due %v", next, h.Due(now))
	}

	due := func() int { return len(must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{Due: true}))) }
	exec(t, db, `INSERT INTO inbox (key, type, created_at, next_attempt_at, payload) VALUES ('k', 'x', ?1, ?1, '{}')`, at)
	equal(t, "changes due", due(), 1)
	ok(t, s.PushDefer(ctx, 1, now.Add(time.Hour), "away"))
	equal(t, "changes due once put off", due(), 0)
	ok(t, s.PushesDue(ctx))
	equal(t, "changes due once all are", due(), 1)
}
