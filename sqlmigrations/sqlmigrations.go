// Package sqlmigrations holds the database's schema as numbered goose migrations. It is data only: package store
// applies them. A released migration never changes; a test compares each file with its hash.
//
// Every migration ends with PRAGMA user_version set to its own number, in the same transaction as its changes, so that
// the file's header tells the version without a table being read.
//
// The schema is used by strangers through the sqlite3 shell, 3.40 and later, so it holds no function and no syntax
// that is newer than that.
package sqlmigrations

import "embed"

// ApplicationID marks the file as the agent's own (PRAGMA application_id): the letters "TIO1".
const ApplicationID = 0x54494F31

// FS holds the migrations, named NNNNN_what.sql.
//
//go:embed *.sql
var FS embed.FS
