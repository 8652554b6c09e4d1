package mapping

import (
	"cmp"
	"strings"
	"time"
)

// An alert route may make an incident of an alert after the agent has declared or attached one. Incidents can't be merged
// through the API, so the second one is tied beside the first: its people are told where the work is, and it ends
// together with it.

// TellBeside is what people read once a second incident is tied: an item on each of the two timelines. kept is the tie
// that stays in step. The same ties give the same bytes.
func TellBeside(kept, beside Tie, at time.Time) []Request {
	item := func(name string, to Tie, title, text string) Request {
		key := StepKey("beside "+kept.TigerOpsID+" "+beside.IncidentID, name)
		return Request{
			Name: name, Call: CreateTimeline, Method: "POST", Path: pathTimeline, Key: key, Body: encoded(timelineBody{
				Incident: to.IncidentID, Key: key, Title: line(title), Timestamp: at.UTC().Format(timeLayout), Description: text,
			}),
		}
	}
	tigerops := "TigerOps " + nameOf(kept.TigerOpsID)
	first, second := link(kept.Reference, kept.Permalink), link(beside.Reference, beside.Permalink)
	const merge = "Incidents can't be merged through the API: merge them here if that helps."
	return []Request{
		item("beside.kept", kept, tigerops+" has a second incident: "+beside.Reference,
			"An alert route made "+second+" of the same alert. What TigerOps finds is told here; "+second+" is resolved together with this one. "+merge),
		item("beside.tell", beside, tigerops+" is worked on in "+kept.Reference,
			"An alert route made this incident of an alert that "+first+" was there for already. What TigerOps finds is told there; this one is resolved together with it. "+merge),
	}
}

// resolveBeside ends the incidents beside the one that is kept in step, as far as auto_resolve has it.
func (p *planner) resolveBeside() {
	own := p.tie
	defer func() { p.tie, p.in.Tie = own, own }()
	for _, tie := range p.in.Beside {
		p.tie = &tie
		name := "beside.resolve." + strings.TrimPrefix(cmp.Or(tie.Reference, tie.IncidentID), "INC-")
		body := updateBody{
			Incident: tie.IncidentID, Key: p.key(name),
			Message: cut(sentence("Resolved", p.who(), "in TigerOps")+" It was worked on in "+cmp.Or(own.Reference, own.IncidentID)+".", maxDetail),
		}
		explain := []string{"beside " + cmp.Or(own.Reference, own.IncidentID) + ": " + tie.Reference, "message: " + body.Message}
		if to, ok := p.resolved(cmp.Or(p.st.Incident.Status, StatusResolved)); ok && p.rules.AutoResolve {
			if path, legal := StatusPath(tie.Agreed.Status, to, p.dir); legal && len(path) > 0 {
				body.Status = path[0].ID
				explain = append(explain, explainStatus(path[0]))
			}
		}
		p.add(Request{
			Name: name, Call: CreateUpdate, Path: pathUpdates, Body: encoded(body), Key: body.Key, Effect: Effect{Message: body.Message}, Explain: explain,
		})
	}
}
