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

func (a *app) outboxCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "outbox",
		Short: "Look after the events on their way to incident.io",
		Long: `Looks after the events on their way to incident.io. An event that was given up is dead: it is kept, and later events
of its incident wait behind it until it is retried or discarded.`,
	}, a.outboxListCommand(), a.outboxRetryCommand(), a.outboxDiscardCommand())
}

func (a *app) outboxListCommand() *cobra.Command {
	var q agent.OutboxQuery
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List events",
		Example: `  tigerops-incidentio outbox list --state dead
  tigerops-incidentio outbox list --incident TIG-4711 --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf(cmd, "state", q.State, "pending", "done", "skipped", "dead"); err != nil {
				return err
			}
			if err := positive(cmd, q.Limit); err != nil {
				return err
			}
			return a.withDesk(cmd.Context(), agent.ToRead, func(d *agent.Desk) error {
				events, err := d.Outbox(cmd.Context(), q)
				if err != nil {
					return fmt.Errorf("list events: %w", err)
				}
				if asJSON {
					return a.printJSON(eventsJSON(events))
				}
				waits, err := behind(cmd.Context(), d, events)
				if err != nil {
					return err
				}
				a.listEvents(events, waits, time.Now())
				a.bounded(len(events), q.Limit)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&q.State, "state", "", "only `STATE`: pending, done, skipped or dead")
	cmd.Flags().StringVar(&q.Incident, "incident", "", "only of the TigerOps incident `ID`")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "at most `N`")
	completeFlag(cmd, "state", words("pending", "done", "skipped", "dead"))
	completeFlag(cmd, "incident", a.completes(false, tigeropsIncidents))
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) outboxRetryCommand() *cobra.Command {
	var all, dry bool
	cmd := &cobra.Command{
		Use:   "retry ID… | --all-dead",
		Short: "Try dead events anew",
		Long: `Tries dead events anew, as if they had just come in; their age counts from now on. An event that waits for its next
attempt is tried at once. One that has ended stops them all.`,
		Example: `  tigerops-incidentio outbox retry 17 18
  tigerops-incidentio outbox retry --all-dead --dry-run`,
		ValidArgsFunction: a.completes(false, events("dead")),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := chosen(cmd, args, all, "all-dead")
			if err != nil {
				return err
			}
			return a.withDesk(cmd.Context(), agent.ToWrite, func(d *agent.Desk) error {
				if dry {
					return a.wouldTouch(cmd.Context(), d, ids, "would be tried anew")
				}
				n, err := d.RetryEvents(cmd.Context(), ids...)
				if err != nil {
					return err
				}
				a.print("%s will be tried anew", count(n, "event"))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all-dead", false, "all dead events")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only tell which events it would be")
	return cmd
}

func (a *app) outboxDiscardCommand() *cobra.Command {
	var reason string
	var dry bool
	cmd := &cobra.Command{
		Use:   "discard ID… --reason TEXT",
		Short: "Give up events for good",
		Long: `Gives up events that are dead or pending for good: they end as skipped, with the reason, and later events of their
incidents go on. What has been sent of them already stays in incident.io. One that has ended stops them all.`,
		Example:           `  tigerops-incidentio outbox discard 17 --reason "done by hand in INC-123"`,
		Args:              takes("ID…"),
		ValidArgsFunction: a.completes(false, events("dead")),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := chosen(cmd, args, false, "")
			if err != nil {
				return err
			}
			if strings.TrimSpace(reason) == "" {
				return usage(cmd, "--reason is missing: say why, for those who look later")
			}
			return a.withDesk(cmd.Context(), agent.ToWrite, func(d *agent.Desk) error {
				if dry {
					return a.wouldTouch(cmd.Context(), d, ids, "would be discarded")
				}
				n, err := d.DiscardEvents(cmd.Context(), reason, ids...)
				if err != nil {
					return err
				}
				a.print("%s discarded", count(n, "event"))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, as `TEXT`")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only tell which events it would be")
	return cmd
}

// wouldTouch lists the events that a command would change; without ids all dead ones.
func (a *app) wouldTouch(ctx context.Context, d *agent.Desk, ids []int64, what string) error {
	var events []agent.Event
	if len(ids) == 0 {
		s, err := d.Status(ctx)
		if err != nil {
			return fmt.Errorf("count dead events: %w", err)
		}
		if s.Dead > 0 {
			if events, err = d.Outbox(ctx, agent.OutboxQuery{State: "dead", Limit: s.Dead}); err != nil {
				return fmt.Errorf("list dead events: %w", err)
			}
		}
	}
	for _, id := range ids {
		e, err := d.Event(ctx, id)
		if err != nil {
			return err
		}
		if e.State != "dead" && e.State != "pending" {
			return fmt.Errorf("event %d is %s: only events that are dead or pending can be", id, e.State)
		}
		events = append(events, e)
	}
	a.print("%s %s", count(len(events), "event"), what)
	if len(events) > 0 {
		a.listEvents(events, nil, time.Now())
	}
	return nil
}

// behind finds the dead events that others of their incidents wait for: those are due, and yet not sent.
func behind(ctx context.Context, d *agent.Desk, events []agent.Event) (map[int64]int64, error) {
	dead := make(map[string]int64) // by incident, 0 where none is
	found := make(map[int64]int64)
	for _, e := range events {
		if e.State != "pending" || e.IncidentKey == "" || e.Parked {
			continue
		}
		if _, known := dead[e.IncidentKey]; !known {
			rows, err := d.Outbox(ctx, agent.OutboxQuery{State: "dead", Incident: e.IncidentKey, Limit: 1})
			if err != nil {
				return nil, fmt.Errorf("list dead events of %s: %w", e.IncidentKey, err)
			}
			dead[e.IncidentKey] = 0
			if len(rows) > 0 {
				dead[e.IncidentKey] = rows[0].ID
			}
		}
		if first := dead[e.IncidentKey]; first > 0 && e.ID > first {
			found[e.ID] = first
		}
	}
	return found, nil
}

// listEvents writes a table of events. waits has the dead event that one of them waits for.
func (a *app) listEvents(events []agent.Event, waits map[int64]int64, now time.Time) {
	if len(events) == 0 {
		a.print("no events")
		return
	}
	columns := []column{{name: "ID", right: true}, {name: "STATE"}, {name: "TYPE"}, {name: "INCIDENT", gives: true}, {name: "EVENT", gives: true},
		{name: "AGE", right: true}, {name: "TRIES", right: true}, {name: "NEXT", right: true}, {name: "REASON", gives: true, wraps: true}}
	var rows [][]string
	for _, e := range events {
		state, next, reason := e.State, "-", e.Reason
		if e.State == "pending" {
			switch {
			case e.Parked:
				state = "parked"
			case waits[e.ID] > 0:
				next, reason = "-", fmt.Sprintf("behind event %d, which is dead", waits[e.ID])
			case !e.NextAttempt.IsZero() && e.NextAttempt.After(now):
				next = ago(e.NextAttempt, now)
			default:
				next = "now"
			}
		}
		rows = append(rows, []string{strconv.FormatInt(e.ID, 10), a.paintState(state), dash(e.Type), dash(e.IncidentKey), dash(e.EventID),
			ago(e.CreatedAt, now), strconv.Itoa(e.Attempts), next, dash(reason)})
	}
	a.table(columns, rows)
}

// bounded says that a list may go on.
func (a *app) bounded(n, limit int) {
	if n > 0 && n == limit {
		a.print("… at most %d are listed: --limit for more", limit)
	}
}

// eventJSON is an event as list --json prints it; names and times are those of the table.
type eventJSON struct {
	ID            int64           `json:"id"`
	EventID       string          `json:"event_id"`
	EventType     string          `json:"event_type"`
	IncidentKey   string          `json:"incident_key,omitempty"`
	State         string          `json:"state"`
	Parked        bool            `json:"parked,omitempty"`
	Reason        string          `json:"reason,omitempty"`
	Attempts      int             `json:"attempts"`
	FoldedInto    int64           `json:"folded_into,omitempty"`
	NextAttemptAt *time.Time      `json:"next_attempt_at,omitempty"`
	CreatedAt     time.Time       `json:"created_at"`
	FinishedAt    *time.Time      `json:"finished_at,omitempty"`
	Payload       json.RawMessage `json:"payload"`
}

func eventsJSON(events []agent.Event) []eventJSON {
	all := make([]eventJSON, 0, len(events))
	for _, e := range events {
		all = append(all, eventJSON{ID: e.ID, EventID: e.EventID, EventType: e.Type, IncidentKey: e.IncidentKey, State: e.State, Parked: e.Parked, Reason: e.Reason,
			Attempts: e.Attempts, FoldedInto: e.FoldedInto, NextAttemptAt: set(e.NextAttempt), CreatedAt: e.CreatedAt, FinishedAt: set(e.FinishedAt), Payload: e.Payload})
	}
	return all
}

func set(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
