package mapping_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// golden compares with a file of testdata; UPDATE_GOLDEN=1 in the environment writes it anew.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", "changes", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func TestChangesMarshalAsTheContractSays(t *testing.T) {
	t.Parallel()
	c := base()
	person(&c, 9, func(r *mapping.Remote) {
		r.Status, r.Severity, r.Summary = monitoring, &sev2, "It <is> slower & slower."
		r.Roles = []mapping.Assignment{{Role: lead, User: userLisa}}
	}, posted("u1", 5, "looks better", &monitoring, &sev1), posted("u2", 6, "", &monitoring, &sev2), posted("u3", 7, "waiting", &monitoring, &sev2))
	c.Look.Actions = []mapping.Item{{ID: "a1", Title: "Restart", Description: "Restart\nall of it", Status: "outstanding", Assignee: "ada@example.com", At: minute(3), UpdatedAt: minute(3), By: ptr(by(userAda))}}
	c.Look.FollowUps = []mapping.Item{{ID: "f1", Title: "Index", Status: "outstanding", Labels: []string{"db"}, At: minute(8), UpdatedAt: minute(8)}}
	c.Look.Timeline = []mapping.Item{{ID: "t1", Title: "Rolled back", At: minute(4), By: ptr(by(userLisa))}}
	c.Look.Escalations = []mapping.Escalation{{ID: "e1", Title: "Page", Status: "acked", At: minute(2), UpdatedAt: minute(3), By: ptr(by(userLisa))}}
	c.Look.Postmortems = []mapping.Item{{ID: "p1", Title: "PM", Description: "https://doc", Status: "draft", At: minute(9)}}
	golden(t, "all.json", agree(t, c))
}

func TestLinkChanges(t *testing.T) {
	t.Parallel()
	c := base()
	golden(t, "links.json", []mapping.Change{
		mapping.LinkedChange(c.Tie, c.Look.Remote, mapping.SourceSweep),
		mapping.UnlinkedChange(c.Look.Remote, mapping.SourceWebhook),
		mapping.LinkedChange(mapping.Tie{TigerOpsID: "TIG-1", Origin: mapping.OriginAttached}, mapping.Remote{ID: "01X", UpdatedAt: minute(5)}, mapping.SourceWebhook),
	})
}

// A key must be the same on another day and in another copy of the database: it may hold no time of the agent's own,
// nothing of how the change was noticed, and nothing of what was agreed before.
func TestKeysDependOnTheChangeAlone(t *testing.T) {
	t.Parallel()
	one, other := base(), base()
	person(&one, 5, status(closed), posted("u1", 5, "done", &closed, nil))
	person(&other, 9, status(closed), posted("u0b", 3, "", &documenting, nil), posted("u1", 5, "done", &closed, nil))
	other.Look.Source = mapping.SourceSweep
	other.Tie.Agreed.Status = documenting
	other.Tie.Agreed.Seen["update:u0b"] = "1"
	a, b := agree(t, one), agree(t, other)
	if len(a) != 1 || len(b) != 1 || a[0].Key != b[0].Key {
		t.Errorf("keys differ: %s and %s", asJSON(t, a), asJSON(t, b))
	}
	third := base()
	third.Tie.TigerOpsID = "TIG-2"
	person(&third, 5, status(closed), posted("u1", 5, "done", &closed, nil))
	if c := agree(t, third); c[0].Key == a[0].Key {
		t.Error("two TigerOps incidents share a key")
	}
}

// A sequence of states, a look at each: what is told adds up to the last one.
func TestEveryStateThatALookSawIsTold(t *testing.T) {
	t.Parallel()
	c := base()
	var heard []string
	for i, s := range []mapping.Status{fixing, monitoring, monitoring, investigating, documenting, closed} {
		s := s
		person(&c, 10+i, status(s), posted(fmt.Sprint("v", i), 10+i, "", &s, nil))
		rows, next := mapping.Changes(c)
		c.Tie.Agreed = next
		for _, r := range rows {
			heard = append(heard, r.Type+" "+fmt.Sprint(r.After["incident_io_status"]))
		}
	}
	want := []string{
		"incident.status_changed Fixing", "incident.status_changed Monitoring", "incident.status_changed Investigating",
		"incident.resolved Documenting", "incident.status_changed Closed",
	}
	if !reflect.DeepEqual(heard, want) {
		t.Errorf("got %q, want %q", heard, want)
	}
}
