package mapping

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// value is what TigerOps tells for a custom field, in the forms that the field's type may ask for. The zero value is
// "not told".
type value struct {
	items []string // one by one: for selects and catalogs
	text  string   // for text fields
	link  string   // for link fields, else text is tried
	num   string   // for numeric fields, else text is tried
	truth *bool    // yes or no, in whatever words the field has for it
}

func (v value) told() bool { return len(v.items) > 0 || v.text != "" || v.link != "" || v.truth != nil }

// hash stands for the value and for what was made of it, in Pushed.Fields.
func (v value) hash(made []string) string {
	truth := ""
	if v.truth != nil {
		truth = strconv.FormatBool(*v.truth)
	}
	parts := append([]string{"field", v.text, v.link, v.num, truth, strconv.Itoa(len(v.items))}, v.items...)
	return digest(append(parts, made...)...)[:32]
}

// fieldNames are TigerOps' fields of contract section 2 (custom_fields), in its order.
var fieldNames = []string{
	"affected_services", "team", "environment", "slo_status", "slo_breach", "error_budget_burn_rate", "ai_summary",
	"root_cause", "impacted_metrics", "deployment_sha", "deployment", "trace_url", "tigerops_url", "tigerops_id",
}

// FieldNames lists the TigerOps fields that custom_fields may name, beside $.a.b paths.
func FieldNames() []string { return slices.Clone(fieldNames) }

// maxItems bounds how many values one field is given, and so how many options an event may ask for.
const maxItems = 50

// words is a value of names.
func words(names ...string) value {
	var v value
	for i, n := range names {
		if len(v.items) == maxItems {
			v.text = fmt.Sprintf("%s and %d more", strings.Join(v.items, ", "), len(names)-i)
			return v
		}
		if n = flat(n); n != "" && !slices.Contains(v.items, n) {
			v.items = append(v.items, n)
		}
	}
	v.text = strings.Join(v.items, ", ")
	return v
}

// valueOf is what TigerOps tells for one of its fields or a path.
func valueOf(key string, st State, r *Rules) value {
	i := st.Incident
	switch key {
	case "affected_services":
		names := i.AffectedServices
		if len(names) == 0 {
			names = []string{i.Service}
		}
		return mappedWords("service", names, r)
	case "team":
		return mappedWords("team", []string{i.Team}, r)
	case "environment":
		return words(i.Environment)
	case "slo_status":
		if i.SLO != nil {
			return words(i.SLO.Status)
		}
	case "slo_breach":
		return breach(i.SLO)
	case "error_budget_burn_rate":
		if i.SLO != nil && i.SLO.BurnRate != nil {
			return words(number(*i.SLO.BurnRate))
		}
	case "ai_summary":
		return long(i.AISummary)
	case "root_cause":
		return long(i.RootCause)
	case "impacted_metrics":
		return metrics(i.ImpactedMetrics)
	case "deployment_sha":
		if i.Deployment != nil {
			return words(i.Deployment.SHA)
		}
	case "deployment":
		if d := i.Deployment; d != nil {
			v := words(cmp.Or(d.SHA, d.URL))
			v.link, v.text = d.URL, plainDeployment(d)
			return v
		}
	case "trace_url":
		return words(i.TraceURL)
	case "tigerops_url":
		return words(i.URL)
	case "tigerops_id":
		v := words(i.ID)
		v.link = i.URL
		return v
	default:
		if path, ok := strings.CutPrefix(key, "$"); ok {
			return extraValue(path, st, r)
		}
	}
	return value{}
}

func mappedWords(kind string, names []string, r *Rules) value {
	mapped := make([]string, len(names))
	for i, n := range names {
		mapped[i] = mapName(kind, n, r)
	}
	return words(mapped...)
}

// mapName applies the mapping that a kind of name has.
func mapName(kind, name string, r *Rules) string {
	switch kind {
	case "service":
		return mappedService(name, r)
	case "team":
		if to, ok := lookup(r.Teams, name); ok && to != "" {
			return to
		}
	}
	return name
}

// long is a value of prose.
func long(text string) value {
	text = prose(text)
	if text == "" {
		return value{}
	}
	return value{items: []string{flat(text)}, text: text}
}

