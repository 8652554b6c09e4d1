package mapping

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Mend answers a definite refusal (422, 404, 409) that blames a field: the request without that part, and a one-line
// warning that says what was left out. Where the field is not known, or none is named, the optional parts go one by
// one: custom fields, roles, severity, type, status, summary. It keeps the key, since what was refused was not applied,
// and Effect.Pushed, so that what was refused is not offered again with every event.
//
// It is false when nothing is left that is worth sending. A warning then says that the event can go on without the
// step; without one the refusal is the event's own. Every mended request is smaller than the one before, or goes on in
// a fixed list of statuses, so that mending ends.
func Mend(req Request, code, field, message string, in Input) (Request, string, bool) {
	m := mending{req: req, in: in, said: reason(code, message)}
	m.head, m.index = blamed(field)
	m.req.Effect.Fields = maps.Clone(req.Effect.Fields)
	switch req.Call {
	case CreateIncident:
		return m.create()
	case EditIncident:
		return m.edit()
	case CreateUpdate:
		return m.update()
	case CreateTimeline:
		return m.timeline()
	case CreateFollowUp:
		return m.followUp()
	case CreateAction:
		return m.action()
	case ImportPostmortem:
		return m.document()
	case AlertEvent:
		return m.alert()
	case CreateEscalation:
		return m.escalation()
	case CreateOption:
		return req, m.leftOut("option " + quoted(req.Mark)), false
	case CreateAlertNote:
		return req, m.leftOut("alert note"), false
	}
	return req, "", false
}

// mending is one refusal: what it blames, and why.
type mending struct {
	req   Request
	in    Input
	head  string // the blamed member, e.g. custom_field_entries; empty: none
	index int    // its place in a list, -1 if not told
	said  string
}

// blamed takes a path such as incident.custom_field_entries[0].values.0.value_option_id apart.
func blamed(field string) (head string, index int) {
	index = -1
	for _, t := range strings.FieldsFunc(field, func(r rune) bool { return r == '.' || r == '[' || r == ']' || r == '/' || r == '$' }) {
		n, err := strconv.Atoi(t)
		switch {
		case head == "" && (t == "incident" || t == "body" || t == "payload" || err == nil):
		case head == "":
			head = t
		case index < 0 && err == nil && n >= 0:
			index = n
		}
	}
	return head, index
}

// reason is what incident.io said, on one line.
func reason(code, message string) string {
	return cut(cmp.Or(flat(message), flat(code), "no reason given"), 200)
}

func (m *mending) leftOut(what string) string {
	return flat(what + " left out: incident.io refused it: " + m.said)
}

// done is the mended request.
func (m *mending) done(body any, warning string) (Request, string, bool) {
	m.req.Body = encoded(body)
	return m.req, warning, true
}

// optionalParts is the order in which parts go where no field is to blame.
var optionalParts = []string{
	"custom_field_entries", "incident_role_assignments", "severity_id", "incident_type_id", "incident_status_id", "summary",
}

// drop takes the blamed part out of a declaration or an edit. It is false if the part is not there, or has to be.
func (m *mending) drop(parts *incidentParts, head string, index int) (what string, ok bool) {
	e := &m.req.Effect
	switch head {
	case "custom_field_entries":
		if len(parts.Fields) == 0 {
			return "", false
		}
		if index < 0 || index >= len(parts.Fields) {
			index = slices.IndexFunc(parts.Fields, func(f fieldEntry) bool { return strings.Contains(m.said, f.Field) })
		}
		gone := parts.Fields
		if index < 0 {
			what, parts.Fields = "custom fields "+m.fieldNames(gone), nil
		} else {
			gone = parts.Fields[index : index+1 : index+1]
			what, parts.Fields = "custom field "+m.fieldNames(gone), slices.Concat(parts.Fields[:index], parts.Fields[index+1:])
		}
		for _, f := range gone {
			delete(e.Fields, f.Field)
		}
	case "incident_role_assignments", "assignee":
		if len(parts.Roles) == 0 {
			return "", false
		}
		gone := parts.Roles
		if index >= 0 && index < len(parts.Roles) {
			gone = parts.Roles[index : index+1 : index+1]
			what, parts.Roles = "role "+m.roleNames(gone), slices.Concat(parts.Roles[:index], parts.Roles[index+1:])
		} else {
			what, parts.Roles = "roles "+m.roleNames(gone), nil
		}
		e.Roles = slices.DeleteFunc(slices.Clone(e.Roles), func(a Assignment) bool {
			return slices.ContainsFunc(gone, func(r roleEntry) bool { return r.Role == a.Role.ID })
		})
	case "severity_id", "to_severity_id", "severity":
		if parts.Severity == "" {
			return "", false
		}
		what, parts.Severity = "severity", ""
		if e.Severity != nil {
			what += " " + e.Severity.Name
		}
		e.Severity = nil
	case "incident_type_id", "incident_type":
		if parts.Type == "" {
			return "", false
		}
		what, parts.Type = "incident type "+quoted(m.rules().IncidentType), ""
	case "incident_status_id", "to_incident_status_id", "incident_status":
		if parts.Status == "" {
			return "", false
		}
		what, parts.Status = "status", ""
		if e.Status != nil {
			what += " " + e.Status.Name
		}
		e.Status = nil
	case "summary":
		const enough = 2_000
		if parts.Summary == "" {
			return "", false
		}
		if utf8.RuneCountInString(parts.Summary) > enough+200 && m.req.Call == CreateIncident {
			mark := markLine(m.in.State.Incident.ID)
			parts.Summary = paragraphs(cut(parts.Summary, enough), mark)
			e.Summary = parts.Summary
			return "part of the summary", true
		}
		what, parts.Summary, e.Summary = "summary", "", ""
	case "name":
		switch {
		case parts.Name == "":
			return "", false
		case utf8.RuneCountInString(parts.Name) > 100:
			what, parts.Name = "part of the name", cut(parts.Name, 100)
		default:
			what, parts.Name = "name", ""
		}
		e.Name = parts.Name
	default:
		return "", false
	}
	return what, true
}

