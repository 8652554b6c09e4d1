package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

func prune(t testing.TB, s *store.Store, before time.Time) (n int) {
	t.Helper()
	for {
		d := must[int](t)(s.Prune(ctx, before, 7))
		if n += d; d == 0 {
			return n
		}
	}
}

func TestRetentionTouchesNothingOfAnUnresolvedIncident(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	// An incident for each thing that keeps it, and one that nothing keeps.
	closed := func(tigerops, incident string) store.Link { l := link(tigerops, incident); l.Closed = true; return l }
	state := func(incident string, open bool) {
		commit(t, s, store.Commit{Incident: &store.IncidentState{TigerOpsID: incident, State: fmt.Appendf(nil, `{"open":%v}`, open)}})
	}
	for _, incident := range []string{"over", "linked", "open", "waits", "parked", "died"} {
		id := insert(t, s, event(incident, incident))[0]
		commit(t, s, store.Commit{Freeze: step(id, "x")})
		done(t, s, id)
		commit(t, s, store.Commit{Links: []store.Link{closed(incident, "I-"+incident)},
			Inbox: []store.InboxRow{{Key: incident, Type: "x", TigerOpsID: incident, IncidentID: "I-" + incident, Payload: []byte(`{}`)}}})
		if _, err := s.AckInbox(ctx, must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{TigerOpsID: incident}))[0].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.InsertWebhook(ctx, incident, fmt.Appendf(nil, `{"event_type":"public_incident.incident_updated_v2","public_incident.incident_updated_v2":{"id":"I-%s"}}`, incident)); err != nil {
			t.Fatal(err)
		}
		commit(t, s, store.Commit{Webhooks: meaning(t, s, end{ID: incident, State: store.WebhookDone})})
		state(incident, false)
	}
	commit(t, s, store.Commit{Links: []store.Link{link("linked", "I-linked")}})
	state("open", true)
	insert(t, s, event("waits-2", "waits"), event("parked-2", "parked"), event("died-2", "died"))
	commit(t, s, store.Commit{Park: &store.Park{OutboxID: 8}})
	commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: 9, State: store.Dead}})
	// What belongs to no incident goes when its time has come, too.
	done(t, s, insert(t, s, []byte(`{"id":"alone","type":"slo.breached"}`))...)
	insert(t, s, []byte(`{"id":"alone and waiting","type":"slo.breached"}`))

	equal(t, "before its time", prune(t, s, time.Now().Add(-time.Hour)), 0)
	prune(t, s, future())
	list := func(column, table string) string {
		return get(t, db, "SELECT group_concat(c, ' ') FROM (SELECT "+column+" AS c FROM "+table+" ORDER BY 1)")
	}
	equal(t, "events", list("event_id", "outbox"), "alone and waiting died died-2 linked open parked parked-2 waits waits-2")
	equal(t, "steps", get(t, db, "SELECT count(*) FROM delivery"), "5")
	equal(t, "changes", list("key", "inbox"), "died linked open parked waits")
	// A webhook is kept by what is open on either side; what waits here does not need it.
	equal(t, "webhooks", list("id", "webhook"), "linked open")
	equal(t, "event ids", list("event_id", "event_seen"), "alone over")
	// Its ties and what is known of it outlive it.
	equal(t, "links", list("tigerops_incident_id", "link"), "died linked open over parked waits")
	equal(t, "incidents", list("tigerops_incident_id", "incident"), "died linked open over parked waits")

	prune(t, s, future().Add(store.Memory))
	equal(t, "links after Memory", list("tigerops_incident_id", "link"), "died linked open parked waits")
	equal(t, "incidents after Memory", list("tigerops_incident_id", "incident"), "died linked open parked waits")
	equal(t, "event ids after Memory", get(t, db, "SELECT count(*) FROM event_seen"), "0")
	ok(t, s.Check(ctx))
}

func TestPruningGoesOnFromWhereItWas(t *testing.T) {
	t.Parallel()
	s, db := fresh(t)
	var payloads [][]byte
	for i := range 600 {
		payloads = append(payloads, event(fmt.Sprint("e", i), fmt.Sprint("TIG-", i%2)))
	}
	insert(t, s, payloads...)
	commit(t, s, store.Commit{Links: []store.Link{link("TIG-1", "I")}}) // stays
	exec(t, db, "UPDATE outbox SET state = 'done'")
	n, calls := 0, 0
	for d := 1; d > 0; calls++ {
		d = must[int](t)(s.Prune(ctx, future(), 40))
		if n += d; d > 40 {
			t.Errorf("%d rows in one go", d)
		}
	}
	equal(t, "pruned", n, 300)
	equal(t, "left", get(t, db, "SELECT count(*) FROM outbox"), "300")
	ok(t, s.IncrementalVacuum(ctx, 100000))
	equal(t, "free pages after giving them back", get(t, db, "PRAGMA freelist_count"), "0")
	link := link("TIG-1", "I")
	link.Closed = true
	commit(t, s, store.Commit{Links: []store.Link{link}})
	equal(t, "pruned once resolved", prune(t, s, future()), 300)
}

