package agent

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
)

// States of a SetupItem.
const (
	SetupThere   = "there"
	SetupMissing = "missing"
	SetupCreated = "created"
	SetupFailed  = "failed" // Note says why
)

// SetupItem is one thing in incident.io that the configuration needs and setup can make.
type SetupItem struct {
	Kind  string `json:"kind"` // alert source, custom field, option
	Name  string `json:"name"`
	Of    string `json:"of,omitempty"` // an option's custom field, a custom field's type
	State string `json:"state"`
	ID    string `json:"id,omitempty"`
	Note  string `json:"note,omitempty"`
}

// SetupResult is what setup found and made.
type SetupResult struct {
	Items []SetupItem
	// SourceID is the alert source to configure, where it is not configured yet.
	SourceID string
	// Token is the alert source's, if it was created just now; otherwise it is not set.
	Token Secret
}

// alertSourceName is what setup calls the alert source that it makes, and knows it by at the next call.
const alertSourceName = "TigerOps"

// setup is one Setup under way.
type setup struct {
	*checker
	apply  bool
	result SetupResult
}

// Setup finds what the configuration needs in incident.io, and creates with apply what is missing. What is there is
// left as it is, so that it can be called again and again. The error says that incident.io could not be asked.
func Setup(ctx context.Context, c Config, version string, apply bool) (SetupResult, error) {
	k, err := newChecker(c, version)
	if err != nil {
		return SetupResult{}, err
	}
	defer k.io.Close()
	s := &setup{checker: k, apply: apply}
	for _, step := range []func(context.Context){s.alertSource, s.customFields, s.options} {
		step(ctx)
		if k.asked != nil {
			return s.result, k.asked
		}
		if len(k.found) > 0 {
			return s.result, fmt.Errorf("set up incident.io: %s", k.found[0].Finding)
		}
	}
	return s.result, nil
}

func (s *setup) item(i SetupItem) { s.result.Items = append(s.result.Items, i) }

// made records what became of creating an item.
func (s *setup) made(i SetupItem, id string, r incidentio.Result) bool {
	switch {
	case r.OK():
		i.State, i.ID = SetupCreated, id
	case r.Class == incidentio.Unauthorized:
		i.State, i.Note = SetupFailed, "the key may not: "+r.Message
	default:
		i.State, i.Note = SetupFailed, r.Error()
	}
	s.item(i)
	return r.OK()
}

func (s *setup) alertSource(ctx context.Context) {
	all, r := s.io.AlertSources(ctx)
	if !s.read("alert sources", "on_call_viewer", r) {
		return
	}
	i := SetupItem{Kind: "alert source", Name: alertSourceName, Of: "http", State: SetupMissing}
	at := slices.IndexFunc(all, func(a incidentio.AlertSource) bool {
		if s.c.AlertSource.ID != "" {
			return a.ID == s.c.AlertSource.ID
		}
		return a.Type == "http" && a.Name == alertSourceName
	})
	switch {
	case at >= 0:
		i.Name, i.State, i.ID = all[at].Name, SetupThere, all[at].ID
		if s.c.AlertSource.ID == "" {
			s.result.SourceID = all[at].ID
		}
		s.item(i)
	case s.c.AlertSource.ID != "":
		i.Name, i.State, i.Note = s.c.AlertSource.ID, SetupFailed, "incident.io has no alert source of this id: take alert_source out of the configuration for setup to make one"
		s.item(i)
	case !s.apply:
		s.item(i)
	default:
		source, r := s.io.CreateAlertSource(ctx, alertSourceName)
		if s.made(i, source.ID, r) {
			s.result.SourceID, s.result.Token = source.ID, NewSecret(string(source.Token))
		}
	}
}

// looksLikeID tells names, which setup can make fields of, from ids, which it can not.
var looksLikeID = regexp.MustCompile(`^([0-9A-HJKMNP-TV-Z]{26,}|custom_field_.*)$`)

// maxFieldName is how long incident.io lets a custom field's name be, in characters.
const maxFieldName = 50

func (s *setup) customFields(ctx context.Context) {
	if len(s.c.Rules.CustomFields) == 0 || !s.readFields(ctx) {
		return
	}
	for _, name := range sorted(s.c.Rules.CustomFields) {
		to := s.c.Rules.CustomFields[name]
		i := SetupItem{Kind: "custom field", Name: to, Of: "text", State: SetupMissing}
		if types := fieldTypes[name]; types != nil {
			i.Of = types[0]
		}
		if f, ok := s.field(to); ok {
			i.Name, i.Of, i.State, i.ID = f.Name, f.Type, SetupThere, f.ID
			s.item(i)
			continue
		}
		switch {
		case looksLikeID.MatchString(to):
			i.State, i.Note = SetupFailed, "incident.io has no custom field of this id: write a name for setup to make one"
		case utf8.RuneCountInString(to) > maxFieldName:
			i.State, i.Note = SetupFailed, fmt.Sprintf("the name is longer than %d characters", maxFieldName)
		case s.apply:
			f, r := s.io.CreateCustomField(ctx, incidentio.NewCustomField{Name: to, Description: "Filled in by TigerOps (" + name + ").", Type: i.Of})
			if s.made(i, f.ID, r) {
				s.dir.Fields = append(s.dir.Fields, mapping.Field{ID: f.ID, Name: f.Name, Type: f.Type, Options: []mapping.Option{}})
			}
			continue
		}
		s.item(i)
		if i.State == SetupMissing { // for the options that will be missing too
			s.dir.Fields = append(s.dir.Fields, mapping.Field{Name: to, Type: i.Of, Options: []mapping.Option{}})
		}
	}
}

// options makes the options that the configuration names values of.
func (s *setup) options(ctx context.Context) {
	_, service := s.serviceField()
	var services []string
	for _, rule := range s.c.Rules.Services {
		services = append(services, rule.IncidentIO)
	}
	var teams []string
	for _, team := range sorted(s.c.Rules.Teams) {
		teams = append(teams, s.c.Rules.Teams[team])
	}
	s.optionsOf(ctx, service, services)
	s.optionsOf(ctx, s.c.Rules.CustomFields["team"], teams)
	if f, ok := s.field(s.c.Rules.CustomFields["slo_breach"]); ok {
		for _, words := range breachWords {
			i := max(0, slices.IndexFunc(words, func(w string) bool { return s.valueOf(ctx, f, w) }))
			s.optionsOf(ctx, f.Name, words[i:i+1])
		}
	}
}

func (s *setup) optionsOf(ctx context.Context, field string, values []string) {
	f, ok := s.field(field)
	if !ok || !takesOptions(f) || f.CatalogType != "" {
		return
	}
	var done []string
	for _, value := range values {
		if value == "" || s.asked != nil || slices.ContainsFunc(done, func(d string) bool { return strings.EqualFold(d, value) }) {
			continue
		}
		done = append(done, value)
		i := SetupItem{Kind: "option", Name: value, Of: f.Name, State: SetupMissing}
		switch {
		case s.valueOf(ctx, f, value):
			i.State = SetupThere
		case s.apply && f.ID != "":
			o, r := s.io.CreateOption(ctx, f.ID, value)
			s.made(i, o.ID, r)
			continue
		}
		s.item(i)
	}
}

// RegisterAt is the URL to register in incident.io, below the public host in front of the agent.
func RegisterAt(host string) string {
	return "https://" + strings.TrimSuffix(strings.TrimPrefix(host, "https://"), "/") + webhookPath
}
