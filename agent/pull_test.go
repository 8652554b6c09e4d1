package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// gets counts the requests to a path so far.
func (w *world) gets(path string) int {
	n := 0
	for _, r := range w.sim.Requests() {
		if r.Method == http.MethodGet && strings.HasPrefix(r.Path, path) {
			n++
		}
	}
	return n
}

func TestManyWebhooksOfAnIncidentAreOneFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ref, id := w.tie("TIG-1")
	for _, s := range []string{"Fixing", "Monitoring", "Investigating", "Fixing", "Monitoring"} {
		w.ok(w.sim.As(lisa).SetStatus(ref, s, ""))
	}
	before := w.gets("/v2/incidents/" + id)
	w.pull()
	if got, want := w.gets("/v2/incidents/"+id)-before, 1; got != want {
		t.Errorf("fetches of the incident: got %d, want %d", got, want)
	}
	w.wantTypes(w.rows(), "incident.status_changed")
}

func TestUntiedIncidents(t *testing.T) {
	t.Parallel()
	declare := func(w *world, in simulator.NewIncident) { must(w.sim.As(lisa).Declare(in))(w) }
	unlinked := worldOptions{config: func(c *Config) { c.Rules.PullUnlinked = true }}

	t.Run("are ignored without a request", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{})
		declare(w, simulator.NewIncident{Name: "Not ours"})
		before := len(w.sim.Requests())
		w.pull()
		w.wantTypes(w.rows())
		if got := len(w.sim.Requests()) - before; got != 0 {
			t.Errorf("requests: got %d, want none", got)
		}
		if n := w.hookStates()["pending"]; n != 0 {
			t.Errorf("pending webhooks: got %d, want none", n)
		}
	})
	t.Run("are told once with pull_unlinked", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, unlinked)
		declare(w, simulator.NewIncident{Name: "Not ours", Summary: "Somebody else's."})
		w.pull()
		rows := w.rows()
		w.wantTypes(rows, "incident.declared")
		if rows[0].TigerOps != "" || rows[0].Incident.Name != "Not ours" {
			t.Errorf("row: got %+v, want no TigerOps incident and the name", rows[0])
		}
		w.ok(w.sim.As(lisa).SetStatus("INC-1", "Fixing", ""))
		w.pull()
		w.sweep()
		w.wantTypes(w.rows())
	})
	t.Run("are told by the sweep with pull_unlinked", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, unlinked)
		declare(w, simulator.NewIncident{Name: "Not ours"})
		w.sweep()
		w.wantTypes(w.rows(), "incident.declared")
	})
	t.Run("of test mode are never told", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, unlinked)
		declare(w, simulator.NewIncident{Name: "Only a test", Mode: "test"})
		w.pull()
		w.sweep()
		w.wantTypes(w.rows())
	})
	t.Run("that were tied once are never told", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, unlinked)
		ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "Old one"}))(w)
		w.tieTo("TIG-1", ref, originAttached)
		w.sweep()
		w.rows()
		w.ok(w.sim.As(lisa).Close(ref, ""))
		w.pull()
		w.rows()
		link := must(w.a.st.Link(w.ctx, "TIG-1"))(w)
		must(w.a.st.Commit(w.ctx, store.Commit{Why: "reopen", Drop: link}))(w)
		w.ok(w.sim.As(lisa).EditSummary(ref, "A late word."))
		w.pull()
		w.sweep()
		w.wantTypes(w.rows())
	})
}

