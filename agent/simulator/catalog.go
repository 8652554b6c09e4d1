package simulator

import (
	"net/http"
	"slices"
	"strings"
)

func (s *Simulator) listCatalogTypes(c *call) (int, any, *apiError) {
	return whole(c, "catalog_types", s.settings.catTypes)
}

func (s *Simulator) createCatalogType(c *call) (int, any, *apiError) {
	var in struct {
		Name                string            `json:"name" rule:"required,max=255"`
		Description         string            `json:"description" rule:"present"`
		Annotations         map[string]string `json:"annotations"`
		Categories          []string          `json:"categories"`
		Color               string            `json:"color" rule:"enum=yellow|green|blue|violet|pink|cyan|orange"`
		Icon                string            `json:"icon"`
		OwningTeamIDs       []string          `json:"owning_team_ids"`
		Ranked              bool              `json:"ranked"`
		SourceRepoURL       string            `json:"source_repo_url"`
		TypeName            string            `json:"type_name"`
		UseNameAsIdentifier bool              `json:"use_name_as_identifier"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	at := s.now()
	v := CatalogType{ID: s.newID(), Name: in.Name, Description: in.Description, Annotations: in.Annotations, Categories: listOf(in.Categories), Color: in.Color,
		Icon: in.Icon, Ranked: in.Ranked, SourceRepoURL: in.SourceRepoURL, TypeName: in.TypeName, UseNameAsIdentifier: in.UseNameAsIdentifier, IsEditable: true,
		Schema: CatalogSchema{Version: 1, Attributes: []any{}}, CreatedAt: at, UpdatedAt: at}
	def(&v.Color, "blue")
	def(&v.Icon, "box")
	def(&v.TypeName, `Custom["`+in.Name+`"]`)
	if v.Annotations == nil {
		v.Annotations = map[string]string{}
	}
	v.EngineResourceType = `CatalogEntry["` + v.ID + `"]`
	s.settings.catTypes = append(s.settings.catTypes, v)
	return created("catalog_type", v)
}

// is tells whether an identifier names the entry: its id, external id, an alias, or its name where the type says so.
func (e *CatalogEntry) is(identifier string, byName bool) bool {
	return e.ID == identifier || (e.ExternalID != "" && e.ExternalID == identifier) || slices.Contains(e.Aliases, identifier) || (byName && strings.EqualFold(e.Name, identifier))
}

func (s *Simulator) listEntries(c *call) (int, any, *apiError) {
	p, typ, ident := c.q.page(250), c.q.plain("catalog_type_id"), c.q.plain("identifier")
	if !c.q.q.Has("page_size") {
		c.q.errs = append(c.q.errs, fieldErrorItem("page_size", codeRequired, "page_size is required"))
	}
	if typ == "" {
		c.q.errs = append(c.q.errs, fieldErrorItem("catalog_type_id", codeRequired, "catalog_type_id is required"))
	}
	if e := c.q.done(); e != nil {
		return no(e)
	}
	t := s.settings.catType(typ)
	if t == nil {
		return no(missing("Catalog type", typ))
	}
	list, meta, e := cut(s.settings.entries, p, func(v CatalogEntry) string { return v.ID }, func(v CatalogEntry) bool {
		return !s.settings.gone[v.ID] && v.CatalogTypeID == typ && (ident == "" || v.is(ident, t.UseNameAsIdentifier))
	})
	if e != nil {
		return no(e)
	}
	total := 0
	for i := range s.settings.entries {
		if v := &s.settings.entries[i]; !s.settings.gone[v.ID] && v.CatalogTypeID == typ && (ident == "" || v.is(ident, t.UseNameAsIdentifier)) {
			total++
		}
	}
	meta.TotalRecordCount = &total
	return http.StatusOK, map[string]any{"catalog_entries": list, "catalog_type": t, "pagination_meta": meta}, nil
}

func (s *Simulator) createEntry(c *call) (int, any, *apiError) {
	var in struct {
		CatalogTypeID   string         `json:"catalog_type_id" rule:"required"`
		Name            string         `json:"name" rule:"required,max=255"`
		ExternalID      string         `json:"external_id"`
		Aliases         []string       `json:"aliases"`
		AttributeValues map[string]any `json:"attribute_values" rule:"present"`
		Rank            int32          `json:"rank"`
	}
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	if s.settings.catType(in.CatalogTypeID) == nil {
		return no(refuse("catalog_type_id", codeNotFound, "no such catalog type"))
	}
	for k := range in.AttributeValues {
		return no(refuse("attribute_values."+k, codeNotFound, "the catalog type has no such attribute"))
	}
	at := s.now()
	v := CatalogEntry{CatalogTypeID: in.CatalogTypeID, Name: in.Name, ExternalID: in.ExternalID, Aliases: listOf(in.Aliases),
		AttributeValues: map[string]any{}, Rank: in.Rank, CreatedAt: at, UpdatedAt: at}
	for i := range s.settings.entries {
		if old := &s.settings.entries[i]; in.ExternalID != "" && old.ExternalID == in.ExternalID && old.CatalogTypeID == in.CatalogTypeID {
			v.ID, v.CreatedAt = old.ID, old.CreatedAt
			*old = v
			return created("catalog_entry", v)
		}
	}
	v.ID = s.newID()
	s.settings.entries = append(s.settings.entries, v)
	return created("catalog_entry", v)
}

func (s *Simulator) listTeams(c *call) (int, any, *apiError) {
	p := c.q.page(250)
	if e := c.q.done(); e != nil {
		return no(e)
	}
	list, meta, e := cut(left(&s.settings, s.settings.teams, func(t Team) string { return t.ID }), p, func(t Team) string { return t.ID }, all)
	if e != nil {
		return no(e)
	}
	return http.StatusOK, map[string]any{"teams": list, "pagination_meta": meta}, nil
}
