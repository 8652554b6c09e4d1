package agent_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

const crashConfig = `integrations:
  incident_io:
    custom_fields: {affected_services: custom_field_abc, deployment_sha: custom_field_jkl}
    escalation_paths: {payments: 01SMESCATATNPATH0000000001}
    alert_source: {id: 01SMATERTS0VRCEHTTP0000001, token: ` + theAlertToken + `}
    alert_route_wait: 0s
`

// everyCall is an incident's life with each kind of call in it.
var everyCall = []string{
	`{"id":"e01","type":"incident.created","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"TIG-1","title":"Checkout is slow","severity":"critical","team":"payments","ai_summary":"The disk is slow.","affected_services":["checkout"]}}`,
	`{"id":"e02","type":"incident.acknowledged","timestamp":"2026-11-23T02:01:00Z","incident":{"id":"TIG-1"},"actor":{"name":"Ada","email":"ada@example.com"}}`,
	`{"id":"e03","type":"incident.updated","timestamp":"2026-11-23T02:02:00Z","incident":{"id":"TIG-1","severity":"warning","ai_summary":"It is the cache.","deployment":{"sha":"9f2c1e7"}}}`,
	`{"id":"e04","type":"investigation.step","timestamp":"2026-11-23T02:03:00Z","incident":{"id":"TIG-1"},"step":{"kind":"root_cause_identified","title":"The cache"}}`,
	`{"id":"e04b","type":"investigation.step","timestamp":"2026-11-23T02:03:10Z","incident":{"id":"TIG-1"},"step":{"kind":"note","title":"Its disk is full"}}`,
	`{"id":"e04c","type":"investigation.step","timestamp":"2026-11-23T02:03:20Z","incident":{"id":"TIG-1"},"step":{"kind":"note","title":"With logs"}}`,
	`{"id":"e04d","type":"investigation.step","timestamp":"2026-11-23T02:03:30Z","incident":{"id":"TIG-1"},"step":{"kind":"note","title":"Of the cache"}}`,
	`{"id":"e05","type":"runbook.action","timestamp":"2026-11-23T02:04:00Z","incident":{"id":"TIG-1"},"action":{"title":"Flush the cache","status":"running"}}`,
	`{"id":"e06","type":"runbook.action","timestamp":"2026-11-23T02:05:00Z","incident":{"id":"TIG-1"},"action":{"title":"Flush the cache","status":"succeeded"}}`,
	`{"id":"e07","type":"incident.escalated","timestamp":"2026-11-23T02:06:00Z","incident":{"id":"TIG-1"},"actor":{"name":"Grace"}}`,
	`{"id":"e08","type":"incident.resolved","timestamp":"2026-11-23T02:07:00Z","incident":{"id":"TIG-1"},"actor":{"name":"Ada"}}`,
	`{"id":"e09","type":"postmortem.ready","timestamp":"2026-11-23T03:00:00Z","incident":{"id":"TIG-1"},"postmortem":{"contributing_factors":["disk"],"action_items":[{"title":"Buy a disk"},{"title":"Alert on full disks"}]}}`,
	`{"id":"e10","type":"incident.reopened","timestamp":"2026-11-23T04:00:00Z","incident":{"id":"TIG-1"},"actor":{"name":"Grace"}}`,
	`{"id":"e11","type":"investigation.step","timestamp":"2026-11-23T04:01:00Z","incident":{"id":"TIG-1"},"step":{"kind":"anomaly_detected","title":"It is back"}}`,
	`{"id":"e12","type":"slo.breached","timestamp":"2026-11-23T04:02:00Z","incident":{"severity":"critical"},"step":{"kind":"slo","title":"Budget is gone"}}`,
}

// kindsOfCall are the requests by which the steps of everyCall go out.
var kindsOfCall = []string{
	"/v2/alert_events/http/", "/v2/incidents", "/actions/edit", "/v2/incident_updates", "/v2/incident_timeline_items",
	"/v2/escalations", "/v3/actions", "/v3/follow_ups", "/import_postmortem_document",
}

