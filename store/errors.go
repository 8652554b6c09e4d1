package store

import (
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Refusals of Open and of a transition, to be found with errors.Is. Those of Open name the file and the mend.
var (
	ErrInUse    = errors.New("database in use")
	ErrNewer    = errors.New("database newer than this program")
	ErrOlder    = errors.New("database older than this program")
	ErrDamaged  = errors.New("database damaged")
	ErrMoved    = errors.New("database moved")
	ErrForeign  = errors.New("not a database of tigerops-incidentio")
	ErrStale    = errors.New("row has moved on")
	ErrNotFound = errors.New("no such row")
	ErrReadOnly = errors.New("database opened for reading only")
	ErrClosed   = errors.New("database closed")
)

// ConstraintError says that the schema refuses a row, by the name of the constraint.
type ConstraintError struct {
	Index int    // of the row among those given
	Name  string // the constraint's name, e.g. "event_needs_a_type"
	err   error
}

// Error tells the constraint's name.
func (e *ConstraintError) Error() string {
	return fmt.Sprintf("row %d is refused: %s", e.Index, e.Name)
}

// Unwrap gives SQLite's own error.
func (e *ConstraintError) Unwrap() error { return e.err }

// code is SQLite's extended result code of an error, 0 for an error that is not SQLite's.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// constraint turns a refusal by the schema into a ConstraintError; other errors pass as they are. The name is all that
// is read from the text.
func constraint(index int, err error) error {
	if code(err)&0xff != sqlite3.SQLITE_CONSTRAINT {
		return err
	}
	name := err.Error()
	for _, before := range []string{"CHECK constraint failed: ", "constraint failed: "} {
		if _, rest, ok := strings.Cut(name, before); ok {
			name = rest
			break
		}
	}
	if i := strings.LastIndex(name, " ("); i > 0 {
		name = name[:i]
	}
	return &ConstraintError{Index: index, Name: name, err: err}
}

// own says whether an error is the writer's own, so that the rest of its batch stands: the schema refused his row, or a
// row was not in the state that he meant to leave. After any other error the whole transaction counts as lost.
func own(err error) bool {
	return code(err)&0xff == sqlite3.SQLITE_CONSTRAINT || errors.Is(err, ErrStale) || errors.Is(err, ErrNotFound)
}
