package incidentio

import (
	"context"
	"encoding/json"
)

// CreateAlertSource makes an alert source for alerts by HTTP, which take their title and description from the event.
// The answer holds its token, which incident.io shows to keys that may manage settings only.
func (c *Client) CreateAlertSource(ctx context.Context, name string) (AlertSource, Result) {
	type text struct {
		Literal string `json:"literal"`
	}
	type template struct {
		Title       text  `json:"title"`
		Description text  `json:"description"`
		Attributes  []any `json:"attributes"`
		Expressions []any `json:"expressions"`
	}
	return post[AlertSource](ctx, c, "/v2/alert_sources", "alert_source", struct {
		Name     string   `json:"name"`
		Type     string   `json:"source_type"`
		Template template `json:"template"`
	}{name, "http", template{
		Title:       text{variable("title", "Payload → Title")},
		Description: text{variable("description", "Payload → Description")},
		Attributes:  []any{},
		Expressions: []any{},
	}})
}

// variable is a text that consists of one variable, in the document form that incident.io's templates have (as its
// Terraform provider's examples show it).
func variable(name, label string) string {
	type node map[string]any
	b, err := json.Marshal(node{"type": "doc", "content": []node{{"type": "paragraph", "content": []node{{
		"type": "varSpec", "attrs": node{"name": name, "label": label, "missing": false},
	}}}}})
	if err != nil {
		panic(err) // nothing in it can fail
	}
	return string(b)
}

// NewCustomField is a custom field to make. Type is single_select, multi_select, text, link or numeric; the name has at
// most 50 characters, and the description must be there.
type NewCustomField struct {
	Name          string `json:"name"`
	Description   string `json:"description"`
	Type          string `json:"field_type"`
	CatalogTypeID string `json:"catalog_type_id,omitempty"`
}

// CreateCustomField makes a custom field.
func (c *Client) CreateCustomField(ctx context.Context, f NewCustomField) (CustomField, Result) {
	return post[CustomField](ctx, c, "/v2/custom_fields", "custom_field", f)
}

// CreateOption makes an option of a select field.
func (c *Client) CreateOption(ctx context.Context, fieldID, value string) (Option, Result) {
	return post[Option](ctx, c, "/v1/custom_field_options", "custom_field_option", struct {
		FieldID string `json:"custom_field_id"`
		Value   string `json:"value"`
	}{fieldID, value})
}
