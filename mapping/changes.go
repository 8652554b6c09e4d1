package mapping

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Types of changes (contract section 4).
const (
	ChangeLinked            = "incident.linked"
	ChangeDeclared          = "incident.declared"
	ChangeStatus            = "incident.status_changed"
	ChangeAcknowledged      = "incident.acknowledged"
	ChangeResolved          = "incident.resolved"
	ChangeReopened          = "incident.reopened"
	ChangeMerged            = "incident.merged"
	ChangeSeverity          = "incident.severity_changed"
	ChangeRoleAssigned      = "incident.role_assigned"
	ChangeRoleUnassigned    = "incident.role_unassigned"
	ChangeEscalated         = "incident.escalated"
	ChangeEscalationUpdated = "incident.escalation_updated"
	ChangeMessage           = "incident.message"
	ChangeSummary           = "incident.summary_changed"
	ChangeActionCreated     = "action.created"
	ChangeActionUpdated     = "action.updated"
	ChangeFollowUpCreated   = "follow_up.created"
	ChangeFollowUpUpdated   = "follow_up.updated"
	ChangePostmortem        = "postmortem.updated"
	ChangeTimeline          = "timeline.added"
	ChangeAlertResolved     = "alert.resolved"
)

// Changes compares what a look saw with what both sides last agreed on. It returns the changes for TigerOps, in the
// order in which they happened, and what is agreed from now on; both belong in one transaction. Comparing the same
// look again with the returned Agreed finds nothing. What a switch of the rules turns off makes no change, but is
// agreed on all the same, so that turning it on again tells nothing old.
func Changes(c Compare) (changes []Change, next Agreed) {
	next = c.Tie.Agreed.clone()
	w := &comparison{Compare: c, base: c.Tie.Agreed, next: &next, told: make(map[string]bool)}
	w.compareAlert()
	if c.Look.Remote.ID == "" { // an alert that belongs to no incident
		return w.rows, next
	}
	w.sortUpdates()
	w.compareStatus()
	w.compareSeverity()
	w.compareRoles()
	w.compareSummary()
	w.compareName()
	w.tellMessages()
	w.compareItems(seenAction, c.Look.Actions, ChangeActionCreated, ChangeActionUpdated)
	w.compareItems(seenFollowUp, c.Look.FollowUps, ChangeFollowUpCreated, ChangeFollowUpUpdated)
	w.compareItems(seenPostmortem, c.Look.Postmortems, ChangePostmortem, ChangePostmortem)
	w.tellTimeline()
	w.compareEscalations()
	next.Fields = maps.Clone(c.Look.Remote.Fields)
	next.PostmortemIDs = slices.Clone(c.Look.Remote.PostmortemIDs)
	next.RemoteUpdatedAt = c.Look.Remote.UpdatedAt
	slices.SortStableFunc(w.rows, func(a, b Change) int { return a.OccurredAt.Compare(b.OccurredAt) })
	return w.rows, next
}

// comparison is one call of Changes at work.
type comparison struct {
	Compare
	base    Agreed  // what was agreed on before
	next    *Agreed // what is agreed on from now
	updates []Update
	moves   []move          // what each of updates changed
	told    map[string]bool // updates whose message a row tells already
	rows    []Change
}

// clone copies what Changes writes to.
func (a Agreed) clone() Agreed {
	a.Seen = maps.Clone(a.Seen)
	a.Overruled = maps.Clone(a.Overruled)
	return a
}

// Knows says whether an update, item, escalation or document of that id was seen before.
func (a Agreed) Knows(id string) bool {
	for _, kind := range []string{seenUpdate, seenAction, seenFollowUp, seenTimeline, seenPostmortem, seenEscalation, seenAlert} {
		if _, ok := a.Seen[kind+":"+id]; ok {
			return true
		}
	}
	return false
}

// The kinds before the ids in Agreed.Seen; they are part of a change's key too.
const (
	seenUpdate     = "update"
	seenAction     = "action"
	seenFollowUp   = "follow_up"
	seenTimeline   = "timeline"
	seenPostmortem = "postmortem"
	seenEscalation = "escalation"
	seenAck        = "ack" // of an escalation that was told as an acknowledgement
	seenAlert      = "alert"
)

// see notes that something was seen, and returns what was noted of it before.
func (w *comparison) see(kind, id, mark string) (was string, seen bool) {
	key := kind + ":" + id
	was, seen = w.next.Seen[key]
	if w.next.Seen == nil {
		w.next.Seen = make(map[string]string)
	}
	w.next.Seen[key] = mark
	return was, seen
}

