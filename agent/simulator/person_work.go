package simulator

import (
	"fmt"
	"slices"
)

// CreateAction adds an action, assigned to the person himself, and returns its id.
func (p *Person) CreateAction(ref, description string) (id string, err error) {
	err = p.on(ref, func(i *incident, by Actor) error {
		id = p.s.addAction(i, by, description, by.User).ID
		return nil
	})
	return id, err
}

// CreateFollowUp adds a follow-up, assigned to the person himself, and returns its id.
func (p *Person) CreateFollowUp(ref, title, description string, labels ...string) (id string, err error) {
	err = p.on(ref, func(i *incident, by Actor) error {
		id = p.s.addFollowUp(i, by, FollowUp{Title: title, Description: description, Labels: listOf(labels), Assignee: by.User}).ID
		return nil
	})
	return id, err
}

// CompleteAction completes an action; SetAction gives it any status: outstanding, completed, deleted or not_doing.
func (p *Person) CompleteAction(id string) error { return p.SetAction(id, "completed") }

// SetAction gives an action a status.
func (p *Person) SetAction(id, status string) error {
	return p.act(func(Actor) error {
		a := find(p.s.incident.actions, id, func(a *Action) string { return a.ID })
		if a == nil {
			return fmt.Errorf("action %q: there is none", id)
		}
		if err := workStatus(status); err != nil {
			return err
		}
		now := p.s.now()
		a.Status, a.UpdatedAt, a.CompletedAt = status, now, nil
		if status == "completed" {
			a.CompletedAt = &now
		}
		p.s.tellAction("action_updated_v1", a)
		return nil
	})
}

// CompleteFollowUp completes a follow-up; SetFollowUp gives it any status.
func (p *Person) CompleteFollowUp(id string) error { return p.SetFollowUp(id, "completed") }

// SetFollowUp gives a follow-up a status.
func (p *Person) SetFollowUp(id, status string) error {
	return p.act(func(Actor) error {
		f := find(p.s.incident.followUps, id, func(f *FollowUp) string { return f.ID })
		if f == nil {
			return fmt.Errorf("follow-up %q: there is none", id)
		}
		if err := workStatus(status); err != nil {
			return err
		}
		now := p.s.now()
		f.Status, f.UpdatedAt, f.CompletedAt = status, now, nil
		if status == "completed" {
			f.CompletedAt = &now
		}
		p.s.tellFollowUp("follow_up_updated_v2", f)
		return nil
	})
}

func workStatus(status string) error {
	if !slices.Contains([]string{"outstanding", "completed", "deleted", "not_doing"}, status) {
		return fmt.Errorf("status %q: is none of an action or a follow-up", status)
	}
	return nil
}

// Escalate pages an escalation path about an incident and returns the escalation's id.
func (p *Person) Escalate(ref, path, title string) (id string, err error) {
	err = p.on(ref, func(i *incident, by Actor) error {
		n := slices.IndexFunc(p.s.settings.paths, func(v EscalationPath) bool { return v.ID == path || v.Name == path })
		if n < 0 {
			return fmt.Errorf("escalation path %q: there is none", path)
		}
		ep := p.s.settings.paths[n]
		v := &escalation{e: Escalation{Title: title, EscalationPathID: ep.ID}, incident: []string{i.id}}
		p.s.page(v, by, ep.CurrentResponders)
		id = v.e.ID
		return nil
	})
	return id, err
}

// AckEscalation acknowledges an escalation; SetEscalation gives it any status.
func (p *Person) AckEscalation(id string) error { return p.SetEscalation(id, "acked") }

// SetEscalation gives an escalation a status: pending, triggered, acked, resolved, expired, cancelled, snoozed, delayed
// or pending_repeat.
func (p *Person) SetEscalation(id, status string) error {
	return p.act(func(by Actor) error {
		v := p.s.escalationByID(id)
		if v == nil {
			return fmt.Errorf("escalation %q: there is none", id)
		}
		if !slices.Contains([]string{"pending", "triggered", "acked", "resolved", "expired", "cancelled", "snoozed", "delayed", "pending_repeat"}, status) {
			return fmt.Errorf("status %q: is none of an escalation", status)
		}
		p.s.setEscalation(v, status, by)
		return nil
	})
}

// ResolveAlert resolves an alert, by its id or deduplication key.
func (p *Person) ResolveAlert(id string) error {
	return p.act(func(Actor) error {
		a := p.s.anyAlert(id)
		if a == nil {
			return fmt.Errorf("alert %q: there is none", id)
		}
		if a.Status == "firing" {
			p.s.endAlert(a)
		}
		return nil
	})
}

// AttachAlert ties an alert, by its id or deduplication key, to an incident.
func (p *Person) AttachAlert(ref, id string) error {
	return p.on(ref, func(i *incident, _ Actor) error {
		a := p.s.anyAlert(id)
		if a == nil {
			return fmt.Errorf("alert %q: there is none", id)
		}
		p.s.tieAlert(a, i, "")
		return nil
	})
}

func (s *Simulator) anyAlert(id string) *Alert {
	for _, a := range s.alert.list {
		if a.ID == id || a.DeduplicationKey == id {
			return a
		}
	}
	return nil
}

// CreatePostmortem writes a post-mortem document and returns its id.
func (p *Person) CreatePostmortem(ref, title, content string) (id string, err error) {
	err = p.on(ref, func(i *incident, by Actor) error {
		id = p.s.addPostmortem(i, by, title, content).ID
		return nil
	})
	return id, err
}

// SetPostmortem gives a post-mortem document a status: in_progress, in_review or completed.
func (p *Person) SetPostmortem(id, status string) error {
	return p.act(func(Actor) error {
		d := find(p.s.incident.postmortems, id, func(d *Postmortem) string { return d.ID })
		if d == nil {
			return fmt.Errorf("post-mortem document %q: there is none", id)
		}
		if postmortemWords[status] == "" {
			return fmt.Errorf("status %q: is none of a post-mortem document", status)
		}
		before := d.Status
		d.Status, d.UpdatedAt = status, p.s.now()
		p.s.tellPostmortem(d, before)
		return nil
	})
}
