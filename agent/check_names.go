package agent

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/mapping"
)

// has says which of the names there are is meant, for a name that none of them is.
func has(word string, names []string) string {
	if m := meant(word, names); m != "" {
		return m
	}
	return "incident.io has " + list(names)
}

func namesOf[T any](all []T, name func(T) string) []string {
	var names []string
	for _, v := range all {
		names = append(names, name(v))
	}
	return names
}

// checkSeverities finds every severity that is named, and tells what each of TigerOps' comes to.
func (k *checker) checkSeverities(ctx context.Context) {
	all, r := k.io.Severities(ctx)
	if !k.read("severities", "viewer", r) {
		return
	}
	k.dir.Severities = convert(all, func(s incidentio.Severity) mapping.Severity { return *severityOf(&s) })
	names := namesOf(all, func(s incidentio.Severity) string { return s.Name })
	rules := &k.c.Rules
	for _, severity := range rules.Severities {
		key := "severity_mapping." + severity
		if to, mapped := rules.SeverityMapping[severity]; mapped {
			if _, ok := mapping.ResolveSeverity(to, &k.dir); !ok {
				k.say(LevelError, key, has(to, names), "incident.io has no severity %q", to)
				continue
			}
		}
		to, warning := mapping.SeverityFor(mapping.State{Incident: mapping.Incident{Severity: severity}}, rules, &k.dir)
		if to == nil {
			k.say(LevelError, key, "map it; "+has(severity, names), "leads to no severity of incident.io: %s", warning)
			continue
		}
		k.say(LevelOK, key, "", "is %s", to.Name)
	}
	for i, s := range rules.Services {
		if s.DefaultSeverity == "" {
			continue
		}
		if _, ok := mapping.ResolveSeverity(s.DefaultSeverity, &k.dir); !ok {
			k.say(LevelError, fmt.Sprintf("service_mappings[%d].default_severity", i), has(s.DefaultSeverity, names), "incident.io has no severity %q", s.DefaultSeverity)
		}
	}
}

// checkStatuses finds every status that is named, and tells what each of TigerOps' comes to.
func (k *checker) checkStatuses(ctx context.Context) {
	all, r := k.io.Statuses(ctx)
	if !k.read("incident statuses", "viewer", r) {
		return
	}
	k.dir.Statuses = convert(all, statusOf)
	names := namesOf(all, func(s incidentio.Status) string { return s.Name })
	rules := &k.c.Rules
	for _, status := range []string{"acknowledged", "investigating", "mitigated", "resolved"} {
		if _, named := rules.StatusMapping[status]; named {
			continue
		}
		if to, ok := mapping.ResolveStatus(status, rules, &k.dir); ok {
			k.say(LevelOK, "status_mapping."+status, "", "is %s (%s)", to.Name, to.Category)
		}
	}
	for _, status := range sorted(rules.StatusMapping) {
		key := "status_mapping." + status
		if to, ok := mapping.ResolveStatus(status, rules, &k.dir); ok {
			k.say(LevelOK, key, "", "is %s (%s)", to.Name, to.Category)
		} else {
			to := rules.StatusMapping[status]
			k.say(LevelError, key, has(to, names), "incident.io has no status or category %q", to)
		}
	}
}

func (k *checker) checkTypes(ctx context.Context) {
	named := k.c.Rules.IncidentType
	if named == "" {
		return
	}
	all, r := k.io.Types(ctx)
	if !k.read("incident types", "viewer", r) {
		return
	}
	i := slices.IndexFunc(all, func(t incidentio.IncidentType) bool { return t.ID == named || strings.EqualFold(t.Name, named) })
	switch {
	case i < 0:
		k.say(LevelError, "incident_type", has(named, namesOf(all, func(t incidentio.IncidentType) string { return t.Name })), "incident.io has no incident type %q", named)
	case all[i].PrivateOnly && k.c.Rules.Visibility != "private":
		k.say(LevelError, "visibility", "set visibility: private, or another incident_type", "incidents of the type %q are private only", all[i].Name)
	}
}

func (k *checker) checkIncidentRoles(ctx context.Context) {
	all, r := k.io.Roles(ctx)
	if !k.read("incident roles", "viewer", r) {
		return
	}
	for _, name := range sorted(k.c.Rules.Roles) {
		to, key := k.c.Rules.Roles[name], "role_mapping."+name
		i := slices.IndexFunc(all, func(r incidentio.Role) bool {
			return r.ID == to || strings.EqualFold(r.Name, to) || strings.EqualFold(r.Shortform, to) || strings.EqualFold(r.Type, to)
		})
		switch {
		case i < 0:
			k.say(LevelError, key, has(to, namesOf(all, func(r incidentio.Role) string { return r.Name })), "incident.io has no incident role %q", to)
		case all[i].Type == "reporter":
			k.say(LevelError, key, "take another role", "the role %q can't be assigned by hand", all[i].Name)
		}
	}
}

