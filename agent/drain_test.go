package agent

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// TestStrangersAndOwnEventsKeepTheirOrder puts events of one incident in by turns: by the door of this process, which
// tells the drainer, and by another connection, which the drainer has to notice.
func TestStrangersAndOwnEventsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	w, l := listening(t, func(*world, int, string) {})
	db := must(sql.Open("sqlite", "file:"+w.path+"?_pragma=busy_timeout(10000)"))(w)
	defer db.Close()
	list := notes(60)
	for i, e := range list {
		if i%3 == 1 {
			w.post(e)
			continue
		}
		if _, err := db.Exec("INSERT INTO outbox(payload) VALUES (?)", string(must(json.Marshal(e))(w))); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range list {
		w.ends(e, "done")
	}
	same(t, "order", l.order(60), inOrder(60)...)
	is(t, "sent", len(l.heard), 60)
}

// TestTheDrainerSleepsForWhatStandsBehindAHead asks it as the store does.
func TestTheDrainerSleepsForWhatStandsBehindAHead(t *testing.T) {
	t.Parallel()
	d := newDrainer(newWorld(t, quick(worldOptions{})).a)
	waiting, busy := &lane{index: -1}, &lane{index: -1, busy: true}
	d.lanes["waiting"], d.lanes["busy"] = waiting, busy
	is(t, "behind a head that waits", d.behind("waiting"), true)
	is(t, "behind one that a worker has", d.behind("busy"), true)
	is(t, "that worker reads on", busy.stale, true)
	is(t, "in a lane that is not known", d.behind("new"), false)
}

// TestManyEventsInOneRequestAreTakenUp hands in more events at once than the store keeps to tell the drainer of.
func TestManyEventsInOneRequestAreTakenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick(worldOptions{}))
	w.start()
	w.says(theFirst) // the look of the start is over
	list := make([]m, 4500)
	for i := range list {
		list[i] = m{"id": fmt.Sprint("many-", i), "type": "test.nothing"}
	}
	w.post(list...)
	eventually(t, "the first of them to be taken up", func() bool {
		return len(must(w.a.st.Outbox(w.ctx, store.OutboxQuery{State: store.Skipped, Limit: 1}))(w)) > 0
	})
}

// TestALookThatFailsIsMadeAgain fails the reading of a lane's head for a while, in a way that nobody tells the drainer of
// when it is over.
func TestALookThatFailsIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick(worldOptions{}))
	w.start()
	w.says(theFirst)
	row := func(state string) {
		must(w.a.st.Commit(w.ctx, store.Commit{Incident: &store.IncidentState{TigerOpsID: "TIG-2", State: []byte(state)}}))(w)
	}
	row(`{"incident":{"severity":7}}`)
	w.a.m.failures.WithLabelValues("internal") // a sample from the start
	failures := func() int { return must(strconv.Atoi(w.metric(`failures_total{kind="internal"}`)))(w) }
	before := failures()
	e := event(mapping.InvestigationStep, m{"incident": m{"id": "TIG-2"}, "step": m{"kind": "note", "title": "note"}})
	w.post(e)
	eventually(t, "the look to fail", func() bool { return failures() >= before+2 }) // of one lane, and over all
	row(`{}`)
	w.ends(e, store.Done)
}
