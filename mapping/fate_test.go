package mapping_test

import (
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

func TestWhatBecameOfAnEditInDoubt(t *testing.T) {
	t.Parallel()
	lead := mapping.Role{ID: "role-lead", Type: "lead"}
	held := func(email string) []mapping.Assignment {
		return []mapping.Assignment{{Role: lead, User: mapping.User{ID: "user-" + email, Email: email}}}
	}
	before := mapping.Agreed{Name: "Slow", Summary: "It is slow.", Roles: held("ada@example.com")}
	edit := mapping.Effect{Name: "Down", Summary: "It is down.", Roles: held("lisa@example.com")}
	edit.Was = edit.Found(before)
	came := mapping.Remote{Name: "Down", Summary: "It is *down*.", Roles: held("lisa@example.com")}
	lost := mapping.Remote{Name: "Slow", Summary: "It is slow.", Roles: held("ada@example.com")}
	with := func(r mapping.Remote, change func(*mapping.Remote)) mapping.Remote { change(&r); return r }
	for name, c := range map[string]struct {
		now  mapping.Remote
		want mapping.Fate
	}{
		"it came": {came, mapping.EditCame},
		"it came, and somebody wrote on": {
			with(came, func(r *mapping.Remote) { r.Summary += "\n\nCall the bank." }), mapping.EditCame,
		},
		"it came, and somebody set something else": {
			with(came, func(r *mapping.Remote) { r.Roles = held("linus@example.com") }), mapping.EditCame,
		},
		"it never came": {lost, mapping.EditLost},
		"it never came, and somebody wrote on": {
			with(lost, func(r *mapping.Remote) { r.Summary += "\n\nCall the bank." }), mapping.EditOvertaken,
		},
		"it never came, and somebody set something else": {
			with(lost, func(r *mapping.Remote) { r.Roles = nil }), mapping.EditOvertaken,
		},
	} {
		// What was agreed on since, by a look that saw it all, changes nothing about it.
		for _, since := range []mapping.Agreed{before, mapping.AgreedOn(c.now)} {
			if got := mapping.FateOf(edit, since, c.now); got != c.want {
				t.Errorf("%s: got %v, want %v", name, got, c.want)
			}
		}
	}
	// incident.io shows some people's email and not others'.
	role := mapping.Effect{Roles: edit.Roles}
	role.Was = role.Found(before)
	shy := mapping.Remote{Roles: []mapping.Assignment{{Role: lead, User: mapping.User{ID: "user-lisa@example.com"}}}}
	if got := mapping.FateOf(role, before, shy); got != mapping.EditCame {
		t.Errorf("it came, and the email of who holds the role is not shown: got %v, want %v", got, mapping.EditCame)
	}
	old := edit
	old.Was = nil // written down by a version that did not keep it
	if got := mapping.FateOf(old, before, lost); got != mapping.EditLost {
		t.Errorf("without what it found: got %v, want %v", got, mapping.EditLost)
	}
}

// Whoever sets the severity or a role sets it as the edit would: that says nothing of the texts.
func TestWhatBecameOfAnEditInDoubtOfWhichPeopleSetAPart(t *testing.T) {
	t.Parallel()
	severity := func(id string) *mapping.Severity { return &mapping.Severity{ID: id, Name: id} }
	held := func(id string) []mapping.Assignment {
		return []mapping.Assignment{{Role: mapping.Role{ID: "role-lead", Type: "lead"}, User: mapping.User{ID: id}}}
	}
	before := mapping.Agreed{Summary: "It is slow.", Severity: severity("minor")}
	edit := mapping.Effect{Summary: "It is slow.\n\n---\n\nThe disk.", Severity: severity("critical"), Roles: held("ada")}
	edit.Was = edit.Found(before)
	for name, c := range map[string]struct {
		now  mapping.Remote
		want mapping.Fate
	}{
		"nothing else": {mapping.Remote{Summary: before.Summary, Severity: edit.Severity}, mapping.EditLost},
		"and another lead": {
			mapping.Remote{Summary: before.Summary, Severity: edit.Severity, Roles: held("lisa")}, mapping.EditOvertaken,
		},
		"and wrote": {
			mapping.Remote{Summary: "Call the bank.", Severity: edit.Severity, Roles: held("ada")}, mapping.EditOvertaken,
		},
		"it came, and another lead": {
			mapping.Remote{Summary: edit.Summary, Severity: edit.Severity, Roles: held("lisa")}, mapping.EditCame,
		},
	} {
		if got := mapping.FateOf(edit, before, c.now); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// An introduction to an incident that an alert route made may set nothing but a severity.
func TestWhatBecameOfASeverityInDoubt(t *testing.T) {
	t.Parallel()
	severity := func(id string) *mapping.Severity { return &mapping.Severity{ID: id, Name: id} }
	before := mapping.Agreed{Severity: severity("minor")}
	edit := mapping.Effect{Severity: severity("critical")}
	edit.Was = edit.Found(before)
	for name, c := range map[string]struct {
		now  *mapping.Severity
		want mapping.Fate
	}{
		"it came":                        {severity("critical"), mapping.EditCame},
		"it never came":                  {severity("minor"), mapping.EditLost},
		"somebody set another meanwhile": {severity("major"), mapping.EditOvertaken},
		"somebody took it off meanwhile": {nil, mapping.EditOvertaken},
	} {
		if got := mapping.FateOf(edit, before, mapping.Remote{Severity: c.now}); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
