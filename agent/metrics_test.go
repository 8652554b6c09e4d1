package agent

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestVocabularyKeepsALabelsValuesFew(t *testing.T) {
	t.Parallel()
	var v vocabulary
	for i := range 10_000 {
		v.word(fmt.Sprintf("code_%d", i), plainWord)
	}
	if got, want := len(v.known), vocabularySize; got != want {
		t.Errorf("known words: got %d, want %d", got, want)
	}
	for word, want := range map[string]string{"code_0": "code_0", "code_9999": "other", "Wörter mit Leerzeichen": "other", "": "other"} {
		if got := v.word(word, plainWord); got != want {
			t.Errorf("word(%q): got %q, want %q", word, got, want)
		}
	}
}

func TestStepKindTakesTheNumberOff(t *testing.T) {
	t.Parallel()
	for step, want := range map[string]string{
		"followup.create.12": "followup.create", "incident.update": "incident.update", "incident.update.2": "incident.update", "option.create.1": "option.create",
	} {
		if got := stepKind(step); got != want {
			t.Errorf("stepKind(%q): got %q, want %q", step, got, want)
		}
	}
}

func TestHoursForgetYesterday(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d hours
		d.add(func(h *hour) { h.delivered += 3 })
		time.Sleep(time.Hour)
		d.add(func(h *hour) { h.failed++ })
		last := d.last()
		if got := len(last); got != 24 {
			t.Fatalf("hours: got %d, want 24", got)
		}
		if got := last[22].delivered; got != 3 {
			t.Errorf("an hour ago: got %d delivered, want 3", got)
		}
		if got := last[23].failed; got != 1 {
			t.Errorf("this hour: got %d failed, want 1", got)
		}
		time.Sleep(23 * time.Hour)
		if got := d.last()[23].delivered; got != 0 {
			t.Errorf("24 hours later: got %d delivered, want 0", got)
		}
	})
}
