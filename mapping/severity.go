package mapping

// ResolveSeverity finds a severity by name, id or rank number, whatever the case.
func ResolveSeverity(name string, d *Directory) (Severity, bool) { return Severity{}, false }

// SeverityFor is the incident.io severity of a TigerOps incident, or nil, with a warning where the mapping fails.
func SeverityFor(st State, r *Rules, d *Directory) (*Severity, string) { return nil, "" }

// BelowMin says whether the incident is below min_severity; an unknown severity is not.
func BelowMin(st State, r *Rules) bool { return false }
