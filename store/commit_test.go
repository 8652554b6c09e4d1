package store_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

func stale(t testing.TB, s *store.Store, what string, c store.Commit) {
	t.Helper()
	// Something that would be seen if any of the commit stayed.
	c.Meta = map[string]string{"stale": what}
	if _, err := s.Commit(ctx, c); !errors.Is(err, store.ErrStale) {
		t.Errorf("%s: got %v, want ErrStale", what, err)
	}
	if left := must[string](t)(s.Meta(ctx, "stale")); left != "" {
		t.Errorf("%s: something of the commit stayed", what)
	}
}

func TestAnOpenStepTellsOfItsAttempts(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	id := insert(t, s, event("a", "TIG-1"))[0]
	commit(t, s, store.Commit{Freeze: step(id, "timeline.add")})
	look := func() string {
		return get(t, db, "SELECT concat_ws(' ', state, attempts, coalesce(http_status, '-'), request_id, error) FROM delivery")
	}
	commit(t, s, store.Commit{Tried: &store.StepTry{OutboxID: id, Name: "timeline.add", HTTPStatus: 503, RequestID: "r1", Error: "later"}})
	equal(t, "after the first", look(), "open 1 503 r1 later")
	commit(t, s, store.Commit{Tried: &store.StepTry{OutboxID: id, Name: "timeline.add", Error: "cut off"}})
	equal(t, "after the second", look(), "open 2 -  cut off")
	commit(t, s, store.Commit{End: &store.StepEnd{OutboxID: id, Name: "timeline.add", State: store.StepDone, HTTPStatus: 201, RequestID: "r3"}})
	equal(t, "after the third", look(), "done 3 201 r3 ")
	stale(t, s, "an attempt of what has ended", store.Commit{Tried: &store.StepTry{OutboxID: id, Name: "timeline.add", Error: "x"}})
}

func TestAStepIsFrozenOnceAndEndsOnce(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	id := insert(t, s, event("a", "TIG-1"))[0]
	first := step(id, "timeline.add")
	first.Folded = []int64{7, 8}
	commit(t, s, store.Commit{Freeze: first})
	commit(t, s, store.Commit{Freeze: step(id, "incident.edit")})

	steps := must[[]store.Step](t)(s.Steps(ctx, id))
	if len(steps) != 2 || steps[0].StartedAt.IsZero() || time.Since(steps[0].StartedAt) > time.Minute {
		t.Fatalf("steps: %+v", steps)
	}
	want := *first
	want.State, want.Attempts, want.StartedAt = store.StepOpen, 1, steps[0].StartedAt
	if !reflect.DeepEqual(steps[0], want) {
		t.Errorf("got %+v\nwant %+v", steps[0], want)
	}

	commit(t, s, store.Commit{Freeze: first}) // sent again
	again := must[[]store.Step](t)(s.Steps(ctx, id))[0]
	equal(t, "attempts", again.Attempts, 2)
	equal(t, "first sent", again.StartedAt, steps[0].StartedAt)
	other := *first
	other.Request = []byte(`{"a":1}`)
	stale(t, s, "other bytes for a step in doubt", store.Commit{Freeze: &other})

	commit(t, s, store.Commit{End: &store.StepEnd{OutboxID: id, Name: "timeline.add", State: store.StepRefused, HTTPStatus: 422, RequestID: "r1", Error: "no such field"}})
	refused := must[[]store.Step](t)(s.Steps(ctx, id))[0]
	if refused.State != store.StepRefused || refused.HTTPStatus != 422 || refused.RequestID != "r1" || refused.Error != "no such field" || refused.FinishedAt.IsZero() {
		t.Errorf("refused: %+v", refused)
	}
	stale(t, s, "ending what has ended", store.Commit{End: &store.StepEnd{OutboxID: id, Name: "timeline.add", State: store.StepDone}})
	commit(t, s, store.Commit{Freeze: &other}) // refused for certain: may be planned anew
	anew := must[[]store.Step](t)(s.Steps(ctx, id))[0]
	if string(anew.Request) != `{"a":1}` || anew.State != store.StepOpen || anew.Attempts != 3 || anew.Error != "" || !anew.FinishedAt.IsZero() || anew.HTTPStatus != 0 {
		t.Errorf("anew: %+v", anew)
	}
	commit(t, s, store.Commit{End: &store.StepEnd{OutboxID: id, Name: "timeline.add", State: store.StepDone, HTTPStatus: 201, RemoteID: "R"}})
	for _, state := range []string{store.StepDone, store.StepLeftOut} {
		if state == store.StepLeftOut {
			commit(t, s, store.Commit{End: &store.StepEnd{OutboxID: id, Name: "incident.edit", State: state}})
			stale(t, s, "freezing what was left out", store.Commit{Freeze: step(id, "incident.edit")})
		}
		stale(t, s, "freezing what is done", store.Commit{Freeze: first})
	}
	stale(t, s, "ending what never was", store.Commit{End: &store.StepEnd{OutboxID: id, Name: "nothing", State: store.StepDone}})
	done(t, s, id)
	stale(t, s, "a step for an event that has ended", store.Commit{Freeze: step(id, "late")})
}

