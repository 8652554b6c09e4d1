package agent_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// act is something that a person did in incident.io.
type act struct {
	kind       string
	incident   string // id
	object     string // id of the action, follow-up, … that it was done to, or that it made
	value      string
	token      string // in the text that was written, if any
	begun, end time.Time
}

// staff are the people who work in incident.io.
type staff struct {
	*soak
	mu   sync.Mutex
	acts []act
}

// work lets people do one thing after another in the incident of a TigerOps incident, the nth, until ctx ends. What they
// do there, and in which order, is the seed's; at which moments is the clock's.
func (p *staff) work(ctx context.Context, key string, rng *rand.Rand, n int) {
	for done := 0; done < p.plan.acts; {
		pause := time.NewTimer(time.Duration(rng.ExpFloat64() * float64(2*p.plan.eventGap)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		if i, ok := p.incident(key); ok {
			done++
			chance := rand.New(rand.NewPCG(p.seed, 3<<48+uint64(n)<<16+uint64(done))) // of its own: what one draws is up to what there is
			p.act(chance, i, key, fmt.Sprintf("note N%d", n*1000+done))
		}
	}
}

// open lets somebody declare an incident as one of the shared stories would be, before that is told.
func (p *staff) open(rng *rand.Rand) {
	if _, err := p.person(rng).Declare(simulator.NewIncident{
		Name: "Payments trouble", Summary: "We are on it.", Severity: severities["critical"], Fields: map[string][]string{"Affected services": {"Payments"}},
	}); err != nil {
		p.Errorf("declare: %v", err)
	}
}

// incident is the one that a TigerOps incident is tied to now.
func (p *staff) incident(key string) (simulator.IncidentView, bool) {
	ids, err := p.agent.query("SELECT incident_id FROM link WHERE tigerops_incident_id = ? AND beside = 0", key)
	if err != nil || len(ids) == 0 {
		return simulator.IncidentView{}, false
	}
	v, err := p.sim.Incident(ids[0])
	return v, err == nil
}

var actWeights = map[string]int{
	"status": 16, "resolve": 3, "close": 3, "reopen": 4, "severity": 12, "role": 8, "unassign": 3, "message": 10, "timeline": 10,
	"summary": 6, "name": 4, "action": 6, "action done": 6, "follow-up": 4, "follow-up done": 4, "escalate": 2, "escalation": 4,
	"field": 3, "document": 1, "document done": 2, "private": 1, "alert": 1, "merge": 1,
}

// act lets somebody do something in an incident.
func (p *staff) act(rng *rand.Rand, i simulator.IncidentView, key, token string) {
	a := act{incident: i.ID, token: token, begun: time.Now()}
	who := p.person(rng)
	said := ""
	if rng.IntN(2) == 0 {
		said = a.token
	}
	over := i.Status.Category != simulator.CategoryLive
	pick := func(words ...string) string { return words[rng.IntN(len(words))] }
	var err error
	switch a.kind = weighted(rng, actWeights); a.kind {
	case "status":
		if over {
			return
		}
		a.value = pick("Investigating", "Fixing", "Monitoring")
		err = who.SetStatus(i.ID, a.value, said)
	case "resolve":
		err = who.Resolve(i.ID, said)
	case "close":
		err = who.Close(i.ID, said)
	case "reopen":
		if !over {
			return
		}
		err = who.Reopen(i.ID, said)
	case "severity":
		a.value = pick("SEV1", "SEV2", "SEV3")
		err = who.SetSeverity(i.ID, a.value, said)
	case "role":
		a.value = people[rng.IntN(len(people))].email
		err = who.AssignRole(i.ID, "lead", a.value)
	case "unassign":
		err = who.UnassignRole(i.ID, "lead")
	case "message":
		err = who.Message(i.ID, a.token)
	case "timeline":
		a.object, err = who.AddTimelineItem(i.ID, a.token, "", time.Time{})
	case "summary":
		// As an editor does it: what is there, and something more.
		a.value = i.Summary + "\n\n" + a.token
		err = who.EditSummary(i.ID, a.value)
	case "name":
		a.value = "Renamed " + a.token
		err = who.Rename(i.ID, a.value)
	case "action":
		a.object, err = who.CreateAction(i.ID, a.token)
	case "action done":
		if len(i.Actions) == 0 {
			return
		}
		a.object, a.value = i.Actions[rng.IntN(len(i.Actions))].ID, pick("completed", "not_doing", "outstanding")
		err = who.SetAction(a.object, a.value)
	case "follow-up":
		a.object, err = who.CreateFollowUp(i.ID, a.token, "")
	case "follow-up done":
		if len(i.FollowUps) == 0 {
			return
		}
		a.object, a.value = i.FollowUps[rng.IntN(len(i.FollowUps))].ID, pick("completed", "outstanding")
		err = who.SetFollowUp(a.object, a.value)
	case "escalate":
		a.object, err = who.Escalate(i.ID, simulator.DefaultEscalationPathID, a.token)
	case "escalation":
		if len(i.Escalations) == 0 {
			return
		}
		a.object, a.value = i.Escalations[rng.IntN(len(i.Escalations))].ID, pick("acked", "resolved", "triggered")
		err = who.SetEscalation(a.object, a.value)
	case "field":
		a.value = a.token
		err = who.SetField(i.ID, "Deployment SHA", a.value)
	case "document":
		a.object, err = who.CreatePostmortem(i.ID, a.token, "It was the disk.")
	case "document done":
		if len(i.Postmortems) == 0 {
			return
		}
		a.object, a.value = i.Postmortems[rng.IntN(len(i.Postmortems))].ID, pick("in_review", "completed")
		err = who.SetPostmortem(a.object, a.value)
	case "private":
		err = who.MakePrivate(i.ID)
	case "alert":
		all := slices.DeleteFunc(p.sim.Snapshot().Alerts, func(a simulator.Alert) bool {
			return a.DeduplicationKey != "tigerops/"+key && !strings.HasPrefix(a.DeduplicationKey, "tigerops/"+key+"/")
		})
		if len(all) == 0 {
			return
		}
		a.object = all[rng.IntN(len(all))].ID
		err = who.ResolveAlert(a.object)
	case "merge":
		n, _ := strconv.Atoi(strings.TrimPrefix(key, "TIG-"))
		other, ok := p.incident(fmt.Sprintf("TIG-%d", 1+rng.IntN(n)))
		if !ok || other.ID == i.ID {
			return
		}
		a.value = other.Reference
		err = who.Merge(i.ID, a.value)
	}
	if err != nil {
		p.Errorf("%s of %s: %v", a.kind, i.Reference, err)
		return
	}
	a.end = time.Now()
	p.mu.Lock()
	p.acts = append(p.acts, a)
	p.mu.Unlock()
}
