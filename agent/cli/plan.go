package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func (a *app) planCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan [FILE]",
		Short: "Show the calls to incident.io that an event would cause, without sending anything",
		Long: `Shows the calls to incident.io that each event of FILE (or stdin) would cause now, in order, without sending anything.
It reads the account's settings from incident.io, and from the database what is known of the incident. Each event is
planned by itself, as if it came next.`,
		Example: `  tigerops-incidentio plan event.json
  tigerops-incidentio plan event.json --json | jq '.[0].requests[0].body'`,
		Args: takes("[FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.config()
			if err == nil {
				err = c.CheckRun()
			}
			if err != nil {
				return err
			}
			body, name, err := a.input(args)
			if err != nil {
				return err
			}
			batch, faults, err := agent.ParseEvents(body)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if len(faults) > 0 {
				return a.refuse(name, faults)
			}
			plans := []agent.Planned{}
			for i, payload := range batch.Payloads {
				p, err := agent.PlanEvent(cmd.Context(), agent.Options{Config: c, Version: version(), Log: slog.New(slog.DiscardHandler)}, payload)
				if err != nil {
					return fmt.Errorf("plan the event in line %d: %w", batch.Lines[i], err)
				}
				plans = append(plans, p)
			}
			if asJSON {
				return a.printJSON(plans)
			}
			for i, p := range plans {
				if i > 0 {
					a.print("")
				}
				a.showPlan(p)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) showPlan(p agent.Planned) {
	head := a.paint(bold, clean(p.Type)) + " " + clean(p.EventID)
	if p.Incident != "" {
		head += " of " + clean(p.Incident)
	}
	if p.Tied != "" {
		head += ", tied to " + clean(p.Tied)
	}
	a.print("%s", head)
	for _, w := range p.Warnings {
		a.print("  %s", a.paint(yellow, "warning: "+clean(w)))
	}
	switch {
	case p.Skip != "":
		a.print("  nothing would be sent: %s", clean(p.Skip))
	case p.Park != "":
		a.print("  it would be set aside: %s", clean(p.Park))
	case len(p.Requests) == 0:
		a.print("  nothing to change in incident.io")
	}
	for i, r := range p.Requests {
		a.print("")
		a.print("  %d. %s", i+1, a.paint(bold, r.Name))
		a.print("     %s %s", r.Method, clean(r.Path))
		for _, e := range r.Explain {
			a.print("     %s", a.paint(dim, "# "+clean(e)))
		}
		var pretty bytes.Buffer
		if len(r.Body) > 0 && json.Indent(&pretty, r.Body, "     ", "  ") == nil {
			for line := range strings.SplitSeq(pretty.String(), "\n") {
				a.print("     %s", clean(strings.TrimPrefix(line, "     ")))
			}
		}
	}
}
