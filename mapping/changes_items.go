package mapping

import (
	"cmp"
	"slices"
	"strings"
)

// Statuses that need no telling: what an item begins with, and one that is gone before TigerOps heard of it.
const (
	itemOutstanding = "outstanding"
	itemDeleted     = "deleted"
)

// inOrder are items by when they were made.
func inOrder(items []Item) []Item {
	items = slices.DeleteFunc(slices.Clone(items), func(i Item) bool { return i.ID == "" })
	slices.SortStableFunc(items, func(a, b Item) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return items
}

// ownItem says whether a step of the agent's made the item. What nobody is named for at the first look came with the
// declaration; but nobody is ever named for a post-mortem document, and no declaration brings one along.
func (w *comparison) ownItem(kind string, i Item) bool {
	if kind == seenPostmortem && strings.Contains(i.Title, markOpens) {
		return true // also where a restored copy does not know the event
	}
	came := w.Look.First && kind != seenPostmortem
	return w.OwnIDs[i.ID] || w.ownKey(i.By) || w.machine(i.By) && (came || w.ownText(i.Title, i.Description))
}

// compareItems tells of items that are new and of those that changed. The agent's own are not told as new, but what
// people do with them is.
func (w *comparison) compareItems(kind string, items []Item, created, updated string) {
	for _, i := range inOrder(items) {
		mark := itemMark(i)
		was, seen := w.see(kind, i.ID, mark)
		if seen && was == mark {
			continue
		}
		if !seen {
			switch {
			case !w.ownItem(kind, i):
				if !w.old(i.At) && i.Status != itemDeleted {
					w.row(Change{Type: created, After: itemValues(i), Actor: actorOf(i.By), OccurredAt: i.At}, kind, i.ID)
				}
				continue
			case kind == seenPostmortem && i.Status != "in_review" && i.Status != "completed":
				continue // as it was imported
			case i.Status == "" || i.Status == itemOutstanding:
				continue
			}
			if was = itemOutstanding; kind == seenPostmortem {
				was = "in_progress"
			}
		}
		status, _, _ := strings.Cut(was, "|")
		c := Change{
			Type: updated, Before: map[string]any{"id": i.ID, "status": status}, After: itemValues(i),
			OccurredAt: i.UpdatedAt, Repeatable: i.UpdatedAt.IsZero(),
		}
		w.row(c, kind, i.ID, mark, millis(i.UpdatedAt))
	}
}

// itemMark tells whether an item changed: its status, and a hash over the rest.
func itemMark(i Item) string {
	labels := slices.Sorted(slices.Values(i.Labels))
	return i.Status + "|" + digest(append([]string{i.Title, i.Description, i.Assignee}, labels...)...)[:12]
}

// itemValues is what a row tells of an item.
func itemValues(i Item) map[string]any {
	m := map[string]any{"id": i.ID, "title": i.Title}
	for key, text := range map[string]string{"description": i.Description, "status": i.Status, "assignee": i.Assignee} {
		if text != "" {
			m[key] = text
		}
	}
	if len(i.Labels) > 0 {
		m["labels"] = i.Labels
	}
	return m
}

// tellTimeline tells what people added to the timeline.
func (w *comparison) tellTimeline() {
	for _, i := range inOrder(w.Look.Timeline) {
		if _, seen := w.see(seenTimeline, i.ID, "1"); seen || w.old(i.At) || !w.Rules.PullTimeline || w.ownItem(seenTimeline, i) {
			continue
		}
		w.row(Change{Type: ChangeTimeline, After: itemValues(i), Actor: actorOf(i.By), OccurredAt: i.At}, seenTimeline, i.ID)
	}
}

// Statuses of an escalation (facts.md, "Escalations").
const (
	escalationPending   = "pending"
	escalationTriggered = "triggered"
	escalationDelayed   = "delayed"
	escalationAcked     = "acked"
)

// compareEscalations tells who was paged and what became of it: an escalation's ack is an acknowledgement, once, its
// other moves are told as they are.
func (w *comparison) compareEscalations() {
	all := slices.DeleteFunc(slices.Clone(w.Look.Escalations), func(e Escalation) bool {
		return e.ID == "" || len(e.IncidentIDs) > 0 && !slices.Contains(e.IncidentIDs, w.Look.Remote.ID)
	})
	slices.SortStableFunc(all, func(a, b Escalation) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	for _, e := range all {
		was, seen := w.see(seenEscalation, e.ID, e.Status)
		if seen && was == e.Status {
			continue
		}
		own := w.OwnIDs[e.ID] || w.ownText(e.Title)
		ack := e.Status == escalationAcked
		if ack {
			if _, told := w.see(seenAck, e.ID, "1"); told {
				ack = false // acknowledged again: a move like any other
			}
		}
		if !seen {
			if !own && !w.old(e.At) {
				c := Change{Type: ChangeEscalated, After: escalationValues(e, e.Status), OccurredAt: e.At}
				if !ack {
					c.Actor = actorOf(e.By)
				}
				w.tellEscalation(c, e.ID)
				if !ack {
					continue
				}
			}
			was = escalationPending
		}
		c := Change{
			Type: ChangeEscalationUpdated, Before: escalationValues(e, was), After: escalationValues(e, e.Status),
			Actor: actorOf(e.By), OccurredAt: e.UpdatedAt,
		}
		switch {
		case ack && !seen && w.old(e.At) && !own && w.State.Acknowledged:
		case ack:
			c.Type = ChangeAcknowledged
			w.tellEscalation(c, e.ID, escalationAcked)
		case !seen && (w.old(e.At) || slices.Contains([]string{escalationPending, escalationTriggered, escalationDelayed}, e.Status)):
			// One that was there before the tie, or the agent's own on its way.
		default:
			c.Repeatable = e.UpdatedAt.IsZero()
			w.tellEscalation(c, e.ID, e.Status, millis(e.UpdatedAt))
		}
	}
}

func (w *comparison) tellEscalation(c Change, parts ...string) {
	if w.Rules.PullEscalations {
		w.row(c, seenEscalation, parts...)
	}
}

func escalationValues(e Escalation, status string) map[string]any {
	return map[string]any{"escalation_id": e.ID, "title": e.Title, "escalation_status": status}
}

// compareAlert tells that the incident's alert was resolved there, unless TigerOps has resolved the incident or is
// about to: then it is what TigerOps itself caused.
func (w *comparison) compareAlert() {
	alert := w.Look.AlertResolved
	if alert == nil || alert.ID == "" {
		return
	}
	_, seen := w.see(seenAlert, alert.ID, "1")
	resolving := slices.ContainsFunc(w.Pending, func(p Pending) bool { return p.Event.Type == IncidentResolved })
	if seen || !w.State.Open || resolving {
		return
	}
	w.row(Change{
		Type: ChangeAlertResolved, After: map[string]any{"id": alert.ID, "title": alert.Title, "status": "resolved"},
		Actor: actorOf(alert.By), OccurredAt: cmp.Or(alert.At, alert.UpdatedAt),
	}, seenAlert, alert.ID)
}
