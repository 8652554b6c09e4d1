package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// keyed is what an idempotency key stands for.
type keyed struct{ id, sum string }

// repeated looks an idempotency key of a kind of call up. It returns the object's id if the key came before, whatever
// the bytes then were. The caller holds mu.
func (s *Simulator) repeated(c *call, kind, key string) (string, bool) {
	c.end.Key, c.end.Verdict = key, ""
	k, ok := s.keys[kind+"\x00"+key]
	if !ok {
		return "", false
	}
	c.end.Verdict = KeyRepeated
	if k.sum != bodySum(c.body) {
		c.end.Verdict = KeyChanged
	}
	return k.id, true
}

// keep ties an idempotency key to the object that the request made.
func (s *Simulator) keep(c *call, kind, key, id string) {
	c.end.Verdict = KeyNew
	s.keys[kind+"\x00"+key] = keyed{id: id, sum: bodySum(c.body)}
}

func bodySum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

type incidentIn struct {
	IdempotencyKey string    `json:"idempotency_key" rule:"required"`
	Visibility     string    `json:"visibility" rule:"required,enum=public|private"`
	Mode           string    `json:"mode" rule:"enum=standard|retrospective|test|tutorial"`
	Name           string    `json:"name" rule:"max=255"`
	Summary        string    `json:"summary"`
	SeverityID     string    `json:"severity_id"`
	StatusID       string    `json:"incident_status_id"`
	TypeID         string    `json:"incident_type_id"`
	Fields         []fieldIn `json:"custom_field_entries"`
	Roles          []roleIn  `json:"incident_role_assignments"`
	Stamps         []stampIn `json:"incident_timestamp_values"`
	SlackName      string    `json:"slack_channel_name_override"`
	SlackTeam      string    `json:"slack_team_id"`
	Retrospective  *retroIn  `json:"retrospective_incident_options"`
}

type retroIn struct {
	ExternalID    *int64 `json:"external_id"`
	PostmortemURL string `json:"postmortem_document_url"`
	SlackChannel  string `json:"slack_channel_id"`
}

func (s *Simulator) createIncident(c *call) (int, any, *apiError) {
	var in incidentIn
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	if id, again := s.repeated(c, "incident", in.IdempotencyKey); again {
		return ok("incident", s.show(s.incident.byID[id]))
	}
	def(&in.Mode, "standard")
	k := &checked{s: s}
	i := &incident{name: in.Name, summary: in.Summary, mode: in.Mode, visibility: in.Visibility, severity: in.SeverityID, typ: in.TypeID, slackName: in.SlackName, byKey: true}
	k.severity(in.SeverityID)
	if in.TypeID != "" && known(&s.settings, s.settings.typ(in.TypeID), in.TypeID) == nil {
		k.blame("incident_type_id", codeNotFound, "no such incident type")
	}
	i.status = s.startStatus(k, in.StatusID, in.TypeID, in.Mode)
	if st := s.settings.status(i.status); in.SeverityID == "" && !s.o.SeverityOptional && (st == nil || st.Category != CategoryTriage) {
		k.blame("severity_id", codeRequired, "A severity is required to open an incident")
	}
	for _, f := range k.fields(in.Fields) {
		i.setField(f)
	}
	i.roles = map[string]string{}
	i.setRoles(k.roles(in.Roles, true))
	i.stamps = k.stamps(in.Stamps)
	if in.Retrospective != nil {
		if in.Mode != "retrospective" {
			k.blame("retrospective_incident_options", codeInvalid, "only for incidents of mode retrospective")
		}
		i.docURL = in.Retrospective.PostmortemURL
	}
	if e := k.err(); e != nil {
		return no(e)
	}
	if spend(s.o.Now(), s.rate.hourly) != nil {
		return no(silentlyThrottled("Too many incidents have been created in the last hour"))
	}
	s.declare(i, in.IdempotencyKey, s.by())
	s.keep(c, "incident", in.IdempotencyKey, i.id)
	return ok("incident", s.show(i))
}

type editIn struct {
	Incident editedIn `json:"incident" rule:"present"`
	Notify   bool     `json:"notify_incident_channel" rule:"present"`
}

type editedIn struct {
	Name       *string   `json:"name" rule:"filled,max=255"`
	Summary    *string   `json:"summary"`
	CallURL    *string   `json:"call_url"`
	SeverityID string    `json:"severity_id"`
	StatusID   string    `json:"incident_status_id"`
	Fields     []fieldIn `json:"custom_field_entries"`
	Roles      []roleIn  `json:"incident_role_assignments"`
	Stamps     []stampIn `json:"incident_timestamp_values"`
	SlackName  *string   `json:"slack_channel_name_override"`
}

func (s *Simulator) editIncident(c *call) (int, any, *apiError) {
	i := s.incident.byID[c.params["id"]]
	if !s.visible(i) {
		return no(missing("Incident", c.params["id"]))
	}
	var in editIn
	if e := decode(c.body, &in); e != nil {
		return no(e)
	}
	k := &checked{s: s, at: "incident"}
	e := in.Incident
	k.severity(e.SeverityID)
	fields, roles, stamps := k.fields(e.Fields), k.roles(e.Roles, false), k.stamps(e.Stamps)
	status := i.status
	if e.StatusID != "" {
		to, err := s.move(i, e.StatusID, "incident.incident_status_id")
		switch {
		case err != nil && err.Status == http.StatusUnprocessableEntity:
			k.items = append(k.items, err.Errors...)
		case err != nil:
			return no(err)
		}
		status = to
	}
	if err := k.err(); err != nil {
		return no(err)
	}
	s.change(i, s.by(), "", func() {
		set(&i.name, e.Name)
		set(&i.summary, e.Summary)
		set(&i.callURL, e.CallURL)
		set(&i.slackName, e.SlackName)
		i.status = status
		if e.SeverityID != "" {
			i.severity = e.SeverityID
		}
		for _, f := range fields {
			i.setField(f)
		}
		i.setRoles(roles)
		for id, at := range stamps {
			i.stamps[id] = at
		}
	})
	return ok("incident", s.show(i))
}

