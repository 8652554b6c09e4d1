package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// defaultSeverities are TigerOps' severities where the configuration lists none, least first.
var defaultSeverities = []string{"info", "warning", "critical"}

func severities(r *Rules) []string {
	if len(r.Severities) == 0 {
		return defaultSeverities
	}
	return r.Severities
}

// severityIndex is a TigerOps severity's place among the others, or -1.
func severityIndex(word string, r *Rules) int {
	return slices.IndexFunc(severities(r), func(s string) bool { return strings.EqualFold(s, strings.TrimSpace(word)) })
}

// isTop says whether a TigerOps severity is the most severe one.
func isTop(word string, r *Rules) bool { return severityIndex(word, r) == len(severities(r))-1 }

// BelowMin says whether the incident is below min_severity. One whose severity is not known is not.
func BelowMin(st State, r *Rules) bool {
	have, least := severityIndex(st.Incident.Severity, r), severityIndex(r.MinSeverity, r)
	return have >= 0 && have < least
}

// ResolveSeverity finds a severity by name, id or rank number; names whatever their case.
func ResolveSeverity(name string, d *Directory) (Severity, bool) {
	name = strings.TrimSpace(name)
	if name == "" || d == nil {
		return Severity{}, false
	}
	rank, err := strconv.ParseInt(name, 10, 64)
	for _, fits := range []func(Severity) bool{
		func(s Severity) bool { return s.ID == name },
		func(s Severity) bool { return strings.EqualFold(strings.TrimSpace(s.Name), name) },
		func(s Severity) bool { return err == nil && s.Rank == rank },
	} {
		if i := slices.IndexFunc(d.Severities, fits); i >= 0 {
			return d.Severities[i], true
		}
	}
	return Severity{}, false
}

// SeverityFor is the incident.io severity of a TigerOps incident: as severity_mapping says, else by a like name, else
// by rank from the most severe down; where TigerOps names none, its service's default_severity. It is nil where nothing
// fits, with a warning if the configuration promises otherwise.
func SeverityFor(st State, r *Rules, d *Directory) (*Severity, string) {
	word := strings.TrimSpace(st.Incident.Severity)
	if word == "" {
		rule := serviceRule(st, r)
		if rule == nil || rule.DefaultSeverity == "" {
			return nil, ""
		}
		if s, ok := ResolveSeverity(rule.DefaultSeverity, d); ok {
			return &s, ""
		}
		return nil, fmt.Sprintf("severity left out: incident.io has no severity %q (default_severity of %s)", rule.DefaultSeverity, rule.TigerOps)
	}
	if name, ok := lookup(r.SeverityMapping, word); ok {
		if s, ok := ResolveSeverity(name, d); ok {
			return &s, ""
		}
		return nil, fmt.Sprintf("severity left out: incident.io has no severity %q (severity_mapping of %s)", name, word)
	}
	if s := likeSeverity(word, d); s != nil {
		return s, ""
	}
	if s := rankedSeverity(word, r, d); s != nil {
		return s, ""
	}
	return nil, fmt.Sprintf("severity left out: %s is none of %s and no severity of incident.io is named like it",
		quoted(word), strings.Join(severities(r), ", "))
}

// likeSeverity finds a severity by a like name: the same but for case and punctuation, else one that has it as a word
// ("SEV1 - Critical").
func likeSeverity(word string, d *Directory) *Severity {
	if d == nil || letters(word) == "" {
		return nil
	}
	for _, fits := range []func(string) bool{
		func(name string) bool { return letters(name) == letters(word) },
		func(name string) bool {
			return slices.ContainsFunc(strings.FieldsFunc(name, notWord), func(w string) bool { return strings.EqualFold(w, word) })
		},
	} {
		for _, s := range d.Severities {
			if fits(s.Name) {
				return &s
			}
		}
	}
	return nil
}

func notWord(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// rankedSeverity sets both lists beside each other from the most severe down; TigerOps severities beyond the account's
// share its least one.
func rankedSeverity(word string, r *Rules, d *Directory) *Severity {
	i := severityIndex(word, r)
	if i < 0 || d == nil || len(d.Severities) == 0 {
		return nil
	}
	ranked := slices.SortedStableFunc(slices.Values(d.Severities), func(a, b Severity) int { return cmp.Compare(b.Rank, a.Rank) })
	s := ranked[min(len(severities(r))-1-i, len(ranked)-1)]
	return &s
}

// lookup finds a key of a mapping whatever its case; the exact one first.
func lookup(m map[string]string, key string) (string, bool) {
	if v, ok := m[key]; ok {
		return v, true
	}
	best, found := "", false
	for k := range m { // any order: the least of several that differ in case only is taken
		if strings.EqualFold(strings.TrimSpace(k), strings.TrimSpace(key)) && (!found || k < best) {
			best, found = k, true
		}
	}
	return m[best], found
}

// serviceRule is the entry of service_mappings for the incident's service, or nil.
func serviceRule(st State, r *Rules) *ServiceRule {
	return ruleFor(cmp.Or(append([]string{st.Incident.Service}, st.Incident.AffectedServices...)...), r)
}

func ruleFor(service string, r *Rules) *ServiceRule {
	for i := range r.Services {
		if service != "" && strings.EqualFold(r.Services[i].TigerOps, service) {
			return &r.Services[i]
		}
	}
	return nil
}

// mappedService is what a TigerOps service is called in incident.io.
func mappedService(service string, r *Rules) string {
	if rule := ruleFor(service, r); rule != nil {
		return cmp.Or(rule.IncidentIO, service)
	}
	return service
}

// ServiceOf is the incident.io service of a TigerOps incident: its own service, else the first that it affects, as
// service_mappings calls it.
func ServiceOf(st State, r *Rules) string {
	return mappedService(cmp.Or(append([]string{st.Incident.Service}, st.Incident.AffectedServices...)...), r)
}

// explainSeverity names a severity for people.
func explainSeverity(s *Severity) string { return fmt.Sprintf("severity %s (%s)", s.Name, s.ID) }
