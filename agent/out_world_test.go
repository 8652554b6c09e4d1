package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// The tests named TestOut… show the way out line by line: events go in through the running agent's own door, and what
// they come to is looked up in the simulated incident.io, in the inbox and in the outbox.

// m is a JSON object.
type m = map[string]any

// newRunning is a world whose agent runs; a sweep beside the first comes when a test asks for one.
func newRunning(t testing.TB, o worldOptions) *world {
	t.Helper()
	w := newWorld(t, quick(o))
	w.start()
	return w
}

// quick makes waits short.
func quick(o worldOptions) worldOptions {
	config := o.config
	o.config = func(c *Config) {
		c.BackoffInitial, c.BackoffMax = 10*time.Millisecond, 100*time.Millisecond
		c.AlertRouteWait = 0
		if config != nil {
			config(c)
		}
	}
	return o
}

// rules is worldOptions with changed rules.
func rules(change func(*mapping.Rules)) worldOptions {
	return worldOptions{config: func(c *Config) { change(&c.Rules) }}
}

// alerting gives the agent the account's alert source.
func alerting(c *Config) {
	c.AlertSource = AlertSource{ID: simulator.DefaultAlertSourceID, Token: NewSecret(simulator.DefaultAlertSourceToken)}
	c.Rules.AlertSource = simulator.DefaultAlertSourceID
}

var events atomic.Int64

// event is an event of TIG-1 under an id of its own. Parts are merged into it, those named incident into its incident.
func event(kind string, parts ...m) m {
	e := m{"id": fmt.Sprintf("evt-%d", events.Add(1)), "type": kind, "incident": m{"id": "TIG-1"}}
	for _, p := range parts {
		for k, v := range p {
			if inc, ok := v.(m); ok && k == "incident" {
				maps.Copy(e["incident"].(m), inc)
			} else {
				e[k] = v
			}
		}
	}
	return e
}

// created is the first event of a critical incident.
func created(incident m, parts ...m) m {
	first := m{"incident": m{"title": "Checkout is slow", "severity": "critical", "status": "open"}}
	return event(mapping.IncidentCreated, append([]m{first, {"incident": incident}}, parts...)...)
}

// updated is an update that carries only what changed.
func updated(incident m) m { return event(mapping.IncidentUpdated, m{"incident": incident}) }

// step is a step of the investigation.
func step(kind, title string, parts ...m) m {
	return event(mapping.InvestigationStep, append([]m{{"step": m{"kind": kind, "title": title}}}, parts...)...)
}

var byAda = m{"actor": m{"name": "Ada", "email": ada}}

// post hands events in by the local listener, which has them on disk when it answers.
func (w *world) post(list ...m) {
	w.Helper()
	body := must(json.Marshal(list))(w)
	resp := must(http.Post("http://"+w.a.edges.localAddr()+"/v1/events", "application/json", bytes.NewReader(body)))(w)
	defer resp.Body.Close()
	answer := must(io.ReadAll(resp.Body))(w)
	if resp.StatusCode != http.StatusAccepted {
		w.Fatalf("events in: got status %d, want 202: %s", resp.StatusCode, answer)
	}
}

// outbox is an event's row.
func (w *world) outbox(e m) store.Event {
	w.Helper()
	for _, row := range must(w.a.st.Outbox(w.ctx, store.OutboxQuery{Limit: 5_000}))(w) {
		if row.EventID == e["id"] {
			return row
		}
	}
	w.Fatalf("event %v is not in the outbox", e["id"])
	return store.Event{}
}

// ends waits until an event is in a state, and returns its row.
func (w *world) ends(e m, state string) (row store.Event) {
	w.Helper()
	eventually(w, fmt.Sprintf("event %v (%v) to be %s", e["id"], e["type"], state), func() bool {
		row = w.outbox(e)
		if row.State != state && row.State != store.Pending {
			w.Fatalf("event %v (%v): got %s (%s), want %s", e["id"], e["type"], row.State, row.Reason, state)
		}
		return row.State == state
	})
	return row
}

// says hands events in, waits until all are done, and returns the last one's row.
func (w *world) says(list ...m) (last store.Event) {
	w.Helper()
	w.post(list...)
	for _, e := range list {
		last = w.ends(e, store.Done)
	}
	return last
}