// TestACrashAtAnyPointOfAStepLeavesEachThingOnce kills the agent once at every request that changes something: before
// it is sent, once it is sent, and once it is answered; or makes the commit of every answer fail. incident.io and the
// inbox end as after a run without any of it (P1, P2, P3, P4).
func TestACrashAtAnyPointOfAStepLeavesEachThingOnce(t *testing.T) {
	t.Parallel()
	want := crashRun(t, "")
	for _, at := range []string{crashBefore, crashSent, crashAnswered, commitFails} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			got := crashRun(t, at)
			if got.world != want.world {
				t.Errorf("got\n%s\nwithout a crash it is\n%s", got.world, want.world)
			}
			if !slices.Equal(got.inbox, want.inbox) {
				t.Errorf("inbox: got %v, want %v", got.inbox, want.inbox)
			}
			if got.crashes != want.steps {
				t.Errorf("crashes at %d steps, want one at each of %d", got.crashes, want.steps)
			}
			t.Logf("crashes at %d steps, %d requests in place of %d", got.crashes, got.requests, want.requests)
		})
	}
}

const commitFails = "the commit of the answer fails"

type crashed struct {
	world    string // incident.io as a person sees it, without ids and times
	inbox    []string
	steps    int // requests that changed something
	crashes  int
	requests int
}

func crashRun(t *testing.T, at string) crashed {
	t.Helper()
	sim := simulator.New(simulator.Options{Key: theKey, Limits: simulator.NoLimits, Seed: 1})
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		server.Close()
		_ = sim.Close(context.Background())
	})
	p := newProcess(t, server.URL, strings.Replace(crashConfig, theAlertToken, simulator.DefaultAlertSourceToken, 1), map[string]string{
		"AGENT_RATE_LIMIT": "1000000", "AGENT_RECONCILE_INTERVAL": "1s",
	})
	if at != "" && at != commitFails {
		p.env[crashPointEnv], p.env[crashSeenEnv] = at, filepath.Join(p.dir, "crashed-at")
	}
	if !p.start() {
		t.Fatalf("the agent ended at its start:\n%s", p.logTail(20))
	}
	var got crashed
	var letPass func()
	if at == commitFails {
		letPass = p.failCommits(sim, &got.crashes)
	}
	if err := p.post(t.Context(), []byte(strings.Join(everyCall, "\n"))); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Minute, "every event is done", func() bool {
		select {
		case <-p.gone():
			p.start() // it may crash again at once
			return false
		default:
		}
		if letPass != nil {
			letPass()
		}
		return p.count("SELECT count(*) FROM outbox WHERE state = 'pending'") == 0
	})
	// What was in doubt is settled by a look from which nothing is hidden.
	swept := p.sweeps()
	within(t, time.Minute, "a sweep", func() bool { return p.sweeps() > swept })
	p.stop()

	if bad := p.rows("SELECT event_id || ' ' || state || ' ' || reason FROM outbox WHERE state <> 'done'"); len(bad) > 0 {
		t.Errorf("not done: %v", bad)
	}
	for _, kind := range kindsOfCall {
		if !slices.ContainsFunc(sim.Requests("POST"), func(r simulator.Request) bool { return strings.Contains(r.Path, kind) }) {
			t.Errorf("no request to %s: this test is to make one", kind)
		}
	}
	got.steps = p.count("SELECT count(*) FROM delivery")
	if noted, err := os.ReadFile(p.env[crashSeenEnv]); err == nil {
		got.crashes = strings.Count(string(noted), "\n") // two lanes may share one crash
	}
	got.requests = sim.Counters().Requests
	got.world = seen(sim)
	got.inbox = p.rows("SELECT type || ' ' || tigerops_incident_id || ' ' || (payload ->> '$.incident.reference') FROM inbox ORDER BY id")
	if changed := sim.Counters().Changed; changed > 0 {
		t.Errorf("%d idempotency keys came again with other bytes", changed)
	}
	p.integrity()
	return got
}

// sweeps is when the last sweep that came to its end began.
func (p *process) sweeps() string {
	return strings.Join(p.rows("SELECT value FROM meta WHERE key = 'last_sweep'"), "")
}

