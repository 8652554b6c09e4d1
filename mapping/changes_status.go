package mapping

import "slices"

// compareStatus tells a move between statuses: one row, whatever it means to TigerOps.
func (w *comparison) compareStatus() {
	remote, base := w.Look.Remote.Status, w.base.Status
	if remote == (Status{}) {
		return
	}
	w.next.Status = remote
	current := w.State.Incident.Status
	word := StatusFromRemote(remote, w.Rules, w.Directory, current)
	known := base != (Status{})
	switch {
	case known && sameStatus(base, remote):
		return
	case !known && w.Tie.Origin == OriginDeclared && !over(remote.Category):
		return // nobody chose the status that a declaration began with
	case !known && word == current:
		return // what TigerOps believes already
	}
	u := w.mover(func(u Update, m move) bool { return m.status && sameStatus(*u.Status, remote) })
	own := func(e Effect) bool { return e.Status != nil && sameStatus(*e.Status, remote) }
	if w.ownUpdate(u) || !w.byPeople(u) && slices.ContainsFunc(w.Open, own) {
		return
	}

	var before map[string]any
	was := current
	if known {
		was = StatusFromRemote(base, w.Rules, w.Directory, current)
		before = statusValues(was, base)
	}
	c := Change{Type: w.statusType(base, remote, was, word), Before: before, After: statusValues(word, remote)}
	if u != nil && u.MergedInto != "" {
		c.After["merged_into_incident_id"] = u.MergedInto
	}
	verdict := w.statusConflict(u)
	if verdict.agree || !w.Rules.PullStatus {
		return
	}
	w.tellMove(c, verdict, "the status to "+remote.Name, u, "status", remote.ID, remote.Name)
	w.tellMoved(fieldStatus, verdict, Told{Word: word})
}

// statusType is which change a move between statuses is to TigerOps.
func (w *comparison) statusType(base, remote Status, was, word string) string {
	switch {
	case remote.Category == CategoryMerged && base.Category != CategoryMerged:
		return ChangeMerged
	case over(remote.Category) && !over(base.Category):
		return ChangeResolved
	case over(base.Category) && !over(remote.Category):
		return ChangeReopened
	case word == StatusAcknowledged && was != StatusAcknowledged && !w.State.Acknowledged:
		return ChangeAcknowledged
	}
	return ChangeStatus
}

func statusValues(word string, s Status) map[string]any {
	return map[string]any{"status": word, "incident_io_status": s.Name, "category": s.Category}
}

// compareSeverity tells a move between severities.
func (w *comparison) compareSeverity() {
	remote, base := w.Look.Remote.Severity, w.base.Severity
	w.next.Severity = remote
	if sameSeverity(base, remote) {
		return
	}
	if base == nil && (w.Tie.Origin == OriginDeclared && w.Look.First || w.severityFits(remote)) {
		return // the account's default, or what TigerOps believes already
	}
	u := w.mover(func(u Update, m move) bool { return m.severity && sameSeverity(u.Severity, remote) })
	own := func(e Effect) bool {
		return e.Severity != nil && sameSeverity(e.Severity, remote) && !e.movedSince(w.base, fieldSeverity)
	}
	if w.ownUpdate(u) || remote != nil && !w.byPeople(u) && slices.ContainsFunc(w.Open, own) {
		return
	}
	current := w.State.Incident.Severity
	c := Change{
		Type:   ChangeSeverity,
		Before: severityValues(SeverityFromRemote(base, w.Rules, w.Directory, current), base),
		After:  severityValues(SeverityFromRemote(remote, w.Rules, w.Directory, current), remote),
	}
	verdict := w.severityConflict(u)
	if verdict.agree || !w.Rules.PullStatus {
		return
	}
	name, id := "none", ""
	if remote != nil {
		name, id = remote.Name, remote.ID
	}
	w.tellMove(c, verdict, "the severity to "+name, u, "severity", id, name)
	word, _ := c.After["severity"].(string)
	w.tellMoved(fieldSeverity, verdict, Told{Word: word})
}

// severityFits says whether TigerOps' own severity is that one already.
func (w *comparison) severityFits(remote *Severity) bool {
	mapped, _ := SeverityFor(w.State, w.Rules, w.Directory)
	return mapped != nil && sameSeverity(mapped, remote)
}

func severityValues(word string, s *Severity) map[string]any {
	m := map[string]any{"severity": word, "incident_io_severity": nil}
	if word == "" {
		m["severity"] = nil
	}
	if s != nil {
		m["incident_io_severity"] = s.Name
	}
	return m
}
