package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "modernc.org/sqlite"
)

var errInjected = errors.New("injected failure")

// faults is a driver in front of the real one, the same library, that fails the nth call once it is armed: before the
// call, so that nothing happens, or after it, so that it happened and nobody knows.
type faults struct {
	real  driver.Driver
	name  string
	mu    sync.Mutex
	left  int // calls until the failure; 0 is disarmed
	after bool
	fired string         // the call that failed
	seen  map[string]int // how often each statement ran
	hook  func(what string, nth int)
	more  string // settings for the connections opened from now on
}

var faultDrivers atomic.Int64

func newFaults(t testing.TB) *faults {
	db, err := sql.Open("sqlite", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f := &faults{real: db.Driver(), name: fmt.Sprintf("sqlite-faults-%d", faultDrivers.Add(1)), seen: map[string]int{}}
	sql.Register(f.name, f)
	return f
}

func (f *faults) arm(n int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.after, f.fired = n, after, ""
}

// disarm tells which call failed, "" if none.
func (f *faults) disarm() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = 0
	return f.fired
}

func (f *faults) count(query string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[query]
}

// calls tells how many calls there were so far.
func (f *faults) calls() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, times := range f.seen {
		n += times
	}
	return n
}

// call passes a call on, or fails it.
func (f *faults) call(what string, do func() error) error {
	f.mu.Lock()
	f.seen[what]++
	if hook, nth := f.hook, f.seen[what]; hook != nil {
		f.mu.Unlock()
		hook(what, nth)
		f.mu.Lock()
	}
	fail := false
	if f.left > 0 {
		f.left--
		if fail = f.left == 0; fail {
			f.fired = what
		}
	}
	after := f.after
	f.mu.Unlock()
	if fail && !after {
		return errInjected
	}
	if err := do(); err != nil {
		return err
	}
	if fail {
		return errInjected
	}
	return nil
}

func (f *faults) Open(name string) (driver.Conn, error) {
	f.mu.Lock()
	name += f.more
	f.mu.Unlock()
	var c driver.Conn
	err := f.call("open", func() (err error) { c, err = f.real.Open(name); return err })
	if err != nil {
		if c != nil {
			c.Close()
		}
		return nil, err
	}
	return &faultConn{f, c}, nil
}

type faultConn struct {
	f *faults
	c driver.Conn
}

func (c *faultConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *faultConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	var s driver.Stmt
	err := c.f.call("prepare "+query, func() (err error) {
		s, err = c.c.(driver.ConnPrepareContext).PrepareContext(ctx, query)
		return err
	})
	if err != nil {
		if s != nil {
			s.Close()
		}
		return nil, err
	}
	return &faultStmt{c.f, strings.TrimSpace(query), s}, nil
}

func (c *faultConn) Close() error { return c.c.Close() }

func (c *faultConn) Begin() (driver.Tx, error) { return nil, errors.New("not used") }

func (c *faultConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.c.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c *faultConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	err = c.f.call(query, func() (err error) { r, err = c.c.(driver.ExecerContext).ExecContext(ctx, query, args); return err })
	return r, err
}

func (c *faultConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	var r driver.Rows
	err := c.f.call(query, func() (err error) { r, err = c.c.(driver.QueryerContext).QueryContext(ctx, query, args); return err })
	return c.f.rows(query, r, err)
}

type faultStmt struct {
	f     *faults
	query string
	s     driver.Stmt
}

func (s *faultStmt) Close() error  { return s.s.Close() }
func (s *faultStmt) NumInput() int { return s.s.NumInput() }

func (s *faultStmt) Exec([]driver.Value) (driver.Result, error) { return nil, errors.New("not used") }
func (s *faultStmt) Query([]driver.Value) (driver.Rows, error)  { return nil, errors.New("not used") }

func (s *faultStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (r driver.Result, err error) {
	err = s.f.call(s.query, func() (err error) { r, err = s.s.(driver.StmtExecContext).ExecContext(ctx, args); return err })
	return r, err
}

func (s *faultStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	var r driver.Rows
	err := s.f.call(s.query, func() (err error) { r, err = s.s.(driver.StmtQueryContext).QueryContext(ctx, args); return err })
	return s.f.rows(s.query, r, err)
}

func (f *faults) rows(query string, r driver.Rows, err error) (driver.Rows, error) {
	if err != nil {
		if r != nil {
			r.Close()
		}
		return nil, err
	}
	return &faultRows{f, query, r}, nil
}

type faultRows struct {
	f     *faults
	query string
	driver.Rows
}

func (r *faultRows) Next(dest []driver.Value) error {
	return r.f.call("next of "+r.query, func() error { return r.Rows.Next(dest) })
}

// failOn fails the next call of a statement that begins so.
func (f *faults) failOn(what string, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fired = ""
	f.seen = map[string]int{}
	f.hook = func(called string, nth int) {
		if strings.HasPrefix(called, what) && nth == 1 {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.left, f.after = 1, after
		}
	}
}

// onCall calls fn before every call; nth counts from here on.
func (f *faults) onCall(fn func(what string, nth int)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = map[string]int{}
	f.hook = fn
}

// settings gives connections opened from now on another setting.
func (f *faults) settings(more string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.more = more
}
