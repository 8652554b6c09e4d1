package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tigerops/tigerops-incidentio/agent"
)

// The exit statuses.
const (
	statusDone   = 0
	statusFailed = 1 // also: database in use, newer than the program or not writable, port taken
	statusUsage  = 2 // wrong usage or wrong configuration
)

const program = "tigerops-incidentio"

// app is one call of the program.
type app struct {
	in       io.Reader
	out, err io.Writer
	environ  map[string]string
	file     string        // --config
	page     *bytes.Buffer // while a screen is being drawn, what will be on it
}

// Main runs the command that args name and returns the exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, environ []string) int {
	a := &app{in: stdin, out: stdout, err: stderr, environ: env.ToMap(environ)}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	root := a.root()
	root.SetArgs(args)
	return a.status(root.ExecuteContext(ctx))
}

// status reports an error, one line a fault, and says which exit status it is.
func (a *app) status(err error) int {
	if err == nil {
		return statusDone
	}
	var usage *usageError
	var config *agent.ConfigError
	switch {
	case errors.Is(err, errTold):
		return err.(*toldError).status
	case errors.As(err, &usage):
		a.complain(fmt.Sprintf("%s (%s -h explains)", usage.message, usage.command))
		return statusUsage
	case errors.As(err, &config):
		for _, f := range config.Findings {
			a.complain(f.String())
		}
		return statusUsage
	}
	a.complain(err.Error())
	return statusFailed
}

// complain writes a line to stderr; what would break the line or steer a terminal is taken out.
func (a *app) complain(text string) {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		fmt.Fprintf(a.err, "%s: %s\n", program, clean(line))
	}
}

// usageError is wrong usage of a command.
type usageError struct{ command, message string }

func (e *usageError) Error() string { return e.message }

func usage(cmd *cobra.Command, message string, args ...any) error {
	return &usageError{command: cmd.CommandPath(), message: fmt.Sprintf(message, args...)}
}

// toldError ends a command whose output has said already what is wrong.
type toldError struct{ status int }

var errTold = errors.New("told already")

func (e *toldError) Error() string        { return errTold.Error() }
func (e *toldError) Is(target error) bool { return target == errTold }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   program,
		Short: "Keeps TigerOps incidents and incident.io in step, in both directions",
		Long: `Keeps TigerOps incidents and incident.io in step, in both directions.

Events from TigerOps become incidents, updates and timeline items in incident.io; what people do there comes back as
changes for TigerOps to apply. All of it goes through one SQLite file, so nothing is lost and nothing is done twice.

Try it without an account:  tigerops-incidentio demo
Check a configuration:      tigerops-incidentio check --config FILE
Run the agent:              INCIDENT_IO_API_KEY=… tigerops-incidentio run --config FILE

The configuration is a YAML file and the environment, which wins. Commands that look after the database find it by
AGENT_DB (default ` + agent.Default().DB + ` in the current directory).

Exit status: 0 done, 1 failed, 2 wrong usage or wrong configuration.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(a.err)
			_ = cmd.Help()
			return &toldError{statusUsage}
		},
		Args: noSuchCommand,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.PersistentFlags().StringVarP(&a.file, "config", "c", "", "the YAML `FILE` with the configuration (default: none, only the environment)")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(a.runCommand(), a.demoCommand(), a.checkCommand(), a.setupCommand(), a.planCommand(), a.enqueueCommand(), a.statusCommand(),
		a.showCommand(), a.outboxCommand(), a.inboxCommand(), a.webhookCommand(), a.backupCommand(), a.simulateCommand(), a.versionCommand())
	root.SetHelpCommand(helpCommand(root))
	offerFiles(root)
	return root
}

// offerFiles lets the shells complete files only for commands that take one.
func offerFiles(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		offerFiles(c)
	}
	if !cmd.HasSubCommands() && cmd.ValidArgsFunction == nil && !strings.Contains(cmd.Use, "FILE") {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
}

// helpCommand is cobra's own, but that an unknown name is wrong usage.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return noSuchCommand(cmd, rest)
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// group makes a command that only holds others.
func group(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(below...)
	cmd.Args = noSuchCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return usage(cmd, "%s needs one of %s", cmd.Name(), strings.Join(names(cmd), ", "))
	}
	return cmd
}

func names(cmd *cobra.Command) []string {
	var all []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			all = append(all, c.Name())
		}
	}
	return all
}

// noSuchCommand refuses what is left of the arguments where a command's name is wanted.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if best, near := agent.Nearest(args[0], names(cmd)); near {
		return usage(cmd, "unknown command %q: did you mean %q?", args[0], best)
	}
	return usage(cmd, "unknown command %q", args[0])
}

// flagError says which flag was meant.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var flags []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
		if best, near := agent.Nearest(unknown.GetSpecifiedName(), flags); near {
			return usage(cmd, "%v: did you mean --%s?", err, best)
		}
	}
	return usage(cmd, "%v", err)
}

// takes checks the number of arguments by their names: "FILE" must be there, "[FILE]" may, "ID…" is one or more.
func takes(wanted ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		for i, name := range wanted {
			if i >= len(args) && !strings.HasPrefix(name, "[") {
				return usage(cmd, "%s is missing", strings.TrimSuffix(name, "…"))
			}
		}
		if n := len(wanted); len(args) > n && (n == 0 || !strings.Contains(wanted[n-1], "…")) {
			return usage(cmd, "unexpected argument %q", args[n])
		}
		return nil
	}
}

// config loads the configuration for a command that talks to incident.io or TigerOps.
func (a *app) config() (agent.Config, error) {
	return agent.Load(agent.LoadOptions{File: a.file, Environ: a.environ})
}

// withDesk runs f with the database open. That needs no secrets, so who may not read them can look after the queue.
func (a *app) withDesk(ctx context.Context, access agent.Access, f func(*agent.Desk) error) (err error) {
	c, err := agent.Load(agent.LoadOptions{File: a.file, Environ: a.environ, Lenient: true})
	if err != nil {
		return err
	}
	d, err := agent.OpenDesk(ctx, c, version(), access)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := d.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close the database: %w", cerr)
		}
	}()
	return f(d)
}
