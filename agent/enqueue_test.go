package agent_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func TestParseEventsKeepsLines(t *testing.T) {
	t.Parallel()
	event := func(id string) string {
		return `{"id":"` + id + `","type":"incident.created","incident":{"id":"TIG-1"}}`
	}
	for name, test := range map[string]struct {
		body  string
		lines []int
		tests int
	}{
		"an object":                   {event("a"), []int{1}, 0},
		"an object behind blanks":     {"\n\n " + event("a") + "\n", []int{3}, 0},
		"NDJSON":                      {event("a") + "\n" + event("b") + "\n\n" + event("c"), []int{1, 2, 4}, 0},
		"the same twice":              {event("a") + "\n" + event("a") + "\n", []int{1, 2}, 0},
		"an array":                    {"[\n" + event("a") + ",\n" + event("b") + "]", []int{2, 3}, 0},
		"an object over lines":        {"{\n\"id\":\"a\",\n\"type\":\"incident.created\",\"incident\":{\"id\":\"x\"}}\n" + event("b"), []int{1, 4}, 0},
		"a test between":              {event("a") + "\n{}\n{\"type\":\"test\"}\n" + event("b"), []int{1, 4}, 2},
		"an empty array":              {"[]", nil, 0},
		"carriage returns and a mark": {"\ufeff" + event("a") + "\r\n" + event("b") + "\r\n", []int{1, 2}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, faults, err := agent.ParseEvents([]byte(test.body))
			if err != nil || len(faults) > 0 || !slices.Equal(b.Lines, test.lines) || b.Tests != test.tests || len(b.Payloads) != len(b.Lines) {
				t.Errorf("got %v, %d tests, %v, %v; want %v, %d tests", b.Lines, b.Tests, faults, err, test.lines, test.tests)
			}
		})
	}
	_, faults, err := agent.ParseEvents([]byte(event("a") + "\n{\"id\":\"b\"}\n" + event("c") + "\n{\"type\":\"incident.created\",\"incident\":{}}"))
	if err != nil || len(faults) != 2 || faults[0].Line != 2 || faults[1].Line != 4 || faults[1].Index != 3 {
		t.Errorf("faults: %+v, %v", faults, err)
	}
}

func TestEnqueueManyWithProgress(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	const n = 1234
	for i := range n {
		fmt.Fprintf(&body, `{"id":"evt_%d","type":"incident.created","incident":{"id":"TIG-%d"}}`+"\n", i, i)
	}
	batch, _, err := agent.ParseEvents([]byte(body.String()))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "agent.db")
	desk, err := agent.OpenDesk(t.Context(), agent.Config{DB: path}, "test", agent.ToCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer desk.Close()
	var steps []int
	got, err := desk.Enqueue(t.Context(), batch, func(done int) { steps = append(steps, done) })
	if err != nil || got.Accepted != n || got.Duplicates != 0 || len(got.IDs) != n || got.IDs[n-1] != "evt_1233" {
		t.Errorf("got %d accepted, %d duplicates, %d ids, %v", got.Accepted, got.Duplicates, len(got.IDs), err)
	}
	if !slices.Equal(steps, []int{500, 1000, n}) {
		t.Errorf("progress: %v", steps)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var known int
	if err := db.QueryRow("SELECT count(*) FROM outbox WHERE known_id = event_id").Scan(&known); err != nil || known != n {
		t.Errorf("%d events were read once, want %d: %v", known, n, err)
	}
	if got, err = desk.Enqueue(t.Context(), batch, func(int) {}); err != nil || got.Accepted != 0 || got.Duplicates != n {
		t.Errorf("again: %d accepted, %d duplicates, %v", got.Accepted, got.Duplicates, err)
	}
}