func (w *comparison) seen(kind, id string) bool {
	_, seen := w.next.Seen[kind+":"+id]
	return seen
}

// row adds a change. kind and parts make its key, together with both incidents.
func (w *comparison) row(c Change, kind string, parts ...string) {
	c.Key = changeKey(w.Tie.TigerOpsID, w.Look.Remote.ID, kind, parts...)
	c.TigerOpsIncidentID = w.Tie.TigerOpsID
	c.Incident = refOf(w.Look.Remote)
	c.Source = w.Look.Source
	if c.OccurredAt.IsZero() {
		c.OccurredAt = w.Look.Remote.UpdatedAt
	}
	w.rows = append(w.rows, c)
}

// changeKey is 32 hex digits over what a change is: equal changes have equal keys on every run and in every copy of
// the database.
func changeKey(tigeropsID, incidentID, kind string, parts ...string) string {
	return digest(append([]string{"change", tigeropsID, incidentID, kind}, parts...)...)[:32]
}

// old says whether what is seen for the first time was there before the tie, so that nobody waits to be told of it. at is
// when it came, zero where that is not known. The time of the tie is known to the millisecond.
func (w *comparison) old(at time.Time) bool {
	return w.Look.First && w.Tie.Origin != OriginDeclared && (at.IsZero() || w.Look.TiedAt.IsZero() || !at.Truncate(time.Millisecond).After(w.Look.TiedAt))
}

// ownText says whether a text stands in for a step in doubt, or holds the mark of one.
func (w *comparison) ownText(texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		if flatten(text) == "" {
			return false
		}
		return slices.ContainsFunc(w.Marks, func(m string) bool { return HasMark(text, m) }) ||
			slices.ContainsFunc(w.Open, func(e Effect) bool { return flatten(e.Message) == flatten(text) })
	})
}

// ownKey says whether the agent's API key did it.
func (w *comparison) ownKey(by *Actor) bool {
	return by != nil && by.Type == "api_key" && w.KeyName != "" && by.Name == w.KeyName
}

// machine says whether it may have been the agent: by its key, or nobody is named.
func (w *comparison) machine(by *Actor) bool {
	return by == nil || *by == Actor{} || by.Type == "api_key" && (w.KeyName == "" || by.Name == "" || by.Name == w.KeyName)
}

// byPeople says whether a change was not made by anything that may have been the agent.
func (w *comparison) byPeople(u *Update) bool { return u != nil && !w.machine(&u.By) }

// flatten takes the difference out of texts that incident.io writes with other white space than it was sent.
func flatten(s string) string { return strings.Join(strings.Fields(s), " ") }

// actorOf is the actor to tell: null where incident.io names none.
func actorOf(a *Actor) *Actor {
	if a == nil || *a == (Actor{}) {
		return nil
	}
	copied := *a
	return &copied
}

// millis is a time as part of a key.
func millis(t time.Time) string { return t.UTC().Format(timeLayout) }

// LinkedChange tells TigerOps that one of its incidents is tied.
func LinkedChange(t Tie, remote Remote, source string) Change {
	after := remoteState(remote)
	after["origin"] = t.Origin
	return Change{
		Key:  changeKey(t.TigerOpsID, remote.ID, "linked"),
		Type: ChangeLinked, TigerOpsIncidentID: t.TigerOpsID, Incident: refOf(remote), After: after,
		OccurredAt: linkedAt(t, remote), Source: source,
	}
}

// linkedAt is the incident's making for a declared one, which was tied by it, else the last that is known of it.
func linkedAt(t Tie, remote Remote) time.Time {
	if t.Origin == OriginDeclared && !remote.CreatedAt.IsZero() || remote.UpdatedAt.IsZero() {
		return remote.CreatedAt
	}
	return remote.UpdatedAt
}

// UnlinkedChange tells TigerOps of an incident that none of its own is tied to.
func UnlinkedChange(remote Remote, source string) Change {
	after := remoteState(remote)
	after["summary"] = remote.Summary
	return Change{
		Key:  changeKey("", remote.ID, "declared"),
		Type: ChangeDeclared, Incident: refOf(remote), After: after,
		OccurredAt: cmp.Or(remote.CreatedAt, remote.UpdatedAt), Source: source,
	}
}

// remoteState is an incident's status and severity in incident.io's own words.
func remoteState(r Remote) map[string]any {
	m := map[string]any{"incident_io_status": r.Status.Name, "category": r.Status.Category, "incident_io_severity": nil}
	if r.Severity != nil {
		m["incident_io_severity"] = r.Severity.Name
	}
	return m
}