// dropBlamed drops what is blamed, else the next optional part.
func (m *mending) dropBlamed(parts *incidentParts) (what string, ok bool) {
	if what, ok = m.drop(parts, m.head, m.index); ok {
		return what, ok
	}
	for _, head := range optionalParts {
		if what, ok = m.drop(parts, head, -1); ok {
			return what, ok
		}
	}
	return "", false
}

func (m *mending) create() (Request, string, bool) {
	var b createBody
	// A private incident never becomes a public one, and the key is what makes it one incident.
	if m.head == "visibility" || m.head == "idempotency_key" || json.Unmarshal(m.req.Body, &b) != nil {
		return m.req, "", false
	}
	if m.head == "severity_id" {
		// What stands in for a severity that TigerOps told was not told by it: another is sent once one fits.
		if pushed := &m.req.Effect.Pushed; b.Severity == "" || pushed.Severity == "" {
			next, ok := m.nextSeverity(b.Severity)
			refused := b.Severity != ""
			if !ok {
				return m.req, "", false
			}
			b.Severity, m.req.Effect.Severity, pushed.Severity = next.ID, &next, ""
			why := ", since incident.io declares nothing without one: it said: "
			if refused {
				why = " in the place of the one that incident.io refused: it said: "
			}
			return m.done(b, flat("severity "+next.Name+why+m.said))
		}
	}
	what, ok := m.dropBlamed(&b.incidentParts)
	if !ok {
		return m.req, "", false
	}
	return m.done(b, m.leftOut(what))
}

