package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
)

// fieldTypes are the types of custom field that a TigerOps field fits into, best first; other fields fit text only
// as well as possible. setup makes fields of the first.
var fieldTypes = map[string][]string{
	"affected_services":      {"multi_select", "single_select", "text"},
	"team":                   {"single_select", "multi_select", "text"},
	"environment":            {"single_select", "multi_select", "text"},
	"slo_status":             {"single_select", "text"},
	"slo_breach":             {"single_select", "text", "numeric"},
	"error_budget_burn_rate": {"numeric", "text"},
	"trace_url":              {"link", "text"},
	"tigerops_url":           {"link", "text"},
	"ai_summary":             {"text"},
	"root_cause":             {"text"},
	"impacted_metrics":       {"text"},
	"deployment_sha":         {"text", "single_select"},
	"deployment":             {"text", "link"},
	"tigerops_id":            {"text"},
}

// readFields reads the custom fields once.
func (k *checker) readFields(ctx context.Context) bool {
	all, r := k.io.CustomFields(ctx)
	if !k.read("custom fields", "viewer", r) {
		return false
	}
	k.dir.Fields = convert(all, func(f incidentio.CustomField) mapping.Field {
		return mapping.Field{ID: f.ID, Name: f.Name, Type: f.Type, CatalogType: f.CatalogTypeID}
	})
	return true
}

// field finds a custom field by id or name.
func (k *checker) field(name string) (*mapping.Field, bool) {
	i := slices.IndexFunc(k.dir.Fields, func(f mapping.Field) bool {
		return name != "" && (f.ID == name || strings.EqualFold(f.Name, name))
	})
	if i < 0 {
		return nil, false
	}
	return &k.dir.Fields[i], true
}

// serviceField is the custom field that holds an incident's service, and the option that names it.
func (k *checker) serviceField() (key, name string) {
	if k.c.Rules.ServiceField != "" {
		return "service_field", k.c.Rules.ServiceField
	}
	return "custom_fields.affected_services", k.c.Rules.CustomFields["affected_services"]
}

// checkFields finds every custom field that is named, whether the value fits into it, and the options of those that
// the configuration names values of.
func (k *checker) checkFields(ctx context.Context) {
	if len(k.c.Rules.CustomFields) == 0 && k.c.Rules.ServiceField == "" || !k.readFields(ctx) {
		return
	}
	names := namesOf(k.dir.Fields, func(f mapping.Field) string { return f.Name })
	for _, name := range sorted(k.c.Rules.CustomFields) {
		key, to := "custom_fields."+name, k.c.Rules.CustomFields[name]
		f, ok := k.field(to)
		if !ok {
			k.say(LevelError, key, "setup creates it; "+has(to, names), "incident.io has no custom field %q", to)
			continue
		}
		if fits := fieldTypes[name]; fits != nil && f.CatalogType == "" && !slices.Contains(fits, f.Type) {
			k.say(LevelWarning, key, "take a field of the type "+strings.Join(fits, " or "), "the field %q is of the type %s, which this hardly fits into", f.Name, f.Type)
			continue
		}
		k.say(LevelOK, key, "", "is %q (%s)", f.Name, f.Type)
	}
	if s := k.c.Rules.ServiceField; s != "" {
		if _, ok := k.field(s); !ok {
			k.say(LevelError, "service_field", has(s, names), "incident.io has no custom field %q", s)
		}
	}
	k.checkServiceOptions(ctx)
	k.checkBreachOptions(ctx)
}

// checkServiceOptions finds every service that service_mappings names among the values of the field that takes it.
func (k *checker) checkServiceOptions(ctx context.Context) {
	key, name := k.serviceField()
	f, ok := k.field(name)
	if !ok || !takesOptions(f) {
		return
	}
	for i, s := range k.c.Rules.Services {
		if s.IncidentIO == "" || k.valueOf(ctx, f, s.IncidentIO) || k.asked != nil {
			continue
		}
		level, mend := LevelError, "setup creates it; "+has(s.IncidentIO, valuesOf(k, f))
		switch {
		case f.CatalogType != "":
			mend = has(s.IncidentIO, valuesOf(k, f))
		case k.c.Rules.CreateOptions:
			level, mend = LevelOK, "it is created when it is first needed"
		}
		k.say(level, fmt.Sprintf("service_mappings[%d].incident_io_service", i), mend, "the field %q (%s) has no value %q", f.Name, key, s.IncidentIO)
	}
}

// breachWords are the options that mean that the SLO is breached, and that it is not; setup makes the first of each.
var breachWords = [][]string{{"Yes", "true", "breached"}, {"No", "false", "ok"}}

// checkBreachOptions looks for a yes and a no in the select that slo_breach goes to.
func (k *checker) checkBreachOptions(ctx context.Context) {
	f, ok := k.field(k.c.Rules.CustomFields["slo_breach"])
	if !ok || !takesOptions(f) || f.CatalogType != "" {
		return
	}
	for _, words := range breachWords {
		if !slices.ContainsFunc(words, func(w string) bool { return k.valueOf(ctx, f, w) }) && k.asked == nil && !k.c.Rules.CreateOptions {
			k.say(LevelWarning, "custom_fields.slo_breach", "setup creates it", "the field %q has no option that means %s", f.Name, words[0])
		}
	}
}

func takesOptions(f *mapping.Field) bool {
	return f.CatalogType != "" || strings.HasSuffix(f.Type, "_select")
}

// valueOf tells whether a field has a value of that name, reading the field's values at the first call.
func (k *checker) valueOf(ctx context.Context, f *mapping.Field, name string) bool {
	if f == nil || !takesOptions(f) || !k.readValues(ctx, f) {
		return false
	}
	if f.CatalogType == "" {
		return slices.ContainsFunc(f.Options, func(o mapping.Option) bool { return o.ID == name || strings.EqualFold(o.Value, name) })
	}
	return slices.ContainsFunc(k.dir.Entries[f.CatalogType], func(e mapping.Entry) bool {
		return e.ID == name || e.ExternalID == name || strings.EqualFold(e.Name, name) || slices.ContainsFunc(e.Aliases, func(a string) bool { return strings.EqualFold(a, name) })
	})
}

func (k *checker) readValues(ctx context.Context, f *mapping.Field) bool {
	switch {
	case f.CatalogType == "" && f.Options == nil:
		all, r := k.io.FieldOptions(ctx, f.ID)
		if !k.read("options of the custom field "+f.Name, "viewer", r) {
			return false
		}
		f.Options = convert(all, func(o incidentio.Option) mapping.Option { return mapping.Option{ID: o.ID, Value: o.Value} })
	case f.CatalogType != "" && k.dir.Entries[f.CatalogType] == nil:
		all, r := k.io.CatalogEntries(ctx, f.CatalogType, "")
		if !k.read("catalog entries of the custom field "+f.Name, "catalog_viewer", r) {
			return false
		}
		if k.dir.Entries == nil {
			k.dir.Entries = map[string][]mapping.Entry{}
		}
		k.dir.Entries[f.CatalogType] = convert(all, func(e incidentio.CatalogEntry) mapping.Entry {
			return mapping.Entry{ID: e.ID, Name: e.Name, ExternalID: e.ExternalID, Aliases: e.Aliases}
		})
	}
	return true
}

// valuesOf names a field's values, once they were read.
func valuesOf(k *checker, f *mapping.Field) []string {
	if f.CatalogType != "" {
		return namesOf(k.dir.Entries[f.CatalogType], func(e mapping.Entry) string { return e.Name })
	}
	return namesOf(f.Options, func(o mapping.Option) string { return o.Value })
}
