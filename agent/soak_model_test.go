package agent_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// model holds what came of a run against what was to come of it.
type model struct {
	*soak
	incidents map[string]simulator.IncidentView // by id
	alerts    map[string]simulator.Alert        // by deduplication key
	things    map[string][]thing                // by the token in their text
	ties      []tie
	byID      map[string][]tie    // by incident id
	rows      []change            // the inbox, in order
	rowsOf    map[string][]change // of them: those of a TigerOps incident
	rowsIn    map[string][]change // and of an incident.io incident
	outbox    map[string]outboxRow
	acts      map[string][]act  // by incident id
	doneTo    map[string][]act  // by the object that they made or moved
	stories   map[string]*story // by TigerOps incident
	shared    int               // incidents of several TigerOps incidents
	bad       []string
}

// thing is something in incident.io whose text holds an event's token.
type thing struct {
	kind, incident string
	made           time.Time
}

// tie is a link, or a former one.
type tie struct {
	TigerOps   string    `json:"tigerops"`
	Incident   string    `json:"incident"`
	Origin     string    `json:"origin"`
	Generation string    `json:"generation"`
	Created    time.Time `json:"created"`
	Beside     int       `json:"beside"`  // 1: a second one that an alert route made, which is not kept in step
	Dropped    string    `json:"dropped"` // when a reopen ended it; empty for one in force
	Agreed     struct {
		Status   struct{ Name string }  `json:"status"`
		Severity *struct{ Name string } `json:"severity"`
		Name     string                 `json:"name"`
		Summary  string                 `json:"summary"`
		Roles    []struct {
			Role struct{ ID, Type string } `json:"role"`
			User struct{ Email string }    `json:"user"`
		} `json:"roles"`
	} `json:"agreed"`
	Pushed struct {
		Roles map[string]string `json:"roles"`
	} `json:"pushed"`
}

type outboxRow struct {
	ID     int64     `json:"id"`
	Event  string    `json:"event"`
	State  string    `json:"state"`
	Reason string    `json:"reason"`
	Ended  time.Time `json:"ended"`
}

func (m *model) wrong(format string, args ...any) {
	m.bad = append(m.bad, fmt.Sprintf(format, args...))
}

// check is the whole comparison.
func (s *soak) check() *model {
	s.Helper()
	m := s.model()
	m.nothingLost()
	m.incidentsOnce()
	m.eachThingOnce()
	m.inOrder()
	m.bothSidesAgree()
	m.noEcho()
	m.noEmptyWords()
	m.everyActTold()
	for _, left := range []string{
		"SELECT 'step left open: ' || outbox_id || ' ' || step FROM delivery WHERE state = 'open'",
		"SELECT 'webhook failed: ' || event_type || ' ' || error FROM webhook WHERE state = 'failed'",
		"SELECT 'stuck: ' || kind || ' ' || id || ' ' || why FROM stuck",
	} {
		m.bad = append(m.bad, s.agent.rows(left)...)
	}
	if c := s.sim.Counters(); c.Changed > 0 {
		m.wrong("%d idempotency keys came again with other bytes", c.Changed)
	}
	if len(m.bad) > 0 {
		s.leave("incident.io.json", snapshotOf(s.sim))
		s.leave("acts.txt", fmt.Sprintf("%+v", s.staff.acts))
	}
	for n, bad := range m.bad {
		if n == 40 {
			s.Errorf("and %d more", len(m.bad)-n)
			break
		}
		s.Error(bad)
	}
	s.agent.integrity()
	return m
}

// leave leaves something beside the agent's files, for a look after a failure.
func (s *soak) leave(name, text string) {
	if err := os.WriteFile(filepath.Join(s.agent.dir, name), []byte(text), 0o600); err != nil {
		s.Error(err)
	}
}

func snapshotOf(sim *simulator.Simulator) string { return text(sim.Snapshot()) }

var tokens = regexp.MustCompile(`token (TIG-[0-9]+-E[0-9]+)\b`)

