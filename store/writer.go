package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// errBadConn makes database/sql throw a connection away.
var errBadConn = driver.ErrBadConn

// Bounds of a batch: how many members share a commit, and how many bytes of theirs.
const (
	batchMembers = 256
	batchBytes   = 4 << 20
)

// Checkpoints are small and steady, because a large one is what makes the slowest writers slow: once about
// checkpointPages of the WAL are not in the file a read connection moves them there, beside what is written meanwhile. Such
// a checkpoint never catches up with a busy writer, and SQLite writes the WAL from its beginning again only once all of it
// is in the file: so of a WAL of restartPages the writer itself moves the rest, between two transactions, when such a
// checkpoint has just ended and little is left; and of one of largestPages in any case, such as where no read connection
// was free to make one.
const (
	checkpointPages = 400
	restartPages    = 2000
	largestPages    = restartPages + checkpointPages
)

// pagesOf is about how many pages a transaction writes: its members' bytes, a page or two each in the indexes, and those
// that every commit changes. A batch of eight events of 1 KiB writes 17, one alone 5 or 6.
func pagesOf(batch []*job) (pages int) {
	for _, j := range batch {
		pages += 1 + j.size>>12
	}
	return pages + 4
}

// job is one writer that waits for the next commit.
type job struct {
	why   string
	ctx   context.Context
	size  int
	alone bool            // runs between transactions, not in one
	whole bool            // changes something by one statement only, of which nothing stays if it fails: needs no savepoint, and alone no BEGIN
	run   func(*tx) error // may run twice; what it hands out must be set anew each time
	err   error
	done  chan struct{}
	taken bool // by the writer; guarded by writer.mu
	tx    tx
}

// writer owns the one connection that writes. Jobs queue in the order of their arrival; those that wait at the same
// moment share a transaction, each as a savepoint where it needs one. A caller who is alone commits by himself, which
// spares him two changes of goroutine; once there are several, the writer's own goroutine serves them all.
type writer struct {
	db           *sql.DB
	log          *slog.Logger
	clock        clock
	notify       func(topics, []Arrival)
	litestream   *atomic.Bool                                        // checkpoints are left to Litestream
	moveWAL      func(context.Context) (log, moved int64, err error) // a checkpoint on another connection
	ties         atomic.Uint64                                       // see Store.Ties
	transactions atomic.Int64                                        // so far
	since        atomic.Int64                                        // when the transaction under way began, in nanoseconds; 0: none is

	mu     sync.Mutex
	queue  []*job
	closed bool
	lone   bool // the last transaction had one member

	wake   chan struct{}
	done   chan struct{}
	moving chan struct{} // holds a token while there is a checkpoint beside the writer
	moved  atomic.Bool   // one has just moved all of a WAL of restartPages that it found
	ending context.Context
	end    context.CancelFunc

	turn chan struct{} // holds a token while nobody has the connection

	// The rest belongs to who has the turn.
	c            *conn
	reopened     int64 // connections opened after the first; data_version starts anew with each
	pages        int   // about how many were written since the WAL was looked at
	version      int64 // data_version as last read
	versionAt    time.Time
	strangerAt   time.Time // when a commit of a stranger was last noticed
	strangerTill time.Time
	freeTill     time.Time // until then the write lock is left to strangers
}

func startWriter(db *sql.DB, log *slog.Logger, clock clock, notify func(topics, []Arrival), litestream *atomic.Bool, moveWAL func(context.Context) (log, moved int64, err error)) (*writer, error) {
	c, err := openConn(db)
	if err != nil {
		return nil, err
	}
	w := &writer{db: db, log: log, clock: clock, notify: notify, litestream: litestream, moveWAL: moveWAL, c: c,
		wake: make(chan struct{}, 1), done: make(chan struct{}), turn: make(chan struct{}, 1), moving: make(chan struct{}, 1)}
	w.ending, w.end = context.WithCancel(context.Background())
	w.turn <- struct{}{}
	go w.loop()
	return w, nil
}

// do runs a member of the next transaction and answers once its commit has returned. An error of ctx means that
// nothing was written: once the writer has taken the member, ctx counts no more.
func (w *writer) do(ctx context.Context, why string, size int, whole bool, run func(*tx) error) error {
	return w.enqueue(&job{why: why, ctx: ctx, size: size, whole: whole, run: run, done: make(chan struct{})})
}

