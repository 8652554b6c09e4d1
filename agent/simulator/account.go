package simulator

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// account holds what people set up in incident.io's settings. It is guarded by Simulator.mu.
type account struct {
	severities []Severity
	statuses   []Status
	types      []IncidentType
	roles      []Role
	fields     []CustomField
	options    []FieldOption
	users      []member
	catTypes   []CatalogType
	entries    []CatalogEntry
	teams      []Team
	timestamps []Timestamp
	sources    []*AlertSource
	paths      []EscalationPath
	route      *AlertRoute
	routeID    string
	gone       map[string]bool // ids of what was taken out of the settings; incidents that had it still show it
}

type member struct {
	User
	Active bool
}

// accountMade is when the default account's settings were made, whatever the clock says, so that their ids depend on
// nothing but the seed.
var accountMade = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// fillAccount makes the default account: severities SEV3 < SEV2 < SEV1, statuses of every category, the custom fields
// that TigerOps' published configuration names, people, a catalog, an HTTP alert source, a heartbeat, an escalation path.
func (s *Simulator) fillAccount() {
	rng := rand.New(rand.NewPCG(s.o.Seed, 0xacc0))
	id := func() string { return ulid(accountMade, rng, s.o.Growth) }
	at, a := accountMade, &s.settings
	a.gone = map[string]bool{}

	s.key = NamedActor{ID: id(), Name: s.o.KeyName}
	for i, v := range [][2]string{{"SEV3", "Minor: little or no impact on customers."}, {"SEV2", "Major: a part of the product is degraded."}, {"SEV1", "Critical: customers cannot use the product."}} {
		a.severities = append(a.severities, Severity{ID: id(), Name: v[0], Description: v[1], Rank: int64(i + 1), CreatedAt: at, UpdatedAt: at})
	}
	for i, v := range [][2]string{
		{"Triage", CategoryTriage}, {"Investigating", CategoryLive}, {"Fixing", CategoryLive}, {"Monitoring", CategoryLive},
		{"Paused", CategoryPaused}, {"Documenting", CategoryLearning}, {"Reviewing", CategoryLearning}, {"Closed", CategoryClosed},
		{"Declined", CategoryDeclined}, {"Canceled", CategoryCanceled}, {"Merged", CategoryMerged},
	} {
		a.statuses = append(a.statuses, Status{ID: id(), Name: v[0], Category: v[1], Description: v[0] + ".", Rank: int64(i + 1), CreatedAt: at, UpdatedAt: at})
	}
	a.types = []IncidentType{{ID: id(), Name: "Default", Description: "Everything that breaks.", IsDefault: true, CreateInTriage: "optional", CreatedAt: at, UpdatedAt: at}}
	for _, v := range [][4]string{
		{"Incident Lead", "lead", "lead", "Coordinates the incident."},
		{"Reporter", "reporter", "", "Reported the incident."},
		{"Communications Lead", "custom", "comms", "Tells people what is going on."},
	} {
		a.roles = append(a.roles, Role{ID: id(), Name: v[0], RoleType: v[1], Shortform: v[2], Description: v[3], Instructions: "Read the runbook.", CreatedAt: at, UpdatedAt: at})
	}
	for _, v := range []struct{ name, email, role string }{
		{"Lisa Karlin", "lisa@example.com", "owner"}, {"Ada Byron", "ada@example.com", "responder"},
		{"Grace Brewster", "grace@example.com", "responder"}, {"Linus Ek", "linus@example.com", "administrator"},
	} {
		uid := id()
		a.users = append(a.users, member{User{ID: uid, Name: v.name, Email: v.email, Role: v.role, SlackUserID: "U" + uid[len(uid)-10:]}, true})
	}
	s.fillCatalog(id)
	s.fillFields(id)
	a.timestamps = []Timestamp{{ID: id(), Name: "Impact started", Rank: 1}, {ID: id(), Name: "Resolved at", Rank: 2}}
	s.fillOnCall(id)
}

