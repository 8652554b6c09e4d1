package agent

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

const (
	// pollStranger is how often the database is asked whether another process wrote; contract section 3 promises
	// half a second.
	pollStranger = 200 * time.Millisecond

	// urgentWorkers come on top of AGENT_WORKERS for urgent events only, so that slow notes in every worker do not
	// hold up a new critical incident.
	urgentWorkers = 2
)

// Priorities of lanes that are due: lower goes first, then the older event.
const (
	priorityCritical = iota // declarations, escalations and resolves of the most severe incidents
	priorityUrgent          // alerts and other declarations
	priorityNormal          // changes
	priorityNote            // steps, actions, post-mortems: nobody is paged by them
)

// lane is the head of one incident's queue; the table holds the rest.
type lane struct {
	head     store.Head
	priority int
	due      time.Time
	busy     bool
	stale    bool      // the table changed while a worker had the lane
	tended   bool      // somebody changed its rows by hand meanwhile
	scope    string    // smaller rate limit that it waited for last
	tries    int       // failures in a row that charge nothing, for the backoff
	lastTry  time.Time // end of the last attempt by this process
	forbade  string    // what incident.io forbade at the last attempt, empty if nothing
	index    int       // in its heap, -1 when in none
	heap     *laneHeap // which of the two, nil when in none
}

// drainer hands due lanes to workers, most urgent first. It holds heads only and can be made anew from the table at
// any time.
type drainer struct {
	a         *Agent
	followFor time.Duration // followFor, but for tests

	mu        sync.Mutex
	lanes     map[string]*lane
	ready     laneHeap // due now, by priority and age
	later     laneHeap // not due yet, by due time
	workers   int
	lastTurn  time.Time // when the loop last went round
	lastMoved time.Time // when a due lane was last tried or none was due: what "stuck" is measured from

	poked chan struct{} // look at the table
	freed chan struct{} // a worker has come to its end
}

func newDrainer(a *Agent) *drainer {
	d := &drainer{a: a, followFor: followFor, lanes: make(map[string]*lane), poked: make(chan struct{}, 1), freed: make(chan struct{}, 1), lastMoved: time.Now()}
	d.ready.less = func(x, y *lane) bool {
		if x.priority != y.priority {
			return x.priority < y.priority
		}
		return x.head.OutboxID < y.head.OutboxID
	}
	d.later.less = func(x, y *lane) bool { return x.due.Before(y.due) }
	return d
}

// wake makes the drainer look at the table and the lanes now.
func (d *drainer) wake() { poke(d.poked) }

// allDue makes every lane that backed off due: incident.io is back.
func (d *drainer) allDue() {
	d.mu.Lock()
	now := time.Now()
	for d.later.Len() > 0 {
		l := d.later.lanes[0]
		l.due, l.tries = now, 0
		d.placeLocked(l, now)
	}
	d.mu.Unlock()
	d.wake()
}

// run drains until ctx ends, then waits for the workers to finish what is in flight.
func (d *drainer) run(ctx context.Context) error {
	var workers sync.WaitGroup
	// A worker finishes its request although we are asked to stop, within the time that a stop may take.
	inFlight, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer func() { workers.Wait(); cut() }()
	context.AfterFunc(ctx, func() { time.AfterFunc(stopWithin-time.Second, cut) })

	// First what tells of changes, then the look: an event that comes in between is told twice, not never.
	own, arrived := d.a.st.Changed(store.TopicOutbox), d.a.st.Changed(store.TopicNew)
	d.a.st.Behind(d.behind)
	version, err := d.a.st.DataVersion(ctx)
	if err != nil {
		return err
	}
	cursor, err := d.a.st.EachHead(ctx, func(h store.Head) {
		d.mu.Lock()
		d.setHeadLocked(h.Lane, h, true)
		d.mu.Unlock()
	})
	if err != nil {
		return err
	}
	look, asked := false, time.Now()
	for {
		if look {
			if cursor, err = d.refresh(ctx, cursor); err != nil && ctx.Err() == nil {
				d.a.failing("read the outbox", err)
			}
			look = err != nil // again at the next turn, since nobody may tell of it once more
		}
		wait := d.dispatch(ctx, inFlight, &workers)
		timer := time.NewTimer(min(wait, max(0, pollStranger-time.Since(asked))))
		changed := d.a.up.watch()
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-arrived:
			arrived = d.a.st.Changed(store.TopicNew)
		case <-own:
			own = d.a.st.Changed(store.TopicOutbox)
			look = true
		case <-d.poked:
			look = true
		case <-d.freed:
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
		// At every turn, since nobody wakes this loop for an event that stands behind another.
		more, err := d.welcome(ctx, &cursor)
		if err != nil && ctx.Err() == nil {
			d.a.failing("read the outbox", err)
		}
		look = look || more
		if time.Since(asked) >= pollStranger {
			asked = time.Now()
			v, err := d.a.st.DataVersion(ctx)
			if err == nil && v != version {
				version, look = v, true
				poke(d.a.wakePush) // a stranger may have acknowledged or retried inbox rows
			}
		}
	}
}

