package mapping_test

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// summaryAfter tells a new AI summary and is what incident.io's summary becomes.
func summaryAfter(w *world, text string) string {
	w.t.Helper()
	w.says(saying("e-"+text, "incident.updated", `"ai_summary":"`+text+`"`, ""))
	return w.tie.Agreed.Summary
}

func TestSummaryIsShared(t *testing.T) {
	t.Parallel()
	w := declared(t)
	first := w.tie.Agreed.Summary
	second := strings.Replace(first, "Slow queries.", "Two.", 1)
	for name, tc := range map[string]struct{ before, want string }{
		"as it was sent":                     {first, second},
		"spaces around it":                   {"\n " + first + "  \n", second},
		"written back in an editor's way":    {strings.NewReplacer("- ", "* ", "**", "__", "\n\n", "\n\n\n", "*TigerOps TIG-4711*", "_TigerOps TIG\\-4711_").Replace(first), second},
		"people wrote above a line":          {"Lisa: on it.\n\n---\n\n" + first, "Lisa: on it.\n\n---\n\n" + second},
		"people wrote below a line":          {first + "\n\n---\n\nLisa: on it.", second + "\n\n---\n\nLisa: on it."},
		"people wrote on both sides":         {"A\n\n***\n\n" + first + "\n----\nB", "A\n\n***\n\n" + second + "\n----\nB"},
		"people wrote into it":               {strings.Replace(first, "Slow", "Very slow", 1), strings.Replace(first, "Slow", "Very slow", 1) + "\n\n---\n\n" + second},
		"people replaced it":                 {"All fine.", "All fine.\n\n---\n\n" + second},
		"people emptied it":                  {"", second},
		"people emptied it but for the line": {"---", "---\n\n---\n\n" + second},
		"another agent has told it":          {"A\n\n---\n\n" + second, "A\n\n---\n\n" + second},
		"another agent told it below":        {"A\n\n***\n\n" + first + "\n\n---\n\n" + second, "A\n\n***\n\n" + second},
		"another agent told it above":        {second + "\n\n---\n\n" + first + "\n\n---\n\nB", second + "\n\n---\n\nB"},
		"another agent told it below, first": {first + "\n\n---\n\n" + second, second},
	} {
		t.Run(name, func(t *testing.T) {
			w := declared(t)
			w.tie.Agreed.Summary = tc.before
			if got := summaryAfter(w, "Two."); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			// And once more: TigerOps' part is one, wherever it stands.
			before := strings.Count(w.tie.Agreed.Summary, "*TigerOps TIG-4711*")
			got := summaryAfter(w, "Three.")
			if !strings.Contains(got, "Three.") || strings.Contains(got, "Two.") || strings.Count(got, "*TigerOps TIG-4711*") != before {
				t.Errorf("then\n%s", got)
			}
		})
	}
}

// An agent that comes to an incident where another one tells of the same TigerOps incident adds nothing below it, and
// goes on with the next news.
func TestSummaryThatAnotherAgentTells(t *testing.T) {
	t.Parallel()
	w := declared(t)
	ahead := strings.Replace(w.tie.Agreed.Summary, "Slow queries.", "Three.", 1)
	w.tie.Agreed.Summary, w.tie.Pushed.Summary = ahead, ""
	if got := summaryAfter(w, "Two."); got != ahead {
		t.Errorf("got\n%s\nwant\n%s", got, ahead)
	}
	if got := summaryAfter(w, "Three."); got != ahead {
		t.Errorf("caught up: got\n%s\nwant\n%s", got, ahead)
	}
	if got, want := summaryAfter(w, "Four."), strings.Replace(ahead, "Three.", "Four.", 1); got != want {
		t.Errorf("then: got\n%s\nwant\n%s", got, want)
	}
}

// TigerOps' own text may hold ruled lines.
func TestSummaryWithRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(saying("e1", "incident.created", `"ai_summary":"a\n\n---\n\nb\n\n---\n\nc"`, ""))
	w.tie.Agreed.Summary = "Lisa.\n\n---\n\n" + w.tie.Agreed.Summary + "\n\n---\n\nEve."
	if got, want := summaryAfter(w, "d"), "Lisa.\n\n---\n\nd\n\n*TigerOps TIG-4711*\n\n---\n\nEve."; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What people wrote is never cut; TigerOps' part is, and is found again.
func TestSummaryLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("word ", 4000)
	w.says(saying("e1", "incident.created", `"ai_summary":"`+long+`","root_cause":"`+long+`"`, ""))
	s := w.tie.Agreed.Summary
	if n := utf8.RuneCountInString(s); n > 10_000 || n < 7_000 || !strings.HasSuffix(s, "\n\n*TigerOps TIG-4711*") || strings.Count(s, "… (cut)") != 2 {
		t.Errorf("%d runes, ends %q", n, s[len(s)-60:])
	}
	people := strings.Repeat("Lisa ", 1900)
	w.tie.Agreed.Summary = people + "\n\n---\n\n" + s
	w.says(saying("e2", "incident.updated", `"ai_summary":"Two `+long+`"`, ""))
	s = w.tie.Agreed.Summary
	if n := utf8.RuneCountInString(s); n > 10_100 || !strings.HasPrefix(s, people) || !strings.HasSuffix(s, "\n\n*TigerOps TIG-4711*") {
		t.Errorf("%d runes, ends %q", n, s[len(s)-60:])
	}
	w.says(saying("e3", "incident.updated", `"ai_summary":"Two `+long+`"`, ""))
	if len(w.steps) != 0 {
		t.Errorf("what was cut is sent again: %s", names(w.steps))
	}
}

func TestDeclaredFor(t *testing.T) {
	t.Parallel()
	for summary, want := range map[string][]string{
		"":                                   nil,
		"nothing of ours, *TigerOps TIG-1* ": nil,
		"a\n\n*TigerOps TIG-1*":              {"TIG-1"},
		"a\r\n_TigerOps TIG\\_1_\r\n":        {"TIG_1"},
		"*TigerOps TIG-1*\n\n---\n\nb\n\n*TigerOps 42*\n\n*TigerOps TIG-1*": {"TIG-1", "42"},
		"*TigerOps two words*": {"two words"},
		"TigerOps TIG-1":       nil,
		"*TigerOps *":          nil,
		"**TigerOps TIG-1**":   nil,
		"*TigerOps " + strings.Repeat("ü", 256) + "*": {strings.Repeat("ü", 256)},
		"*TigerOps " + strings.Repeat("ü", 257) + "*": nil,
	} {
		if got := mapping.DeclaredFor(summary); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, want %q", summary, got, want)
		}
	}
	for _, id := range []string{"TIG-4711", "42", "a b", "x_y_", "über", "TIG.1:2", "a/b#c", "_x", strings.Repeat("x", 512), "a*b", "[x](y)", "<x>", "`x`", `a\b`} {
		w := newWorld(t)
		w.event(mapping.Event{ID: "e1", Type: "incident.created", Incident: mapping.Incident{ID: id}})
		got := mapping.DeclaredFor(w.tie.Agreed.Summary)
		if len(got) != 1 || got[0] != id && got[0] != mapping.Reference(id) {
			t.Errorf("%q: declared for %q", id, got)
		}
	}
	for n, whole := range map[int]bool{200: true, 201: false} {
		w, id := newWorld(t), strings.Repeat("ü", n)
		w.event(mapping.Event{ID: "e1", Type: "incident.created", Incident: mapping.Incident{ID: id}})
		if got := mapping.DeclaredFor(w.tie.Agreed.Summary); len(got) != 1 || (got[0] == id) != whole {
			t.Errorf("a name of %d letters: declared for %q", n, got)
		}
	}
}

// Marks are found as words of their own, so that one event's is never taken for another's.
func TestMarks(t *testing.T) {
	t.Parallel()
	w := declared(t)
	items := `{"title":"i1"}`
	for _, n := range []string{"2", "3", "4", "5", "6", "7", "8", "9", "10", "11"} {
		items += `,{"title":"i` + n + `"}`
	}
	w.says(saying("evt_1", "postmortem.ready", "", `"postmortem":{"action_items":[`+items+`]}`))
	all := append(w.steps, w.says(saying("evt_1.2", "runbook.action", "", `"action":{"title":"x"}`))...)
	for _, a := range all {
		for _, b := range all {
			text := member(t, b, "description") + member(t, b, "title")
			if got, want := mapping.HasMark(text, a.Mark), a.Name == b.Name; got != want {
				t.Errorf("the mark %q of %s in %s: %v", a.Mark, a.Name, b.Name, got)
			}
		}
	}
}