func set(to *string, v *string) {
	if v != nil {
		*to = *v
	}
}

func (s *Simulator) showIncident(c *call) (int, any, *apiError) {
	if e := c.q.done(); e != nil {
		return no(e)
	}
	i := s.find(c.params["id"], false)
	if !s.visible(i) {
		return no(missing("Incident", c.params["id"]))
	}
	return ok("incident", s.show(i))
}

func (s *Simulator) listIncidents(c *call) (int, any, *apiError) {
	q := c.q
	p := q.page(250)
	order := q.enum("sort_by", "created_at_newest_first", "created_at_newest_first", "created_at_oldest_first")
	mode := q.enum("filter_mode", "all", "all", "any")
	tests := s.incidentFilters(q)
	modes := q.one("mode", "one_of")
	if e := q.done(); e != nil {
		return no(e)
	}
	if len(modes) == 0 {
		modes = map[string][]string{"one_of": {"standard", "retrospective"}}
	}
	pass := func(i *incident) bool {
		if !s.visible(i) || !inSet(modes, i.mode) {
			return false
		}
		hits := 0
		for _, t := range tests {
			if t(i) {
				hits++
			}
		}
		return hits == len(tests) || (mode == "any" && hits > 0)
	}
	all := slices.Clone(s.incident.list)
	if order == "created_at_newest_first" {
		slices.Reverse(all)
	}
	list, meta, e := cut(all, p, func(i *incident) string { return i.id }, pass)
	if e != nil {
		return no(e)
	}
	total, out := 0, []Incident{}
	for _, i := range all {
		if pass(i) {
			total++
		}
	}
	meta.TotalRecordCount = &total
	for _, i := range list {
		out = append(out, s.show(i))
	}
	return http.StatusOK, map[string]any{"incidents": out, "pagination_meta": meta}, nil
}

// incidentFilters are the filters of a query, one test each.
func (s *Simulator) incidentFilters(q *filters) []func(*incident) bool {
	a := &s.settings
	var tests []func(*incident) bool
	add := func(ops map[string][]string, of func(*incident) []string) {
		if len(ops) > 0 {
			tests = append(tests, func(i *incident) bool { return inSet(ops, of(i)...) })
		}
	}
	add(q.one("status", "one_of", "not_in"), func(i *incident) []string { return []string{i.status} })
	add(q.one("status_category", "one_of", "not_in"), func(i *incident) []string { return []string{a.status(i.status).Category} })
	add(q.one("incident_type", "one_of", "not_in"), func(i *incident) []string { return []string{i.typ} })
	for name, of := range map[string]func(*incident) time.Time{"created_at": func(i *incident) time.Time { return i.created }, "updated_at": func(i *incident) time.Time { return i.updated }} {
		if sp := q.span(name); sp != (span{}) {
			tests = append(tests, func(i *incident) bool { return sp.holds(of(i)) })
		}
	}
	s.severityFilter(q, add, &tests)
	for id, ops := range q.nested("incident_role", "one_of", "is_blank", "is_set") {
		if known(a, a.role(id), id) == nil {
			q.errs = append(q.errs, fieldErrorItem("incident_role", codeNotFound, "no such incident role"))
			continue
		}
		if v, ok := ops["is_set"]; ok {
			delete(ops, "is_set")
			ops["is_blank"] = []string{map[string]string{"true": "false", "false": "true"}[v[0]]}
		}
		add(ops, func(i *incident) []string {
			if u := i.roles[id]; u != "" {
				return []string{u}
			}
			return nil
		})
	}
	for id, ops := range q.nested("custom_field", "one_of", "not_in", "is_blank", "is") {
		if known(a, a.field(id), id) == nil {
			q.errs = append(q.errs, fieldErrorItem("custom_field", codeNotFound, "no such custom field"))
			continue
		}
		add(ops, func(i *incident) []string {
			var out []string
			for _, f := range i.fields {
				for _, v := range f.values {
					if f.field == id {
						out = append(out, v.option+v.entry+v.text+v.link+v.numeric)
					}
				}
			}
			return out
		})
	}
	return tests
}

func (s *Simulator) severityFilter(q *filters, add func(map[string][]string, func(*incident) []string), tests *[]func(*incident) bool) {
	ops := q.one("severity", "one_of", "not_in", "gte", "lte")
	for op, ids := range ops {
		for _, id := range ids {
			if s.settings.severity(id) == nil {
				q.errs = append(q.errs, fieldErrorItem("severity", codeNotFound, "no such severity %s", strings.TrimSpace(id)))
				return
			}
		}
		if op != "gte" && op != "lte" {
			continue
		}
		delete(ops, op)
		edge := s.settings.severity(ids[0]).Rank
		*tests = append(*tests, func(i *incident) bool {
			sev := s.settings.severity(i.severity)
			return sev != nil && ((op == "gte" && sev.Rank >= edge) || (op == "lte" && sev.Rank <= edge))
		})
	}
	add(ops, func(i *incident) []string { return []string{i.severity} })
}