func (s *soak) model() *model {
	s.Helper()
	m := &model{
		soak: s, incidents: make(map[string]simulator.IncidentView), alerts: make(map[string]simulator.Alert), things: make(map[string][]thing),
		byID: make(map[string][]tie), outbox: make(map[string]outboxRow), acts: make(map[string][]act), doneTo: make(map[string][]act),
		rowsOf: make(map[string][]change), rowsIn: make(map[string][]change), stories: make(map[string]*story),
	}
	snapshot := s.sim.Snapshot()
	for _, i := range snapshot.Incidents {
		m.incidents[i.ID] = i
		note := func(kind string, made time.Time, texts ...string) {
			seen := make(map[string]bool)
			for _, t := range tokens.FindAllStringSubmatch(strings.Join(texts, "\n"), -1) {
				if !seen[t[1]] {
					seen[t[1]] = true
					m.things[t[1]] = append(m.things[t[1]], thing{kind, i.ID, made})
				}
			}
		}
		for _, v := range i.Timeline {
			note("timeline", v.CreatedAt, v.Title, v.Description)
		}
		for _, v := range i.Updates {
			note("update", v.CreatedAt, v.Message)
		}
		for _, v := range i.Actions {
			note("action", v.CreatedAt, v.Description)
		}
		for _, v := range i.FollowUps {
			note("follow_up", v.CreatedAt, v.Title, v.Description)
		}
		for _, v := range i.Postmortems {
			note("document", v.CreatedAt, v.Title, v.Content)
		}
		for _, v := range i.Escalations {
			note("escalation", v.CreatedAt, v.Title, v.Description)
		}
	}
	for _, a := range snapshot.Alerts {
		m.alerts[a.DeduplicationKey] = a
	}
	for _, table := range []string{"former_link", "link"} {
		dropped := map[string]string{"former_link": "dropped_at, 'beside', 0", "link": "'', 'beside', beside"}[table]
		for _, row := range s.agent.rows(`SELECT json_object('tigerops', tigerops_incident_id, 'incident', incident_id, 'origin', origin,
			'generation', generation, 'created', created_at, 'dropped', ` + dropped + `, 'agreed', json(agreed), 'pushed', json(pushed)) FROM ` + table) {
			var t tie
			decode(s, []byte(row), &t)
			m.ties = append(m.ties, t)
			m.byID[t.Incident] = append(m.byID[t.Incident], t)
		}
	}
	taken := make(map[int64]time.Time)
	for _, c := range s.ops.taken {
		taken[c.Row] = c.Taken
	}
	for _, row := range s.agent.rows("SELECT json_set(payload, '$.applied', iif(state = 'applied', applied_at, '')) FROM inbox ORDER BY id") {
		var c change
		decode(s, []byte(row), &c)
		if c.Taken = taken[c.Row]; c.Taken.IsZero() { // the agent died when it had written the acknowledgement, and had not said so
			c.Taken, _ = time.Parse(time.RFC3339, c.Applied)
		}
		m.rows = append(m.rows, c)
		m.rowsOf[c.TigerOps] = append(m.rowsOf[c.TigerOps], c)
		m.rowsIn[c.Incident.ID] = append(m.rowsIn[c.Incident.ID], c)
	}
	for _, st := range s.ops.stories {
		m.stories[st.key] = st
	}
	for _, row := range s.agent.rows("SELECT json_object('id', id, 'event', event_id, 'state', state, 'reason', reason, 'ended', finished_at) FROM outbox") {
		var r outboxRow
		decode(s, []byte(row), &r)
		m.outbox[r.Event] = r
	}
	for _, a := range s.staff.acts {
		m.acts[a.incident] = append(m.acts[a.incident], a)
		if a.object != "" {
			m.doneTo[a.object] = append(m.doneTo[a.object], a)
		}
	}
	return m
}

