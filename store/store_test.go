package store_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/tigerops/tigerops-incidentio/store"
)

var ctx = context.Background()

// options are those of an owner of a new file.
func options(t testing.TB) store.Options {
	t.Helper()
	return store.Options{Path: filepath.Join(t.TempDir(), "test.db"), Owner: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

// fresh opens a store without a row, and a stranger's connection to the same file.
func fresh(t testing.TB) (*store.Store, *sql.DB) {
	t.Helper()
	o := ready(t)
	return open(t, o), stranger(t, o.Path)
}

// emptied is the file that a first start makes, made once: the race detector makes a migration slow.
var emptied = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "test.db")
	s, err := store.Open(ctx, store.Options{Path: path, Owner: true})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// ready are the options of an owner of a file that is there and has no row.
func ready(t testing.TB) store.Options {
	t.Helper()
	o := options(t)
	b, err := emptied()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// stranger opens the file as any other program would.
func stranger(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func exec(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// get reads one value as text; NULL is "NULL".
func get(t testing.TB, db *sql.DB, query string, args ...any) string {
	t.Helper()
	var v sql.NullString
	if err := db.QueryRow(query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if !v.Valid {
		return "NULL"
	}
	return v.String
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// event is an update of an incident with an id.
func event(id, incident string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"type":"incident.updated","incident":{"id":%q,"title":"Checkout","severity":"critical"}}`, id, incident)
}

// knownOf is what the agent's door reads of it.
func knownOf(id, incident string) store.Known {
	return store.Known{ID: id, Type: "incident.updated", Incident: incident, Severity: "critical"}
}

// insert puts events in and gives their row ids.
func insert(t testing.TB, s *store.Store, payloads ...[]byte) []int64 {
	t.Helper()
	in, err := s.InsertEvents(ctx, payloads)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]int64, len(in))
	for i := range in {
		ids[i] = in[i].ID
	}
	return ids
}

func commit(t testing.TB, s *store.Store, c store.Commit) []int64 {
	t.Helper()
	ids, err := s.Commit(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func done(t testing.TB, s *store.Store, ids ...int64) {
	t.Helper()
	for _, id := range ids {
		commit(t, s, store.Commit{Finish: &store.Finish{OutboxID: id, State: store.Done}})
	}
}

func link(tigerops, incident string) store.Link {
	return store.Link{TigerOpsID: tigerops, IncidentID: incident, Reference: "INC-" + incident, Origin: "declared", Agreed: []byte(`{}`), Pushed: []byte(`{}`)}
}

func step(outboxID int64, name string) *store.Step {
	return &store.Step{OutboxID: outboxID, Name: name, Call: "create_timeline", Key: "k-" + name, Method: "POST", Path: "/v2/x", Request: []byte(`{"a": 1}`),
		Effect: []byte(`{"message":"m"}`), Mark: "e-1"}
}

func bytesOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// future is later than anything a test writes.
func future() time.Time { return time.Now().Add(time.Hour) }

// run runs a program and gives what it prints.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := osexec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// waitingWebhooks reads the webhooks that wait, in their order.
func waitingWebhooks(t testing.TB, s *store.Store, limit int) []store.Webhook {
	t.Helper()
	seqs := must[[]int64](t)(s.WaitingWebhooks(ctx, limit))
	hooks := must[[]store.Webhook](t)(s.Webhooks(ctx, seqs...))
	slices.SortFunc(hooks, func(x, y store.Webhook) int { return cmp.Compare(x.Seq, y.Seq) })
	return hooks
}

// end is how a webhook ends.
type end struct{ ID, State, Error string }

// meaning is the ends of webhooks with what the view says that they mean.
func meaning(t testing.TB, s *store.Store, ends ...end) []store.WebhookEnd {
	t.Helper()
	out := make([]store.WebhookEnd, len(ends))
	for i, e := range ends {
		seq, eventType, incidentID, err := s.Meaning(ctx, e.ID)
		ok(t, err)
		out[i] = store.WebhookEnd{Seqs: []int64{seq}, EventType: eventType, IncidentID: incidentID, State: e.State, Error: e.Error}
	}
	return out
}