// The declaration's answer is not committed yet when the webhook of the incident that it made comes in.
func TestWebhookOfADeclarationUnderWayWaitsForItsTie(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) { c.Rules.PullUnlinked = true }})
	must(w.a.st.InsertEvents(w.ctx, [][]byte{[]byte(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Slow","severity":"critical"}}`)}))(w)
	plan := mapping.Plan(mapping.Input{
		Event: mapping.Event{ID: "e1", Type: mapping.IncidentCreated}, State: w.state("TIG-1", "critical", "open"),
		Directory: must(w.a.dir.get(w.ctx))(w), Rules: &w.a.cfg.Load().Rules,
	})
	if len(plan.Next) == 0 || plan.Next[0].Call != mapping.CreateIncident {
		t.Fatalf("plan: got %+v, want a declaration first", plan)
	}
	step := plan.Next[0]
	answer := w.a.io.Send(w.ctx, incidentio.Call{Method: step.Method, Path: step.Path, Body: step.Body})
	if !answer.OK() {
		t.Fatal(answer)
	}

	w.pull()
	w.wantTypes(w.rows())
	if n := w.hookStates()["pending"]; n == 0 {
		t.Fatal("the webhook of a declaration under way was not left waiting")
	}
	w.sweep()
	w.wantTypes(w.rows())

	i := must(incidentio.DecodeIncident(answer.Body))(w)
	w.tieTo("TIG-1", i.Reference, originDeclared)
	w.a.in.pullNow()
	must(w.a.pullOnce(w.ctx))(w)
	w.wantTypes(w.rows(), "incident.linked")
	if n := w.hookStates()["pending"]; n != 0 {
		t.Errorf("pending webhooks once it is tied: got %d, want none", n)
	}
}

func TestWebhooksOfOurOwnRequestsAreSettledTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ref, incidentID := w.tie("TIG-1")
	other, _ := w.tie("TIG-2")
	w.a.in.quietFor = time.Hour
	w.a.in.wrote(incidentID)
	w.ok(w.sim.As(lisa).SetStatus(ref, "Fixing", "I have a look."))
	w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", "That was it."))
	w.ok(w.sim.As(lisa).SetStatus(other, "Monitoring", "Here, too."))
	hooks := w.hooks()
	w.receive(hooks...)
	looks := func() int { return len(w.sim.Requests("GET /v2/incidents/" + incidentID)) }
	before := looks()

	must(w.a.pullOnce(w.ctx))(w)
	w.wantTypes(w.rows(), "incident.status_changed") // the other incident's
	is(t, "looks while more may follow", looks(), before)

	w.a.in.quietFor = 0
	w.a.in.pullNow()
	must(w.a.pullOnce(w.ctx))(w)
	w.wantTypes(w.rows(), "incident.message", "incident.status_changed")
	is(t, "looks for all of them", looks(), before+1)
	is(t, "webhooks left", w.hookStates()["pending"], 0)

	w.a.in.quietFor = time.Hour
	s := subject{about: aboutIncident, id: incidentID}
	if w.a.in.stillWriting(s, time.Now()) <= 0 || w.a.in.stillWriting(s, time.Now().Add(-quietAtMost-time.Second)) > 0 {
		t.Error("a webhook waits for as long as requests follow, but no longer than quietAtMost")
	}
	if w.a.in.stillWriting(s, time.Now().Add(time.Hour)) > 0 {
		t.Error("a webhook that came before the clock was set back waits")
	}
}

func TestPrivateIncidents(t *testing.T) {
	t.Parallel()
	t.Run("are fetched by the id that their webhook holds", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{})
		ref, _ := w.tie("TIG-1")
		w.ok(w.sim.As(lisa).MakePrivate(ref))
		w.pull()
		w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", "Quietly."))
		id := must(w.sim.As(lisa).CreateAction(ref, "Whisper"))(w)
		w.pull()
		rows := w.rows()
		w.wantTypes(rows, "incident.status_changed", "action.created")
		w.ok(w.sim.As(lisa).CompleteAction(id))
		w.pull()
		w.wantTypes(w.rows(), "action.updated")
	})
	t.Run("that the key may not see end failed, told once", func(t *testing.T) {
		t.Parallel()
		var told logged
		w := newWorld(t, worldOptions{agent: func(o *Options) { o.Log = told.logger() }})
		_, id := w.tie("TIG-1")
		must(w.sim.Break(simulator.Fault{Method: http.MethodGet, Path: "/v2/incidents/" + id, Kind: simulator.Missing}))(w)
		for _, hook := range []string{"h1", "h2", "h3"} {
			must(w.a.st.InsertWebhook(w.ctx, hook, []byte(`{"event_type":"private_incident.incident_updated_v2","private_incident.incident_updated_v2":{"id":"`+id+`"}}`)))(w)
			must(w.a.pullOnce(w.ctx))(w)
		}
		for _, s := range must(w.a.st.Stuck(w.ctx))(w) {
			if s.Kind == "webhook" && !strings.Contains(s.Why, "does not show it to the API key") {
				t.Errorf("stuck: got %q, want it to say that the key does not see it", s.Why)
			}
		}
		if got := w.hookStates(); got["failed"] != 3 || got["pending"] != 0 {
			t.Errorf("webhooks: got %v, want 3 failed", got)
		}
		if got := told.count("a webhook's subject can't be read"); got != 1 {
			t.Errorf("log lines: got %d, want 1", got)
		}
		w.wantTypes(w.rows())
	})
}

