package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

// watchEvery is how often status --watch looks again.
const watchEvery = 2 * time.Second

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
	cmd.Flags().BoolVar(&all, "all", false, "closed incidents too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) watchStatus(ctx context.Context, d *agent.Desk, all bool) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if terminal(a.out) {
			fmt.Fprint(a.out, "\x1b[H\x1b[2J") // from the top of an empty screen
		}
		if err := a.showStatus(ctx, d, all, false); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
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
		for _, r := range stuck {
			rows = append(rows, []string{r.Kind, clean(r.ID), dash(r.Incident), dash(r.What), ago(r.Since, now), dash(r.Why)})
		}
		a.table([]column{{name: "STUCK"}, {name: "ID"}, {name: "INCIDENT", gives: true}, {name: "WHAT", gives: true}, {name: "FOR", right: true}, {name: "WHY", gives: true}}, rows)
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
