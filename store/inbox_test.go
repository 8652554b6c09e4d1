package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

func change(key string, repeatable bool) store.InboxRow {
	return store.InboxRow{Key: key, Repeatable: repeatable, Type: "incident.status_changed", TigerOpsID: "TIG-1", IncidentID: "I1", Source: "webhook",
		Payload: fmt.Appendf(nil, `{"key":%q,"type":"incident.status_changed","actor":null,"after":{"n":1.50}}`, key)}
}

func keys(t testing.TB, s *store.Store) (out string) {
	t.Helper()
	for _, e := range must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{Limit: 1000})) {
		out += e.Key + " "
	}
	return strings.TrimSpace(out)
}

func TestAChangeIsToldOnceUnlessItHappensAgain(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	equal(t, "first", fmt.Sprint(commit(t, s, store.Commit{Inbox: []store.InboxRow{change("a", false), change("b", true), change("b", true)}})), "[1 2 3]")
	equal(t, "new ones", len(commit(t, s, store.Commit{Inbox: []store.InboxRow{change("a", false), change("b", true), change("c", false)}})), 2)
	equal(t, "keys", keys(t, s), "a b#1 b#2 b#3 c")
}

func TestAChangeHoldsItsIDAndKey(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	row := change("b", true)
	row.Payload = []byte(`{"id":999, "key": "b", "type":"x", "actor":null, "text":"ü \"<&>\" \u2028", "n":1.50, "big":12345678901234567890}`)
	bare := store.InboxRow{Key: "c", Type: "incident.declared", Payload: []byte(`{}`)}
	commit(t, s, store.Commit{Inbox: []store.InboxRow{row, bare}})
	got := must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{}))
	equal(t, "payload", string(got[0].Payload), `{"id":1,"key":"b#1","type":"x","actor":null,"text":"ü \"<&>\" \u2028","n":1.50,"big":12345678901234567890}`)
	equal(t, "bare", string(got[1].Payload), `{"id":2,"key":"c"}`)
	if !json.Valid(got[0].Payload) || got[1].TigerOpsID != "" || got[1].IncidentID != "" {
		t.Errorf("%+v", got[1])
	}
	e := got[0]
	if e.Type != row.Type || e.TigerOpsID != "TIG-1" || e.IncidentID != "I1" || e.Source != "webhook" || e.State != store.Pending || e.CreatedAt.IsZero() || !e.AppliedAt.IsZero() {
		t.Errorf("%+v", e)
	}
	if _, err := s.Commit(ctx, store.Commit{Inbox: []store.InboxRow{{Key: "d", Type: "x", Payload: []byte(`not JSON`)}}}); err == nil {
		t.Error("a change that is no JSON was told")
	}
}

// After an old copy is put back the same changes come again, and TigerOps knows them by their keys.
func TestARestoredCopyCountsOnToTheSameKeys(t *testing.T) {
	t.Parallel()
	o := ready(t)
	s := open(t, o)
	commit(t, s, store.Commit{Inbox: []store.InboxRow{change("b", true)}})
	backup := o.Path + ".copy"
	ok(t, s.Backup(ctx, backup))
	commit(t, s, store.Commit{Inbox: []store.InboxRow{change("b", true), change("n", false)}})
	want := keys(t, s)
	ok(t, s.Close())
	ok(t, os.Rename(backup, o.Path))
	s = open(t, o)
	commit(t, s, store.Commit{Inbox: []store.InboxRow{change("b", true), change("n", false)}})
	equal(t, "keys", keys(t, s), want)
}

func TestInboxIDsAreNeverUsedAgain(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	commit(t, s, store.Commit{Inbox: []store.InboxRow{change("a", false), change("b", false)}})
	exec(t, db, "DELETE FROM inbox")
	equal(t, "next", fmt.Sprint(commit(t, s, store.Commit{Inbox: []store.InboxRow{change("c", false)}})), "[3]")
}

