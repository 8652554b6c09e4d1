package mapping

import (
	"cmp"
	"fmt"
	"unicode/utf8"
)

// maxAlert bounds an alert event's body in bytes: incident.io answers 429 to one over 512 KB (facts.md, "Alert
// events"), and counts in thousands as likely as not.
const maxAlert = 500_000

// alert fires the incident's alert, once in each of its lives, and resolves it, at the latest with the next life's. An incident that is tied already gets
// none for an ordinary event: an alert route would make a second incident of it.
func (p *planner) alert() {
	if p.rules.AlertSource == "" {
		return
	}
	ev := p.in.Event
	key := AlertKey(p.st.Incident.ID, p.st.Generation)
	switch {
	case !p.st.Open:
		if ev.Type == IncidentResolved && p.in.AlertFired {
			p.addAlert("alert.resolve", "resolved", key)
		}
	case p.in.AlertFired:
	case p.in.Tie == nil || ev.Type == IncidentReopened || ev.Type == AnomalyDetected || ev.Type == SLOBreached:
		p.addAlert("alert.fire", "firing", key)
	}
	// Where only routes declare, one may still make an incident of it, until another is tied or there is nothing left to do.
	if p.in.AlertLeft != "" && (ev.Type == IncidentResolved || ev.Type == IncidentReopened && (p.tie != nil || p.rules.AutoDeclare)) {
		p.resolveLeft()
	}
}

// resolveLeft resolves the alert of an earlier life, one after another where there are more.
func (p *planner) resolveLeft() {
	for n := 2; ; n++ {
		switch name := fmt.Sprintf("alert.resolve.%d", n); p.in.Ended[name].State {
		case EndedDone:
		case EndedLeftOut:
			return
		default:
			p.addAlert(name, "resolved", p.in.AlertLeft)
			return
		}
	}
}

// loneAlert plans for an event that belongs to no incident: it is an alert and nothing else.
func (p *planner) loneAlert() {
	switch {
	case p.in.Event.Type != AnomalyDetected && p.in.Event.Type != SLOBreached:
		p.skip("it names no incident")
	case p.rules.AlertSource == "":
		p.skip("an alert, and no alert source is configured")
	case BelowMin(p.st, p.rules):
		p.skip("below min_severity " + p.rules.MinSeverity + ": " + quoted(p.st.Incident.Severity))
	default:
		p.addAlert("alert.fire", "firing", EventAlertKey(p.in.Event.ID))
	}
}

func (p *planner) addAlert(name, status, key string) {
	body, trimmed := p.alertBody(status, key)
	if trimmed && !p.did(name) {
		p.warn("the alert was too large for incident.io and was cut")
	}
	explain := []string{"alert source " + p.rules.AlertSource, "deduplication key " + key}
	if s, _ := SeverityFor(p.st, p.rules, p.dir); s != nil {
		explain = append(explain, explainSeverity(s))
	}
	p.add(Request{
		Name: name, Call: AlertEvent, Path: pathAlertEvents + p.rules.AlertSource, Body: encoded(body), Mark: key, Explain: explain,
	})
}

// alertBody is the alert event. Where it is too large, the description goes first (in halves), then the metadata: the
// metrics, the services affected, all of it; then the address. Title, status and key always stay.
func (p *planner) alertBody(status, key string) (b alertBody, trimmed bool) {
	i := p.st.Incident
	ev := p.in.Event
	b = alertBody{
		Title: cmp.Or(line(i.Title), p.stepTitle(), p.fallbackTitle()), Status: status, Key: key,
		Description: p.alertText(), SourceURL: cmp.Or(webURL(i.URL), webURL(i.TraceURL)),
	}
	m := alertMetadata{
		EventType: ev.Type, TigerOpsID: line(i.ID), EventID: Reference(ev.ID), Severity: line(i.Severity),
		Service: line(cmp.Or(append([]string{i.Service}, i.AffectedServices...)...)), RemoteService: line(ServiceOf(p.st, p.rules)),
		Team: line(mapName("team", i.Team, p.rules)), Environment: line(i.Environment), TraceURL: webURL(i.TraceURL),
		AffectedServices: i.AffectedServices, ImpactedMetrics: i.ImpactedMetrics,
	}
	if s, _ := SeverityFor(p.st, p.rules, p.dir); s != nil {
		m.RemoteSeverity = s.Name
	}
	if i.SLO != nil {
		m.SLO, m.SLOStatus, m.BurnRate = line(i.SLO.Name), line(i.SLO.Status), i.SLO.BurnRate
	}
	if i.Deployment != nil {
		m.DeploymentSHA = line(i.Deployment.SHA)
	}
	b.Metadata = &m
	for step := 0; len(encoded(b)) > maxAlert; {
		trimmed = true
		if n := utf8.RuneCountInString(b.Description); n > 500 {
			b.Description = cut(b.Description, n/2)
			continue
		}
		switch step++; step {
		case 1:
			m.ImpactedMetrics = nil
		case 2:
			m.AffectedServices = nil
		case 3:
			b.Metadata = nil
		case 4:
			b.SourceURL = ""
		default:
			b.Description = ""
			return b, trimmed
		}
	}
	return b, trimmed
}

// alertText is the alert's description.
func (p *planner) alertText() string {
	head := ""
	switch p.in.Event.Type {
	case IncidentResolved:
		head = sentence("Resolved", p.who(), "in TigerOps")
	case IncidentReopened:
		head = sentence("Reopened", p.who(), "in TigerOps")
	}
	if s := p.in.Event.Step; s != nil && (p.in.Event.Type == AnomalyDetected || p.in.Event.Type == SLOBreached) {
		head = paragraphs(cut(prose(s.Detail), maxDetail), head)
	}
	if p.st.Incident.ID == "" {
		return paragraphs(head, story(p.st), "TigerOps event "+Reference(p.in.Event.ID))
	}
	// Plain, unlike a summary's last line: an incident that a route makes of the alert was not declared by an agent. It is
	// TigerOps' section of that incident's summary.
	section := paragraphs(story(p.st), incidentMark(p.st.Incident.ID))
	if head == "" {
		return section
	}
	return head + rule + section
}

// stepTitle is the title of the event's step, if it has one.
func (p *planner) stepTitle() string {
	if p.in.Event.Step == nil {
		return ""
	}
	return line(p.in.Event.Step.Title)
}

// fallbackTitle names what TigerOps gave no title.
func (p *planner) fallbackTitle() string {
	i := p.st.Incident
	what := "TigerOps incident"
	switch p.in.Event.Type {
	case AnomalyDetected:
		what = "Anomaly detected"
	case SLOBreached:
		what = "SLO breached"
	default:
		if i.ID != "" {
			what += " " + nameOf(i.ID)
		}
	}
	where := flat(cmp.Or(append([]string{i.Service}, i.AffectedServices...)...))
	if where == "" && i.SLO != nil {
		where = flat(i.SLO.Name)
	}
	if where != "" {
		what += ": " + where
	}
	if i.Environment != "" {
		what += " (" + flat(i.Environment) + ")"
	}
	return line(what)
}

// sentence says what somebody did: "Acknowledged by Ada in TigerOps."
func sentence(did, who, where string) string {
	if who != "" {
		did += " by " + who
	}
	return did + " " + where + "."
}
