package store

import "sync"

// Topic is what a commit changed, for Changed.
type Topic uint8

// The topics.
const (
	TopicOutbox   Topic = iota // events that are new, or that somebody retried, discarded or took up again
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

// hub wakes whoever waits for a commit of this process.
type hub struct {
	mu      sync.Mutex
	waiting map[topics]chan struct{}
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

func (h *hub) notify(changed topics) {
	if changed == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for set, ch := range h.waiting {
		if set&changed != 0 {
			close(ch)
			delete(h.waiting, set)
		}
	}
}