// checkUsers finds everybody whom user_mapping names.
func (k *checker) checkUsers(ctx context.Context) {
	for _, name := range sorted(k.c.Rules.Users) {
		_, ok, r := k.io.UserByEmail(ctx, k.c.Rules.Users[name])
		if !k.read("users", "viewer", r) {
			return
		}
		if !ok {
			k.say(LevelWarning, "user_mapping."+name, "assignments to this person are left out", "incident.io has no user %q", k.c.Rules.Users[name])
		}
	}
}

// checkTeams finds every team that is named, among the teams or among the entries of the field that team goes to.
func (k *checker) checkTeams(ctx context.Context) {
	if len(k.c.Rules.Teams) == 0 {
		return
	}
	all, r := k.io.Teams(ctx)
	if !k.read("teams", "catalog_viewer", r) {
		return
	}
	names := namesOf(all, func(t incidentio.Team) string { return t.Name })
	known := func(name string) bool {
		return slices.ContainsFunc(all, func(t incidentio.Team) bool {
			return t.ID == name || t.CatalogEntry.ID == name || t.CatalogEntry.ExternalID == name || strings.EqualFold(t.Name, name) || slices.Contains(t.CatalogEntry.Aliases, name)
		})
	}
	field, _ := k.field(k.c.Rules.CustomFields["team"])
	for _, team := range sorted(k.c.Rules.Teams) {
		if to := k.c.Rules.Teams[team]; !known(to) && !k.valueOf(ctx, field, to) {
			k.say(LevelError, "team_mapping."+team, has(to, names), "incident.io has no team %q", to)
		}
		if k.asked != nil {
			return
		}
	}
}

func (k *checker) checkPaths(ctx context.Context) {
	if len(k.c.Rules.EscalationPaths) == 0 {
		return
	}
	all, r := k.io.EscalationPaths(ctx)
	if !k.read("escalation paths", "on_call_viewer", r) {
		return
	}
	for _, team := range sorted(k.c.Rules.EscalationPaths) {
		id := k.c.Rules.EscalationPaths[team]
		i := slices.IndexFunc(all, func(p incidentio.EscalationPath) bool { return p.ID == id || strings.EqualFold(p.Name, id) })
		switch {
		case i < 0:
			k.say(LevelError, "escalation_paths."+team, has(id, namesOf(all, func(p incidentio.EscalationPath) string { return p.ID + " (" + p.Name + ")" })), "incident.io has no escalation path %q", id)
		case all[i].ID != id:
			k.say(LevelError, "escalation_paths."+team, fmt.Sprintf("write its id, %q", all[i].ID), "%q is an escalation path's name", id)
		}
	}
}

// checkSources finds the alert source and the heartbeat, and whether the source takes its token.
func (k *checker) checkSources(ctx context.Context) {
	if k.c.AlertSource.ID == "" && k.c.Heartbeat.ID == "" {
		return
	}
	all, r := k.io.AlertSources(ctx)
	if !k.read("alert sources", "on_call_viewer", r) {
		return
	}
	for _, s := range []struct{ key, id, kind string }{{"alert_source.id", k.c.AlertSource.ID, "http"}, {"heartbeat.id", k.c.Heartbeat.ID, "heartbeat"}} {
		if s.id == "" {
			continue
		}
		i := slices.IndexFunc(all, func(a incidentio.AlertSource) bool { return a.ID == s.id })
		switch {
		case i < 0:
			k.say(LevelError, s.key, "setup creates one; "+has(s.id, namesOf(all, func(a incidentio.AlertSource) string { return a.ID + " (" + a.Name + ")" })), "incident.io has no alert source %q", s.id)
		case all[i].Type != s.kind:
			k.say(LevelError, s.key, "take one of the kind "+s.kind, "the alert source %q is of the kind %s", all[i].Name, all[i].Type)
		case s.kind == "http":
			k.checkToken(ctx)
		}
	}
}

// checkToken sends an alert event without the title that it needs: the right token is answered by a refusal of the
// event, and no alert is made.
func (k *checker) checkToken(ctx context.Context) {
	r := k.io.Send(ctx, incidentio.Call{Method: http.MethodPost, Path: "/v2/alert_events/http/" + k.c.AlertSource.ID, Body: []byte("{}"), Token: k.c.AlertSource.Token.Reveal()})
	switch {
	case r.Class == incidentio.Unauthorized:
		k.say(LevelError, "alert_source.token", "copy it anew from the alert source's page in incident.io", "the alert source refuses the token: %s", r.Message)
	case r.Class == incidentio.Refused && r.Status != http.StatusNotFound:
		k.say(LevelOK, "alert_source.id", "", "takes the token")
	case r.Class == incidentio.Unreachable || r.Class == incidentio.InDoubt:
		k.asked = fmt.Errorf("try the alert source: %w", r)
	default:
		k.say(LevelWarning, "alert_source.id", "", "could not be tried: %s", r.Error())
	}
}