// between runs fn on the writer's connection between two transactions.
func (w *writer) between(ctx context.Context, why string, fn func(*tx) error) error {
	return w.enqueue(&job{why: why, ctx: ctx, alone: true, run: fn, done: make(chan struct{})})
}

func (w *writer) enqueue(j *job) error {
	if err := j.ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", j.why, err)
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return fmt.Errorf("%s: %w", j.why, ErrClosed)
	}
	if alone := w.lone && len(w.queue) == 0 && !j.alone; !alone || !w.commitAlone(j) {
		w.queue = append(w.queue, j)
		w.mu.Unlock()
		w.poke()
		select {
		case <-j.done:
		case <-j.ctx.Done():
			if w.withdraw(j) {
				return fmt.Errorf("%s: %w", j.why, j.ctx.Err())
			}
			<-j.done
		}
	}
	if j.err != nil {
		return fmt.Errorf("%s: %w", j.why, j.err)
	}
	return nil
}

// commitAlone runs a job as a transaction of its own, in its caller's goroutine, unless somebody else has the turn. It is
// called with mu held, and gives mu up only if it does so.
func (w *writer) commitAlone(j *job) bool {
	select {
	case <-w.turn:
	default:
		return false
	}
	if w.clock.now().Before(w.freeTill) {
		w.turn <- struct{}{}
		return false
	}
	w.mu.Unlock()
	panicked := true
	defer func() {
		if panicked && w.c != nil {
			w.rollback()
		}
		tend := w.pages >= checkpointPages
		w.turn <- struct{}{} // also from a panic, which a handler of net/http survives
		if tend {
			w.poke()
		}
	}()
	if err := w.ready(); err != nil {
		finish([]*job{j}, err)
	} else {
		w.commit([]*job{j})
	}
	panicked = false
	return true
}

// peek reads a row on the write connection, unless somebody else has it.
func (w *writer) peek(query string, args []any, dest ...any) (found, ok bool, err error) {
	select {
	case <-w.turn:
	default:
		return false, false, nil
	}
	defer func() { w.turn <- struct{}{} }()
	if w.c == nil {
		return false, false, nil
	}
	found, err = w.c.row(query, args, dest...)
	return found, true, err
}

// poke makes the loop go round.
func (w *writer) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// withdraw takes a job out of the queue, unless the writer has it already.
func (w *writer) withdraw(j *job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j.taken {
		return false
	}
	for i, q := range w.queue {
		if q == j {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			break
		}
	}
	return true
}

// waiting tells how many do.
func (w *writer) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)
}

// take removes the next batch from the queue: jobs of one kind, within the bounds.
func (w *writer) take() (batch []*job, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, size := 0, 0
	for _, j := range w.queue {
		if n == batchMembers || n > 0 && (j.alone || w.queue[0].alone || size+j.size > batchBytes) {
			break
		}
		j.taken = true
		size += j.size
		n++
	}
	batch = append(batch, w.queue[:n]...)
	rest := copy(w.queue, w.queue[n:])
	clear(w.queue[rest:])
	w.queue = w.queue[:rest]
	return batch, w.closed
}

// putBack gives jobs that were taken and did not run their place at the head of the queue again.
func (w *writer) putBack(rest []*job) {
	if len(rest) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, j := range rest {
		j.taken = false
	}
	w.queue = slices.Insert(w.queue, 0, rest...)
}

// close ends the writer once what waits is done.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.poke()
	<-w.done
	w.end()
	w.moving <- struct{}{}
	<-w.moving
}

func (w *writer) loop() {
	defer close(w.done)
	defer func() {
		if w.c != nil {
			w.c.close()
		}
	}()
	for range w.wake {
		for {
			// Whoever is about to queue gets to do so before the batch closes; a pause of any length loses more. Where several
			// wait already it goes at once: those at the doors have work of their own between two requests, which they do
			// while it is written (agent/bench: a tenth more of sixteen callers; callers without such work lose a tenth).
			if w.waiting() < 2 {
				runtime.Gosched()
			}
			<-w.turn
			if pause := w.freeTill.Sub(w.clock.now()); pause > 0 && w.waiting() > 0 {
				w.turn <- struct{}{}
				w.clock.sleep(pause)
				continue
			}
			batch, closed := w.take()
			if len(batch) > 0 {
				w.serve(batch)
			}
			w.checkpointWhenDue()
			if len(batch) == 0 && closed {
				return // with the turn: nobody gets the connection any more
			}
			w.turn <- struct{}{}
			if len(batch) == 0 {
				break
			}
		}
	}
}

