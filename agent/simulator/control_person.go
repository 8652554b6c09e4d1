package simulator

import (
	"fmt"
	"net/http"
	"time"
)

// told is what a person's control call may carry; each takes what it needs.
type told struct {
	Incident    string    `json:"incident"`
	Status      string    `json:"status"`
	Severity    string    `json:"severity"`
	Message     string    `json:"message"`
	Role        string    `json:"role"`
	Email       string    `json:"email"` // of the one who gets a role; the person himself if empty
	Summary     string    `json:"summary"`
	Name        string    `json:"name"`
	Field       string    `json:"field"`
	Values      []string  `json:"values"`
	Title       string    `json:"title"`
	Description string    `json:"description"`
	Content     string    `json:"content"`
	Timestamp   time.Time `json:"timestamp"`
	Labels      []string  `json:"labels"`
	Path        string    `json:"path"`
	Into        string    `json:"into"`
	ID          string    `json:"id"` // of an action, follow-up, escalation, alert or post-mortem document
}

// deed is what a person can do, by the last part of its path.
type deed struct {
	verb, does string
	example    any
	do         func(p *Person, in told) (id string, err error)
}

// sample is an example of a body.
type sample = map[string]any

func plain(f func(p *Person, in told) error) func(*Person, told) (string, error) {
	return func(p *Person, in told) (string, error) { return "", f(p, in) }
}

