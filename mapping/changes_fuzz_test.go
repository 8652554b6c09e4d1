package mapping_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// dice makes looks that no account would show on purpose, but one may show some day.
type dice struct{ *rand.Rand }

func pick[T any](d dice, all ...T) T { return all[d.IntN(len(all))] }

// some is a random choice of all, each with the chance of one half; nil where the list was not looked at.
func some[T any](d dice, all ...T) []T {
	if d.IntN(6) == 0 {
		return nil
	}
	chosen := []T{}
	for _, v := range all {
		if d.IntN(2) == 0 {
			chosen = append(chosen, v)
		}
	}
	return chosen
}

func (d dice) status() mapping.Status {
	return pick(d, triage, investigating, fixing, monitoring, documenting, closed, canceled, paused, mergedAway, mapping.Status{}, mapping.Status{Name: "Nameless", Category: "new"})
}

func (d dice) severity() *mapping.Severity { return pick(d, nil, &sev3, &sev2, &sev1, &sev0) }

func (d dice) actor() mapping.Actor {
	return pick(d, by(userLisa), by(userAda), byKey, mapping.Actor{}, mapping.Actor{Type: "workflow", Name: "Bot"})
}

func (d dice) text() string {
	return pick(d, "", " ", "hello", "Ada acknowledged this.", "Step (evt_7)", "a\n\nb")
}

func (d dice) user() mapping.User {
	return pick(d, userLisa, userAda, mapping.User{}, mapping.User{Email: "x@example.com"})
}

func (d dice) updates() []mapping.Update {
	all := some(d, make([]mapping.Update, 6)...)
	for i := range all {
		all[i] = mapping.Update{ID: fmt.Sprint("u", d.IntN(1000)), Message: d.text(), Severity: d.severity(), At: minute(d.IntN(20)), By: d.actor(), MergedInto: pick(d, "", "01X")}
		if s := d.status(); d.IntN(3) > 0 {
			all[i].Status = &s
		}
	}
	return unique(all, func(u mapping.Update) string { return u.ID })
}

func (d dice) items(kind string) []mapping.Item {
	all := some(d, make([]mapping.Item, 4)...)
	for i := range all {
		all[i] = mapping.Item{
			ID: pick(d, "", kind) + fmt.Sprint(d.IntN(6)), Title: d.text(), Description: d.text(), Status: pick(d, "", "outstanding", "completed", "deleted"),
			Labels: some(d, "a", "b"), At: minute(d.IntN(20)), UpdatedAt: minute(d.IntN(20)), By: pick(d, nil, ptr(d.actor())),
		}
	}
	return unique(all, func(i mapping.Item) string { return i.ID })
}

func (d dice) escalations() []mapping.Escalation {
	all := some(d, make([]mapping.Escalation, 3)...)
	for i := range all {
		all[i] = mapping.Escalation{
			ID: fmt.Sprint("e", d.IntN(4)), Title: d.text(), Status: pick(d, "pending", "triggered", "acked", "expired", "odd", ""), At: minute(d.IntN(20)),
			UpdatedAt: minute(d.IntN(20)), By: pick(d, nil, ptr(d.actor())), IncidentIDs: some(d, "01FDAG", "01X"),
		}
	}
	return unique(all, func(e mapping.Escalation) string { return e.ID })
}

func unique[T any](all []T, id func(T) string) []T {
	seen := make(map[string]bool)
	kept := all[:0]
	for _, v := range all {
		if !seen[id(v)] {
			seen[id(v)] = true
			kept = append(kept, v)
		}
	}
	return kept
}

func (d dice) roles() []mapping.Assignment {
	return some(d, mapping.Assignment{Role: lead, User: d.user()}, mapping.Assignment{Role: comms, User: d.user()},
		mapping.Assignment{Role: reporter, User: d.user()}, mapping.Assignment{Role: lead, User: d.user()}, mapping.Assignment{User: d.user()})
}

func (d dice) look() mapping.Look {
	return mapping.Look{
		Remote: mapping.Remote{
			ID: pick(d, "01FDAG", "01FDAG", "01FDAG", ""), Reference: "INC-1", Name: d.text(), Summary: d.text(), Status: d.status(), Severity: d.severity(),
			Roles: d.roles(), CreatedAt: minute(0), UpdatedAt: minute(d.IntN(20)), PostmortemIDs: some(d, "p1", "p2"),
		},
		Updates: d.updates(), Actions: d.items("a"), FollowUps: d.items("f"), Timeline: d.items("t"), Postmortems: d.items("p"), Escalations: d.escalations(),
		AlertResolved: pick(d, nil, &mapping.Item{ID: "al", At: minute(3)}, &mapping.Item{}), Source: mapping.SourceSweep, First: d.IntN(3) == 0,
	}
}

func (d dice) pending() []mapping.Pending {
	all := some(d, make([]mapping.Pending, 4)...)
	for i := range all {
		all[i] = pending(int64(10+i), d.IntN(20), pick(d, mapping.IncidentUpdated, mapping.IncidentAcknowledged, mapping.IncidentResolved, mapping.IncidentReopened, "odd"), mapping.Incident{
			Title: d.text(), Severity: pick(d, "", "info", "critical", "odd"), Status: pick(d, "", "mitigated", "resolved", "odd"), AISummary: d.text(),
			Responders: some(d, mapping.Responder{Role: "owner", Email: "lisa@example.com"}, mapping.Responder{Role: "odd", Name: "X"}),
		})
		all[i].Event.Actor = pick(d, nil, &mapping.Person{Email: "ada@example.com"})
	}
	return all
}