func (w *writer) serve(batch []*job) {
	if err := w.ready(); err != nil {
		finish(batch, err)
		return
	}
	if j := batch[0]; j.alone {
		j.tx = tx{conn: w.c}
		began := w.clock.now()
		err := j.run(&j.tx)
		w.held(began)
		finish(batch, err)
		return
	}
	w.commit(batch)
	w.mu.Lock()
	w.lone = len(batch) == 1
	w.mu.Unlock()
}

// ready makes sure that there is a connection.
func (w *writer) ready() error {
	if w.c != nil {
		return nil
	}
	c, err := openConn(w.db)
	if err != nil {
		return err
	}
	w.c = c
	w.reopened++
	return nil
}

func finish(batch []*job, err error) {
	for _, j := range batch {
		j.err = err
		close(j.done)
	}
}

// commit runs a batch as one transaction. If the transaction is lost nobody of a batch is told of success, and each
// member runs again alone, so that one bad member costs the others nothing but time.
func (w *writer) commit(batch []*job) {
	w.transactions.Add(1)
	w.pages += pagesOf(batch)
	if len(batch) == 1 && batch[0].whole {
		if err := w.bare(batch[0]); !errors.Is(err, errTransaction) {
			if err != nil {
				finish(batch, err)
			} else {
				w.tell(batch)
			}
			return
		}
	}
	if err := w.begin(); err != nil {
		finish(batch, fmt.Errorf("beginning the transaction: %w", err))
		return
	}
	ran, err := w.attempt(batch)
	if err != nil {
		w.rollback()
		if len(batch) == 1 {
			finish(batch, err)
			return
		}
		w.log.Warn("a shared commit was lost, its writers run again one by one", "writers", len(batch), "error", err)
		for _, j := range batch {
			if err := w.ready(); err != nil {
				finish([]*job{j}, err)
				continue
			}
			w.commit([]*job{j})
		}
		return
	}
	w.putBack(batch[ran:])
	w.tell(batch[:ran])
}

// tell answers those whose transaction is on disk, and then tells whoever follows what they changed.
func (w *writer) tell(batch []*job) {
	var changed topics
	var arrived []Arrival
	for _, j := range batch {
		if j.err == nil {
			changed |= j.tx.topics
			arrived = append(arrived, j.tx.arrived...)
		}
	}
	if changed.has(TopicTies) {
		w.ties.Add(1) // before anybody is answered
	}
	for _, j := range batch {
		close(j.done)
	}
	w.notify(changed, arrived)
}

// errTransaction asks for a transaction, where one statement by itself will not do.
var errTransaction = errors.New("a transaction is needed")

// bare runs a job without BEGIN and COMMIT, since its one statement is a transaction by itself. That spares a lone caller
// two statements, and SQLite the copy of each page that it takes to undo one statement of several.
func (w *writer) bare(j *job) error {
	if j.err = j.ctx.Err(); j.err != nil {
		return j.err
	}
	w.since.Store(time.Now().UnixNano())
	defer w.since.Store(0)
	now := w.clock.now()
	err := w.lookForStrangers(now)
	if err == nil {
		if now.Before(w.strangerTill) {
			return errTransaction // BEGIN tells the wait for a stranger's lock from the time that it is held
		}
		j.tx = tx{conn: w.c, now: formatTime(time.Now()), bare: true}
		err = j.run(&j.tx)
	}
	if err != nil && !own(err) && !errors.Is(err, errTransaction) && code(err)&0xff != sqlite3.SQLITE_BUSY {
		w.rollback() // SQLite has done so; what else is wrong with the connection is not known
	}
	return err
}

// begin takes the write lock at once: a transaction that reads first and then writes fails whatever busy_timeout says.
func (w *writer) begin() error {
	w.since.Store(time.Now().UnixNano())
	_, err := w.c.exec("BEGIN IMMEDIATE")
	if err != nil {
		w.since.Store(0)
	}
	if err != nil && code(err)&0xff != sqlite3.SQLITE_BUSY {
		w.rollback()
	}
	return err
}

