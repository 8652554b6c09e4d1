package simulator

import (
	"fmt"
	"strings"
	"time"
)

// What somebody changes in the account's settings while the agent runs.

// AddUser adds a person to the account and returns his id.
func (s *Simulator) AddUser(name, email string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.newID()
	s.settings.users = append(s.settings.users, member{User{ID: id, Name: name, Email: email, Role: "responder", SlackUserID: "U" + id[len(id)-10:]}, true})
	return id
}

// Deactivate makes a person of the account an inactive one, whom lists leave out and nothing can be assigned to.
func (s *Simulator) Deactivate(email string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.settings.userByEmail(email)
	if u == nil {
		return fmt.Errorf("person %q: not in the account", email)
	}
	u.Active = false
	return nil
}

// Remove takes a severity, status, role, type, custom field, option, user, catalog entry, team or escalation path out
// of the settings, by its id or its name. Lists no longer have it and requests that name it are refused, but incidents
// that have it keep showing it.
func (s *Simulator) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.settings
	var all [][2]string // id and name
	for _, v := range a.severities {
		all = append(all, [2]string{v.ID, v.Name})
	}
	for _, v := range a.statuses {
		all = append(all, [2]string{v.ID, v.Name})
	}
	for _, v := range a.roles {
		all = append(all, [2]string{v.ID, v.Name})
	}
	for _, v := range a.types {
		all = append(all, [2]string{v.ID, v.Name})
	}
	for _, v := range a.fields {
		all = append(all, [2]string{v.ID, v.Name})
	}
	for _, v := range a.options {
		all = append(all, [2]string{v.ID, v.Value})
	}
	for _, v := range a.users {
		all = append(all, [2]string{v.ID, v.Email})
	}
	for _, v := range a.entries {
		all = append(all, [2]string{v.ID, v.Name})
	}
	for _, v := range a.teams {
		all = append(all, [2]string{v.ID, v.Name})
	}
	for _, v := range a.paths {
		all = append(all, [2]string{v.ID, v.Name})
	}
	for _, v := range all {
		if (v[0] == name || strings.EqualFold(v[1], name)) && !a.gone[v[0]] {
			a.gone[v[0]] = true
			return nil
		}
	}
	return fmt.Errorf("%q: nothing of that id or name is set up", name)
}

// SetAlertDelay changes how long after its event an alert shows.
func (s *Simulator) SetAlertDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.AlertDelay = d
}

// SetAlertRoute sets an alert route up, or with nil takes it away.
func (s *Simulator) SetAlertRoute(r *AlertRoute) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings.route = r
}

// SetMissingNewerCalls makes the account an older one, or again one that has all calls.
func (s *Simulator) SetMissingNewerCalls(older bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.MissingNewerCalls = older
}

// SetLimits puts other rate limits in force, with full buckets.
func (s *Simulator) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate = newRates(l)
}
