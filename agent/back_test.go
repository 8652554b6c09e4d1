package agent

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// change is something that a person does in incident.io, and the rows that TigerOps is to get for it.
type change struct {
	name   string
	do     func(w *world, ref string)
	want   []string       // types of the rows
	after  map[string]any // members of the last row's after
	actor  string         // the last row's actor, by name
	says   string         // the last row's message
	noHook bool           // incident.io sends no webhook that tells of it
}

// changes are every type of change of contract section 4 that a tied incident can have, each in an incident of its own.
func changes() []change {
	lead := simulator.DefaultEscalationPathID
	return []change{
		{
			name:  "status",
			do:    func(w *world, ref string) { w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", "A fix is out.")) },
			want:  []string{"incident.status_changed"},
			after: map[string]any{"status": "mitigated", "incident_io_status": "Monitoring", "category": "live"},
			actor: "Lisa Karlin", says: "A fix is out.",
		},
		{
			name:  "a resolve is one row",
			do:    func(w *world, ref string) { w.ok(w.sim.As(lisa).Resolve(ref, "All is well.")) },
			want:  []string{"incident.resolved"},
			after: map[string]any{"status": "resolved", "category": "learning"},
			actor: "Lisa Karlin", says: "All is well.",
		},
		{
			name: "reopened after a resolve",
			do: func(w *world, ref string) {
				w.ok(w.sim.As(lisa).Close(ref, ""))
				w.pull()
				w.wantTypes(w.rows(), "incident.resolved")
				w.ok(w.sim.As(lisa).Reopen(ref, "It is back."))
			},
			want: []string{"incident.reopened"}, actor: "Lisa Karlin", says: "It is back.",
		},
		{
			name: "merged",
			do: func(w *world, ref string) {
				into := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "The same", Severity: "SEV1"}))(w)
				w.ok(w.sim.As(lisa).Merge(ref, into))
			},
			want: []string{"incident.merged"}, actor: "Lisa Karlin",
		},
		{
			name:  "severity",
			do:    func(w *world, ref string) { w.ok(w.sim.As(grace).SetSeverity(ref, "SEV3", "Not that bad.")) },
			want:  []string{"incident.severity_changed"},
			after: map[string]any{"severity": "info", "incident_io_severity": "SEV3"},
			actor: "Grace Brewster", says: "Not that bad.",
		},
		{
			name:  "role assigned",
			do:    func(w *world, ref string) { w.ok(w.sim.As(lisa).AssignRole(ref, "lead", ada)) },
			want:  []string{"incident.role_assigned"},
			after: map[string]any{"role": "owner", "incident_io_role": "Incident Lead", "name": "Ada Byron", "email": ada},
		},
		{
			name: "role unassigned",
			do: func(w *world, ref string) {
				w.ok(w.sim.As(lisa).AssignRole(ref, "lead", ada))
				w.pull()
				w.wantTypes(w.rows(), "incident.role_assigned")
				w.ok(w.sim.As(lisa).UnassignRole(ref, "lead"))
			},
			want: []string{"incident.role_unassigned"},
		},
		{
			name:  "escalated",
			do:    func(w *world, ref string) { must(w.sim.As(lisa).Escalate(ref, lead, "Checkout is slow"))(w) },
			want:  []string{"incident.escalated"},
			actor: "Lisa Karlin",
		},
		{
			name: "an escalation's ack is an acknowledgement",
			do: func(w *world, ref string) {
				id := must(w.sim.As(lisa).Escalate(ref, lead, "Checkout is slow"))(w)
				w.pull()
				w.wantTypes(w.rows(), "incident.escalated")
				w.ok(w.sim.As(ada).AckEscalation(id))
			},
			want: []string{"incident.acknowledged"}, actor: "Ada Byron",
		},
		{
			name: "an escalation's other move",
			do: func(w *world, ref string) {
				id := must(w.sim.As(lisa).Escalate(ref, lead, "Checkout is slow"))(w)
				w.pull()
				w.wantTypes(w.rows(), "incident.escalated")
				w.ok(w.sim.As(ada).SetEscalation(id, "expired"))
			},
			want:  []string{"incident.escalation_updated"},
			after: map[string]any{"escalation_status": "expired"},
		},
		{
			name:  "action",
			do:    func(w *world, ref string) { must(w.sim.As(lisa).CreateAction(ref, "Call the fire brigade"))(w) },
			want:  []string{"action.created"},
			after: map[string]any{"title": "Call the fire brigade", "status": "outstanding"}, actor: "Lisa Karlin",
		},
		{
			name: "action done",
			do: func(w *world, ref string) {
				id := must(w.sim.As(lisa).CreateAction(ref, "Call the fire brigade"))(w)
				w.pull()
				w.wantTypes(w.rows(), "action.created")
				w.ok(w.sim.As(lisa).CompleteAction(id))
			},
			want:  []string{"action.updated"},
			after: map[string]any{"status": "completed"},
		},
		{
			name: "follow-up",
			do: func(w *world, ref string) {
				must(w.sim.As(lisa).CreateFollowUp(ref, "More hydrants", "At least two.", "fire"))(w)
			},
			want:  []string{"follow_up.created"},
			after: map[string]any{"title": "More hydrants", "status": "outstanding"}, actor: "Lisa Karlin",
		},
		{
			name: "follow-up done",
			do: func(w *world, ref string) {
				id := must(w.sim.As(lisa).CreateFollowUp(ref, "More hydrants", "At least two."))(w)
				w.pull()
				w.wantTypes(w.rows(), "follow_up.created")
				w.ok(w.sim.As(lisa).CompleteFollowUp(id))
			},
			want:  []string{"follow_up.updated"},
			after: map[string]any{"status": "completed"},
		},
		{
			name: "post-mortem",
			do: func(w *world, ref string) {
				must(w.sim.As(lisa).CreatePostmortem(ref, "What happened", "It burned."))(w)
			},
			want:   []string{"postmortem.updated"},
			after:  map[string]any{"title": "What happened"},
			noHook: true, // none is made known for a document that is only begun
		},
		{
			name: "post-mortem finished",
			do: func(w *world, ref string) {
				id := must(w.sim.As(lisa).CreatePostmortem(ref, "What happened", "It burned."))(w)
				w.pull()
				w.sweep()
				w.wantTypes(w.rows(), "postmortem.updated")
				w.ok(w.sim.As(lisa).SetPostmortem(id, "completed"))
			},
			want:  []string{"postmortem.updated"},
			after: map[string]any{"status": "completed"},
		},
		{
			name:  "summary",
			do:    func(w *world, ref string) { w.ok(w.sim.As(lisa).EditSummary(ref, "The disk is full.")) },
			want:  []string{"incident.summary_changed"},
			after: map[string]any{"summary": "The disk is full."},
		},
		{
			name: "timeline",
			do: func(w *world, ref string) {
				must(w.sim.As(lisa).AddTimelineItem(ref, "Found it", "The disk.", time.Time{}))(w)
			},
			want:   []string{"timeline.added"},
			after:  map[string]any{"title": "Found it", "description": "The disk."},
			actor:  "Lisa Karlin",
			noHook: true,
		},
		{
			name:   "message",
			do:     func(w *world, ref string) { w.ok(w.sim.As(lisa).Message(ref, "We are on it.")) },
			want:   []string{"incident.message"},
			actor:  "Lisa Karlin",
			says:   "We are on it.",
			noHook: true,
		},
	}
}

