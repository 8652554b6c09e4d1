package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// defaultRoles is role_mapping where the configuration has none.
var defaultRoles = map[string]string{"owner": "lead"}

func roleMapping(r *Rules) map[string]string {
	if r.Roles == nil {
		return defaultRoles
	}
	return r.Roles
}

// findRole finds an incident role by id, name, short form or type.
func findRole(name string, d *Directory) (Role, bool) {
	name = strings.TrimSpace(name)
	for _, fits := range []func(Role) bool{
		func(r Role) bool { return r.ID == name },
		func(r Role) bool { return strings.EqualFold(strings.TrimSpace(r.Name), name) },
		func(r Role) bool { return namesRole(name, r) },
	} {
		if i := slices.IndexFunc(d.Roles, fits); i >= 0 {
			return d.Roles[i], true
		}
	}
	return Role{}, false
}

// emailOf is the email by which incident.io knows somebody of TigerOps; empty if there is none.
func emailOf(email, name string, r *Rules) string {
	for _, key := range []string{email, name} {
		if key = strings.TrimSpace(key); key != "" {
			if to, ok := lookup(r.Users, key); ok && to != "" {
				return strings.ToLower(strings.TrimSpace(to))
			}
		}
	}
	if email = strings.ToLower(strings.TrimSpace(email)); strings.Contains(email, "@") {
		return email
	}
	return ""
}

// candidate is somebody of TigerOps who should hold a role.
type candidate struct {
	word    string // TigerOps' role
	to      string // role_mapping's
	who     Person
	implied bool // who acknowledged, where TigerOps names no owner: never takes the role from somebody
}

// candidates is the responders whose role is mapped, in TigerOps' order, the actor of an acknowledgement behind them.
func candidates(st State, ev Event, r *Rules) []candidate {
	var all []candidate
	owner := false
	for _, resp := range st.Incident.Responders {
		if to, ok := lookup(roleMapping(r), resp.Role); ok && to != "" {
			all = append(all, candidate{word: resp.Role, to: to, who: Person{Name: resp.Name, Email: resp.Email}})
			owner = owner || strings.EqualFold(resp.Role, "owner")
		}
	}
	if to, ok := lookup(roleMapping(r), "owner"); ok && to != "" && !owner && ev.Type == IncidentAcknowledged && ev.Actor != nil {
		all = append(all, candidate{word: "owner", to: to, who: *ev.Actor, implied: true})
	}
	return all
}

// roleChange is what is to be sent of the roles.
type roleChange struct {
	entries []roleEntry
	set     []Assignment
	pushed  map[string]string
	held    map[string]string
	explain []string
}

// roleChanges compares TigerOps' responders with what it told before and with who holds the roles. Somebody who is not
// in incident.io, or whose lookup failed, is named to the people of the incident; nobody's role is ever cleared.
// onlyVacant passes over roles that somebody holds.
func (p *planner) roleChanges(onlyVacant bool) roleChange {
	c := roleChange{pushed: map[string]string{}, held: map[string]string{}}
	taken := make(map[string]string) // role id to the email it goes to in this plan
	for _, cand := range candidates(p.st, p.in.Event, p.rules) {
		role, ok := findRole(cand.to, p.dir)
		switch {
		case !ok:
			p.roleProblem(cand, fmt.Sprintf("incident.io has no role %s", quoted(cand.to)), false)
			continue
		case role.Type == "reporter":
			p.roleProblem(cand, "incident.io assigns the reporter by itself", false)
			continue
		}
		email := emailOf(cand.who.Email, cand.who.Name, p.rules)
		if email == "" {
			p.roleProblem(cand, "no email is known", true)
			continue
		}
		if other, ok := taken[role.ID]; ok {
			if other != email {
				p.roleProblem(cand, fmt.Sprintf("the role %s holds one person", role.Name), false)
			}
			continue
		}
		if p.tie != nil && p.tie.Pushed.Roles[role.ID] == email {
			taken[role.ID] = email
			continue
		}
		user, ok := p.dir.Users[email]
		if !ok && p.dir.UsersPending[email] != "" {
			continue
		}
		if !ok {
			why := "there is no such user in incident.io"
			if failed := p.dir.UsersUnknown[email]; failed != "" {
				why = "the lookup in incident.io failed (" + failed + ")"
			}
			p.roleProblem(cand, why, true)
			continue
		}
		taken[role.ID] = email
		if p.tie != nil {
			holder := holderOf(p.tie.Agreed.Roles, role.ID)
			vacant := holder == User{}
			own := !vacant && p.tie.Pushed.Roles[role.ID] != "" && strings.EqualFold(holder.Email, p.tie.Pushed.Roles[role.ID])
			if !vacant && samePerson(holder, user) || p.overruled("role:"+role.ID) || (onlyVacant || cand.implied) && !vacant && !own {
				c.held[role.ID] = email
				continue
			}
		}
		user.Email = cmp.Or(user.Email, email)
		c.entries = append(c.entries, roleEntry{Role: role.ID, Assignee: assignee{ID: user.ID}})
		c.set = append(c.set, Assignment{Role: role, User: user})
		c.pushed[role.ID] = email
		c.explain = append(c.explain, fmt.Sprintf("role %s (%s) = %s <%s> (%s)", role.Name, role.ID, cmp.Or(user.Name, cand.who.Name), email, user.ID))
	}
	return c
}

// roleProblem warns of a responder who could not be assigned, if this event tells of them; tell names them on the
// incident too.
func (p *planner) roleProblem(c candidate, why string, tell bool) {
	before := candidates(p.in.Before, Event{}, p.rules)
	if !p.introduced && !c.implied && slices.ContainsFunc(before, func(b candidate) bool { return b.word == c.word && b.who == c.who }) {
		return
	}
	name := flat(c.who.Name)
	switch {
	case name == "":
		name = flat(c.who.Email)
	case c.who.Email != "":
		name += " (" + flat(c.who.Email) + ")"
	}
	name = cut(cmp.Or(name, "somebody without a name"), 200)
	p.warn(fmt.Sprintf("%s not assigned as %s: %s", name, c.word, why))
	// A plan comes by here twice where the declaration and what follows it are planned at once.
	if told := fmt.Sprintf("- %s, %s in TigerOps: %s", inline(name), inline(c.word), inline(why)); tell && !slices.Contains(p.people, told) {
		p.people = append(p.people, told)
	}
}
