package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// tigerOps plays TigerOps: incidents happen, each tells its story event by event, and every event is sent again and
// again until it is accepted, as any sender does. It takes the inbox's changes too.
type tigerOps struct {
	*soak
	mu       sync.Mutex
	stories  []*story
	events   map[string]*soakEvent     // by id, once accepted
	repeated int                       // events that were sent again although they were accepted
	taken    []change                  // what came out of the inbox and was acknowledged, in that order
	heard    map[string]map[string]any // TigerOps incident to what it was told of and has not said again
	said     int                       // how often it did
}

// groupOf names the shared stories that a story is one of, empty for none: three of ten are, one after the other.
func groupOf(key string) string {
	n, err := strconv.Atoi(strings.TrimPrefix(key, "TIG-"))
	if err != nil || n%10 == 0 || n%10 > 3 {
		return ""
	}
	return fmt.Sprintf("group %d", n/10)
}

// sharedService is what the shared stories are about, and no others.
const sharedService = "payments"

// story is one TigerOps incident.
type story struct {
	key    string
	rng    *rand.Rand
	length int
	shared bool

	events []*soakEvent
	// What TigerOps itself knows of it.
	open     bool
	above    bool     // it was at min_severity once, so there is an incident for it
	actions  []string // of this life: names, with the status told last
	status   map[string]string
	posts    int
	poisoned bool
	unrouted bool // some of it was given up, since incident.io's alert route made nothing in time
}

// soakEvent is an event and what is to come of it.
type soakEvent struct {
	id, kind string
	story    *story // nil: it belongs to no incident
	payload  []byte
	at       time.Time // its timestamp
	accepted time.Time
	bySQL    bool // only the SQL door takes it

	want    map[string]int // kind of thing in incident.io to how many of them are to carry its token
	most    bool           // want holds upper bounds
	skipped bool           // it ends skipped, and nothing is sent for it
	poison  bool           // it ends dead
}

// change is a row of the inbox.
type change struct {
	Row      int64  `json:"id"`
	Key      string `json:"key"`
	Type     string `json:"type"`
	TigerOps string `json:"tigerops_incident_id"`
	Incident struct {
		ID        string `json:"id"`
		Reference string `json:"reference"`
	} `json:"incident"`
	Before     map[string]any `json:"before"`
	After      map[string]any `json:"after"`
	Message    string         `json:"message"`
	OccurredAt time.Time      `json:"occurred_at"`
	Source     string         `json:"source"`
	Applied    string         `json:"applied"` // when the agent wrote down that TigerOps had
	Taken      time.Time      `json:"-"`       // when TigerOps had applied it
}

func (c change) after(name string) string  { s, _ := c.After[name].(string); return s }
func (c change) before(name string) string { s, _ := c.Before[name].(string); return s }

func newTigerOps(s *soak) *tigerOps {
	return &tigerOps{soak: s, events: make(map[string]*soakEvent), heard: make(map[string]map[string]any)}
}

// storm tells stories until ctx ends, and returns when what was begun of them by then is accepted.
func (o *tigerOps) storm(ctx context.Context) {
	var tellers sync.WaitGroup
	defer tellers.Wait()
	next := time.NewTicker(o.plan.newIncident)
	defer next.Stop()
	for n := 1; ; n++ {
		s := &story{
			key: fmt.Sprintf("TIG-%d", n), rng: rand.New(rand.NewPCG(o.seed, uint64(n))),
			status: make(map[string]string),
		}
		s.length = 6 + s.rng.IntN(30)
		if s.shared = groupOf(s.key) != ""; s.shared && n%10 == 1 && !o.plan.routed {
			o.staff.open(s.rng)
		}
		o.mu.Lock()
		o.stories = append(o.stories, s)
		o.mu.Unlock()
		tellers.Go(func() { o.tell(ctx, s) })
		tellers.Go(func() { o.staff.work(ctx, s.key, rand.New(rand.NewPCG(o.seed, 2<<32+uint64(n))), n) })
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
	}
}