func TestAnEventMovesOnlyFromPending(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	for _, end := range []string{store.Done, store.Skipped, store.Dead} {
		id := insert(t, s, event(end, "TIG-"+end))[0]
		commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: id, State: end, Reason: "because"}})
		e := must[store.Event](t)(s.Event(ctx, id))
		if e.State != end || e.Reason != "because" || e.FinishedAt.IsZero() != (end == store.Dead) {
			t.Errorf("%s: %+v", end, e)
		}
		stale(t, s, "finish after "+end, store.Commit{Finish: &store.Finish{OutboxID: id, State: store.Done}})
		stale(t, s, "defer after "+end, store.Commit{Defer: &store.Defer{OutboxID: id, Next: future()}})
		stale(t, s, "park after "+end, store.Commit{Park: &store.Park{OutboxID: id}})
		stale(t, s, "merge after "+end, store.Commit{Merged: []int64{id}})
	}
	stale(t, s, "an event that is not there", store.Commit{Finish: &store.Finish{OutboxID: 99, State: store.Done}})
	id := insert(t, s, event("x", "TIG-1"))[0]
	if _, err := s.Commit(ctx, store.Commit{Finish: &store.Finish{OutboxID: id, State: "odd"}}); err == nil {
		t.Error("an odd state was taken")
	}
}

func TestAnEventIsPutOff(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	id := insert(t, s, event("a", "TIG-1"))[0]
	first := time.Now().UTC().Truncate(time.Millisecond)
	next := first.Add(time.Hour)
	commit(t, s, store.Commit{Defer: &store.Defer{OutboxID: id, Attempts: 3, Next: next, Reason: "503", Charged: 1500 * time.Millisecond, FirstAttempt: first}})
	e := must[store.Event](t)(s.Event(ctx, id))
	if e.State != store.Pending || e.Attempts != 3 || !e.NextAttempt.Equal(next) || e.Reason != "503" || e.Charged != 1500*time.Millisecond || !e.FirstAttempt.Equal(first) {
		t.Errorf("got %+v", e)
	}
	h, _, err := s.Head(ctx, "TIG-1")
	if err != nil || !h.NextAttempt.Equal(next) || h.Attempts != 3 {
		t.Errorf("head %+v, %v", h, err)
	}
}

// Whoever reads the table wants to know how often an event was tried.
func TestTheAttemptThatEndsAnEventCounts(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	for state, want := range map[string]int{store.Done: 1, store.Dead: 1, store.Skipped: 0} {
		for before := range 2 {
			id := insert(t, s, event(fmt.Sprint(state, before), fmt.Sprint("TIG-", state, before)))[0]
			if before > 0 {
				commit(t, s, store.Commit{Defer: &store.Defer{OutboxID: id, Attempts: before, Next: future(), Reason: "503"}})
			}
			commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: id, State: state}})
			equal(t, fmt.Sprintf("attempts of a %s event after %d that failed", state, before), must[store.Event](t)(s.Event(ctx, id)).Attempts, before+want)
		}
	}
}

func TestFoldedEventsEndWithTheirCarrier(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	ids := insert(t, s, event("a", "TIG-1"), event("b", "TIG-1"), event("c", "TIG-1"), event("d", "TIG-1"))
	if _, err := s.DiscardEvents(ctx, "by hand", ids[2]); err != nil {
		t.Fatal(err)
	}
	commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: ids[0], State: store.Done, Folded: ids[1:3]}})
	b, c := must[store.Event](t)(s.Event(ctx, ids[1])), must[store.Event](t)(s.Event(ctx, ids[2]))
	if b.State != store.Done || b.FoldedInto != ids[0] || b.FinishedAt.IsZero() || b.Attempts != 1 {
		t.Errorf("folded: %+v", b)
	}
	if c.State != store.Skipped || c.Reason != "by hand" || c.FoldedInto != 0 {
		t.Errorf("discarded meanwhile: %+v", c)
	}
	if h, found, err := s.Head(ctx, "TIG-1"); err != nil || !found || h.OutboxID != ids[3] {
		t.Errorf("head %+v", h)
	}
}

