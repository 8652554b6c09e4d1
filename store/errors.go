package store

import (
	"errors"
	"fmt"
)

// Refusals of Open and of a transition, to be found with errors.Is. Those of Open name the file and the mend.
var (
	ErrInUse   = errors.New("database in use")
	ErrNewer   = errors.New("database newer than this program")
	ErrOlder   = errors.New("database older than this program")
	ErrForeign = errors.New("not a database of tigerops-incidentio")
	ErrStale   = errors.New("row has moved on")
)

// ConstraintError says that the schema refuses a row, by the name of the constraint.
type ConstraintError struct {
	Index int    // of the row among those given
	Name  string // the constraint's name, e.g. "event_needs_a_type"
}

// Error tells the constraint's name.
func (e *ConstraintError) Error() string {
	return fmt.Sprintf("row %d is refused: %s", e.Index, e.Name)
}
