package systemd_test

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/tigerops/tigerops-incidentio/systemd"
)

type entry struct {
	message  string
	priority journal.Priority
	fields   map[string]string
}

// recorder is the journal's end.
type recorder struct {
	mu  sync.Mutex
	all []entry
}

func (r *recorder) send(message string, p journal.Priority, fields map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, entry{message, p, maps.Clone(fields)})
	return nil
}

type secret string

func (secret) LogValue() slog.Value { return slog.StringValue("<secret>") }

func TestAttributesBecomeFieldsOfTheJournal(t *testing.T) {
	t.Parallel()
	var r recorder
	log := slog.New(systemd.NewJournal("agent", slog.LevelInfo, r.send))
	log.Debug("not wanted")
	log.With("incident", "TIG-1").Warn("delivery", "step", "incident.declare", "took", 21*time.Millisecond,
		"error", errors.New("two words\nand a line"), "key", secret("s3cr3t"), slog.Group("http", "status", 422), "priority", "mine", "2nd", 1, "", "unnamed")
	if len(r.all) != 1 {
		t.Fatalf("got %d entries, want 1", len(r.all))
	}
	got := r.all[0]
	equal(t, "message", got.message, `delivery incident=TIG-1 step=incident.declare took=21ms error="two words\nand a line" key=<secret> http.status=422 priority=mine 2nd=1 ""=unnamed`)
	if got.priority != journal.PriWarning {
		t.Errorf("priority %d", got.priority)
	}
	want := map[string]string{
		"SYSLOG_IDENTIFIER": "agent", "INCIDENT": "TIG-1", "STEP": "incident.declare", "TOOK": "21ms",
		"ERROR": "two words\nand a line", "KEY": "<secret>", "HTTP_STATUS": "422", "ND": "1",
	}
	if !maps.Equal(got.fields, want) {
		t.Errorf("fields\n got %v\nwant %v", got.fields, want)
	}
}

func TestLevelsAreThePrioritiesOfTheJournal(t *testing.T) {
	t.Parallel()
	var r recorder
	log := slog.New(systemd.NewJournal("agent", slog.LevelDebug, r.send))
	log.Debug("")
	log.Info("")
	log.Warn("")
	log.Error("")
	for i, want := range []journal.Priority{journal.PriDebug, journal.PriInfo, journal.PriWarning, journal.PriErr} {
		if r.all[i].priority != want {
			t.Errorf("entry %d: priority %d, want %d", i, r.all[i].priority, want)
		}
	}
}

// The journal's handler keeps to what slog says of every handler; fields are looked at as if they were the attributes.
func TestJournalIsAHandlerAsSlogWantsIt(t *testing.T) {
	t.Parallel()
	var r *recorder
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		switch t.Name() {
		case "TestJournalIsAHandlerAsSlogWantsIt/zero-time", "TestJournalIsAHandlerAsSlogWantsIt/built-ins":
			t.Skip("time and level are the journal's own")
		}
		r = new(recorder)
		return systemd.NewJournal("agent", slog.LevelInfo, r.send)
	}, func(*testing.T) map[string]any {
		message, _, _ := strings.Cut(r.all[0].message, " ")
		result := map[string]any{slog.TimeKey: "", slog.LevelKey: "", slog.MessageKey: message}
		for name, value := range r.all[0].fields {
			at := result
			for _, group := range []string{"G", "H"} { // slogtest's names
				rest, inside := strings.CutPrefix(name, group+"_")
				if !inside {
					continue
				}
				if at[group] == nil {
					at[group] = map[string]any{}
				}
				at, name = at[group].(map[string]any), rest
			}
			at[strings.ToLower(name)] = value
		}
		return result
	})
}

func TestJournalIsSharedByGoroutines(t *testing.T) {
	t.Parallel()
	var r recorder
	log := slog.New(systemd.NewJournal("agent", slog.LevelInfo, r.send))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				log.With("a", "b").Info("said", "c", "d")
			}
		})
	}
	all.Wait()
	for _, e := range r.all {
		if e.message != "said a=b c=d" {
			t.Fatalf("message %q", e.message)
		}
	}
	if len(r.all) != 400 {
		t.Errorf("%d entries", len(r.all))
	}
}

func TestNoJournalWhereThereIsNone(t *testing.T) {
	if os.Getenv("JOURNAL_STREAM") != "" {
		t.Setenv("JOURNAL_STREAM", "")
	}
	if h := systemd.Journal("agent", slog.LevelInfo); h != nil {
		t.Errorf("got %T", h)
	}
}
