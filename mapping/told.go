package mapping

import (
	"maps"
	"slices"
	"strings"
)

// Told is a change of incident.io's that TigerOps was told of, in TigerOps' words. Once TigerOps has applied it, that is
// what it believes: saying the value of before again is news then, and saying nothing leaves the told one in force.
type Told struct {
	Key    string `json:"key,omitempty"` // of the change, as in Change.Key; empty: it needs no applying
	Word   string `json:"word,omitempty"`
	Name   string `json:"name,omitempty"`   // of who holds a role
	Email  string `json:"email,omitempty"`  // theirs, as TigerOps knows it; empty: nobody holds it
	Remote string `json:"remote,omitempty"` // and as incident.io does
}

// Fields of Agreed.Told beside roles, which are named as in Agreed.Overruled.
const (
	fieldSeverity = "severity"
	fieldStatus   = "status"
	fieldRole     = "role:" // and the role's id
)

// tellMoved notes what a person set, and the row just added tells. Where TigerOps' value stands it is not for TigerOps to
// apply: then it only says that the value sent last is not in force any more, and is sent again if need be.
func (w *comparison) tellMoved(field string, v verdict, t Told) {
	if v.stands == "" {
		t.Key = w.rows[len(w.rows)-1].Key
	}
	w.tell(field, t)
}

func (w *comparison) tell(field string, t Told) {
	next := maps.Clone(w.next.Told)
	if next == nil {
		next = make(map[string]Told)
	}
	next[field] = t
	w.next.Told = next
}

// settleTold drops what was told of fields that TigerOps has said something about since. A role that was left to somebody
// else is none of these: TigerOps takes over who holds it once it has applied that.
func (a *Agreed) settleTold(p Pushed) {
	told := maps.Clone(a.Told)
	maps.DeleteFunc(told, func(field string, _ Told) bool {
		role, isRole := strings.CutPrefix(field, fieldRole)
		holder := holderOf(a.Roles, role).Email
		left := isRole && holder != "" && !strings.EqualFold(holder, p.Roles[role])
		return field == fieldSeverity && p.Severity != "" || field == fieldStatus && p.Status != "" || isRole && p.Roles[role] != "" && !left
	})
	if len(told) == 0 {
		told = nil
	}
	a.Told = told
}

// TakeOver takes what TigerOps was told of these fields, and has applied, into its side of the tie.
func TakeOver(t *Tie, s *State, fields []string) {
	told := maps.Clone(t.Agreed.Told)
	for _, field := range fields {
		c, ok := told[field]
		if !ok {
			continue
		}
		delete(told, field)
		switch role, isRole := strings.CutPrefix(field, fieldRole); {
		case field == fieldSeverity && c.Word != "":
			s.Incident.Severity, t.Pushed.Severity = c.Word, c.Word
		case field == fieldStatus && c.Word != "":
			s.Incident.Status, t.Pushed.Status = c.Word, c.Word
		case isRole:
			s.Incident.Responders = slices.DeleteFunc(slices.Clone(s.Incident.Responders), func(r Responder) bool { return r.Role == c.Word })
			t.Pushed.Roles = maps.Clone(t.Pushed.Roles)
			delete(t.Pushed.Roles, role)
			if c.Email != "" {
				s.Incident.Responders = append(s.Incident.Responders, Responder{Role: c.Word, Email: c.Email, Name: c.Name})
				t.Pushed = t.Pushed.With(Pushed{Roles: map[string]string{role: strings.ToLower(c.Remote)}})
			}
		}
	}
	if len(told) == 0 {
		told = nil
	}
	t.Agreed.Told = told
}
