package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Custom field types of incident.io. A select with a catalog type holds catalog entries in the place of options.
const (
	singleSelect = "single_select"
	multiSelect  = "multi_select"
	textField    = "text"
	linkField    = "link"
	numericField = "numeric"
)

// fieldMapping is one entry of custom_fields that leads to a field of the account.
type fieldMapping struct {
	key   string // TigerOps' field or path
	field Field
}

// findField finds a custom field by id, else by name whatever the case.
func findField(name string, d *Directory) (Field, bool) {
	name = strings.TrimSpace(name)
	if d == nil || name == "" {
		return Field{}, false
	}
	for _, fits := range []func(Field) bool{
		func(f Field) bool { return f.ID == name },
		func(f Field) bool { return strings.EqualFold(strings.TrimSpace(f.Name), name) },
	} {
		if i := slices.IndexFunc(d.Fields, fits); i >= 0 {
			return d.Fields[i], true
		}
	}
	return Field{}, false
}

// fieldKeys is the keys of custom_fields in a fixed order: the contract's, then paths.
func fieldKeys(r *Rules) []string {
	var keys []string
	for k := range r.CustomFields {
		keys = append(keys, k)
	}
	place := func(k string) int {
		if i := slices.Index(fieldNames, k); i >= 0 {
			return i
		}
		return len(fieldNames)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b)) })
	return keys
}

// fieldMappings is custom_fields as the account has them, the first of two for one field, and the keys whose field the
// account lacks.
func fieldMappings(r *Rules, d *Directory) (found []fieldMapping, lacking []string) {
	seen := make(map[string]bool)
	for _, k := range fieldKeys(r) {
		f, ok := findField(r.CustomFields[k], d)
		switch {
		case !ok:
			lacking = append(lacking, k)
		case !seen[f.ID]:
			seen[f.ID] = true
			found = append(found, fieldMapping{k, f})
		}
	}
	return found, lacking
}

// made is a value in a field's own type.
type made struct {
	values  []fieldValue
	ids     []string // the same as Remote.Fields shows them
	names   []string // the same for people
	missing []int    // places in value.items that have no option
	warning string
}

func (m *made) put(v fieldValue, id, name string) {
	if slices.Contains(m.ids, id) {
		return
	}
	m.values, m.ids, m.names = append(m.values, v), append(m.ids, id), append(m.names, name)
}

// makeValue writes a value in the field's own type. created holds the ids of options made for this event, by place.
func makeValue(f Field, v value, d *Directory, created map[int]string) made {
	var m made
	switch {
	case f.CatalogType != "":
		makeEntries(&m, f, v, d)
	case f.Type == singleSelect || f.Type == multiSelect:
		makeOptions(&m, f, v, created)
	case f.Type == numericField:
		text := cmp.Or(v.num, v.text)
		if n, ok := numeric(text); ok {
			m.put(fieldValue{Numeric: n}, n, n)
		} else {
			m.warning = fmt.Sprintf("%s is no number", quoted(text))
		}
	case f.Type == linkField:
		for _, candidate := range append([]string{v.link, v.text}, v.items...) {
			if u := webURL(candidate); u != "" && len(m.values) == 0 {
				m.put(fieldValue{Link: u}, u, u)
			}
		}
		if len(m.values) == 0 {
			m.warning = fmt.Sprintf("%s is no web address", quoted(cmp.Or(v.link, v.text)))
		} else if v.link == "" && len(v.items) > 1 {
			m.warning = fmt.Sprintf("it holds one link of the %d", len(v.items))
		}
	case f.Type == textField:
		text := cut(prose(v.text), maxDetail)
		m.put(fieldValue{Text: text}, text, cut(flat(text), 80))
	default:
		m.warning = "its type " + quoted(f.Type) + " is not known here"
	}
	return m
}

func makeOptions(m *made, f Field, v value, created map[int]string) {
	if f.Type == singleSelect && len(v.items) > 1 {
		m.warning = fmt.Sprintf("it holds one value, the first of the %d", len(v.items))
		v.items = v.items[:1]
	}
	for n, item := range v.items {
		if o, ok := findOption(f, item, v.truth); ok {
			m.put(fieldValue{Option: o.ID}, o.ID, o.Value)
		} else if id := created[n]; id != "" {
			m.put(fieldValue{Option: id}, id, item)
		} else {
			m.missing = append(m.missing, n)
		}
	}
}

