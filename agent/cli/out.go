package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// printJSON writes v to stdout for other programs, and for people: what could steer their terminal is escaped.
func (a *app) printJSON(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	var safe strings.Builder
	for _, r := range b.String() {
		if r != '\n' && steers(r) { // within a string: the encoder has escaped those below a space
			fmt.Fprintf(&safe, `\u%04x`, r)
		} else {
			safe.WriteRune(r)
		}
	}
	if _, err := io.WriteString(a.out, safe.String()); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// steers tells a character that a terminal obeys, or that turns the direction of what follows.
func steers(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

func (a *app) print(format string, args ...any) { fmt.Fprintf(a.paper(), format+"\n", args...) }

// paper is where people's output goes: the page that is being drawn, else stdout.
func (a *app) paper() io.Writer {
	if a.page != nil {
		return a.page
	}
	return a.out
}

// terminal tells whether w is one that a person sits at.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is how many columns the terminal at stdout has; 0: it is no terminal, and nothing needs to fit.
func (a *app) width() int {
	if !terminal(a.out) {
		return 0
	}
	if w, _, err := term.GetSize(int(a.out.(*os.File).Fd())); err == nil && w > 0 {
		return w
	}
	if w, err := strconv.Atoi(a.environ["COLUMNS"]); err == nil && w > 0 {
		return w
	}
	return 80
}

// colour tells whether stdout takes colours and the user wants them (no-color.org).
func (a *app) colour() bool {
	return terminal(a.out) && a.environ["NO_COLOR"] == "" && a.environ["TERM"] != "dumb"
}

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
)

func (a *app) paint(code, s string) string {
	if !a.colour() || s == "" || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// paintState shows a state in the colour of how well it goes.
func (a *app) paintState(state string) string {
	switch state {
	case "dead", "rejected", "refused", "failed":
		return a.paint(red, state)
	case "pending", "open", "left_out", "parked":
		return a.paint(yellow, state)
	case "done", "applied":
		return a.paint(green, state)
	}
	return a.paint(dim, state)
}

// column is a column of a table. Where the terminal is too narrow one that gives way is cut, and one that also wraps goes on
// in the lines below: what a person came to read is there in full.
type column struct {
	name  string
	gives bool
	wraps bool
	right bool
}

// narrowest is what a column that gives way keeps.
const narrowest = 12

// table writes rows below their headings, fitted to the terminal.
func (a *app) table(columns []column, rows [][]string) {
	t := table.NewWriter()
	t.SetOutputMirror(a.paper())
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()

	widths := make([]int, len(columns))
	head := make(table.Row, len(columns))
	for i, c := range columns {
		head[i] = a.paint(bold, c.name)
		widths[i] = len(c.name)
		for _, row := range rows {
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(row[i]))
		}
	}
	fit(columns, widths, a.width())
	configs := make([]table.ColumnConfig, len(columns))
	for i, c := range columns {
		configs[i] = table.ColumnConfig{Number: i + 1, WidthMax: widths[i], WidthMaxEnforcer: snip}
		if c.wraps {
			configs[i].WidthMaxEnforcer = text.WrapSoft
		}
		if c.right {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(head)
	for _, row := range rows {
		r := make(table.Row, len(row))
		for i := range row {
			r[i] = row[i]
		}
		t.AppendRow(r)
	}
	t.Render()
}

func snip(s string, width int) string { return text.Snip(s, width, "…") }

// fit takes from the widest column that gives way until the row fits the width; 0 is any.
func fit(columns []column, widths []int, width int) {
	if width == 0 {
		return
	}
	for {
		sum, widest := 0, -1
		for i, w := range widths {
			sum += w + 2
			if columns[i].gives && w > narrowest && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if sum-2 <= width || widest < 0 {
			return
		}
		widths[widest]--
	}
}

// clean makes text from elsewhere safe for a line of a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case steers(r):
			return -1
		}
		return r
	}, s)
}

// dash stands for nothing in a table.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return clean(s)
}

// ago says how long before now t was, in one unit; "-" for never.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return short(now.Sub(t))
}

// short writes a length of time in its largest unit.
func short(d time.Duration) string {
	sign := ""
	if d < 0 {
		d, sign = -d, "in "
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%s%ds", sign, d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%s%dm", sign, d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%s%dh", sign, d/time.Hour)
	}
	return fmt.Sprintf("%s%dd", sign, d/(24*time.Hour))
}

// count writes a number with its word.
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