// nothingLost: every event that was accepted has the end that it was to have.
func (m *model) nothingLost() {
	for _, id := range sortedKeys(m.ops.events) {
		ev := m.ops.events[id]
		row, there := m.outbox[id]
		want := "done"
		if ev.skipped || ev.poison {
			want = "skipped"
		}
		switch {
		case !there:
			m.wrong("event %s was accepted at %s and is not in the outbox", id, ev.accepted.Format(time.RFC3339Nano))
		case row.State == "skipped" && m.plan.routed && m.unrouted(ev, row):
			ev.skipped, ev.want, ev.story.unrouted = true, nil, true
		case row.State != want:
			m.wrong("event %s (%s) is %s (%s), want %s", id, ev.kind, row.State, row.Reason, want)
		}
		if ev.story == nil {
			if _, there := m.alerts["tigerops-event/"+id]; !there {
				m.wrong("event %s made no alert", id)
			}
		}
	}
	if got, want := len(m.outbox), len(m.ops.events); got != want {
		m.wrong("%d events in the outbox, want %d", got, want)
	}
	hooks := make(map[string]bool)
	for _, id := range m.agent.rows("SELECT id FROM webhook") {
		hooks[id] = true
	}
	for _, w := range m.sim.Webhooks() { // the latest, so many are remembered
		if w.State == simulator.HookDelivered && !hooks[w.ID] {
			m.wrong("webhook %s (%s) was accepted and is not there", w.ID, w.EventType)
		}
	}
	for _, r := range m.rows {
		if r.Applied == "" {
			m.wrong("change %d was taken and does not count as applied", r.Row)
		}
	}
}

// routeSlack is how long the look for an incident before the end of an alert may be ago when that has ended.
const routeSlack = 5 * time.Second

// unrouted says whether an event could rightly be given up because its alert was resolved before incident.io's alert route
// came to it, or because people had ended what the route made by then.
func (m *model) unrouted(ev *soakEvent, row outboxRow) bool {
	if ev.story == nil || !strings.Contains(row.Reason, "no incident was tied") && !strings.Contains(row.Reason, "never tied") {
		return false
	}
	open, decided := false, row.Ended // when its life was given up: at its end, for what comes behind that
	for _, e := range ev.story.events {
		if e.kind == "incident.resolved" && m.outbox[e.id].Ended.Before(row.Ended) {
			decided = m.outbox[e.id].Ended
		}
		open = e.kind == "incident.created" || e.kind == "incident.reopened" || open && e.kind != "incident.resolved"
		if e == ev {
			break
		}
	}
	if open && strings.Contains(row.Reason, "never tied") {
		return false // that is for what comes behind the end
	}
	return !routedAt(m.incidents, ev.story.alertKey(ev), decided.Add(-routeSlack))
}

// routedAt says whether an alert had an incident at a time that was not over.
func routedAt(incidents map[string]simulator.IncidentView, alertKey string, at time.Time) bool {
	for _, i := range incidents {
		if !slices.ContainsFunc(i.Alerts, func(a simulator.Alert) bool {
			return a.DeduplicationKey == alertKey && a.CreatedAt.Add(routeDelay).Before(at)
		}) {
			continue
		}
		live := false
		for _, u := range i.Updates {
			if !u.CreatedAt.After(at) {
				live = u.NewStatus.Category == simulator.CategoryLive
			}
		}
		if live {
			return true
		}
	}
	return false
}

// rightlyParked says whether all that is set aside is so because people ended what the route made before the agent saw it.
func (s *soak) rightlyParked() bool {
	incidents := make(map[string]simulator.IncidentView)
	for _, i := range s.sim.Snapshot().Incidents {
		incidents[i.ID] = i
	}
	for _, st := range s.ops.parked() {
		if routedAt(incidents, st.alertKey(nil), time.Now()) {
			return false
		}
	}
	return true
}

// alertKey is the deduplication key of the alert of the life that an event belongs to.
func (st *story) alertKey(of *soakEvent) string {
	key := "tigerops/" + st.key
	for _, ev := range st.events {
		if ev.kind == "incident.reopened" {
			key = "tigerops/" + st.key + "/" + ev.id
		}
		if ev == of {
			break
		}
	}
	return key
}

