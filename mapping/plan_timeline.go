package mapping

import (
	"cmp"
	"strings"
)

// addTimeline plans a timeline item with the event's own time.
func (p *planner) addTimeline(name, title, text string, told Pushed) {
	body := timelineBody{
		Incident: p.tie.IncidentID, Key: p.key(name), Title: line(title), Timestamp: p.at(), Description: cut(text, maxDetail),
	}
	p.add(Request{
		Name: name, Call: CreateTimeline, Path: pathTimeline, Body: encoded(body), Key: body.Key,
		Effect: Effect{Pushed: told}, Explain: []string{"timeline: " + body.Title + " at " + body.Timestamp},
	})
}

// investigation tells a step of TigerOps' investigation, an anomaly or a breach on the timeline.
func (p *planner) investigation() {
	ev := p.in.Event
	if !p.rules.PushTimeline {
		p.skip("push_timeline_events is off")
		return
	}
	step := Step{}
	if ev.Step != nil {
		step = *ev.Step
	}
	kind := humanised(step.Kind)
	switch {
	case ev.Type == AnomalyDetected:
		kind = "Anomaly detected"
	case ev.Type == SLOBreached:
		kind = "SLO breached"
	case kind == "":
		kind = "Investigation"
	}
	heading, text := kind, prose(step.Detail)
	if title := flat(step.Title); title != "" && !strings.EqualFold(title, kind) {
		heading += ": " + title
	} else if ev.Type != InvestigationStep && ev.Incident.Title != "" {
		heading += ": " + flat(ev.Incident.Title)
	}
	if text == "" {
		// The step says no more than its kind: what the event tells of the incident does.
		switch {
		case ev.Type == SLOBreached:
			text = sloText(ev.Incident.SLO)
		case ev.Type == AnomalyDetected || step.Kind == "anomaly_detected":
			text = metricsText(ev.Incident.ImpactedMetrics)
		case step.Kind == "root_cause_identified":
			text = prose(ev.Incident.RootCause)
		}
	}
	p.addTimeline("timeline.add", heading, paragraphs(cut(text, maxDetail-300), p.more(step.URL)), Pushed{})
}

// more is the way to TigerOps' own page about something.
func (p *planner) more(address string) string {
	if address = cmp.Or(webURL(address), webURL(p.st.Incident.URL)); address != "" {
		return link("More in TigerOps", address)
	}
	return ""
}

// action tells a runbook action: an action of the incident when TigerOps first tells of it, a timeline item when its
// status changes.
func (p *planner) action() {
	a := p.in.Event.Action
	switch {
	case !p.rules.PushActions:
		p.skip("push_runbook_actions is off")
		return
	case a == nil:
		return
	}
	name, status := cmp.Or(flat(a.Title), "Runbook action"), strings.ToLower(flat(humanised(a.Status)))
	was, known := p.in.Before.Actions[a.Title]
	if !known {
		text := name
		if status != "" {
			text += " (" + status + ")"
		}
		text = paragraphs(line("Runbook: "+text), cut(prose(a.Detail), 2_000), webURL(a.URL), p.reference(0))
		p.add(Request{
			Name: "action.create", Call: CreateAction, Path: pathActions, Mark: p.reference(0),
			Body:    encoded(actionBody{Incident: p.tie.IncidentID, Description: text}),
			Explain: []string{"action: " + line(name)},
		})
		return
	}
	if was == a.Status {
		return
	}
	heading := "Runbook action " + cmp.Or(status, "changed") + ": " + name
	text := ""
	if was != "" {
		text = "Before: " + inline(strings.ToLower(humanised(was))) + "."
	}
	p.addTimeline("timeline.add", heading, paragraphs(cut(prose(a.Detail), maxDetail-300), text, p.more(a.URL)), Pushed{})
}