// findOption finds an option by value, whatever its case, else one that means the same yes or no.
func findOption(f Field, item string, truth *bool) (Option, bool) {
	for _, fits := range []func(Option) bool{
		func(o Option) bool { return o.Value == item },
		func(o Option) bool { return strings.EqualFold(flat(o.Value), item) },
		func(o Option) bool { return o.ID == item },
		func(o Option) bool { return truth != nil && meansTruth(o.Value, *truth) },
	} {
		if i := slices.IndexFunc(f.Options, fits); i >= 0 {
			return f.Options[i], true
		}
	}
	return Option{}, false
}

func makeEntries(m *made, f Field, v value, d *Directory) {
	items := v.items
	if f.Type != multiSelect && len(items) > 1 {
		m.warning = fmt.Sprintf("it holds one value, the first of the %d", len(items))
		items = items[:1]
	}
	var unknown []string
	for _, item := range items {
		if e, ok := findEntry(d.Entries[f.CatalogType], item, v.truth); ok {
			m.put(fieldValue{Catalog: e.ID}, e.ID, e.Name)
		} else {
			unknown = append(unknown, quoted(item))
		}
	}
	if len(unknown) > 0 {
		m.warning = "the catalog has no entry " + listed(bounded(unknown, 5))
	}
}

// findEntry finds a catalog entry by name, external id, alias or id.
func findEntry(entries []Entry, item string, truth *bool) (Entry, bool) {
	for _, fits := range []func(Entry) bool{
		func(e Entry) bool { return strings.EqualFold(flat(e.Name), item) },
		func(e Entry) bool { return e.ExternalID != "" && strings.EqualFold(e.ExternalID, item) },
		func(e Entry) bool {
			return slices.ContainsFunc(e.Aliases, func(a string) bool { return strings.EqualFold(flat(a), item) })
		},
		func(e Entry) bool { return e.ID == item },
		func(e Entry) bool { return truth != nil && meansTruth(e.Name, *truth) },
	} {
		if i := slices.IndexFunc(entries, fits); i >= 0 {
			return entries[i], true
		}
	}
	return Entry{}, false
}

// bounded is the first n of a list for people, and how many more there are.
func bounded(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("%d more", len(list)-n))
}

// fieldChange is what is to be sent of the custom fields.
type fieldChange struct {
	entries []fieldEntry
	ids     map[string][]string
	pushed  map[string]string // what was told, whether it is sent or there already
	held    map[string]string // what was told, and is there already or stays as people have it
	explain []string
}

// fieldChanges compares TigerOps' fields with what it told before and with what the incident has. Options that are
// missing are planned as steps of their own; the plan after them finds their ids. onlyEmpty passes over fields that
// hold something: an incident that people made keeps what they wrote.
func (p *planner) fieldChanges(onlyEmpty bool) fieldChange {
	c := fieldChange{ids: map[string][]string{}, pushed: map[string]string{}, held: map[string]string{}}
	found, lacking := fieldMappings(p.rules, p.dir)
	for _, k := range lacking {
		if v := valueOf(k, p.st, p.rules); v.told() && p.isNews(k, v) {
			p.warn(fmt.Sprintf("%s left out: incident.io has no custom field %s", k, quoted(p.rules.CustomFields[k])))
		}
	}
	option := 0 // numbers the steps by what TigerOps tells, not by what the account has, so that they never change
	for _, fm := range found {
		v := valueOf(fm.key, p.st, p.rules)
		if !v.told() {
			continue
		}
		first := option + 1
		if isOptions(fm.field) {
			option += len(v.items)
		}
		p.fieldChange(&c, fm, v, first, onlyEmpty)
	}
	return c
}

func isOptions(f Field) bool {
	return f.CatalogType == "" && (f.Type == singleSelect || f.Type == multiSelect)
}