// incidentsOnce: each incident that the agent declared is tied to the one whose life it stands for, and there is one
// for each life.
func (m *model) incidentsOnce() {
	for _, id := range sortedKeys(m.incidents) {
		i, to := m.incidents[id], m.owners(id)
		switch {
		case i.Creator.User != nil: // people may have declared one that nobody came to
		case len(to) == 0 && i.Creator.Alert != nil && m.nobodys(*i.Creator.Alert):
		case len(to) == 0:
			m.wrong("%s (%s) is tied to no TigerOps incident", i.Reference, i.Name)
		}
		if len(to) > 1 {
			m.shared++
		}
		for _, key := range to {
			if len(to) > 1 && (groupOf(key) == "" || groupOf(key) != groupOf(to[0]) && m.plan.routed) {
				m.wrong("%s (%s) is tied to %v, which have nothing to do with each other", i.Reference, i.Name, to)
			}
		}
		if len(to) > 1 && slices.ContainsFunc(m.byID[id], func(t tie) bool { return t.Origin == "declared" }) {
			m.wrong("%s (%s) is tied to %v, although the agent declared it for one of them", i.Reference, i.Name, to)
		}
	}
	m.alikeTaken()
	lives := make(map[string]map[string]tie) // TigerOps incident to the events that began a life with a tie of its own
	for _, t := range m.ties {
		if _, there := m.incidents[t.Incident]; !there {
			m.wrong("%s is tied to %s, which is not there", t.TigerOps, t.Incident)
		}
		if t.Beside == 1 {
			continue
		}
		if lives[t.TigerOps] == nil {
			lives[t.TigerOps] = make(map[string]tie)
		}
		// A reopen lets go of what is beside with the one that is in step, and does not keep which was which.
		if other, there := lives[t.TigerOps][t.Generation]; there && (t.Dropped == "" || t.Dropped != other.Dropped) {
			m.wrong("%s has two incidents for the life that began with %q", t.TigerOps, t.Generation)
		}
		lives[t.TigerOps][t.Generation] = t
	}
	for _, st := range m.ops.stories {
		if got := len(lives[st.key]) > 0; got != st.above && !st.unrouted {
			m.wrong("%s has an incident: %v, want %v", st.key, got, st.above)
		}
		began := map[string]bool{"": true}
		tying := m.agent.rows(`SELECT DISTINCT event_id FROM outbox o JOIN delivery d ON d.outbox_id = o.id
			WHERE incident_key = ? AND (step LIKE 'attach.%' OR step = 'incident.declare')`, st.key)
		for _, ev := range st.events {
			if ev.kind == "incident.reopened" {
				began[ev.id] = true
				if lives[st.key][ev.id].TigerOps == "" && len(m.things[ev.id]) == 0 && !ev.skipped && !slices.Contains(tying, ev.id) && !m.toldByAlert(st.alertKey(ev)) {
					m.wrong("event %s (incident.reopened) declared nothing and told nobody", ev.id)
				}
			}
		}
		for life := range lives[st.key] {
			if !began[life] {
				m.wrong("%s has an incident for a life that began with %q", st.key, life)
			}
		}
		m.alertOf(st)
	}
	linked := make(map[string]int)
	for _, r := range m.rows {
		if r.Type == "incident.linked" {
			linked[r.TigerOps+" "+r.Incident.ID]++
		}
	}
	for _, t := range m.ties {
		if linked[t.TigerOps+" "+t.Incident] != 1 {
			m.wrong("the tie of %s to %s was told %d times", t.TigerOps, m.name(t.Incident), linked[t.TigerOps+" "+t.Incident])
		}
	}
}

// toldByAlert says whether a route made an incident of an alert, whose description then tells what the event tells.
func (m *model) toldByAlert(key string) bool {
	for _, i := range m.incidents {
		if i.Creator.Alert != nil && i.Creator.Alert.ID == m.alerts[key].ID {
			return true
		}
	}
	return false
}

