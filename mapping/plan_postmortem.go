package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxFollowUps bounds how many follow-ups one event makes; incident.io shows them in one list that people work through.
const maxFollowUps = 50

// followUps is the action items that become follow-ups.
func followUps(post *Postmortem) []ActionItem {
	return post.ActionItems[:min(len(post.ActionItems), maxFollowUps)]
}

// postmortem imports the document once; a later one is a timeline item. Each action item becomes a follow-up once.
func (p *planner) postmortem() {
	post := p.in.Event.Post
	switch {
	case !p.rules.PushPostmortem:
		p.skip("push_postmortem is off")
		return
	case post == nil:
		return
	}
	if !p.in.Before.Postmortem {
		mark := p.reference(0)
		ref := cmp.Or(p.tie.Reference, nameOf(p.st.Incident.ID))
		heading := cut(flat(ref+" post-mortem: "+title(p.st, p.fallbackTitle())), maxTitle-len(mark)-1) + " " + mark
		p.add(Request{
			Name: "postmortem.import", Call: ImportPostmortem, Path: pathPostmortem(p.tie.IncidentID), Mark: mark,
			Body:    encoded(postmortemBody{Title: heading, Content: document(p.st, post)}),
			Explain: []string{"post-mortem document: " + heading},
		})
	} else {
		text := paragraphs(titled("Contributing factors", bullets(post.ContributingFactors)), cut(prose(post.TimelineSummary), 2_000), p.more(""))
		p.addTimeline("timeline.add", "Post-mortem updated in TigerOps", text, Pushed{})
	}
	if n := len(post.ActionItems) - maxFollowUps; n > 0 {
		p.warn(fmt.Sprintf("%d action items left out: %d follow-ups are made of one post-mortem; all stand in the document", n, maxFollowUps))
	}
	for n, item := range followUps(post) {
		earlier := func(other ActionItem) bool { return other.Title == item.Title }
		if !slices.Contains(p.in.Before.FollowUps, item.Title) && !slices.ContainsFunc(post.ActionItems[:n], earlier) {
			p.followUp(n+1, item)
		}
	}
}

// followUp makes a follow-up of the nth action item.
func (p *planner) followUp(n int, item ActionItem) {
	name, mark := fmt.Sprintf("followup.create.%d", n), p.reference(n)
	if p.did(name) {
		return
	}
	body := followUpBody{Incident: p.tie.IncidentID, Title: cmp.Or(line(item.Title), "Follow-up"), Labels: labels(item.Labels)}
	explain := []string{"follow-up: " + body.Title}
	owner := ""
	if item.Owner != "" {
		email := emailOf(item.Owner, item.Owner, p.rules)
		if u, ok := p.dir.Users[email]; ok && email != "" {
			body.Assignee = u.ID
			explain = append(explain, fmt.Sprintf("assignee %s <%s> (%s)", cmp.Or(u.Name, email), email, u.ID))
		} else {
			owner = "Owner in TigerOps: " + inline(item.Owner)
			p.warn(fmt.Sprintf("follow-up %s not assigned: %s was not found in incident.io", quoted(item.Title), quoted(item.Owner)))
		}
	}
	body.Description = paragraphs(cut(prose(item.Detail), maxDetail-500), owner, mark)
	p.add(Request{Name: name, Call: CreateFollowUp, Path: pathFollowUps, Body: encoded(body), Mark: mark, Explain: explain})
}

// labels bounds a follow-up's labels.
func labels(all []string) []string {
	var out []string
	for _, l := range all {
		if l = cut(flat(l), 50); l != "" && !slices.Contains(out, l) && len(out) < 10 {
			out = append(out, l)
		}
	}
	return out
}

// document is the post-mortem in GitHub Markdown.
func document(st State, post *Postmortem) string {
	i := st.Incident
	var impact []string
	for _, f := range [][2]string{{"SLO", sloText(i.SLO)}, {"Where", whereText(i)}, {"Severity", inline(i.Severity)}} {
		if f[1] != "" {
			impact = append(impact, "- **"+f[0]+":** "+f[1])
		}
	}
	switch {
	case i.StartedAt != nil && i.ResolvedAt != nil:
		impact = append(impact, "- **From** "+when(*i.StartedAt)+" **to** "+when(*i.ResolvedAt))
	case i.StartedAt != nil:
		impact = append(impact, "- **From** "+when(*i.StartedAt))
	}
	var links []string
	for _, l := range [][2]string{{"Incident in TigerOps", i.URL}, {"Trace", i.TraceURL}} {
		if webURL(l[1]) != "" {
			links = append(links, "- "+link(l[0], l[1]))
		}
	}
	if d := deploymentText(i.Deployment); d != "" {
		links = append(links, "- Deployment: "+d)
	}
	var items []string
	for _, item := range post.ActionItems {
		text := "- [ ] " + inline(item.Title)
		if item.Owner != "" {
			text += " (" + inline(item.Owner) + ")"
		}
		if detail := flat(item.Detail); detail != "" {
			text += ": " + cut(detail, 500)
		}
		items = append(items, text)
	}
	return paragraphs(cut(paragraphs(
		chapter("Summary", cut(prose(i.AISummary), 10_000)),
		chapter("Impact", paragraphs(strings.Join(impact, "\n"), metricsTable(i.ImpactedMetrics))),
		chapter("Root cause", cut(prose(i.RootCause), 10_000)),
		chapter("Contributing factors", bullets(post.ContributingFactors)),
		chapter("Timeline", cut(prose(post.TimelineSummary), 30_000)),
		chapter("Action items", strings.Join(items, "\n")),
		chapter("Links", strings.Join(links, "\n")),
	), maxPost), "*Drafted by "+incidentMark(i.ID)+"*")
}

// chapter puts a heading over a text, if there is one.
func chapter(heading, text string) string {
	if text == "" {
		return ""
	}
	return "## " + heading + "\n\n" + text
}

// bullets makes a list of texts, one line each.
func bullets(texts []string) string {
	var lines []string
	for n, t := range texts {
		if n == 100 {
			lines = append(lines, fmt.Sprintf("- and %d more", len(texts)-n))
			break
		}
		if t = flat(t); t != "" {
			lines = append(lines, "- "+cut(t, 1_000))
		}
	}
	return strings.Join(lines, "\n")
}

// metricsTable is the impacted metrics as a table: a document has the room that a summary lacks.
func metricsTable(metrics []Metric) string {
	if len(metrics) == 0 {
		return ""
	}
	cell := func(s string) string { return strings.ReplaceAll(inline(s), "|", `\|`) }
	lines := []string{"| Metric | Value | Baseline |", "| --- | --- | --- |"}
	for n, m := range metrics {
		if n == 100 {
			break
		}
		lines = append(lines, "| "+cell(m.Name)+" | "+cell(m.Value)+" | "+cell(m.Baseline)+" |")
	}
	return strings.Join(lines, "\n")
}