func TestAlertResolvedByPeople(t *testing.T) {
	t.Parallel()
	fire := func(w *world, tied bool) (ref string) {
		w.Helper()
		key := mapping.AlertKey("TIG-1", "")
		body := must(json.Marshal(map[string]string{"title": "Slow", "status": "firing", "deduplication_key": key}))(w)
		r := w.a.io.Send(w.ctx, incidentio.Call{
			Method: http.MethodPost, Path: "/v2/alert_events/http/" + simulator.DefaultAlertSourceID, Body: body, Token: simulator.DefaultAlertSourceToken,
		})
		if !r.OK() {
			w.Fatal(r)
		}
		if tied {
			ref, _ = w.tie("TIG-1")
		} else {
			s := w.state("TIG-1", "critical", "open")
			must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Incident: &store.IncidentState{TigerOpsID: "TIG-1", State: must(json.Marshal(s))(w)}}))(w)
		}
		must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Alert: &store.Alert{TigerOpsID: "TIG-1", Key: key, State: store.AlertFired}}))(w)
		w.pull()
		return ref
	}
	for name, tied := range map[string]bool{"of a tied incident": true, "of an incident without a tie": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{})
			fire(w, tied)
			w.ok(w.sim.As(lisa).ResolveAlert(mapping.AlertKey("TIG-1", "")))
			w.pull()
			rows := w.rows()
			w.wantTypes(rows, "alert.resolved")
			if rows[0].TigerOps != "TIG-1" {
				t.Errorf("TigerOps incident: got %q, want TIG-1", rows[0].TigerOps)
			}
			if got := must(w.a.st.Alert(w.ctx, "TIG-1", ""))(w); got.State != store.AlertResolved || got.AlertID == "" {
				t.Errorf("the alert's row: got %+v, want resolved, with incident.io's id", got)
			}
			w.receive(w.sim.Webhooks()...)
			w.pull()
			w.wantTypes(w.rows())
		})
	}
	t.Run("not told when TigerOps resolved it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{})
		fire(w, true)
		row := must(w.a.st.Alert(w.ctx, "TIG-1", ""))(w)
		row.State = store.AlertResolved
		must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Alert: row}))(w)
		w.ok(w.sim.As(lisa).ResolveAlert(row.Key))
		w.pull()
		w.wantTypes(w.rows())
	})
	t.Run("a stranger's alert is no request", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{})
		must(w.a.st.InsertWebhook(w.ctx, "h1", []byte(`{"event_type":"public_alert.alert_resolved_v1","public_alert.alert_resolved_v1":{"id":"A","deduplication_key":"not-ours"}}`)))(w)
		before := len(w.sim.Requests())
		must(w.a.pullOnce(w.ctx))(w)
		if got := len(w.sim.Requests()) - before; got != 0 {
			t.Errorf("requests: got %d, want none", got)
		}
	})
}

// routing is an agent that leaves the declaring to alert routes.
func routing(c *Config) {
	c.AlertSource = AlertSource{ID: simulator.DefaultAlertSourceID, Token: NewSecret(simulator.DefaultAlertSourceToken)}
	c.Rules.AlertSource, c.Rules.AutoDeclare = simulator.DefaultAlertSourceID, false
}

