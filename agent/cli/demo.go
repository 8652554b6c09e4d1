package cli

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func (a *app) demoCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the whole sync on this machine, with no account",
		Long: `Runs the whole sync on this machine, with no account and no network but loopback: the agent as "run" has it, a simulated
incident.io, a scripted TigerOps incident from the anomaly to the post-mortem, and a person in incident.io who
acknowledges, takes the lead, changes the severity and closes. Each step is one line, as it happens.

It leaves its database in the current directory, under a new name each time, for a look with sqlite3.`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.DiscardHandler)
			if verbose {
				log = logger(a.err, agent.LogText, slog.LevelDebug)
			}
			db, err := agent.Demo(cmd.Context(), agent.DemoOptions{Version: version(), Log: log, Tell: func(line string) { a.print("%s", clean(line)) }})
			if err != nil {
				return err
			}
			a.print("")
			a.print("Both sides agree. The database is %s; worth trying:", db)
			a.print("  sqlite3 -box %s 'SELECT * FROM sync_state'", db)
			a.print("  sqlite3 -box %s \"SELECT at, direction, what, detail FROM story WHERE tigerops_incident_id = '%s'\"", db, agent.DemoIncident)
			a.print("  sqlite3 -box %s 'SELECT step, http_status, remote_id FROM delivery'", db)
			a.print("  sqlite3 %s \"SELECT request FROM delivery WHERE step = 'incident.declare'\"", db)
			a.print("  sqlite3 -box %s 'SELECT id, type, state, created_at FROM inbox'", db)
			a.print("  AGENT_DB=%s %s show %s", db, program, agent.DemoIncident)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "the agent's log too, on stderr")
	return cmd
}