// metrics names the metrics for a select, and tells them whole for a text.
func metrics(list []Metric) value {
	var names, lines []string
	for n, m := range list {
		if n == maxMetrics {
			lines = append(lines, fmt.Sprintf("and %d more", len(list)-n))
			break
		}
		text := flat(m.Name)
		if m.Value != "" {
			text += ": " + flat(m.Value)
		}
		if m.Baseline != "" {
			text += " (baseline " + flat(m.Baseline) + ")"
		}
		names, lines = append(names, m.Name), append(lines, text)
	}
	v := words(names...)
	v.text = strings.Join(lines, "; ")
	if len(list) == 1 {
		v.num = flat(list[0].Value)
	}
	return v
}

func plainDeployment(d *Deployment) string {
	text := flat(d.SHA)
	if d.Service != "" {
		text = flat(text + " of " + d.Service)
	}
	if d.DeployedAt != nil {
		text = flat(text + " at " + when(*d.DeployedAt))
	}
	return cmp.Or(text, flat(d.URL))
}

// breachWords are the words for an SLO that is broken; any other word means that it is not.
var breachWords = []string{"breached", "breach", "breaching", "violated", "violation", "violating", "failed", "failing", "broken", "missed", "exhausted", "burned", "true", "yes"}

func breach(s *SLO) value {
	if s == nil || letters(s.Status) == "" {
		return value{}
	}
	yes := slices.Contains(breachWords, letters(s.Status))
	v := value{truth: &yes, num: "0", text: "No"}
	if yes {
		v.num, v.text = "1", "Yes"
	}
	v.items = []string{v.text}
	return v
}

var (
	yesWords = []string{"yes", "true", "breached", "breach", "1", "y", "on"}
	noWords  = []string{"no", "false", "ok", "notbreached", "nobreach", "0", "n", "off", "met", "healthy"}
)

// meansTruth says whether a word of the account's means yes (or no).
func meansTruth(word string, yes bool) bool {
	if yes {
		return slices.Contains(yesWords, letters(word))
	}
	return slices.Contains(noWords, letters(word))
}

// extraValue follows a path such as .incident.region or .checks[0].name through all that TigerOps ever told. Services
// and teams found there are mapped as elsewhere.
func extraValue(path string, st State, r *Rules) value {
	keys := splitPath(path)
	if len(keys) == 0 {
		return value{}
	}
	var at any = st.Extra.object()
	for _, k := range keys {
		switch v := at.(type) {
		case map[string]any:
			at = decoded(v[k])
		case []any:
			n, err := strconv.Atoi(k)
			if err != nil || n < 0 || n >= len(v) {
				return value{}
			}
			at = v[n]
		default:
			return value{}
		}
	}
	kind := ""
	switch keys[len(keys)-1] {
	case "service", "service_name", "affected_services":
		kind = "service"
	case "team":
		kind = "team"
	}
	switch v := at.(type) {
	case nil:
		return value{}
	case bool:
		w := words("No")
		if v {
			w = words("Yes")
		}
		w.truth, w.num = &v, "0"
		if v {
			w.num = "1"
		}
		return w
	case []any:
		var names []string
		for _, e := range v {
			if s, ok := scalar(e); ok {
				names = append(names, mapName(kind, s, r))
			}
		}
		return words(names...)
	case map[string]any:
		return long(string(encoded(decoded(encoded(v))))) // its texts without the escapes that they came with
	default:
		s, _ := scalar(v)
		if kind != "" {
			return words(mapName(kind, s, r))
		}
		return long(s)
	}
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// splitPath takes .a.b[0] apart.
func splitPath(path string) []string {
	var keys []string
	for _, k := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		keys = append(keys, strings.Trim(k, `'"`))
	}
	return keys
}

var numeral = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$`)

// numeric is a number as incident.io takes it: digits and a point. A unit or a thousands separator makes it none.
func numeric(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) > 64 || !numeral.MatchString(s) {
		return "", false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", false
	}
	if !strings.ContainsAny(s, "eE+") && s[0] != '.' && !strings.HasSuffix(s, ".") {
		return s, true // as it is written, to the last digit
	}
	return number(f), true
}

// sameNumber says whether two numbers are the same however they are written.
func sameNumber(a, b string) bool {
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err == nil && err2 == nil && x == y
}
