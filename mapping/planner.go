package mapping

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Plan says what is still to be done for an event. It is called anew after each step that ended: a step of in.Ended
// that is done or left out does not come again, and what it did stands in in.Tie by then. The same input gives the
// same bytes.
func Plan(in Input) Outcome {
	p := newPlanner(in)
	p.event()
	if len(p.out.Next) > 0 {
		p.out.Skip, p.out.Park = "", ""
		p.out.Declare = p.out.Next[0].Call == CreateIncident
	}
	p.out.Urgent = p.urgent()
	return p.out
}

// planner builds an Outcome. tie is the tie as it will be after the steps planned so far.
type planner struct {
	in    Input
	st    State
	dir   *Directory
	rules *Rules
	tie   *Tie
	out   Outcome

	// introduced says that this event ties the incident, so that all of it is new to incident.io.
	introduced bool
	// people are problems with responders that the people of the incident should read of.
	people []string
}

func newPlanner(in Input) *planner {
	p := &planner{in: in, st: in.State, dir: in.Directory, rules: in.Rules}
	if p.dir == nil {
		p.dir = &Directory{}
	}
	if p.rules == nil {
		p.rules = &Rules{}
	}
	if in.Tie != nil {
		tie := *in.Tie
		p.tie = &tie
	}
	if p.st.Incident.ID == "" && in.Event.Incident.ID == "" {
		p.st.Incident = in.Event.Incident // an event without an incident tells all itself
	}
	p.introduced = in.Tie == nil || p.did("incident.declare") || p.did("attach.tell") || p.did("attach.edit")
	return p
}

// event plans for an event of any type.
func (p *planner) event() {
	ev := p.in.Event
	switch {
	case ev.Type == TestEvent:
		p.skip("a test event: nothing is done for it")
	case !KnownType(ev.Type):
		p.skip("unknown event type " + quoted(ev.Type) + ": nothing is done for it")
	case p.st.Incident.ID == "":
		p.loneAlert()
	default:
		p.incident()
	}
}

// incident plans for an event of an incident: the alert, the tie, and then what the event itself says.
func (p *planner) incident() {
	p.letGo()
	routed := p.in.AlertFired && !p.rules.AutoDeclare // a route makes, or has made, an incident of it
	if p.st.Open && p.tie == nil && !routed && BelowMin(p.st, p.rules) {
		p.skip("below min_severity " + p.rules.MinSeverity + ": " + quoted(p.st.Incident.Severity))
		return
	}
	p.alert()
	if p.tie == nil && !p.tieFirst() {
		return
	}
	p.introduce()

	switch p.in.Event.Type {
	case IncidentAcknowledged:
		p.acknowledge()
	case IncidentEscalated:
		p.escalate()
	case IncidentResolved:
		p.resolve()
		p.resolveBeside()
	case IncidentReopened:
		p.reopen()
	case InvestigationStep, AnomalyDetected, SLOBreached:
		p.sync("")
		p.investigation()
	case RunbookAction:
		p.sync("")
		p.action()
	case PostmortemReady:
		p.sync("")
		p.postmortem()
	default:
		p.sync("")
	}
	p.tellPeople()
}

// letGo drops a tie to an incident that can't be opened again, for a new one that names it. The agent has done so
// already where it looked in time. Where people end it after they were told of the reopen, that is their answer to it.
func (p *planner) letGo() {
	if p.in.Event.Type == IncidentReopened && p.tie != nil && !p.did("incident.declare") && p.in.Ended["incident.update"].State != EndedDone &&
		p.tie.Generation != p.st.Generation && over(p.tie.Agreed.Status.Category) {
		p.in.Former, p.tie = p.in.Tie, nil
		p.introduced = true
	}
}

// tieFirst plans the declaration of an incident that is not tied yet. It is false if the event ends here.
func (p *planner) tieFirst() bool {
	switch off := p.onlyOff(); {
	case !p.st.Open:
		p.skip("resolved, and never tied to an incident in incident.io")
		return false
	case p.did("incident.declare"):
		p.skip("the incident that it declared is not tied any more")
		return false
	case p.rules.AutoDeclare:
	case off != "":
		p.skip(off)
		return false
	case p.rules.AlertSource == "":
		p.skip("auto_declare is off and there is no alert source, so nothing makes an incident for it")
		return false
	default:
		p.out.Park = "auto_declare is off: waiting for an incident that an alert route makes"
		return false
	}
	p.declare()
	return true
}

// onlyOff is why an event that says one thing only says nothing: its push switch is off.
func (p *planner) onlyOff() string {
	switch p.in.Event.Type {
	case InvestigationStep:
		if !p.rules.PushTimeline {
			return "push_timeline_events is off"
		}
	case RunbookAction:
		if !p.rules.PushActions {
			return "push_runbook_actions is off"
		}
	case PostmortemReady:
		if !p.rules.PushPostmortem {
			return "push_postmortem is off"
		}
	}
	return ""
}

