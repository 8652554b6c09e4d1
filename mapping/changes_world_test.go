package mapping_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// The account that the tests of the way in look at.
var (
	triage        = mapping.Status{ID: "st-tri", Name: "Triage", Category: "triage", Rank: 1}
	investigating = mapping.Status{ID: "st-inv", Name: "Investigating", Category: "live", Rank: 2}
	fixing        = mapping.Status{ID: "st-fix", Name: "Fixing", Category: "live", Rank: 3}
	monitoring    = mapping.Status{ID: "st-mon", Name: "Monitoring", Category: "live", Rank: 4}
	documenting   = mapping.Status{ID: "st-doc", Name: "Documenting", Category: "learning", Rank: 5}
	closed        = mapping.Status{ID: "st-clo", Name: "Closed", Category: "closed", Rank: 6}
	canceled      = mapping.Status{ID: "st-can", Name: "Canceled", Category: "canceled", Rank: 7}
	paused        = mapping.Status{ID: "st-pau", Name: "Paused", Category: "paused", Rank: 8}
	mergedAway    = mapping.Status{ID: "st-mer", Name: "Merged", Category: "merged", Rank: 9}

	sev3 = mapping.Severity{ID: "sv-3", Name: "SEV3", Rank: 1}
	sev2 = mapping.Severity{ID: "sv-2", Name: "SEV2", Rank: 2}
	sev1 = mapping.Severity{ID: "sv-1", Name: "SEV1", Rank: 3}
	sev0 = mapping.Severity{ID: "sv-0", Name: "SEV0", Rank: 4}

	lead     = mapping.Role{ID: "ro-lead", Name: "Incident Lead", Type: "lead", Shortform: "lead"}
	comms    = mapping.Role{ID: "ro-comms", Name: "Communications", Type: "custom"}
	reporter = mapping.Role{ID: "ro-rep", Name: "Reporter", Type: "reporter"}

	userLisa = mapping.User{ID: "us-lisa", Name: "Lisa", Email: "lisa@example.com"}
	userAda  = mapping.User{ID: "us-ada", Name: "Ada", Email: "ada@example.com"}
	byKey    = mapping.Actor{Type: "api_key", Name: "tigerops"}
)

func by(u mapping.User) mapping.Actor {
	return mapping.Actor{Type: "user", Name: u.Name, Email: u.Email}
}

func pullAccount() *mapping.Directory {
	return &mapping.Directory{
		Statuses:   []mapping.Status{triage, investigating, fixing, monitoring, documenting, closed, canceled, paused, mergedAway},
		Severities: []mapping.Severity{sev3, sev2, sev1, sev0},
		Roles:      []mapping.Role{lead, comms, reporter},
	}
}

func pullRules() *mapping.Rules {
	return &mapping.Rules{
		MinSeverity: "warning", Severities: []string{"info", "warning", "critical"}, AutoDeclare: true, AutoResolve: true,
		SeverityMapping: map[string]string{"critical": "SEV1", "warning": "SEV2", "info": "SEV3"},
		Roles:           map[string]string{"owner": "lead"},
		Conflict:        mapping.ConflictLatest,
		PullStatus:      true, PullRoles: true, PullEscalations: true, PullTimeline: true,
	}
}

// minute is a time of the day that all of this happens on.
func minute(m int) time.Time { return time.Date(2026, 11, 23, 2, m, 0, 0, time.UTC) }

// posted is an update that Lisa posted, unless by says otherwise.
func posted(id string, m int, message string, status *mapping.Status, severity *mapping.Severity, who ...mapping.Actor) mapping.Update {
	u := mapping.Update{ID: id, Message: message, Status: status, Severity: severity, At: minute(m), By: by(userLisa)}
	if len(who) > 0 {
		u.By = who[0]
	}
	return u
}

