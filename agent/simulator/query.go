package simulator

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filters are the deepObject parameters of a query: name[operator]=value and name[id][operator]=value.
type filters struct {
	q    url.Values
	used map[string]bool
	errs []errorItem
}

func newFilters(q url.Values) *filters { return &filters{q: q, used: map[string]bool{}} }

// plain takes a parameter that is no object.
func (f *filters) plain(name string) string {
	f.used[name] = true
	return f.q.Get(name)
}

func (f *filters) enum(name, fallback string, words ...string) string {
	v := f.plain(name)
	if v == "" {
		return fallback
	}
	if !slices.Contains(words, v) {
		f.errs = append(f.errs, fieldErrorItem(name, codeInvalid, "%q is not one of %s", v, strings.Join(words, ", ")))
	}
	return v
}

// one takes name[operator]; operators are those that the parameter accepts. It returns operator to values.
func (f *filters) one(name string, operators ...string) map[string][]string {
	out := map[string][]string{}
	for key, values := range f.q {
		rest, ok := strings.CutPrefix(key, name+"[")
		if !ok {
			continue
		}
		f.used[key] = true
		op, ok := strings.CutSuffix(rest, "]")
		if !ok || !slices.Contains(operators, op) {
			f.errs = append(f.errs, fieldErrorItem(name, codeInvalid, "the operator %q is not one of %s", strings.TrimSuffix(rest, "]"), strings.Join(operators, ", ")))
			continue
		}
		out[op] = values
	}
	return out
}

// nested takes name[id][operator]. It returns id to operator to values.
func (f *filters) nested(name string, operators ...string) map[string]map[string][]string {
	out := map[string]map[string][]string{}
	for key, values := range f.q {
		rest, ok := strings.CutPrefix(key, name+"[")
		if !ok {
			continue
		}
		f.used[key] = true
		id, op, ok := strings.Cut(strings.TrimSuffix(rest, "]"), "][")
		if !ok || !slices.Contains(operators, op) {
			f.errs = append(f.errs, fieldErrorItem(name, codeInvalid, "must be %s[ID][operator] with an operator of %s", name, strings.Join(operators, ", ")))
			continue
		}
		if out[id] == nil {
			out[id] = map[string][]string{}
		}
		out[id][op] = values
	}
	return out
}

// done refuses the query if a parameter was wrong or is none of this call's.
func (f *filters) done() *apiError {
	for key := range f.q {
		if !f.used[key] {
			f.errs = append(f.errs, fieldErrorItem(key, codeUnknown, "%s is not a parameter of this request", key))
		}
	}
	if len(f.errs) > 0 {
		slices.SortStableFunc(f.errs, func(a, b errorItem) int { return strings.Compare(a.Source.Field, b.Source.Field) })
		return invalid(f.errs)
	}
	return nil
}

// inSet tells whether any of the values passes one_of, not_in and is.
func inSet(ops map[string][]string, values ...string) bool {
	for op, want := range ops {
		hit := slices.ContainsFunc(values, func(v string) bool { return slices.Contains(want, v) })
		switch op {
		case "one_of", "is":
			if !hit {
				return false
			}
		case "not_in":
			if hit {
				return false
			}
		case "is_blank":
			if blank := len(values) == 0; blank != (want[0] == "true") {
				return false
			}
		case "starts_with":
			if !slices.ContainsFunc(values, func(v string) bool { return strings.HasPrefix(v, want[0]) }) {
				return false
			}
		}
	}
	return true
}

// span is a filter on a time: gte, lte and date_range (FROM~TO), by timestamp or by day.
type span struct{ from, to time.Time }

func (f *filters) span(name string) span {
	var s span
	for op, v := range f.one(name, "gte", "lte", "date_range") {
		switch op {
		case "gte":
			s.from = f.point(name, v[0], false)
		case "lte":
			s.to = f.point(name, v[0], true)
		case "date_range":
			a, b, ok := strings.Cut(v[0], "~")
			if !ok {
				f.errs = append(f.errs, fieldErrorItem(name, codeInvalid, "a date_range is FROM~TO"))
				continue
			}
			s.from, s.to = f.point(name, a, false), f.point(name, b, true)
		}
	}
	return s
}

// point reads a timestamp or a day; a day as the end of a span is the whole of it.
func (f *filters) point(name, v string, end bool) time.Time {
	if t, err := time.Parse(time.RFC3339, v); err == nil {
		return t
	}
	t, err := time.Parse(time.DateOnly, v)
	if err != nil {
		f.errs = append(f.errs, fieldErrorItem(name, codeInvalid, "%q is neither a date nor an RFC 3339 timestamp", v))
		return t
	}
	if end {
		t = t.AddDate(0, 0, 1).Add(-time.Nanosecond)
	}
	return t
}

func (s span) holds(t time.Time) bool {
	return (s.from.IsZero() || !t.Before(s.from)) && (s.to.IsZero() || !t.After(s.to))
}

// page is page_size and after.
type page struct {
	size  int
	after string
}

func (f *filters) page(most int) page {
	p := page{size: min(25, most), after: f.plain("after")}
	if v := f.plain("page_size"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > most {
			f.errs = append(f.errs, fieldErrorItem("page_size", codeInvalid, "must be a whole number from 1 to %d", most))
			n = most
		}
		p.size = n
	}
	return p
}

// Meta is pagination_meta.
type Meta struct {
	After            string `json:"after,omitempty"`
	PageSize         int    `json:"page_size"`
	TotalRecordCount *int   `json:"total_record_count,omitempty"`
}

// cut gives the page of a list, in the order of the answer, of the elements that pass. The element that after names
// counts by its place even if it does not pass (any more), so that a change between two pages loses nothing.
func cut[T any](list []T, p page, id func(T) string, pass func(T) bool) ([]T, Meta, *apiError) {
	m := Meta{PageSize: p.size}
	from := 0
	if p.after != "" {
		i := slices.IndexFunc(list, func(v T) bool { return id(v) == p.after })
		if i < 0 {
			return nil, m, refuse("after", codeNotFound, "%q is not the id of a record of this list", p.after)
		}
		from = i + 1
	}
	out := []T{}
	for _, v := range list[from:] {
		if !pass(v) {
			continue
		}
		if len(out) == p.size {
			m.After = id(out[len(out)-1])
			break
		}
		out = append(out, v)
	}
	return out, m, nil
}

func all[T any](T) bool { return true }