// fired sends TIG-1's alert and notes it as delivery does. It returns the deduplication key.
func (w *world) fired() (key string) {
	w.Helper()
	key = mapping.AlertKey("TIG-1", "")
	body := must(json.Marshal(map[string]string{"title": "Slow", "status": "firing", "deduplication_key": key}))(w)
	r := w.a.io.Send(w.ctx, incidentio.Call{
		Method: http.MethodPost, Path: "/v2/alert_events/http/" + simulator.DefaultAlertSourceID, Body: body, Token: simulator.DefaultAlertSourceToken,
	})
	if !r.OK() {
		w.Fatal(r)
	}
	s := w.state("TIG-1", "critical", "open")
	must(w.a.st.Commit(w.ctx, store.Commit{
		Why: "test", Incident: &store.IncidentState{TigerOpsID: "TIG-1", State: must(json.Marshal(s))(w)},
		Alert: &store.Alert{TigerOpsID: "TIG-1", Key: key, State: store.AlertFired},
	}))(w)
	return key
}

func TestLateAlertRoute(t *testing.T) {
	t.Parallel()
	for name, hear := range map[string]func(*world){
		"told by a webhook":  (*world).pull,
		"found by the sweep": func(w *world) { w.drop(); w.sweep() },
	} {
		t.Run("ties, "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{config: routing})
			key := w.fired()
			ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "By a route"}))(w)
			w.ok(w.sim.As(lisa).AttachAlert(ref, key))
			hear(w)
			rows := w.rows()
			w.wantTypes(rows, "incident.linked")
			if got := rows[0].After["origin"]; got != "alert_route" {
				t.Errorf("origin: got %v, want alert_route", got)
			}
			link := must(w.a.st.Link(w.ctx, "TIG-1"))(w)
			if link == nil || link.Reference != ref {
				t.Errorf("link: got %+v, want %s", link, ref)
			}
		})
		t.Run("ties for the life whose alert it is, though TigerOps has begun another, "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{config: routing})
			key := w.fired()
			s := w.state("TIG-1", "critical", "investigating")
			s.Generation = "evt-reopened"
			must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Incident: &store.IncidentState{TigerOpsID: "TIG-1", State: must(json.Marshal(s))(w)}}))(w)
			ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "By a route"}))(w)
			w.ok(w.sim.As(lisa).AttachAlert(ref, key))
			hear(w)
			is(t, "generation", must(w.a.st.Link(w.ctx, "TIG-1"))(w).Generation, "")
		})
		t.Run("makes a second incident, which is reported once, "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{config: routing})
			key := w.fired()
			own, _ := w.tie("TIG-1")
			ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "By a route"}))(w)
			w.ok(w.sim.As(lisa).AttachAlert(ref, key))
			hear(w)
			rows := w.rows()
			w.wantTypes(rows, "incident.linked")
			if rows[0].Incident.Reference != ref || rows[0].TigerOps != "TIG-1" || !strings.Contains(rows[0].Message, own) {
				t.Errorf("row: got %+v, want the second incident, with the first one named", rows[0])
			}
			w.ok(w.sim.As(lisa).SetStatus(ref, "Fixing", ""))
			hear(w)
			w.wantTypes(w.rows())
			if link := must(w.a.st.Link(w.ctx, "TIG-1"))(w); link.Reference != own {
				t.Errorf("tie: got %s, want it to stay %s", link.Reference, own)
			}
		})
	}
	t.Run("that brings the alert a moment after the incident", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, worldOptions{config: routing})
		key := w.fired()
		ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "By a route"}))(w)
		w.pull()
		w.wantTypes(w.rows())
		w.ok(w.sim.As(lisa).AttachAlert(ref, key))
		w.a.in.pullNow()
		w.pull()
		w.wantTypes(w.rows(), "incident.linked")
	})
}

