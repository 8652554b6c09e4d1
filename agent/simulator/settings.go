package simulator

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

func (s *Simulator) identity(c *call) (int, any, *apiError) {
	if e := c.q.done(); e != nil {
		return no(e)
	}
	return ok("identity", map[string]any{
		"name": s.key.Name, "roles": s.roles, "team_roles": []string{}, "teams": []any{},
		"dashboard_url": "https://app.incident.io/" + s.o.OrgSlug,
	})
}

// whole answers a list that has no pages.
func whole[T any](c *call, name string, list []T) (int, any, *apiError) {
	if e := c.q.done(); e != nil {
		return no(e)
	}
	return ok(name, listOf(list))
}

func (s *Simulator) listSeverities(c *call) (int, any, *apiError) {
	list := left(&s.settings, s.settings.severities, func(v Severity) string { return v.ID })
	slices.SortStableFunc(list, func(a, b Severity) int { return cmp.Compare(a.Rank, b.Rank) })
	return whole(c, "severities", list)
}

func (s *Simulator) createSeverity(c *call) (int, any, *apiError) {
	var in struct {
		Name        string `json:"name" rule:"required,max=50"`
		Description string `json:"description" rule:"present"`
		Rank        *int64 `json:"rank"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	a, at := &s.settings, s.now()
	rank := int64(0)
	for _, v := range a.severities {
		rank = max(rank, v.Rank)
		if strings.EqualFold(v.Name, in.Name) {
			return no(refuse("name", "already_exists", "a severity of that name exists"))
		}
	}
	rank++
	if in.Rank != nil {
		rank = *in.Rank
	}
	v := Severity{ID: s.newID(), Name: in.Name, Description: in.Description, Rank: rank, CreatedAt: at, UpdatedAt: at}
	a.severities = append(a.severities, v)
	return created("severity", v)
}

func (s *Simulator) listStatuses(c *call) (int, any, *apiError) {
	return whole(c, "incident_statuses", left(&s.settings, s.settings.statuses, func(v Status) string { return v.ID }))
}

func (s *Simulator) createStatus(c *call) (int, any, *apiError) {
	var in struct {
		Name        string `json:"name" rule:"required,max=50"`
		Description string `json:"description" rule:"present"`
		Category    string `json:"category" rule:"required,enum=live|learning|closed"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	at := s.now()
	v := Status{ID: s.newID(), Name: in.Name, Description: in.Description, Category: in.Category, Rank: int64(len(s.settings.statuses) + 1), CreatedAt: at, UpdatedAt: at}
	s.settings.statuses = append(s.settings.statuses, v)
	return created("incident_status", v)
}

func (s *Simulator) listTypes(c *call) (int, any, *apiError) {
	return whole(c, "incident_types", left(&s.settings, s.settings.types, func(v IncidentType) string { return v.ID }))
}

func (s *Simulator) listTimestamps(c *call) (int, any, *apiError) {
	return whole(c, "incident_timestamps", s.settings.timestamps)
}

func (s *Simulator) listFields(c *call) (int, any, *apiError) {
	return whole(c, "custom_fields", left(&s.settings, s.settings.fields, func(v CustomField) string { return v.ID }))
}

func (s *Simulator) createField(c *call) (int, any, *apiError) {
	var in struct {
		Name                string `json:"name" rule:"required,max=50"`
		Description         string `json:"description" rule:"present"`
		FieldType           string `json:"field_type" rule:"required,enum=single_select|multi_select|text|link|numeric"`
		CatalogTypeID       string `json:"catalog_type_id"`
		FilterBy            any    `json:"filter_by"`
		FixedFilter         any    `json:"fixed_filter"`
		GroupBy             string `json:"group_by_catalog_attribute_id"`
		HelptextAttributeID string `json:"helptext_catalog_attribute_id"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	for _, f := range s.settings.fields {
		if strings.EqualFold(f.Name, in.Name) {
			return no(refuse("name", "already_exists", "a custom field of that name exists"))
		}
	}
	if in.CatalogTypeID != "" {
		if s.settings.catType(in.CatalogTypeID) == nil {
			return no(refuse("catalog_type_id", codeNotFound, "no such catalog type"))
		}
		if !strings.HasSuffix(in.FieldType, "_select") {
			return no(refuse("catalog_type_id", codeInvalid, "only select fields hold catalog entries"))
		}
	}
	at := s.now()
	v := CustomField{ID: s.newID(), Name: in.Name, Description: in.Description, FieldType: in.FieldType, CatalogTypeID: in.CatalogTypeID, CreatedAt: at, UpdatedAt: at}
	s.settings.fields = append(s.settings.fields, v)
	return created("custom_field", v)
}

func (s *Simulator) listOptions(c *call) (int, any, *apiError) {
	p, id := c.q.page(250), c.q.plain("custom_field_id")
	if e := c.q.done(); e != nil {
		return no(e)
	}
	if id == "" {
		return no(refuse("custom_field_id", codeRequired, "custom_field_id is required"))
	}
	if known(&s.settings, s.settings.field(id), id) == nil {
		return no(refuse("custom_field_id", codeNotFound, "no such custom field"))
	}
	list, meta, e := cut(s.settings.optionsOf(id), p, func(o FieldOption) string { return o.ID }, all)
	if e != nil {
		return no(e)
	}
	return http.StatusOK, map[string]any{"custom_field_options": list, "pagination_meta": meta}, nil
}

func (s *Simulator) createOption(c *call) (int, any, *apiError) {
	var in struct {
		CustomFieldID string `json:"custom_field_id" rule:"required"`
		Value         string `json:"value" rule:"required,max=255"`
		SortKey       *int64 `json:"sort_key"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	f := known(&s.settings, s.settings.field(in.CustomFieldID), in.CustomFieldID)
	switch {
	case f == nil:
		return no(refuse("custom_field_id", codeNotFound, "no such custom field"))
	case !strings.HasSuffix(f.FieldType, "_select") || f.CatalogTypeID != "":
		return no(refuse("custom_field_id", codeInvalid, "%s is no select field with options of its own", f.Name))
	}
	for _, o := range s.settings.optionsOf(f.ID) {
		if strings.EqualFold(o.Value, in.Value) {
			return no(refuse("value", "already_exists", "%s has that option already", f.Name))
		}
	}
	v := FieldOption{ID: s.newID(), CustomFieldID: f.ID, Value: in.Value, SortKey: 1000}
	if in.SortKey != nil {
		v.SortKey = *in.SortKey
	}
	s.settings.options = append(s.settings.options, v)
	return created("custom_field_option", v)
}

func (s *Simulator) listRoles(c *call) (int, any, *apiError) {
	return whole(c, "incident_roles", left(&s.settings, s.settings.roles, func(v Role) string { return v.ID }))
}

func (s *Simulator) createRole(c *call) (int, any, *apiError) {
	var in struct {
		Name         string `json:"name" rule:"required,max=50"`
		Description  string `json:"description" rule:"required"`
		Instructions string `json:"instructions" rule:"present"`
		Shortform    string `json:"shortform" rule:"present"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	at := s.now()
	v := Role{ID: s.newID(), Name: in.Name, Description: in.Description, Instructions: in.Instructions, Shortform: in.Shortform, RoleType: "custom", CreatedAt: at, UpdatedAt: at}
	s.settings.roles = append(s.settings.roles, v)
	return created("incident_role", v)
}

// listedUser is a user as GET /v2/users shows him.
type listedUser struct {
	User
	IsActive    bool           `json:"is_active"`
	BaseRole    rbacRole       `json:"base_role"`
	CustomRoles []rbacRole     `json:"custom_roles"`
	Seats       map[string]any `json:"seats"`
}

type rbacRole struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Slug string `json:"slug"`
}

func (s *Simulator) listUsers(c *call) (int, any, *apiError) {
	p := c.q.page(10_000)
	email, slack := c.q.plain("email"), c.q.plain("slack_user_id")
	inactive := c.q.enum("include_inactive", "false", "true", "false") == "true"
	if e := c.q.done(); e != nil {
		return no(e)
	}
	list, meta, e := cut(s.settings.users, p, func(u member) string { return u.ID }, func(u member) bool {
		return (email == "" || strings.EqualFold(u.Email, email)) && (slack == "" || u.SlackUserID == slack) && (u.Active || inactive) && !s.settings.gone[u.ID]
	})
	if e != nil {
		return no(e)
	}
	out := []listedUser{}
	for _, u := range list {
		out = append(out, listedUser{User: u.User, IsActive: u.Active, BaseRole: rbacRole{ID: "role-" + u.Role, Name: u.Role, Slug: u.Role}, CustomRoles: []rbacRole{},
			Seats: map[string]any{"on_call": "full_access", "response": "full_access"}})
	}
	return http.StatusOK, map[string]any{"users": out, "pagination_meta": meta}, nil
}
