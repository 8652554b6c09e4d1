package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// driverName is the one SQLite library of this process: two of them on one file lose rows without an error.
const driverName = "sqlite"

// busyTimeout is how long a statement waits for another process's lock.
const busyTimeout = 10 * time.Second

// Bounds of memory and disk: the page cache of the writer and of each reader in KiB, and what a WAL that was reset may
// keep on disk.
const (
	writerCacheKiB = 8 << 10
	readerCacheKiB = 2 << 10
	walKeepBytes   = 64 << 20
)

// dsn names the file with settings for every connection of a pool; a pragma by Exec would reach only one of them.
func dsn(path string, settings url.Values) string {
	// SQLite decodes %XX in a file: URI; ? and # would end the path.
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + escaped + "?" + settings.Encode()
}

func writerDSN(path string) string {
	return dsn(path, url.Values{
		"mode":          {"rw"}, // the file is made beforehand, with the right mode
		"_busy_timeout": {strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_txlock":       {"immediate"},
		"_error_rc":     {"1"},
		"_pragma": {
			"wal_autocheckpoint(0)", // checkpoints follow the writer's own schedule
			fmt.Sprintf("journal_size_limit(%d)", walKeepBytes),
			fmt.Sprintf("cache_size(-%d)", writerCacheKiB),
			"temp_store(MEMORY)", // what a savepoint and a statement of many rows are undone by: the pages that they change
		},
	})
}

// newFileDSN is the writer's for a file that has nothing in it yet, when alone auto_vacuum can be chosen. On any other
// that setting is a write, which a full disk refuses.
func newFileDSN(path string) string { return writerDSN(path) + "&_auto_vacuum=INCREMENTAL" }

func readerDSN(path string) string {
	return dsn(path, url.Values{
		"mode":          {"rw"}, // the file is made beforehand, with the right mode
		"_busy_timeout": {strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
		"_query_only":   {"1"},
		"_error_rc":     {"1"},
		"_pragma":       {fmt.Sprintf("cache_size(-%d)", readerCacheKiB)},
	})
}

// copySettings are those of a connection that reads the file to copy it. It must not be query_only: VACUUM INTO counts
// as a write, though not to this file.
var copySettings = url.Values{
	"mode":          {"rw"},
	"_busy_timeout": {strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
	"_pragma":       {"wal_autocheckpoint(0)"},
}

// conn is a connection with its prepared statements, kept by their text.
type conn struct {
	c     *sql.Conn
	stmts map[string]*sql.Stmt
}

// openConn takes a connection of its own and reads back what the DSN asked for.
func openConn(db *sql.DB) (*conn, error) {
	c, err := db.Conn(context.Background())
	if err != nil {
		return nil, fmt.Errorf("opening the write connection: %w", err)
	}
	w := &conn{c: c, stmts: map[string]*sql.Stmt{}}
	for pragma, want := range map[string]string{
		"journal_mode": "wal",
		"synchronous":  "2",
		"encoding":     "UTF-8", // whoever made the file before the agent may have chosen another, in which a webhook's bytes would be other text
		"busy_timeout": strconv.FormatInt(busyTimeout.Milliseconds(), 10),
	} {
		var got string
		if err := c.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&got); err != nil {
			w.close()
			return nil, fmt.Errorf("reading back %s: %w", pragma, err)
		}
		if got != want {
			w.close()
			return nil, fmt.Errorf("the database's %s is %q and must be %q", pragma, got, want)
		}
	}
	return w, nil
}

func (c *conn) close() {
	for _, s := range c.stmts {
		s.Close()
	}
	// The pool must not hand this connection out again: its state is not known.
	c.c.Raw(func(any) error { return errBadConn })
	c.c.Close()
}

func (c *conn) prepared(query string) (*sql.Stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	s, err := c.c.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

// exec runs a statement under no caller's context: a cancelled one makes SQLite roll back everybody's transaction.
func (c *conn) exec(query string, args ...any) (changed int64, err error) {
	changed, _, err = c.insert(query, args...)
	return changed, err
}

// insert is exec, and the id of the row where there is a new one.
func (c *conn) insert(query string, args ...any) (changed, id int64, err error) {
	s, err := c.prepared(query)
	if err != nil {
		return 0, 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, 0, err
	}
	if changed, err = r.RowsAffected(); err != nil {
		return 0, 0, err
	}
	id, err = r.LastInsertId()
	return changed, id, err
}

// row scans the first row; found is false where there is none.
func (c *conn) row(query string, args []any, dest ...any) (found bool, err error) {
	s, err := c.prepared(query)
	if err != nil {
		return false, err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	if rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return false, err
		}
		found = true
		rows.Next() // a statement that is a transaction of its own commits when it is asked for more than its last row
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return false, err
	}
	return found, nil
}

// ids gathers a column of row ids.
func (c *conn) ids(query string, args ...any) ([]int64, error) {
	s, err := c.prepared(query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// tx is a member's view of the running write transaction.
type tx struct {
	*conn
	now    string // the transaction's time, in the database's form
	topics topics // what the member changed
	bare   bool   // each statement is a transaction of its own

	arrived []Arrival
}

// must turns "no row changed" into ErrStale.
func (t *tx) must(what string, query string, args ...any) error {
	n, err := t.exec(query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if n == 0 {
		return fmt.Errorf("%s: %w", what, ErrStale)
	}
	return nil
}

func formatTime(t time.Time) string { return t.UTC().Format(TimeLayout) }

// nullTime is NULL for the zero time.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return formatTime(t)
}

// nullText is NULL for an empty text.
func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// dbTime scans a time; NULL and what is no time (a stranger may write anything) are the zero time.
type dbTime struct{ to *time.Time }

func (d dbTime) Scan(v any) error {
	*d.to = time.Time{}
	text, _ := v.(string)
	if t, err := time.Parse(TimeLayout, text); err == nil {
		*d.to = t
	} else if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		*d.to = t.UTC()
	}
	return nil
}

// dbText scans a text into bytes or a string; NULL is empty.
type dbText[T ~string | ~[]byte] struct{ to *T }

func (d dbText[T]) Scan(v any) error {
	switch v := v.(type) {
	case string:
		*d.to = T(v)
	case []byte:
		*d.to = T(v)
	case nil:
		*d.to = T("")
	default:
		return fmt.Errorf("a text was expected, not %T", v)
	}
	return nil
}