func (s *Simulator) fillCatalog(id func() string) {
	at, a := accountMade, &s.settings
	typ := func(name, category, icon string, nameIsID bool) string {
		t := CatalogType{ID: id(), Name: name, TypeName: `Custom["` + name + `"]`, Description: name + "s of the company.", Annotations: map[string]string{},
			Categories: []string{category}, Color: "blue", Icon: icon, IsEditable: true, UseNameAsIdentifier: nameIsID,
			Schema: CatalogSchema{Version: 1, Attributes: []any{}}, CreatedAt: at, UpdatedAt: at}
		t.EngineResourceType = `CatalogEntry["` + t.ID + `"]`
		a.catTypes = append(a.catTypes, t)
		return t.ID
	}
	entry := func(typeID, name, external string, aliases ...string) CatalogEntry {
		if aliases == nil {
			aliases = []string{}
		}
		e := CatalogEntry{ID: id(), CatalogTypeID: typeID, Name: name, ExternalID: external, Aliases: aliases, AttributeValues: map[string]any{}, CreatedAt: at, UpdatedAt: at}
		a.entries = append(a.entries, e)
		return e
	}
	service := typ("Service", "service", "server", false)
	entry(service, "API Gateway", "api-gateway", "gateway", "edge")
	entry(service, "Checkout", "checkout")
	entry(service, "Payments", "payments", "billing")
	team := typ("Team", "team", "users", true)
	for i, v := range []string{"Payments", "Platform"} {
		e := entry(team, v, strings.ToLower(v)+"-team")
		u := a.users[i+1].User
		a.teams = append(a.teams, Team{ID: id(), Name: v, CatalogEntry: TeamEntry{ID: e.ID, Name: e.Name, ExternalID: e.ExternalID},
			Members: []TeamMember{{ID: u.ID, Name: u.Name, Email: u.Email, SlackUserID: u.SlackUserID}}})
	}
}

func (s *Simulator) fillFields(id func() string) {
	at, a := accountMade, &s.settings
	for _, f := range []struct {
		id, name, typ, catalog string
		options                []string
	}{
		{"custom_field_abc", "Affected services", "multi_select", "", []string{"API Gateway", "Checkout", "Payments", "Search"}},
		{"custom_field_def", "SLO breach", "single_select", "", []string{"Yes", "No"}},
		{"custom_field_ghi", "AI summary", "text", "", nil},
		{"custom_field_jkl", "Deployment SHA", "text", "", nil},
		{"custom_field_num", "Error budget burn rate", "numeric", "", nil},
		{"custom_field_lnk", "Trace", "link", "", nil},
		{"custom_field_env", "Environment", "single_select", "", []string{"production", "staging"}},
		{"custom_field_svc", "Services", "multi_select", "Service", nil},
		{"custom_field_team", "Owning team", "single_select", "Team", nil},
	} {
		cf := CustomField{ID: f.id, Name: f.name, Description: f.name + ".", FieldType: f.typ, CreatedAt: at, UpdatedAt: at}
		if i := slices.IndexFunc(a.catTypes, func(t CatalogType) bool { return t.Name == f.catalog }); i >= 0 {
			cf.CatalogTypeID = a.catTypes[i].ID
		}
		a.fields = append(a.fields, cf)
		for i, v := range f.options {
			a.options = append(a.options, FieldOption{ID: id(), CustomFieldID: f.id, Value: v, SortKey: int64(10 * (i + 1))})
		}
	}
}

func (s *Simulator) fillOnCall(id func() string) {
	a := &s.settings
	a.sources = []*AlertSource{
		s.httpSource(DefaultAlertSourceID, "TigerOps", DefaultAlertSourceToken, !s.o.DeduplicationKeyOptional),
		{ID: DefaultHeartbeatID, Name: "TigerOps agent heartbeat", SourceType: "heartbeat", SecretToken: DefaultHeartbeatToken, Template: emptyTemplate(),
			HeartbeatOptions: &HeartbeatOptions{IntervalSeconds: 60, GracePeriodSeconds: 60, FailureThreshold: 1, PingURL: s.o.BaseURL + "/v2/heartbeat/" + DefaultHeartbeatID + "/ping"}},
	}
	a.paths = []EscalationPath{{ID: DefaultEscalationPathID, Name: "Payments on-call", TeamIDs: []string{a.teams[0].ID}, CurrentResponders: []User{a.users[1].User},
		Path: []any{map[string]any{"id": id(), "type": "level", "level": map[string]any{
			"targets":             []any{map[string]any{"id": a.users[1].ID, "type": "user", "urgency": "high"}},
			"time_to_ack_seconds": 300,
		}}}}}
	a.routeID = id()
	a.route = s.o.AlertRoute
}

