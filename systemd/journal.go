package systemd

import (
	"bytes"
	"context"
	"encoding"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// Journal returns a handler that writes to the journal itself, so that each attribute becomes a field that can be asked
// for (`journalctl INCIDENT=TIG-4711`), or nil where the standard error stream does not go to a journal. What is read
// there is a line as slog's text handler would write it, without the time and the level, which the journal has by itself.
// The level is dropped below level's.
func Journal(identifier string, level slog.Leveler) slog.Handler {
	if there, err := journal.StderrIsJournalStream(); err != nil || !there {
		return nil
	}
	return newJournal(identifier, level, journal.Send)
}

// send is journal.Send.
type send func(message string, priority journal.Priority, fields map[string]string) error

// journalHandler writes records to the journal. Handlers made of one another share the line, which one at a time may write.
type journalHandler struct {
	level  slog.Leveler
	send   send
	line   *line
	text   slog.Handler      // writes the attributes to line
	group  string            // names of the open groups, as a field's name begins
	fields map[string]string // of WithAttrs
}

type line struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *line) Write(p []byte) (int, error) { return l.buf.Write(p) }

func newJournal(identifier string, level slog.Leveler, s send) slog.Handler {
	l := new(line)
	return &journalHandler{
		level: level, send: s, line: l,
		text: slog.NewTextHandler(l, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
				return slog.Attr{}
			}
			return a
		}}),
		fields: map[string]string{"SYSLOG_IDENTIFIER": identifier},
	}
}

func (h *journalHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	fields := maps.Clone(h.fields)
	r.Attrs(func(a slog.Attr) bool {
		addField(fields, h.group, a)
		return true
	})
	message, err := h.message(ctx, r)
	if err != nil {
		return err
	}
	if err := h.send(message, priority(r.Level), fields); err != nil {
		// The journal takes the stream too.
		_, err = fmt.Fprintf(os.Stderr, "<%d>%s\n", priority(r.Level), strings.ReplaceAll(message, "\n", " "))
		return err
	}
	return nil
}

// message is the record as one line: its message and the attributes.
func (h *journalHandler) message(ctx context.Context, r slog.Record) (string, error) {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	h.line.buf.Reset()
	message := r.Message
	r.Message, r.Time = "", time.Time{}
	if err := h.text.Handle(ctx, r); err != nil {
		return "", err
	}
	return strings.TrimSpace(message + " " + h.line.buf.String()), nil
}

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.text, next.fields = h.text.WithAttrs(attrs), maps.Clone(h.fields)
	for _, a := range attrs {
		addField(next.fields, h.group, a)
	}
	return &next
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	next.text, next.group = h.text.WithGroup(name), h.group+name+"_"
	return &next
}

// priority is syslog's word for a level.
func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}

// addField adds an attribute under its name as the journal takes it. Names that the journal means something by are passed
// over: the line has them.
func addField(fields map[string]string, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "_"
		}
		for _, member := range v.Group() {
			addField(fields, group, member)
		}
		return
	}
	name := fieldName(group + a.Key)
	switch {
	case name == "", name == "MESSAGE", name == "MESSAGE_ID", name == "PRIORITY", name == "ERRNO",
		strings.HasPrefix(name, "SYSLOG_"), strings.HasPrefix(name, "CODE_"):
		return
	}
	fields[name] = fieldValue(v)
}

func fieldValue(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().UTC().Format(time.RFC3339Nano)
	case slog.KindAny:
		if m, ok := v.Any().(encoding.TextMarshaler); ok {
			if text, err := m.MarshalText(); err == nil {
				return string(text)
			}
		}
	}
	return v.String()
}

// maxFieldName is how long the journal takes a field's name to be.
const maxFieldName = 64

// fieldName is the name in the letters that the journal takes: capitals, digits and underscores, a letter first.
func fieldName(key string) string {
	name := strings.TrimLeft(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key), "_0123456789")
	return name[:min(len(name), maxFieldName)]
}