func (p *planner) fieldChange(c *fieldChange, fm fieldMapping, v value, firstOption int, onlyEmpty bool) {
	f := fm.field
	created := make(map[int]string)
	if isOptions(f) {
		for n := range v.items {
			if e := p.in.Ended[optionStep(firstOption+n)]; e.State == EndedDone {
				created[n] = e.RemoteID
			}
		}
	}
	m := makeValue(f, v, p.dir, created)
	hash := v.hash(m.ids)
	var now []string
	was := ""
	if p.tie != nil {
		now, was = p.tie.Agreed.Fields[f.ID], p.tie.Pushed.Fields[f.ID]
	}
	// A hash over what was made of the value, too: once an option appears or a mapping is mended, it is sent.
	if was == hash {
		return
	}
	if p.tie != nil && p.overruled("field:"+f.ID) || onlyEmpty && len(now) > 0 {
		c.held[f.ID] = hash
		return
	}
	if len(m.missing) > 0 {
		p.missingOptions(fm, v, m.missing, firstOption)
	}
	if m.warning != "" && p.isNews(fm.key, v) {
		what := "cut short"
		if len(m.values) == 0 {
			what = "left out"
		}
		p.warn(fmt.Sprintf("%s %s in the custom field %s: %s", fm.key, what, quoted(f.Name), m.warning))
	}
	switch {
	case len(m.values) == 0:
	case sameValues(f, now, m.ids):
		c.held[f.ID] = hash
	default:
		c.entries = append(c.entries, fieldEntry{Field: f.ID, Values: m.values})
		c.ids[f.ID], c.pushed[f.ID] = m.ids, hash
		for n, name := range m.names {
			text := fmt.Sprintf("custom field %s (%s) = %s", f.Name, f.ID, cut(name, 80))
			if m.ids[n] != name && f.Type != textField {
				text += " (" + m.ids[n] + ")"
			}
			c.explain = append(c.explain, text)
		}
	}
}

func optionStep(n int) string { return fmt.Sprintf("option.create.%d", n) }

// missingOptions plans the making of options, or says that their values are left out.
func (p *planner) missingOptions(fm fieldMapping, v value, missing []int, firstOption int) {
	var out []string
	for _, n := range missing {
		name := optionStep(firstOption + n)
		text := cut(v.items[n], maxOption)
		if !p.rules.CreateOptions || p.did(name) {
			out = append(out, quoted(text))
			continue
		}
		p.add(Request{
			Name: name, Call: CreateOption, Path: pathOptions, Body: encoded(optionBody{Field: fm.field.ID, Value: text}), Mark: text,
			Explain: []string{fmt.Sprintf("option %s of the custom field %s (%s)", text, fm.field.Name, fm.field.ID)},
		})
	}
	if len(out) > 0 && p.isNews(fm.key, v) {
		p.warn(fmt.Sprintf("%s left out: the custom field %s has no option %s", fm.key, quoted(fm.field.Name), listed(bounded(out, 5))))
	}
}

// isNews says whether this event tells a field anew, so that a warning about it is due.
func (p *planner) isNews(key string, v value) bool {
	return p.introduced || valueOf(key, p.in.Before, p.rules).hash(nil) != v.hash(nil)
}

// sameValues says whether a field holds these values, in any order.
func sameValues(f Field, a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	if f.Type == numericField {
		return len(a) == 1 && (a[0] == b[0] || sameNumber(a[0], b[0]))
	}
	if f.Type == textField {
		return len(a) == 1 && strings.TrimSpace(a[0]) == strings.TrimSpace(b[0])
	}
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// AlikeFilter says by which custom field value and severity an open incident with the same service is found. It is not
// ok where there is no such field, or the service or the severity has no counterpart.
func AlikeFilter(in Input) (fieldID, value, severityID string, ok bool) {
	r, d := in.Rules, in.Directory
	if r == nil || d == nil {
		return "", "", "", false
	}
	f, found := findField(cmp.Or(r.ServiceField, r.CustomFields["affected_services"]), d)
	service := ServiceOf(in.State, r)
	severity, _ := SeverityFor(in.State, r, d)
	if !found || service == "" || severity == nil {
		return "", "", "", false
	}
	m := makeValue(f, words(service), d, nil)
	if len(m.ids) == 0 {
		return "", "", "", false
	}
	return f.ID, m.ids[0], severity.ID, true
}
