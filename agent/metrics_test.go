package agent

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
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
	var fresh vocabulary
	for n, want := range map[int]bool{longestWord: true, longestWord + 1: false} {
		if got := fresh.word(strings.Repeat("a", n), plainWord) != "other"; got != want {
			t.Errorf("a word of %d letters: known %v, want %v", n, got, want)
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

// After a restart the charts go on with what the file knows, and count nothing twice.
func TestHoursRecallTheDayBeforeTheStart(t *testing.T) {
	t.Parallel()
	st, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "agent.db"), Owner: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if _, err := st.InsertEvents(t.Context(), [][]byte{[]byte(`{"id":"a","type":"x"}`), []byte(`{"id":"b","type":"x"}`)}); err != nil {
		t.Fatal(err)
	}
	rows, err := st.Outbox(t.Context(), store.OutboxQuery{})
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d events, %v", len(rows), err)
	}
	for _, r := range rows {
		if _, err := st.Commit(t.Context(), store.Commit{Finish: &store.Finish{OutboxID: r.ID, State: store.Done}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, counted := range []int{0, 10} {
		d := hours{since: time.Now().Add(time.Hour)} // so that what just happened was before it
		if counted > 0 {
			d.add(func(h *hour) { h.delivered += counted })
		}
		if err := d.recall(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, h := range d.last() {
			sum += h.delivered
		}
		if sum != 2+counted || !d.began().IsZero() {
			t.Errorf("%d delivered, want 2 of the file and %d counted; began %v", sum, counted, d.began())
		}
	}
	late := hours{since: time.Now().Add(-time.Hour)}
	if err := late.recall(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	if got := late.last()[23].delivered; got != 0 {
		t.Errorf("%d delivered, want none: they came after counting began", got)
	}
}
