package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// verdict is how a conflict went. The zero verdict is that there was none.
type verdict struct {
	agree  bool   // both sides came to the same: nothing to tell
	note   string // incident.io's value counts: what the row says of TigerOps' one
	stands string // TigerOps' value counts: what the row says of it
}

// wish is what TigerOps' events that are not delivered yet want of a field.
type wish struct {
	word  string
	id    int64 // of the last event that wants something of the field
	at    time.Time
	moved bool // events before it want something else

	// pushed is what counts as sent last by the time that the events wanting something are delivered: one that is
	// overruled counts as sent, too.
	pushed string
}

// change names the wish for people.
func (w wish) change() string {
	if w.word == "" {
		return "change"
	}
	return "change to " + w.word
}

// wished goes through the pending events, oldest first, and returns the last wish for a field that was sent as pushed.
// want returns what an event wants of it, empty if nothing. What was overruled before is no wish any more.
func (w *comparison) wished(field, pushed string, want func(Event) string) (last wish) {
	last.pushed = pushed
	pending := slices.Clone(w.Pending)
	slices.SortStableFunc(pending, func(a, b Pending) int { return cmp.Compare(a.OutboxID, b.OutboxID) })
	for _, p := range pending {
		switch word := want(p.Event); {
		case word == "":
		case p.OutboxID <= w.base.Overruled[field]:
			last.pushed = word
		default:
			last = wish{word, p.OutboxID, p.At, last.moved || last.word != "" && last.word != word, last.pushed}
		}
	}
	return last
}

// decide applies the rule for conflicts to a field that both sides changed. blocked says why TigerOps' value can't be
// set any more, which decides it whatever the rule.
func (w *comparison) decide(field string, want wish, remoteAt time.Time, blocked string) verdict {
	rule := cmp.Or(w.Rules.Conflict, ConflictLatest)
	tigerops := rule == ConflictTigerOps || rule == ConflictLatest && want.at.After(remoteAt)
	if tigerops && blocked == "" {
		change := want.change()
		if rule == ConflictLatest {
			change = "later " + change
		}
		return verdict{stands: fmt.Sprintf("TigerOps' %s stands (conflict: %s)", change, rule)}
	}
	w.overrule(field, want)
	reason := "conflict: " + rule
	if tigerops {
		reason = blocked
	}
	return verdict{note: fmt.Sprintf("TigerOps' %s, not delivered yet, is overruled (%s).", want.change(), reason)}
}

// overrule keeps the pending events from pushing a field.
func (w *comparison) overrule(field string, want wish) {
	if w.next.Overruled == nil {
		w.next.Overruled = make(map[string]int64)
	}
	w.next.Overruled[field] = max(w.next.Overruled[field], want.id)
}

// unmoved is the verdict where TigerOps says, or comes back to, what was sent last or what both sides agreed on: it
// changes nothing, and its events are not to either.
func (w *comparison) unmoved(field string, want wish) verdict {
	if want.moved || want.word != want.pushed {
		w.overrule(field, want)
	}
	return verdict{}
}

// agreed is the verdict where both sides came to the same: TigerOps believes it, and its events on the way there have
// nothing to push.
func (w *comparison) agreed(field string, want wish, t Told) verdict {
	w.tell(field, t)
	if want.moved {
		w.overrule(field, want)
	}
	return verdict{agree: true}
}

// statusConflict decides between the status that incident.io shows and the one that pending events want.
func (w *comparison) statusConflict(u *Update) verdict {
	base, remote := w.base.Status, w.Look.Remote.Status
	want := w.wished(fieldStatus, w.Tie.Pushed.Status, func(ev Event) string { return w.wantedStatus(ev) })
	to, ok := ResolveStatus(want.word, w.Rules, w.Directory)
	switch {
	case want.word == "":
		return verdict{} // TigerOps changes nothing there
	case !ok || want.word == want.pushed || sameStatus(to, base):
		return w.unmoved(fieldStatus, want)
	case sameStatus(to, remote):
		return w.agreed(fieldStatus, want, Told{Word: want.word})
	case over(to.Category) && over(remote.Category):
		return verdict{} // both closed it; there is nothing to decide
	}
	var blocked string
	if _, legal := StatusPath(remote, to, w.Directory); !legal {
		blocked = "incident.io allows no way there from " + remote.Name
	}
	return w.decide("status", want, w.movedAt(u), blocked)
}

// wantedStatus is the TigerOps status that delivering an event would bring to the tied incident. An acknowledgement
// that names none takes people nowhere that they have not been; a reopen of one that is over makes a new incident; a
// resolve that is only told on the timeline moves nothing.
func (w *comparison) wantedStatus(ev Event) string {
	switch ev.Type {
	case IncidentResolved:
		if !w.Rules.AutoResolve {
			return ""
		}
		return cmp.Or(ev.Incident.Status, StatusResolved)
	case IncidentReopened:
		if over(w.Look.Remote.Status.Category) {
			return ""
		}
		return cmp.Or(ev.Incident.Status, StatusInvestigating)
	}
	return ev.Incident.Status
}

