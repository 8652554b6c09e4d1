package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func (a *app) setupCommand() *cobra.Command {
	var apply, asJSON bool
	var host string
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Show what is missing in incident.io, and create it with --apply",
		Long: `Shows what the configuration needs in incident.io and is missing there: the HTTP alert source, custom fields, options.
With --apply it creates them; what is there is left as it is. Then it tells what to register and what to configure.

The token of an alert source that it has just created is printed, this once: keep it.`,
		Example: `  tigerops-incidentio setup --config config.yaml
  tigerops-incidentio setup --config config.yaml --apply --host hooks.example.com`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.config()
			if err == nil {
				err = c.CheckRun()
			}
			if err != nil {
				return err
			}
			result, err := agent.Setup(cmd.Context(), c, version(), apply)
			if err != nil && len(result.Items) == 0 {
				return err // nothing is known of what is there
			}
			if perr := a.showSetup(c, result, apply, asJSON, host); perr != nil && err == nil {
				err = perr
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&apply, "apply", false, "create what is missing")
	cmd.Flags().StringVar(&host, "host", "", "the public `HOST` in front of the agent, for the webhook URL to register")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) showSetup(c agent.Config, result agent.SetupResult, apply, asJSON bool, host string) error {
	if host == "" {
		host = "YOUR-HOST"
	}
	failed := 0
	for _, i := range result.Items {
		if i.State == agent.SetupFailed {
			failed++
		}
	}
	if asJSON {
		out := map[string]any{"items": append([]agent.SetupItem{}, result.Items...), "webhook_url": agent.RegisterAt(host), "alert_source_id": result.SourceID}
		if result.Token.IsSet() {
			out["alert_source_token"] = result.Token.Reveal()
		}
		if err := a.printJSON(out); err != nil {
			return err
		}
	} else {
		a.tellSetup(c, result, apply, failed, host)
	}
	if failed > 0 {
		return fmt.Errorf("%s could not be set up", count(failed, "thing"))
	}
	return nil
}

func (a *app) tellSetup(c agent.Config, result agent.SetupResult, apply bool, failed int, host string) {
	missing := 0
	var rows [][]string
	for _, i := range result.Items {
		state := i.State
		switch i.State {
		case agent.SetupMissing:
			missing++
			state = a.paint(yellow, state)
		case agent.SetupFailed:
			state = a.paint(red, state)
		default:
			state = a.paint(green, state)
		}
		rows = append(rows, []string{state, i.Kind, dash(i.Name), dash(i.Of), dash(i.ID), dash(i.Note)})
	}
	if len(rows) > 0 {
		a.table([]column{{name: "STATE"}, {name: "KIND"}, {name: "NAME", gives: true}, {name: "OF", gives: true}, {name: "ID"}, {name: "NOTE", gives: true}}, rows)
		a.print("")
	}
	switch {
	case missing > 0:
		a.print("%s missing: --apply creates them", count(missing, "thing"))
	case failed > 0:
		a.print("%s could not be set up: the note says why", count(failed, "thing"))
	case apply:
		a.print("everything is there")
	default:
		a.print("nothing is missing")
	}
	if result.SourceID != "" {
		a.print("")
		a.print("Configure the alert source:")
		a.print("  INCIDENT_IO_ALERT_SOURCE_ID=%s", result.SourceID)
		if result.Token.IsSet() {
			a.print("  INCIDENT_IO_ALERT_SOURCE_TOKEN=%s", result.Token.Reveal())
		} else {
			a.print("  INCIDENT_IO_ALERT_SOURCE_TOKEN: incident.io shows it on the alert source's page")
		}
	}
	a.print("")
	a.print("Register the webhook in incident.io, Settings, Webhooks (all public and private events of incidents, alerts and escalations):")
	a.print("  %s", agent.RegisterAt(host))
	a.print("and pass it on to %s. Its signing secret is INCIDENT_IO_WEBHOOK_SECRET (%s).", c.WebhookAddr, isSet(len(c.WebhookSecrets) > 0))
}

func isSet(set bool) string {
	if set {
		return "set"
	}
	return "not set yet"
}
