package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Ownership is a lock on PATH.lock, which is never deleted: whoever deleted it could lock a file that others no longer
// see. A process that only puts events in takes it for the moment of a migration, so one that wants it tries for
// ownerPatience; migrationPatience is how long such a process waits for an agent that may be migrating itself.
const (
	ownerPatience     = 500 * time.Millisecond
	migrationPatience = 5 * time.Second
	ownerRetry        = 10 * time.Millisecond
)

// takeOwnership answers ErrInUse where another process holds the file. The lock file's text names the holder for people;
// the lock itself is what counts.
func takeOwnership(ctx context.Context, o Options, s sharing, patience time.Duration) (*flock.Flock, error) {
	path, name := o.Path, o.Path+".lock"
	if err := s.create(name); err != nil {
		return nil, fmt.Errorf("taking ownership of %s: %w", path, err)
	}
	lock := flock.New(name, flock.SetFlag(os.O_RDWR), flock.SetPermissions(s.mode))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ok, err := lock.TryLockContext(ctx, ownerRetry)
	switch {
	case ok:
		os.WriteFile(name, fmt.Appendln(nil, strings.TrimSpace(fmt.Sprintf("process %d %s", os.Getpid(), o.Version))), s.mode)
		return lock, nil
	case err == nil || errors.Is(err, context.DeadlineExceeded):
		holder := ""
		if b, err := os.ReadFile(name); err == nil && len(b) > 0 {
			holder = " by " + strings.TrimSpace(string(b))
		}
		return nil, fmt.Errorf("%s is owned%s: stop that one first, or name another database: %w", path, holder, ErrInUse)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("taking ownership of %s: this user may not write %s: %w", path, name, err)
	default:
		return nil, fmt.Errorf("taking ownership of %s: %w", path, err)
	}
}
