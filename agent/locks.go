package agent

import (
	"context"
	"sync"
)

// keyedLocks gives one hand at a time on a key. Both directions lock an incident before they touch it: on the
// incident.io id once it is known, on the TigerOps id before (P4).
type keyedLocks struct {
	mu   sync.Mutex
	held map[string]*keyedLock
}

type keyedLock struct {
	slot chan struct{} // holds one token while somebody has the lock
	refs int           // holder and waiters; the entry goes when it falls to zero
}

func newKeyedLocks() *keyedLocks { return &keyedLocks{held: make(map[string]*keyedLock)} }

// lock waits for the key and returns the function that gives it back, or ctx's error.
func (l *keyedLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	k := l.held[key]
	if k == nil {
		k = &keyedLock{slot: make(chan struct{}, 1)}
		l.held[key] = k
	}
	k.refs++
	l.mu.Unlock()

	release := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.refs--; k.refs == 0 {
			delete(l.held, key)
		}
	}
	select {
	case k.slot <- struct{}{}:
		return func() { <-k.slot; release() }, nil
	case <-ctx.Done():
		release()
		return nil, ctx.Err()
	}
}

// tryLock is lock for one who must not wait, since he holds another key: false where somebody has the key.
func (l *keyedLocks) tryLock(key string) (unlock func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[key] != nil {
		return nil, false
	}
	k := &keyedLock{slot: make(chan struct{}, 1), refs: 1}
	k.slot <- struct{}{}
	l.held[key] = k
	return func() {
		<-k.slot
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.refs--; k.refs == 0 {
			delete(l.held, key)
		}
	}, true
}

// contended says whether anybody waits for a key that the caller holds.
func (l *keyedLocks) contended(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.held[key]
	return k != nil && k.refs > 1
}