// welcome takes in the events that came by this process' own doors. It asks for a look at the table where another process'
// rows lie between them and the cursor.
func (d *drainer) welcome(ctx context.Context, cursor *store.Cursor) (look bool, err error) {
	for _, e := range d.a.st.Arrived() {
		switch {
		case e.OutboxID <= cursor.LastID: // a look has found it
		case e.OutboxID > cursor.LastID+1:
			return true, nil
		default:
			if err := d.touch(ctx, e.Lane, true); err != nil {
				return true, err
			}
			cursor.LastID = e.OutboxID
		}
	}
	return false, nil
}

// touch reads a lane's head if it may be another than the one known: a lane that only grew behind its head has the same,
// and a busy one is read when its worker ends.
func (d *drainer) touch(ctx context.Context, key string, grew bool) error {
	if grew {
		if d.behind(key) {
			return nil
		}
		return d.reload(ctx, key)
	}
	d.mu.Lock()
	l := d.lanes[key]
	busy := l != nil && l.busy
	if busy {
		l.stale, l.tended = true, true
	}
	d.mu.Unlock()
	if busy {
		return nil
	}
	return d.reload(ctx, key)
}

// behind says whether a lane that has got an event has a head already, which is the head still. The store asks it too, from
// the goroutine of whoever has put the event in.
func (d *drainer) behind(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lanes[key]
	if l != nil && l.busy {
		l.stale = true
	}
	return l != nil
}

// refresh reads the heads of the lanes that were touched since the cursor.
func (d *drainer) refresh(ctx context.Context, cursor store.Cursor) (store.Cursor, error) {
	for {
		grown, changed, next, more, err := d.a.st.Touched(ctx, cursor)
		if err != nil {
			return cursor, err
		}
		for _, key := range changed {
			if err := d.touch(ctx, key, false); err != nil {
				return cursor, err
			}
		}
		for _, key := range grown {
			if err := d.touch(ctx, key, true); err != nil {
				return cursor, err
			}
		}
		cursor = next
		if !more {
			return cursor, nil
		}
	}
}

// reload reads one lane's head from the table. Only run does, so that no older reading overtakes a newer one; a worker reads
// the head of its own lane.
func (d *drainer) reload(ctx context.Context, key string) error {
	// Where the lane has ended it is read once more: what came before that was known was taken to stand behind its head.
	for range 2 {
		h, ok, err := d.a.st.Head(ctx, key)
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.setHeadLocked(key, h, ok)
		d.mu.Unlock()
		if ok {
			break
		}
	}
	return nil
}

func (d *drainer) setHeadLocked(key string, h store.Head, ok bool) {
	l := d.lanes[key]
	if !ok {
		if l != nil && !l.busy {
			d.removeLocked(l)
			delete(d.lanes, key)
			if l.forbade != "" { // nobody waits for it any more
				d.a.up.forbid(l.forbade, "")
			}
		}
		return
	}
	if l == nil {
		l = &lane{index: -1}
		d.lanes[key] = l
	}
	if l.busy {
		l.stale = true
		return
	}
	fresh := l.head.OutboxID != h.OutboxID || l.head.State != h.State
	moved := !l.head.NextAttempt.Equal(h.NextAttempt)
	l.head = h
	l.priority = d.a.priority(h)
	if fresh {
		l.tries, l.lastTry = 0, time.Time{}
	}
	if fresh || moved {
		l.due = h.Due(time.Now())
		if fresh && l.priority == priorityCritical {
			d.a.up.hurry()
		}
	}
	d.placeLocked(l, time.Now())
}

func (d *drainer) removeLocked(l *lane) {
	if l.heap != nil {
		heap.Remove(l.heap, l.index)
		l.heap = nil
	}
}

// placeLocked puts the lane into the heap it belongs to: none while busy or dead.
func (d *drainer) placeLocked(l *lane, now time.Time) {
	d.removeLocked(l)
	if l.busy || l.head.State != "pending" {
		return
	}
	l.heap = &d.later
	if !l.due.After(now) {
		l.heap = &d.ready
	}
	heap.Push(l.heap, l)
}

// dispatch gives due lanes to workers as the bucket and the workers allow, and answers how long nothing can change
// by itself.
func (d *drainer) dispatch(ctx, inFlight context.Context, workers *sync.WaitGroup) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.lastTurn = now
	for d.later.Len() > 0 && !d.later.lanes[0].due.After(now) {
		d.placeLocked(d.later.lanes[0], now)
	}
	wait := time.Minute
	if d.later.Len() > 0 {
		wait = d.later.lanes[0].due.Sub(now)
	}
	if d.ready.Len() == 0 {
		d.lastMoved = now
		return wait
	}
	if ok, _ := d.a.up.usable(); !ok {
		d.lastMoved = now // paused is not stuck
		return wait
	}
	limit := d.a.cfg.Load().Workers
	for d.ready.Len() > 0 && ctx.Err() == nil {
		l := d.ready.lanes[0]
		urgent := l.priority <= priorityUrgent
		if d.workers >= limit && (!urgent || d.workers >= limit+urgentWorkers) {
			return wait
		}
		if room := d.a.up.room(scopeKey, urgent, now); room > 0 {
			d.lastMoved = now
			return min(wait, room)
		}
		if room := d.a.up.room(l.scope, l.priority == priorityCritical, now); l.scope != scopeKey && room > 0 {
			l.due = now.Add(room)
			d.placeLocked(l, now)
			d.lastMoved = now
			wait = min(wait, room)
			continue
		}
		heap.Pop(&d.ready)
		l.heap, l.busy, l.stale, l.tended = nil, true, false, false
		d.lastMoved = now
		d.workers++
		workers.Go(func() { d.work(ctx, inFlight, l) })
	}
	return wait
}

