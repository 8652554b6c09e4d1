package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	sqlite "modernc.org/sqlite/lib"
)

// Version and Commit are set by the release build (-ldflags -X); else the Go command's own record of the build tells.
var (
	Version string
	Commit  string
)

// version is what the agent calls itself, also to incident.io.
func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func commit() string {
	if Commit != "" {
		return Commit
	}
	revision, dirty := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = " (modified)"
			}
		}
	}
	return revision + dirty
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version, commit, Go version and SQLite version",
		Args:  takes(),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return a.printJSON(map[string]string{"version": version(), "commit": commit(), "go": runtime.Version(), "sqlite": sqlite.SQLITE_VERSION})
			}
			a.print("%s %s", program, version())
			a.print("commit %s", commit())
			a.print("go     %s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
			a.print("sqlite %s", sqlite.SQLITE_VERSION)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