// failCommits makes the commit of every step's answer fail until the returned function has seen, for that step, that
// incident.io answered and the step is still open.
func (p *process) failCommits(sim *simulator.Simulator, failed *int) (letPass func()) {
	p.exec("CREATE TABLE test_pass (outbox_id INTEGER, step TEXT, PRIMARY KEY (outbox_id, step))")
	p.exec(`CREATE TRIGGER test_fail BEFORE UPDATE OF state ON delivery
		WHEN NEW.state <> 'open' AND NOT EXISTS (SELECT 1 FROM test_pass t WHERE t.outbox_id = NEW.outbox_id AND t.step = NEW.step)
		BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END`)
	return func() {
		for _, row := range p.rows(`SELECT json_object('id', outbox_id, 'step', step, 'path', path, 'request', request) FROM delivery d
			WHERE state = 'open' AND NOT EXISTS (SELECT 1 FROM test_pass t WHERE t.outbox_id = d.outbox_id AND t.step = d.step)`) {
			var s struct {
				ID                  int64
				Step, Path, Request string
			}
			decode(p, []byte(row), &s)
			// The commit follows the answer at once; half a second later it has failed.
			answered := slices.ContainsFunc(sim.Requests("POST "+s.Path), func(r simulator.Request) bool {
				return r.Status > 0 && r.Body == s.Request && time.Since(r.At) > 500*time.Millisecond
			})
			if answered {
				p.exec("INSERT INTO test_pass VALUES (?, ?)", s.ID, s.Step)
				*failed++
			}
		}
	}
}

// seen is what incident.io holds, as its people see it: without ids and times.
func seen(sim *simulator.Simulator) string {
	type thing map[string]any
	by := func(a simulator.Actor) string {
		switch {
		case a.User != nil:
			return a.User.Name
		case a.APIKey != nil:
			return "the agent"
		}
		return ""
	}
	snapshot := sim.Snapshot()
	var all []thing
	for _, i := range snapshot.Incidents {
		var updates, timeline, actions, followUps, documents, escalations, roles, fields []string
		for _, u := range i.Updates {
			severity := ""
			if u.NewSeverity != nil {
				severity = u.NewSeverity.Name
			}
			updates = append(updates, fmt.Sprintf("%s: %s %s %s", by(u.Updater), u.NewStatus.Name, severity, u.Message))
		}
		for _, v := range i.Timeline {
			timeline = append(timeline, v.Timestamp.UTC().Format(time.RFC3339)+" "+v.Title+"\n"+v.Description)
		}
		for _, v := range i.Actions {
			actions = append(actions, v.Status+" "+v.Description)
		}
		for _, v := range i.FollowUps {
			followUps = append(followUps, v.Status+" "+v.Title+"\n"+v.Description)
		}
		for _, v := range i.Postmortems {
			documents = append(documents, v.Title+"\n"+v.Content)
		}
		for _, v := range i.Escalations {
			escalations = append(escalations, v.Status+" "+v.Title+"\n"+v.Description)
		}
		for _, v := range i.RoleAssignments {
			if v.Assignee != nil {
				roles = append(roles, v.Role.Name+": "+v.Assignee.Name)
			}
		}
		for _, v := range i.CustomFieldEntries {
			values := v.CustomField.Name + ":"
			for _, x := range v.Values {
				values += " " + x.Text + x.Link + x.Numeric
				if x.Option != nil {
					values += x.Option.Value
				}
			}
			fields = append(fields, values)
		}
		severity := ""
		if i.Severity != nil {
			severity = i.Severity.Name
		}
		all = append(all, thing{
			"name": i.Name, "summary": i.Summary, "status": i.Status.Name, "severity": severity, "roles": roles, "fields": fields,
			"updates": updates, "timeline": timeline, "actions": actions, "follow_ups": followUps, "post-mortems": documents, "escalations": escalations,
		})
	}
	slices.SortFunc(snapshot.Alerts, func(a, b simulator.Alert) int { return strings.Compare(a.DeduplicationKey, b.DeduplicationKey) })
	for _, a := range snapshot.Alerts {
		all = append(all, thing{"alert": a.DeduplicationKey, "status": a.Status, "title": a.Title})
	}
	return text(all)
}
