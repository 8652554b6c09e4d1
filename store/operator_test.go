package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

func TestAPersonRetriesAndDiscards(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	ids := insert(t, s, event("a", "TIG-1"), event("b", "TIG-2"), event("c", "TIG-3"), event("d", "TIG-4"))
	for _, id := range ids[:2] {
		commit(t, s, store.Commit{Defer: &store.Defer{OutboxID: id, Attempts: 9, Next: future(), Charged: time.Hour, FirstAttempt: time.Now()}})
		commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: id, State: store.Dead, Reason: "given up"}})
	}
	done(t, s, ids[2])
	equal(t, "retried", must[int](t)(s.RetryEvents(ctx, ids[0])), 1)
	e := must[store.Event](t)(s.Event(ctx, ids[0]))
	if e.State != store.Pending || e.Attempts != 0 || e.Charged != 0 || !e.FirstAttempt.IsZero() || e.NextAttempt.After(time.Now()) {
		t.Errorf("retried: %+v", e)
	}
	equal(t, "retried, all dead", must[int](t)(s.RetryEvents(ctx)), 1)
	equal(t, "retried, none dead", must[int](t)(s.RetryEvents(ctx)), 0)

	commit(t, s, store.Commit{Defer: &store.Defer{OutboxID: ids[3], Attempts: 2, Next: future()}})
	equal(t, "one that backs off", must[int](t)(s.RetryEvents(ctx, ids[3])), 1)
	if e := must[store.Event](t)(s.Event(ctx, ids[3])); e.NextAttempt.After(time.Now()) || e.Attempts != 2 {
		t.Errorf("due at once: %+v", e)
	}
	if _, err := s.RetryEvents(ctx, ids[3], ids[2]); !errors.Is(err, store.ErrStale) {
		t.Errorf("retry of what is done: %v", err)
	}
	if _, err := s.DiscardEvents(ctx, "x", ids[3], 99); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("discard of nothing: %v", err)
	}
	equal(t, "discarded", must[int](t)(s.DiscardEvents(ctx, "a false alarm", ids[3], ids[0])), 2)
	e = must[store.Event](t)(s.Event(ctx, ids[3]))
	if e.State != store.Skipped || e.Reason != "a false alarm" || e.FinishedAt.IsZero() {
		t.Errorf("discarded: %+v", e)
	}
}

func TestTheOutboxIsListed(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	ids := insert(t, s, event("a", "TIG-1"), event("b", "TIG-1"), event("c", "TIG-1"), event("d", "TIG-2"), event("e", "TIG-1"), []byte(`{"id":"f","type":"x"}`))
	done(t, s, ids[0])
	commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: ids[1], State: store.Dead}})
	commit(t, s, store.Commit{Park: &store.Park{OutboxID: ids[2]}})
	commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: ids[3], State: store.Skipped}})
	for query, want := range map[store.OutboxQuery]string{
		{}:                                      "fedcba",
		{Limit: 2}:                              "fe",
		{State: store.Pending}:                  "fec",
		{State: store.Dead}:                     "b",
		{State: store.Done}:                     "a",
		{State: store.Skipped}:                  "d",
		{Incident: "TIG-1"}:                     "ecba",
		{Incident: "TIG-1", Limit: 3}:           "ecb",
		{Incident: "TIG-1", State: "pending"}:   "ec",
		{Incident: "TIG-1", State: "dead"}:      "b",
		{Incident: "TIG-1", State: "done"}:      "a",
		{Incident: "TIG-2", State: "skipped"}:   "d",
		{Incident: "TIG-2", State: store.Done}:  "",
		{Incident: "nobody", State: store.Dead}: "",
	} {
		got := ""
		for _, e := range must[[]store.Event](t)(s.Outbox(ctx, query)) {
			got += e.EventID
		}
		equal(t, fmt.Sprintf("%+v", query), got, want)
	}
	if _, err := s.Outbox(ctx, store.OutboxQuery{State: "odd"}); err == nil {
		t.Error("an odd state was listed")
	}
	if _, err := s.Event(ctx, 99); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an event that is not there: %v", err)
	}
}

