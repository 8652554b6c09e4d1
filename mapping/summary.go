package mapping

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// incident.io's summary is shared with people. What TigerOps tells is a section of it: the whole summary of a declared
// incident, else a part under a ruled line. It ends with a discreet line that names the TigerOps incident. When TigerOps
// tells something new, the section is replaced where it still reads as it was sent; where people have worked on it
// theirs stays and the new one follows below.

// maxMetrics and maxNames bound lists in texts.
const (
	maxMetrics = 20
	maxNames   = 30
)

// rule parts the sections of a summary.
const rule = "\n\n---\n\n"

// section is what TigerOps tells of an incident, in Markdown, in at most limit runes; its last line is the mark.
func section(st State, limit int) string {
	mark := markLine(st.Incident.ID)
	return paragraphs(cut(story(st), max(limit-utf8.RuneCountInString(mark)-2, 0)), mark)
}

// story is what TigerOps tells of an incident, without the mark.
func story(st State) string {
	i := st.Incident
	var facts []string
	fact := func(name, text string) {
		if text != "" {
			facts = append(facts, "- **"+name+":** "+text)
		}
	}
	fact("SLO", sloText(i.SLO))
	fact("Deployment", deploymentText(i.Deployment))
	fact("Where", whereText(i))
	if i.StartedAt != nil {
		fact("Since", when(*i.StartedAt))
	}
	var links []string
	if webURL(i.URL) != "" {
		links = append(links, link("Open in TigerOps", i.URL))
	}
	if webURL(i.TraceURL) != "" {
		links = append(links, link("Trace", i.TraceURL))
	}
	return paragraphs(
		cut(prose(i.AISummary), 5_000),
		titled("Root cause hypothesis", cut(prose(i.RootCause), 2_500)),
		titled("Impacted metrics", metricsText(i.ImpactedMetrics)),
		titled("Details", strings.Join(facts, "\n")),
		strings.Join(links, " · "),
	)
}

// titled puts a bold line over a text, if there is one.
func titled(title, text string) string {
	if text == "" {
		return ""
	}
	return "**" + title + "**\n\n" + text
}

// metricsText is the impacted metrics as a list.
func metricsText(metrics []Metric) string {
	var lines []string
	for n, m := range metrics {
		if n == maxMetrics {
			lines = append(lines, fmt.Sprintf("- and %d more", len(metrics)-n))
			break
		}
		text := inline(m.Name)
		if m.Value != "" {
			text += ": **" + inline(m.Value) + "**"
		}
		if m.Baseline != "" {
			text += " (baseline " + inline(m.Baseline) + ")"
		}
		lines = append(lines, "- "+text)
	}
	return strings.Join(lines, "\n")
}

func sloText(s *SLO) string {
	if s == nil {
		return ""
	}
	text := flat(inline(s.Name) + " " + strings.ReplaceAll(inline(s.Status), "_", " "))
	if s.BurnRate != nil {
		if text != "" {
			text += ", "
		}
		text += "error budget burn rate " + number(*s.BurnRate)
	}
	return text
}

func deploymentText(d *Deployment) string {
	if d == nil {
		return ""
	}
	text := ""
	if d.SHA != "" {
		text = link(d.SHA, d.URL)
	} else if webURL(d.URL) != "" {
		text = link("deployment", d.URL)
	}
	if d.Service != "" {
		text = flat(text + " of " + inline(d.Service))
	}
	if d.DeployedAt != nil {
		text = flat(text + " at " + when(*d.DeployedAt))
	}
	return text
}

// whereText is service, team and environment on one line.
func whereText(i Incident) string {
	var parts []string
	if names := services(i); len(names) > 0 {
		if more := len(names) - maxNames; more > 0 {
			names = append(names[:maxNames:maxNames], fmt.Sprintf("%d more", more))
		}
		for n := range names {
			names[n] = inline(names[n])
		}
		parts = append(parts, strings.Join(names, ", "))
	}
	if i.Team != "" {
		parts = append(parts, "team "+inline(i.Team))
	}
	if i.Environment != "" {
		parts = append(parts, inline(i.Environment))
	}
	return strings.Join(parts, " · ")
}

// services is the incident's own service and the others that it affects, each once.
func services(i Incident) []string {
	var all []string
	seen := make(map[string]bool)
	for _, s := range append([]string{i.Service}, i.AffectedServices...) {
		if s = line(s); s != "" && !seen[s] {
			seen[s] = true
			all = append(all, s)
		}
	}
	return all
}

// number writes a number without an exponent or needless digits.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// plainName is a TigerOps incident id that stands in Markdown as it is, unless it is longer than maxPlainName.
var plainName = regexp.MustCompile("^[^*`\\[\\]\\\\<>\\x00-\\x1f\\x7f ](?:[^*`\\[\\]\\\\<>\\x00-\\x1f\\x7f]*[^*`\\[\\]\\\\<>\\x00-\\x1f\\x7f_ ])?$")