func TestTheIncidentAndItsTies(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	if l, err := s.Link(ctx, "TIG-1"); l != nil || err != nil {
		t.Errorf("no link: %v, %v", l, err)
	}
	if _, found, err := s.IncidentState(ctx, "TIG-1"); found || err != nil {
		t.Errorf("no incident: %v", err)
	}
	first := store.Link{TigerOpsID: "TIG-1", IncidentID: "I1", Reference: "INC-1", Permalink: "https://x/1", Origin: "attached", AlertID: "AL", Generation: "g",
		Agreed: []byte(`{"a":1}`), Pushed: []byte(`{"p":1}`), Status: "Investigating", Category: "live", Severity: "SEV1", TigerOpsStatus: "open", TigerOpsSeverity: "critical"}
	commit(t, s, store.Commit{Incident: &store.IncidentState{TigerOpsID: "TIG-1", State: []byte(`{"open":true}`)}, Links: []store.Link{first, link("TIG-2", "I1"), link("TIG-3", "I3")}})
	got := must[*store.Link](t)(s.Link(ctx, "TIG-1"))
	if got.CreatedAt.IsZero() || got.UpdatedAt.IsZero() {
		t.Errorf("times of %+v", got)
	}
	first.CreatedAt, first.UpdatedAt = got.CreatedAt, got.UpdatedAt
	if !reflect.DeepEqual(*got, first) {
		t.Errorf("got %+v\nwant %+v", *got, first)
	}
	state, found, err := s.IncidentState(ctx, "TIG-1")
	if err != nil || !found || string(state) != `{"open":true}` {
		t.Errorf("state %s, %v", state, err)
	}

	changed := first
	changed.Status, changed.Closed = "Closed", true
	commit(t, s, store.Commit{Links: []store.Link{changed}, Incident: &store.IncidentState{TigerOpsID: "TIG-1", State: []byte(`{"open":false}`)}})
	got = must[*store.Link](t)(s.Link(ctx, "TIG-1"))
	if got.Status != "Closed" || !got.Closed || !got.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("changed: %+v", got)
	}
	equal(t, "open", get(t, db, "SELECT open FROM incident"), "0")
	names := func(links []store.Link, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, l := range links {
			out += l.TigerOpsID + ">" + l.IncidentID + " "
		}
		return out
	}
	equal(t, "of I1", names(s.LinksOf(ctx, "I1")), "TIG-1>I1 TIG-2>I1 ")
	equal(t, "open", names(s.OpenLinks(ctx)), "TIG-2>I1 TIG-3>I3 ")

	// A reopen: the old tie is kept aside, the new one takes its place.
	commit(t, s, store.Commit{Drop: &store.Link{TigerOpsID: "TIG-1", IncidentID: "I1"}, Links: []store.Link{link("TIG-1", "I9")}})
	equal(t, "now", names(s.LinksOf(ctx, "I9")), "TIG-1>I9 ")
	equal(t, "left at I1", names(s.LinksOf(ctx, "I1")), "TIG-2>I1 ")
	equal(t, "former", names(s.FormerLinks(ctx, "TIG-1")), "TIG-1>I1 ")
	former := must[[]store.Link](t)(s.FormerLinks(ctx, ""))[0]
	equal(t, "former agreed", string(former.Agreed), `{"a":1}`)
	for name, want := range map[string]string{"TIG-1": "TIG-1>I9 TIG-1>I1 ", "I1": "TIG-2>I1 TIG-1>I1 ", "inc-1": "TIG-1>I1 ", "INC-I3": "TIG-3>I3 ", "x": ""} {
		equal(t, "found by "+name, names(s.FindLinks(ctx, name)), want)
	}
	stale(t, s, "dropping what is gone", store.Commit{Drop: &store.Link{TigerOpsID: "TIG-1", IncidentID: "I1"}})
	if _, err := s.Commit(ctx, store.Commit{Links: []store.Link{{TigerOpsID: "TIG-5", IncidentID: "I5", Origin: "guessed"}}}); err == nil {
		t.Error("an odd origin was taken")
	}
}

