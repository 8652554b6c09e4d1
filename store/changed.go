package store

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Topic is what a commit changed, for Changed.
type Topic uint8

// The topics.
const (
	TopicNew      Topic = iota // events that are new: see Arrived and Behind
	TopicBehind                // events that are new, of which nobody needs to be woken: see Behind
	TopicOutbox                // events that somebody retried, discarded or took up again
	TopicDelivery              // events that the agent itself moved on
	TopicTies                  // links
	TopicInbox
	TopicWebhooks
)

// topics is a set of them.
type topics uint8

func (t *topics) add(topic Topic) { *t |= 1 << topic }

func (t topics) has(topic Topic) bool { return t&(1<<topic) != 0 }

// Ties counts the commits of this process that changed links. While it stands still a link that was read is as it is
// now: a commit is counted before it is answered.
func (s *Store) Ties() uint64 {
	if s.writer == nil {
		return 0
	}
	return s.writer.ties.Load()
}

// Arrival is an event that this process has put into the outbox.
type Arrival struct {
	OutboxID int64
	Lane     string
}

// arrivalsKept bounds the arrivals that wait to be taken.
const arrivalsKept = 4096

// Arrived takes the events that this process has put into the outbox since the last call, in the order of their ids. Rows
// of other processes may lie between them, and where there were more than are kept only the newest is told: Touched tells
// all.
func (s *Store) Arrived() []Arrival {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	taken := s.hub.arrived
	s.hub.arrived = nil
	return taken
}

// Behind lets whoever follows TopicNew sleep: is is told the lane of each event that this process has put into the outbox,
// once that is committed, and answers whether the event stands behind another that waits there. Where all of a commit
// do, it is not told as TopicNew: to wake a goroutine for nothing costs a lone caller at the door a tenth of his time.
func (s *Store) Behind(is func(lane string) bool) { s.hub.behind.Store(&is) }

// hub wakes whoever waits for a commit of this process.
type hub struct {
	mu      sync.Mutex
	waiting map[topics]chan struct{}
	arrived []Arrival
	behind  atomic.Pointer[func(lane string) bool]
}

// Changed returns a channel that is closed at the next commit of this process that changes one of the topics (without
// one: any of them). Take the channel first, look second, wait third: then nothing is missed. What other processes
// commit is told by DataVersion alone.
func (s *Store) Changed(of ...Topic) <-chan struct{} {
	var set topics
	for _, t := range of {
		set.add(t)
	}
	if set == 0 {
		set = ^topics(0)
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	ch := s.hub.waiting[set]
	if ch == nil {
		ch = make(chan struct{})
		if s.hub.waiting == nil {
			s.hub.waiting = map[topics]chan struct{}{}
		}
		s.hub.waiting[set] = ch
	}
	return ch
}

func (h *hub) notify(changed topics, arrived []Arrival) {
	if changed == 0 {
		return
	}
	if is := h.behind.Load(); is != nil && changed.has(TopicNew) &&
		!slices.ContainsFunc(arrived, func(a Arrival) bool { return !(*is)(a.Lane) }) {
		changed = changed&^(1<<TopicNew) | 1<<TopicBehind
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.arrived = append(h.arrived, arrived...); len(h.arrived) > arrivalsKept {
		h.arrived = []Arrival{h.arrived[len(h.arrived)-1]} // who takes it sees that there are others before it
	}
	for set, ch := range h.waiting {
		if set&changed != 0 {
			close(ch)
			delete(h.waiting, set)
		}
	}
}
