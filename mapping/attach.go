package mapping

// Attach plans the steps that introduce a TigerOps incident to an incident that is there already: its people are told
// on the timeline, and fields, roles and the summary are added beside what they wrote.
func Attach(in Input, remote Remote) []Request { return nil }

// AlikeFilter says by which custom field value and severity an open incident with the same service is found.
func AlikeFilter(in Input) (fieldID, value, severityID string, ok bool) { return "", "", "", false }

// ServiceOf is the incident.io service of a TigerOps incident, mapped by service_mappings.
func ServiceOf(st State, r *Rules) string { return "" }

// DeclaredFor finds the TigerOps incidents that a summary was written for, by the mark at its end.
func DeclaredFor(summary string) []string { return nil }
