package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/tigerops/tigerops-incidentio/sqlmigrations"
)

// latestVersion is the number of the last migration.
func latestVersion(migrations fs.FS) (int, error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("no migrations are built in: %w", err)
	}
	number, _, _ := strings.Cut(names[len(names)-1], "_")
	return strconv.Atoi(number)
}

// migrate brings the file to the latest version. The caller owns the file. One that holds data is copied first.
func (o Options) migrate(ctx context.Context, s sharing, from, latest int) error {
	file := writerDSN(o.Path)
	if from == absent {
		file = newFileDSN(o.Path)
	}
	db, err := sql.Open(o.driver, file)
	if err != nil {
		return err
	}
	defer db.Close()
	if from != absent {
		holds, err := holdsData(ctx, db)
		if err != nil {
			return fmt.Errorf("looking for data in %s: %w", o.Path, err)
		}
		if holds {
			to := fmt.Sprintf("%s.backup-v%d-%s", o.Path, from, time.Now().UTC().Format("20060102T150405.000Z"))
			if err := vacuumInto(ctx, db, to, s); err != nil {
				return fmt.Errorf("keeping a copy of %s before its migration: %w", o.Path, err)
			}
			o.Logger.Info("a copy of the database is kept before its migration", "copy", to, "from_version", from, "to_version", latest)
		}
	}
	// First of all, so that a file whose migration was cut off is known for ours.
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", sqlmigrations.ApplicationID)); err != nil {
		return fmt.Errorf("marking %s: %w", o.Path, err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, o.migrations, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating %s from version %d to %d: %w", o.Path, max(from, 0), latest, err)
	}
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("reading back the version of %s: %w", o.Path, err)
	}
	if version != latest {
		return fmt.Errorf("%s says version %d after its migration to %d", o.Path, version, latest)
	}
	return nil
}

// holdsData says whether any table of the agent's has a row.
func holdsData(ctx context.Context, db *sql.DB) (bool, error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table'
		AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE '\_litestream\_%' ESCAPE '\' AND name <> 'goose_db_version'`)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return false, err
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil {
		return false, err
	}
	for _, table := range tables {
		var holds bool
		if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM "`+table+`")`).Scan(&holds); err != nil || holds {
			return holds, err
		}
	}
	return false, nil
}

// PartOf is the file in which a copy grows until it is whole and takes its name.
func PartOf(path string) string { return path + ".part" }

// vacuumInto writes a consistent copy of the database to a new file and makes it durable before it has its name.
func vacuumInto(ctx context.Context, db *sql.DB, to string, s sharing) (err error) {
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s is there already: %w", to, fs.ErrExist)
	}
	part := PartOf(to)
	if err := os.Remove(part); err != nil && !os.IsNotExist(err) {
		return err
	}
	// SQLite fills a file that is there and empty, so its mode is right from the first byte.
	if err := s.create(part); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		return err
	}
	if err := syncFile(part); err != nil {
		return err
	}
	if err := os.Rename(part, to); err != nil {
		return err
	}
	if err := s.share(to); err != nil {
		return err
	}
	return syncFile(to)
}
