package agent

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// maxFile bounds the configuration file; a real one has some kilobytes.
const maxFile = 1 << 20

// readFile reads the YAML file into the configuration. A file without content is one with every default.
func (l *loader) readFile() {
	if l.File == "" {
		return
	}
	data, err := l.ReadFile(l.File)
	if err != nil {
		l.fault(Source{File: l.File}, "", "", "%v", bare(err))
		return
	}
	if len(data) > maxFile {
		l.fault(Source{File: l.File}, "", "", "is %d bytes long, more than the %d that a configuration may have", len(data), maxFile)
		return
	}
	docs, err := parseYAML(data)
	if err != nil {
		at := Source{File: l.File}
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			at.Line = line(syntax.GetToken())
			err = errors.New(syntax.GetMessage())
		}
		l.fault(at, "", "", "no valid YAML: %v", err)
		return
	}
	f := &file{loader: l, anchors: map[string]ast.Node{}}
	for i, doc := range docs {
		if i > 0 {
			at := Source{File: l.File}
			switch {
			case doc.Start != nil:
				at.Line = line(doc.Start)
			case doc.Body != nil:
				at.Line = line(doc.Body.GetToken())
			}
			l.fault(at, "", "keep everything in one document", "a second document begins here")
			return
		}
		f.mapping("", doc.Body)
	}
}

// parseYAML guards against a panic of the parser on bytes that nobody thought of: a broken file must not end a
// running agent that is asked to read it again.
func parseYAML(data []byte) (docs []*ast.DocumentNode, err error) {
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	tree, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, err
	}
	for _, doc := range tree.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); !directive {
			docs = append(docs, doc)
		}
	}
	return docs, nil
}

func line(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 0
	}
	return t.Position.Line
}

// file is one file being read into the configuration.
type file struct {
	*loader
	anchors map[string]ast.Node
}

func (f *file) at(n ast.Node) Source { return Source{File: f.File, Line: line(n.GetToken())} }

// plain takes anchors, aliases and tags off a value. A null is nil, as if the key were not there.
func (f *file) plain(key string, n ast.Node) ast.Node {
	for depth := 0; depth < 100; depth++ {
		switch v := n.(type) {
		case nil, *ast.NullNode:
			return nil
		case *ast.AnchorNode:
			f.anchors[v.Name.String()] = v.Value
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		case *ast.AliasNode:
			target, ok := f.anchors[v.Value.String()]
			if !ok {
				f.fault(f.at(v), key, "", "no anchor &%s stands above it", v.Value)
				return nil
			}
			n = target
		default:
			return n
		}
	}
	f.fault(f.at(n), key, "", "an alias that leads to itself")
	return nil
}

// entry is one key of a mapping with its value.
type entry struct {
	name  string
	at    Source
	value ast.Node // nil for a null
}

// entries returns a mapping's keys, each once; what is no mapping is a fault and has none.
func (f *file) entries(key string, n ast.Node) []entry {
	m, ok := n.(ast.MapNode)
	if !ok {
		f.fault(f.at(n), key, "", "must hold keys and values, not %s", kind(n))
		return nil
	}
	var all []entry
	seen := map[string]int{}
	for it := m.MapRange(); it.Next(); {
		var name ast.Node = it.Key()
		if k, ok := name.(*ast.MappingKeyNode); ok {
			name = k.Value
		}
		if it.Key().IsMergeKey() {
			f.fault(f.at(it.Key()), key, "write the keys out", "merge keys (<<) are not taken")
			continue
		}
		e := entry{at: f.at(it.Key())}
		if text, ok := scalarText(f.plain(key, name)); ok {
			e.name = text
		} else {
			f.fault(e.at, key, "", "a key must be a plain word")
			continue
		}
		if first := seen[e.name]; first > 0 {
			f.fault(e.at, join(key, e.name), "keep one of them", "stands in line %d already", first)
			continue
		}
		seen[e.name] = e.at.Line
		e.value = f.plain(join(key, e.name), it.Value())
		all = append(all, e)
	}
	return all
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// mapping reads the part of the file below key ("" for the whole) into the options whose names begin so.
func (f *file) mapping(key string, n ast.Node) {
	n = f.plain(key, n)
	if n == nil {
		return
	}
	for _, e := range f.entries(key, n) {
		path := join(key, e.name)
		o, known := optionNamed(path)
		switch {
		case known && e.value != nil:
			f.value(path, e.value, o.in(f.c))
			f.c.from[o.key] = e.at
		case known:
		case len(optionsBelow(path)) > 0:
			f.mapping(path, e.value)
		default:
			f.unknown(e.at, path, e.name, optionsBelow(key))
		}
	}
}

// unknown is the fault of a key that means nothing, with the nearest that does.
func (f *file) unknown(at Source, path, name string, known []string) {
	best, near := Nearest(name, known)
	mend := fmt.Sprintf("the nearest known key is %q", best)
	if near {
		mend = fmt.Sprintf("did you mean %q?", best)
	}
	f.fault(at, path, mend, "unknown key")
}

// value reads n into what an option's pointer points to, the pointer's type saying what is taken.
func (f *file) value(key string, n ast.Node, into any) {
	switch p := into.(type) {
	case *string:
		if s, ok := f.text(key, n); ok && s != "" {
			*p = s
		}
	case *Secret:
		if s, ok := f.text(key, n); ok && s != "" {
			*p = NewSecret(s)
		}
	case *[]Secret:
		*p = nil
		for _, s := range f.texts(key, n) {
			for _, word := range strings.Fields(s) {
				*p = append(*p, NewSecret(word))
			}
		}
	case *bool:
		if s, ok := f.scalar(key, n); ok && !s.missing() {
			_, isBool := n.(*ast.BoolNode)
			if b, err := strconv.ParseBool(s.text); err == nil && (isBool || s.replaced) {
				*p = b
			} else {
				f.fault(f.at(n), key, "", "%s is neither true nor false", s.written)
			}
		}
	case *time.Duration:
		if s, ok := f.scalar(key, n); ok && !s.missing() {
			if d, err := time.ParseDuration(s.text); err == nil {
				*p = d
			} else {
				f.fault(f.at(n), key, durationMend, "%s is no length of time", s.written)
			}
		}
	case *[]string:
		*p = f.texts(key, n)
	case *map[string]string:
		*p = f.table(key, n)
	case *[]mapping.ServiceRule:
		*p = f.services(key, n)
	}
}

const durationMend = `write it like "30s", "5m" or "72h"`

// scalar is a single value: its text with variables filled in, and how the file has it, for errors to quote.
type scalar struct {
	text, written string
	replaced      bool
}

// missing tells of a variable that was not set, which is a fault already or, leniently, no matter.
func (s scalar) missing() bool { return s.replaced && s.text == "" }

func (f *file) scalar(key string, n ast.Node) (scalar, bool) {
	text, ok := scalarText(n)
	if !ok {
		f.fault(f.at(n), key, "", "must be a single value, not %s", kind(n))
		return scalar{}, false
	}
	s := scalar{written: quote(text)}
	s.text, s.replaced = f.expand(text, f.at(n), key)
	if s.replaced {
		f.written[strings.TrimPrefix(key, prefix)] = text
	}
	return s, true
}

// text reads a value that is text. A number is taken as it is written: names may look like one, and ranks are.
func (f *file) text(key string, n ast.Node) (string, bool) {
	s, ok := f.scalar(key, n)
	if _, isBool := n.(*ast.BoolNode); ok && isBool {
		f.fault(f.at(n), key, "put it in quotes if it is a name", "%s is no text", s.text)
		return "", false
	}
	return strings.TrimSpace(s.text), ok
}

// texts reads a list of texts; a single text is a list of one.
func (f *file) texts(key string, n ast.Node) []string {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		if s, ok := f.text(key, n); ok && s != "" {
			return []string{s}
		}
		return nil
	}
	var all []string
	for i, v := range list.Values {
		item := fmt.Sprintf("%s[%d]", key, i)
		if v = f.plain(item, v); v == nil {
			continue
		}
		if s, ok := f.text(item, v); ok && s != "" {
			all = append(all, s)
		}
	}
	return all
}

