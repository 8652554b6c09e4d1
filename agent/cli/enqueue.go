package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

// faultsShown is how many faults of a file are told; more of them are mostly the same one.
const faultsShown = 20

func (a *app) enqueueCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "enqueue [FILE]",
		Short: "Put events durably into the outbox, also while the agent runs",
		Long: `Puts events durably into the outbox, also while the agent runs. FILE holds a JSON object, a JSON array, or NDJSON;
without FILE, or with -, it is stdin.

All events are looked at before the first is stored, and one that is wrong stops them all. An event whose id was seen
before counts for nothing, so the same file can be given again.`,
		Example: `  tigerops-incidentio enqueue events.ndjson
  echo '{"id":"evt_1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical"}}' | tigerops-incidentio enqueue`,
		Args: takes("[FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.enqueue(cmd.Context(), args, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// input reads the file that an argument names, stdin without one or with "-". name is for errors.
func (a *app) input(args []string) (body []byte, name string, err error) {
	if len(args) == 0 || args[0] == "-" {
		body, err = io.ReadAll(a.in)
		return body, "stdin", err
	}
	body, err = os.ReadFile(args[0])
	return body, args[0], err
}

func (a *app) enqueue(ctx context.Context, args []string, asJSON bool) error {
	body, name, err := a.input(args)
	if err != nil {
		return err
	}
	batch, faults, err := agent.ParseEvents(body)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(faults) > 0 {
		err := a.refuse(name, faults)
		a.complain("nothing was stored")
		return err
	}
	return a.withDesk(ctx, agent.ToCreate, func(d *agent.Desk) error {
		bar := a.bar(len(batch.Payloads), "storing events")
		accepted, err := d.Enqueue(ctx, batch, func(done int) { _ = bar.Set(done) })
		_ = bar.Finish()
		if err != nil {
			if n := len(accepted.IDs); n > 0 {
				return fmt.Errorf("%d of %d events are stored, give the file again for the others: %w", n, len(batch.Payloads), err)
			}
			return fmt.Errorf("store events: %w", err)
		}
		if asJSON {
			return a.printJSON(accepted)
		}
		line := fmt.Sprintf("%s stored", count(accepted.Accepted, "event"))
		if accepted.Duplicates > 0 {
			line += fmt.Sprintf(", %d seen before", accepted.Duplicates)
		}
		if batch.Tests > 0 {
			line += fmt.Sprintf(", %s passed over", count(batch.Tests, "test event"))
		}
		a.print("%s", line)
		return nil
	})
}

// refuse tells what is wrong with the events of a file.
func (a *app) refuse(name string, faults []agent.EventFault) error {
	for i, f := range faults {
		if i == faultsShown {
			a.complain(fmt.Sprintf("%s: and %d more", name, len(faults)-i))
			break
		}
		a.complain(fmt.Sprintf("%s:%d: %s", name, f.Line, f.FieldError.Error()))
	}
	return &toldError{statusFailed}
}

// longWork is the number of events from which a progress bar is worth its line.
const longWork = 1000

// bar is a progress bar on stderr, if that is a terminal and the work is long.
func (a *app) bar(total int, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(a.err),
		progressbar.OptionSetVisibility(terminal(a.err) && total >= longWork),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(),
	)
}
