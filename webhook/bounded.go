package webhook

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// bounded is a listener with at most max open connections. When it is full, the connection that has been without a request
// for longest is closed for the newcomer: silent connections in any number keep nobody out. While all of them have a
// request under way the newcomer waits.
type bounded struct {
	net.Listener
	max int

	mu     sync.Mutex
	free   sync.Cond // signalled when a connection may be had or the listener is closed
	open   int
	silent list.List // of *boundedConn without a request, longest first
	closed bool
}

func newBounded(ln net.Listener, limit int) *bounded {
	b := &bounded{Listener: ln, max: limit}
	b.free.L = &b.mu
	return b
}

// boundedConn is a connection that counts.
type boundedConn struct {
	net.Conn
	in    *bounded
	place *list.Element // in in.silent, nil while a request is under way
	gone  bool
}

func (b *bounded) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err != nil {
		return nil, err // net/http tells a passing error by its type
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.open >= b.max && !b.closed {
		if longest := b.silent.Front(); longest != nil {
			c := longest.Value.(*boundedConn)
			b.forget(c)
			_ = c.Conn.Close() // its own server goroutine sees it and closes it again
			continue
		}
		b.free.Wait()
	}
	if b.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	b.open++
	c := &boundedConn{Conn: conn, in: b}
	c.place = b.silent.PushBack(c)
	return c, nil
}

func (b *bounded) Close() error {
	b.mu.Lock()
	b.closed = true
	b.free.Broadcast()
	b.mu.Unlock()
	return b.Listener.Close()
}

// forget takes c out of the count; b.mu is held.
func (b *bounded) forget(c *boundedConn) {
	if c.gone {
		return
	}
	c.gone = true
	b.open--
	c.busy()
	b.free.Signal()
}

// busy takes c from the silent ones; c.in.mu is held.
func (c *boundedConn) busy() {
	if c.place != nil {
		c.in.silent.Remove(c.place)
		c.place = nil
	}
}

func (c *boundedConn) Close() error {
	c.in.mu.Lock()
	c.in.forget(c)
	c.in.mu.Unlock()
	return c.Conn.Close()
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
	case state == http.StateIdle && c.place == nil:
		c.place = c.in.silent.PushBack(c)
		c.in.free.Signal() // one who waits may have its place
	}
}