func TestStepsAreKnownByTheIncidentTheyWentTo(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	ids := insert(t, s, event("a", "TIG-1"), event("b", "TIG-2"), event("c", "TIG-3"), event("d", "TIG-1"))
	commit(t, s, store.Commit{Links: []store.Link{link("TIG-1", "I1"), link("TIG-2", "I1"), link("TIG-3", "I3")}})
	for i, id := range ids {
		commit(t, s, store.Commit{Freeze: step(id, "one")})
		commit(t, s, store.Commit{End: &store.StepEnd{OutboxID: id, Name: "one", State: store.StepDone, RemoteID: fmt.Sprint("R", i)}})
		commit(t, s, store.Commit{Freeze: step(id, "two")})
	}
	done(t, s, ids[0])
	commit(t, s, store.Commit{Park: &store.Park{OutboxID: ids[3], Reason: "aside"}})
	open := must[[]store.Step](t)(s.OpenStepsOf(ctx, "I1"))
	if len(open) != 3 || open[0].OutboxID != ids[0] || open[1].OutboxID != ids[1] || open[2].OutboxID != ids[3] || open[0].Name != "two" {
		t.Errorf("open: %+v", open)
	}
	equal(t, "own of I1", fmt.Sprint(must[map[string]bool](t)(s.OwnRemoteIDs(ctx, "I1"))), "map[R0:true R1:true R3:true]")
	commit(t, s, store.Commit{Drop: &store.Link{TigerOpsID: "TIG-1", IncidentID: "I1"}, Links: []store.Link{link("TIG-1", "I9")}})
	equal(t, "own of I1 after a reopen", fmt.Sprint(must[map[string]bool](t)(s.OwnRemoteIDs(ctx, "I1"))), "map[R0:true R1:true R3:true]")
	equal(t, "own of I9", fmt.Sprint(must[map[string]bool](t)(s.OwnRemoteIDs(ctx, "I9"))), "map[R0:true R3:true]")
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	if a, err := s.Alert(ctx, "TIG-1", ""); a != nil || err != nil {
		t.Errorf("no alert: %v, %v", a, err)
	}
	for _, a := range []store.Alert{
		{TigerOpsID: "TIG-1", Key: "k1", State: store.AlertFired},
		{TigerOpsID: "TIG-1", Generation: "g", Key: "k2", State: store.AlertFired, AlertID: "A2"},
		{TigerOpsID: "TIG-2", Key: "k3", State: store.AlertFired},
		{TigerOpsID: "TIG-3", Key: "k4", State: store.AlertResolved},
	} {
		commit(t, s, store.Commit{Alert: &a})
	}
	commit(t, s, store.Commit{Alert: &store.Alert{TigerOpsID: "TIG-1", Key: "k1", State: store.AlertResolved, AlertID: "A1"}})
	a := must[*store.Alert](t)(s.Alert(ctx, "TIG-1", ""))
	if a.State != store.AlertResolved || a.AlertID != "A1" || a.Key != "k1" || a.UpdatedAt.IsZero() {
		t.Errorf("got %+v", a)
	}
	commit(t, s, store.Commit{Links: []store.Link{link("TIG-2", "I")}})
	open := must[[]store.Alert](t)(s.OpenAlertsWithoutLink(ctx))
	if len(open) != 1 || open[0].Key != "k2" {
		t.Errorf("open: %+v", open)
	}
}

