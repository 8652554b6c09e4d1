package mapping

import (
	"cmp"
	"slices"
	"time"
)

// compareRoles tells who took and who gave up a role. A change of person is two rows. The reporter is set by
// incident.io and never told.
func (w *comparison) compareRoles() {
	w.next.Roles = slices.Clone(w.Look.Remote.Roles)
	gone := missing(w.base.Roles, w.Look.Remote.Roles)
	come := missing(w.Look.Remote.Roles, w.base.Roles)

	changed := make(map[string]Role)
	for _, a := range slices.Concat(gone, come) {
		changed[a.Role.ID] = a.Role
	}
	verdicts := make(map[string]verdict)
	for id, role := range changed {
		if w.ownRole(id) {
			verdicts[id] = verdict{agree: true}
			continue
		}
		verdicts[id] = w.roleConflict(role)
	}
	tell := func(a Assignment, c Change, assigned string) {
		v := verdicts[a.Role.ID]
		if v.agree || !w.Rules.PullRoles {
			return
		}
		values := map[string]any{
			"role": roleFromRemote(a, w.Rules, w.State), "incident_io_role": a.Role.Name,
			"name": a.User.Name, "email": emailFromRemote(a.User.Email, w.Rules),
		}
		what := "the role " + a.Role.Name + " to " + cmp.Or(a.User.Name, a.User.Email)
		if c.Type == ChangeRoleAssigned {
			c.After = values
		} else {
			c.Before = values
			what = "the role " + a.Role.Name + " to nobody"
		}
		if c.Type == ChangeRoleUnassigned && holds(come, a.Role.ID) {
			// The row of who took over tells how the conflict went.
			if v.stands != "" {
				return
			}
			v = verdict{}
		}
		w.tellMove(c, v, what, nil, "role", a.Role.ID, cmp.Or(a.User.ID, a.User.Email), assigned)
		told := Told{}
		told.Word, _ = values["role"].(string)
		if c.Type == ChangeRoleAssigned {
			told.Email, _ = values["email"].(string)
			told.Name, told.Remote = a.User.Name, a.User.Email
		}
		w.tellMoved(fieldRole+a.Role.ID, v, told)
	}
	for _, a := range gone {
		tell(a, Change{Type: ChangeRoleUnassigned}, "unassigned")
	}
	for _, a := range come {
		tell(a, Change{Type: ChangeRoleAssigned}, "assigned")
	}
}

// missing are the assignments of a that b lacks, in an order of their own, without the reporter.
func missing(a, b []Assignment) []Assignment {
	var all []Assignment
	for _, x := range a {
		reporter := x.Role.Type == "reporter" || slices.ContainsFunc(b, func(y Assignment) bool { return y.Role.ID == x.Role.ID && y.Role.Type == "reporter" })
		twin := func(y Assignment) bool { return sameAssignment(x, y) }
		if x.Role.ID != "" && !reporter && !slices.ContainsFunc(b, twin) && !slices.ContainsFunc(all, twin) {
			all = append(all, x)
		}
	}
	slices.SortStableFunc(all, func(x, y Assignment) int {
		return cmp.Or(cmp.Compare(x.Role.ID, y.Role.ID), cmp.Compare(x.User.ID, y.User.ID), cmp.Compare(x.User.Email, y.User.Email))
	})
	return all
}

func holds(all []Assignment, roleID string) bool {
	return slices.ContainsFunc(all, func(a Assignment) bool { return a.Role.ID == roleID })
}

// ownRole says whether the role is held as a step under way would have it.
func (w *comparison) ownRole(id string) bool {
	for _, e := range w.Open {
		for _, a := range e.Roles {
			if a.Role.ID == id && !e.movedSince(w.base, fieldRole+id) && slices.ContainsFunc(w.Look.Remote.Roles, func(r Assignment) bool { return sameAssignment(a, r) }) {
				return true
			}
		}
	}
	return false
}

// compareSummary tells what people wrote into the summary.
func (w *comparison) compareSummary() {
	remote, base := w.Look.Remote.Summary, w.base.Summary
	w.next.Summary = remote
	own := func(e Effect) bool { return e.Summary != "" && letters(e.Summary) == letters(remote) }
	if flatten(base) == flatten(remote) || slices.ContainsFunc(w.Open, own) || base == "" && w.old(time.Time{}) {
		return
	}
	verdict := w.summaryConflict()
	if !w.Rules.PullTimeline {
		return
	}
	c := Change{Type: ChangeSummary, Before: map[string]any{"summary": base}, After: map[string]any{"summary": remote}}
	w.tellMove(c, verdict, "TigerOps' part of the summary", nil, "summary", remote)
}

// compareName takes a new name over without a row of its own; only how a conflict about it went is told.
func (w *comparison) compareName() {
	remote, base := w.Look.Remote.Name, w.base.Name
	w.next.Name = remote
	own := func(e Effect) bool { return e.Name == remote }
	if base == "" || remote == base || slices.ContainsFunc(w.Open, own) {
		return
	}
	v := w.nameConflict()
	if v == (verdict{}) || !w.Rules.PullTimeline {
		return
	}
	c := Change{Type: ChangeMessage}
	if v.note != "" {
		c.Message = "The name was set to " + line(remote) + " in incident.io."
	}
	w.tellMove(c, v, "the name to "+line(remote), nil, "name", remote)
}