func (c change) check(w *world, got []row) {
	w.Helper()
	w.wantTypes(got, c.want...)
	last := got[len(got)-1]
	for k, v := range c.after {
		if last.After[k] != v {
			w.Errorf("after.%s: got %v, want %v", k, last.After[k], v)
		}
	}
	name := ""
	if last.Actor != nil {
		name = last.Actor.Name
	}
	if c.actor != "" && name != c.actor {
		w.Errorf("actor: got %q, want %q", name, c.actor)
	}
	if c.says != "" && last.Message != c.says {
		w.Errorf("message: got %q, want %q", last.Message, c.says)
	}
	if last.TigerOps != "TIG-1" || last.Incident.Reference == "" || last.Incident.Permalink == "" || last.Key == "" || last.At == "" {
		w.Errorf("the row lacks something: %+v", last)
	}
}

// By webhooks, by the sweep alone, and by both: the same rows, once.
func TestEveryTypeOfChangeComesBackOnce(t *testing.T) {
	t.Parallel()
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			t.Run("told by a webhook", func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, worldOptions{})
				ref, _ := w.tie("TIG-1")
				c.do(w, ref)
				if w.pull(); c.noHook {
					w.sweep()
				}
				got := w.rows()
				c.check(w, got)
				if want := "webhook"; !c.noHook && got[0].Source != want {
					t.Errorf("source: got %q, want %q", got[0].Source, want)
				}
				w.sweep()
				w.receive(w.sim.Webhooks()...) // all of them once more, under the same ids
				w.pull()
				w.wantTypes(w.rows())
				if got, want := w.hookStates(), map[string]int{"pending": 0, "failed": 0}; !maps.Equal(got, want) {
					t.Errorf("webhooks: got %v, want %v", got, want)
				}
			})
			t.Run("found by the sweep", func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, worldOptions{})
				ref, _ := w.tie("TIG-1")
				c.do(w, ref)
				w.drop()
				w.sweep()
				got := w.rows()
				c.check(w, got)
				if want := "sweep"; got[len(got)-1].Source != want {
					t.Errorf("source: got %q, want %q", got[len(got)-1].Source, want)
				}
				w.sweep()
				w.wantTypes(w.rows())
			})
		})
	}
}

