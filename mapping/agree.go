package mapping

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Agree writes what a step of ours changed into the tie: both sides agree on it from here on. answer, if known, is the
// incident as incident.io gave it back; its spelling of what the step set is taken, since incident.io may normalise
// texts. What the step did not touch stays as it was, so that what a person changed meanwhile is still told.
func Agree(t *Tie, e Effect, answer *Remote) {
	a := &t.Agreed
	if e.Status != nil {
		a.Status = *e.Status
	}
	if e.Severity != nil {
		a.Severity = e.Severity
	}
	if e.Name != "" {
		a.Name = e.Name
		if answer != nil {
			a.Name = answer.Name
		}
	}
	if e.Summary != "" {
		a.Summary = e.Summary
		if answer != nil {
			a.Summary = answer.Summary
		}
	}
	for _, set := range e.Roles {
		a.Roles = slices.DeleteFunc(slices.Clone(a.Roles), func(r Assignment) bool { return r.Role.ID == set.Role.ID })
		if answer != nil {
			for _, r := range answer.Roles {
				if r.Role.ID == set.Role.ID {
					set = r
				}
			}
		}
		a.Roles = append(a.Roles, set)
	}
	for id, values := range e.Fields {
		if a.Fields == nil {
			a.Fields = make(map[string][]string)
		}
		a.Fields[id] = values
		if answer != nil {
			a.Fields[id] = answer.Fields[id]
		}
	}
	t.Pushed = t.Pushed.With(e.Pushed)
	a.settleTold(e.Pushed)
}

// With returns p with the members that q sets.
func (p Pushed) With(q Pushed) Pushed {
	if q.Severity != "" {
		p.Severity = q.Severity
	}
	if q.Status != "" {
		p.Status = q.Status
	}
	if q.Title != "" {
		p.Title = q.Title
	}
	if q.Summary != "" {
		p.Summary = q.Summary
	}
	p.Fields = merged(p.Fields, q.Fields)
	p.Roles = merged(p.Roles, q.Roles)
	return p
}

// IsZero says that the step changes nothing of the incident that both sides keep an eye on.
func (e Effect) IsZero() bool {
	return e.Status == nil && e.Severity == nil && len(e.Roles) == 0 && e.Name == "" && e.Summary == "" && len(e.Fields) == 0 && e.Pushed.IsZero()
}

// IsZero says that nothing was pushed yet.
func (p Pushed) IsZero() bool {
	return p.Severity == "" && p.Status == "" && p.Title == "" && p.Summary == "" && len(p.Fields) == 0 && len(p.Roles) == 0
}

func merged(a, b map[string]string) map[string]string {
	if len(b) == 0 {
		return a
	}
	m := make(map[string]string, len(a)+len(b))
	maps.Copy(m, a)
	maps.Copy(m, b)
	return m
}

// Fate is what became of an edit in doubt.
type Fate int

// Fates of an edit.
const (
	EditCame      Fate = iota // what it would set is there, or was before somebody set something else
	EditLost                  // nothing of it is there: it may go out again as it stands
	EditOvertaken             // nothing of it is there, and somebody has set something else since: a repeat would undo that
)

// FateOf tells by what an incident shows now what became of an edit that was in doubt. before is what both sides agree
// on, for an edit of which it was not written down what it found.
func FateOf(e Effect, before Agreed, now Remote) Fate {
	was := e.Was
	if was == nil {
		was = e.Found(before)
	}
	is := e.Found(AgreedOn(now))
	var came, set, lacks, missing, moved bool
	for thing, want := range e.wanted() {
		text := thing != fieldSeverity && !strings.HasPrefix(thing, fieldRole)
		switch is[thing] {
		case want:
			set = set || was[thing] != want
			came = came || text && was[thing] != want
			continue
		case was[thing]:
			missing = true
		default:
			moved = true
		}
		lacks = lacks || text
	}
	// People may set the severity or a role as the edit would, but nobody writes the same.
	came = came || set && !lacks
	// Who writes into a summary mostly leaves in place what is there.
	came = came || e.Summary != "" && is["summary"] != was["summary"] && strings.Contains(letters(now.Summary), letters(e.Summary))
	switch {
	case moved && !came:
		return EditOvertaken
	case missing && !moved:
		return EditLost
	}
	return EditCame
}

