package mapping

import (
	"maps"
	"reflect"
	"slices"
)

// Foldable returns the indexes of the events of later, waiting behind head in the same lane, whose effect head can
// carry along: only updates are folded, only into an update, and not past an event that people would miss in its
// place (an acknowledgement, an escalation, a resolve). Steps and actions stay where they are and an update may
// overtake them, unless they tell of the incident otherwise than the update does: then the last word would change.
func Foldable(head Event, later []Event) []int {
	if head.Type != IncidentUpdated {
		return nil
	}
	var (
		fold      []int
		overtaken Incident
		extra     map[string]any
	)
	for i, ev := range later {
		switch ev.Type {
		case IncidentUpdated:
			if !commute(overtaken, ev.Incident) || !commuteExtra(extra, ev) {
				return fold
			}
			fold = append(fold, i)
		case InvestigationStep, RunbookAction:
			overtaken = overtaken.with(ev.Incident)
			extra = mergeObjects(extra, extraOf(ev))
		default:
			return fold
		}
	}
	return fold
}

// commute says whether a and b add up to the same in either order.
func commute(a, b Incident) bool { return reflect.DeepEqual(a.with(b), b.with(a)) }

// commuteExtra is the same for all that the payloads hold beside what makes each an event of its own.
func commuteExtra(extra map[string]any, ev Event) bool {
	if len(extra) == 0 {
		return true
	}
	update := extraOf(ev)
	return reflect.DeepEqual(mergeObjects(extra, update), mergeObjects(update, extra))
}

// envelope are the members of a payload that differ from event to event and say nothing of the incident.
var envelope = []string{"id", "type", "event", "timestamp", "actor", "step", "action", "postmortem", "message", "description", "kind"}

func extraOf(ev Event) map[string]any {
	m := membersOf(ev.Raw)
	maps.DeleteFunc(m, func(k string, _ any) bool { return slices.Contains(envelope, k) })
	return m
}