// work delivers events of one lane until its head has to wait or another lane should go first.
func (d *drainer) work(ctx, inFlight context.Context, l *lane) {
	defer func() {
		d.mu.Lock()
		d.workers--
		d.mu.Unlock()
		poke(d.freed)
	}()
	key := l.head.Lane
	for {
		v := d.a.deliver(ctx, inFlight, l)
		var h store.Head
		var ok bool
		var err error
		d.mu.Lock()
		for l.stale = true; l.stale && err == nil; { // again if the table changed while it was read
			l.stale = false
			d.mu.Unlock()
			h, ok, err = d.a.st.Head(inFlight, key)
			d.mu.Lock()
		}
		l.lastTry = time.Now()
		if err != nil {
			// The table can't be read: try again in a while, from what memory holds.
			l.busy, l.due = false, time.Now().Add(time.Second)
			d.placeLocked(l, time.Now())
			d.mu.Unlock()
			d.a.failing("read the head of a lane", err)
			return
		}
		same := ok && h.OutboxID == l.head.OutboxID
		l.busy = false
		l.scope = v.scope
		due := h.Due(time.Now())
		if same && v.retryAt.After(due) {
			due = v.retryAt
		}
		if same {
			l.head, l.due = h, due
		} else {
			d.setHeadLocked(key, h, ok)
		}
		again := ok && !same && h.State == "pending" && !due.After(time.Now()) && ctx.Err() == nil &&
			(d.ready.Len() == 0 || d.ready.lanes[0] == l)
		if again {
			if okNow, _ := d.a.up.usable(); okNow && d.a.up.room(scopeKey, l.priority <= priorityUrgent, time.Now()) == 0 {
				d.removeLocked(l)
				l.busy, l.tended = true, false
				d.lastMoved = time.Now()
				d.mu.Unlock()
				continue
			}
		}
		if ok {
			d.placeLocked(l, time.Now())
		}
		d.mu.Unlock()
		return
	}
}

// mayFollow says whether a worker that has had a lane since then may go on with its next event, of the given priority,
// without a look at the table.
func (d *drainer) mayFollow(l *lane, priority int, since time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.tended {
		return false
	}
	if d.ready.Len() == 0 {
		return true
	}
	first := d.ready.lanes[0].priority
	return priority < first || priority == first && time.Since(since) < d.followFor
}

// follows makes the next event the head of a lane that a worker has.
func (d *drainer) follows(l *lane, h store.Head) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.head, l.priority = h, d.a.priority(h)
	l.tries, l.lastTry = 0, time.Time{}
	d.lastMoved = time.Now()
}

// stuckFor is how long the loop has neither tried a lane nor had a reason not to: idle, paused, throttled and cut off
// are no signs of being stuck (architecture 6).
func (d *drainer) stuckFor(now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Sub(d.lastMoved)
}

// priority says how urgent a lane's head is.
func (a *Agent) priority(h store.Head) int {
	severities := a.cfg.Load().Rules.Severities
	top := len(severities) > 0 && h.Severity == severities[len(severities)-1]
	switch h.EventType {
	case mapping.IncidentCreated, mapping.IncidentReopened, mapping.IncidentEscalated:
		if top {
			return priorityCritical
		}
		return priorityUrgent
	case mapping.AnomalyDetected, mapping.SLOBreached:
		return priorityUrgent
	case mapping.IncidentResolved:
		if top {
			return priorityCritical
		}
		return priorityNormal
	case mapping.InvestigationStep, mapping.RunbookAction, mapping.PostmortemReady:
		return priorityNote
	}
	if top {
		return priorityUrgent
	}
	return priorityNormal
}

// laneHeap is a container/heap of lanes that know their place in it.
type laneHeap struct {
	lanes []*lane
	less  func(x, y *lane) bool
}

func (h *laneHeap) Len() int           { return len(h.lanes) }
func (h *laneHeap) Less(i, j int) bool { return h.less(h.lanes[i], h.lanes[j]) }
func (h *laneHeap) Swap(i, j int) {
	h.lanes[i], h.lanes[j] = h.lanes[j], h.lanes[i]
	h.lanes[i].index, h.lanes[j].index = i, j
}
func (h *laneHeap) Push(x any) {
	l := x.(*lane)
	l.index = len(h.lanes)
	h.lanes = append(h.lanes, l)
}
func (h *laneHeap) Pop() any {
	l := h.lanes[len(h.lanes)-1]
	h.lanes = h.lanes[:len(h.lanes)-1]
	l.index = -1
	return l
}