// urgent says whether the event goes before notes: alerts, declarations, escalations, and resolves of the most severe
// incidents.
func (p *planner) urgent() bool {
	if len(p.out.Next) == 0 {
		return false
	}
	for _, r := range p.out.Next {
		if r.Call == AlertEvent || r.Call == CreateIncident || r.Call == CreateEscalation {
			return true
		}
	}
	return p.in.Event.Type == IncidentResolved && isTop(p.st.Incident.Severity, p.rules)
}

// skip says why there is nothing to send; an event of which something was sent is done all the same.
func (p *planner) skip(why string) {
	for _, e := range p.in.Ended {
		if e.State == EndedDone {
			return
		}
	}
	p.out.Skip = why
}

// warn adds a warning, once. It stays on one line.
func (p *planner) warn(text string) {
	text = cut(flat(text), 500)
	for _, w := range p.out.Warnings {
		if w == text {
			return
		}
	}
	p.out.Warnings = append(p.out.Warnings, text)
}

// did says whether a step of the event has ended and is not to come again.
func (p *planner) did(step string) bool {
	s := p.in.Ended[step].State
	return s == EndedDone || s == EndedLeftOut
}

// key is the idempotency key of a step of this event.
func (p *planner) key(step string) string { return StepKey(p.in.Event.ID, step) }

// add plans a step, unless it ended already or is planned, by the call that the account has.
func (p *planner) add(r Request) {
	if p.did(r.Name) || slices.ContainsFunc(p.out.Next, func(n Request) bool { return n.Name == r.Name }) {
		return
	}
	r.Method = "POST"
	r.Key = cmp.Or(r.Key, p.key(r.Name))
	p.in.Tie = p.tie
	for n := 0; n < 4 && p.dir.lacks(r.Call); n++ {
		other, _, ok := Fallback(r, p.in) // it was warned of when the call was first missed
		if !ok {
			break
		}
		r = other
	}
	p.out.Next = append(p.out.Next, r)
	p.agree(r.Effect)
}

// agree adds a step's effect to the tie that the further steps are planned by.
func (p *planner) agree(e Effect) {
	if p.tie == nil {
		return
	}
	tie := *p.tie
	tie.Agreed.Fields = maps.Clone(tie.Agreed.Fields)
	Agree(&tie, e, nil)
	p.tie = &tie
}

// record notes what needs no sending: incident.io has it already, or people's value stands.
func (p *planner) record(told Pushed) {
	p.out.Pushed = p.out.Pushed.With(told)
	if p.tie != nil {
		p.tie.Pushed = p.tie.Pushed.With(told)
	}
}

// overruled says whether a conflict over a field was decided for incident.io, as far as this event goes.
func (p *planner) overruled(field string) bool {
	upto, ok := p.tie.Agreed.Overruled[field]
	name := field
	if strings.HasPrefix(field, fieldRole) {
		name = "roles"
	}
	by, said := p.in.SaidBy[name]
	if !said {
		by = p.in.OutboxID
	}
	return ok && by <= upto
}

// Says is the fields, as Input.SaidBy names them, that an event says something of.
func Says(ev Event) (fields []string) {
	i := ev.Incident
	for field, says := range map[string]bool{
		"name": i.Title != "", fieldSeverity: i.Severity != "", fieldStatus: i.Status != "",
		"summary": i.AISummary != "" || i.RootCause != "", "roles": len(i.Responders) > 0,
	} {
		if says {
			fields = append(fields, field)
		}
	}
	return fields
}

// at is when the event happened: its own time, else its arrival, else what is known of the incident.
func (p *planner) at() string {
	t := p.in.Event.Timestamp
	if i := p.in.Event.Incident; t.IsZero() {
		switch {
		case p.in.Event.Type == IncidentResolved && i.ResolvedAt != nil:
			t = *i.ResolvedAt
		case !p.in.ArrivedAt.IsZero():
			t = p.in.ArrivedAt
		case !p.st.LastEventAt.IsZero():
			t = p.st.LastEventAt
		case i.StartedAt != nil:
			t = *i.StartedAt
		}
	}
	return t.UTC().Format(timeLayout)
}

// who is the event's actor for people; empty if it tells none.
func (p *planner) who() string {
	if a := p.in.Event.Actor; a != nil {
		return cut(inline(cmp.Or(a.Name, a.Email)), 100)
	}
	return ""
}

// reference is the visible mark of the event in what carries no idempotency key. part tells several of one event
// apart; 0 is the only one.
func (p *planner) reference(part int) string { return eventMark(p.in.Event.ID, part) }

// markOpens begins every such mark, and no title that a person thinks of.
const markOpens = "(TigerOps "

func eventMark(eventID string, part int) string {
	text := markOpens + Reference(eventID)
	if part > 0 {
		text += "/" + number(float64(part))
	}
	return text + ")"
}

// quoted names a stranger's word in a sentence.
func quoted(s string) string {
	b, err := json.Marshal(cut(flat(s), 80))
	if err != nil {
		return `""`
	}
	return string(b)
}
