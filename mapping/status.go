package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// statusNames are parts of names by which a live status fits one of TigerOps' words, the best first.
var statusNames = map[string][]string{
	StatusAcknowledged:  {"acknowledg", "investigat", "identif"},
	StatusInvestigating: {"investigat", "identif"},
	StatusMitigated:     {"mitigat", "monitor", "stabil"},
}

// ResolveStatus maps a TigerOps status to the account's: as status_mapping says, by name, id or category; else
// acknowledged, investigating and mitigated to the first live status that fits by name, resolved to the first
// post-incident (learning) one, else closed, and any other word but open to the status of the same name.
func ResolveStatus(tigeropsStatus string, r *Rules, d *Directory) (Status, bool) {
	word := strings.ToLower(strings.TrimSpace(tigeropsStatus))
	if word == "" || d == nil {
		return Status{}, false
	}
	if r != nil {
		if name, ok := lookup(r.StatusMapping, word); ok {
			return findStatus(name, d)
		}
	}
	for _, part := range statusNames[word] {
		for _, s := range inCategory(CategoryLive, d) {
			if strings.Contains(strings.ToLower(s.Name), part) {
				return s, true
			}
		}
	}
	switch word {
	case StatusOpen:
		return Status{}, false
	case StatusResolved:
		ends := append(inCategory(CategoryLearning, d), inCategory(CategoryClosed, d)...)
		if len(ends) == 0 {
			return Status{}, false
		}
		return ends[0], true
	}
	for _, category := range []string{CategoryLive, CategoryLearning, CategoryClosed} {
		for _, s := range inCategory(category, d) {
			if letters(s.Name) == letters(word) {
				return s, true
			}
		}
	}
	return Status{}, false
}

// findStatus finds a status by id, name or category.
func findStatus(name string, d *Directory) (Status, bool) {
	name = strings.TrimSpace(name)
	for _, s := range d.Statuses {
		if s.ID == name {
			return s, true
		}
	}
	// The same name may stand in several flows: the least rank first.
	ranked := slices.SortedStableFunc(slices.Values(d.Statuses), byRank)
	for _, s := range ranked {
		if strings.EqualFold(strings.TrimSpace(s.Name), name) {
			return s, true
		}
	}
	category := strings.ToLower(name)
	switch category {
	case "active":
		category = CategoryLive
	case "post-incident", "post_incident", "postincident", "post incident":
		category = CategoryLearning
	}
	if all := inCategory(category, d); len(all) > 0 {
		return all[0], true
	}
	return Status{}, false
}

func byRank(a, b Status) int { return cmp.Compare(a.Rank, b.Rank) }

// inCategory is the statuses of a category by rank.
func inCategory(category string, d *Directory) []Status {
	var all []Status
	for _, s := range d.Statuses {
		if s.Category == category {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, byRank)
	return all
}

// StatusPath is the legal way from one status to another (facts.md, "Status"): nil, true when there already; false when
// there is none. Within a category every move is allowed, triage and live become learning or closed, learning
// becomes closed; nothing is ever opened again, and only people accept an incident out of triage. So every way that
// there is takes one hop.
func StatusPath(from, to Status, _ *Directory) ([]Status, bool) {
	if from.ID == to.ID {
		return nil, true
	}
	legal := from.Category == to.Category
	switch from.Category {
	case CategoryTriage, CategoryLive:
		legal = legal || to.Category == CategoryLearning || to.Category == CategoryClosed
	case CategoryLearning:
		legal = legal || to.Category == CategoryClosed
	case CategoryMerged: // its statuses are not anybody's to choose
		legal = false
	}
	if !legal {
		return nil, false
	}
	return []Status{to}, true
}

// explainStatus names a status for people.
func explainStatus(s Status) string {
	return fmt.Sprintf("status %s (%s, %s)", s.Name, s.Category, s.ID)
}
