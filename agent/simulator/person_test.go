package simulator_test

import (
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// TestPerson plays all that a person can do and holds every webhook that follows against its description.
func TestPerson(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a := newAPI(t, s)
	lisa, ada := s.As("lisa@example.com"), s.As("ada@example.com")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must1 := func(id string, err error) string { t.Helper(); must(err); return id }

	ref := must1(lisa.Declare(simulator.NewIncident{Name: "Database", Severity: "sev2", Status: "Triage", Fields: map[string][]string{
		"Affected services": {"Checkout", "search"}, "Services": {"Payments"}, "Error budget burn rate": {"2"}, "Trace": {"https://trace.example/1"}, "AI summary": {"text"}}}))
	must(lisa.SetStatus(ref, "Fixing", "On it"))
	must(ada.SetSeverity("1", "SEV1", ""))
	must(ada.AssignRole(ref, "Incident Lead", "ada@example.com"))
	must(ada.AssignRole(ref, "comms", "grace@example.com"))
	must(ada.UnassignRole(ref, "comms"))
	must(ada.Message(ref, "Found it"))
	must(ada.EditSummary(ref, "Disk full"))
	must(ada.Rename(ref, "Database down"))
	must(ada.SetField(ref, "SLO breach", "Yes"))
	must(ada.SetField(ref, "AI summary"))
	must1(ada.AddTimelineItem(ref, "Bought a disk", "", time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)))
	must(ada.CompleteAction(must1(ada.CreateAction(ref, "Buy a disk"))))
	must(ada.SetFollowUp(must1(ada.CreateFollowUp(ref, "Watch disks", "", "db")), "not_doing"))
	must(lisa.AckEscalation(must1(ada.Escalate(ref, "Payments on-call", "Help"))))
	esc := s.Snapshot().Escalations[0]
	before := len(s.Webhooks())
	if must(ada.AckEscalation(esc.ID)); len(s.Webhooks()) != before || len(esc.Events) != 3 || esc.Events[2].Users[0].Email != "lisa@example.com" {
		t.Errorf("a second ack is told, or the first is not Lisa's: %+v", esc.Events)
	}
	must(ada.SetPostmortem(must1(ada.CreatePostmortem(ref, "PM", "# PM")), "in_review"))
	must(ada.Resolve(ref, "Fixed"))
	must(ada.Close(ref, ""))
	must(ada.Reopen(ref, "Not fixed"))
	other := must1(lisa.Declare(simulator.NewIncident{Name: "The same", Private: true}))
	must(lisa.Merge(other, ref))
	must1(lisa.CreateAction(other, "secret"))
	must1(lisa.CreateFollowUp(other, "secret", ""))
	must(lisa.AckEscalation(must1(lisa.Escalate(other, simulator.DefaultEscalationPathID, "secret"))))
	must(lisa.SetPostmortem(must1(lisa.CreatePostmortem(other, "PM", "#")), "completed"))
	for i, status := range []string{"firing", "firing", "resolved"} {
		a.do("POST", "/v2/alert_events/http/"+simulator.DefaultAlertSourceID, object{"title": "t", "status": status, "deduplication_key": []string{"a", "b", "a"}[i]},
			"Authorization", "Bearer "+simulator.DefaultAlertSourceToken).want(202)
	}
	must(lisa.AttachAlert(ref, "b"))
	must(lisa.ResolveAlert("b"))

	v, err := s.Incident(ref)
	must(err)
	if v.Status.Name != "Investigating" || v.Severity.Name != "SEV1" || v.Name != "Database down" || v.Summary != "Disk full" {
		t.Errorf("%+v", v.Incident)
	}
	roles := map[string]string{}
	for _, r := range v.RoleAssignments {
		if r.Assignee != nil {
			roles[r.Role.Name] = r.Assignee.Email
		}
	}
	if len(roles) != 2 || roles["Incident Lead"] != "ada@example.com" || roles["Reporter"] != "lisa@example.com" {
		t.Errorf("roles %v", roles)
	}
	if len(v.Actions) != 1 || v.Actions[0].Status != "completed" || v.Actions[0].CompletedAt == nil || v.FollowUps[0].Status != "not_doing" || v.Escalations[0].Status != "acked" || v.Alerts[0].Status != "resolved" {
		t.Errorf("%+v %+v %+v %+v", v.Actions, v.FollowUps, v.Escalations, v.Alerts)
	}
	var story []string
	for _, u := range v.Updates {
		story = append(story, u.NewStatus.Name+" "+u.NewSeverity.Name+" "+u.Updater.User.Name+" "+u.Message)
	}
	want := []string{"Triage SEV2 Lisa Karlin ", "Fixing SEV2 Lisa Karlin On it", "Fixing SEV1 Ada Byron ", "Fixing SEV1 Ada Byron Found it",
		"Documenting SEV1 Ada Byron Fixed", "Closed SEV1 Ada Byron ", "Investigating SEV1 Ada Byron Not fixed"}
	for i := range max(len(story), len(want)) {
		if i >= len(story) || i >= len(want) || story[i] != want[i] {
			t.Fatalf("updates\n%q, want\n%q", story, want)
		}
	}
	m, err := s.Incident(other)
	must(err)
	if last := m.Updates[len(m.Updates)-1]; m.Status.Category != "merged" || last.MergedIntoIncidentID != v.ID {
		t.Errorf("merged: %+v", last)
	}

	seen := map[string]bool{}
	for _, w := range s.Webhooks() {
		seen[w.EventType] = true
		a.spec.webhook(t, w.EventType, w.Body)
	}
	for _, e := range []string{"public_incident.incident_created_v2", "public_incident.incident_updated_v2", "public_incident.incident_status_updated_v2", "public_incident.action_created_v1",
		"public_incident.action_updated_v1", "public_incident.follow_up_created_v2", "public_incident.follow_up_updated_v2", "public_incident.postmortem_document_status_updated_v1",
		"public_alert.alert_created_v1", "public_alert.alert_resolved_v1", "public_escalation.escalation_created_v1", "public_escalation.escalation_status_updated_v1",
		"private_incident.incident_created_v2", "private_incident.incident_updated_v2", "private_incident.action_created_v1", "private_incident.follow_up_created_v2",
		"private_incident.postmortem_document_status_updated_v1", "private_escalation.escalation_created_v1", "private_escalation.escalation_status_updated_v1"} {
		if !seen[e] {
			t.Errorf("no webhook %s", e)
		}
	}
	a.do("GET", "/v2/incidents", nil).want(200)
	a.do("GET", "/v2/incident_updates", nil).want(200)
	a.do("GET", "/v2/escalations", nil).want(200)
	a.do("GET", "/v2/incident_alerts?page_size=50", nil).want(200)
	a.do("GET", "/v1/postmortem_documents", nil).want(200)
}

func TestPersonMistakes(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	newAPI(t, s).declare(s, nil)
	lisa := s.As("lisa@example.com")
	for name, err := range map[string]error{
		"no such person":   s.As("eve@example.com").Close("INC-1", ""),
		"no such incident": lisa.Close("INC-9", ""),
		"no such status":   lisa.SetStatus("INC-1", "Gone", ""),
		"no such severity": lisa.SetSeverity("INC-1", "SEV9", ""),
		"no such role":     lisa.AssignRole("INC-1", "king", "lisa@example.com"),
		"no such assignee": lisa.AssignRole("INC-1", "lead", "eve@example.com"),
		"no such field":    lisa.SetField("INC-1", "Colour", "red"),
		"no such option":   lisa.SetField("INC-1", "SLO breach", "Maybe"),
		"no such action":   lisa.CompleteAction("x"),
		"merge with self":  lisa.Merge("INC-1", "INC-1"),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
