package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// variable is an environment variable that the agent reads, and the member of Config that it goes to.
type variable struct {
	name   string
	member string
	in     any // pointer to the member
	secret bool
}

// Variables returns the names of the environment variables that the agent reads, for the documentation's tests.
func Variables() []string {
	var names []string
	for _, v := range variables(new(Config)) {
		names = append(names, v.name)
	}
	return names
}

// variables returns every variable, in the order of Config's members.
func variables(c *Config) []variable { return variablesOf(reflect.ValueOf(c).Elem()) }

func variablesOf(v reflect.Value) []variable {
	var all []variable
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, tagged := f.Tag.Lookup("env")
		switch {
		case !f.IsExported() || name == "-":
		case tagged:
			p := v.Field(i).Addr().Interface()
			_, one := p.(*Secret)
			_, several := p.(*[]Secret)
			all = append(all, variable{name: name, member: f.Name, in: p, secret: one || several})
		case f.Type.Kind() == reflect.Struct:
			all = append(all, variablesOf(v.Field(i))...)
		}
	}
	return all
}

// readEnviron lets the environment win over the file.
func (l *loader) readEnviron() {
	set := map[string]string{}
	all := variables(l.c)
	var names []string
	for _, v := range all {
		names = append(names, v.name)
		value, at := l.Environ[v.name], Source{Variable: v.name}
		if v.secret {
			var err error
			if value, at, err = l.lookup(v.name); err != nil {
				l.fault(at, "", "", "%v", err)
				continue
			}
			names = append(names, v.name+"_FILE")
			value = strings.Join(strings.Fields(value), " ")
		}
		if value == "" {
			continue
		}
		set[v.name] = value
		key := v.name
		for _, o := range options {
			if o.in(l.c) == v.in {
				key = o.key
			}
		}
		l.c.from[key] = at
	}
	l.parse(all, set)
	l.misspelt(names)
}

// parse reads the values into the configuration, and tells each that is of the wrong kind.
func (l *loader) parse(all []variable, set map[string]string) {
	err := env.ParseWithOptions(l.c, env.Options{Environment: set})
	if err == nil {
		return
	}
	var several env.AggregateError
	if !errors.As(err, &several) {
		several.Errors = []error{err}
	}
	for _, err := range several.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			l.fault(Source{}, "", "", "environment: %v", err)
			continue
		}
		for _, v := range all {
			if v.member != parse.Name {
				continue
			}
			at, value := Source{Variable: v.name}, quote(set[v.name])
			switch v.in.(type) {
			case *int:
				l.fault(at, "", "", "%s is no whole number", value)
			case *bool:
				l.fault(at, "", "", "%s is neither true nor false", value)
			case *time.Duration:
				l.fault(at, "", durationMend, "%s is no length of time", value)
			case *slog.Level:
				levels := []string{"debug", "info", "warn", "error"}
				l.fault(at, "", meant(set[v.name], levels), "%s is none of %s", value, strings.Join(levels, ", "))
			default:
				l.fault(at, "", "", "%s: %v", value, parse.Err)
			}
		}
	}
}

// misspelt warns of variables that look like one of the agent's own but are read by nobody. Other programs have
// variables that begin so too, so only near ones are told.
func (l *loader) misspelt(names []string) {
	for _, name := range sorted(l.Environ) {
		if l.Environ[name] == "" || slices.Contains(names, name) || !strings.HasPrefix(name, "AGENT_") && !strings.HasPrefix(name, "INCIDENT_IO_") && !strings.HasPrefix(name, "TIGEROPS_") {
			continue
		}
		best, _ := Nearest(name, names)
		if distance(name, best) <= 2 {
			l.warnOnce(Finding{Source: Source{Variable: name}, Message: "is read by nobody", Mend: fmt.Sprintf("did you mean %s?", best)})
		}
	}
}
