package simulator

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// fieldIn, roleIn and stampIn are parts of the requests that make and edit an incident.
type fieldIn struct {
	CustomFieldID string    `json:"custom_field_id" rule:"required"`
	Values        []valueIn `json:"values" rule:"present"`
}

type valueIn struct {
	ID        string  `json:"id"`
	Option    *string `json:"value_option_id"`
	Entry     *string `json:"value_catalog_entry_id"`
	Text      *string `json:"value_text"`
	Link      *string `json:"value_link"`
	Numeric   *string `json:"value_numeric"`
	Timestamp *string `json:"value_timestamp"`
}

type roleIn struct {
	RoleID   string      `json:"incident_role_id" rule:"required"`
	Assignee *assigneeIn `json:"assignee"`
}

type assigneeIn struct {
	ID          string `json:"id"`
	Email       string `json:"email"`
	SlackUserID string `json:"slack_user_id"`
}

type stampIn struct {
	TimestampID string     `json:"incident_timestamp_id" rule:"required"`
	Value       *time.Time `json:"value"`
}

// checked gathers what is wrong with a request's values. at is the path of the object that holds them.
type checked struct {
	s     *Simulator
	at    string
	items []errorItem
}

func (k *checked) blame(field, code, format string, args ...any) {
	k.items = append(k.items, fieldErrorItem(join(k.at, field), code, format, args...))
}

func (k *checked) err() *apiError {
	if len(k.items) == 0 {
		return nil
	}
	return invalid(k.items)
}

func (k *checked) severity(id string) {
	if id != "" && known(&k.s.settings, k.s.settings.severity(id), id) == nil {
		k.blame("severity_id", codeNotFound, "no such severity")
	}
}

// fields checks custom field entries: the field must exist, and each value must be in the member of the field's type
// and hold something of that type.
func (k *checked) fields(in []fieldIn) []fieldSet {
	var out []fieldSet
	seen := map[string]bool{}
	for n, e := range in {
		at := "custom_field_entries." + strconv.Itoa(n)
		f := known(&k.s.settings, k.s.settings.field(e.CustomFieldID), e.CustomFieldID)
		switch {
		case f == nil:
			k.blame(at+".custom_field_id", codeNotFound, "no such custom field")
			continue
		case seen[f.ID]:
			k.blame(at+".custom_field_id", codeInvalid, "%s is set twice", f.Name)
			continue
		case len(e.Values) > 1 && f.FieldType != "multi_select":
			k.blame(at+".values", codeInvalid, "%s takes one value", f.Name)
			continue
		}
		seen[f.ID] = true
		set := fieldSet{field: f.ID}
		for m, v := range e.Values {
			if fv, ok := k.value(f, v, at+".values."+strconv.Itoa(m)); ok {
				set.values = append(set.values, fv)
			}
		}
		out = append(out, set)
	}
	return out
}

// number is how the API writes a numeric value.
var number = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

func (k *checked) value(f *CustomField, v valueIn, at string) (fieldValue, bool) {
	members := map[string]*string{"value_option_id": v.Option, "value_catalog_entry_id": v.Entry, "value_text": v.Text, "value_link": v.Link, "value_numeric": v.Numeric, "value_timestamp": v.Timestamp}
	want := "value_" + f.FieldType
	switch {
	case f.CatalogTypeID != "":
		want = "value_catalog_entry_id"
	case strings.HasSuffix(f.FieldType, "_select"):
		want = "value_option_id"
	}
	for name, p := range members {
		if name != want && p != nil && *p != "" {
			k.blame(at+"."+name, codeInvalid, "%s is of type %s, which takes %s", f.Name, f.FieldType, want)
			return fieldValue{}, false
		}
	}
	p := members[want]
	if p == nil || *p == "" {
		k.blame(at+"."+want, codeRequired, "%s is required for a value of %s", want, f.Name)
		return fieldValue{}, false
	}
	at += "." + want
	switch want {
	case "value_option_id":
		if o := known(&k.s.settings, k.s.settings.option(*p), *p); o == nil || o.CustomFieldID != f.ID {
			k.blame(at, codeNotFound, "%s has no such option", f.Name)
			return fieldValue{}, false
		}
		return fieldValue{option: *p}, true
	case "value_catalog_entry_id":
		byName := k.s.settings.catType(f.CatalogTypeID).UseNameAsIdentifier
		for i := range k.s.settings.entries {
			if e := &k.s.settings.entries[i]; e.CatalogTypeID == f.CatalogTypeID && e.is(*p, byName) && !k.s.settings.gone[e.ID] {
				return fieldValue{entry: e.ID}, true
			}
		}
		k.blame(at, codeNotFound, "%s has no such catalog entry", f.Name)
		return fieldValue{}, false
	case "value_link":
		if u, err := url.Parse(*p); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			k.blame(at, codeInvalid, "%q is not a URL", *p)
			return fieldValue{}, false
		}
		return fieldValue{link: *p}, true
	case "value_numeric":
		if !number.MatchString(*p) {
			k.blame(at, codeInvalid, "%q is not a number", *p)
			return fieldValue{}, false
		}
		return fieldValue{numeric: *p}, true
	}
	return fieldValue{text: *p}, true
}

// roles checks role assignments and returns role id to user id, "" where the role is to be held by nobody. A reporter
// can be named only with a new incident.
func (k *checked) roles(in []roleIn, fresh bool) map[string]string {
	out := map[string]string{}
	for n, a := range in {
		at := "incident_role_assignments." + strconv.Itoa(n)
		r := known(&k.s.settings, k.s.settings.role(a.RoleID), a.RoleID)
		_, twice := out[a.RoleID]
		switch {
		case r == nil:
			k.blame(at+".incident_role_id", codeNotFound, "no such incident role")
			continue
		case r.RoleType == "reporter" && !fresh:
			k.blame(at+".incident_role_id", codeInvalid, "the reporter can only be set when an incident is created")
			continue
		case twice:
			k.blame(at+".incident_role_id", codeInvalid, "%s is assigned twice", r.Name)
			continue
		}
		out[r.ID] = ""
		if a.Assignee != nil {
			if u := k.user(*a.Assignee, at+".assignee"); u != nil {
				out[r.ID] = u.ID
			}
		}
	}
	return out
}

func (k *checked) user(a assigneeIn, at string) *member {
	var u *member
	field := at
	switch {
	case a.ID != "":
		u, field = known(&k.s.settings, k.s.settings.user(a.ID), a.ID), at+".id"
	case a.Email != "":
		u, field = k.s.settings.userByEmail(a.Email), at+".email"
	case a.SlackUserID != "":
		field = at + ".slack_user_id"
		for i := range k.s.settings.users {
			if k.s.settings.users[i].SlackUserID == a.SlackUserID {
				u = &k.s.settings.users[i]
			}
		}
	default:
		k.blame(at, codeRequired, "one of id, email and slack_user_id is required")
		return nil
	}
	if u == nil || !u.Active || k.s.settings.gone[u.ID] {
		k.blame(field, codeNotFound, "no such user")
		return nil
	}
	return u
}

func (k *checked) stamps(in []stampIn) map[string]*time.Time {
	out := map[string]*time.Time{}
	for n, v := range in {
		if k.s.settings.timestamp(v.TimestampID) == nil {
			k.blame("incident_timestamp_values."+strconv.Itoa(n)+".incident_timestamp_id", codeNotFound, "no such incident timestamp")
			continue
		}
		if v.Value != nil {
			t := v.Value.UTC()
			out[v.TimestampID] = &t
		} else {
			out[v.TimestampID] = nil
		}
	}
	return out
}