func TestWebhooksAreKeptAsTheyCame(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	bodies := map[string]string{
		"m1":  `{"event_type":"public_incident.incident_updated_v2","public_incident.incident_updated_v2":{"id":"I1","severity":{"id":"no"}}}`,
		"m2":  `{"event_type":"public_incident.incident_status_updated_v2","public_incident.incident_status_updated_v2":{"incident":{"id":"I2"}}}`,
		"m3":  `{"event_type":"public_incident.action_created_v1","public_incident.action_created_v1":{"id":"A","incident_id":"I3"}}`,
		"m4":  `{"event_type":"public_incident.postmortem_document_status_updated_v1","public_incident.postmortem_document_status_updated_v1":{"postmortem_document":{"id":"P","incident_id":"I4"}}}`,
		"m5":  `{"event_type":"public_escalation.escalation_status_updated_v1","public_escalation.escalation_status_updated_v1":{"escalation":{"id":"E","related_incidents":[{"id":"I5"}]}}}`,
		"m6":  `{"event_type":"private_incident.incident_created_v2","private_incident.incident_created_v2":{"id":"I6"}}`,
		"m7":  `{"event_type":"private_incident.follow_up_updated_v2","private_incident.follow_up_updated_v2":{"id":"F"}}`,
		"m8":  `{"event_type":"odd\"]","x":1}`,
		"m9":  `[1,2]`,
		"m10": `{"event_type":5,"5":{"incident_id":7}}`,
		"m11": `{"event_type":"public_incident.action_created_v1","public_incident.action_created_v1":{"incident_id":{"id":1.5}}}`,
	}
	for i := range len(bodies) {
		id := fmt.Sprint("m", i+1)
		if stored, err := s.InsertWebhook(ctx, id, []byte(bodies[id])); stored == nil || err != nil {
			t.Fatal(id, stored, err)
		}
		if stored, err := s.InsertWebhook(ctx, id, []byte(`{"other":1}`)); stored != nil || err != nil {
			t.Fatal(id, stored, err)
		}
	}
	if _, err := s.InsertWebhook(ctx, "", []byte(`{}`)); err == nil {
		t.Error("a webhook without an id was taken")
	}
	pending := waitingWebhooks(t, s, 100)
	for i, want := range []string{"I1", "I2", "I3", "I4", "I5", "I6", "", "", "", "7", `{"id":1.5}`} {
		w := pending[i]
		equal(t, "order", w.ID, fmt.Sprint("m", i+1))
		_, eventType, incident, err := s.Meaning(ctx, w.ID)
		ok(t, err)
		equal(t, "incident of "+w.ID, incident, want)
		equal(t, "body of "+w.ID, string(w.Body), bodies[w.ID])
		if i < 7 && eventType == "" || w.EventType != "" || w.ReceivedAt.IsZero() {
			t.Errorf("webhook %+v of type %q", w, eventType)
		}
	}
	equal(t, "limit", len(waitingWebhooks(t, s, 2)), 2)

	commit(t, s, store.Commit{Webhooks: meaning(t, s, end{ID: "m1", State: store.WebhookDone}, end{ID: "m2", State: store.WebhookFailed, Error: "gone"},
		end{ID: "m3", State: store.WebhookPending, Error: "later"}, end{ID: "m9", State: store.WebhookIgnored}, end{ID: "m10", State: store.WebhookIgnored})})
	commit(t, s, store.Commit{Webhooks: meaning(t, s, end{ID: "m1", State: store.WebhookFailed}, end{ID: "nobody", State: store.WebhookDone})})
	for id, want := range map[string]string{
		"m1": "done I1 public_incident.incident_updated_v2 1  1", "m2": "failed I2 public_incident.incident_status_updated_v2 1 gone 1",
		"m3": "pending I3 public_incident.action_created_v1 1 later 0", "m9": "ignored - - 1  1", "m10": "ignored 7 5 1  1", "m4": "pending - - 0  0",
	} {
		equal(t, id, get(t, db, "SELECT concat_ws(' ', state, coalesce(incident_id, '-'), coalesce(event_type, '-'), attempts, error, processed_at IS NOT NULL) FROM webhook WHERE id = ?", id), want)
	}
	equal(t, "left", len(waitingWebhooks(t, s, 100)), 7)
}

// The end of a webhook changes the page where its row begins. Its body, which has a page of its own, is not written again.
func TestEndOfAWebhookLeavesItsBodyAlone(t *testing.T) {
	t.Parallel()
	o := ready(t)
	o.Litestream = true // checkpoints are another's, so that the WAL holds all that is written
	s := open(t, o)
	const n = 100
	var ends []store.WebhookEnd
	body := []byte(`{"text":"` + strings.Repeat("lorem ipsum ", 330) + `"}`)
	for i := range n {
		w := must[*store.Webhook](t)(s.InsertWebhook(ctx, fmt.Sprint("msg_", i), body))
		ends = append(ends, store.WebhookEnd{Seqs: []int64{w.Seq}, State: []string{store.WebhookDone, store.WebhookFailed, store.WebhookIgnored}[i%3],
			EventType: strings.Repeat("t", i/2), IncidentID: "01STRANGER", Error: strings.Repeat("e", 75-i/2)})
	}
	pages := func() int64 {
		info, err := os.Stat(o.Path + "-wal")
		ok(t, err)
		return info.Size() / 4120
	}
	before := pages()
	commit(t, s, store.Commit{Webhooks: ends})
	if got := pages() - before; got > n/3 {
		t.Errorf("the end of %d webhooks wrote %d pages", n, got)
	}
	equal(t, "left", len(waitingWebhooks(t, s, n)), 0)
}

func TestMeta(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	equal(t, "nothing kept", must[string](t)(s.Meta(ctx, "x")), "")
	ok(t, s.SetMeta(ctx, "x", "1"))
	commit(t, s, store.Commit{Meta: map[string]string{"x": "2", "y": "3"}})
	equal(t, "x", must[string](t)(s.Meta(ctx, "x")), "2")
	ok(t, s.Probe(ctx))
}