func TestWhileIncidentIOIsAwayWebhooksWait(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.Fault{
		"outage":       {Kind: simulator.Outage},
		"errors":       {Path: "/v2/**", Kind: simulator.StatusCode, Status: 503},
		"throttled":    {Path: "/v2/**", Kind: simulator.Throttle, Delay: 10 * time.Millisecond},
		"key refused":  {Kind: simulator.RefuseKey},
		"role refused": {Path: "/v2/**", Kind: simulator.RefuseRole},
		"cut off":      {Path: "/v2/**", Kind: simulator.Cut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{config: func(c *Config) { c.BackoffInitial, c.BackoffMax = time.Millisecond, 2*time.Millisecond }})
			ref, _ := w.tie("TIG-1")
			w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", ""))
			fid := must(w.sim.Break(fault))(w)
			w.receive(w.hooks()...)
			for range 3 {
				w.a.in.pullNow()
				must(w.a.pullOnce(w.ctx))(w)
			}
			w.wantTypes(w.rows())
			if got := w.hookStates(); got["pending"] == 0 || got["failed"] != 0 {
				t.Fatalf("webhooks while it is away: got %v, want all pending", got)
			}
			for _, h := range must(w.a.st.Webhooks(w.ctx, must(w.a.st.WaitingWebhooks(w.ctx, 1))(w)...))(w) {
				if own := name == "errors" || name == "cut off" || name == "role refused"; (h.Attempts > 0) != own {
					t.Errorf("attempts charged to the webhook: got %d", h.Attempts)
				}
			}
			w.sim.Mend(fid)
			eventually(t, "incident.io is usable again", func() bool { return w.a.up.check(w.ctx) })
			eventually(t, "the webhooks are settled", func() bool {
				w.a.in.pullNow()
				must(w.a.pullOnce(w.ctx))(w)
				return w.hookStates()["pending"] == 0
			})
			w.wantTypes(w.rows(), "incident.status_changed")
			if why := w.a.notReady(); len(why) > 0 {
				t.Errorf("afterwards: not ready: %v", why)
			}
		})
	}
}

func TestAWebhookThatWaitsIsReadOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) { c.BackoffInitial, c.BackoffMax = time.Millisecond, 2*time.Millisecond }})
	ref, id := w.tie("TIG-1")
	fault := must(w.sim.Break(simulator.Fault{Path: "/v2/incidents/" + id, Kind: simulator.StatusCode, Status: 500}))(w)
	w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", ""))
	w.receive(w.hooks()...)
	must(w.a.pullOnce(w.ctx))(w)
	before := w.a.in.hooks
	w.a.in.pullNow()
	must(w.a.pullOnce(w.ctx))(w)
	if len(before) == 0 || !maps.Equal(before, w.a.in.hooks) {
		t.Errorf("%d webhooks wait, and %d of them, read anew, after another turn", len(before), len(w.a.in.hooks))
	}
	for _, h := range before {
		if h.Body != nil || h.subject.id != id || h.EventType == "" {
			t.Errorf("kept of a webhook: %+v", h)
		}
	}
	w.sim.Mend(fault)
	eventually(t, "the webhooks are settled and forgotten", func() bool {
		w.a.in.pullNow()
		must(w.a.pullOnce(w.ctx))(w)
		return len(w.a.in.hooks) == 0
	})
	w.wantTypes(w.rows(), "incident.status_changed")
}

func TestOfManyWebhooksThatWaitEachIsReadOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	const n = 3 * pullRead
	for i := range n {
		body := fmt.Sprintf(`{"event_type":"public_incident.incident_updated_v2","public_incident.incident_updated_v2":{"id":"01X%d"}}`, i)
		_, err := w.a.st.InsertWebhook(w.ctx, fmt.Sprintf("msg_%d", i), []byte(body))
		w.ok(err)
	}
	must(w.a.waitingHooks(w.ctx, 2*n))(w)
	before := w.a.in.hooks
	if got := must(w.a.waitingHooks(w.ctx, n/3))(w); len(got) != n/3 {
		t.Errorf("the oldest %d webhooks: got %d", n/3, len(got))
	}
	must(w.a.waitingHooks(w.ctx, 2*n))(w)
	if len(before) != n || !maps.Equal(before, w.a.in.hooks) {
		t.Errorf("of %d webhooks that wait, some of %d were read anew once a shorter list had been looked through", len(before), len(w.a.in.hooks))
	}
}

