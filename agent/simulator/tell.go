package simulator

import "time"

// What is told by webhook. Every payload names its type and holds its object under that name; of what is private only
// the id is told.

// tellIncident tells of an incident that was made or changed: incident_created_v2 or incident_updated_v2.
func (s *Simulator) tellIncident(event string, i *incident) {
	if i.visibility == "private" {
		s.tell("private_incident."+event, i.id, idOnly{i.id})
		return
	}
	v := s.show(i)
	v.MostRecentUpdateMessage = i.message
	s.tell("public_incident."+event, i.id, v)
}

type idOnly struct {
	ID string `json:"id"`
}

// tellStatus tells that an incident's status moved; private incidents have no such webhook.
func (s *Simulator) tellStatus(i *incident, before, message string) {
	if i.visibility == "private" {
		return
	}
	s.tell("public_incident.incident_status_updated_v2", i.id, map[string]any{
		"incident": s.show(i), "new_status": s.settings.status(i.status), "previous_status": s.settings.status(before), "message": message,
	})
}

// actionV1 is an action as its webhook has it, which is still that of the first version.
type actionV1 struct {
	ID          string     `json:"id"`
	IncidentID  string     `json:"incident_id"`
	Description string     `json:"description"`
	Status      string     `json:"status"`
	FollowUp    bool       `json:"follow_up"`
	Assignee    *User      `json:"assignee,omitempty"`
	CompletedAt *time.Time `json:"completed_at,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

func (s *Simulator) tellAction(event string, a *Action) {
	if s.incident.byID[a.IncidentID].visibility == "private" {
		s.tell("private_incident."+event, a.ID, idOnly{a.ID})
		return
	}
	s.tell("public_incident."+event, a.ID, actionV1{ID: a.ID, IncidentID: a.IncidentID, Description: a.Description, Status: a.Status, Assignee: a.Assignee, CompletedAt: a.CompletedAt, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt})
}

func (s *Simulator) tellFollowUp(event string, f *FollowUp) {
	if s.incident.byID[f.IncidentID].visibility == "private" {
		s.tell("private_incident."+event, f.ID, idOnly{f.ID})
		return
	}
	s.tell("public_incident."+event, f.ID, f)
}

// postmortemWords are the words of the webhook for the statuses of a document, which are not those of the API.
var postmortemWords = map[string]string{"in_progress": "created", "in_review": "review", "completed": "complete"}

func (s *Simulator) tellPostmortem(d *Postmortem, before string) {
	const event = "postmortem_document_status_updated_v1"
	if s.incident.byID[d.IncidentID].visibility == "private" {
		s.tell("private_incident."+event, d.ID, idOnly{d.ID})
		return
	}
	s.tell("public_incident."+event, d.ID, map[string]any{"postmortem_document": d, "new_status": postmortemWords[d.Status], "previous_status": postmortemWords[before]})
}

func (s *Simulator) tellAlert(event string, a *Alert) {
	if a.Private {
		s.tell("private_alert."+event, a.ID, idOnly{a.ID})
		return
	}
	s.tell("public_alert."+event, a.ID, a)
}

// hidden tells whether an escalation belongs to a private incident.
func (s *Simulator) hidden(v *escalation) bool {
	for _, id := range v.incident {
		if s.incident.byID[id].visibility == "private" {
			return true
		}
	}
	return false
}

func (s *Simulator) tellEscalation(v *escalation) {
	if s.hidden(v) {
		s.tell("private_escalation.escalation_created_v1", v.e.ID, idOnly{v.e.ID})
		return
	}
	s.tell("public_escalation.escalation_created_v1", v.e.ID, s.render(v))
}

func (s *Simulator) tellEscalationStatus(v *escalation, before string, by Actor) {
	if s.hidden(v) {
		s.tell("private_escalation.escalation_status_updated_v1", v.e.ID, idOnly{v.e.ID})
		return
	}
	s.tell("public_escalation.escalation_status_updated_v1", v.e.ID, map[string]any{"escalation": s.render(v), "new_status": v.e.Status, "previous_status": before, "actor": by})
}

// tell queues a webhook about the object with the id. The caller holds mu, so what is told is what was so at that moment.
func (s *Simulator) tell(event, about string, v any) {
	s.hooks.add(event, about, s.grown(mustJSON(map[string]any{"event_type": event, event: v})), ulid(s.o.Now(), s.rng, s.o.Growth), s.o.Now().UTC())
}