// lived makes an incident that was declared, closed, reopened as another, with something of everything.
func lived(t testing.TB, s *store.Store) {
	t.Helper()
	ids := insert(t, s, event("a", "TIG-1"), event("b", "TIG-1"))
	commit(t, s, store.Commit{Freeze: step(ids[0], "incident.declare")})
	commit(t, s, store.Commit{End: &store.StepEnd{OutboxID: ids[0], Name: "incident.declare", State: store.StepDone, HTTPStatus: 201},
		Links:    []store.Link{link("TIG-1", "I1")},
		Incident: &store.IncidentState{TigerOpsID: "TIG-1", State: []byte(`{"open":true}`)},
		Finish:   &store.Finish{OutboxID: ids[0], State: store.Done, Reason: "left out: team"}})
	if _, err := s.InsertWebhook(ctx, "msg_1", []byte(`{"event_type":"public_incident.incident_updated_v2","public_incident.incident_updated_v2":{"id":"I1"}}`)); err != nil {
		t.Fatal(err)
	}
	commit(t, s, store.Commit{Webhooks: meaning(t, s, end{ID: "msg_1", State: store.WebhookDone}), Inbox: []store.InboxRow{
		{Key: "k", Type: "incident.severity_changed", TigerOpsID: "TIG-1", IncidentID: "I1", Payload: []byte(`{"message":"worse","after":{"severity":"critical"},"actor":{"name":"Lisa"}}`)}}})
	commit(t, s, store.Commit{Drop: &store.Link{TigerOpsID: "TIG-1", IncidentID: "I1"}, Links: []store.Link{link("TIG-1", "I2")}})
	id := insert(t, s, event("c", "TIG-1"))[0]
	commit(t, s, store.Commit{Park: &store.Park{OutboxID: id, Reason: "waits for an incident"}})
}

