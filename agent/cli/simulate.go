package cli

import (
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func (a *app) simulateCommand() *cobra.Command {
	var addr, webhookURL string
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run the simulated incident.io alone, as a server to develop against",
		Long: `Runs the simulated incident.io alone, as a server to develop against: validation, idempotency keys, legal transitions,
rate limits and signed webhooks are those of the real one. Everything is in memory and gone at the end.

It takes the API key of the configuration, or inc_simulated_key, and signs webhooks with the configured secret. What
people do in incident.io, and what goes wrong there, is played through calls below /_sim/ (GET /_sim/ lists them).`,
		Example: `  tigerops-incidentio simulate &
  INCIDENT_IO_API_URL=http://127.0.0.1:8490 INCIDENT_IO_API_KEY=inc_simulated_key tigerops-incidentio run`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			level := new(slog.LevelVar)
			level.Set(c.LogLevel)
			s, err := agent.NewSimulation(cmd.Context(), c, addr, webhookURL, logger(a.err, c.LogFormat, level))
			if errors.Is(err, agent.ErrNotLoopback) {
				return usage(cmd, "%v", err)
			}
			if err != nil {
				return err
			}
			a.print("incident.io, simulated, answers at %s until interrupted", s.URL)
			a.print("give the agent INCIDENT_IO_API_URL=%s", s.URL)
			if s.Key == "" {
				a.print("and the API key that is configured here")
			} else {
				a.print("and INCIDENT_IO_API_KEY=%s", s.Key)
			}
			if s.WebhookURL != "" {
				a.print("webhooks go to %s", s.WebhookURL)
			} else {
				a.print("no webhooks are sent: set INCIDENT_IO_WEBHOOK_SECRET here and for the agent")
			}
			a.print("play the person, or break something: curl %s/_sim/", s.URL)
			return s.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:8490", "listen on `HOST:PORT`, a loopback address")
	cmd.Flags().StringVar(&webhookURL, "webhook-url", "", "send webhooks to `URL` (default: AGENT_WEBHOOK_ADDR, if there is a webhook secret)")
	return cmd
}
