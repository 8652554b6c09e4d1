package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// listener stands before incident.io and hears each timeline item before it is sent.
type listener struct {
	next  http.RoundTripper
	mu    sync.Mutex
	heard []string              // bodies, in order
	hear  func(n int, b string) // n counts from 1
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && r.URL.Path == "/v2/incident_timeline_items" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		l.mu.Lock()
		l.heard = append(l.heard, string(body))
		if l.hear != nil {
			l.hear(len(l.heard), string(body))
		}
		l.mu.Unlock()
	}
	return l.next.RoundTrip(r)
}

// order are the notes by their titles' numbers, as they were sent, repeats left out.
func (l *listener) order(notes int) (order []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.heard {
		for i := range notes {
			if strings.Contains(b, fmt.Sprintf("note %02d", i)) && !slices.Contains(order, i) {
				order = append(order, i)
			}
		}
	}
	return order
}

// listening is a running world of whose timeline items each is heard before it is sent.
func listening(t *testing.T, hear func(w *world, n int, body string)) (*world, *listener) {
	l := &listener{}
	w := newWorld(t, quick(worldOptions{agent: func(o *Options) { l.next, o.HTTP.Transport = o.HTTP.Transport, l }}))
	l.hear = func(n int, body string) { hear(w, n, body) }
	w.a.drain.followFor = time.Minute // however slow the machine
	w.start()
	w.says(theFirst)
	return w, l
}

// theFirst is the event before the notes.
var theFirst = created(nil)

func notes(n int) (list []m) {
	for i := range n {
		list = append(list, step("note", fmt.Sprintf("note %02d", i)))
	}
	return list
}

func inOrder(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestNotesOfALaneFollowOneAnother(t *testing.T) {
	t.Parallel()
	list := notes(90)
	allThere := make(chan struct{})
	var first int64      // row of the first note
	run, longest := 0, 0 // notes in a row that were sent before what became of the one before was written down
	w, l := listening(t, func(w *world, n int, body string) {
		<-allThere
		id := first + int64(n) - 1
		// Each is in the ledger, byte for byte, before it is sent (P2).
		ledger := must(w.a.st.Steps(w.ctx, id))(w)
		if len(ledger) != 1 || ledger[0].State != store.StepOpen || string(ledger[0].Request) != body {
			w.Errorf("note %d is sent, and the ledger has %+v", n-1, ledger)
		}
		if run++; must(w.a.st.Event(w.ctx, id-1))(w).State == store.Done {
			run = 0
		}
		longest = max(longest, run)
	})
	first = w.outbox(theFirst).ID + 1
	w.post(list...)
	close(allThere)
	for _, e := range list {
		w.ends(e, store.Done)
	}
	same(t, "order", l.order(90), inOrder(90)...)
	is(t, "sent", len(l.heard), 90)
	is(t, "timeline items", len(w.only().Timeline), 90)
	// 16 behind the first, then 32, and the rest: a longer queue in longer lots, within their bound.
	if longest <= followAtFirst || longest >= followAtMost {
		t.Errorf("notes sent before what became of the one before was written down: got up to %d in a row, want more than %d, and fewer than %d", longest, followAtFirst, followAtMost)
	}
	for _, e := range list {
		for _, s := range must(w.a.st.Steps(w.ctx, w.outbox(e).ID))(w) {
			if s.State != store.StepDone || s.Attempts != 1 || s.RemoteID == "" || s.HTTPStatus != http.StatusCreated {
				t.Errorf("ledger of %v: %+v", e["id"], s)
			}
		}
	}
	var state struct{ Extra m }
	raw, _, err := w.a.st.IncidentState(w.ctx, "TIG-1")
	w.ok(err)
	w.ok(json.Unmarshal(raw, &state))
	holds(t, "what TigerOps told last", fmt.Sprint(state.Extra["step"]), "note 89")
	is(t, "requests that nothing needs", w.sim.Counters().ByStatus[http.StatusUnprocessableEntity], 0)
}

func TestLongNotesFollowInLotsThatTheMemoryHolds(t *testing.T) {
	t.Parallel()
	list := notes(50)
	for _, e := range list {
		e["step"].(m)["detail"] = strings.Repeat("a long story ", 4600) // 60 kB
	}
	allThere := make(chan struct{})
	var first int64 // row of the first note
	most := 0
	w, l := listening(t, func(w *world, n int, body string) {
		<-allThere
		open := 0
		for i := range list {
			for _, s := range must(w.a.st.Steps(w.ctx, first+int64(i)))(w) {
				if s.State == store.StepOpen {
					open++
				}
			}
		}
		most = max(most, open)
	})
	first = w.outbox(theFirst).ID + 1
	for _, e := range list {
		w.post(e)
	}
	close(allThere)
	for _, e := range list {
		w.ends(e, store.Done)
	}
	same(t, "order", l.order(50), inOrder(50)...)
	if most < followAtFirst || most > followAtFirst+2 {
		t.Errorf("notes of 60 kB that were frozen together: got up to %d, want about a MiB of them", most)
	}
}

func TestANoteThatIsRefusedHoldsUpThoseBehindIt(t *testing.T) {
	t.Parallel()
	list := notes(12)
	w, l := listening(t, func(*world, int, string) {})
	must(w.sim.Break(simulator.Fault{Method: "POST", Path: "/v2/incident_timeline_items", Kind: simulator.StatusCode, Status: 422, Skip: 6, Times: 1}))(w)
	w.post(list...)
	w.ends(list[6], store.Dead)
	for i, e := range list {
		want := store.Done
		if i > 6 {
			want = store.Pending
		} else if i == 6 {
			want = store.Dead
		}
		is(t, fmt.Sprint("note ", i), w.outbox(e).State, want)
	}
	must(w.a.st.RetryEvents(w.ctx, w.outbox(list[6]).ID))(w)
	for _, e := range list {
		w.ends(e, store.Done)
	}
	same(t, "order", l.order(12), inOrder(12)...)
	is(t, "timeline items", len(w.only().Timeline), 12)
}

func TestWhatHoldsUpANoteHoldsUpNoneBeforeIt(t *testing.T) {
	t.Parallel()
	for _, kind := range append([]simulator.FaultKind{simulator.Throttle, simulator.ResetBefore}, lost...) {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			list := notes(12)
			w, l := listening(t, func(*world, int, string) {})
			f := simulator.Fault{Method: "POST", Path: "/v2/incident_timeline_items", Kind: kind, Skip: 5, Times: 2, Delay: 20_000_000}
			must(w.sim.Break(f))(w)
			w.says(list...)
			same(t, "order", l.order(12), inOrder(12)...)
			is(t, "timeline items", len(w.only().Timeline), 12)
			is(t, "keys with other bytes", w.sim.Counters().Changed, 0)
		})
	}
}