var deeds = []deed{
	{"set-status", "moves an incident to any status", sample{"incident": "INC-1", "status": "Monitoring", "message": "Rolled back"},
		plain(func(p *Person, in told) error { return p.SetStatus(in.Incident, in.Status, in.Message) })},
	{"resolve", "moves an incident into its post-incident flow", sample{"incident": "INC-1", "message": "…"},
		plain(func(p *Person, in told) error { return p.Resolve(in.Incident, in.Message) })},
	{"close", "closes an incident", sample{"incident": "INC-1", "message": "…"},
		plain(func(p *Person, in told) error { return p.Close(in.Incident, in.Message) })},
	{"reopen", "makes an incident live again", sample{"incident": "INC-1", "message": "…"},
		plain(func(p *Person, in told) error { return p.Reopen(in.Incident, in.Message) })},
	{"set-severity", "changes the severity", sample{"incident": "INC-1", "severity": "SEV1", "message": "…"},
		plain(func(p *Person, in told) error { return p.SetSeverity(in.Incident, in.Severity, in.Message) })},
	{"message", "shares an update that changes nothing", sample{"incident": "INC-1", "message": "Looking into it"},
		plain(func(p *Person, in told) error { return p.Message(in.Incident, in.Message) })},
	{"assign-role", "gives a role to somebody, himself if no email is given", sample{"incident": "INC-1", "role": "Incident Lead", "email": "ada@example.com"},
		plain(func(p *Person, in told) error {
			def(&in.Email, p.email)
			return p.AssignRole(in.Incident, in.Role, in.Email)
		})},
	{"unassign-role", "takes a role from whoever holds it", sample{"incident": "INC-1", "role": "Incident Lead"},
		plain(func(p *Person, in told) error { return p.UnassignRole(in.Incident, in.Role) })},
	{"edit-summary", "writes the summary anew", sample{"incident": "INC-1", "summary": "…"},
		plain(func(p *Person, in told) error { return p.EditSummary(in.Incident, in.Summary) })},
	{"rename", "gives the incident another name", sample{"incident": "INC-1", "name": "…"},
		plain(func(p *Person, in told) error { return p.Rename(in.Incident, in.Name) })},
	{"set-field", "sets a custom field; no values clear it", sample{"incident": "INC-1", "field": "Affected services", "values": []string{"Checkout"}},
		plain(func(p *Person, in told) error { return p.SetField(in.Incident, in.Field, in.Values...) })},
	{"make-private", "makes an incident private", sample{"incident": "INC-1"},
		plain(func(p *Person, in told) error { return p.MakePrivate(in.Incident) })},
	{"merge", "merges an incident into another", sample{"incident": "INC-2", "into": "INC-1"},
		plain(func(p *Person, in told) error { return p.Merge(in.Incident, in.Into) })},
	{"add-timeline-item", "adds an item to the timeline; answers its id", sample{"incident": "INC-1", "title": "…", "description": "…", "timestamp": "2026-11-23T02:00:00Z"},
		func(p *Person, in told) (string, error) {
			return p.AddTimelineItem(in.Incident, in.Title, in.Description, in.Timestamp)
		}},
	{"create-action", "adds an action; answers its id", sample{"incident": "INC-1", "description": "…"},
		func(p *Person, in told) (string, error) { return p.CreateAction(in.Incident, in.Description) }},
	{"set-action", "gives an action a status, completed if none is given", sample{"id": "01…", "status": "completed"},
		plain(func(p *Person, in told) error { def(&in.Status, "completed"); return p.SetAction(in.ID, in.Status) })},
	{"create-follow-up", "adds a follow-up; answers its id", sample{"incident": "INC-1", "title": "…", "description": "…", "labels": []string{"db"}},
		func(p *Person, in told) (string, error) {
			return p.CreateFollowUp(in.Incident, in.Title, in.Description, in.Labels...)
		}},
	{"set-follow-up", "gives a follow-up a status, completed if none is given", sample{"id": "01…", "status": "completed"},
		plain(func(p *Person, in told) error { def(&in.Status, "completed"); return p.SetFollowUp(in.ID, in.Status) })},
	{"escalate", "pages an escalation path; answers the escalation's id", sample{"incident": "INC-1", "path": "Payments on-call", "title": "…"},
		func(p *Person, in told) (string, error) {
			def(&in.Path, DefaultEscalationPathID)
			return p.Escalate(in.Incident, in.Path, in.Title)
		}},
	{"set-escalation", "gives an escalation a status, acked if none is given", sample{"id": "01…", "status": "acked"},
		plain(func(p *Person, in told) error { def(&in.Status, "acked"); return p.SetEscalation(in.ID, in.Status) })},
	{"resolve-alert", "resolves an alert, by id or deduplication key", sample{"id": "…"},
		plain(func(p *Person, in told) error { return p.ResolveAlert(in.ID) })},
	{"attach-alert", "ties an alert, by id or deduplication key, to an incident", sample{"incident": "INC-1", "id": "…"},
		plain(func(p *Person, in told) error { return p.AttachAlert(in.Incident, in.ID) })},
	{"create-postmortem", "writes a post-mortem document; answers its id", sample{"incident": "INC-1", "title": "…", "content": "…"},
		func(p *Person, in told) (string, error) { return p.CreatePostmortem(in.Incident, in.Title, in.Content) }},
	{"set-postmortem", "gives a post-mortem document a status: in_progress, in_review, completed", sample{"id": "01…", "status": "completed"},
		plain(func(p *Person, in told) error { def(&in.Status, "completed"); return p.SetPostmortem(in.ID, in.Status) })},
}

// personTable makes control calls of the deeds. Each answers {"ok": true} and what id it made.
func personTable() []control {
	out := []control{{Method: "POST", Path: "/_sim/as/{email}/declare", Does: "declares an incident as the person; answers its reference",
		Example: NewIncident{Name: "Database is down", Severity: "SEV1", Fields: map[string][]string{"Affected services": {"Checkout"}}},
		do: func(s *Simulator, r *http.Request) (any, error) {
			var in NewIncident
			if err := controlBody(r, &in); err != nil {
				return nil, err
			}
			ref, err := s.As(r.PathValue("email")).Declare(in)
			return sample{"ok": err == nil, "incident": ref}, err
		}}}
	for _, d := range deeds {
		out = append(out, control{Method: "POST", Path: "/_sim/as/{email}/" + d.verb, Does: d.does, Example: d.example,
			do: func(s *Simulator, r *http.Request) (any, error) {
				var in told
				if err := controlBody(r, &in); err != nil {
					return nil, err
				}
				id, err := d.do(s.As(r.PathValue("email")), in)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", d.verb, err)
				}
				answer := sample{"ok": true}
				if id != "" {
					answer["id"] = id
				}
				return answer, nil
			}})
	}
	return out
}
