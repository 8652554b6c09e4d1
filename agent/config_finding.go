package agent

import (
	"fmt"
	"strings"
)

// Finding is one thing to say about a configuration, for a person who has to mend it. No member ever holds a secret:
// a value is quoted as the file has it, never as a variable filled it in.
type Finding struct {
	Source  Source // where
	Key     string // the option's full name; empty where Source says it all
	Message string // what is wrong
	Mend    string // what to do about it; may be empty
}

// String returns the finding as one line: config.yaml:12: integrations.incident_io.min_severity: what: mend.
func (f Finding) String() string {
	var parts []string
	if s := f.Source.String(); s != "" {
		parts = append(parts, s)
	}
	for _, part := range []string{f.Key, f.Message, f.Mend} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.Join(parts, ": "))
}

// ConfigError holds every fault of a configuration, in the order of the file's lines, the environment's behind them.
type ConfigError struct {
	Findings []Finding
}

// Error returns one line a fault.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Source is where an option was set: a line of the file, or a variable of the environment.
type Source struct {
	File     string
	Line     int    // 0: the file as a whole
	Variable string // name of the variable; empty for the file
}

// String returns FILE:LINE, or the variable's name, or nothing for a default.
func (s Source) String() string {
	switch {
	case s.Variable != "":
		return s.Variable
	case s.Line == 0:
		return s.File
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}
