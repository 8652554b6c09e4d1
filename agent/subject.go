package agent

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// Kinds of what a webhook speaks of.
const (
	aboutNothing    = "" // a type that is not known and names no incident
	aboutIncident   = "incident"
	aboutAlert      = "alert"
	aboutEscalation = "escalation"
	aboutPart       = "part" // an action, follow-up or document of a private incident: its id alone, not the incident's
)

// subject is what a webhook speaks of. Nothing of it is believed but the ids: state is fetched.
type subject struct {
	about    string
	id       string   // of the incident, alert, escalation or part
	what     details  // what to fetch beside the incident
	declared []string // TigerOps incidents that the incident's summary names; nil where the payload has no summary
	dedup    string   // an alert's deduplication key, where the payload has it
	private  bool     // the payload holds ids only

	incidents []string // those that an escalation belongs to
	alerts    []string // deduplication keys of the alerts that raised an escalation
}

// group names all webhooks that one fetch settles.
func (s subject) group(eventType string) string {
	if s.about == aboutNothing {
		return "type:" + eventType
	}
	return s.about + ":" + s.id
}

// withoutVersion is an event type without its end: public_incident.incident_created for public_incident.incident_created_v2.
func withoutVersion(eventType string) string {
	if base := strings.TrimRight(eventType, "0123456789"); base != eventType {
		if kind, ok := strings.CutSuffix(base, "_v"); ok {
			return kind
		}
	}
	return eventType
}

// plainType tells that a path in a database's query can name an event type.
func plainType(eventType string) bool {
	return eventType != "" && !strings.ContainsFunc(eventType, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	})
}

// hook is a webhook that waits, with its meaning and without its body.
type hook struct {
	store.Webhook
	subject subject
}

// hookOf reads a webhook of the table, into which a stranger may have put anything.
func hookOf(w store.Webhook) *hook {
	if json.Valid(w.Body) {
		return readHook(w, w.Body)
	}
	return readHook(w, nil)
}

// readHook reads a webhook's body, which is valid JSON. What is missing or of another form than known is passed over, so
// that a webhook of another form holds up no other.
func readHook(w store.Webhook, valid []byte) *hook {
	body := object{mapping.MembersOf(valid)}
	h := &hook{Webhook: w}
	h.Body = nil
	if told := body.text("event_type"); h.EventType == "" && plainType(told) {
		h.EventType = told
	}
	payload := body.object(h.EventType)
	h.subject = subjectOf(h.EventType, payload)
	if h.IncidentID == "" {
		h.IncidentID = incidentOf(h.EventType, payload)
	}
	return h
}

// incidentOf is the incident that people find a webhook under, as the view webhook_meaning tells it; empty for none.
func incidentOf(eventType string, p object) string {
	for _, id := range []string{p.text("incident_id"), p.object("incident").text("id"), p.object("postmortem_document").text("incident_id")} {
		if id != "" {
			return id
		}
	}
	if strings.Contains(eventType, "_incident.incident_") {
		return p.text("id")
	}
	related := append(p.objects("related_incidents"), p.object("escalation").objects("related_incidents")...)
	if len(related) == 0 {
		return ""
	}
	return related[0].text("id")
}

// subjectOf reads a webhook's payload, which stands in its body under the name of its type.
func subjectOf(eventType string, p object) subject {
	private := strings.HasPrefix(eventType, "private_")
	kind := withoutVersion(eventType)
	kind = strings.TrimPrefix(strings.TrimPrefix(kind, "public_"), "private_")

	switch {
	case strings.HasPrefix(kind, "alert."):
		return subject{about: aboutAlert, id: p.text("id"), dedup: p.text("deduplication_key"), private: private}.ifNamed()
	case strings.HasPrefix(kind, "escalation."):
		e := p
		if inner := p.object("escalation"); inner.Members != nil {
			e = inner
		}
		s := subject{about: aboutEscalation, id: e.text("id"), private: private}
		for _, i := range e.objects("related_incidents") {
			s.incidents = append(s.incidents, i.text("id"))
		}
		for _, a := range e.objects("related_alerts") {
			s.alerts = append(s.alerts, a.text("deduplication_key"))
		}
		return s.ifNamed()
	case strings.HasPrefix(kind, "incident.incident_"):
		i := p
		if inner := p.object("incident"); inner.Members != nil {
			i = inner
		}
		return subject{about: aboutIncident, id: i.text("id"), declared: i.declared(), what: ofUpdates, private: private}.ifNamed()
	}

	// What belongs to an incident names it, but for a private one.
	s := subject{about: aboutIncident, id: p.text("incident_id"), private: private}
	for _, inner := range []string{"postmortem_document", "action", "follow_up", "incident_update"} {
		if s.id == "" {
			s.id = p.object(inner).text("incident_id")
		}
	}
	if s.id == "" {
		i := p.object("incident")
		s.id, s.declared = i.text("id"), i.declared()
	}
	switch {
	case strings.HasPrefix(kind, "incident.action_"):
		s.what = ofActions
	case strings.HasPrefix(kind, "incident.follow_up_"):
		s.what = ofFollowUps
	case strings.HasPrefix(kind, "incident.postmortem"):
		s.what = ofPostmortems
	default:
		s.what = ofUpdates
		return s.ifNamed()
	}
	if s.id == "" {
		s.about, s.id = aboutPart, p.text("id")
	}
	return s.ifNamed()
}

// ifNamed is the subject, or none if it lacks an id.
func (s subject) ifNamed() subject {
	if s.id == "" {
		return subject{}
	}
	return s
}

// object is a valid JSON object whose members are read one by one, so that one of an unknown form spoils no other.
type object struct{ mapping.Members }

func (o object) text(name string) (s string) {
	raw, _ := o.Get(name)
	switch {
	case len(raw) == 0 || raw[0] != '"':
		return ""
	case bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw):
		return string(raw[1 : len(raw)-1])
	}
	_ = json.Unmarshal(raw, &s) // valid, as the whole is
	return s
}

// declared are the TigerOps incidents that an incident's summary names; nil where there is no summary. Most summaries
// name none and are long, so the text is not taken out of its quotes for nothing.
func (o object) declared() []string {
	raw, _ := o.Get("summary")
	if len(raw) <= len(`""`) || raw[0] != '"' {
		return nil
	}
	if bytes.Contains(raw, []byte("TigerOps ")) || bytes.Contains(raw, []byte(`\u`)) {
		if all := mapping.DeclaredFor(o.text("summary")); all != nil {
			return all
		}
	}
	return []string{}
}

// object is empty where there is none.
func (o object) object(name string) object {
	raw, _ := o.Get(name)
	return object{mapping.MembersOf(raw)}
}

func (o object) objects(name string) (list []object) {
	var all []json.RawMessage
	if raw, _ := o.Get(name); len(raw) > 0 && raw[0] == '[' {
		_ = json.Unmarshal(raw, &all) // valid, as the whole is
	}
	for _, raw := range all {
		list = append(list, object{mapping.MembersOf(raw)})
	}
	return list
}
