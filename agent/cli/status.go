package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tigerops/tigerops-incidentio/agent"
)

// watchEvery is how often status --watch looks again.
const watchEvery = 2 * time.Second

// kinds of what may be stuck, in the order in which they are shown.
var kinds = []string{"event", "webhook", "change"}

// stuckShown is how many lines of what is stuck are shown without --all: TigerOps may have left thousands of changes.
const stuckShown = 30

func (a *app) statusCommand() *cobra.Command {
	var asJSON, watch, all bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is in step, what waits, and what does not move",
		Long: `Shows what waits in either direction, when either side was last heard of, each open incident on both sides, and
what does not move with the reason.`,
		Example: `  tigerops-incidentio status --watch
  tigerops-incidentio status --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch && asJSON {
				return usage(cmd, "--watch is for people: leave out --json")
			}
			return a.withDesk(cmd.Context(), agent.ToRead, func(d *agent.Desk) error {
				if watch {
					return a.watchStatus(cmd.Context(), d, all)
				}
				return a.showStatus(cmd.Context(), d, all, asJSON)
			})
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "look again every 2 s, until interrupted")
	cmd.Flags().BoolVar(&all, "all", false, "closed incidents too, and everything that is stuck")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) watchStatus(ctx context.Context, d *agent.Desk, all bool) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	if terminal(a.out) {
		defer fmt.Fprintln(a.out) // the shell's prompt has a line of its own
	}
	for {
		a.page = new(bytes.Buffer)
		a.print("%s", a.paint(dim, fmt.Sprintf("%s, every %s, until Ctrl-C", time.Now().UTC().Format("15:04:05 UTC"), watchEvery)))
		if err := a.showStatus(ctx, d, all, false); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		a.turn()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// turn shows the page that was drawn: on a terminal in place of the one before, as much of it as there is room for. Each
// line is written over the old one, so that nothing flickers.
func (a *app) turn() {
	page := a.page.String()
	a.page = nil
	if !terminal(a.out) {
		fmt.Fprint(a.out, page)
		return
	}
	lines := strings.Split(strings.TrimSuffix(page, "\n"), "\n")
	if width, height, err := term.GetSize(int(a.out.(*os.File).Fd())); err == nil && width > 0 && height > 1 {
		if len(lines) > height {
			lines = append(lines[:height-1], a.paint(dim, fmt.Sprintf("… %d lines more", len(lines)-height+1)))
		}
		for i := range lines {
			lines[i] = text.Trim(lines[i], width) // a line that went on below would push the first ones out
		}
	}
	fmt.Fprint(a.out, "\x1b[H"+strings.Join(lines, "\x1b[K\n")+"\x1b[K\x1b[J") // to the end of each line, and of the screen
}

func (a *app) showStatus(ctx context.Context, d *agent.Desk, all, asJSON bool) error {
	s, err := d.Status(ctx)
	if err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	if all {
		if s.Links, err = d.Syncs(ctx, ""); err != nil {
			return fmt.Errorf("read the links: %w", err)
		}
	}
	stuck, err := d.Stuck(ctx)
	if err != nil {
		return fmt.Errorf("read what is stuck: %w", err)
	}
	if asJSON {
		return a.printJSON(struct {
			agent.Status
			Stuck []agent.StuckRow `json:"stuck"`
		}{s, append([]agent.StuckRow{}, stuck...)})
	}
	now := time.Now()
	a.print("To incident.io  %s", strings.Join(nonEmpty(
		count(s.Waiting, "event")+" waiting"+age(s.OldestWaiting, now),
		some(s.Parked, fmt.Sprintf("%d set aside", s.Parked)),
		a.paint(alarm(s.Dead), fmt.Sprintf("%d dead", s.Dead)),
		"last event "+since(s.LastEvent, now),
		"last delivery "+since(s.LastDelivery, now)), ", "))
	a.print("To TigerOps     %s", strings.Join(nonEmpty(
		count(s.InboxPending, "change")+" to apply"+age(s.OldestInbox, now),
		a.paint(alarm(s.InboxRejected), fmt.Sprintf("%d rejected", s.InboxRejected)),
		some(s.WebhooksPending, count(s.WebhooksPending, "webhook")+" to look at"),
		a.paint(alarm(s.WebhooksFailed), some(s.WebhooksFailed, count(s.WebhooksFailed, "webhook")+" failed")),
		"last webhook "+since(s.LastWebhook, now),
		"last sweep "+since(s.LastSweep, now)), ", "))
	for _, t := range s.Troubles {
		a.print("%s", a.paint(red, "Trouble         "+clean(t)))
	}

	var rows [][]string
	closed := s.ClosedLinks
	for _, l := range s.Links {
		if l.Closed && !all && l.Waiting == 0 && l.Dead == 0 && l.Unapplied == 0 {
			continue
		}
		if l.Closed {
			closed--
		}
		lag := "-"
		if l.Waiting+l.Dead+l.Unapplied > 0 && l.LagSeconds >= 1 {
			lag = short(time.Duration(l.LagSeconds * float64(time.Second)))
		}
		rows = append(rows, []string{clean(l.TigerOpsID), dash(strings.TrimSpace(l.TigerOpsSeverity + " " + l.TigerOpsStatus)), dash(l.Reference),
			dash(strings.TrimSpace(l.Severity + " " + l.Status)), strconv.Itoa(l.Waiting), a.paint(alarm(l.Dead), strconv.Itoa(l.Dead)), strconv.Itoa(l.Unapplied), lag})
	}
	a.print("")
	if len(rows) == 0 {
		a.print("no open incidents")
	} else {
		a.table([]column{{name: "TIGEROPS", gives: true}, {name: "STATE", gives: true}, {name: "INCIDENT.IO"}, {name: "STATE", gives: true},
			{name: "WAITING", right: true}, {name: "DEAD", right: true}, {name: "TO APPLY", right: true}, {name: "LAG", right: true}}, rows)
	}
	if closed > 0 {
		a.print("%s closed: --all shows them", count(closed, "incident"))
	}
	if len(stuck) > 0 {
		a.print("")
		rows = nil
		// Events first: a dead one holds up its incident, while changes that TigerOps has left may be many.
		slices.SortStableFunc(stuck, func(x, y agent.StuckRow) int {
			return cmp.Compare(slices.Index(kinds, x.Kind), slices.Index(kinds, y.Kind))
		})
		for i, r := range stuck {
			if i == stuckShown && !all {
				break
			}
			rows = append(rows, []string{r.Kind, clean(r.ID), dash(r.Incident), dash(r.What), ago(r.Since, now), dash(r.Why)})
		}
		a.table([]column{{name: "STUCK"}, {name: "ID"}, {name: "INCIDENT", gives: true}, {name: "WHAT", gives: true}, {name: "FOR", right: true}, {name: "WHY", gives: true, wraps: true}}, rows)
		if more := len(stuck) - len(rows); more > 0 {
			a.print("and %d more: --all shows them", more)
		}
	}
	return nil
}

// alarm is the colour of a number that should be 0.
func alarm(n int) string {
	if n > 0 {
		return red
	}
	return ""
}

// some is a text about a number that is worth telling only where it is not 0.
func some(n int, text string) string {
	if n == 0 {
		return ""
	}
	return text
}

func nonEmpty(parts ...string) []string {
	var all []string
	for _, p := range parts {
		if p != "" {
			all = append(all, p)
		}
	}
	return all
}

// age is how long the oldest has waited, in brackets.
func age(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " (oldest " + ago(t, now) + ")"
}

func since(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return ago(t, now) + " ago"
}
