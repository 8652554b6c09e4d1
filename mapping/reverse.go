package mapping

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Categories of statuses (facts.md, "Status").
const (
	CategoryTriage   = "triage"
	CategoryLive     = "live"
	CategoryLearning = "learning"
	CategoryPaused   = "paused"
	CategoryClosed   = "closed"
	CategoryDeclined = "declined"
	CategoryCanceled = "canceled"
	CategoryMerged   = "merged"
)

// over says whether an incident of that category is over for TigerOps. A merged one goes on elsewhere, but not here.
func over(category string) bool {
	switch category {
	case CategoryLearning, CategoryClosed, CategoryDeclined, CategoryCanceled, CategoryMerged:
		return true
	}
	return false
}

// StatusFromRemote says what a status of incident.io is called in TigerOps, whose present word is current. Several
// TigerOps statuses may share one there, so current is kept where it fits. Else status_mapping decides, read backwards,
// then the name, then the category.
func StatusFromRemote(remote Status, r *Rules, d *Directory, current string) string {
	if current != "" {
		if s, ok := ResolveStatus(current, r, d); ok && sameStatus(s, remote) {
			return current
		}
	}
	words := slices.Sorted(maps.Keys(r.StatusMapping))
	// The word of the same name goes first where several map onto this status.
	slices.SortStableFunc(words, func(a, b string) int {
		return cmp.Compare(rankOf(strings.EqualFold(a, remote.Name)), rankOf(strings.EqualFold(b, remote.Name)))
	})
	for _, w := range words {
		if to := strings.TrimSpace(r.StatusMapping[w]); to == remote.ID || strings.EqualFold(to, remote.Name) {
			return w
		}
	}
	for _, w := range []string{StatusOpen, StatusAcknowledged, StatusInvestigating, StatusMitigated, StatusResolved} {
		if strings.EqualFold(w, remote.Name) {
			return w
		}
	}
	if remote.Category != CategoryLive && d != nil {
		for _, w := range words {
			if to, ok := findStatus(r.StatusMapping[w], d); ok && to.Category == remote.Category {
				return w
			}
		}
	}
	switch remote.Category {
	case CategoryTriage:
		return StatusOpen
	case CategoryLearning, CategoryClosed, CategoryDeclined, CategoryCanceled:
		return StatusResolved
	case CategoryPaused, CategoryMerged:
		return cmp.Or(current, StatusOpen)
	}
	switch name := strings.ToLower(remote.Name); {
	case like(name, "investigat", "identif", "fix"):
		return StatusInvestigating
	case like(name, "monitor", "mitigat", "stabil"):
		return StatusMitigated
	case remote.Category == CategoryLive:
		return StatusInvestigating
	}
	return cmp.Or(current, StatusOpen)
}

func rankOf(first bool) int {
	if first {
		return 0
	}
	return 1
}

func like(name string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(name, p) })
}

// SeverityFromRemote says what a severity of incident.io is called in TigerOps, whose present word is current. Several
// TigerOps severities may share one there: current is kept where it fits, else the nearest one to current is taken that
// does. Where none maps onto it, it is the one whose own severity is nearest by rank. Of two as near, the more severe
// one. No severity there leaves current as it is.
func SeverityFromRemote(remote *Severity, r *Rules, d *Directory, current string) string {
	if remote == nil {
		return current
	}
	here := severityIndex(current, r)
	type distance struct{ mismatch, rank, steps int64 }
	best, least := current, distance{mismatch: 2}
	for i, word := range slices.Backward(severities(r)) { // the most severe first
		mapped, _ := SeverityFor(State{Incident: Incident{Severity: word}}, r, d)
		if mapped == nil {
			continue
		}
		var dist distance
		if !sameSeverity(mapped, remote) {
			dist.mismatch, dist.rank = 1, max(mapped.Rank-remote.Rank, remote.Rank-mapped.Rank)
		}
		if here >= 0 {
			dist.steps = int64(max(i-here, here-i))
		}
		if i == here {
			word = current // in TigerOps' own spelling
		}
		if cmp.Or(cmp.Compare(dist.mismatch, least.mismatch), cmp.Compare(dist.rank, least.rank), cmp.Compare(dist.steps, least.steps)) < 0 {
			best, least = word, dist
		}
	}
	return best
}

// roleFromRemote says what an incident role is called in TigerOps: role_mapping read backwards, else its own name in
// lower case. Where several words map onto it, it is the one that TigerOps itself uses for that person.
func roleFromRemote(a Assignment, r *Rules, st State) string {
	var words []string
	roles := roleMapping(r)
	for _, w := range slices.Sorted(maps.Keys(roles)) {
		if namesRole(roles[w], a.Role) {
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return strings.ToLower(a.Role.Name)
	}
	email := emailFromRemote(a.User.Email, r)
	for _, resp := range st.Incident.Responders {
		if slices.Contains(words, resp.Role) && email != "" && strings.EqualFold(resp.Email, email) {
			return resp.Role
		}
	}
	return words[0]
}

// namesRole says whether role_mapping means this role by its id, name, type or short form. The type custom means none:
// many roles have it.
func namesRole(name string, role Role) bool {
	return name != "" && (name == role.ID || strings.EqualFold(name, role.Name) || strings.EqualFold(name, role.Shortform) ||
		strings.EqualFold(name, role.Type) && role.Type != "custom")
}

// emailFromRemote is the email by which TigerOps knows somebody: user_mapping read backwards, where it names emails.
func emailFromRemote(email string, r *Rules) string {
	for _, user := range slices.Sorted(maps.Keys(r.Users)) {
		if strings.Contains(user, "@") && strings.EqualFold(r.Users[user], email) {
			return user
		}
	}
	return email
}

func sameStatus(a, b Status) bool {
	if a.ID != "" && b.ID != "" {
		return a.ID == b.ID
	}
	return strings.EqualFold(a.Name, b.Name) && a.Category == b.Category
}

func sameSeverity(a, b *Severity) bool {
	switch {
	case a == nil || b == nil:
		return a == b
	case a.ID != "" && b.ID != "":
		return a.ID == b.ID
	}
	return strings.EqualFold(a.Name, b.Name)
}

func sameUser(a, b User) bool {
	if a.ID != "" && b.ID != "" {
		return a.ID == b.ID
	}
	if a.Email != "" && b.Email != "" {
		return strings.EqualFold(a.Email, b.Email)
	}
	return a == b
}

func sameAssignment(a, b Assignment) bool { return a.Role.ID == b.Role.ID && sameUser(a.User, b.User) }
