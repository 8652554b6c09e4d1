package agent

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// bothDoors is a file with the agent's own door and a stranger's.
type bothDoors struct {
	st *store.Store
	db *sql.DB
}

func openBothDoors(t testing.TB) bothDoors {
	path := filepath.Join(t.TempDir(), "agent.db")
	st, err := store.Open(context.Background(), store.Options{Path: path, Owner: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=synchronous(OFF)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return bothDoors{st, db}
}

// outboxRow is what is read of a payload.
type outboxRow struct {
	id, kind           string
	incident, severity sql.NullString
}

const rowRead = "event_id, event_type, incident_key, severity"

func (r *outboxRow) fields() []any { return []any{&r.id, &r.kind, &r.incident, &r.severity} }

// same puts an event in by both doors, if the agent's takes it, and compares. The file is empty before and after. known says
// whether the agent's door has read the event for SQLite.
func (d bothDoors) same(t testing.TB, payload []byte) (known bool) {
	t.Helper()
	ctx := context.Background()
	test, read, faults := mapping.Check(payload)
	if test || len(faults) > 0 {
		if read != (mapping.Known{}) {
			t.Errorf("%q is not taken, but known as %+v", payload, read)
		}
		return false
	}
	known = read != mapping.Known{}
	var theirs, ours outboxRow
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := tx.QueryRow("INSERT INTO outbox(payload) VALUES (?) RETURNING "+rowRead, string(payload)).Scan(theirs.fields()...)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	put := func() (store.Inserted, error) {
		in, err := d.st.InsertEvents(ctx, [][]byte{payload}, store.Known(read))
		if err != nil {
			return store.Inserted{}, err
		}
		return in[0], nil
	}
	in, err := put()
	if c, ok := errors.AsType[*store.ConstraintError](err); ok && refused != nil && strings.Contains(refused.Error(), "failed: "+c.Name) {
		return known
	}
	if err != nil || refused != nil {
		t.Fatalf("%q: the agent's door says %v, SQLite %v", payload, err, refused)
	}
	if err := d.db.QueryRow("SELECT "+rowRead+" FROM outbox WHERE id = ?", in.ID).Scan(ours.fields()...); err != nil {
		t.Fatal(err)
	}
	if ours != theirs {
		t.Errorf("%q by the agent's door: %+v, by SQL: %+v", payload, ours, theirs)
	}
	if want := (store.Inserted{ID: in.ID, EventID: theirs.id}); in != want {
		t.Errorf("%q: told %+v, want %+v", payload, in, want)
	}
	again := func(what string, want store.Inserted) {
		t.Helper()
		if in, err := put(); err != nil || in != want {
			t.Errorf("%q, %s: got %+v, %v, want %+v", payload, what, in, err, want)
		}
	}
	do := func(query string, args ...any) {
		t.Helper()
		if _, err := d.db.Exec(query, args...); err != nil {
			t.Fatalf("%s of %q: %v", query, payload, err)
		}
	}
	again("a repeat", store.Inserted{ID: in.ID, EventID: theirs.id, Duplicate: true})
	do("DELETE FROM outbox")
	again("a repeat of a row that is gone", store.Inserted{EventID: theirs.id, Duplicate: true})
	do("DELETE FROM event_seen")
	do("INSERT INTO outbox(payload) VALUES (?)", string(payload))
	var id int64
	if err := d.db.QueryRow("SELECT id FROM outbox").Scan(&id); err != nil || id <= in.ID {
		t.Errorf("%q: row %d after row %d, %v", payload, id, in.ID, err)
	}
	again("a repeat of a stranger's", store.Inserted{ID: id, EventID: theirs.id, Duplicate: true})
	do("DELETE FROM outbox")
	do("DELETE FROM event_seen")
	return known
}

// oddEvent is an event in which anything may stand where something is expected.
func oddEvent(r *rand.Rand) string {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	long := `"` + strings.Repeat("ü", 200+r.IntN(400)) + `"`
	text := func(plain ...string) string {
		if r.IntN(8) > 0 {
			return one(plain...)
		}
		return one(`null`, `""`, `7`, `-0`, `1.50`, `1e400`, `true`, `[]`, `{}`, `{"id":"x"}`, `"\u0061"`, `"a\\b"`, `"\/"`, `"ü€😀"`, `"\ud83d\ude00"`, `"\ud800"`,
			`"\u0000"`, `" x "`, `" "`, "\"\x7f\"", "\"\ufffd\"", "\"\u2028\"", `"'"`, `"7"`, `"content:{}"`, `"#1"`, `"$.id"`, long)
	}
	object := func(n int, member func() string) string {
		members := make([]string, r.IntN(n))
		for i := range members {
			members[i] = member()
		}
		return "{" + strings.Join(members, one(",", ", ", " ,\n")) + "}"
	}
	severity := func() string { return text(`"critical"`, `"low"`) }
	incident := func() string {
		return object(4, func() string {
			return one(`"id"`, `"id"`, `"id"`, `"i\u0064"`, `"ID"`, `"severity"`, `"severity"`) + one(":", " : ") + text(`"TIG-1"`, `"TIG-2"`, `4711`)
		})
	}
	members := []string{one(`"id"`, `"id"`, `"id"`, `"id"`, `"id"`, `"i\u0064"`) + ":" + text(`"evt_1"`, `"evt_2"`)}
	some := func(chance int, member func() string) {
		if r.IntN(chance) == 0 {
			members = append(members, member())
		}
	}
	kind := func() string { return text(`"incident.updated"`, `"slo.breached"`, `"odd.one"`) }
	some(1, func() string {
		return one(`"type"`, `"type"`, `"type"`, `"type"`, `"event"`, `"typ\u0065"`) + ":" + kind()
	})
	some(5, func() string { return `"event":` + kind() })
	some(2, func() string { return `"timestamp":` + text(`"2026-11-23T02:00:00Z"`, `1795399200`) })
	some(2, func() string {
		return one(`"incident"`, `"incident"`, `"incident"`, `"incident"`, `"incid\u0065nt"`) + ":" + incident()
	})
	some(9, func() string { return `"incident":` + text(`[{"id":"TIG-1"}]`, `"TIG-1"`) })
	some(2, func() string { return `"incident_id":` + text(`"TIG-1"`, `"TIG-3"`) })
	some(3, func() string { return `"severity":` + severity() })
	some(10, func() string { return one(members...) })
	r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return one("", " ", "\n\t") + "{" + strings.Join(members, ",") + "}" + one("", " ")
}

// What the agent's door has read of an event, it has read as SQLite does.
func TestBothDoorsMakeTheSameRow(t *testing.T) {
	t.Parallel()
	d := openBothDoors(t)
	// The ordinary ones are read once.
	for _, payload := range []string{
		`{"id":"e1","type":"incident.created","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"TIG-1","severity":"critical"}}`,
		`{"id":"e1","event":"incident.updated","incident_id":"TIG-1","severity":"low"}`,
		`{"id":"e1","type":"anomaly.detected"}`, `{"id":"e1","type":"never.heard.of","incident":["TIG-2"],"incident_id":"TIG-1"}`, `{"id":"e1","type":"slo.breached","incident":null,"severity":null}`,
		`{"id":"e1","type":"never.heard.of","incident":{"id":"","severity":""},"more":"\ud83d\ude00"}`,
	} {
		if !d.same(t, []byte(payload)) {
			t.Errorf("nothing is known of %s", payload)
		}
	}
	// Of these SQLite has the say.
	for _, payload := range []string{
		`{"id":"e1","type":"never.heard.of","incident":{"id":"TIG-1","id":"TIG-2"}}`,
		`{"id":"e1","type":"never.heard.of","incident":{"severity":"low","severity":"high"}}`,
		`{"id":"e1","type":"never.heard.of","incident":{"i\u0064":"TIG-1"},"incident_id":"TIG-2"}`,
		`{"i\u0064":"e1","type":"never.heard.of"}`, `{"id":"\u0061","type":"never.heard.of"}`, `{"id":17,"type":"never.heard.of"}`,
		`{"timestamp":"2026-11-23T02:00:00Z","type":"never.heard.of"}`, `{"id":"e1","type":"never.heard.of","severity":3}`,
		`{"id":"e1","type":"never.heard.of","incident":{"id":{}},"incident_id":"TIG-1"}`,
		`{"id":"e1","type":"never.heard.of","incident":{"id":"` + strings.Repeat("x", 513) + `"}}`,
	} {
		if d.same(t, []byte(payload)) {
			t.Errorf("something is known of %s", payload)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	n := map[bool]int{}
	for range 1000 {
		n[d.same(t, []byte(oddEvent(r)))]++
		if t.Failed() {
			return
		}
	}
	if n[true] < 200 {
		t.Errorf("of %d events %d were known", n[true]+n[false], n[true])
	}
}

func FuzzBothDoors(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		f.Add([]byte(oddEvent(r)))
	}
	d := openBothDoors(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := mapping.SplitBatch(body)
		if err != nil {
			return
		}
		for _, e := range events[:min(len(events), 3)] {
			d.same(t, e)
		}
	})
}