func TestTheStoryIsTold(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	lived(t, s)
	insert(t, s, event("other", "TIG-9"))
	want := []string{
		"TigerOps → incident.io incident.updated Checkout [left out: team] done",
		"TigerOps → incident.io incident.updated Checkout pending",
		"TigerOps → incident.io incident.declare POST /v2/x 201 done",
		"incident.io → TigerOps public_incident.incident_updated_v2 webhook msg_1 done",
		`incident.io → TigerOps incident.severity_changed worse {"severity":"critical"} by Lisa pending`,
		"TigerOps → incident.io incident.updated Checkout [waits for an incident] pending",
	}
	for _, name := range []string{"TIG-1", "I1", "I2", "inc-i2"} {
		rows := must[[]store.StoryRow](t)(s.Story(ctx, name))
		var got []string
		for i, r := range rows {
			got = append(got, strings.Join([]string{r.Direction, r.What, r.Detail, r.State}, " "))
			if r.TigerOpsID != "TIG-1" || r.At.IsZero() || i > 0 && r.At.Before(rows[i-1].At) {
				t.Errorf("%+v", r)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("story by %s: %q", name, got)
		}
		for _, line := range want {
			found := false
			for _, g := range got {
				found = found || g == line
			}
			if !found {
				t.Errorf("story by %s lacks %q: %q", name, line, got)
			}
		}
		equal(t, "incident of the first", rows[0].IncidentID, "I1")
		equal(t, "incident of the last", rows[len(rows)-1].IncidentID, "I2")
	}
	equal(t, "of an untied one", len(must[[]store.StoryRow](t)(s.Story(ctx, "TIG-9"))), 1)
	equal(t, "of nobody", len(must[[]store.StoryRow](t)(s.Story(ctx, "nobody"))), 0)
}

func TestTheStoryTellsWhatIsNoLongerSo(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	row := change("k", false)
	row.Payload = []byte(`{"key":"k","before":{"role":"owner"},"after":null,"actor":{"name":"Lisa"}}`)
	commit(t, s, store.Commit{Inbox: []store.InboxRow{row}})
	equal(t, "detail", must[[]store.StoryRow](t)(s.Story(ctx, "TIG-1"))[0].Detail, `no longer {"role":"owner"} by Lisa`)
}

func TestTheStoryOfAnIncidentThatOnlyIncidentIOKnows(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	if _, err := s.InsertWebhook(ctx, "m", []byte(`{"event_type":"public_incident.incident_created_v2","public_incident.incident_created_v2":{"id":"I7"}}`)); err != nil {
		t.Fatal(err)
	}
	commit(t, s, store.Commit{Webhooks: meaning(t, s, end{ID: "m", State: store.WebhookDone}), Inbox: []store.InboxRow{{Key: "k", Type: "incident.declared", IncidentID: "I7", Payload: []byte(`{}`)}}})
	equal(t, "rows", len(must[[]store.StoryRow](t)(s.Story(ctx, "I7"))), 2)
}

func TestStatusAndSyncState(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	empty := must[store.Status](t)(s.Status(ctx))
	if empty.Waiting != 0 || !empty.OldestWaiting.IsZero() || empty.Links == nil || len(empty.Links) != 0 {
		t.Errorf("empty: %+v", empty)
	}
	lived(t, s)
	ids := insert(t, s, event("d", "TIG-2"), event("e", "TIG-2"))
	commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: ids[0], State: store.Dead}, Links: []store.Link{link("TIG-2", "I3")}})
	closed := link("TIG-3", "I4")
	closed.Closed = true
	commit(t, s, store.Commit{Links: []store.Link{closed}, Meta: map[string]string{
		store.MetaLastSweep: "2026-11-23T02:00:00.000Z", store.MetaTroubles: "one\nanother"}})
	if _, err := s.InsertWebhook(ctx, "m2", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	st := must[store.Status](t)(s.Status(ctx))
	if st.Waiting != 2 || st.Parked != 1 || st.Dead != 1 || st.InboxPending != 1 || st.InboxRejected != 0 || st.WebhooksPending != 1 || st.WebhooksFailed != 0 ||
		st.OldestWaiting.IsZero() || st.OldestInbox.IsZero() || st.LastEvent.IsZero() || st.LastDelivery.IsZero() || st.LastWebhook.IsZero() ||
		!st.LastSweep.Equal(time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)) || len(st.Links) != 3 {
		t.Errorf("%+v", st)
	}
	equal(t, "troubles", fmt.Sprintf("%q before, %q now", empty.Troubles, st.Troubles), `[] before, ["one" "another"] now`)
	byID := map[string]store.Sync{}
	for _, l := range st.Links {
		byID[l.TigerOpsID] = l
	}
	if l := byID["TIG-1"]; l.Waiting != 1 || l.Dead != 0 || l.Unapplied != 1 || l.IncidentID != "I2" || l.LagSeconds < 0 || l.LagSeconds > 60 {
		t.Errorf("%+v", l)
	}
	if l := byID["TIG-2"]; l.Waiting != 1 || l.Dead != 1 || l.Unapplied != 0 {
		t.Errorf("%+v", l)
	}
	if l := byID["TIG-3"]; l.Waiting != 0 || l.LagSeconds != 0 || !l.Closed || st.Links[2] != l {
		t.Errorf("%+v", l)
	}
	equal(t, "lines for people", get(t, db, "SELECT count(*) FROM sync_state"), "3")
}

func TestClosedTiesAreCountedAndFoundHoweverMany(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	for i := range 25 {
		l := link(fmt.Sprint("TIG-", i), fmt.Sprint("I", i))
		l.Closed, l.Reference = true, fmt.Sprint("INC-", i)
		commit(t, s, store.Commit{Links: []store.Link{l}})
	}
	commit(t, s, store.Commit{Links: []store.Link{link("TIG-open", "Iopen")}})
	st := must[store.Status](t)(s.Status(ctx))
	equal(t, "closed", st.ClosedLinks, 25)
	equal(t, "listed", len(st.Links), 21)
	all := must[[]store.Sync](t)(s.Syncs(ctx, ""))
	equal(t, "all", len(all), 26)
	equal(t, "first of all", all[0].TigerOpsID, "TIG-open")
	for _, name := range []string{"TIG-0", "I0", "inc-0"} {
		if one := must[[]store.Sync](t)(s.Syncs(ctx, name)); len(one) != 1 || one[0].IncidentID != "I0" {
			t.Errorf("%s: got %+v, want the tie of TIG-0", name, one)
		}
	}
	equal(t, "unknown", len(must[[]store.Sync](t)(s.Syncs(ctx, "nothing"))), 0)
}