// base is a declared incident on which both sides agree: Investigating, SEV1, led by Ada.
func base() mapping.Compare {
	remote := mapping.Remote{
		ID: "01FDAG", Reference: "INC-123", Permalink: "https://app.incident.io/incidents/123", Name: "Checkout latency",
		Summary: "It is slow.", Status: investigating, Severity: &sev1, CreatedAt: minute(0), UpdatedAt: minute(1),
		Roles: []mapping.Assignment{{Role: lead, User: userAda}, {Role: reporter, User: userAda}},
	}
	agreed := mapping.AgreedOn(remote)
	agreed.Seen = map[string]string{"update:u0": "1"}
	return mapping.Compare{
		Tie: mapping.Tie{TigerOpsID: "TIG-4711", IncidentID: remote.ID, Origin: mapping.OriginDeclared, Agreed: agreed},
		State: mapping.State{Open: true, Incident: mapping.Incident{
			ID: "TIG-4711", Title: "Checkout latency", Severity: "critical", Status: "investigating",
			Responders: []mapping.Responder{{Role: "owner", Email: "ada@example.com"}},
		}},
		Look:    mapping.Look{Remote: remote, Updates: []mapping.Update{posted("u0", 0, "", &investigating, &sev1, byKey)}, Source: mapping.SourceWebhook},
		KeyName: "tigerops", Rules: pullRules(), Directory: pullAccount(),
	}
}

// person changes the incident as somebody in incident.io does, at minute m.
func person(c *mapping.Compare, m int, change func(*mapping.Remote), updates ...mapping.Update) {
	change(&c.Look.Remote)
	c.Look.Remote.UpdatedAt = minute(m)
	c.Look.Updates = append(c.Look.Updates, updates...)
}

func status(s mapping.Status) func(*mapping.Remote) { return func(r *mapping.Remote) { r.Status = s } }
func severity(s *mapping.Severity) func(*mapping.Remote) {
	return func(r *mapping.Remote) { r.Severity = s }
}
func nothing(*mapping.Remote) {}

// line is a change in short: type, what changed, who, what they said, when.
func line(c mapping.Change) string {
	short := func(m map[string]any) string {
		if m == nil {
			return "-"
		}
		var all []string
		for _, k := range slices.Sorted(maps.Keys(m)) {
			all = append(all, fmt.Sprint(m[k]))
		}
		return strings.Join(all, "/")
	}
	who := "nobody"
	if c.Actor != nil {
		who = c.Actor.Name
	}
	repeat := ""
	if c.Repeatable {
		repeat = " repeatable"
	}
	return fmt.Sprintf("%s %s > %s by %s at %s%s: %s", c.Type, short(c.Before), short(c.After), who, c.OccurredAt.Format("15:04"), repeat, c.Message)
}

// agree compares, and checks what must hold of every compare: it leaves its input alone, the rows are complete, their
// keys differ, the next look finds nothing, whatever order the lists come in, and all of it survives storage.
func agree(t testing.TB, c mapping.Compare) []mapping.Change {
	t.Helper()
	before := asJSON(t, c)
	rows, next := mapping.Changes(c)
	if after := asJSON(t, c); after != before {
		t.Errorf("the input changed:\n%s\n%s", before, after)
	}
	keys := make(map[string]bool)
	for _, r := range rows {
		if len(r.Key) != 32 || keys[r.Key] || r.Type == "" || r.TigerOpsIncidentID != c.Tie.TigerOpsID || r.Source != c.Look.Source {
			t.Errorf("an incomplete row, or a key used twice: %+v", r)
		}
		keys[r.Key] = true
	}
	turned := c
	turned.Look.Updates = reversed(c.Look.Updates)
	turned.Look.Actions = reversed(c.Look.Actions)
	turned.Look.FollowUps = reversed(c.Look.FollowUps)
	turned.Look.Timeline = reversed(c.Look.Timeline)
	turned.Look.Postmortems = reversed(c.Look.Postmortems)
	turned.Look.Escalations = reversed(c.Look.Escalations)
	turned.Look.Remote.Roles = reversed(c.Look.Remote.Roles)
	turned.Pending = reversed(c.Pending)
	if other, _ := mapping.Changes(turned); asJSON(t, other) != asJSON(t, rows) {
		t.Errorf("another order of the lists gives other rows:\n%s\n%s", asJSON(t, rows), asJSON(t, other))
	}
	var stored mapping.Agreed
	if err := json.Unmarshal([]byte(asJSON(t, next)), &stored); err != nil {
		t.Fatal(err)
	}
	again := c
	again.Tie.Agreed = stored
	if more, same := mapping.Changes(again); len(more) > 0 || asJSON(t, same) != asJSON(t, next) {
		t.Errorf("the same look again gives rows, or agrees on something else:\n%s\n%s\n%s", asJSON(t, more), asJSON(t, next), asJSON(t, same))
	}
	return rows
}

func reversed[T any](s []T) []T {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}
