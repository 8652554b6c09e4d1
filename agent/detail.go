package agent

import (
	"encoding/json"
	"strings"
)

// Detail is what a line of a story says, written for people: what a change holds as words instead of JSON, and a request
// that was refused named once.
func Detail(r StoryRow) string {
	if r.Direction == toTigerOps {
		return changeInWords(r.Detail)
	}
	method, rest, _ := strings.Cut(r.Detail, " ")
	path, _, _ := strings.Cut(rest, " ")
	return strings.Replace(r.Detail, ": "+method+" "+path+": ", ": ", 1)
}

// changeInWords writes the first JSON object in a text as words; a text without one stays as it is.
func changeInWords(text string) string {
	start := strings.IndexByte(text, '{')
	if start < 0 {
		return text
	}
	from := json.NewDecoder(strings.NewReader(text[start:]))
	var words []string
	if _, err := from.Token(); err != nil {
		return text
	}
	for from.More() {
		key, err := from.Token()
		name, isName := key.(string)
		var value json.RawMessage
		if err != nil || !isName || from.Decode(&value) != nil {
			return text
		}
		said := string(value)
		var plain string
		if json.Unmarshal(value, &plain) == nil {
			said = plain // null gives nothing to say, as does an empty text
		}
		if said != "" {
			words = append(words, keyWords.Replace(name)+" "+said)
		}
	}
	if _, err := from.Token(); err != nil {
		return text
	}
	before, after := text[:start], text[start+int(from.InputOffset()):]
	said := strings.Join(words, ", ")
	if said != "" && strings.TrimSpace(before) != "" {
		said = "(" + said + ")"
	}
	return strings.TrimSpace(before + said + after)
}

var keyWords = strings.NewReplacer("incident_io", "incident.io", "_", " ")
