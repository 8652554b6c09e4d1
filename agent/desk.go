package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/tigerops/tigerops-incidentio/store"
)

// What the command line names of the store, which it does not know.
type (
	OutboxQuery = store.OutboxQuery
	InboxQuery  = store.InboxQuery
	Event       = store.Event
	InboxEntry  = store.InboxEntry
	Status      = store.Status
	StoryRow    = store.StoryRow
	StuckRow    = store.StuckRow
)

// Access says what a command wants of the database.
type Access int

// The kinds of access, each with what the one before it gives.
const (
	ToRead Access = iota
	ToWrite
	ToCreate // makes the file where there is none
)

// Desk is the database as the command line tends it, beside a running agent or without one. It takes no ownership:
// the agent that runs keeps it.
type Desk struct {
	*store.Store
	path string
}

// Path is the database's file.
func (d *Desk) Path() string { return d.path }

// packagedDB is where the service of the packages has its database.
const packagedDB = "/var/lib/tigerops-incidentio/tigerops-incidentio.db"

// packaged names the database of the packaged service where that is installed. Who looks may not be let into its directory.
func packaged() string {
	if info, err := os.Stat(filepath.Dir(packagedDB)); err != nil || !info.IsDir() {
		return ""
	}
	return " (the packaged service has " + packagedDB + ")"
}

// BackupSoFar is how many bytes of a backup to path are written while it is under way, 0 before and after.
func (d *Desk) BackupSoFar(path string) int64 {
	info, err := os.Stat(store.PartOf(path))
	if err != nil {
		return 0
	}
	return info.Size()
}

// OpenDesk opens the configured database. A file that is not there is an error that names AGENT_DB, but for ToCreate:
// a mistyped path must not look like an empty queue.
func OpenDesk(ctx context.Context, c Config, version string, access Access) (*Desk, error) {
	if _, err := os.Stat(c.DB); errors.Is(err, fs.ErrNotExist) && access != ToCreate {
		return nil, fmt.Errorf("there is no database %s: set AGENT_DB to the agent's, or start the agent once%s", c.DB, packaged())
	}
	st, err := store.Open(ctx, store.Options{Path: c.DB, Version: version, ReadOnly: access == ToRead, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return &Desk{st, c.DB}, nil
}