func TestABackupIsWholeAndOverwritesNothing(t *testing.T) {
	t.Parallel()
	o := ready(t)
	s := open(t, o)
	lived(t, s)
	to := filepath.Join(t.TempDir(), "copy.db")
	ok(t, s.Backup(ctx, to))
	if err := s.Backup(ctx, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
	if err := s.Backup(ctx, filepath.Join(t.TempDir(), "no", "such", "directory")); err == nil {
		t.Error("into no directory")
	}
	equal(t, "mode", must[fs.FileInfo](t)(os.Stat(to)).Mode().Perm(), 0o600)
	equal(t, "files", len(must[[]string](t)(filepath.Glob(to+"*"))), 1)
	rows := must[[]store.StoryRow](t)(s.Story(ctx, "TIG-1"))
	o.Path = to
	restored := open(t, o)
	equal(t, "story", fmt.Sprint(must[[]store.StoryRow](t)(restored.Story(ctx, "TIG-1"))), fmt.Sprint(rows))
	insert(t, restored, event("after", "TIG-1"))
	ok(t, restored.Check(ctx))
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	if err := s.TryToWriteThroughAReader(); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("got %v", err)
	}
}

// TestTheShellReadsAndWritesBesideTheAgent uses Debian's own sqlite3, an older SQLite in another process.
func TestTheShellReadsAndWritesBesideTheAgent(t *testing.T) {
	t.Parallel()
	if _, err := osexec.LookPath("sqlite3"); err != nil {
		t.Skip("the sqlite3 shell is not installed:", err)
	}
	o := ready(t)
	s := open(t, o)
	lived(t, s)
	shell := func(sql string) string {
		t.Helper()
		return strings.TrimSpace(run(t, "sqlite3", "-cmd", ".timeout 5000", o.Path, sql))
	}
	refused := func(sql, want string) {
		t.Helper()
		out, err := osexec.Command("sqlite3", "-cmd", ".timeout 5000", o.Path, sql).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s, want %s", sql, err, out, want)
		}
	}
	_, cur, err := s.Heads(ctx)
	if err != nil {
		t.Fatal(err)
	}
	version := must[int64](t)(s.DataVersion(ctx))
	shell(`INSERT INTO outbox(payload) VALUES ('{"id":"sh","type":"incident.updated","incident":{"id":"TIG-7"}}')`)
	shell(`INSERT INTO outbox(payload) VALUES ('{"id":"sh","type":"incident.updated","incident":{"id":"TIG-7"}}')`)
	shell(`INSERT INTO outbox(payload) VALUES ('{ "type": "slo.breached", "timestamp": "t" }')`)
	if must[int64](t)(s.DataVersion(ctx)) == version {
		t.Error("the insert went unnoticed")
	}
	lanes, _, _, _, err := s.Touched(ctx, cur)
	if err != nil || len(lanes) != 2 || lanes[0] != "TIG-7" {
		t.Errorf("touched %v, %v", lanes, err)
	}
	// Both libraries derive the same id from the same content.
	in, err := s.InsertEvents(ctx, [][]byte{[]byte(`{"type":"slo.breached","timestamp":"t"}`)})
	if err != nil || !in[0].Duplicate {
		t.Errorf("%+v, %v", in, err)
	}
	refused(`INSERT INTO outbox(payload) VALUES ('{"id":"x"}')`, "event_needs_a_type")
	refused(`INSERT INTO outbox(payload) VALUES ('{')`, "payload_must_be_a_json_object")
	refused(`UPDATE outbox SET state = 'pending' WHERE id = 1`, "does not come back")

	equal(t, "inbox", shell(`SELECT id, type, tigerops_incident_id FROM inbox WHERE state = 'pending' ORDER BY id`), "1|incident.severity_changed|TIG-1")
	shell(`UPDATE inbox SET state = 'applied' WHERE id = 1`)
	refused(`UPDATE inbox SET state = 'pending' WHERE id = 1`, "one that is applied stays so")
	e := must[[]store.InboxEntry](t)(s.Inbox(ctx, store.InboxQuery{}))[0]
	if e.State != store.Applied || e.AppliedAt.IsZero() {
		t.Errorf("%+v", e)
	}
	for _, view := range []string{"sync_state", "stuck", "story", "webhook_meaning"} {
		shell("SELECT * FROM " + view)
	}
	equal(t, "story", shell("SELECT count(*) FROM story WHERE tigerops_incident_id = 'TIG-1'"), "6")
	equal(t, "integrity", shell("PRAGMA integrity_check"), "ok")
	insert(t, s, event("after", "TIG-1"))
	ok(t, s.Check(ctx))
}
