package agent

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// Setting is one option in force, for people: secrets are masked.
type Setting struct {
	Name   string `json:"name"`   // key in the file, or the variable's name where the file has no such key
	Value  string `json:"value"`  // as the file or the environment would have it; empty: nothing
	Source string `json:"source"` // FILE:LINE, or the variable, or "default"
}

// Settings returns every option with its value and where that was set, those of the file first.
func (c Config) Settings() []Setting {
	var all []Setting
	inFile := map[any]bool{}
	for _, o := range options {
		p := o.in(&c)
		inFile[p] = true
		all = append(all, Setting{Name: o.key, Value: shown(p), Source: c.sourceOf(o.key)})
	}
	for _, v := range variables(&c) {
		if inFile[v.in] {
			continue
		}
		value := shown(v.in)
		if v.in == &c.ApplyURL {
			value = withoutQuery(value)
		}
		all = append(all, Setting{Name: v.name, Value: value, Source: c.sourceOf(v.name)})
	}
	return all
}

// Where tells where an option of the file was set, by its key below integrations.incident_io, for findings made
// after loading: the place and the full key; for an option at its default the file as a whole, or nothing.
func (c Config) Where(key string) (Source, string) {
	l := loader{c: &c}
	return l.at(key)
}

func (c Config) sourceOf(key string) string {
	if s, ok := c.from[key]; ok {
		return s.String()
	}
	return "default"
}

// shown writes an option's value on one line.
func shown(p any) string {
	switch v := p.(type) {
	case *Secret:
		return v.String()
	case *[]Secret:
		return strings.TrimSuffix(strings.Repeat(masked+" ", len(*v)), " ")
	case *time.Duration:
		return duration(*v)
	case *slog.Level:
		return strings.ToLower(v.String())
	case *[]string:
		return "[" + strings.Join(*v, ", ") + "]"
	case *map[string]string:
		var parts []string
		for _, k := range sorted(*v) {
			parts = append(parts, k+": "+(*v)[k])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case *[]mapping.ServiceRule:
		var parts []string
		for _, r := range *v {
			text := r.TigerOps
			if r.IncidentIO != "" {
				text += " -> " + r.IncidentIO
			}
			if r.DefaultSeverity != "" {
				text += " (" + r.DefaultSeverity + ")"
			}
			parts = append(parts, text)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(reflect.ValueOf(p).Elem().Interface())
}

// withoutQuery masks what follows the path of an address, which may be a token.
func withoutQuery(address string) string {
	if path, _, ok := strings.Cut(address, "?"); ok {
		return path + "?" + masked
	}
	return address
}

// duration writes a length of time without the zero parts: 5m, not 5m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