// What the door remembers is what the table would tell, and what it has forgotten is read there.
func TestWebhookThatCameThroughTheDoorIsNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	body := []byte(`{"event_type":"public_incident.incident_updated_v2","public_incident.incident_updated_v2":{"id":"01X","summary":"Nobody's."}}`)
	var came []*hook
	for i := range 3 {
		stored := must(w.a.st.InsertWebhook(w.ctx, fmt.Sprintf("msg_%d", i), body))(w)
		came = append(came, readHook(*stored, body))
	}
	_, err := w.a.st.Commit(w.ctx, store.Commit{Webhooks: []store.WebhookEnd{{Seqs: []int64{came[1].Seq}, State: store.WebhookDone}}})
	w.ok(err)
	w.a.in.hookCame(came[0])
	w.a.in.hookCame(came[1])
	got := must(w.a.waitingHooks(w.ctx, 10))(w)
	if len(got) != 2 || got[0] != came[0] || got[1] == came[2] {
		t.Fatalf("waiting: got %v, want the first as it came, and the third from the table", got)
	}
	if !reflect.DeepEqual(*got[1], *came[2]) {
		t.Errorf("the third from the table is %+v, and as it came %+v", *got[1], *came[2])
	}
	if len(w.a.in.hooks) != 2 {
		t.Errorf("remembered: got %d, want the two that wait", len(w.a.in.hooks))
	}
	for range pullCame + 1 {
		w.a.in.hookCame(came[0])
	}
	if got := len(w.a.in.hooksCame()); got != pullCame {
		t.Errorf("the door remembers %d, want at most %d", got, pullCame)
	}
}

// Those that came through the door behind a list that was cut off are remembered until it is their turn, but not in any number.
func TestWebhooksThatCameBehindTheListFillNoMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	must(w.a.st.InsertWebhook(w.ctx, "first", []byte(`{}`)))(w)
	seq := int64(1)
	for range pullBatchMost/pullCame + 3 {
		for range pullCame {
			seq++
			w.a.in.hookCame(&hook{Webhook: store.Webhook{Seq: seq}})
		}
		must(w.a.waitingHooks(w.ctx, 1))(w)
	}
	if got := len(w.a.in.hooks); got > pullBatchMost+1 {
		t.Errorf("remembered: got %d, want at most %d and the one of the list", got, pullBatchMost)
	}
}

func TestAStuckIncidentHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	stuck, stuckID := w.tie("TIG-1")
	free, _ := w.tie("TIG-2")
	must(w.sim.Break(simulator.Fault{Path: "/v2/incidents/" + stuckID, Kind: simulator.StatusCode, Status: 500}))(w)
	w.ok(w.sim.As(lisa).SetStatus(stuck, "Monitoring", ""))
	w.ok(w.sim.As(lisa).SetStatus(free, "Monitoring", ""))
	w.pull()
	rows := w.rows()
	w.wantTypes(rows, "incident.status_changed")
	if got := rows[0].TigerOps; got != "TIG-2" {
		t.Errorf("told of %s, want TIG-2", got)
	}
	var why []string
	for _, s := range must(w.a.st.Webhooks(w.ctx, must(w.a.st.WaitingWebhooks(w.ctx, 10))(w)...))(w) {
		why = append(why, s.Error)
	}
	if len(why) == 0 || !slices.ContainsFunc(why, func(s string) bool { return strings.Contains(s, "500") }) {
		t.Errorf("the stuck webhooks' errors: got %q, want the status", why)
	}
}

func TestOneCloseResolvesAllThatAreTied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ref, _ := w.tie("TIG-1")
	w.tieTo("TIG-2", ref, originAttached)
	w.sweep()
	w.drop()
	w.rows()
	w.ok(w.sim.As(lisa).Close(ref, ""))
	w.pull()
	rows := w.rows()
	w.wantTypes(rows, "incident.resolved", "incident.resolved")
	if rows[0].TigerOps == rows[1].TigerOps || rows[0].Key == rows[1].Key {
		t.Errorf("rows: got %v, want one for each TigerOps incident", rows)
	}
}

