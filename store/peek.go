package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tigerops/tigerops-incidentio/sqlmigrations"
)

// absent is the version of a file that is not there or has nothing in it.
const absent = -1

// peek reads a file's schema version without changing anything, before any pragma is set. It answers ErrForeign for a
// file that is not the agent's, and ErrNewer for one that a newer program wrote.
func peek(ctx context.Context, driver, path string, latest int) (version int, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return absent, nil
	}
	if err != nil {
		return 0, fmt.Errorf("looking at the database: %w", err)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s is no regular file: name another database: %w", path, ErrForeign)
	}
	wal, err := os.Stat(path + "-wal")
	inFile := err != nil || wal.Size() == 0
	if info.Size() == 0 {
		if !inFile {
			// SQLite would throw the WAL away.
			return 0, damagedError(path, "it is empty, and there is a WAL beside it")
		}
		return absent, nil
	}
	settings := url.Values{"mode": {"ro"}, "_busy_timeout": {strconv.FormatInt(busyTimeout.Milliseconds(), 10)}}
	if inFile {
		// All is in the file. Immutable leaves no -wal and -shm beside a file that is refused.
		settings.Set("immutable", "1")
	}
	db, err := sql.Open(driver, dsn(path, settings))
	if err != nil {
		return 0, fmt.Errorf("looking at %s: %w", path, err)
	}
	defer db.Close()
	var application, tables int
	err = db.QueryRowContext(ctx, `SELECT a.application_id, v.user_version, (SELECT count(*) FROM sqlite_schema
		WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE '\_litestream\_%' ESCAPE '\')
		FROM pragma_application_id a, pragma_user_version v`).Scan(&application, &version, &tables)
	switch {
	case code(err)&0xff == sqlite3.SQLITE_NOTADB:
		if _, err := os.Stat(path + ".lock"); err == nil { // it was the agent's once
			return 0, damagedError(path, "its beginning is not a database's")
		}
		return 0, fmt.Errorf("%s is no SQLite file: name another database: %w", path, ErrForeign)
	case tellsDamage(err):
		return 0, damagedError(path, sqliteWords(err))
	case err != nil:
		return 0, fmt.Errorf("looking at %s: %w", path, err)
	case application == 0 && version == 0 && tables == 0:
		return absent, nil
	case application != sqlmigrations.ApplicationID:
		return 0, fmt.Errorf("%s belongs to another program (application_id %#x, %d tables): name another database: %w",
			path, application, tables, ErrForeign)
	case version > latest:
		return 0, fmt.Errorf("%s has schema version %d, this program knows up to %d: install the newer program again,"+
			" or put the copy %s.backup-v%d-… in its place: %w", path, version, latest, path, latest, ErrNewer)
	}
	return version, nil
}
