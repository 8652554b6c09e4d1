package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func (a *app) inboxCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "inbox",
		Short: "Look after the changes that TigerOps is to apply",
		Long: `Looks after the changes that people made in incident.io, for TigerOps to apply. TigerOps takes them by SQL, by HTTP,
or has them pushed; these commands are for looking and for mending by hand.`,
	}, a.inboxListCommand(), a.inboxAckCommand(), a.inboxRejectCommand(), a.inboxRetryCommand())
}

func (a *app) inboxListCommand() *cobra.Command {
	var q agent.InboxQuery
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List changes",
		Example: `  tigerops-incidentio inbox list --state pending
  tigerops-incidentio inbox list --incident TIG-4711 --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf(cmd, "state", q.State, "pending", "applied", "rejected"); err != nil {
				return err
			}
			if err := positive(cmd, q.Limit); err != nil {
				return err
			}
			return a.withDesk(cmd.Context(), agent.ToRead, func(d *agent.Desk) error {
				changes, err := d.Inbox(cmd.Context(), q)
				if err != nil {
					return fmt.Errorf("list changes: %w", err)
				}
				if asJSON {
					return a.printJSON(changesJSON(changes))
				}
				a.listChanges(changes, time.Now())
				a.bounded(len(changes), q.Limit)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&q.State, "state", "", "only `STATE`: pending, applied or rejected")
	cmd.Flags().StringVar(&q.TigerOpsID, "incident", "", "only of the TigerOps incident `ID`")
	cmd.Flags().Int64Var(&q.After, "after", 0, "only those behind number `ID`")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "at most `N`")
	completeFlag(cmd, "state", words("pending", "applied", "rejected"))
	completeFlag(cmd, "incident", a.completes(false, tigeropsIncidents))
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) inboxAckCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "ack ID…",
		Short:             "Mark changes as applied",
		Example:           `  tigerops-incidentio inbox ack 42`,
		Args:              takes("ID…"),
		ValidArgsFunction: a.completes(false, changes("pending")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.settle(cmd, args, "applied", func(ctx context.Context, d *agent.Desk, ids []int64) (int, error) {
				return d.AckInbox(ctx, ids...)
			})
		},
	}
}

func (a *app) inboxRejectCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:               "reject ID… --reason TEXT",
		Short:             "Mark changes as refused",
		Example:           `  tigerops-incidentio inbox reject 42 --reason "no such incident in TigerOps"`,
		Args:              takes("ID…"),
		ValidArgsFunction: a.completes(false, changes("pending")),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage(cmd, "--reason is missing: say why, for those who look later")
			}
			return a.settle(cmd, args, "rejected", func(ctx context.Context, d *agent.Desk, ids []int64) (int, error) {
				return d.RejectInbox(ctx, reason, ids...)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, as `TEXT`")
	return cmd
}

// settle ends pending changes: all of them, or none where one is not there or has ended otherwise.
func (a *app) settle(cmd *cobra.Command, args []string, state string, end func(context.Context, *agent.Desk, []int64) (int, error)) error {
	ids, err := chosen(cmd, args, false, "")
	if err != nil {
		return err
	}
	return a.withDesk(cmd.Context(), agent.ToWrite, func(d *agent.Desk) error {
		n, err := end(cmd.Context(), d, ids)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s marked as %s", count(n, "change"), state)
		if before := len(ids) - n; before > 0 {
			line += fmt.Sprintf(", %d already so", before)
		}
		a.print("%s", line)
		return nil
	})
}

func (a *app) inboxRetryCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:               "retry ID… | --all-rejected",
		Short:             "Offer rejected changes to TigerOps again",
		Example:           `  tigerops-incidentio inbox retry --all-rejected`,
		ValidArgsFunction: a.completes(false, changes("rejected")),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := chosen(cmd, args, all, "all-rejected")
			if err != nil {
				return err
			}
			return a.withDesk(cmd.Context(), agent.ToWrite, func(d *agent.Desk) error {
				n, err := d.RetryInbox(cmd.Context(), ids...)
				if err != nil {
					return err
				}
				a.print("%s pending again", count(n, "change"))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all-rejected", false, "all rejected changes")
	return cmd
}

func (a *app) listChanges(changes []agent.InboxEntry, now time.Time) {
	if len(changes) == 0 {
		a.print("no changes")
		return
	}
	columns := []column{{name: "ID", right: true}, {name: "STATE"}, {name: "TYPE"}, {name: "INCIDENT", gives: true}, {name: "INCIDENT.IO", gives: true},
		{name: "CHANGE", gives: true}, {name: "BY", gives: true}, {name: "AGE", right: true}, {name: "REASON", gives: true, wraps: true}}
	var rows [][]string
	for _, c := range changes {
		p := told(c.Payload)
		rows = append(rows, []string{strconv.FormatInt(c.ID, 10), a.paintState(c.State), c.Type, dash(c.TigerOpsID), dash(p.Incident.Reference),
			dash(p.change()), dash(p.Actor.Name), ago(c.CreatedAt, now), dash(c.Reason)})
	}
	a.table(columns, rows)
}

// change is what a table shows of a change's payload (contract section 4).
type change struct {
	Incident struct {
		Reference string `json:"reference"`
	} `json:"incident"`
	Before  map[string]any `json:"before"`
	After   map[string]any `json:"after"`
	Actor   struct{ Name string }
	Message string `json:"message"`
}

func told(payload []byte) change {
	var c change
	_ = json.Unmarshal(payload, &c) // what can't be read is not shown
	return c
}

// change says what changed in a few words.
func (c change) change() string {
	for _, key := range []string{"incident_io_status", "status", "incident_io_severity", "severity", "name", "email", "title"} {
		before, after := c.Before[key], c.After[key]
		switch {
		case after != nil && before != nil && after != before:
			return fmt.Sprintf("%v -> %v", before, after)
		case after != nil && after != before:
			return fmt.Sprint(after)
		}
	}
	return c.Message
}

// changesJSON is the changes as list --json prints them: contract section 4, and what became of each.
func changesJSON(changes []agent.InboxEntry) []map[string]any {
	all := make([]map[string]any, 0, len(changes))
	for _, c := range changes {
		row := map[string]any{"id": c.ID, "type": c.Type, "tigerops_incident_id": c.TigerOpsID, "state": c.State, "created_at": c.CreatedAt, "change": json.RawMessage(c.Payload)}
		if c.Reason != "" {
			row["reason"] = c.Reason
		}
		if !c.AppliedAt.IsZero() {
			row["applied_at"] = c.AppliedAt
		}
		all = append(all, row)
	}
	return all
}
