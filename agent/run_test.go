package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/store"
)

// start runs the whole agent, with incident.io sending its webhooks to the real port.
func (w *world) start() (stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { done <- w.a.Run(ctx) }()
	w.sim.SetWebhook("http://"+w.a.edges.webhookAddr()+"/webhooks/incident-io", w.a.cfg.Load().WebhookSecrets[0].Reveal())
	stopped := false
	stop = func() {
		w.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		w.ok(<-done)
	}
	w.Cleanup(stop)
	return stop
}

// insert puts an event into the outbox, as any door does.
func (w *world) insert(payload string) {
	w.Helper()
	must(w.a.st.InsertEvents(w.ctx, [][]byte{[]byte(payload)}))(w)
}

// settle waits until nothing is under way in either direction.
func (w *world) settle() {
	w.Helper()
	eventually(w, "everything is settled", func() bool {
		// incident.io's side first: what it has delivered is in the table by then.
		if slices.ContainsFunc(w.sim.Webhooks(), func(h simulator.Webhook) bool { return h.State == simulator.HookWaiting }) {
			return false
		}
		s, err := w.a.st.Status(w.ctx)
		w.ok(err)
		return s.Waiting == 0 && s.WebhooksPending == 0
	})
}

func TestNothingThatTheAgentDidComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) {
		c.Rules.EscalationPaths = map[string]string{"payments": simulator.DefaultEscalationPathID}
	}})
	w.start()
	for _, e := range []string{
		`{"id":"e1","type":"incident.created","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical","team":"payments","ai_summary":"The disk is slow."}}`,
		`{"id":"e2","type":"investigation.step","timestamp":"2026-11-23T02:01:00Z","incident":{"id":"TIG-1"},"step":{"kind":"anomaly_detected","title":"p99 is up"}}`,
		`{"id":"e3","type":"runbook.action","timestamp":"2026-11-23T02:02:00Z","incident":{"id":"TIG-1"},"action":{"title":"Restart","status":"succeeded"}}`,
		`{"id":"e4","type":"incident.acknowledged","timestamp":"2026-11-23T02:03:00Z","incident":{"id":"TIG-1"},"actor":{"name":"Ada","email":"ada@example.com"}}`,
		`{"id":"e5","type":"incident.updated","timestamp":"2026-11-23T02:04:00Z","incident":{"id":"TIG-1","severity":"warning","ai_summary":"It is the cache."}}`,
		`{"id":"e6","type":"incident.escalated","timestamp":"2026-11-23T02:05:00Z","incident":{"id":"TIG-1","team":"payments"}}`,
		`{"id":"e7","type":"incident.resolved","timestamp":"2026-11-23T02:06:00Z","incident":{"id":"TIG-1"}}`,
		`{"id":"e8","type":"postmortem.ready","timestamp":"2026-11-23T03:00:00Z","incident":{"id":"TIG-1"},"postmortem":{"contributing_factors":["disk"],"action_items":[{"title":"Buy a disk"}]}}`,
	} {
		w.insert(e)
	}
	w.settle()
	w.sweep()
	for _, e := range must(w.a.st.Outbox(w.ctx, store.OutboxQuery{}))(w) {
		if e.State != store.Done {
			t.Errorf("event %s: got %s (%s), want done", e.EventID, e.State, e.Reason)
		}
	}
	i := w.only()
	if i.Status.Category != "learning" || i.Severity.Name != "SEV2" || len(i.Escalations) != 1 || len(i.FollowUps) != 1 || len(i.Postmortems) != 1 {
		t.Errorf("incident.io: got %s %s, %d escalations, %d follow-ups, %d documents", i.Status.Name, i.Severity.Name, len(i.Escalations), len(i.FollowUps), len(i.Postmortems))
	}
	w.wantTypes(w.rows(), "incident.linked")
}

func TestWhatPeopleDoComesBackWhileTheAgentRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	stop := w.start()
	w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical","status":"open"}}`)
	w.settle()
	ref := w.only().Reference
	w.wantTypes(w.rows(), "incident.linked")

	w.ok(w.sim.As(lisa).AssignRole(ref, "lead", lisa))
	w.settle()
	w.ok(w.sim.As(lisa).SetSeverity(ref, "SEV2", "Not all of it."))
	w.settle()
	w.ok(w.sim.As(lisa).Resolve(ref, "Done."))
	w.settle()
	rows := w.rows()
	w.wantTypes(rows, "incident.role_assigned", "incident.severity_changed", "incident.resolved")
	for _, r := range rows {
		if r.Source != "webhook" || r.TigerOps != "TIG-1" {
			t.Errorf("row: got %+v, want by webhook, for TIG-1", r)
		}
	}
	stop()

	// The same database, the next process: nothing is told twice, and what was missed is.
	w.ok(w.sim.As(lisa).Reopen(ref, "No."))
	w.reopen()
	w.start()
	eventually(t, "the first sweep finds what happened meanwhile", func() bool { return len(must(w.a.st.Inbox(w.ctx, store.InboxQuery{After: w.last}))(w)) > 0 })
	w.settle()
	w.wantTypes(w.rows(), "incident.reopened")
}