// severityConflict decides between the severity that incident.io shows and the one that pending events want.
func (w *comparison) severityConflict(u *Update) verdict {
	want := w.wished(fieldSeverity, w.Tie.Pushed.Severity, func(ev Event) string { return ev.Incident.Severity })
	if want.word == "" {
		return verdict{}
	}
	to, _ := SeverityFor(State{Incident: Incident{Severity: want.word}}, w.Rules, w.Directory)
	switch {
	case to == nil || want.word == want.pushed || sameSeverity(to, w.base.Severity):
		return w.unmoved(fieldSeverity, want)
	case sameSeverity(to, w.Look.Remote.Severity):
		return w.agreed(fieldSeverity, want, Told{Word: want.word})
	}
	return w.decide("severity", want, w.movedAt(u), "")
}

// roleConflict decides between who holds a role in incident.io and whom pending events want to hold it.
func (w *comparison) roleConflict(role Role) verdict {
	field := fieldRole + role.ID
	want := w.wished(field, w.Tie.Pushed.Roles[role.ID], func(ev Event) string {
		for _, c := range candidates(State{Incident: ev.Incident}, ev, w.Rules) {
			if email := emailOf(c.who.Email, c.who.Name, w.Rules); email != "" && !c.implied && namesRole(c.to, role) {
				return email
			}
		}
		return ""
	})
	holder := func(all []Assignment) bool {
		return slices.ContainsFunc(all, func(a Assignment) bool { return a.Role.ID == role.ID && strings.EqualFold(a.User.Email, want.word) })
	}
	switch {
	case want.word == "":
		return verdict{}
	case want.word == want.pushed || holder(w.base.Roles):
		return w.unmoved(field, want)
	case holder(w.Look.Remote.Roles):
		a := Assignment{Role: role, User: holderOf(w.Look.Remote.Roles, role.ID)}
		return w.agreed(field, want, Told{
			Word: roleFromRemote(a, w.Rules, w.State), Name: a.User.Name, Email: emailFromRemote(a.User.Email, w.Rules), Remote: a.User.Email,
		})
	}
	return w.decide(field, want, w.Look.Remote.UpdatedAt, "")
}

// summaryConflict decides over TigerOps' section of the summary, if people wrote into it while pending events renew it.
// What they wrote around it is in nobody's way.
func (w *comparison) summaryConflict() verdict {
	ours := func(summary string) bool {
		start, _ := findSection(strings.TrimSpace(summary), w.Tie.Pushed.Summary)
		return start >= 0
	}
	want := w.wished("summary", "", func(ev Event) string { return cmp.Or(ev.Incident.AISummary, ev.Incident.RootCause) })
	if want.word == "" || !ours(w.base.Summary) || ours(w.Look.Remote.Summary) {
		return verdict{}
	}
	want.word = "" // a text is too long to be named
	return w.decide("summary", want, w.Look.Remote.UpdatedAt, "")
}

// nameConflict decides between the incident's name and the title that pending events bring.
func (w *comparison) nameConflict() verdict {
	want := w.wished("name", w.Tie.Pushed.Title, func(ev Event) string { return ev.Incident.Title })
	if want.word == "" || want.word == want.pushed || line(want.word) == w.base.Name || line(want.word) == w.Look.Remote.Name {
		return verdict{}
	}
	want.word = line(want.word)
	return w.decide("name", want, w.Look.Remote.UpdatedAt, "")
}

// tellMove adds the row of a move in incident.io, or, where TigerOps' own change stands, a message that tells of it,
// so that TigerOps applies nothing. what reads behind "set".
func (w *comparison) tellMove(c Change, v verdict, what string, u *Update, kind string, values ...string) {
	parts := w.by(&c, u, values...)
	said := c.Message
	switch {
	case v.stands != "":
		if kind != "summary" { // what people wrote there stays beside TigerOps' text
			c.Type, c.Before, c.After = ChangeMessage, nil, nil
			kind = "conflict-" + kind
		}
		who := "Somebody"
		if c.Actor != nil && c.Actor.Name != "" {
			who = c.Actor.Name
		}
		c.Message = fmt.Sprintf("%s set %s in incident.io at %s; %s.", who, what, w.movedAt(u).UTC().Format("2006-01-02 15:04:05 MST"), v.stands)
	case v.note != "":
		c.Message = v.note
	default:
		said = ""
	}
	if said != "" {
		c.Message = said + "\n\n" + c.Message
	}
	w.row(c, kind, parts...)
}