// attempt runs the members, while a stranger writes too only the first of them, and commits. An error means that the
// transaction is lost; a member's own error is kept with the member.
func (w *writer) attempt(batch []*job) (ran int, err error) {
	defer w.since.Store(0)
	began := w.clock.now()
	defer w.held(began)
	if err := w.lookForStrangers(began); err != nil {
		return 0, err
	}
	short := began.Before(w.strangerTill)
	now := formatTime(time.Now())
	for _, j := range batch {
		if short && ran > 0 && w.clock.now().Sub(began) >= strangerBatch {
			break
		}
		ran++
		if j.err = j.ctx.Err(); j.err != nil {
			continue
		}
		j.tx = tx{conn: w.c, now: now}
		if len(batch) == 1 {
			// Nobody else's work is in the transaction: his mistake may end it, which spares two statements.
			if err := j.run(&j.tx); err != nil {
				return 0, err
			}
			break
		}
		if j.whole {
			if j.err = j.run(&j.tx); j.err != nil && !own(j.err) {
				return 0, j.err
			}
			continue
		}
		if _, err := w.c.exec("SAVEPOINT member"); err != nil {
			return 0, err
		}
		if j.err = j.run(&j.tx); j.err != nil {
			if !own(j.err) {
				return 0, j.err
			}
			if _, err := w.c.exec("ROLLBACK TO member"); err != nil {
				return 0, fmt.Errorf("%w (after %w)", err, j.err)
			}
		}
		if _, err := w.c.exec("RELEASE member"); err != nil {
			return 0, err
		}
	}
	_, err = w.c.exec("COMMIT")
	return ran, err
}

// rollback leaves the connection without a transaction, or gives it up.
func (w *writer) rollback() {
	if _, err := w.c.exec("ROLLBACK"); err != nil {
		w.c.close()
		w.c = nil
	}
}

// lookForStrangers notices commits of other processes.
func (w *writer) lookForStrangers(now time.Time) error {
	if now.Sub(w.versionAt) < strangerLook {
		return nil
	}
	_, err := w.dataVersion(now)
	return err
}

// dataVersion reads SQLite's data_version, which changes when any other connection has committed.
func (w *writer) dataVersion(now time.Time) (int64, error) {
	var v int64
	if _, err := w.c.row("PRAGMA data_version", nil, &v); err != nil {
		return 0, fmt.Errorf("reading data_version: %w", err)
	}
	v += w.reopened << 32
	if w.version != 0 && v != w.version {
		w.strangerCame(now)
	}
	w.version, w.versionAt = v, now
	return v, nil
}

// checkpointWhenDue has the WAL's pages moved into the file, a few hundred at a time. It comes after the acknowledgements,
// and its failure is nobody's: the WAL holds what was committed.
func (w *writer) checkpointWhenDue() {
	if w.c == nil || w.pages < checkpointPages && !w.moved.Load() {
		return
	}
	rest := w.moved.Swap(false)
	w.pages = 0
	if w.litestream.Load() {
		return
	}
	var busy, log, moved int64
	_, err := w.c.row("PRAGMA wal_checkpoint(NOOP)", nil, &busy, &log, &moved)
	left := log - moved
	switch {
	case err != nil || left < checkpointPages/2 && log < restartPages:
	case log >= largestPages || rest && left < checkpointPages:
		_, err = w.c.row("PRAGMA wal_checkpoint(PASSIVE)", nil, &busy, &log, &moved) // beside another it does nothing
		w.checkpointed(err)
	default:
		select {
		case w.moving <- struct{}{}:
			go w.moveBeside()
		default: // one is under way
		}
	}
}

// moveBeside makes a checkpoint on another connection.
func (w *writer) moveBeside() {
	log, moved, err := w.moveWAL(w.ending)
	w.checkpointed(err)
	all := log >= restartPages && moved == log
	w.moved.Store(all)
	<-w.moving
	if all {
		w.poke()
	}
}

func (w *writer) checkpointed(err error) {
	if err != nil && w.ending.Err() == nil {
		w.log.Warn("a checkpoint did not succeed; the WAL keeps growing until one does", "error", err)
	}
}