// reopen makes the next process's agent on the same database and account.
func (w *world) reopen() {
	w.Helper()
	o := w.a.opts
	o.Config = *w.a.cfg.Load()
	w.a = must(New(w.ctx, o))(w)
}

func TestBothSidesAgreeAgainAfterAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{config: func(c *Config) { c.BackoffInitial, c.BackoffMax = 5*time.Millisecond, 50*time.Millisecond }})
	w.start()
	w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical"}}`)
	w.settle()
	ref := w.only().Reference
	w.rows()

	fault := must(w.sim.Break(simulator.Fault{Kind: simulator.Outage}))(w)
	w.sim.SetWebhook("") // and its webhooks get lost
	w.insert(`{"id":"e2","type":"investigation.step","incident":{"id":"TIG-1"},"step":{"kind":"root_cause_identified","title":"The cache"}}`)
	w.ok(w.sim.As(lisa).AssignRole(ref, "lead", grace))
	eventually(t, "the outage is noticed", func() bool { ok, _ := w.a.up.usable(); return !ok })
	w.sim.Mend(fault)
	eventually(t, "the sweep after the outage tells what was missed", func() bool {
		return len(must(w.a.st.Inbox(w.ctx, store.InboxQuery{After: w.last}))(w)) > 0 && must(w.a.st.Status(w.ctx))(w).Waiting == 0
	})
	w.wantTypes(w.rows(), "incident.role_assigned")
	if n := len(slices.DeleteFunc(w.only().Timeline, func(i simulator.TimelineItem) bool { return !strings.Contains(i.Title, "The cache") })); n != 1 {
		t.Errorf("timeline items of the step: got %d, want 1", n)
	}
}

// Both sides change the severity while the line is down; the rule decides, both end with the same, and the loser is told.
func TestConflictsEndWithBothSidesAgreed(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]struct{ there, row string }{
		"incident_io": {"SEV3", "incident.severity_changed"},
		"tigerops":    {"SEV2", "incident.message"},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{config: func(c *Config) {
				c.Rules.Conflict = rule
				c.BackoffInitial, c.BackoffMax = 5*time.Millisecond, 50*time.Millisecond
			}})
			w.start()
			w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical"}}`)
			w.settle()
			ref := w.only().Reference
			w.sweep()
			w.rows()

			fault := must(w.sim.Break(simulator.Fault{Kind: simulator.Outage}))(w)
			w.ok(w.sim.As(lisa).SetSeverity(ref, "SEV3", "Not that bad."))
			w.insert(`{"id":"e2","type":"incident.updated","incident":{"id":"TIG-1","severity":"warning"}}`)
			eventually(t, "the outage is noticed", func() bool { ok, _ := w.a.up.usable(); return !ok })
			w.sim.Mend(fault)
			eventually(t, "it is usable again", func() bool { ok, _ := w.a.up.usable(); return ok })
			w.settle()
			w.sweep()
			w.settle()
			rows := w.rows()
			w.wantTypes(rows, want.row)
			if !strings.Contains(rows[0].Message, "conflict: "+rule) {
				t.Errorf("message: got %q, want the rule in it", rows[0].Message)
			}
			if got := w.only().Severity.Name; got != want.there {
				t.Errorf("severity in incident.io: got %s, want %s", got, want.there)
			}
		})
	}
}

func TestPushWhileTheAgentRuns(t *testing.T) {
	t.Parallel()
	w, s := newPushWorld(t)
	w.start()
	w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical"}}`)
	eventually(t, "TigerOps hears of the tie", func() bool { _, took, _ := s.state(); return len(took) == 1 })
	w.ok(w.sim.As(lisa).Close(w.only().Reference, ""))
	eventually(t, "TigerOps hears of the close", func() bool { _, took, _ := s.state(); return len(took) == 2 })
	_, took, faults := s.state()
	w.wantTypes(took, "incident.linked", "incident.resolved")
	if len(faults) > 0 {
		t.Error(faults)
	}
	eventually(t, "both are applied", func() bool { return must(w.a.st.Status(w.ctx))(w).InboxPending == 0 })
	if status, answer := w.do(http.MethodGet, w.a.edges.localAddr(), "/v1/inbox", nil, nil); status != 200 || strings.Contains(answer, "TIG-1") {
		t.Errorf("inbox: got %d %s, want nothing left", status, answer)
	}
	var r Report
	_, answer := w.do(http.MethodGet, w.a.edges.localAddr(), "/v1/status", nil, nil)
	w.ok(json.Unmarshal([]byte(answer), &r))
	if !r.Ready {
		t.Errorf("not ready: %v", r.NotReady)
	}
}

// Not parallel: what other tests run would count.
func TestRunLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("a whole life", func(t *testing.T) {
		w, s := newPushWorld(t)
		stop := w.start()
		w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical"}}`)
		eventually(t, "TigerOps hears of the tie", func() bool { _, took, _ := s.state(); return len(took) == 1 })
		w.ok(w.sim.As(lisa).SetStatus(w.only().Reference, "Monitoring", "A fix is out."))
		w.settle()
		stop()
	})
	goleak.VerifyNone(t, before)
}
