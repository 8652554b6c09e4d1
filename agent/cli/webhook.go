package cli

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func (a *app) webhookCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "webhook",
		Short: "Try the way in from incident.io",
	}, a.webhookTestCommand())
}

func (a *app) webhookTestCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test [URL]",
		Short: "Send a signed test webhook to the agent, or to the public URL in front of it",
		Long: `Signs a test webhook with the configured secret as incident.io does, sends it, and says what came back. Without URL it
goes to AGENT_WEBHOOK_ADDR; with the public URL it shows that the reverse proxy passes webhooks on unharmed. The agent
stores it and does nothing else with it.`,
		Example: `  tigerops-incidentio webhook test
  tigerops-incidentio webhook test https://hooks.example.com`,
		Args: takes("[URL]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			target := ""
			if len(args) > 0 {
				target = args[0]
			}
			if scheme, _, ok := strings.Cut(target, "://"); ok && scheme != "https" && scheme != "http" {
				return usage(cmd, "%q is no address that webhooks are sent to: give https://…", target)
			}
			p, err := agent.ProbeWebhook(cmd.Context(), c, target)
			if err != nil {
				return err
			}
			if asJSON {
				err = a.printJSON(p)
			} else {
				a.print("%s: %d %s after %s", p.URL, p.Status, http.StatusText(p.Status), p.Took.Round(time.Millisecond))
			}
			if p.OK || err != nil {
				return err
			}
			message := p.Mend
			if p.Answer != "" {
				message = fmt.Sprintf("%s (it answered: %s)", p.Mend, p.Answer)
			}
			return fmt.Errorf("the test webhook was not taken: %s", message)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