func TestStuckSaysWhatDoesNotMoveAndWhy(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	lived(t, s)
	ids := insert(t, s, event("dead", "TIG-2"), event("behind", "TIG-2"), event("late", "TIG-3"), event("new", "TIG-4"), []byte(`{"id":"alone","type":"slo.breached"}`), event("fails", "TIG-5"))
	commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: ids[0], State: store.Dead, Reason: "422 no such thing"}})
	commit(t, s, store.Commit{Defer: &store.Defer{OutboxID: ids[5], Attempts: 4, Next: future(), Reason: "503 try later"}})
	old := time.Now().Add(-time.Hour).UTC().Format(store.TimeLayout)
	exec(t, db, "UPDATE outbox SET next_attempt_at = ?, created_at = ? WHERE event_id IN ('late', 'alone')", old, old)
	exec(t, db, "UPDATE outbox SET created_at = ? WHERE event_id = 'fails'", old)
	for _, id := range []string{"w1", "w2"} {
		if _, err := s.InsertWebhook(ctx, id, []byte(`{"event_type":"x"}`)); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, s, store.Commit{Webhooks: meaning(t, s, end{ID: "w2", State: store.WebhookFailed, Error: "no such incident"})})
	commit(t, s, store.Commit{Inbox: []store.InboxRow{change("x", false), change("y", false)}})
	if _, err := s.RejectInbox(ctx, "unknown incident", 3); err != nil {
		t.Fatal(err)
	}
	exec(t, db, "UPDATE webhook SET received_at = ? WHERE id = 'w1'", old)
	exec(t, db, "UPDATE inbox SET created_at = ? WHERE id = 2", old)
	got := map[string]string{}
	for _, r := range must[[]store.StuckRow](t)(s.Stuck(ctx)) {
		got[r.Kind+" "+r.ID] = r.Incident + ": " + r.Why
		if r.Since.IsZero() {
			t.Errorf("%+v", r)
		}
	}
	for row, want := range map[string]string{
		fmt.Sprint("event ", ids[0]): "TIG-2: dead, its incident waits behind it; retry or discard: 422 no such thing",
		fmt.Sprint("event ", ids[2]): "TIG-3: due since " + old,
		fmt.Sprint("event ", ids[4]): ": due since " + old,
		fmt.Sprint("event ", ids[5]): "TIG-5: tried 4 times, again at",
		"event 3":                    "TIG-1: set aside until an incident is tied: waits for an incident",
		"webhook w1":                 ": waits to be looked at",
		"webhook w2":                 ": failed: no such incident",
		"change 2":                   "TIG-1: TigerOps has not taken it",
		"change 3":                   "TIG-1: TigerOps rejected it; retry once the cause is mended: unknown incident",
	} {
		if !strings.HasPrefix(got[row], want) {
			t.Errorf("%s: got %q, want %q", row, got[row], want)
		}
		delete(got, row)
	}
	if len(got) != 0 {
		t.Errorf("not stuck: %v", got)
	}
}

// A lane that only waits its turn is no reason to look after the agent or the network.
func TestStuckTellsALaneThatWaitsItsTurnFromAnAgentThatStands(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	ids := insert(t, s, event("a", "TIG-1"), event("b", "TIG-2"))
	long := time.Now().UTC().Add(-10 * time.Minute).Format("2006-01-02T15:04:05.000Z")
	exec(t, db, "UPDATE outbox SET next_attempt_at = ?", long)
	step := func(name, state string, ago time.Duration) {
		exec(t, db, "INSERT INTO delivery (outbox_id, step, state, started_at, method, path, idempotency_key, request) VALUES (?, ?, ?, ?, 'POST', '/x', ?, '{}')",
			ids[0], name, state, time.Now().UTC().Add(-ago).Format("2006-01-02T15:04:05.000Z"), name)
	}
	const stands, waits = "does the agent run", "it waits for its turn"
	for _, c := range []struct {
		what string
		do   func()
		want string
	}{
		{"no step ever", func() {}, stands},
		{"an old step", func() { step("one", "done", 9*time.Minute) }, stands},
		{"a step that gets no answer", func() { step("two", "open", time.Second) }, stands},
		{"a step that was just done", func() { step("three", "done", time.Second) }, waits},
		{"the next one under way", func() { step("four", "open", 0) }, waits},
	} {
		c.do()
		rows := must[[]store.StuckRow](t)(s.Stuck(ctx))
		if len(rows) != 2 || !strings.Contains(rows[1].Why, c.want) {
			t.Errorf("%s: got %+v, want two of which is said: %s", c.what, rows, c.want)
		}
	}
}
