package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
	"github.com/tigerops/tigerops-incidentio/systemd"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the agent until SIGTERM or SIGINT",
		Long: `Runs the agent until SIGTERM or SIGINT: it then takes no more work, finishes what is in flight (at most 10 s)
and exits 0. SIGHUP reads the configuration and the secrets again; a broken one is reported and the old one stays.

It needs INCIDENT_IO_API_KEY; everything else has a default. One agent at a time owns the database.`,
		Example: `  INCIDENT_IO_API_KEY=… tigerops-incidentio run
  tigerops-incidentio run --config /etc/tigerops-incidentio/config.yaml`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context()) },
	}
}

func (a *app) run(ctx context.Context) error {
	level, log := new(slog.LevelVar), slog.New(slog.DiscardHandler)
	load := func() (agent.Config, error) {
		c, err := a.config()
		if err == nil {
			err = c.CheckRun()
		}
		if err != nil {
			return c, err
		}
		level.Set(c.LogLevel)
		if log.Handler() == slog.DiscardHandler { // the first time; the format stays
			log = logger(a.err, c.LogFormat, level)
		}
		for _, w := range c.Warnings {
			log.Warn("configuration", "warning", w.String())
		}
		return c, nil
	}
	c, err := load()
	if err != nil {
		return err
	}
	o := agent.Options{Config: c, Reload: load, Log: log, Version: version()}
	o.Notify = func(state, text string) {
		if err := systemd.Notify(state, text); err != nil {
			log.Debug("service manager", "error", err)
		}
	}
	if o.WatchdogEvery, err = systemd.WatchdogEvery(); err != nil {
		return err
	}
	if o.WebhookListener, err = systemd.Listener(); err != nil {
		return err
	}
	// Taken before the agent is there, or a hang-up while it starts would end the process.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ag, err := agent.New(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before it had started
		}
		return err
	}
	go func() {
		for {
			select {
			case <-hangup:
				_ = ag.Reload() // it has logged what is wrong
			case <-ctx.Done():
				return
			}
		}
	}()
	tended, stop := context.WithCancel(ctx)
	defer stop()
	go tendMemory(tended)
	return ag.Run(ctx)
}

// logger writes to w as the configuration wants it; under systemd text becomes journal entries with a field for each
// attribute.
func logger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == agent.LogJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	if h := systemd.Journal(program, level); h != nil {
		return slog.New(h)
	}
	return slog.New(slog.NewTextHandler(w, o))
}