// nextSeverity is what a declaration is made with where incident.io takes none without a severity, and TigerOps' has no
// counterpart or was refused: by rank, else as if it were at min_severity, else the least one; and the others behind
// one that was refused, too.
func (m *mending) nextSeverity(refused string) (Severity, bool) {
	d, r := m.in.Directory, m.rules()
	if d == nil {
		return Severity{}, false
	}
	atLeast := m.in.State
	atLeast.Incident.Severity = r.MinSeverity
	least, _ := SeverityFor(atLeast, r, d)
	var list []Severity
	for _, s := range []*Severity{rankedSeverity(m.in.State.Incident.Severity, r, d), least} {
		if s != nil && !slices.Contains(list, *s) {
			list = append(list, *s)
		}
	}
	for _, s := range slices.SortedStableFunc(slices.Values(d.Severities), func(a, b Severity) int { return cmp.Compare(a.Rank, b.Rank) }) {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	next := slices.IndexFunc(list, func(s Severity) bool { return s.ID == refused }) + 1
	if next >= len(list) {
		return Severity{}, false
	}
	return list[next], true
}

func (m *mending) edit() (Request, string, bool) {
	var b editBody
	if json.Unmarshal(m.req.Body, &b) != nil {
		return m.req, "", false
	}
	what, ok := m.dropBlamed(&b.Incident)
	if !ok || b.Incident.empty() {
		return m.req, m.leftOut(cmp.Or(what, m.req.Name)), false
	}
	return m.done(b, m.leftOut(what))
}

func (m *mending) update() (Request, string, bool) {
	var b updateBody
	if m.head == "idempotency_key" || m.head == "incident_id" || json.Unmarshal(m.req.Body, &b) != nil {
		return m.req, "", false
	}
	e := &m.req.Effect
	if b.Status != "" && (strings.Contains(m.head, "status") || m.head == "" && b.Severity == "") {
		if next, ok := m.nextStatus(); ok {
			warning := fmt.Sprintf("status %s in the place of %s: incident.io refused it: %s", next.Name, e.Status.Name, m.said)
			b.Status, e.Status = next.ID, &next
			return m.done(b, flat(warning))
		}
	}
	if m.head == "message" && b.Message != "" {
		what := "part of the message"
		if utf8.RuneCountInString(b.Message) > 500 {
			b.Message = cut(b.Message, 500)
		} else {
			what, b.Message = "message", ""
		}
		e.Message = b.Message
		if b.Message == "" && b.Status == "" && b.Severity == "" {
			return m.req, m.leftOut(what), false
		}
		return m.done(b, m.leftOut(what))
	}
	parts := incidentParts{Severity: b.Severity, Status: b.Status}
	what, ok := m.dropBlamed(&parts)
	b.Severity, b.Status = parts.Severity, parts.Status
	switch {
	case !ok:
		return m.req, "", false // a bare message that is refused: the refusal is the event's own
	case b.Message == "" && b.Status == "" && b.Severity == "":
		return m.req, m.leftOut(what), false
	}
	return m.done(b, m.leftOut(what))
}

// nextStatus is the next way to end an incident after a refused one: a post-incident status must belong to the flow
// that applies, and closing straight away may need a permission (facts.md, "Status").
func (m *mending) nextStatus() (Status, bool) {
	e := m.req.Effect
	if e.Status == nil || m.in.Directory == nil || m.req.Name != "incident.update" {
		return Status{}, false
	}
	if c := e.Status.Category; c != CategoryLearning && c != CategoryClosed {
		return Status{}, false
	}
	target, ok := newPlanner(m.in).resolved(m.in.State.Incident.Status)
	if !ok {
		return Status{}, false
	}
	way := append([]Status{target}, inCategory(CategoryLearning, m.in.Directory)...)
	if target.Category != CategoryClosed {
		way = append(way, inCategory(CategoryClosed, m.in.Directory)...)
	}
	for i, s := range way {
		if s.ID != e.Status.ID {
			continue
		}
		for _, next := range way[i+1:] {
			if next.ID != target.ID {
				return next, true
			}
		}
		break
	}
	return Status{}, false
}

func (m *mending) timeline() (Request, string, bool) {
	var b timelineBody
	if json.Unmarshal(m.req.Body, &b) != nil {
		return m.req, "", false
	}
	switch {
	case m.head == "timestamp" && !m.in.ArrivedAt.IsZero() && b.Timestamp != m.in.ArrivedAt.UTC().Format(timeLayout):
		b.Timestamp = m.in.ArrivedAt.UTC().Format(timeLayout)
		return m.done(b, "time of a timeline item replaced by the event's arrival: incident.io refused it: "+m.said)
	case m.head == "title" && utf8.RuneCountInString(b.Title) > 100:
		b.Title = cut(b.Title, 100)
		return m.done(b, m.leftOut("part of a timeline item's title"))
	case m.head == "incident_id" || m.head == "idempotency_key" || m.head == "timestamp" || m.head == "title":
	case utf8.RuneCountInString(b.Description) > 1_000:
		b.Description = cut(b.Description, 1_000)
		return m.done(b, m.leftOut("part of a timeline item's description"))
	case b.Description != "":
		b.Description = ""
		return m.done(b, m.leftOut("a timeline item's description"))
	}
	return m.req, m.sideStep(), false
}

// sideStep is the warning for a step that only tells people something beside the event itself, else empty.
func (m *mending) sideStep() string {
	switch m.req.Name {
	case "timeline.note", "attach.tell":
		return m.leftOut(m.req.Name)
	}
	return ""
}

func (m *mending) followUp() (Request, string, bool) {
	var b followUpBody
	if m.head == "incident_id" || json.Unmarshal(m.req.Body, &b) != nil {
		return m.req, "", false
	}
	switch {
	case b.Assignee != "" && (m.head == "assignee_id" || m.head == "assignee" || m.head == "" || m.unknown("labels", "title", "description")):
		b.Assignee = ""
		return m.done(b, m.leftOut("assignee of the follow-up "+quoted(b.Title)))
	case len(b.Labels) > 0 && m.head != "title" && m.head != "description":
		b.Description = withMark(b.Description, "Labels in TigerOps: "+inline(strings.Join(b.Labels, ", ")), m.req.Mark)
		b.Labels = nil
		return m.done(b, m.leftOut("labels of the follow-up "+quoted(b.Title)))
	case m.head == "title" && utf8.RuneCountInString(b.Title) > 100:
		b.Title = cut(b.Title, 100)
		return m.done(b, m.leftOut("part of a follow-up's title"))
	case m.head != "title" && utf8.RuneCountInString(b.Description) > 1_000:
		b.Description = withMark(cut(strings.TrimSuffix(b.Description, m.req.Mark), 900), "", m.req.Mark)
		return m.done(b, m.leftOut("part of the description of the follow-up "+quoted(b.Title)))
	}
	return m.req, m.leftOut("follow-up " + quoted(b.Title)), false
}

// unknown says whether the blamed member is none of these.
func (m *mending) unknown(known ...string) bool { return !slices.Contains(known, m.head) }

// withMark puts a line before the mark that ends a description.
func withMark(description, line, mark string) string {
	return paragraphs(strings.TrimSpace(strings.TrimSuffix(description, mark)), line, mark)
}

func (m *mending) action() (Request, string, bool) {
	var b actionBody
	if m.head == "incident_id" || json.Unmarshal(m.req.Body, &b) != nil || utf8.RuneCountInString(b.Description) <= 500 {
		return m.req, "", false
	}
	b.Description = withMark(cut(strings.TrimSuffix(b.Description, m.req.Mark), 300), "", m.req.Mark)
	return m.done(b, m.leftOut("part of an action's description"))
}

func (m *mending) document() (Request, string, bool) {
	var b postmortemBody
	if json.Unmarshal(m.req.Body, &b) != nil {
		return m.req, "", false
	}
	n := utf8.RuneCountInString(b.Content)
	switch {
	case m.head == "title" && utf8.RuneCountInString(b.Title) > 120:
		b.Title = cut(strings.TrimSpace(strings.TrimSuffix(b.Title, m.req.Mark)), 60) + " " + m.req.Mark
		return m.done(b, m.leftOut("part of the post-mortem's title"))
	case m.head != "title" && n > 2_000:
		b.Content = cut(b.Content, n/2)
		return m.done(b, m.leftOut("part of the post-mortem"))
	}
	return m.req, "", false
}

func (m *mending) alert() (Request, string, bool) {
	var b alertBody
	if m.head == "deduplication_key" || m.head == "status" || json.Unmarshal(m.req.Body, &b) != nil {
		return m.req, "", false
	}
	what := ""
	switch {
	case m.head == "title" && utf8.RuneCountInString(b.Title) > 100:
		what, b.Title = "part of the title", cut(b.Title, 100)
	case m.head == "source_url" && b.SourceURL != "":
		what, b.SourceURL = "address", ""
	case m.head == "description" && utf8.RuneCountInString(b.Description) > 1_000:
		what, b.Description = "part of the description", cut(b.Description, 500)
	case m.head == "description" && b.Description != "":
		what, b.Description = "description", ""
	case b.Metadata != nil:
		what, b.Metadata = "metadata", nil
	case utf8.RuneCountInString(b.Description) > 1_000:
		what, b.Description = "part of the description", cut(b.Description, 500)
	case b.SourceURL != "":
		what, b.SourceURL = "address", ""
	case b.Description != "":
		what, b.Description = "description", ""
	default:
		return m.req, "", false
	}
	return m.done(b, m.leftOut("the alert's "+what))
}

func (m *mending) escalation() (Request, string, bool) {
	var b escalationBody
	if json.Unmarshal(m.req.Body, &b) != nil {
		return m.req, "", false
	}
	switch {
	case m.head == "description" && b.Description != "":
		b.Description = ""
		return m.done(b, m.leftOut("the escalation's description"))
	case m.head == "title" && utf8.RuneCountInString(b.Title) > 100:
		b.Title = cut(b.Title, 100)
		return m.done(b, m.leftOut("part of the escalation's title"))
	case m.head == "incident_id" && b.Incident != "":
		b.Incident = "" // paging somebody matters more than where it shows
		return m.done(b, m.leftOut("the escalation's incident"))
	}
	return m.req, flat("nobody paged by the escalation path " + quoted(b.Path) + ": incident.io refused it: " + m.said), false
}

func (m *mending) rules() *Rules {
	if m.in.Rules == nil {
		return &Rules{}
	}
	return m.in.Rules
}

// fieldNames names custom fields for people.
func (m *mending) fieldNames(entries []fieldEntry) string {
	var names []string
	for _, e := range entries {
		if f, ok := findField(e.Field, m.in.Directory); ok {
			names = append(names, quoted(f.Name))
		} else {
			names = append(names, e.Field)
		}
	}
	return listed(bounded(names, 10))
}

// roleNames names roles for people.
func (m *mending) roleNames(entries []roleEntry) string {
	var names []string
	for _, e := range entries {
		name := e.Role
		for _, a := range m.req.Effect.Roles {
			if a.Role.ID == e.Role {
				name = flat(a.Role.Name + " for " + cmp.Or(a.User.Name, a.User.Email, a.User.ID))
			}
		}
		names = append(names, name)
	}
	return listed(bounded(names, 10))
}
