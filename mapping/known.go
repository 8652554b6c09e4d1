package mapping

import "unicode/utf8"

// Known is what the door has read of an event and the database need not read again: exactly what SQLite's expressions say
// of the same payload (schema: outbox), or nothing at all where they might say anything else. The zero value is nothing.
type Known struct {
	ID       string
	Type     string
	Incident string // empty: the event names none
	Severity string // the same
}

// knownOf reads what is known of an event that was found good, and of its incident. Only plain strings are known: what
// becomes of numbers, escapes and odd members is for SQLite to say, and so is an id that has to be made from the content.
func knownOf(o, inc object) Known {
	if o.odd || inc.odd {
		return Known{}
	}
	id, idPlain := o.plain("id")
	kind, kindPlain := o.plain("type", "event")
	incident, incidentPlain := inc.plain("id")
	if incident == "" && incidentPlain {
		incident, incidentPlain = o.plain("incident_id")
	}
	severity, severityPlain := inc.plain("severity")
	if severity == "" && severityPlain {
		severity, severityPlain = o.plain("severity")
	}
	if id == "" || kind == "" || !idPlain || !kindPlain || !incidentPlain || !severityPlain {
		return Known{}
	}
	return Known{ID: id, Type: kind, Incident: incident, Severity: severity}
}

// plain is the text of the first of the keys that is there with more than an empty string, for all readers alike; ok is
// false where they might differ on it, or where it is too long to be kept twice.
func (o object) plain(keys ...string) (s string, ok bool) {
	raw, found := o.get(o.first(keys...))
	switch {
	case !found:
		return "", true
	case raw[0] != '"' || len(raw)-2 > maxID || hasEscape(raw) || !utf8.Valid(raw):
		return "", false
	}
	return string(raw[1 : len(raw)-1]), true
}