// travels are ways that webhooks may take.
var travels = map[string]func(w *world, hooks []simulator.Webhook){
	"in order": func(w *world, hooks []simulator.Webhook) {
		for _, h := range hooks {
			w.receive(h)
			must(w.a.pullOnce(w.ctx))(w)
		}
	},
	"doubled, the second under another id": func(w *world, hooks []simulator.Webhook) {
		for _, h := range hooks {
			again := h
			again.ID += "-again"
			w.receive(h, h, again)
		}
		must(w.a.pullOnce(w.ctx))(w)
	},
	"backwards": func(w *world, hooks []simulator.Webhook) {
		slices.Reverse(hooks)
		for _, h := range hooks {
			w.receive(h)
			must(w.a.pullOnce(w.ctx))(w)
		}
	},
	"only the last": func(w *world, hooks []simulator.Webhook) {
		if len(hooks) > 0 {
			w.receive(hooks[len(hooks)-1])
		}
		must(w.a.pullOnce(w.ctx))(w)
		w.sweep()
	},
	"all lost": func(w *world, _ []simulator.Webhook) { w.sweep() },
}

func TestHoweverWebhooksTravelTheInboxIsTheSame(t *testing.T) {
	t.Parallel()
	script := []func(w *world, ref string){
		func(w *world, ref string) { w.ok(w.sim.As(lisa).SetStatus(ref, "Fixing", "Found it.")) },
		func(w *world, ref string) {
			w.ok(w.sim.As(lisa).SetSeverity(ref, "SEV2", ""))
			w.ok(w.sim.As(lisa).AssignRole(ref, "lead", ada))
		},
		func(w *world, ref string) { must(w.sim.As(ada).CreateAction(ref, "Restart it"))(w) },
		func(w *world, ref string) { // there and back again before anybody looks
			w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", ""))
			w.ok(w.sim.As(lisa).SetStatus(ref, "Fixing", ""))
		},
		func(w *world, ref string) { w.ok(w.sim.As(ada).Resolve(ref, "Restarted.")) },
	}
	want := []string{
		"incident.status_changed", "incident.role_assigned", "incident.severity_changed", "action.created", "incident.resolved",
	}
	for name, travel := range travels {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{})
			ref, _ := w.tie("TIG-1")
			var got []string
			for _, step := range script {
				step(w, ref)
				travel(w, w.hooks())
				rows := types(w.rows())
				slices.Sort(rows) // two things done between two looks have the order of their times
				got = append(got, rows...)
			}
			w.sweep()
			got = append(got, types(w.rows())...)
			if !slices.Equal(got, want) {
				t.Errorf("changes: got %v, want %v", got, want)
			}
		})
	}
}

// What was there before an incident was attached is no news; what people do from then on is.
func TestOfAnAttachedIncidentOnlyWhatCameLaterIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ref := must(w.sim.As(lisa).Declare(simulator.NewIncident{Name: "Checkout is slow", Severity: "SEV1", Summary: "It began at two."}))(w)
	w.ok(w.sim.As(lisa).Message(ref, "We are on it."))
	w.ok(w.sim.As(lisa).AssignRole(ref, "lead", ada))
	must(w.sim.As(lisa).AddTimelineItem(ref, "First sign", "", time.Time{}))(w)
	must(w.sim.As(lisa).CreateAction(ref, "Restart it"))(w)
	must(w.sim.As(lisa).Escalate(ref, simulator.DefaultEscalationPathID, "Checkout is slow"))(w)
	w.tieTo("TIG-1", ref, originAttached)
	w.pull()
	w.sweep()
	w.wantTypes(w.rows(), "incident.linked")

	w.ok(w.sim.As(lisa).Message(ref, "Still on it."))
	must(w.sim.As(lisa).AddTimelineItem(ref, "Second sign", "", time.Time{}))(w)
	must(w.sim.As(lisa).CreateAction(ref, "Restart it again"))(w)
	w.pull()
	w.sweep()
	rows := types(w.rows())
	slices.Sort(rows)
	if want := []string{"action.created", "incident.message", "timeline.added"}; !slices.Equal(rows, want) {
		t.Errorf("changes after the tie: got %v, want %v", rows, want)
	}
}
