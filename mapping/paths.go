package mapping

// Paths of the calls. They are concrete: an incident's id stands in them.
const (
	pathIncidents   = "/v2/incidents"
	pathUpdates     = "/v2/incident_updates"
	pathTimeline    = "/v2/incident_timeline_items"
	pathEscalations = "/v2/escalations"
	pathActions     = "/v3/actions"
	pathFollowUps   = "/v3/follow_ups"
	pathNotes       = "/v1/alert_notes"
	pathOptions     = "/v1/custom_field_options"
	pathAlertEvents = "/v2/alert_events/http/"
)

func pathEdit(incidentID string) string { return pathIncidents + "/" + incidentID + "/actions/edit" }

func pathPostmortem(incidentID string) string {
	return pathIncidents + "/" + incidentID + "/actions/import_postmortem_document"
}

// newerCalls names the calls that an older account may lack, as Directory.Missing does.
var newerCalls = map[Call]string{
	CreateUpdate:     CallUpdates,
	CreateTimeline:   CallTimeline,
	CreateAction:     CallActions,
	CreateFollowUp:   CallFollowUps,
	ImportPostmortem: CallPostmortem,
	CreateAlertNote:  CallAlertNotes,
}

// Newer is the call's name in Directory.Missing if an older or limited account may lack it, else empty.
func (c Call) Newer() string { return newerCalls[c] }

// lacks says whether the account answered 404 to this kind of call. Both the kind's own word and its Call* name count.
func (d *Directory) lacks(c Call) bool {
	return d != nil && c.Newer() != "" && (d.Missing[c.Newer()] || d.Missing[string(c)])
}
