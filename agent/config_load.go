package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// LoadOptions say where a configuration comes from.
type LoadOptions struct {
	File     string                       // the YAML file; empty: none, the environment and the defaults alone
	Environ  map[string]string            // the environment's variables
	ReadFile func(string) ([]byte, error) // nil: os.ReadFile
	// Lenient passes over unset variables and files of secrets that can't be read, leaving their options empty: for
	// commands that only touch the database, so that who may not read the secrets can still look after the queue.
	Lenient bool
}

// Load reads the file, then the environment, which wins, and checks what came of it. The error is a *ConfigError
// with every fault; the configuration beside it is then what could be read, for showing only. What is allowed but
// hardly meant stands in Config.Warnings.
func Load(o LoadOptions) (Config, error) {
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	c := Default()
	c.from = map[string]Source{}
	l := &loader{LoadOptions: o, c: &c, written: map[string]string{}}
	l.readFile()
	l.readEnviron()
	l.told = len(l.faults)
	l.check()
	l.redact(c.Warnings)
	if len(l.faults) == 0 {
		return c, nil
	}
	l.redact(l.faults)
	slices.SortStableFunc(l.faults, func(a, b Finding) int { return order(a) - order(b) })
	return c, &ConfigError{Findings: l.faults}
}

// order sorts faults by line, those of the environment last.
func order(f Finding) int {
	if f.Source.Variable != "" {
		return 1 << 30
	}
	return f.Source.Line
}

// loader is one Load under way.
type loader struct {
	LoadOptions
	c       *Config
	faults  []Finding
	told    int               // faults before the checks began; those are what blamed looks at from then on
	written map[string]string // values with variables in them, by key, as the file has them
}

// blamed tells whether reading one of the options was a fault, so that no check speaks of its consequences.
func (l *loader) blamed(keys ...string) bool {
	return slices.ContainsFunc(l.faults[:l.told], func(f Finding) bool {
		return slices.ContainsFunc(keys, func(key string) bool {
			name := prefix + key
			return f.Key == name || strings.HasPrefix(f.Key, name+".") || strings.HasPrefix(f.Key, name+"[")
		})
	})
}

func (l *loader) fault(at Source, key, mend, message string, args ...any) {
	l.faults = append(l.faults, Finding{Source: at, Key: key, Message: fmt.Sprintf(message, args...), Mend: mend})
}

func (l *loader) warn(at Source, key, mend, message string, args ...any) {
	l.c.Warnings = append(l.c.Warnings, Finding{Source: at, Key: key, Message: fmt.Sprintf(message, args...), Mend: mend})
}

// redact is the second fence: should a secret have been written where it does not belong, a finding that quotes
// that place does not show it either. Shorter ones than any real secret are left, or they would eat up the words.
func (l *loader) redact(findings []Finding) {
	var pairs []string
	for _, s := range l.c.Secrets() {
		if len(s) >= 8 {
			pairs = append(pairs, s, masked)
		}
	}
	r := strings.NewReplacer(pairs...)
	for i := range findings {
		findings[i].Message, findings[i].Mend, findings[i].Key = r.Replace(findings[i].Message), r.Replace(findings[i].Mend), r.Replace(findings[i].Key)
	}
}

// lookup finds a variable's value: in the environment, else in the file that NAME_FILE names, else among systemd's
// credentials under the name in lower case. Empty counts as unset. at is where the value was found. With the value
// in the environment and another one in NAME_FILE, the environment wins and a warning says so.
func (l *loader) lookup(name string) (value string, at Source, err error) {
	value, at = l.Environ[name], Source{Variable: name}
	file := l.Environ[name+"_FILE"]
	if file != "" {
		inFile, err := l.readSecret(file)
		switch {
		case value != "" && err == nil && inFile != "" && inFile != value:
			l.warnOnce(Finding{Source: at, Message: fmt.Sprintf("differs from what %s_FILE names", name), Mend: name + " wins: unset one of them"})
		case value == "" && err != nil:
			return "", Source{Variable: name + "_FILE"}, err
		case value == "":
			value, at = inFile, Source{Variable: name + "_FILE"}
		}
	}
	if dir := l.Environ["CREDENTIALS_DIRECTORY"]; dir != "" && value == "" {
		path := filepath.Join(dir, strings.ToLower(name))
		credential, err := l.readSecret(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", Source{File: path}, err
		}
		value, at = credential, Source{File: path}
	}
	return value, at, nil
}

func (l *loader) warnOnce(f Finding) {
	if !slices.Contains(l.c.Warnings, f) {
		l.c.Warnings = append(l.c.Warnings, f)
	}
}

// readSecret reads a file that holds one value; the newline that editors leave at its end is no part of it.
func (l *loader) readSecret(path string) (string, error) {
	data, err := l.ReadFile(path)
	if err != nil {
		if l.Lenient {
			return "", nil
		}
		return "", err
	}
	return string(bytes.TrimRight(data, "\r\n")), nil
}