func TestSwitchesOfWhatIsPulled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) {
		c.Rules.PullStatus, c.Rules.PullRoles, c.Rules.PullEscalations, c.Rules.PullTimeline = false, false, false, false
	}})
	ref, id := w.tie("TIG-1")
	w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", "A word."))
	w.ok(w.sim.As(lisa).SetSeverity(ref, "SEV3", ""))
	w.ok(w.sim.As(lisa).AssignRole(ref, "lead", ada))
	w.ok(w.sim.As(lisa).EditSummary(ref, "Else."))
	must(w.sim.As(lisa).Escalate(ref, simulator.DefaultEscalationPathID, "Wake up"))(w)
	must(w.sim.As(lisa).AddTimelineItem(ref, "Found it", "", time.Time{}))(w)
	w.pull()
	w.sweep()
	w.wantTypes(w.rows())
	for _, path := range []string{"/v2/incident_timeline_items", "/v2/escalations"} {
		if n := w.gets(path); n != 0 {
			t.Errorf("requests to %s although nobody wants it: got %d", path, n)
		}
	}
	if must(w.a.st.LinksOf(w.ctx, id))(w)[0].Status != "Monitoring" {
		t.Error("the link does not show incident.io's status to people")
	}
}

// A batch full of webhooks that wait for something does not hide those behind it.
func TestWaitingWebhooksHideNoOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	_, stuck := w.tie("TIG-1")
	free, _ := w.tie("TIG-2")
	w.a.in.pullLater(aboutIncident+":"+stuck, time.Hour)
	hook := []byte(`{"event_type":"private_incident.incident_updated_v2","private_incident.incident_updated_v2":{"id":"` + stuck + `"}}`)
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			for n := range pullBatch / 8 {
				must(w.a.st.InsertWebhook(w.ctx, fmt.Sprintf("stuck-%d-%d", i, n), hook))(w)
			}
		})
	}
	senders.Wait()
	w.ok(w.sim.As(lisa).SetStatus(free, "Monitoring", ""))
	w.pull()
	w.wantTypes(w.rows(), "incident.status_changed")
	if got := w.hookStates()["pending"]; got != pullBatch {
		t.Errorf("pending webhooks: got %d, want the %d that wait", got, pullBatch)
	}
}

// Delivery looks before it sends, without asking for details: who did something is told all the same.
func TestALookThatDeliveryTakesTellsWhoItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ref, id := w.tie("TIG-1")
	w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", "A fix is out."))
	must(w.a.lockedLook(w.ctx, id, lookOptions{Source: "delivery"}))(w)
	rows := w.rows()
	w.wantTypes(rows, "incident.status_changed")
	if rows[0].Actor == nil || rows[0].Actor.Name != "Lisa Karlin" || rows[0].Message != "A fix is out." {
		t.Errorf("row: got %+v, want who it was and what she said", rows[0])
	}
}

// What people write after the tie is told by the first look, what they wrote before it is not, whatever this machine's clock
// says.
func TestWhatCameAfterATieIsToldWhateverTheClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"right": 0, "5 minutes ahead": -5 * time.Minute, "5 minutes behind": 5 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var there atomic.Int64 // how far incident.io's clock is ahead
			at := func(d time.Duration) { there.Store(int64(off + d)) }
			at(-time.Minute)
			w := newWorld(t, worldOptions{sim: func(o *simulator.Options) {
				o.Now = func() time.Time { return time.Now().Add(time.Duration(there.Load())) }
			}})
			ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "Checkout is slow", Severity: "SEV1"}))(w)
			must(w.sim.As(lisa).CreateAction(ref, "Before"))(w)
			at(0)
			id := w.tieTo("TIG-1", ref, originAttached)
			at(10 * time.Second)
			must(w.sim.As(lisa).CreateAction(ref, "After"))(w)
			w.rows()
			at(0)
			_, _, err := w.a.look(w.ctx, id, lookOptions{Source: mapping.SourceSweep})
			w.ok(err)
			rows := w.rows()
			w.wantTypes(rows, "action.created")
			is(t, "action", rows[0].After["title"].(string), "After")
		})
	}
}
