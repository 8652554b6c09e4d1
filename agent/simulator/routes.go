package simulator

import (
	"net/http"
	"strings"
)

// route is one call of the API.
type route struct {
	method, path string
	segments     []string
	roles        []string             // any of them suffices
	bucket       func(*rates) *bucket // a lower limit of its own
	newer        bool                 // older accounts do not have it
	open         bool                 // takes no API key but an alert source's token; checks it itself
	do           func(*Simulator, *call) (int, any, *apiError)
}

var (
	viewer   = []string{"viewer"}
	onCall   = []string{"viewer", "on_call_viewer", "on_call_editor"}
	catalog  = []string{"viewer", "catalog_viewer", "catalog_editor"}
	settings = []string{"manage_settings"}
	editor   = []string{"incident_editor"}
)

// table lists the calls, each with the roles of the API key that allow it. The documentation names scopes; which role
// holds which scope is read from the roles' names.
func table() []route {
	return []route{
		{method: "GET", path: "/v1/identity", do: (*Simulator).identity},
		{method: "GET", path: "/v1/severities", roles: viewer, do: (*Simulator).listSeverities},
		{method: "POST", path: "/v1/severities", roles: settings, do: (*Simulator).createSeverity},
		{method: "GET", path: "/v1/incident_statuses", roles: viewer, do: (*Simulator).listStatuses},
		{method: "POST", path: "/v1/incident_statuses", roles: settings, do: (*Simulator).createStatus},
		{method: "GET", path: "/v1/incident_types", roles: viewer, do: (*Simulator).listTypes},
		{method: "GET", path: "/v1/custom_field_options", roles: viewer, do: (*Simulator).listOptions},
		{method: "POST", path: "/v1/custom_field_options", roles: settings, do: (*Simulator).createOption},
		{method: "GET", path: "/v2/custom_fields", roles: viewer, do: (*Simulator).listFields},
		{method: "POST", path: "/v2/custom_fields", roles: settings, do: (*Simulator).createField},
		{method: "GET", path: "/v2/incident_roles", roles: viewer, do: (*Simulator).listRoles},
		{method: "POST", path: "/v2/incident_roles", roles: settings, do: (*Simulator).createRole},
		{method: "GET", path: "/v2/users", roles: viewer, do: (*Simulator).listUsers},
		{method: "GET", path: "/v2/incident_timestamps", roles: viewer, do: (*Simulator).listTimestamps},

		{method: "GET", path: "/v3/catalog_types", roles: catalog, do: (*Simulator).listCatalogTypes},
		{method: "POST", path: "/v3/catalog_types", roles: []string{"catalog_editor"}, do: (*Simulator).createCatalogType},
		{method: "GET", path: "/v3/catalog_entries", roles: catalog, do: (*Simulator).listEntries},
		{method: "POST", path: "/v3/catalog_entries", roles: []string{"catalog_editor"}, do: (*Simulator).createEntry},
		{method: "GET", path: "/v3/teams", roles: catalog, do: (*Simulator).listTeams},

		{method: "GET", path: "/v2/alert_sources", roles: onCall, do: (*Simulator).listSources},
		{method: "POST", path: "/v2/alert_sources", roles: []string{"on_call_editor"}, do: (*Simulator).createSource},
		{method: "GET", path: "/v2/alert_sources/{id}", roles: onCall, do: (*Simulator).showSource},
		{method: "PUT", path: "/v2/alert_sources/{id}", roles: []string{"on_call_editor"}, do: (*Simulator).updateSource},
		{method: "DELETE", path: "/v2/alert_sources/{id}", roles: []string{"on_call_editor"}, do: (*Simulator).deleteSource},
		{method: "POST", path: "/v2/alert_events/http/{id}", open: true, do: (*Simulator).alertEvent},
		{method: "GET", path: "/v2/heartbeat/{id}/ping", open: true, do: (*Simulator).ping},
		{method: "POST", path: "/v2/heartbeat/{id}/ping", open: true, do: (*Simulator).ping},
		{method: "GET", path: "/v2/alerts", roles: onCall, do: (*Simulator).listAlerts},
		{method: "GET", path: "/v2/alerts/{id}", roles: onCall, do: (*Simulator).showAlert},
		{method: "POST", path: "/v2/alerts/{id}/actions/resolve", roles: []string{"on_call_editor"}, do: (*Simulator).resolveAlert},
		{method: "GET", path: "/v2/incident_alerts", roles: onCall, do: (*Simulator).listIncidentAlerts},
		{method: "GET", path: "/v1/alert_notes", roles: onCall, do: (*Simulator).listNotes},
		{method: "POST", path: "/v1/alert_notes", roles: []string{"on_call_editor", "incident_editor"}, do: (*Simulator).createNote},
		{method: "GET", path: "/v2/escalations", roles: onCall, do: (*Simulator).listEscalations},
		{method: "POST", path: "/v2/escalations", roles: []string{"escalation_creator", "on_call_editor"}, do: (*Simulator).createEscalation,
			bucket: func(r *rates) *bucket { return r.escalations }},
		{method: "GET", path: "/v2/escalations/{id}", roles: onCall, do: (*Simulator).showEscalation},
		{method: "GET", path: "/v2/escalation_paths", roles: onCall, do: (*Simulator).listPaths},
		{method: "POST", path: "/v2/escalation_paths", roles: []string{"on_call_editor"}, do: (*Simulator).createPath},

		{method: "GET", path: "/v2/incidents", roles: viewer, do: (*Simulator).listIncidents},
		{method: "POST", path: "/v2/incidents", roles: []string{"incident_creator"}, do: (*Simulator).createIncident},
		{method: "GET", path: "/v2/incidents/{id}", roles: viewer, do: (*Simulator).showIncident},
		{method: "POST", path: "/v2/incidents/{id}/actions/edit", roles: editor, do: (*Simulator).editIncident},
		{method: "POST", path: "/v2/incidents/{id}/actions/import_postmortem_document", roles: []string{"postmortems_manage"}, newer: true, do: (*Simulator).importPostmortem},
		{method: "GET", path: "/v1/postmortem_documents", roles: viewer, do: (*Simulator).listPostmortems},
		{method: "GET", path: "/v2/incident_updates", roles: viewer, do: (*Simulator).listUpdates},
		{method: "POST", path: "/v2/incident_updates", roles: editor, newer: true, do: (*Simulator).createUpdate},
		{method: "GET", path: "/v2/incident_timeline_items", roles: viewer, newer: true, do: (*Simulator).listTimeline},
		{method: "POST", path: "/v2/incident_timeline_items", roles: editor, newer: true, do: (*Simulator).createTimeline},
		{method: "GET", path: "/v3/actions", roles: viewer, newer: true, do: (*Simulator).listActions},
		{method: "POST", path: "/v3/actions", roles: editor, newer: true, do: (*Simulator).createAction},
		{method: "GET", path: "/v3/follow_ups", roles: viewer, newer: true, do: (*Simulator).listFollowUps},
		{method: "POST", path: "/v3/follow_ups", roles: editor, newer: true, do: (*Simulator).createFollowUp},
		{method: "GET", path: "/v2/actions", roles: viewer, do: (*Simulator).listActionsV2},
		{method: "POST", path: "/v2/actions", roles: editor, do: (*Simulator).createAction},
		{method: "GET", path: "/v2/follow_ups", roles: viewer, do: (*Simulator).listFollowUpsV2},
		{method: "POST", path: "/v2/follow_ups", roles: editor, do: (*Simulator).createFollowUp},
		{method: "GET", path: "/v1/incident_attachments", roles: viewer, do: (*Simulator).listAttachments},
		{method: "POST", path: "/v1/incident_attachments", roles: editor, do: (*Simulator).createAttachment},
	}
}

// calls is the table with its paths taken apart.
var calls = func() []route {
	list := table()
	for i := range list {
		list[i].segments = strings.Split(list[i].path, "/")
	}
	return list
}()

// match finds a call and the values in its path; nil for an unknown path or method.
func (s *Simulator) match(method, path string) (*route, map[string]string) {
	parts := strings.Split(path, "/")
next:
	for i := range calls {
		rt := &calls[i]
		if rt.method != method || len(rt.segments) != len(parts) {
			continue
		}
		params := map[string]string{}
		for j, seg := range rt.segments {
			if name, ok := strings.CutPrefix(seg, "{"); ok && parts[j] != "" {
				params[strings.TrimSuffix(name, "}")] = parts[j]
			} else if seg != parts[j] {
				continue next
			}
		}
		return rt, params
	}
	return nil, nil
}

// ok and created are the two kinds of success: an object under its name.
func ok(name string, v any) (int, any, *apiError) { return http.StatusOK, map[string]any{name: v}, nil }
func created(name string, v any) (int, any, *apiError) {
	return http.StatusCreated, map[string]any{name: v}, nil
}
func no(e *apiError) (int, any, *apiError) { return 0, nil, e }