// parked waits until an event is set aside.
func (w *world) parked(e m) {
	w.Helper()
	eventually(w, fmt.Sprintf("event %v to be set aside", e["id"]), func() bool {
		row := w.outbox(e)
		return row.State == store.Pending && row.Parked
	})
}

// only is the one incident that there is in incident.io.
func (w *world) only() simulator.IncidentView {
	w.Helper()
	all := w.sim.Snapshot().Incidents
	if len(all) != 1 {
		w.Fatalf("incidents in incident.io: got %d, want 1", len(all))
	}
	return all[0]
}

// inc is an incident by its reference.
func (w *world) inc(ref string) simulator.IncidentView {
	w.Helper()
	return must(w.sim.Incident(ref))(w)
}

// swept makes the running agent sweep, and waits until it has.
func (w *world) swept() {
	w.Helper()
	from := w.a.now().Truncate(time.Millisecond)
	eventually(w, "a sweep", func() bool {
		poke(w.a.wakeSweep)
		return !must(w.a.st.Status(w.ctx))(w).LastSweep.Before(from)
	})
}

// setUp makes something in the account's settings by the API and returns its id.
func (w *world) setUp(path, name string, body m) string {
	w.Helper()
	return must(setUp(w.ctx, w.sim, path, name, body))(w)
}

func setUp(ctx context.Context, sim *simulator.Simulator, path, name string, body m) (string, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.incident.io"+path, bytes.NewReader(raw))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+simulator.DefaultKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := sim.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer map[string]json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", err
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(answer[name], &made); err != nil || made.ID == "" {
		return "", fmt.Errorf("POST %s: %d %s", path, resp.StatusCode, answer)
	}
	return made.ID, nil
}

// severityID is the id of a severity of the account.
func severityID(sim *simulator.Simulator, name string) string {
	for _, s := range sim.Account().Severities {
		if s.Name == name {
			return s.ID
		}
	}
	return ""
}

// statusID is the id of a status of the account.
func statusID(sim *simulator.Simulator, name string) string {
	for _, s := range sim.Account().Statuses {
		if s.Name == name {
			return s.ID
		}
	}
	return ""
}

// values are what a custom field of an incident holds, as people see it.
func values(v simulator.IncidentView, field string) []string {
	var out []string
	for _, e := range v.CustomFieldEntries {
		if e.CustomField.ID != field && e.CustomField.Name != field {
			continue
		}
		for _, val := range e.Values {
			switch {
			case val.Option != nil:
				out = append(out, val.Option.Value)
			case val.Entry != nil:
				out = append(out, val.Entry.Name)
			default:
				out = append(out, val.Text+val.Link+val.Numeric)
			}
		}
	}
	return out
}

// holder is the email of who holds a role of an incident, by the role's type or short form.
func holder(v simulator.IncidentView, role string) string {
	for _, r := range v.RoleAssignments {
		if (r.Role.RoleType == role || r.Role.Shortform == role) && r.Assignee != nil {
			return r.Assignee.Email
		}
	}
	return ""
}

// titles are those of an incident's timeline items, in the timeline's order.
func titles(v simulator.IncidentView) []string {
	var out []string
	for _, i := range v.Timeline {
		out = append(out, i.Title)
	}
	return out
}

// messages are those of an incident's updates that have one, oldest first.
func messages(v simulator.IncidentView) []string {
	var out []string
	for _, u := range v.Updates {
		if u.Message != "" {
			out = append(out, u.Message)
		}
	}
	return out
}

// on is the timeline item whose title holds a text.
func on(t testing.TB, v simulator.IncidentView, title string) simulator.TimelineItem {
	t.Helper()
	for _, i := range v.Timeline {
		if strings.Contains(i.Title, title) {
			return i
		}
	}
	t.Fatalf("timeline of %s: nothing with %q among %q", v.Reference, title, titles(v))
	return simulator.TimelineItem{}
}

// same fails unless two lists are equal.
func same[T comparable](t testing.TB, what string, got []T, want ...T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// is fails unless two values are equal.
func is[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// holds fails unless a text holds every part.
func holds(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s: got %q, want it to hold %q", what, text, p)
		}
	}
}

// runOnly runs the agent and leaves incident.io's webhooks where they go.
func (w *world) runOnly() {
	ctx, stop := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { done <- w.a.Run(ctx) }()
	w.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.Errorf("run: %v", err)
		}
	})
}
