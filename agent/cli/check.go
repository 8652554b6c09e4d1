package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

func (a *app) checkCommand() *cobra.Command {
	var offline, all, asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tell whether the configuration is right",
		Long: `Tells whether the configuration is right: first the file and the environment (types, unknown keys, unset variables),
then incident.io (is the key good and are its roles sufficient, does everything exist that the configuration names).
Prints one line a finding with what to do about it, then what is in force, with secrets masked.

Exit status: 0 the agent can run, perhaps with warnings; 2 the configuration is wrong; 1 incident.io could not be asked.`,
		Example: `  tigerops-incidentio check --config config.yaml
  tigerops-incidentio check --config config.yaml --offline`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.config()
			findings := warnings(c)
			var faults *agent.ConfigError
			switch {
			case errors.As(err, &faults):
				for _, f := range faults.Findings {
					findings = append(findings, finding{"error", f})
				}
			case err != nil:
				return err
			default:
				if missing := c.CheckRun(); errors.As(missing, &faults) {
					findings = append(findings, finding{"error", faults.Findings[0]})
				}
			}
			status := a.verdict(findings)
			if status == statusDone && !offline {
				online, err := agent.CheckOnline(cmd.Context(), c, version())
				if err != nil {
					return err
				}
				for _, f := range online {
					findings = append(findings, finding{f.Level, f.Finding})
				}
				status = a.verdict(findings)
			}
			if err := a.report(findings, c.Settings(), all, asJSON); err != nil {
				return err
			}
			if status != statusDone {
				return &toldError{status}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "stop before the network")
	cmd.Flags().BoolVar(&all, "all", false, "show options at their default too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// finding is a finding and how bad it is: error, warning or ok.
type finding struct {
	level string
	agent.Finding
}

func warnings(c agent.Config) []finding {
	var all []finding
	for _, w := range c.Warnings {
		all = append(all, finding{"warning", w})
	}
	return all
}

// verdict is the exit status that the findings call for.
func (a *app) verdict(findings []finding) int {
	for _, f := range findings {
		if f.level == "error" {
			return statusUsage
		}
	}
	return statusDone
}

// report prints findings and what is in force.
func (a *app) report(findings []finding, settings []agent.Setting, all, asJSON bool) error {
	if asJSON {
		type row struct {
			Level   string `json:"level"`
			Where   string `json:"where,omitempty"`
			Key     string `json:"key,omitempty"`
			Message string `json:"message"`
			Mend    string `json:"mend,omitempty"`
		}
		rows := []row{}
		for _, f := range findings {
			rows = append(rows, row{f.level, f.Source.String(), f.Key, f.Message, f.Mend})
		}
		return a.printJSON(map[string]any{"findings": rows, "settings": settings})
	}
	errs, warns := 0, 0
	for _, f := range findings {
		switch f.level {
		case "error":
			errs++
			a.print("%s", a.paint(red, clean(f.String())))
		case "warning":
			warns++
			a.print("%s", a.paint(yellow, "warning: "+clean(f.String())))
		default:
			a.print("%s", a.paint(green, f.level+": "+clean(f.String())))
		}
	}
	a.print("%s, %s", count(errs, "error"), count(warns, "warning"))
	if errs > 0 {
		return nil
	}
	var rows [][]string
	for _, s := range settings {
		if all || s.Source != "default" {
			rows = append(rows, []string{s.Name, dash(s.Value), clean(s.Source)})
		}
	}
	if len(rows) > 0 {
		a.print("")
		a.table([]column{{name: "OPTION"}, {name: "VALUE", gives: true}, {name: "SET IN", gives: true}}, rows)
	}
	if !all {
		a.print("all others are at their default: --all shows them")
	}
	return nil
}