func (d dice) effects() []mapping.Effect {
	var all []mapping.Effect
	for range d.IntN(3) {
		e := mapping.Effect{Severity: d.severity(), Summary: d.text(), Name: d.text(), Message: d.text(), Roles: d.roles()}
		if s := d.status(); d.IntN(2) == 0 {
			e.Status = &s
		}
		all = append(all, e)
	}
	return all
}

// Whatever is looked at, agree must hold, look after look.
func FuzzChanges(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := dice{rand.New(rand.NewPCG(seed, 0))}
		c := base()
		c.Tie.Origin = pick(d, mapping.OriginDeclared, mapping.OriginAttached, mapping.OriginAlertRoute)
		if d.IntN(3) == 0 {
			c.Tie.Agreed = mapping.Agreed{}
		}
		r := c.Rules
		r.Conflict = pick(d, "", mapping.ConflictLatest, mapping.ConflictIncidentIO, mapping.ConflictTigerOps)
		r.PullStatus, r.PullRoles, r.PullEscalations, r.PullTimeline = d.IntN(4) > 0, d.IntN(4) > 0, d.IntN(4) > 0, d.IntN(4) > 0
		r.StatusMapping = pick(d, nil, map[string]string{"mitigated": "Fixing", "odd": "closed", "resolved": "learning"})
		if d.IntN(5) == 0 {
			c.Directory = &mapping.Directory{}
		}
		for range 4 {
			c.Look, c.Pending, c.Open = d.look(), d.pending(), d.effects()
			c.Marks, c.OwnIDs = some(d, "evt_7", ""), map[string]bool{fmt.Sprint("u", d.IntN(1000)): true, "a1": true, "e2": true}
			c.KeyName = pick(d, "", "tigerops")
			c.State.Open, c.State.Acknowledged, c.State.Incident.Status = d.IntN(2) == 0, d.IntN(2) == 0, pick(d, "", "open", "mitigated", "odd")
			if d.IntN(8) == 0 {
				c.State = mapping.State{}
			}
			for _, row := range agree(t, c) {
				if b, err := json.Marshal(row); err != nil || !json.Valid(b) {
					t.Fatalf("%+v does not marshal: %v", row, err)
				}
			}
			_, c.Tie.Agreed = mapping.Changes(c)
		}
	})
}

// Whoever applies the rows ends where incident.io stands, each row going on where the one before it ended: as long as
// people alone act, every state that a look saw is told.
func FuzzChangesAddUp(f *testing.F) {
	for seed := range uint64(100) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := dice{rand.New(rand.NewPCG(seed, 1))}
		c := base()
		status, severity := fmt.Sprint(c.Tie.Agreed.Status.Name), any("SEV1")
		holders := map[string]bool{"Incident Lead/Ada": true}
		told := make(map[string]bool)
		var wrote []string
		for i := range 8 {
			for range d.IntN(4) { // what people do between two looks
				s, v := pick(d, investigating, fixing, monitoring, documenting, closed), pick(d, &sev3, &sev2, &sev1)
				m := fmt.Sprint("message ", seed, i, len(wrote))
				wrote = append(wrote, m)
				person(&c, len(wrote)+1, func(r *mapping.Remote) { r.Status, r.Severity = s, v }, posted("w"+m, len(wrote)+1, m, &s, v))
			}
			c.Look.Remote.Roles = nil
			for _, role := range []mapping.Role{lead, comms} {
				if d.IntN(3) > 0 {
					c.Look.Remote.Roles = append(c.Look.Remote.Roles, mapping.Assignment{Role: role, User: pick(d, userLisa, userAda)})
				}
			}
			rows := agree(t, c)
			_, c.Tie.Agreed = mapping.Changes(c)
			for _, r := range rows {
				if r.Message != "" {
					if told[r.Message] {
						t.Errorf("%q is told twice", r.Message)
					}
					told[r.Message] = true
				}
				switch r.Type {
				case mapping.ChangeStatus, mapping.ChangeResolved, mapping.ChangeReopened:
					if r.Before["incident_io_status"] != status {
						t.Errorf("the row begins at %v, the last one ended at %s", r.Before, status)
					}
					status = r.After["incident_io_status"].(string)
				case mapping.ChangeSeverity:
					if r.Before["incident_io_severity"] != severity {
						t.Errorf("the row begins at %v, the last one ended at %s", r.Before, severity)
					}
					severity = r.After["incident_io_severity"]
				case mapping.ChangeRoleAssigned:
					holders[fmt.Sprint(r.After["incident_io_role"], "/", r.After["name"])] = true
				case mapping.ChangeRoleUnassigned:
					delete(holders, fmt.Sprint(r.Before["incident_io_role"], "/", r.Before["name"]))
				case mapping.ChangeMessage:
				default:
					t.Errorf("a row of type %s", r.Type)
				}
			}
			if status != c.Look.Remote.Status.Name || severity != c.Look.Remote.Severity.Name {
				t.Fatalf("the rows end at %s, %s; incident.io is at %s, %s", status, severity, c.Look.Remote.Status.Name, c.Look.Remote.Severity.Name)
			}
			if len(holders) != len(c.Look.Remote.Roles) {
				t.Fatalf("the rows end with %v; incident.io has %v", holders, c.Look.Remote.Roles)
			}
		}
		if len(told) != len(wrote) {
			t.Errorf("%d of %d messages told", len(told), len(wrote))
		}
	})
}
