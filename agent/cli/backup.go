package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of the database, also while the agent runs",
		Long: `Writes a consistent copy of the database to FILE, also while the agent runs. FILE must not exist.

Never copy the database with cp: what is still in its -wal file would be missing.`,
		Example: `  tigerops-incidentio backup /var/backups/tigerops-incidentio-$(date +%F).db`,
		Args:    takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); err == nil {
				return fmt.Errorf("%s exists already: give a new name", args[0])
			} else if !errors.Is(err, os.ErrNotExist) {
				return err
			}
			return a.withDesk(cmd.Context(), agent.ToRead, func(d *agent.Desk) error {
				if err := d.Backup(cmd.Context(), args[0]); err != nil {
					return fmt.Errorf("back up to %s: %w", args[0], err)
				}
				info, err := os.Stat(args[0])
				if err != nil {
					return err
				}
				a.print("%s: %d bytes", args[0], info.Size())
				return nil
			})
		},
	}
}
