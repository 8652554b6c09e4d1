package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func (a *app) showCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show INCIDENT",
		Short: "Tell one incident's whole story, both directions, in time order",
		Long: `Tells one incident's whole story, both directions, in time order. INCIDENT is a TigerOps id, an incident.io id or a
reference like INC-123.`,
		Example: `  tigerops-incidentio show TIG-4711
  tigerops-incidentio show INC-123 --json`,
		Args:              takes("INCIDENT"),
		ValidArgsFunction: a.completes(true, incidents),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDesk(cmd.Context(), agent.ToRead, func(d *agent.Desk) error {
				story, err := d.Story(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("read the story of %s: %w", args[0], err)
				}
				if len(story) == 0 {
					return fmt.Errorf("nothing is known of %s: it is neither a TigerOps incident nor an incident.io id or reference in this database", args[0])
				}
				if asJSON {
					return a.printJSON(story)
				}
				a.tell(story)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// wideEnough is how many columns a terminal needs to have room for the names of both sides in each line of a story.
const wideEnough = 120

func (a *app) tell(story []agent.StoryRow) {
	var rows [][]string
	day := ""
	for _, r := range story {
		at := r.At.UTC()
		if d := at.Format(time.DateOnly); d != day {
			day = d
			rows = append(rows, []string{a.paint(bold, d), "", "", "", ""})
		}
		words, colour, short := r.Direction, blue, "→ incident.io"
		if strings.HasPrefix(r.Direction, "incident.io") {
			colour, short = green, "← incident.io"
		}
		if width := a.width(); width > 0 && width < wideEnough {
			words = short
		}
		arrow := a.paint(colour, words)
		rows = append(rows, []string{at.Format("15:04:05.000"), arrow, clean(r.What), a.paintState(r.State), dash(agent.Detail(r))})
	}
	a.table([]column{{name: "UTC"}, {name: "DIRECTION"}, {name: "WHAT", gives: true}, {name: "STATE"}, {name: "DETAIL", gives: true, wraps: true}}, rows)
}