// tell tells a story, an event after the other.
func (o *tigerOps) tell(ctx context.Context, s *story) {
	poison := s.rng.IntN(30) == 0
	echo := rand.New(rand.NewPCG(o.seed, s.rng.Uint64())) // of its own, so that the story stays what the seed makes it
	echoes := echo.IntN(2) == 0                           // the others keep to themselves what they hear
	for n := range s.length {
		if echoes {
			if heard := o.repeats(s, echo); heard != nil {
				ev := s.sayAgain(n, heard)
				s.events = append(s.events, ev)
				o.send(echo, ev, s.events)
			}
		}
		var ev *soakEvent
		if poison && n == s.length/2 && s.above {
			ev = s.poison(n)
		} else {
			ev = s.next(n)
			o.forgets(s, ev)
		}
		s.events = append(s.events, ev)
		o.send(s.rng, ev, s.events)
		if s.rng.IntN(40) == 0 {
			o.send(s.rng, loneAlert(s, n), nil)
		}
		pause := time.NewTimer(time.Duration(s.rng.ExpFloat64() * float64(o.plan.eventGap)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// hears keeps what TigerOps has taken over from incident.io, to say it again as one does whose webhooks tell of every
// change.
func (o *tigerOps) hears(c change) {
	inc := o.heard[c.TigerOps]
	if inc == nil {
		inc = make(map[string]any)
	}
	switch c.Type {
	case "incident.severity_changed":
		inc["severity"] = c.after("severity")
	case "incident.status_changed", "incident.acknowledged", "incident.reopened":
		if c.after("category") != simulator.CategoryLive {
			return
		}
		inc["status"] = c.after("status")
	case "incident.role_assigned":
		responsible(inc, c.after("name"), c.after("email"))
	default:
		return
	}
	o.heard[c.TigerOps] = inc
}

// forgets drops what TigerOps has heard and an event of its own has overtaken.
func (o *tigerOps) forgets(s *story, ev *soakEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	heard := o.heard[s.key]
	for name := range heard {
		if bytes.Contains(ev.payload, []byte(`"`+name+`":`)) {
			delete(heard, name)
		}
	}
	if ev.kind == "incident.resolved" || ev.kind == "incident.reopened" || ev.kind == "incident.acknowledged" {
		delete(heard, "status")
	}
}

// repeats is what TigerOps has heard and says again now, nil if it has heard nothing or keeps it to itself a while
// longer. That something goes on there is nothing to say once it has resolved it itself.
func (o *tigerOps) repeats(s *story, rng *rand.Rand) map[string]any {
	o.mu.Lock()
	defer o.mu.Unlock()
	heard := o.heard[s.key]
	if !s.open {
		delete(heard, "status")
	}
	if len(heard) == 0 || rng.IntN(2) == 0 {
		return nil
	}
	delete(o.heard, s.key)
	o.said++
	return heard
}

// sayAgain is an event before the nth of the story that says what TigerOps heard.
func (s *story) sayAgain(n int, inc map[string]any) *soakEvent {
	ev := &soakEvent{id: fmt.Sprintf("%s-H%03d", s.key, n), kind: "incident.updated", story: s, at: time.Now()}
	inc["id"] = s.key
	ev.write(map[string]any{"incident": inc})
	return ev
}

// loneAlert is an event that belongs to no incident.
func loneAlert(s *story, n int) *soakEvent {
	ev := &soakEvent{id: fmt.Sprintf("%s-L%03d", s.key, n), kind: "slo.breached", at: time.Now()}
	ev.write(map[string]any{"incident": map[string]any{"severity": "warning"}, "step": map[string]any{"kind": "slo", "title": "Budget " + ev.id}})
	return ev
}

// write makes the payload.
func (e *soakEvent) write(more map[string]any) {
	more["id"], more["type"], more["timestamp"] = e.id, e.kind, e.at.UTC().Format("2006-01-02T15:04:05.000Z")
	b, err := json.Marshal(more)
	if err != nil {
		panic(err)
	}
	e.payload = b
}

// poison is an event that the SQL door takes, and that nobody can make sense of.
func (s *story) poison(n int) *soakEvent {
	s.poisoned = true
	ev := &soakEvent{id: fmt.Sprintf("%s-E%03d", s.key, n), kind: "incident.updated", story: s, at: time.Now(), bySQL: true, poison: true}
	ev.write(map[string]any{"incident": map[string]any{"id": s.key, "impacted_metrics": "many"}})
	return ev
}

var people = []struct{ name, email string }{
	{"Lisa", "lisa@example.com"}, {"Ada", "ada@example.com"}, {"Grace", "grace@example.com"}, {"Linus", "linus@example.com"},
}

// next is the nth event of the story.
func (s *story) next(n int) *soakEvent {
	ev := &soakEvent{id: fmt.Sprintf("%s-E%03d", s.key, n), story: s, at: time.Now(), want: make(map[string]int)}
	token := "token " + ev.id
	inc := map[string]any{"id": s.key}
	body := map[string]any{"incident": inc}
	who := people[s.rng.IntN(len(people))]
	actor := map[string]any{"name": who.name + " " + token, "email": who.email}
	pick := func(words ...string) string { return words[s.rng.IntN(len(words))] }
	severity := func(to string) {
		inc["severity"] = to
		s.above = s.above || s.open && to != "info"
	}
	kind := ""
	switch {
	case n == 0:
		kind = "incident.created"
	case !s.above && s.open && n == 4 && s.rng.IntN(2) == 0:
		kind = "incident.updated" // it rises
		severity("critical")
	case !s.above && s.open && n == s.length-1:
		kind = "incident.resolved"
	case !s.above:
		kind = "investigation.step"
	case s.open:
		kind = weighted(s.rng, map[string]int{
			"investigation.step": 30, "runbook.action": 14, "incident.updated": 22, "incident.acknowledged": 5, "incident.escalated": 2,
			"anomaly.detected": 3, "slo.breached": 2, "incident.resolved": 5, "incident.commented": 2,
		})
	default:
		kind = weighted(s.rng, map[string]int{
			"investigation.step": 3, "runbook.action": 2, "incident.updated": 3, "postmortem.ready": 5, "incident.reopened": 4, "incident.commented": 1,
		})
	}
	ev.kind = kind
	switch kind {
	case "incident.created":
		s.open = true
		inc["title"], inc["ai_summary"] = "Incident "+s.key, "summary "+ev.id
		inc["affected_services"] = []string{pick("api-gateway", "checkout", "search")}
		word := pick("warning", "critical", "critical", "warning", "critical", "info")
		if s.shared {
			word, inc["affected_services"] = "critical", []string{sharedService}
		}
		severity(word)
		if s.rng.IntN(2) == 0 {
			inc["team"] = "payments"
		}
		if s.rng.IntN(2) == 0 {
			responsible(inc, who.name, who.email)
		}
	case "incident.updated":
		if len(inc) == 1 && s.rng.IntN(2) == 0 {
			severity(pick("info", "warning", "critical"))
		}
		if s.rng.IntN(3) == 0 {
			inc["ai_summary"] = "summary " + ev.id
		}
		if s.rng.IntN(4) == 0 {
			inc["title"] = "Incident " + s.key + " as of " + ev.id
		}
		if s.rng.IntN(4) == 0 {
			inc["deployment"] = map[string]any{"sha": strings.ToLower(ev.id)}
		}
		if s.rng.IntN(5) == 0 {
			responsible(inc, who.name, who.email)
		}
		if s.open && s.rng.IntN(5) == 0 {
			inc["status"] = pick("investigating", "mitigated")
		}
	case "incident.acknowledged":
		body["actor"] = actor
		ev.want["update"] = 1
	case "incident.escalated":
		body["actor"] = actor
		inc["team"] = "payments"
		ev.want["update"], ev.want["escalation"] = 1, 1
	case "incident.resolved":
		s.open = false
		body["actor"] = actor
		ev.want["update or timeline"], ev.most = 1, true // people may have closed it before
	case "incident.reopened":
		s.open, s.actions, s.status, s.posts = true, nil, make(map[string]string), 0
		body["actor"] = actor
		severity(pick("warning", "critical"))
		ev.want["update"], ev.most = 1, true // or it is declared anew
	case "runbook.action":
		name, status := "Action "+ev.id, "running"
		if len(s.actions) > 0 && s.rng.IntN(2) == 0 {
			name, status = s.actions[s.rng.IntN(len(s.actions))], pick("running", "succeeded", "failed")
		}
		was, known := s.status[name]
		switch {
		case !known:
			s.actions = append(s.actions, name)
			ev.want["action"] = 1
		case was != status:
			ev.want["timeline"] = 1
		}
		s.status[name] = status
		body["action"] = map[string]any{"title": name, "status": status, "detail": token}
	case "postmortem.ready":
		ev.want["document"] = 1
		if s.posts++; s.posts > 1 {
			ev.want = map[string]int{"timeline": 1}
		}
		post := map[string]any{"timeline_summary": token, "contributing_factors": []string{"disk"}}
		var items []map[string]any
		for i := range s.rng.IntN(3) {
			items = append(items, map[string]any{"title": fmt.Sprintf("Follow-up %d of %s", i, ev.id), "detail": token})
		}
		if ev.want["follow_up"] = len(items); len(items) > 0 {
			post["action_items"] = items
		}
		body["postmortem"] = post
	case "incident.commented": // nobody knows that type
		ev.skipped = true
	default: // investigation.step, anomaly.detected, slo.breached
		body["step"] = map[string]any{"kind": pick("note", "root_cause_identified", "remediation_executed"), "title": "Step " + ev.id, "detail": token}
		ev.want["timeline"] = 1
	}
	if !s.above {
		ev.skipped = true
	}
	if ev.skipped {
		ev.want = nil
	}
	if kind == "incident.updated" && s.rng.IntN(6) == 0 && inc["responders"] == nil && inc["deployment"] == nil {
		delete(body, "incident") // as the template of a webhook writes it
		for k, v := range inc {
			body[k] = v
		}
		delete(body, "id")
		body["incident_id"] = s.key
	}
	ev.write(body)
	return ev
}

func responsible(inc map[string]any, name, email string) {
	inc["responders"] = []map[string]any{{"role": "owner", "name": name, "email": email}}
}

// weighted picks a word by its weight; the words' order does not matter.
func weighted(rng *rand.Rand, weights map[string]int) string {
	sum := 0
	for _, w := range sortedKeys(weights) {
		sum += weights[w]
	}
	n := rng.IntN(sum)
	for _, w := range sortedKeys(weights) {
		if n -= weights[w]; n < 0 {
			return w
		}
	}
	panic("no words")
}

// send sends an event until it is accepted, through one door or another. Now and then it sends it again all the same.
func (o *tigerOps) send(rng *rand.Rand, ev *soakEvent, before []*soakEvent) {
	again := time.NewTicker(25 * time.Millisecond)
	defer again.Stop()
	if d := o.faults.deathBy(ev.id); d != nil && o.soak.storm.Err() == nil {
		o.deaths <- *d
	}
	door := rng.IntN(10)
	batch := ev.payload
	if door == 1 && len(before) > 1 { // the one before comes along once more
		if last := before[len(before)-2]; !last.bySQL {
			batch = bytes.Join([][]byte{last.payload, ev.payload}, []byte("\n"))
			o.count(&o.repeated)
		}
	}
	for first := true; ; first = false {
		var err error
		if ev.bySQL || door < 1 {
			_, err = o.agent.database().ExecContext(o.whole, "INSERT INTO outbox(payload) VALUES (?)", string(ev.payload))
		} else {
			err = o.agent.post(o.whole, batch)
		}
		if err == nil {
			break
		}
		if o.whole.Err() != nil {
			o.Errorf("event %s was never accepted: %v", ev.id, err)
			return
		}
		if !first {
			o.count(&o.resent)
		}
		<-again.C
	}
	ev.accepted = time.Now()
	select {
	case o.beats <- struct{}{}:
	case <-o.soak.storm.Done():
	}
	o.mu.Lock()
	o.events[ev.id] = ev
	o.mu.Unlock()
	if rng.IntN(12) == 0 && !ev.bySQL {
		if o.agent.post(o.whole, ev.payload) == nil {
			o.count(&o.repeated)
		}
	}
}

// parked are the stories of which something is set aside.
func (o *tigerOps) parked() (all []*story) {
	keys := o.agent.rows("SELECT DISTINCT incident_key FROM outbox WHERE state = 'pending' AND parked = 1")
	for _, st := range o.stories {
		if slices.Contains(keys, st.key) {
			all = append(all, st)
		}
	}
	return all
}

// resolveParked resolves the incidents of which something is set aside: nobody will make one of their alerts any more.
func (o *tigerOps) resolveParked() {
	for _, st := range o.parked() {
		st.open = false
		ev := &soakEvent{
			id: fmt.Sprintf("%s-E%03d", st.key, len(st.events)+100), kind: "incident.resolved", story: st, at: time.Now(),
			want: map[string]int{"update or timeline": 1}, most: true,
		}
		ev.write(map[string]any{"incident": map[string]any{"id": st.key}, "actor": map[string]any{"name": "token " + ev.id}})
		st.events = append(st.events, ev)
		o.send(st.rng, ev, st.events)
	}
}

func (o *tigerOps) count(n *int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	*n++
}

// take takes what is in the inbox, once, by SQL or over HTTP.
func (o *tigerOps) take(ctx context.Context, rng *rand.Rand) {
	if rng.IntN(2) == 0 {
		pending, err := o.agent.query("SELECT payload FROM inbox WHERE state = 'pending' ORDER BY id LIMIT 50")
		if err != nil {
			o.Errorf("read the inbox: %v", err)
		}
		for _, payload := range pending {
			c := o.took([]byte(payload))
			if _, err := o.agent.database().ExecContext(ctx, "UPDATE inbox SET state = 'applied' WHERE id = ?", c.Row); err != nil {
				return
			}
			o.applied(c)
		}
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, localURL+"/v1/inbox?limit=50&wait=200ms", nil)
	if err != nil {
		panic(err)
	}
	resp, err := o.agent.local.Do(req)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }()
	var list struct {
		Changes []json.RawMessage `json:"changes"`
	}
	if json.NewDecoder(resp.Body).Decode(&list) != nil {
		return // it was killed while it answered
	}
	for _, payload := range list.Changes {
		c := o.took(payload)
		resp, err := o.agent.local.Post(fmt.Sprintf("%s/v1/inbox/%d/ack", localURL, c.Row), "application/json", nil)
		if err != nil {
			return
		}
		_ = resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			return
		}
		o.applied(c)
	}
}

func (o *tigerOps) took(payload []byte) change {
	var c change
	decode(o, payload, &c)
	return c
}

func (o *tigerOps) applied(c change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.Taken = time.Now()
	o.taken = append(o.taken, c)
	o.hears(c)
}

// person is who does something in incident.io.
func (s *soak) person(rng *rand.Rand) *simulator.Person {
	return s.sim.As(people[rng.IntN(len(people))].email)
}
