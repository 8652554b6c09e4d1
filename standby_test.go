package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// outlivesItsHost lets the agent live, has its database copied, lets it live on, kills it, starts it on the copy and has
// TigerOps send everything again. What was acknowledged after the copy is not in it, and is all that is lost; incident.io
// and the inbox end as if nothing had happened. copied is told the id of the last event that is to be in the copy.
func (r *rig) outlivesItsHost(copied func(last string), elsewhere func()) {
	t := r.t
	t.Helper()
	r.start()
	var events []string
	tell := func(id, kind, incident, more string) {
		e := fmt.Sprintf(`{"id":%q,"type":%q,"timestamp":"2026-11-23T02:%02d:00Z","incident":{"id":%q,"title":"Slow %s","severity":"critical"}%s}`,
			id, kind, len(events), incident, incident, more)
		events = append(events, e)
		r.event(e)
	}
	life := func(incident string) {
		tell(incident+" created", "incident.created", incident, "")
		tell(incident+" step", "investigation.step", incident, `,"step":{"kind":"root_cause_identified","title":"The cache of `+incident+`"}`)
		tell(incident+" action", "runbook.action", incident, `,"action":{"title":"Flush the cache of `+incident+`","status":"running"}`)
	}
	lisa := r.sim.As("lisa@example.com")
	life("TIG-1")
	r.settled() // it has INC-1, which nothing ends later: what ends an incident after a person moved it tells his move as a message
	life("TIG-2")
	r.settled()
	if err := lisa.SetStatus("INC-1", "Monitoring", "Rolled back"); err != nil {
		t.Fatal(err)
	}
	r.eventually("the change is told", func() bool { return len(r.inbox("incident.status_changed")) == 1 })
	copied("TIG-2 action")

	life("TIG-3")
	tell("TIG-1 step 2", "investigation.step", "TIG-1", `,"step":{"kind":"note","title":"Cleared up"}`)
	tell("TIG-2 postmortem", "postmortem.ready", "TIG-2", `,"postmortem":{"contributing_factors":["disk"],"action_items":[{"title":"Buy a disk"}]}`)
	tell("TIG-2 resolved", "incident.resolved", "TIG-2", "")
	const after = 6
	r.settled()
	if err := lisa.SetStatus("INC-3", "Fixing", "On it"); err != nil {
		t.Fatal(err)
	}
	r.eventually("the change is told", func() bool { return len(r.inbox("incident.status_changed")) == 2 })
	told := r.told()
	before := seen(r.sim)
	r.kill()

	elsewhere()
	r.start()
	lost := len(events) - len(r.query("SELECT id FROM outbox"))
	t.Logf("of %d acknowledged events %d are not in the copy: those from after it", len(events), lost)
	if lost != after {
		t.Errorf("%d events are not in the copy, want the %d from after it", lost, after)
	}
	for _, e := range events { // TigerOps sends again
		r.event(e)
	}
	r.settled()
	r.eventually("TigerOps is told of the third incident again", func() bool { return len(r.query("SELECT id FROM inbox WHERE tigerops_incident_id = 'TIG-3'")) > 0 })
	for _, key := range r.told() {
		if !slices.Contains(told, key) {
			t.Errorf("a change comes with a key of its own: %v", r.query("SELECT payload FROM inbox WHERE key = ?", key))
		}
	}
	if after := seen(r.sim); after != before {
		t.Errorf("incident.io holds\n%s\nand before the host was lost\n%s", after, before)
	}
	if got := r.query("SELECT event_id, state, reason FROM outbox WHERE state <> 'done'"); len(got) > 0 {
		t.Errorf("not done: %v", got)
	}
	if got := r.query("PRAGMA integrity_check"); len(got) != 1 || got[0] != "ok" {
		t.Errorf("integrity_check: %v", got)
	}
}

// told are the changes that TigerOps has been told of, by their keys, but for those that the agent's own key made: what it
// did after the copy and TigerOps has not sent again yet looks like somebody else's.
func (r *rig) told() []string {
	return r.query("SELECT key FROM inbox WHERE payload ->> '$.actor.type' IS NOT 'api_key' ORDER BY id")
}

// seen is what a person sees in incident.io, without times.
func seen(sim *simulator.Simulator) string {
	var b strings.Builder
	for _, i := range sim.Snapshot().Incidents {
		fmt.Fprintf(&b, "%s %s: %s\n", i.Reference, i.Name, i.Status.Name)
		for _, v := range i.Timeline {
			fmt.Fprintf(&b, "  timeline %s\n", v.Title)
		}
		for _, v := range i.Actions {
			fmt.Fprintf(&b, "  action %s %s\n", v.Status, v.Description)
		}
		for _, v := range i.FollowUps {
			fmt.Fprintf(&b, "  follow-up %s %s\n", v.Status, v.Title)
		}
		for _, v := range i.Postmortems {
			fmt.Fprintf(&b, "  post-mortem %s\n", v.Title)
		}
		for _, v := range i.Updates {
			fmt.Fprintf(&b, "  update %s %s\n", v.NewStatus.Name, v.Message)
		}
	}
	return b.String()
}

// TestAnOlderCopyPutBackDoublesNothing restores a backup that was made while the agent ran, as README tells.
func TestAnOlderCopyPutBackDoublesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{Limits: simulator.NoLimits})
	backup := filepath.Join(r.dir, "backup.db")
	r.outlivesItsHost(func(string) {
		if out, stderr, status := r.run("", "backup", backup); status != 0 {
			t.Fatalf("backup: %d %s%s", status, out, stderr)
		}
	}, func() {
		aside := filepath.Join(r.dir, "aside")
		if err := os.Mkdir(aside, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range must(filepath.Glob(r.env["AGENT_DB"] + "*")) {
			if err := os.Rename(name, filepath.Join(aside, filepath.Base(name))); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(backup, r.env["AGENT_DB"]); err != nil {
			t.Fatal(err)
		}
	})
}
