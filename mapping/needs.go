package mapping

import (
	"slices"
)

// Needs is what Plan will look for in Directory.Users and Directory.Entries.
type Needs struct {
	Emails       []string // lower case, sorted
	CatalogTypes []string // catalog type ids, sorted
}

// Want says what a plan for this input needs to know of the account beyond its short lists, which in.Directory holds
// already. It asks for no more: each email is a request.
func Want(in Input) Needs {
	p := newPlanner(in)
	var n Needs
	for _, c := range candidates(p.st, in.Event, p.rules) {
		email := emailOf(c.who.Email, c.who.Name, p.rules)
		if role, ok := findRole(c.to, p.dir); ok && p.tie != nil && p.tie.Pushed.Roles[role.ID] == email {
			continue // told already
		}
		n.Emails = append(n.Emails, email)
	}
	if in.Event.Type == PostmortemReady && in.Event.Post != nil && p.rules.PushPostmortem {
		for _, item := range followUps(in.Event.Post) {
			n.Emails = append(n.Emails, emailOf(item.Owner, item.Owner, p.rules))
		}
	}
	n.Emails = sortedWords(n.Emails)
	found, _ := fieldMappings(p.rules, p.dir)
	for _, f := range found {
		if f.field.CatalogType != "" && valueOf(f.key, p.st, p.rules).told() {
			n.CatalogTypes = append(n.CatalogTypes, f.field.CatalogType)
		}
	}
	if f, ok := findField(p.rules.ServiceField, p.dir); ok && f.CatalogType != "" && ServiceOf(p.st, p.rules) != "" {
		n.CatalogTypes = append(n.CatalogTypes, f.CatalogType)
	}
	n.CatalogTypes = sortedWords(n.CatalogTypes)
	return n
}

// sortedWords sorts, and drops repeats and empty words.
func sortedWords(words []string) []string {
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	slices.Sort(words)
	return slices.Compact(words)
}
