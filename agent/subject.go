package agent

import (
	"encoding/json"
	"regexp"
	"strings"

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
	about   string
	id      string  // of the incident, alert, escalation or part
	what    details // what to fetch beside the incident
	summary string  // of the incident, where the payload has it
	dedup   string  // an alert's deduplication key, where the payload has it
	private bool    // the payload holds ids only

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

// typeVersion ends an event type: public_incident.incident_created_v2.
var typeVersion = regexp.MustCompile(`_v[0-9]+$`)

// subjectOf reads a webhook's payload, which stands under the name of its type. What is missing or of another form
// than known is passed over.
func subjectOf(w store.Webhook) subject {
	var body object
	if json.Unmarshal(w.Body, &body) != nil {
		return subject{}
	}
	p := body.object(w.EventType)
	private := strings.HasPrefix(w.EventType, "private_")
	kind := typeVersion.ReplaceAllString(w.EventType, "")
	kind = strings.TrimPrefix(strings.TrimPrefix(kind, "public_"), "private_")

	switch {
	case strings.HasPrefix(kind, "alert."):
		return subject{about: aboutAlert, id: p.text("id"), dedup: p.text("deduplication_key"), private: private}.ifNamed()
	case strings.HasPrefix(kind, "escalation."):
		e := p
		if inner := p.object("escalation"); inner != nil {
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
		if inner := p.object("incident"); inner != nil {
			i = inner
		}
		return subject{about: aboutIncident, id: i.text("id"), summary: i.text("summary"), what: ofUpdates, private: private}.ifNamed()
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
		s.id, s.summary = i.text("id"), i.text("summary")
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

// object is a JSON object whose members are read one by one, so that one of an unknown form spoils no other.
type object map[string]json.RawMessage

func (o object) text(name string) string {
	var s string
	_ = json.Unmarshal(o[name], &s)
	return s
}

func (o object) object(name string) object {
	var inner object
	_ = json.Unmarshal(o[name], &inner)
	return inner
}

func (o object) objects(name string) []object {
	var list []object
	_ = json.Unmarshal(o[name], &list)
	return list
}
