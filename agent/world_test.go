package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

const (
	lisa  = "lisa@example.com"
	ada   = "ada@example.com"
	grace = "grace@example.com"
)

// world is an agent whose loops a test turns by hand, on a real database, with the simulator as incident.io. Webhooks
// are not sent: a test hands them over in whatever order it likes.
type world struct {
	testing.TB
	ctx   context.Context
	sim   *simulator.Simulator
	a     *Agent
	path  string
	taken int   // webhooks handed out so far
	last  int64 // id of the last inbox row that rows gave
}

// worldOptions are what a test changes of the defaults.
type worldOptions struct {
	sim    func(*simulator.Options)
	config func(*Config)
	agent  func(*Options)
}

func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	so := simulator.Options{Limits: simulator.NoLimits}
	if o.sim != nil {
		o.sim(&so)
	}
	w := &world{TB: t, ctx: t.Context(), sim: simulator.New(so), path: filepath.Join(t.TempDir(), "agent.db")}
	t.Cleanup(func() { _ = w.sim.Close(context.Background()) })
	c := Default()
	c.APIKey = NewSecret(simulator.DefaultKey)
	c.DB, c.WebhookAddr, c.LocalAddr = w.path, "127.0.0.1:0", "127.0.0.1:0"
	c.WebhookSecrets = []Secret{NewSecret("whsec_" + strings.Repeat("QUFB", 8))}
	c.RateLimit = 1_000_000
	if o.config != nil {
		o.config(&c)
	}
	ao := Options{Config: c, Version: "test", HTTP: &http.Client{Transport: w.sim}, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if o.agent != nil {
		o.agent(&ao)
	}
	var err error
	if w.a, err = New(w.ctx, ao); err != nil {
		t.Fatalf("make the agent: %v", err)
	}
	w.a.in.quietFor = 0 // a test's webhook is looked at when the test says so
	t.Cleanup(func() {
		if err := w.a.Close(); err != nil && w.a != nil {
			t.Errorf("close the agent: %v", err)
		}
	})
	return w
}

// ok fails the test on an error.
func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// must is ok for functions that give a value too.
func must[T any](v T, err error) func(w *world) T {
	return func(w *world) T {
		w.Helper()
		w.ok(err)
		return v
	}
}

// state is what TigerOps has told of an incident.
func (w *world) state(id, severity, status string) mapping.State {
	return mapping.State{Open: true, Incident: mapping.Incident{ID: id, Title: "Checkout is slow", Severity: severity, Status: status}}
}

// tie makes an incident in incident.io that is tied to a TigerOps incident as if the agent had declared it, and lets the
// first look pass. It returns the reference and the id.
func (w *world) tie(id string) (ref, incidentID string) {
	w.Helper()
	ref = must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "Checkout is slow", Severity: "SEV1"}))(w)
	incidentID = w.tieTo(id, ref, originDeclared)
	w.sweep()
	w.drop()
	w.rows()
	return ref, incidentID
}

// tieTo ties a TigerOps incident to an incident as it is now.
func (w *world) tieTo(id, ref, origin string) (incidentID string) {
	w.Helper()
	view := must(w.sim.Incident(ref))(w)
	remote, r := w.a.fetchIncident(w.ctx, view.ID, true)
	if !r.OK() {
		w.Fatal(r)
	}
	s := w.state(id, "critical", "investigating")
	c := must(w.a.tied(remote, id, origin, "delivery", s, mapping.Pushed{Severity: "critical", Status: "investigating"}))(w)
	c.Incident = &store.IncidentState{TigerOpsID: id, State: must(json.Marshal(s))(w)}
	must(w.a.st.Commit(w.ctx, c))(w)
	return view.ID
}

// hooks takes the webhooks that incident.io has for us since the last time.
func (w *world) hooks() []simulator.Webhook {
	all := w.sim.Webhooks()
	fresh := all[w.taken:]
	w.taken = len(all)
	return fresh
}

// drop loses the webhooks.
func (w *world) drop() { w.hooks() }

// receive stores webhooks as the receiver does; every second one is then read from the table.
func (w *world) receive(hooks ...simulator.Webhook) {
	w.Helper()
	door := w.a.edges.hookDoor()
	for i, h := range hooks {
		if i%2 == 0 {
			must(door.Accept(w.ctx, h.ID, []byte(h.Body)))(w)
		} else { // as after a restart: what the door remembered is gone
			must(w.a.st.InsertWebhook(w.ctx, h.ID, []byte(h.Body)))(w)
		}
	}
}

// pull hands over all new webhooks and settles them.
func (w *world) pull() {
	w.Helper()
	w.receive(w.hooks()...)
	must(w.a.pullOnce(w.ctx))(w)
}

func (w *world) sweep() {
	w.Helper()
	w.ok(w.a.sweepOnce(w.ctx))
}

// row is an inbox row as a consumer sees it.
type row struct {
	ID       int64          `json:"id"`
	Key      string         `json:"key"`
	Type     string         `json:"type"`
	TigerOps string         `json:"tigerops_incident_id"`
	Incident mapping.Ref    `json:"incident"`
	Before   map[string]any `json:"before"`
	After    map[string]any `json:"after"`
	Actor    *mapping.Actor `json:"actor"`
	Message  string         `json:"message"`
	At       string         `json:"occurred_at"`
	Source   string         `json:"source"`
}

// String is the row's type and what it came to.
func (r row) String() string { return fmt.Sprintf("%s %s %v", r.Type, r.TigerOps, r.After) }

// rows are the inbox rows since the last time.
func (w *world) rows() []row {
	w.Helper()
	var out []row
	for _, e := range must(w.a.st.Inbox(w.ctx, store.InboxQuery{After: w.last, Limit: 10_000}))(w) {
		var r row
		w.ok(json.Unmarshal(e.Payload, &r))
		out = append(out, r)
		w.last = e.ID
	}
	return out
}

func types(rows []row) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.Type)
	}
	return all
}

// wantTypes fails unless the rows are of these types, in order.
func (w *world) wantTypes(rows []row, want ...string) {
	w.Helper()
	if got := types(rows); !slices.Equal(got, want) {
		w.Fatalf("changes: got %v, want %v\n%v", got, want, rows)
	}
}

// hookStates counts the webhooks' rows by state.
func (w *world) hookStates() map[string]int {
	w.Helper()
	s := must(w.a.st.Status(w.ctx))(w)
	return map[string]int{"pending": s.WebhooksPending, "failed": s.WebhooksFailed}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// metric is the value of a sample as GET /metrics gives it, by its name without the prefix, and its labels if it has any.
func (w *world) metric(sample string) string {
	w.Helper()
	answer := httptest.NewRecorder()
	w.a.m.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if value, ok := strings.CutPrefix(line, metricPrefix+sample+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	w.Fatalf("no sample %s in the metrics", sample)
	return ""
}