func (s *Simulator) httpSource(id, name, token string, dedup bool) *AlertSource {
	return &AlertSource{ID: id, Name: name, SourceType: "http", SecretToken: token, RequireDeduplicationKey: dedup,
		AlertEventsURL: s.o.BaseURL + "/v2/alert_events/http/" + id, Template: emptyTemplate()}
}

func emptyTemplate() AlertTemplate {
	return AlertTemplate{
		Title:       TemplateText{Label: "Payload → Title", Reference: "payload.title"},
		Description: TemplateText{Label: "Payload → Description", Reference: "payload.description"},
		Attributes:  []any{}, Expressions: []any{},
	}
}

// byID finds the element of a settings list that has the id.
func byID[T any](list []T, id string, of func(*T) string) *T {
	for i := range list {
		if of(&list[i]) == id {
			return &list[i]
		}
	}
	return nil
}

func (a *account) severity(id string) *Severity {
	return byID(a.severities, id, func(v *Severity) string { return v.ID })
}
func (a *account) status(id string) *Status {
	return byID(a.statuses, id, func(v *Status) string { return v.ID })
}
func (a *account) typ(id string) *IncidentType {
	return byID(a.types, id, func(v *IncidentType) string { return v.ID })
}
func (a *account) role(id string) *Role {
	return byID(a.roles, id, func(v *Role) string { return v.ID })
}
func (a *account) field(id string) *CustomField {
	return byID(a.fields, id, func(v *CustomField) string { return v.ID })
}
func (a *account) option(id string) *FieldOption {
	return byID(a.options, id, func(v *FieldOption) string { return v.ID })
}
func (a *account) user(id string) *member {
	return byID(a.users, id, func(v *member) string { return v.ID })
}
func (a *account) entry(id string) *CatalogEntry {
	return byID(a.entries, id, func(v *CatalogEntry) string { return v.ID })
}
func (a *account) catType(id string) *CatalogType {
	return byID(a.catTypes, id, func(v *CatalogType) string { return v.ID })
}
func (a *account) team(id string) *Team {
	return byID(a.teams, id, func(v *Team) string { return v.ID })
}
func (a *account) path(id string) *EscalationPath {
	return byID(a.paths, id, func(v *EscalationPath) string { return v.ID })
}
func (a *account) source(id string) *AlertSource {
	if p := byID(a.sources, id, func(v **AlertSource) string { return (*v).ID }); p != nil {
		return *p
	}
	return nil
}
func (a *account) timestamp(id string) *Timestamp {
	return byID(a.timestamps, id, func(v *Timestamp) string { return v.ID })
}

func (a *account) userByEmail(email string) *member {
	for i := range a.users {
		if strings.EqualFold(a.users[i].Email, email) && !a.gone[a.users[i].ID] {
			return &a.users[i]
		}
	}
	return nil
}

// known is v unless it was taken out of the settings.
func known[T any](a *account, v *T, id string) *T {
	if a.gone[id] {
		return nil
	}
	return v
}

// left are the elements that were not taken out of the settings.
func left[T any](a *account, list []T, id func(T) string) []T {
	out := []T{}
	for _, v := range list {
		if !a.gone[id(v)] {
			out = append(out, v)
		}
	}
	return out
}

// firstStatus is the first status of a category by rank, nil where there is none.
func (a *account) firstStatus(category string) *Status {
	var best *Status
	for i := range a.statuses {
		if v := &a.statuses[i]; v.Category == category && !a.gone[v.ID] && (best == nil || v.Rank < best.Rank) {
			best = v
		}
	}
	return best
}

func (a *account) optionsOf(field string) []FieldOption {
	out := []FieldOption{}
	for _, o := range a.options {
		if o.CustomFieldID == field && !a.gone[o.ID] {
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(x, y FieldOption) int { return int(x.SortKey - y.SortKey) })
	return out
}

// listOf copies a list; an answer has an empty list where there is nothing, never null.
func listOf[T any](list []T) []T { return append(make([]T, 0, len(list)), list...) }