// table reads a mapping from the user's names to the account's.
func (f *file) table(key string, n ast.Node) map[string]string {
	all := map[string]string{}
	for _, e := range f.entries(key, n) {
		path := join(key, e.name)
		if e.value == nil {
			f.fault(e.at, path, "give it one or remove the line", "has no value")
			continue
		}
		s, ok := f.text(path, e.value)
		if _, variable := f.written[strings.TrimPrefix(path, prefix)]; ok && s == "" && !variable {
			f.fault(e.at, path, "give it one or remove the line", "has no value")
		}
		if ok && s != "" {
			all[e.name] = s
			f.c.from[strings.TrimPrefix(path, prefix)] = e.at
		}
	}
	return all
}

// services reads service_mappings.
func (f *file) services(key string, n ast.Node) []mapping.ServiceRule {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		f.fault(f.at(n), key, "", "must be a list, not %s", kind(n))
		return nil
	}
	names := []string{"tigerops_service", "incident_io_service", "default_severity"}
	seen := map[string]bool{}
	var all []mapping.ServiceRule
	for i, v := range list.Values {
		item := fmt.Sprintf("%s[%d]", key, i)
		if v = f.plain(item, v); v == nil {
			continue
		}
		rule, at, before := mapping.ServiceRule{}, f.at(v), len(f.faults)
		into := []*string{&rule.TigerOps, &rule.IncidentIO, &rule.DefaultSeverity}
		for j, e := range f.entries(item, v) {
			if j == 0 {
				at = e.at
			}
			k := 0
			for k < len(names) && names[k] != e.name {
				k++
			}
			switch {
			case k == len(names):
				f.unknown(e.at, join(item, e.name), e.name, names)
			case e.value != nil:
				f.value(join(item, e.name), e.value, into[k])
			}
		}
		f.c.from[strings.TrimPrefix(item, prefix)] = at
		switch {
		case len(f.faults) > before || f.Lenient && rule.TigerOps == "":
		case rule.TigerOps == "":
			f.fault(at, item, "name the service as TigerOps does", "tigerops_service is missing")
		case rule.IncidentIO == "" && rule.DefaultSeverity == "":
			f.fault(at, item, "add incident_io_service or default_severity", "says nothing of %q", rule.TigerOps)
		case seen[rule.TigerOps]:
			f.fault(at, item, "keep one of them", "%q has an entry already", rule.TigerOps)
		default:
			all = append(all, rule)
		}
		seen[rule.TigerOps] = true
	}
	return all
}

// scalarText returns a single value's text as it is written, without quotes.
func scalarText(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// kind names what stands where something else was expected.
func kind(n ast.Node) string {
	switch v := n.(type) {
	case ast.MapNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	default:
		if text, ok := scalarText(v); ok {
			return quote(text)
		}
		return "this"
	}
}

// quote shows a value of the file in an error, cut where it is long.
func quote(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return strconv.Quote(text)
}
