package mapping_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// event parses one, and fails the test if it is refused.
func event(t testing.TB, payload string) mapping.Event {
	t.Helper()
	ev, errs := mapping.ParseEvent([]byte(payload), "")
	if len(errs) > 0 {
		t.Fatalf("%s: %v", payload, errs)
	}
	return ev
}

// ev is the payload of an event of the incident TIG-1.
func ev(id, typ, incident string, more ...string) string {
	if incident != "" {
		incident = "," + incident
	}
	return fmt.Sprintf(`{"id":%q,"type":%q,"timestamp":"2026-11-23T02:00:00Z","incident":{"id":"TIG-1"%s}%s}`,
		id, typ, incident, strings.Join(append([]string{""}, more...), ","))
}

func apply(t testing.TB, payloads ...string) mapping.State {
	t.Helper()
	var s mapping.State
	for _, p := range payloads {
		e := event(t, p)
		s = s.Apply(e)
		if again := s.Apply(e); !reflect.DeepEqual(asJSON(t, s), asJSON(t, again)) {
			t.Errorf("%s applied again changes the state:\n%s\n%s", p, asJSON(t, s), asJSON(t, again))
		}
	}
	return s
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestApply(t *testing.T) {
	t.Parallel()
	created := ev("e1", "incident.created", `"title":"T","severity":"warning","service":"api"`)
	type check func(mapping.State) (got, want any)
	status := func(want string, open bool) check {
		return func(s mapping.State) (any, any) {
			return fmt.Sprint(s.Incident.Status, " ", s.Open), fmt.Sprint(want, " ", open)
		}
	}
	for name, c := range map[string]struct {
		events []string
		check  check
	}{
		"created is open":                       {[]string{created}, status("open", true)},
		"created keeps the status that it says": {[]string{ev("e1", "incident.created", `"status":"investigating"`)}, status("investigating", true)},
		"any first event opens":                 {[]string{ev("e1", "investigation.step", ``, `"step":{"kind":"x"}`)}, status("open", true)},
		"a first resolve does not open":         {[]string{ev("e1", "incident.resolved", ``)}, status("resolved", false)},
		"an update carries only what changed": {
			[]string{created, ev("e2", "incident.updated", `"severity":"critical"`)},
			func(s mapping.State) (any, any) {
				return []string{s.Incident.Title, s.Incident.Severity, s.Incident.Service, s.Incident.Status}, []string{"T", "critical", "api", "open"}
			},
		},
		"an acknowledgement sets the status": {[]string{created, ev("e2", "incident.acknowledged", ``)}, status("acknowledged", true)},
		"an acknowledgement leaves a status that says more": {
			[]string{ev("e1", "incident.created", `"status":"mitigated"`), ev("e2", "incident.acknowledged", ``)},
			func(s mapping.State) (any, any) {
				return fmt.Sprint(s.Incident.Status, s.Acknowledged), "mitigatedtrue"
			},
		},
		"an acknowledgement's own status wins": {[]string{created, ev("e2", "incident.acknowledged", `"status":"investigating"`)}, status("investigating", true)},
		"a resolve takes the event's time": {
			[]string{created, ev("e2", "incident.resolved", ``)},
			func(s mapping.State) (any, any) { return *s.Incident.ResolvedAt, at("2026-11-23T02:00:00Z") },
		},
		"a resolve's own time wins": {
			[]string{created, ev("e2", "incident.resolved", `"resolved_at":"2026-11-23T01:30:00Z"`)},
			func(s mapping.State) (any, any) { return *s.Incident.ResolvedAt, at("2026-11-23T01:30:00Z") },
		},
		"a late update does not reopen": {[]string{created, ev("e2", "incident.resolved", ``), ev("e3", "incident.updated", `"root_cause":"R"`)}, status("resolved", false)},
		"a reopen is a new life": {
			[]string{created,
				ev("e2", "incident.acknowledged", ``),
				ev("e3", "runbook.action", ``, `"action":{"title":"Restart","status":"done"}`),
				ev("e4", "incident.resolved", ``),
				ev("e5", "postmortem.ready", ``, `"postmortem":{"action_items":[{"title":"Index"}]}`),
				ev("e6", "incident.reopened", ``)},
			func(s mapping.State) (any, any) {
				s.Extra = mapping.Extra{}
				return s, mapping.State{Open: true, Generation: "e6", LastEventAt: at("2026-11-23T02:00:00Z"),
					Incident: mapping.Incident{ID: "TIG-1", Title: "T", Severity: "warning", Service: "api", Status: "investigating"}}
			},
		},
		"a reopen told again is no other life": {
			[]string{created, ev("e6", "incident.reopened", ``), ev("e7", "incident.acknowledged", ``), ev("e6", "incident.reopened", ``)},
			func(s mapping.State) (any, any) { return fmt.Sprint(s.Acknowledged, " ", s.Generation), "true e6" },
		},
		"actions and follow-ups are remembered": {
			[]string{created,
				ev("e2", "runbook.action", ``, `"action":{"title":"Restart","status":"running"}`),
				ev("e3", "runbook.action", ``, `"action":{"title":"Scale","status":"failed"}`),
				ev("e4", "runbook.action", ``, `"action":{"title":"Restart","status":"done"}`),
				ev("e5", "postmortem.ready", ``, `"postmortem":{"action_items":[{"title":"Index"},{"title":"Alert"}]}`),
				ev("e6", "postmortem.ready", ``, `"postmortem":{"action_items":[{"title":"Index"},{"title":"Test"}]}`)},
			func(s mapping.State) (any, any) {
				return fmt.Sprint(s.Actions, s.FollowUps, s.Postmortem), "map[Restart:done Scale:failed] [Index Alert Test] true"
			},
		},
		"SLO and deployment merge by member": {
			[]string{
				ev("e1", "incident.created", `"slo":{"name":"n","status":"ok","error_budget_burn_rate":1},"deployment":{"sha":"1","url":"u"}`),
				ev("e2", "incident.updated", `"slo":{"status":"breached"},"deployment":{"sha":"1","service":"s"}`)},
			func(s mapping.State) (any, any) {
				return []any{*s.Incident.SLO, *s.Incident.Deployment}, []any{mapping.SLO{Name: "n", Status: "breached", BurnRate: ptr(1.0)}, mapping.Deployment{SHA: "1", URL: "u", Service: "s"}}
			},
		},
		"another deployment is not mixed with the old one": {
			[]string{ev("e1", "incident.created", `"deployment":{"sha":"1","url":"u"}`), ev("e2", "incident.updated", `"deployment":{"sha":"2"}`)},
			func(s mapping.State) (any, any) { return *s.Incident.Deployment, mapping.Deployment{SHA: "2"} },
		},
		"lists are replaced, responders by role": {
			[]string{
				ev("e1", "incident.created", `"affected_services":["a","b"],"responders":[{"role":"owner","email":"a@x"},{"role":"comms","email":"b@x"}]`),
				ev("e2", "incident.updated", `"affected_services":["c"],"responders":[{"role":"owner","email":"c@x"}]`)},
			func(s mapping.State) (any, any) {
				return fmt.Sprint(s.Incident.AffectedServices, s.Incident.Responders), "[c] [{comms b@x } {owner c@x }]"
			},
		},
		"payloads merge for paths": {
			[]string{`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","x":{"a":1,"b":[1,2]},"big":12345678901234567890}}`,
				`{"id":"e2","type":"incident.updated","incident":{"id":"TIG-1","x":{"b":[3],"c":"<&>"},"big":null}}`},
			func(s mapping.State) (any, any) {
				return extra(s), `{"id":"e2","incident":{"big":12345678901234567890,"id":"TIG-1","x":{"a":1,"b":[3],"c":"<&>"}},"type":"incident.updated"}`
			},
		},
		"older payloads give way at 64 KiB": {
			[]string{ev("e1", "incident.created", `"x":"`+strings.Repeat("x", 40000)+`"`), ev("e2", "incident.updated", `"y":"`+strings.Repeat("y", 40000)+`"`)},
			func(s mapping.State) (any, any) {
				return []bool{strings.Contains(extra(s), "xxx"), strings.Contains(extra(s), "yyy")}, []bool{false, true}
			},
		},
		"a payload over 64 KiB is not kept": {
			[]string{ev("e1", "incident.created", `"x":"small"`), ev("e2", "incident.updated", `"y":"`+strings.Repeat("y", 70000)+`"`)},
			func(s mapping.State) (any, any) {
				return []bool{strings.Contains(extra(s), "small"), len(extra(s)) > 64<<10}, []bool{true, false}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, want := c.check(apply(t, c.events...)); !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}

func TestApplyLeavesTheOldStateAlone(t *testing.T) {
	t.Parallel()
	old := apply(t, ev("e1", "incident.created", `"affected_services":["a"],"responders":[{"role":"owner","email":"a@x"}]`),
		ev("e2", "runbook.action", ``, `"action":{"title":"A","status":"running"}`))
	before := asJSON(t, old)
	old.Apply(event(t, ev("e3", "runbook.action", `"affected_services":["b"],"responders":[{"role":"owner","email":"b@x"}]`, `"action":{"title":"A","status":"done"}`)))
	old.Apply(event(t, ev("e4", "incident.reopened", ``)))
	if after := asJSON(t, old); after != before {
		t.Errorf("the state that was applied to changed:\n%s\n%s", before, after)
	}
	post := func(title string) mapping.Event {
		return event(t, ev("p"+title, "postmortem.ready", ``, `"postmortem":{"action_items":[{"title":"`+title+`"}]}`))
	}
	old = old.Apply(post("1")).Apply(post("2")).Apply(post("3"))
	a, b := old.Apply(post("a")), old.Apply(post("b"))
	if fmt.Sprint(a.FollowUps, b.FollowUps) != "[1 2 3 a] [1 2 3 b]" {
		t.Errorf("two states share follow-ups: %v %v", a.FollowUps, b.FollowUps)
	}
}

func TestStateSurvivesStorage(t *testing.T) {
	t.Parallel()
	s := apply(t, full, ev("e9", "incident.reopened", ``))
	var back mapping.State
	if err := json.Unmarshal([]byte(asJSON(t, s)), &back); err != nil {
		t.Fatal(err)
	}
	if got, want := asJSON(t, back), asJSON(t, s); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestFoldable(t *testing.T) {
	t.Parallel()
	u := func(incident string) string { return ev("u", "incident.updated", incident) }
	step := func(incident string) string {
		return ev("s", "investigation.step", incident, `"step":{"kind":"x"}`)
	}
	action := ev("a", "runbook.action", ``, `"action":{"title":"x"}`)
	for name, c := range map[string]struct {
		head  string
		later []string
		want  []int
	}{
		"updates fold":                             {u(`"title":"a"`), []string{u(`"title":"b"`), u(`"severity":"critical"`)}, []int{0, 1}},
		"updates overtake steps and actions":       {u(`"title":"a"`), []string{step(``), u(`"title":"b"`), action, u(`"title":"c"`)}, []int{1, 3}},
		"nothing folds past an acknowledgement":    {u(``), []string{u(``), ev("k", "incident.acknowledged", ``), u(``)}, []int{0}},
		"nothing folds past an unknown type":       {u(``), []string{ev("k", "incident.snoozed", ``), u(``)}, nil},
		"nothing folds past a resolve":             {u(``), []string{ev("k", "incident.resolved", ``), u(``)}, nil},
		"nothing folds into another type":          {ev("k", "incident.created", ``), []string{u(``)}, nil},
		"a step that says the same is overtaken":   {u(``), []string{step(`"title":"b"`), u(`"title":"b"`)}, []int{1}},
		"a step that says otherwise is a barrier":  {u(``), []string{u(``), step(`"title":"b"`), u(`"title":"c"`), u(``)}, []int{0}},
		"a step that says other things is not":     {u(``), []string{step(`"team":"x"`), u(`"title":"c"`)}, []int{1}},
		"what only paths can see is compared, too": {u(``), []string{step(`"custom":{"n":1}`), u(`"custom":{"n":2}`)}, nil},
		"a flat step that says otherwise is one, too": {
			u(``), []string{`{"id":"s","type":"investigation.step","incident_id":"TIG-1","severity":"info","message":"x"}`, u(`"severity":"critical"`)}, nil},
		"the same custom members are not a barrier": {u(``), []string{step(`"custom":{"n":1}`), u(`"custom":{"n":1,"m":2}`)}, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var later []mapping.Event
			for _, p := range c.later {
				later = append(later, event(t, p))
			}
			head := event(t, c.head)
			got := mapping.Foldable(head, later)
			if !slices.Equal(got, c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			// What matters: the sum is the same as without folding.
			var inOrder, folded mapping.State
			inOrder, folded = inOrder.Apply(head), folded.Apply(head)
			for _, i := range got {
				folded = folded.Apply(later[i])
			}
			for i, e := range later {
				inOrder = inOrder.Apply(e)
				if !slices.Contains(got, i) {
					folded = folded.Apply(e)
				}
			}
			inOrder.Extra, folded.Extra = mapping.Extra{}, mapping.Extra{}
			if a, b := asJSON(t, inOrder), asJSON(t, folded); a != b {
				t.Errorf("folded %s\nin order %s", b, a)
			}
		})
	}
}

// extra is the sum of all payloads.
func extra(s mapping.State) string {
	b, err := s.Extra.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(b)
}