// Bounds of names in characters: what we write, and what is taken for a name in what is read. See maxPlainID.
const (
	maxPlainName = 200
	maxMark      = 256
)

// nameOf is how texts name a TigerOps incident: by its id, or by a short hash of an id that would break them.
func nameOf(tigeropsID string) string {
	if utf8.RuneCountInString(tigeropsID) <= maxPlainName && plainName.MatchString(tigeropsID) {
		return tigeropsID
	}
	return Reference(tigeropsID)
}

// incidentMark names a TigerOps incident in what is written for it.
func incidentMark(tigeropsID string) string { return "TigerOps " + nameOf(tigeropsID) }

// markLine ends a section of a summary.
func markLine(tigeropsID string) string { return "*" + incidentMark(tigeropsID) + "*" }

var markPattern = regexp.MustCompile(`(?m)^[ \t]*[*_]TigerOps (\S.*)[*_][ \t]*\r?$`)

// DeclaredFor finds the TigerOps incidents that a summary was written for, by the lines that end their sections.
func DeclaredFor(summary string) []string {
	var all []string
	seen := make(map[string]bool)
	for _, m := range markPattern.FindAllStringSubmatch(summary, -1) {
		if utf8.RuneCountInString(m[1]) > maxMark {
			continue
		}
		// An editor may have put backslashes before characters that can mean formatting.
		id := strings.ReplaceAll(m[1], `\`, "")
		if !seen[id] {
			seen[id] = true
			all = append(all, id)
		}
	}
	return all
}

// rulePattern is a ruled line as we write it, and as an editor may write it back.
var rulePattern = regexp.MustCompile(`\n\s*(?:-{3,}|\*{3,}|_{3,})[ \t]*\n\s*`)

// maxSections bounds how many parts of a summary are looked at.
const maxSections = 20

// composed is the summary with TigerOps' section in it, and the section. before is the summary as it is, pushed the
// hash of the section that was sent last. A section that tells the same already stays, whoever wrote it: an alert route
// from the alert's description, another agent with the same TigerOps, or this one before its database was restored.
func composed(before, pushed string, st State) (text, sent string) {
	before = strings.TrimSpace(before)
	if before == "" {
		sent = section(st, maxSummary)
		return sent, sent
	}
	start, end := findSection(before, pushed)
	if sent = section(st, maxSummary); sectionHash(sent) != pushed {
		if at, _ := findSection(before, sectionHash(sent)); at >= 0 {
			if start >= 0 {
				before = without(before, start, end)
			}
			return before, sent
		}
	}
	if start < 0 && pushed == "" && slices.Contains(DeclaredFor(before), nameOf(st.Incident.ID)) {
		return before, sent // another agent tells of it here, and may be ahead: ours comes with the next news
	}
	if start < 0 {
		start, end = len(before), len(before)
	}
	head, tail := before[:start], before[end:]
	if start == end {
		head = strings.TrimRightFunc(head, unicode.IsSpace) + rule
	}
	// What people wrote is never cut; TigerOps' part keeps some room whatever they wrote.
	sent = section(st, max(maxSummary-utf8.RuneCountInString(head)-utf8.RuneCountInString(tail), 500))
	return head + sent + tail, sent
}

// without is a summary without the section at that place and the ruled line that parted it from the others.
func without(summary string, start, end int) string {
	head, tail := summary[:start], summary[end:]
	if r := rulePattern.FindStringIndex(tail); r != nil && r[0] == 0 {
		return head + tail[r[1]:]
	}
	if all := rulePattern.FindAllStringIndex(head, -1); len(all) > 0 && all[len(all)-1][1] == len(head) {
		head = head[:all[len(all)-1][0]]
	}
	return head + tail
}

// Tells says whether a summary holds the section with that hash (Pushed.Summary).
func Tells(summary, hash string) bool {
	start, _ := findSection(strings.TrimSpace(summary), hash)
	return start >= 0
}

// findSection finds the part of a summary that reads as the section with that hash: any run of parts between ruled
// lines, since TigerOps' own text may hold some. It is -1 if there is none.
func findSection(summary, hash string) (start, end int) {
	if hash == "" {
		return -1, -1
	}
	starts, ends := []int{0}, []int{}
	for _, r := range rulePattern.FindAllStringIndex(summary, maxSections) {
		starts, ends = append(starts, r[1]), append(ends, r[0])
	}
	ends = append(ends, len(summary))
	for i := range starts {
		for j := len(ends) - 1; j >= i; j-- {
			if starts[i] <= ends[j] && sectionHash(summary[starts[i]:ends[j]]) == hash {
				return starts[i], ends[j]
			}
		}
	}
	return -1, -1
}

// sectionHash stands for a section in Pushed.Summary. Only letters and digits count: incident.io's editor may write
// bullets, emphasis and blank lines in its own way.
func sectionHash(s string) string {
	return digest("summary", letters(s))[:32]
}

// letters is the letters and digits of a text.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}