// owners are the TigerOps incidents that an incident is or was tied to. One that people opened again after TigerOps had let
// go of it may be taken once more.
func (m *model) owners(incident string) []string {
	to := make(map[string]bool)
	for _, t := range m.byID[incident] {
		to[t.TigerOps] = true
	}
	return sortedKeys(to)
}

// nobodys says whether an alert that a route made an incident of is none of a TigerOps incident that could have been tied to
// it: it belongs to an event alone, or was resolved before the route came to it, or its TigerOps incident is tied to one that
// people closed meanwhile, beside which nothing is tied any more.
func (m *model) nobodys(creator simulator.TitledActor) bool {
	for key, a := range m.alerts {
		if a.ID == creator.ID {
			return strings.HasPrefix(key, "tigerops-event/") || a.Status == "resolved" || slices.ContainsFunc(m.ties, func(t tie) bool {
				over := m.incidents[t.Incident].Status.Category
				return t.TigerOps == strings.Split(key, "/")[1] && (over == "closed" || over == "merged")
			})
		}
	}
	return false
}

// alikeTaken: where people had an incident alike open from before a shared story began until the agent declared one for it,
// it should have attached the story to that.
func (m *model) alikeTaken() {
	if m.plan.routed {
		return
	}
	for _, t := range m.ties {
		st := m.stories[t.TigerOps]
		if t.Origin != "declared" || t.Generation != "" || !st.shared {
			continue
		}
		from, till := st.events[0].accepted, m.incidents[t.Incident].CreatedAt
		if slices.ContainsFunc(m.forbidden, func(f span) bool { return f.from.Before(till) && f.till.After(from) }) ||
			slices.ContainsFunc(st.events[1:], func(ev *soakEvent) bool {
				return ev.at.Before(till) && bytes.Contains(ev.payload, []byte(`"severity":`)) // it looked for that
			}) {
			continue
		}
		for _, i := range m.incidents {
			if i.Creator.User == nil || i.CreatedAt.After(from) || strings.HasSuffix(i.Summary, t.TigerOps) {
				continue
			}
			alike := true
			for n, u := range i.Updates {
				fits := u.NewStatus.Category == simulator.CategoryLive && u.NewSeverity != nil && u.NewSeverity.Name == severities["critical"]
				held := u.CreatedAt.Before(till) && (n+1 == len(i.Updates) || i.Updates[n+1].CreatedAt.After(from))
				alike = alike && (fits || !held)
			}
			if alike {
				m.wrong("%s was declared for %s although %s of people's was there", m.name(t.Incident), t.TigerOps, i.Reference)
			}
		}
	}
}

// alertOf: the alert of a story's present life is as the story is, and none of an earlier one fires.
func (m *model) alertOf(st *story) {
	if !st.above {
		return
	}
	key := st.alertKey(nil)
	tied := slices.ContainsFunc(m.ties, func(t tie) bool { return t.TigerOps == st.key && t.Dropped == "" })
	for _, ev := range st.events {
		former := st.alertKey(ev)
		if alert, there := m.alerts[former]; there && former != key && alert.Status != "resolved" && (tied || !st.open) {
			m.wrong("the alert %s of an earlier life of %s is %s", former, st.key, alert.Status)
		}
	}
	alert, there := m.alerts[key]
	byHand := slices.ContainsFunc(m.doneTo[alert.ID], func(a act) bool { return a.kind == "alert" })
	switch {
	case !there:
		m.wrong("%s has no alert %s", st.key, key)
	case st.open && alert.Status != "firing" && !byHand, !st.open && alert.Status != "resolved":
		m.wrong("the alert %s is %s, and %s open: %v", key, alert.Status, st.key, st.open)
	}
}

