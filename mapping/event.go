package mapping

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// knownTypes are the event types of contract section 3.
var knownTypes = []string{
	IncidentCreated, IncidentUpdated, IncidentAcknowledged, IncidentEscalated, IncidentResolved, IncidentReopened,
	InvestigationStep, RunbookAction, PostmortemReady, AnomalyDetected, SLOBreached,
}

// KnownType says whether an event type is one of contract section 3. An unknown one is stored, and ends skipped.
func KnownType(t string) bool { return slices.Contains(knownTypes, t) }

// FieldError is what is wrong with one member of an event. Field is its path, as in incident.impacted_metrics[1].value;
// it is empty where the whole payload is meant. Index is the event's place in a batch; only the door knows it.
type FieldError struct {
	Index   int    `json:"index"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error implements error: the field and what is wrong with it, on one line.
func (e FieldError) Error() string {
	if e.Field == "" {
		return "the event " + e.Message
	}
	return e.Field + " " + e.Message
}

// Validate says why a payload is refused at the door (contract section 3); none: it is taken. A test POST is taken.
func Validate(payload []byte) []FieldError {
	if fault := unreadable(payload); fault != "" {
		return []FieldError{{Message: fault}}
	}
	_, _, errs := Check(payload)
	return errs
}

// Check is Validate for an event that SplitBatch gave, whose JSON is not looked through once more. It also tells a test
// POST: an empty object or an event of type test; and of an event that is taken what the database need not read again.
func Check(event json.RawMessage) (test bool, known Known, errs []FieldError) {
	ev, o, inc, errs := parse(event, "")
	if len(errs) > 0 {
		return false, Known{}, errs
	}
	if ev.Type != TestEvent && ev.ID == "" && ev.Timestamp.IsZero() {
		errs = append(errs, FieldError{Field: "id", Message: "is required where there is no timestamp: one of the two tells an event from its repeat"})
	}
	if len(errs) > 0 || ev.Type == TestEvent {
		return len(errs) == 0, Known{}, errs
	}
	return false, knownOf(o, inc), nil
}

// plainID is an event id that people can read and that needs no escaping anywhere, unless it is longer than maxPlainID.
var plainID = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)

// maxPlainID is a bound of its own: a regexp that counts to it takes a hundred times the memory.
const maxPlainID = 80

// Reference is a short visible mark of an event: its id if that is plain, else "e-" and 16 hex digits of its SHA-256.
func Reference(eventID string) string {
	if len(eventID) <= maxPlainID && plainID.MatchString(eventID) {
		return eventID
	}
	sum := sha256.Sum256([]byte(eventID))
	return "e-" + hex.EncodeToString(sum[:8])
}

// ParseEvent reads an event in its canonical or flat form. eventID is the id under which it is stored; empty: the one
// that it carries. The errors name every member that is missing or of a wrong type by its path; the event holds what
// could be read all the same. Members that are not known are passed over, and so is all but id, type and timestamp
// of an event whose type is not known.
func ParseEvent(payload []byte, eventID string) (Event, []FieldError) {
	if fault := unreadable(payload); fault != "" {
		return Event{ID: eventID, Raw: payload}, []FieldError{{Message: fault}}
	}
	ev, _, _, errs := parse(payload, eventID)
	return ev, errs
}

// parse is ParseEvent for valid JSON. It also gives the event's members, and those of its incident where there is one.
func parse(payload []byte, eventID string) (ev Event, o, inc object, errs []FieldError) {
	ev = Event{ID: eventID, Raw: payload}
	raw := bytes.TrimSpace(payload)
	if raw[0] != '{' {
		return ev, o, inc, []FieldError{{Message: "must be a JSON object, not " + kindOf(raw)}}
	}
	o = object{errs: &errs}
	if o.read(raw); len(errs) > 0 {
		return ev, o, inc, errs
	}
	if id := o.id("id"); ev.ID == "" {
		ev.ID = id
	}
	ev.Type = typeOf(o)
	switch {
	case len(o.members) == 0:
		ev.Type = TestEvent
		return ev, o, inc, nil
	case ev.Type == TestEvent:
		return ev, o, inc, nil
	case ev.Type == "":
		if key := o.first("type", "event"); !o.absent(key) {
			o.fault(key, "must be a word such as incident.created")
		} else {
			o.fault("type", "is required")
		}
	case len(ev.Type) > maxID:
		o.fault(o.first("type", "event"), "is longer than %d bytes", maxID)
	}
	ev.Timestamp = o.moment("timestamp")
	if KnownType(ev.Type) || ev.Type == "" {
		inc = o.readEvent(&ev)
	} else {
		// Nothing is known of what an unknown type holds, so nothing of it can be wrong.
		var ignored []FieldError
		o.errs = &ignored
		inc = o.readEvent(&ev)
	}
	return ev, o, inc, errs
}

// unreadable says why a payload is not even JSON that a reader may be given; empty: it is.
func unreadable(payload []byte) string {
	switch {
	case !utf8.Valid(payload):
		return "is not UTF-8"
	case depthOf(payload) > maxDepth:
		return "nests too deep"
	case !isJSON(payload):
		return "is not JSON"
	}
	return ""
}

// isJSON tells what encoding/json's Valid does, in less than half the time. A name may come twice.
func isJSON(text []byte) bool {
	return jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// typeOf is the event's type: type, or event in the flat form. Empty where it is no text.
func typeOf(o object) string {
	raw, ok := o.get(o.first("type", "event"))
	if !ok || raw[0] != '"' {
		return ""
	}
	return unquote(raw)
}

// readEvent reads everything beside id, type and timestamp, and notes what the type needs and lacks. It gives the members of
// the incident, none in the flat form.
func (o object) readEvent(ev *Event) (inc object) {
	flat := o.absent("incident")
	if flat {
		o.readIncident(&ev.Incident, true)
	} else if nested, ok := o.object("incident"); ok {
		inc = nested
		inc.readIncident(&ev.Incident, false)
	}
	if ev.Incident.ID == "" {
		ev.Incident.ID = o.id("incident_id")
	}
	if actor, ok := o.object("actor"); ok {
		ev.Actor = &Person{Name: actor.word("name"), Email: actor.word("email")}
	}
	if step, ok := o.object("step"); ok {
		ev.Step = &Step{Kind: step.word("kind"), Title: step.text("title"), Detail: step.text("detail"), URL: step.word("url")}
	}
	if action, ok := o.object("action"); ok {
		ev.Action = &Action{Title: action.text("title"), Status: action.word("status"), Detail: action.text("detail"), URL: action.word("url")}
	}
	if post, ok := o.object("postmortem"); ok {
		ev.Post = post.readPostmortem()
	}
	if flat {
		// A template has no nested objects, but a text in one of two places.
		text := o.text(o.first("message", "description"))
		switch {
		case text == "":
		case ev.Type == InvestigationStep && o.absent("step"):
			ev.Step = &Step{Kind: o.word("kind"), Title: text}
		case ev.Type == RunbookAction && o.absent("action"):
			ev.Action = &Action{Title: text}
		case ev.Type == PostmortemReady && o.absent("postmortem"):
			ev.Post = &Postmortem{TimelineSummary: text}
		}
	}
	o.require(ev, flat)
	return inc
}

func (o object) absent(key string) bool {
	_, ok := o.get(key)
	return !ok
}

// require notes what an event of its type can't do without. What is there, but wrong, was noted already.
func (o object) require(ev *Event, flat bool) {
	need := func(missing bool, message string, paths ...string) {
		noted := slices.ContainsFunc(*o.errs, func(e FieldError) bool { return slices.Contains(paths, e.Field) })
		if missing && !noted {
			o.faultAt(paths[0], "%s", message)
		}
	}
	id := "incident.id"
	if flat && !o.absent("incident_id") {
		id = "incident_id"
	}
	switch ev.Type {
	case "", AnomalyDetected, SLOBreached:
	default:
		need(ev.Incident.ID == "", "is required", id, "incident", "incident_id")
	}
	switch ev.Type {
	case InvestigationStep:
		need(ev.Step == nil, "is required", "step")
		need(ev.Step != nil && ev.Step.Kind == "" && ev.Step.Title == "", "is required, or a title", "step.kind", "step.title")
	case RunbookAction:
		need(ev.Action == nil || ev.Action.Title == "", "is required", "action.title", "action")
	case PostmortemReady:
		need(ev.Post == nil, "is required", "postmortem")
	}
}

// readIncident reads the incident's members, in the flat form from the outermost object.
func (o object) readIncident(i *Incident, flat bool) {
	service := "service"
	if flat {
		service = o.first("service_name", "service")
	} else {
		i.ID = o.id("id")
	}
	i.Title = o.text("title")
	i.Severity = o.word("severity")
	i.Status = o.word("status")
	i.Service = o.word(service)
	i.AffectedServices = o.texts("affected_services")
	i.Team = o.word("team")
	i.Environment = o.word("environment")
	i.URL = o.word("url")
	i.TraceURL = o.word("trace_url")
	i.AISummary = o.text("ai_summary")
	i.RootCause = o.text("root_cause")
	o.objects("impacted_metrics", func(m object) {
		i.ImpactedMetrics = append(i.ImpactedMetrics, Metric{Name: m.needed("name"), Value: m.text("value"), Baseline: m.text("baseline")})
	})
	if slo, ok := o.object("slo"); ok {
		i.SLO = &SLO{Name: slo.word("name"), Status: slo.word("status"), BurnRate: slo.number("error_budget_burn_rate")}
	}
	if d, ok := o.object("deployment"); ok {
		i.Deployment = &Deployment{SHA: d.word("sha"), Service: d.word("service"), URL: d.word("url"), DeployedAt: d.momentPtr("deployed_at")}
	}
	o.objects("responders", func(r object) {
		who := Responder{Role: r.needed("role"), Email: r.word("email"), Name: r.word("name")}
		i.Responders = append(i.Responders, who)
	})
	i.StartedAt = o.momentPtr("started_at")
	i.ResolvedAt = o.momentPtr("resolved_at")
}

func (o object) readPostmortem() *Postmortem {
	p := &Postmortem{ContributingFactors: o.texts("contributing_factors"), TimelineSummary: o.text("timeline_summary")}
	o.objects("action_items", func(a object) {
		p.ActionItems = append(p.ActionItems, ActionItem{
			Title: a.needed("title"), Detail: a.text("detail"), Owner: a.word("owner"), Labels: a.texts("labels"),
		})
	})
	return p
}

// needed is a word that its object can't do without.
func (o object) needed(key string) string {
	s := o.word(key)
	if s == "" {
		if raw, ok := o.get(key); !ok || raw[0] == '"' {
			o.fault(key, "is required")
		}
	}
	return s
}
