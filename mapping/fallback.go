package mapping

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Fallback is what takes the place of a newer call that an older or limited account answers 404 to (facts.md, "Newer
// calls missing"): a timeline item and a follow-up become an update's message, an action a timeline item, a post-mortem
// document an update with its beginning, an update an edit, or for a message alone an alert note or a line below the
// summary. The step keeps its name and key. It is false where there is none. The other call may be missing, too: then
// it is asked again with the request that it gave.
func Fallback(req Request, in Input) (Request, string, bool) {
	if in.Tie == nil {
		return req, "", false
	}
	warning := fmt.Sprintf("this incident.io account lacks %s: %s is told in another way", req.Call.Newer(), req.Name)
	switch req.Call {
	case CreateTimeline:
		var b timelineBody
		if json.Unmarshal(req.Body, &b) != nil {
			return req, "", false
		}
		head := "**" + inline(b.Title) + "**"
		if t, err := time.Parse(timeLayout, b.Timestamp); err == nil {
			head += " (" + when(t) + ")"
		}
		return asUpdate(req, in, paragraphs(head, b.Description)), warning, true
	case CreateAction:
		var b actionBody
		if json.Unmarshal(req.Body, &b) != nil {
			return req, "", false
		}
		return asTimeline(req, in, b.Description), warning, true
	case CreateFollowUp:
		var b followUpBody
		if json.Unmarshal(req.Body, &b) != nil {
			return req, "", false
		}
		text := paragraphs("**Follow-up:** "+inline(b.Title), b.Description)
		if len(b.Labels) > 0 {
			text = paragraphs(text, "Labels: "+inline(strings.Join(b.Labels, ", ")))
		}
		return asUpdate(req, in, text), warning, true
	case ImportPostmortem:
		var b postmortemBody
		if json.Unmarshal(req.Body, &b) != nil {
			return req, "", false
		}
		return asUpdate(req, in, paragraphs("**"+inline(b.Title)+"**", cut(b.Content, 4_000))), warning, true
	case CreateUpdate:
		var b updateBody
		if json.Unmarshal(req.Body, &b) != nil {
			return req, "", false
		}
		return withoutUpdate(req, in, b), warning, true
	case CreateAlertNote:
		var b noteBody
		if json.Unmarshal(req.Body, &b) != nil {
			return req, "", false
		}
		return asEdit(req, in, updateBody{Message: strings.TrimSuffix(b.Content, req.Mark)}), warning, true
	}
	return req, "", false
}

// asUpdate is the step as an update with a message.
func asUpdate(req Request, in Input, message string) Request {
	req.Call, req.Path, req.Mark = CreateUpdate, pathUpdates, ""
	req.Effect.Message = cut(message, maxDetail)
	req.Body = encoded(updateBody{Incident: in.Tie.IncidentID, Key: req.Key, Message: req.Effect.Message})
	return req
}

// asTimeline is the step as a timeline item: the first line is its title, and the others its description.
func asTimeline(req Request, in Input, text string) Request {
	p := newPlanner(in)
	head, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	req.Call, req.Path, req.Mark = CreateTimeline, pathTimeline, ""
	req.Body = encoded(timelineBody{
		Incident: in.Tie.IncidentID, Key: req.Key, Title: cmp.Or(line(head), req.Name), Timestamp: p.at(),
		Description: cut(strings.TrimSpace(rest), maxDetail),
	})
	return req
}

// logTitle heads the lines of the summary that stand for updates where nothing else can.
const logTitle = "**Told by TigerOps**"

// withoutUpdate is an update without the call for it. A message that comes with a move stands below the summary, too:
// it says who did it.
func withoutUpdate(req Request, in Input, b updateBody) Request {
	if b.Status == "" && b.Severity == "" && in.AlertID != "" && !in.Directory.lacks(CreateAlertNote) {
		mark := eventMark(in.Event.ID, 0)
		if req.Name != "incident.update" {
			mark = strings.TrimSuffix(mark, ")") + " " + req.Name + ")" // an event may leave several notes
		}
		req.Call, req.Path, req.Mark, req.Effect.Message = CreateAlertNote, pathNotes, mark, ""
		req.Body = encoded(noteBody{Alert: in.AlertID, Content: paragraphs(cut(b.Message, maxDetail), mark)})
		return req
	}
	return asEdit(req, in, b)
}

// asEdit is an update as an edit of the incident, with its message below the summary.
func asEdit(req Request, in Input, b updateBody) Request {
	p := newPlanner(in)
	parts := incidentParts{Severity: b.Severity, Status: b.Status}
	if b.Message != "" {
		parts.Summary = logged(in.Tie.Agreed.Summary, b.Message, p.at())
	}
	req.Call, req.Path, req.Mark = EditIncident, pathEdit(in.Tie.IncidentID), ""
	req.Effect.Summary, req.Effect.Message = parts.Summary, ""
	req.Body = encoded(editBody{Incident: parts})
	return req
}

// logged adds a line to the list below the summary that holds what TigerOps told. The oldest lines go where the summary
// would grow too long.
func logged(summary, message, at string) string {
	entry := "- " + cut(flat(message), 500)
	if t, err := time.Parse(timeLayout, at); err == nil && !strings.Contains(entry, when(t)) {
		entry += " (" + when(t) + ")"
	}
	head, list, found := strings.Cut(strings.TrimSpace(summary), logTitle)
	head = strings.TrimSpace(head)
	switch {
	case !found && head == "":
		return logTitle + "\n\n" + entry
	case !found:
		return head + rule + logTitle + "\n\n" + entry
	}
	tail := "" // what came below the list later
	if next := rulePattern.FindStringIndex(list); next != nil {
		list, tail = list[:next[0]], list[next[0]:]
	}
	lines := append(strings.Split(strings.TrimSpace(list), "\n"), entry)
	room := maxSummary - utf8.RuneCountInString(head) - utf8.RuneCountInString(tail)
	for len(lines) > 1 && utf8.RuneCountInString(strings.Join(lines, "\n")) > room {
		lines = lines[1:]
	}
	return strings.TrimSpace(paragraphs(head, logTitle, strings.Join(lines, "\n"))) + tail
}
