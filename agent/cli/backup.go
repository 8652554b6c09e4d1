package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
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
				if err := a.copying(d, args[0], func() error { return d.Backup(cmd.Context(), args[0]) }); err != nil {
					return err
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

// longCopy is the size of a database, in bytes, from which copying it takes long enough for a progress bar.
const longCopy = 64 << 20

// copying shows on a terminal how far a long copy is, by the size of the file that grows.
func (a *app) copying(d *agent.Desk, to string, work func() error) error {
	info, err := os.Stat(d.Path())
	if err != nil || info.Size() < longCopy || !terminal(a.err) {
		return work()
	}
	bar := progressbar.NewOptions64(info.Size(), progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription("copying"),
		progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish())
	done := make(chan error, 1)
	go func() { done <- work() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			_ = bar.Finish()
			return err
		case <-tick.C:
			_ = bar.Set64(min(d.BackupSoFar(to), info.Size()))
		}
	}
}