// movedSince says whether a look has seen, since an edit in doubt was written down, that something else was set than what it
// found and what it would set. TigerOps knows of that, so that what the edit would set is news then, whoever has set it.
func (e Effect) movedSince(agreed Agreed, thing string) bool {
	was, known := e.Was[thing]
	is := e.Found(agreed)[thing]
	return known && is != was && is != e.wanted()[thing]
}

// Unseen is what is left of an edit in doubt that came, for a tie that agrees on a: where that is what the incident shows
// now, a look has seen the edit and what people have made of it since. What people came back to meanwhile is left to the
// next look, which tells it.
func (e Effect) Unseen(a Agreed, now Remote) Effect {
	known, is, left := e.Found(a), e.Found(AgreedOn(now)), e
	seen := func(thing string) bool { return known[thing] == is[thing] }
	tells := func(thing string) bool { return (seen(thing) || e.movedSince(a, thing)) && !a.stands(thing) }
	if seen("name") {
		left.Name = ""
	}
	if seen("summary") {
		left.Summary = ""
	}
	if tells(fieldSeverity) {
		left.Severity = nil
	}
	left.Roles = slices.DeleteFunc(slices.Clone(e.Roles), func(r Assignment) bool { return tells(fieldRole + r.Role.ID) })
	left.Fields = maps.Clone(e.Fields)
	maps.DeleteFunc(left.Fields, func(id string, _ []string) bool { return seen("field:" + id) })
	return left
}

// UnseenMoves is the same of an update in doubt that came, of whose status and severity a look has seen what people made.
func (e Effect) UnseenMoves(a Agreed) Effect {
	if !a.stands(fieldStatus) {
		e.Status = nil
	}
	if !a.stands(fieldSeverity) {
		e.Severity = nil
	}
	return e
}

// stands says whether TigerOps was told that its own value stands over what people set. Where what is in doubt turns out to
// have come before that, nothing sets the value again, and the next look is to tell what people set.
func (a Agreed) stands(field string) bool {
	t, told := a.Told[field]
	return told && t.Key == ""
}

// Found is what there is, before an edit, of each thing that it would set, in digests.
func (e Effect) Found(a Agreed) map[string]string {
	found := make(map[string]string)
	if e.Name != "" {
		found["name"] = digest(a.Name)
	}
	if e.Summary != "" {
		found["summary"] = digest(letters(a.Summary))
	}
	if e.Severity != nil {
		id := ""
		if a.Severity != nil {
			id = a.Severity.ID
		}
		found[fieldSeverity] = digest(id)
	}
	for _, r := range e.Roles {
		u := holderOf(a.Roles, r.Role.ID)
		found[fieldRole+r.Role.ID] = digest(strings.ToLower(cmp.Or(u.ID, u.Email)))
	}
	for id := range e.Fields {
		found["field:"+id] = digest(a.Fields[id]...)
	}
	return found
}

// wanted is the same once the edit is through.
func (e Effect) wanted() map[string]string {
	return e.Found(Agreed{Name: e.Name, Summary: e.Summary, Severity: e.Severity, Roles: e.Roles, Fields: e.Fields})
}

func holderOf(roles []Assignment, role string) User {
	for _, r := range roles {
		if r.Role.ID == role {
			return r.User
		}
	}
	return User{}
}

func samePerson(a, b User) bool {
	if a.ID != "" && b.ID != "" {
		return a.ID == b.ID
	}
	return strings.EqualFold(a.Email, b.Email)
}

// HasMark says whether a text holds a step's mark as a word of its own, not as part of a longer id.
func HasMark(text, mark string) bool {
	for rest := text; mark != ""; {
		i := strings.Index(rest, mark)
		if i < 0 {
			return false
		}
		before, after := rest[:i], rest[i+len(mark):]
		if (before == "" || !partOfID(before[len(before)-1])) && (after == "" || !partOfID(after[0])) {
			return true
		}
		rest = after
	}
	return false
}

func partOfID(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// AgreedOn is what both sides agree on at the moment of a tie: incident.io's state as it is.
func AgreedOn(r Remote) Agreed {
	return Agreed{
		Status: r.Status, Severity: r.Severity, Roles: slices.Clone(r.Roles), Name: r.Name, Summary: r.Summary,
		Fields: maps.Clone(r.Fields), PostmortemIDs: slices.Clone(r.PostmortemIDs), RemoteUpdatedAt: r.UpdatedAt,
	}
}
