package webhook

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// silentFor is how long a connection may be without a request before it makes room for others: however fast they come,
// an honest one has that long to send its own.
const silentFor = 500 * time.Millisecond

// bounded is a listener with at most max open connections. When it is full, the connection that has been without a request
// for longest is closed for the newcomer: silent connections in any number keep nobody out. While all of them have a
// request under way, or a moment left to send it, the newcomer waits.
type bounded struct {
	net.Listener
	max     int
	refused func(status int, reason, message string, remote net.Addr) // is told of what no handler hears of; may be nil

	mu     sync.Mutex
	free   sync.Cond // signalled when a connection may be had, the listener is closed, or nobody is owed an answer any more
	open   int
	owed   int       // connections that were let in, or have begun to speak, and have not been heard yet
	silent list.List // of *boundedConn without a request, longest first
	closed bool
}

func newBounded(ln net.Listener, limit int, refused func(status int, reason, message string, remote net.Addr)) *bounded {
	b := &bounded{Listener: ln, max: limit, refused: refused}
	b.free.L = &b.mu
	return b
}

// boundedConn is a connection that counts.
type boundedConn struct {
	net.Conn
	in    *bounded
	place *list.Element // in in.silent, nil while a request is under way
	since time.Time     // it is there
	done  bool          // it only lingers behind its last answer
	owed  bool
	gone  bool
	phase atomic.Int32 // one of phaseNew…
}

func (b *bounded) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err != nil {
		return nil, err // net/http tells a passing error by its type
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.open >= b.max && !b.closed {
		longest := b.silent.Front()
		if longest == nil {
			b.free.Wait()
			continue
		}
		c := longest.Value.(*boundedConn)
		if left := silentFor - time.Since(c.since); left > 0 && !c.done {
			wake := time.AfterFunc(left, func() {
				b.mu.Lock() // not before the other waits
				defer b.mu.Unlock()
				b.free.Broadcast()
			})
			b.free.Wait()
			wake.Stop()
			continue
		}
		b.forget(c)
		b.mu.Unlock()
		if phase := c.phase.Load(); phase == phaseNew || phase == phaseBegun {
			c.refuse(0, reasonEvicted, "it made room for another connection")
		}
		_ = c.Conn.Close() // its own server goroutine sees it and closes it again
		b.mu.Lock()
	}
	// One that came just as the listener was closed is served still: nobody else can, where the service manager holds the
	// port for the next process.
	b.open++
	c := &boundedConn{Conn: conn, in: b, since: time.Now()}
	c.place = b.silent.PushBack(c)
	c.owe(true)
	return c, nil
}

func (b *bounded) Close() error {
	b.mu.Lock()
	again := b.closed
	b.closed = true
	b.free.Broadcast()
	b.mu.Unlock()
	if again {
		return nil
	}
	return b.Listener.Close()
}

// hear waits, once the listener is closed and gives nobody away any more, until all who were let in have been heard: a
// handler has their request, or they have gone. Who says nothing for that long is not waited for.
func (b *bounded) hear(within time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	patient := true
	timer := time.AfterFunc(within, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		patient = false
		b.free.Broadcast()
	})
	defer timer.Stop()
	for b.owed > 0 && patient {
		b.free.Wait()
	}
}

// isClosed tells whether Close was called.
func (b *bounded) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// forget takes c out of the count; b.mu is held.
func (b *bounded) forget(c *boundedConn) {
	if c.gone {
		return
	}
	c.gone = true
	b.open--
	c.busy()
	c.owe(false)
	b.free.Signal()
}

// busy takes c from the silent ones; c.in.mu is held.
func (c *boundedConn) busy() {
	if c.place != nil {
		c.in.silent.Remove(c.place)
		c.place = nil
	}
}

// owe says whether an answer is due of which no handler knows yet; c.in.mu is held.
func (c *boundedConn) owe(owed bool) {
	if c.owed == owed {
		return
	}
	c.owed = owed
	if owed {
		c.in.owed++
		return
	}
	if c.in.owed--; c.in.owed == 0 && c.in.closed {
		c.in.free.Broadcast()
	}
}

func (c *boundedConn) Close() error {
	c.in.mu.Lock()
	c.in.forget(c)
	c.in.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite is how net/http begins to end a connection of which it has not read all: it lingers, so that the answer
// arrives. It is the first to make room then.
func (c *boundedConn) CloseWrite() error {
	c.in.mu.Lock()
	if !c.gone {
		c.busy()
		c.place, c.done = c.in.silent.PushFront(c), true
		c.in.free.Signal()
	}
	c.in.mu.Unlock()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// connState follows which connections have a request under way.
func connState(conn net.Conn, state http.ConnState) {
	c, ok := conn.(*boundedConn)
	if !ok {
		return
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	switch {
	case c.gone:
	case state == http.StateActive:
		c.busy()
		c.owe(true)
	case state == http.StateIdle && c.place == nil:
		c.phase.Store(phaseIdle)
		c.place, c.since = c.in.silent.PushBack(c), time.Now()
		c.in.free.Signal() // one who waits may have its place
	}
}

// connKey is the context key of a request's connection.
type connKey struct{}

func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// heard notes that a request has come to its handler, which answers and tells its own failures.
func heard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*boundedConn); ok {
			c.in.mu.Lock()
			c.owe(false)
			c.in.mu.Unlock()
			c.phase.Store(phaseHandled)
		}
		next.ServeHTTP(w, r)
	})
}
