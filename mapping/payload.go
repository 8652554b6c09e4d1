package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds on what is taken from strangers. None of them meets an honest event: TigerOps nests five levels deep, and
// its ids have some thirty bytes.
const (
	maxDepth  = 64  // levels of nesting
	maxID     = 512 // bytes of an event's, an incident's id or a type
	maxErrors = 100 // field errors told of one event
)

// object is a JSON object under its path, and what is wrong with it goes to errs.
type object struct {
	path    string
	members Members
	odd     bool // has a key twice, or one with an escape in it: readers may differ on what it holds
	errs    *[]FieldError
}

// at is the path of a member.
func (o object) at(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

func (o object) fault(key, format string, args ...any) {
	o.faultAt(o.at(key), format, args...)
}

func (o object) faultAt(path, format string, args ...any) {
	if len(*o.errs) < maxErrors {
		*o.errs = append(*o.errs, FieldError{Field: path, Message: fmt.Sprintf(format, args...)})
	}
}

// get is a member's value; null counts as absent.
func (o object) get(key string) (json.RawMessage, bool) {
	raw, ok := o.members.Get(key)
	return raw, ok && raw[0] != 'n'
}

// first is the first of the keys that is there with more than an empty string.
func (o object) first(keys ...string) string {
	for _, k := range keys {
		if v, ok := o.get(k); ok && string(v) != `""` {
			return k
		}
	}
	return keys[0]
}

// text is a string; a number is taken as it is written, since measurements come either way. A NUL, which no text for
// people holds and which others choke on, is left out.
func (o object) text(key string) string {
	raw, ok := o.get(key)
	if !ok {
		return ""
	}
	s, ok := asText(raw)
	if !ok {
		o.fault(key, "must be a string, not %s", kindOf(raw))
	}
	return strings.ReplaceAll(s, "\x00", "")
}

// word is a text without the space around it: a name that is looked up, not prose.
func (o object) word(key string) string { return strings.TrimSpace(o.text(key)) }

// id is a string or a whole number, without control characters, and not absurdly long.
func (o object) id(key string) string {
	raw, ok := o.get(key)
	if !ok {
		return ""
	}
	s, ok := asText(raw)
	switch {
	case !ok:
		o.fault(key, "must be a string, not %s", kindOf(raw))
	case raw[0] != '"' && strings.ContainsAny(s, ".eE"):
		o.fault(key, "must be a string or a whole number")
	case len(s) > maxID:
		o.fault(key, "is longer than %d bytes", maxID)
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		o.fault(key, "holds control characters")
	case strings.ContainsRune(s, utf8.RuneError): // half a pair in an escape, which SQLite reads as other bytes
		o.fault(key, "holds a character that is none")
	case s != "" && strings.TrimSpace(s) == "":
		o.fault(key, "is blank")
	default:
		return s
	}
	return ""
}

// moment is a time: RFC 3339, or seconds since 1970 as a number (or milliseconds, which no date before the year 5138
// in seconds is as large as).
func (o object) moment(key string) time.Time {
	raw, ok := o.get(key)
	if !ok {
		return time.Time{}
	}
	s, ok := asText(raw)
	if !ok {
		o.fault(key, "must be an RFC 3339 time, not %s", kindOf(raw))
		return time.Time{}
	}
	if s = strings.TrimSpace(s); s == "" {
		return time.Time{}
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if math.Abs(n) >= 1e11 {
			n /= 1000
		}
		if !(n > 0 && n < 1e11) {
			o.fault(key, "is no time: %s", short(s))
			return time.Time{}
		}
		whole, frac := math.Modf(n)
		return time.Unix(int64(whole), int64(math.Round(frac*1e3))*1e6).UTC()
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		o.fault(key, "must be an RFC 3339 time such as 2026-11-23T02:00:00Z, not %q", short(s))
		return time.Time{}
	}
	return t.UTC()
}

func (o object) momentPtr(key string) *time.Time {
	if t := o.moment(key); !t.IsZero() {
		return &t
	}
	return nil
}

// number is a finite number, also one written as a string.
func (o object) number(key string) *float64 {
	raw, ok := o.get(key)
	if !ok || string(raw) == `""` {
		return nil
	}
	if s, ok := asText(raw); ok {
		n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err == nil && !math.IsInf(n, 0) && !math.IsNaN(n) {
			return &n
		}
	}
	o.fault(key, "must be a number, not %s", short(string(raw)))
	return nil
}

// object is a nested object.
func (o object) object(key string) (object, bool) {
	raw, ok := o.get(key)
	if !ok {
		return object{}, false
	}
	return o.nested(o.at(key), raw)
}

func (o object) nested(path string, raw json.RawMessage) (object, bool) {
	if raw[0] != '{' {
		o.faultAt(path, "must be an object, not %s", kindOf(raw))
		return object{}, false
	}
	n := object{path: path, errs: o.errs}
	n.read(raw)
	return n, true
}

// list calls each for every element of a list, with the element's path.
func (o object) list(key string, each func(path string, raw json.RawMessage)) {
	raw, ok := o.get(key)
	if !ok {
		return
	}
	if raw[0] != '[' {
		o.fault(key, "must be a list, not %s", kindOf(raw))
		return
	}
	i := 0
	walkList(raw, func(v json.RawMessage) {
		each(fmt.Sprintf("%s[%d]", o.at(key), i), v)
		i++
	})
}

// objects calls each for every element of a list of objects.
func (o object) objects(key string, each func(object)) {
	o.list(key, func(path string, raw json.RawMessage) {
		if n, ok := o.nested(path, raw); ok {
			each(n)
		}
	})
}

// texts is a list of strings; empty ones are left out.
func (o object) texts(key string) []string {
	var all []string
	o.list(key, func(path string, raw json.RawMessage) {
		s, ok := asText(raw)
		if !ok {
			o.faultAt(path, "must be a string, not %s", kindOf(raw))
		} else if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	})
	return all
}

// read takes a valid JSON object apart. A key that stands there twice is refused, since readers of the database and
// of the event would each see another value.
func (o *object) read(raw json.RawMessage) {
	var escaped bool
	o.members, escaped = takeApart(raw)
	twice := o.members.twice()
	for _, name := range twice {
		o.fault(short(name), "stands there twice")
	}
	o.odd = escaped || len(twice) > 0
}

// asText is a string's text or a number as it is written.
func asText(raw json.RawMessage) (string, bool) {
	switch c := raw[0]; {
	case c == '"':
		return unquote(raw), true
	case c == '-' || c >= '0' && c <= '9':
		return string(raw), true
	}
	return "", false
}

func kindOf(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}

// short bounds a stranger's text in an error.
func short(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// The walkers below take valid JSON only (json.Valid), which lets them be short and quick: this runs at the door, for
// every event.

// unquote is the text of a JSON string.
func unquote(raw json.RawMessage) string {
	if !hasEscape(raw) {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func hasEscape(text []byte) bool { return bytes.IndexByte(text, '\\') >= 0 }

// Members are the members of a JSON object in their order. There are few, mostly, and fewer are asked for, so that a map
// would cost several times as much to make as it spares.
type Members []member

type member struct {
	name  []byte
	value json.RawMessage
}

// MembersOf takes a JSON object apart that is known to be valid (json.Valid); nil for any other value. They hold on to its
// bytes.
func MembersOf(valid json.RawMessage) Members {
	if valid = bytes.TrimSpace(valid); len(valid) == 0 || valid[0] != '{' {
		return nil
	}
	m, _ := takeApart(valid)
	return m
}

// Get gives the value of a name; of one that stands there twice the last, as encoding/json does.
func (m Members) Get(name string) (json.RawMessage, bool) {
	for i := len(m) - 1; i >= 0; i-- {
		if string(m[i].name) == name {
			return m[i].value, true
		}
	}
	return nil, false
}

// fewMembers are searched one by one; with more a map is quicker.
const fewMembers = 32

// twice gives the names that are there before, once for each further time.
func (m Members) twice() (names []string) {
	if len(m) > fewMembers {
		seen := make(map[string]bool, len(m))
		for _, e := range m {
			if seen[string(e.name)] {
				names = append(names, string(e.name))
			}
			seen[string(e.name)] = true
		}
		return names
	}
	for i, e := range m {
		if _, there := m[:i].Get(string(e.name)); there {
			names = append(names, string(e.name))
		}
	}
	return names
}

// takeApart says whether it met an escape in a name.
func takeApart(raw json.RawMessage) (m Members, escaped bool) {
	m = make(Members, 0, 6)
	escaped = walkObject(raw, func(name []byte, value json.RawMessage) { m = append(m, member{name, value}) })
	return m, escaped
}

// walkObject says whether it met an escape in a name.
func walkObject(raw json.RawMessage, each func(name []byte, value json.RawMessage)) (escaped bool) {
	for i := skipSpace(raw, 1); i < len(raw) && raw[i] != '}'; {
		end := skipValue(raw, i)
		name := raw[i+1 : end-1]
		if hasEscape(name) {
			name, escaped = []byte(unquote(raw[i:end])), true
		}
		i = skipSpace(raw, skipSpace(raw, end)+1) // behind the colon
		end = skipValue(raw, i)
		each(name, raw[i:end:end])
		if i = skipSpace(raw, end); i < len(raw) && raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return escaped
}

func walkList(raw json.RawMessage, each func(value json.RawMessage)) {
	for i := skipSpace(raw, 1); i < len(raw) && raw[i] != ']'; {
		end := skipValue(raw, i)
		each(raw[i:end:end])
		if i = skipSpace(raw, end); i < len(raw) && raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// skipValue is the index behind the value that begins at i.
func skipValue(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '"':
			i = skipText(raw, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				// A closing mark at depth 0 belongs to what surrounds the value.
				return i + 1 + depth
			}
		case ',', ' ', '\n', '\t', '\r', ':':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(raw)
}

// skipText is the index behind the JSON string that begins at i.
func skipText(raw []byte, i int) int {
	i++
	for end := -1; i < len(raw); {
		if end < i {
			n := bytes.IndexByte(raw[i:], '"')
			if n < 0 {
				break
			}
			end = i + n
		}
		n := bytes.IndexByte(raw[i:end], '\\')
		if n < 0 {
			return end + 1
		}
		i += n + 2 // what is escaped may be a quote
	}
	return len(raw)
}

// depthOf is how deep a JSON text nests, whether it is valid or not.
func depthOf(raw []byte) int {
	depth, deepest := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}
