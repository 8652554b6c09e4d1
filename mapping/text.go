package mapping

import (
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of texts that people read, in runes. incident.io publishes none; these stay under the ones that it is known
// to have for what it shows in Slack, with room for what people add.
const (
	maxTitle   = 250    // names, titles
	maxSummary = 10_000 // an incident's summary with what people wrote into it
	maxDetail  = 5_000  // descriptions, messages, text fields
	maxOption  = 100    // a select's option
	maxPost    = 100_000
)

// cutMark ends a text that was too long.
const cutMark = "… (cut)"

// cut bounds a text to n runes, says so at its end, and closes a code block that it cuts through.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	const fence = "```"
	room := n - utf8.RuneCountInString(cutMark)
	if room <= 0 {
		return firstRunes(s, n)
	}
	kept := strings.TrimRightFunc(firstRunes(s, room), unicode.IsSpace)
	if strings.Count(kept, fence)%2 == 0 {
		return kept + cutMark
	}
	end := "\n" + fence + "\n" + cutMark
	if room = n - utf8.RuneCountInString(end); room <= 0 {
		return firstRunes(s, n)
	}
	kept = strings.TrimRightFunc(firstRunes(s, room), unicode.IsSpace)
	if strings.Count(kept, fence)%2 == 0 { // the fence itself went
		return strings.TrimRight(kept, "`") + cutMark
	}
	return kept + end
}

// firstRunes is the first n runes of s.
func firstRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// prose is a stranger's text of many lines without what would break it: no control characters, no space around it.
func prose(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// flat is a text on one line.
func flat(s string) string { return flattened(s, len(s)) }

// line is a title: flat and bounded.
func line(s string) string { return cut(flattened(s, maxTitle+1), maxTitle) }

// flattened is at least the first n runes of a text on one line, and stops reading there: strangers' texts are long.
func flattened(s string, n int) string {
	if isFlat(s) {
		return s
	}
	var b strings.Builder
	b.Grow(min(len(s), 4*n))
	gap := false
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
			n--
		}
		b.WriteRune(r) // of bytes that are no UTF-8 the range makes U+FFFD
		if n--; n <= 0 {
			break
		}
	}
	return b.String()
}

// isFlat says whether a text is ASCII on one line already, as names are.
func isFlat(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c > '~' || c < ' ' || c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ') {
			return false
		}
	}
	return true
}

// escaper takes their meaning from the characters that would make formatting of a name.
var escaper = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "]", `\]`, "<", `\<`)

// inline is a name or a measurement within Markdown.
func inline(s string) string { return escaper.Replace(line(s)) }

// webURL is s if it is an absolute web address that can be put into Markdown, else empty.
func webURL(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 2000 || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return s
}

var linkEscaper = strings.NewReplacer("(", "%28", ")", "%29", "<", "%3C", ">", "%3E")

// link is text, linked if there is an address.
func link(text, address string) string {
	if address = webURL(address); address == "" {
		return inline(text)
	}
	return "[" + inline(text) + "](" + linkEscaper.Replace(address) + ")"
}

// when is a time for people.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// humanised makes words of an identifier: remediation_executed is Remediation executed.
func humanised(word string) string {
	word = flat(strings.NewReplacer("_", " ", "-", " ", ".", " ").Replace(word))
	r, size := utf8.DecodeRuneInString(word)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + word[size:]
}

// paragraphs joins what is there with a blank line between.
func paragraphs(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(p)
	}
	return b.String()
}

// listed joins words for people: a, b and c.
func listed(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
