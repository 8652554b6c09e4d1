package agent

import "fmt"

// Source is where an option was set: a line of the file, or a variable of the environment.
type Source struct {
	File     string
	Line     int
	Variable string // name of the variable; empty for a line of the file
}

// String returns FILE:LINE, or the variable's name.
func (s Source) String() string {
	switch {
	case s.Variable != "":
		return s.Variable
	case s.File == "":
		return "default"
	case s.Line == 0:
		return s.File
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}
