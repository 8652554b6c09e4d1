package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// decode reads a request body into a struct and refuses what the API's description does not allow: an unknown field, a
// missing one, a wrong type, a word outside an enum, a text that is too long. Every refusal names the field by its path
// (custom_field_entries.0.values). Fields are described by the struct's tags: `json` gives the name, `rule` any of
// required (there, and not an empty text), present (there), filled (not an empty text), enum=a|b, max=N (runes). A null
// counts as not there.
func decode(body []byte, into any) *apiError {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return badRequest("the request body is not JSON: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return badRequest("the request body holds more than one JSON value")
	}
	if _, ok := v.(map[string]any); !ok {
		return badRequest("the request body is not a JSON object")
	}
	var ck checker
	ck.value(reflect.TypeOf(into).Elem(), v, "")
	if len(ck.items) > 0 {
		sort.SliceStable(ck.items, func(i, j int) bool { return ck.items[i].Source.Field < ck.items[j].Source.Field })
		return invalid(ck.items)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return badRequest("the request body could not be read: %v", err)
	}
	return nil
}

type checker struct{ items []errorItem }

func (c *checker) blame(path, code, format string, args ...any) {
	c.items = append(c.items, fieldErrorItem(path, code, format, args...))
}

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

func (c *checker) value(t reflect.Type, v any, path string) {
	if t.Kind() == reflect.Pointer {
		if v == nil {
			return
		}
		t = t.Elem()
	}
	switch {
	case t == rawType || t.Kind() == reflect.Interface:
	case t == timeType:
		s, ok := v.(string)
		if !ok {
			c.blame(path, codeInvalid, "must be an RFC 3339 timestamp")
		} else if _, err := time.Parse(time.RFC3339, s); err != nil {
			c.blame(path, codeInvalid, "%q is not an RFC 3339 timestamp", s)
		}
	case t.Kind() == reflect.Struct:
		if m, ok := v.(map[string]any); ok {
			c.object(t, m, path)
		} else {
			c.blame(path, codeInvalid, "must be an object")
		}
	case t.Kind() == reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			c.blame(path, codeInvalid, "must be an array")
			return
		}
		for i, e := range list {
			if e == nil {
				c.blame(join(path, strconv.Itoa(i)), codeInvalid, "must not be null")
				continue
			}
			c.value(t.Elem(), e, join(path, strconv.Itoa(i)))
		}
	case t.Kind() == reflect.Map:
		m, ok := v.(map[string]any)
		if !ok {
			c.blame(path, codeInvalid, "must be an object")
			return
		}
		for k, e := range m {
			c.value(t.Elem(), e, join(path, k))
		}
	default:
		c.scalar(t, v, path)
	}
}

func (c *checker) scalar(t reflect.Type, v any, path string) {
	ok, want := false, t.Kind().String()
	switch t.Kind() {
	case reflect.String:
		_, ok = v.(string)
	case reflect.Bool:
		_, ok = v.(bool)
		want = "boolean"
	case reflect.Int32, reflect.Int64, reflect.Int:
		if n, is := v.(json.Number); is {
			_, err := strconv.ParseInt(n.String(), 10, t.Bits())
			ok = err == nil
		}
		want = "integer"
	}
	if !ok {
		c.blame(path, codeInvalid, "must be of type %s", want)
	}
}

func (c *checker) object(t reflect.Type, m map[string]any, path string) {
	known := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name := strings.Split(f.Tag.Get("json"), ",")[0]
		known[name] = true
		at := join(path, name)
		v, there := m[name]
		rules := strings.Split(f.Tag.Get("rule"), ",")
		if !there || v == nil {
			if slices.Contains(rules, "required") || slices.Contains(rules, "present") {
				c.blame(at, codeRequired, "%s is required", name)
			}
			continue
		}
		before := len(c.items)
		c.value(f.Type, v, at)
		if s, ok := v.(string); ok && len(c.items) == before {
			c.text(s, rules, name, at)
		}
	}
	for k := range m {
		if !known[k] {
			c.blame(join(path, k), codeUnknown, "%s is not a field of this request", k)
		}
	}
}

func (c *checker) text(s string, rules []string, name, at string) {
	for _, r := range rules {
		kind, arg, _ := strings.Cut(r, "=")
		switch kind {
		case "required", "filled":
			if strings.TrimSpace(s) == "" {
				c.blame(at, codeRequired, "%s is required", name)
			}
		case "enum":
			if words := strings.Split(arg, "|"); !slices.Contains(words, s) {
				c.blame(at, codeInvalid, "%q is not one of %s", s, strings.Join(words, ", "))
			}
		case "max":
			n, err := strconv.Atoi(arg)
			if err != nil {
				panic(fmt.Sprintf("simulator: rule %q of %s", r, name))
			}
			if utf8.RuneCountInString(s) > n {
				c.blame(at, "too_long", "must be at most %d characters", n)
			}
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