// eachThingOnce: whatever an event was to make in incident.io is there, once.
func (m *model) eachThingOnce() {
	for _, id := range sortedKeys(m.ops.events) {
		ev := m.ops.events[id]
		got := make(map[string]int)
		for _, t := range m.things[id] {
			if !m.isBeside(ev, t.incident) { // a second incident is resolved together with the first
				got[t.kind]++
			}
		}
		if ev.most {
			if n := got["update"] + got["timeline"]; n > 1 || ev.skipped && n > 0 || len(got) > 1 || (n == 0 && ev.kind == "incident.resolved" && !ev.skipped && !m.overtaken(id) && !m.closedByPeople(ev) && !m.overBeforeTied(ev) && !ev.story.unrouted) {
				m.wrong("event %s (%s) made %v", id, ev.kind, got)
			}
			continue
		}
		want := maps.Clone(ev.want)
		if m.overtaken(id) {
			delete(want, "update")
		}
		maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
		if !maps.Equal(got, want) {
			m.wrong("event %s (%s) made %v, want %v\n%s", id, ev.kind, got, want, m.ledger(id))
		}
	}
}

// isBeside says whether an incident is, or was, a second one of an event's TigerOps incident: a former link does not say so, but
// the event's steps do.
func (m *model) isBeside(ev *soakEvent, incident string) bool {
	return slices.ContainsFunc(m.byID[incident], func(t tie) bool { return ev.story != nil && t.TigerOps == ev.story.key && t.Beside == 1 }) ||
		slices.ContainsFunc(m.agent.rows(`SELECT step FROM delivery d JOIN outbox o ON o.id = d.outbox_id WHERE o.event_id = ? AND step LIKE 'beside.%'`, ev.id), func(step string) bool {
			return strings.HasSuffix(step, "."+strings.TrimPrefix(m.name(incident), "INC-"))
		})
}

// overtaken says whether an update of the event's was left out for good: in doubt, not there, and undone by a person's
// later change if it were sent again.
func (m *model) overtaken(event string) bool {
	return strings.Contains(m.outbox[event].Reason, "somebody changed it in incident.io meanwhile")
}

// closedByPeople says whether people ever ended an incident of the event's, so that a resolve finds nothing to do.
func (m *model) closedByPeople(ev *soakEvent) bool {
	for _, t := range m.ties {
		if t.TigerOps == ev.story.key && slices.ContainsFunc(m.acts[t.Incident], func(a act) bool {
			return a.kind == "resolve" || a.kind == "close" || a.kind == "merge"
		}) {
			return true
		}
	}
	return false
}

// overBeforeTied says whether an incident that the event's shares was over before the tie: another's resolve ended it, and
// this one's finds nothing to do.
func (m *model) overBeforeTied(ev *soakEvent) bool {
	return slices.ContainsFunc(m.ties, func(t tie) bool {
		if t.TigerOps != ev.story.key || len(m.owners(t.Incident)) == 1 {
			return false
		}
		over := false
		for _, u := range m.incidents[t.Incident].Updates {
			if u.CreatedAt.Before(t.Created) {
				over = u.NewStatus.Category != simulator.CategoryLive
			}
		}
		return over
	})
}

// ledger is what the agent has written down of an event.
func (m *model) ledger(event string) string {
	return strings.Join(m.agent.rows(`SELECT '  ' || step || ' ' || d.state || ' ' || coalesce(http_status, '') || ' ' || remote_id || ' ' || error
		FROM delivery d JOIN outbox o ON o.id = d.outbox_id WHERE o.event_id = ?`, event), "\n")
}

// inOrder: what an incident's events made was made in the order of the events.
func (m *model) inOrder() {
	for _, st := range m.ops.stories {
		var last time.Time
		var lastID string
		for _, ev := range st.events {
			first, end := time.Time{}, time.Time{}
			for _, t := range m.things[ev.id] {
				if first.IsZero() || t.made.Before(first) {
					first = t.made
				}
				if t.made.After(end) {
					end = t.made
				}
			}
			if first.IsZero() {
				continue
			}
			if first.Before(last) {
				m.wrong("%s came after %s", lastID, ev.id)
			}
			last, lastID = end, ev.id
		}
	}
}

func (m *model) name(incident string) string { return m.incidents[incident].Reference }
