package incidentio

import (
	"context"
	"net/url"
	"strings"
)

// Identity tells who the API key is and what it may do. It is the cheapest call there is, and the one to ask whether
// incident.io is reachable.
func (c *Client) Identity(ctx context.Context) (Identity, Result) {
	return one[Identity](ctx, c, "/v1/identity", "identity", nil)
}

// whole lists what is given in one answer.
func whole[T any](ctx context.Context, c *Client, path, member string) ([]T, Result) {
	return list[T](ctx, c, listing{path: path, member: member})
}

// Severities lists the account's severities.
func (c *Client) Severities(ctx context.Context) ([]Severity, Result) {
	return whole[Severity](ctx, c, "/v1/severities", "severities")
}

// Statuses lists the account's incident statuses.
func (c *Client) Statuses(ctx context.Context) ([]Status, Result) {
	return whole[Status](ctx, c, "/v1/incident_statuses", "incident_statuses")
}

// Types lists the account's incident types.
func (c *Client) Types(ctx context.Context) ([]IncidentType, Result) {
	return whole[IncidentType](ctx, c, "/v1/incident_types", "incident_types")
}

// Roles lists the account's incident roles.
func (c *Client) Roles(ctx context.Context) ([]Role, Result) {
	return whole[Role](ctx, c, "/v2/incident_roles", "incident_roles")
}

// CustomFields lists the account's custom fields, without their options.
func (c *Client) CustomFields(ctx context.Context) ([]CustomField, Result) {
	return whole[CustomField](ctx, c, "/v2/custom_fields", "custom_fields")
}

// FieldOptions lists the options of a select field.
func (c *Client) FieldOptions(ctx context.Context, fieldID string) ([]Option, Result) {
	return list[Option](ctx, c, listing{path: "/v1/custom_field_options", member: "custom_field_options", pageSize: pageMost,
		query: url.Values{"custom_field_id": {fieldID}}})
}

// UserByEmail looks an active user up, whatever the case of the address. It says false where there is none; with a
// Result that is not OK it is not known.
func (c *Client) UserByEmail(ctx context.Context, email string) (User, bool, Result) {
	users, r := list[User](ctx, c, listing{path: "/v2/users", member: "users", pageSize: pageMost,
		query: url.Values{"email": {email}}})
	for _, u := range users {
		if strings.EqualFold(u.Email, email) {
			return u, true, r
		}
	}
	return User{}, false, r
}

// CatalogTypes lists the types of the catalog.
func (c *Client) CatalogTypes(ctx context.Context) ([]CatalogType, Result) {
	return whole[CatalogType](ctx, c, "/v3/catalog_types", "catalog_types")
}

// CatalogEntries lists the entries of a catalog type. With an identifier only those whose id, external id or alias it
// is, and those of that name where the type uses names as identifiers.
func (c *Client) CatalogEntries(ctx context.Context, typeID, identifier string) ([]CatalogEntry, Result) {
	q := url.Values{"catalog_type_id": {typeID}}
	add(q, "identifier", identifier)
	return list[CatalogEntry](ctx, c, listing{path: "/v3/catalog_entries", member: "catalog_entries", pageSize: pageMost, query: q})
}

// Teams lists the account's teams.
func (c *Client) Teams(ctx context.Context) ([]Team, Result) {
	return list[Team](ctx, c, listing{path: "/v3/teams", member: "teams", pageSize: pageMost})
}

// AlertSources lists the account's alert sources.
func (c *Client) AlertSources(ctx context.Context) ([]AlertSource, Result) {
	return whole[AlertSource](ctx, c, "/v2/alert_sources", "alert_sources")
}

// EscalationPaths lists the account's escalation paths.
func (c *Client) EscalationPaths(ctx context.Context) ([]EscalationPath, Result) {
	return list[EscalationPath](ctx, c, listing{path: "/v2/escalation_paths", member: "escalation_paths", pageSize: pagePaths})
}
