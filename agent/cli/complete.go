package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

const (
	completeWithin = 2 * time.Second // a shell that waits longer looks broken
	completeAtMost = 200             // rows of a queue
)

// completes makes a completion of what look finds in the database: each a word, or a word, a tab and what it means. Where
// there is no database, or it may not be read, there is nothing to offer, and nothing is said: the line belongs to the shell.
// Words that stand on the line already are left out; with once set only the first argument is completed.
func (a *app) completes(once bool, look func(context.Context, *agent.Desk) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if once && len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		var found []string
		err := a.withDesk(ctx, agent.ToRead, func(d *agent.Desk) (err error) {
			found, err = look(ctx, d)
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found = slices.DeleteFunc(found, func(s string) bool {
			word, _, _ := strings.Cut(s, "\t")
			return !strings.HasPrefix(strings.ToLower(word), strings.ToLower(begun)) || slices.Contains(args, word)
		})
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// hint is a word to complete with what it means.
func hint(word string, meaning ...string) string {
	return clean(word) + "\t" + clean(strings.Join(nonEmpty(meaning...), " "))
}

// incidents offers the ties by the ids of both sides, the open ones first.
func incidents(ctx context.Context, d *agent.Desk) (found []string, err error) {
	links, err := d.Syncs(ctx, "")
	for _, l := range links {
		found = append(found, hint(l.TigerOpsID, l.TigerOpsSeverity, l.TigerOpsStatus, l.Reference))
		if l.Reference != "" {
			found = append(found, hint(l.Reference, l.Severity, l.Status, l.TigerOpsID))
		}
	}
	return found, err
}

// tigeropsIncidents offers the ties by TigerOps' ids alone.
func tigeropsIncidents(ctx context.Context, d *agent.Desk) (found []string, err error) {
	links, err := d.Syncs(ctx, "")
	for _, l := range links {
		found = append(found, hint(l.TigerOpsID, l.TigerOpsSeverity, l.TigerOpsStatus, l.Reference))
	}
	return found, err
}

// events offers the events in a state, by their numbers.
func events(state string) func(context.Context, *agent.Desk) ([]string, error) {
	return func(ctx context.Context, d *agent.Desk) (found []string, err error) {
		rows, err := d.Outbox(ctx, agent.OutboxQuery{State: state, Limit: completeAtMost})
		for _, e := range rows {
			found = append(found, hint(strconv.FormatInt(e.ID, 10), e.IncidentKey, e.Type, e.Reason))
		}
		return found, err
	}
}

// changes offers the changes in a state, by their numbers.
func changes(state string) func(context.Context, *agent.Desk) ([]string, error) {
	return func(ctx context.Context, d *agent.Desk) (found []string, err error) {
		rows, err := d.Inbox(ctx, agent.InboxQuery{State: state, Limit: completeAtMost})
		for _, c := range rows {
			found = append(found, hint(strconv.FormatInt(c.ID, 10), c.TigerOpsID, c.Type, c.Reason))
		}
		return found, err
	}
}

// completeFlag offers values of a flag.
func completeFlag(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // no such flag, or twice: a programmer's mistake
	}
}

func words(all ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp)
}