func TestANoteThatAPersonDiscardsMeanwhileIsNotSentAndCostsNoOther(t *testing.T) {
	t.Parallel()
	list := notes(12)
	w, l := listening(t, func(w *world, n int, _ string) {
		if n != 4 {
			return
		}
		must(w.a.st.DiscardEvents(w.ctx, "no longer wanted", w.outbox(list[8]).ID))(w)
		eventually(w, "the drainer to notice", func() bool {
			w.a.drain.mu.Lock()
			defer w.a.drain.mu.Unlock()
			return w.a.drain.lanes["TIG-1"].tended
		})
	})
	w.post(list...)
	for i, e := range list {
		if i == 8 {
			is(t, "its reason", w.ends(e, store.Skipped).Reason, "no longer wanted")
			continue
		}
		w.ends(e, store.Done)
	}
	same(t, "order of the others", l.order(12), slices.DeleteFunc(inOrder(12), func(i int) bool { return i == 8 })...)
	is(t, "timeline items", len(w.only().Timeline), 11)
}

func TestANoteThatAPersonDiscardsWhileItIsSentCostsNoOther(t *testing.T) {
	t.Parallel()
	list := notes(12)
	w, _ := listening(t, func(w *world, n int, _ string) {
		if n == 4 {
			must(w.a.st.DiscardEvents(w.ctx, "no longer wanted", w.outbox(list[3]).ID))(w)
		}
	})
	w.post(list...)
	for i, e := range list {
		if i == 3 {
			w.ends(e, store.Skipped)
			continue
		}
		w.ends(e, store.Done)
	}
	eventually(t, "the others to be counted", func() bool {
		return w.metric(`events_total{state="done",type="investigation.step"}`) == "11"
	})
}

func TestNoNoteOvertakesWhatIsNone(t *testing.T) {
	t.Parallel()
	list := notes(12)
	list[3] = updated(m{"title": "note 03"})
	list[7] = event(mapping.RunbookAction, m{"action": m{"title": "note 07", "status": "running"}})
	list[8] = event(mapping.RunbookAction, m{"action": m{"title": "note 08", "status": "running"}})
	w, _ := listening(t, func(*world, int, string) {})
	w.says(list...)
	var order []string
	for _, r := range w.sim.Requests("POST") {
		for i := range 12 {
			if text := fmt.Sprintf("note %02d", i); strings.Contains(r.Body, text) && !slices.Contains(order, text) {
				order = append(order, text)
			}
		}
	}
	if !slices.IsSorted(order) || len(order) != 12 {
		t.Errorf("order: got %v", order)
	}
}

func TestADryRunThatBeginsMeanwhileSendsNoFurtherNote(t *testing.T) {
	t.Parallel()
	list := notes(12)
	w, l := listening(t, func(w *world, n int, _ string) {
		if n == 3 {
			c := *w.a.cfg.Load()
			c.DryRun = true
			w.a.cfg.Store(&c)
		}
	})
	w.post(list...)
	for i, e := range list {
		switch {
		case i < 2:
			w.ends(e, store.Done)
		case i > 2: // the one under way ends as it may: done, or with nothing left to do
			holds(t, "reason", w.ends(e, store.Skipped).Reason, "dry run")
		}
	}
	is(t, "sent", len(l.heard), 3)
}

func TestWhoeverWaitsForTheIncidentHasItBeforeTheRestOfTheNotes(t *testing.T) {
	t.Parallel()
	list := notes(12)
	incidentID, sent := "", make(chan int, 1) // how many notes were, when a look had the incident
	var l *listener
	w, l := listening(t, func(w *world, n int, _ string) {
		if n != 3 {
			return
		}
		go func() {
			unlock, err := w.a.locks.lock(w.ctx, incidentID)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			l.mu.Lock()
			defer l.mu.Unlock()
			sent <- len(l.heard)
		}()
		eventually(w, "a look to wait for the incident", func() bool { return w.a.locks.contended(incidentID) })
	})
	incidentID = w.only().ID
	w.says(list...)
	is(t, "notes sent before the look", <-sent, 3)
	same(t, "order", l.order(12), inOrder(12)...)
	is(t, "timeline items", len(w.only().Timeline), 12)
}