func TestStatesOfAChangeThatCanFollow(t *testing.T) {
	t.Parallel()
	states := []string{"pending", "applied", "rejected"}
	legal := map[string]bool{"pending applied": true, "pending rejected": true, "rejected pending": true}
	s, db := fresh(t)
	for _, from := range states {
		for _, to := range states {
			id := commit(t, s, store.Commit{Inbox: []store.InboxRow{change(from+to, false)}})[0]
			if from != "pending" {
				exec(t, db, "UPDATE inbox SET state = ?, reason = 'r' WHERE id = ?", from, id)
			}
			_, err := db.Exec("UPDATE inbox SET state = ? WHERE id = ?", to, id)
			if want := from == to || legal[from+" "+to]; (err == nil) != want {
				t.Errorf("%s to %s: %v", from, to, err)
			} else if err != nil && !strings.Contains(err.Error(), "a change goes from pending to applied or rejected") {
				t.Errorf("%s to %s is refused with %v", from, to, err)
			}
			equal(t, "applied_at fits after "+from+" to "+to, get(t, db, "SELECT (state = 'pending') = (applied_at IS NULL) FROM inbox WHERE id = ?", id), "1")
		}
	}
	if _, err := db.Exec("UPDATE inbox SET state = 'odd' WHERE id = 1"); err == nil {
		t.Error("an odd state was taken")
	}
	if _, err := db.Exec("UPDATE inbox SET payload = '{}' WHERE id = 1"); err == nil || !strings.Contains(err.Error(), "stays as it was told") {
		t.Errorf("another payload: %v", err)
	}
}

func TestTigerOpsTakesChanges(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	for i := range 6 {
		commit(t, s, store.Commit{Inbox: []store.InboxRow{change(fmt.Sprint("k", i+1), false)}})
	}
	equal(t, "acked", must[int](t)(s.AckInbox(ctx, 1, 2)), 2)
	equal(t, "acked again", must[int](t)(s.AckInbox(ctx, 1, 3)), 1)
	equal(t, "rejected", must[int](t)(s.RejectInbox(ctx, "not ours", 4)), 1)
	for what, call := range map[string]func() (int, error){
		"ack of a rejected one":    func() (int, error) { return s.AckInbox(ctx, 5, 4) },
		"reject of an applied one": func() (int, error) { return s.RejectInbox(ctx, "no", 5, 1) },
		"retry of an applied one":  func() (int, error) { return s.RetryInbox(ctx, 4, 1) },
	} {
		if _, err := call(); !errors.Is(err, store.ErrStale) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.AckInbox(ctx, 5, 99); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("ack of nothing: %v", err)
	}
	states := func() (out string) {
		t.Helper()
		for _, e := range must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{})) {
			out += e.State[:1]
			if e.AppliedAt.IsZero() != (e.State == store.Pending) {
				t.Errorf("%+v", e)
			}
		}
		return out
	}
	equal(t, "states", states(), "aaarpp")
	equal(t, "reason", must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{State: store.Rejected}))[0].Reason, "not ours")
	equal(t, "pending after 5", len(must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{State: store.Pending, After: 5}))), 1)
	equal(t, "applied", len(must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{State: store.Applied, Limit: 2}))), 2)
	equal(t, "of another incident", len(must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{TigerOpsID: "TIG-2"}))), 0)
	equal(t, "retried, all", must[int](t)(s.RetryInbox(ctx)), 1)
	equal(t, "states", states(), "aaappp")
}

func TestChangesArePushedInOrderWithinAnIncident(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	rows := []store.InboxRow{change("1", false), change("2", false), change("3", false), change("4", false), change("5", false)}
	rows[1].TigerOpsID, rows[3].TigerOpsID, rows[4].TigerOpsID = "TIG-2", "", ""
	commit(t, s, store.Commit{Inbox: rows})
	due := func(want string) {
		t.Helper()
		var got []int64
		for _, e := range must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{Due: true})) {
			got = append(got, e.ID)
		}
		equal(t, "due", fmt.Sprint(got), want)
	}
	due("[1 2 4 5]")
	next := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	ok(t, s.PushDefer(ctx, 1, next, "503"))
	due("[2 4 5]") // 3 waits behind 1
	e := must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{Limit: 1}))[0]
	if e.Attempts != 1 || e.Reason != "503" || !e.NextAttempt.Equal(next) {
		t.Errorf("%+v", e)
	}
	if _, err := s.RetryInbox(ctx, 1); err != nil {
		t.Fatal(err)
	}
	due("[1 2 4 5]")
	if _, err := s.AckInbox(ctx, 1, 2, 4, 5); err != nil {
		t.Fatal(err)
	}
	due("[3]")
	if err := s.PushDefer(ctx, 1, next, "late"); !errors.Is(err, store.ErrStale) {
		t.Errorf("putting off what is applied: %v", err)
	}
}
