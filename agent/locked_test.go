package agent

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/store"
)

// Whoever asks is told that writes hang before the first of them has failed.
func TestReadinessFailsWhileAStrangerHoldsTheWriteLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	db := must(sql.Open("sqlite", w.a.cfg.Load().DB))(w)
	defer db.Close()
	stranger := must(db.Conn(w.ctx))(w)
	must(stranger.ExecContext(w.ctx, "BEGIN IMMEDIATE"))(w)
	begun := time.Now()
	wrote := make(chan error, 1)
	go func() {
		_, err := w.a.st.InsertEvents(w.ctx, [][]byte{[]byte(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1"}}`)})
		wrote <- err
	}()
	eventually(t, "readiness fails", func() bool { return len(w.a.notReady()) > 0 })
	if took := time.Since(begun); took < writeWithin {
		t.Errorf("not ready after %s, want only after %s", took, writeWithin)
	}
	if got := strings.Join(w.a.notReady(), "; "); !strings.Contains(got, "another process holds the write lock") {
		t.Errorf("got %q, want words about the lock", got)
	}
	must(stranger.ExecContext(w.ctx, "ROLLBACK"))(w)
	w.ok(<-wrote)
	if got := w.a.notReady(); len(got) > 0 {
		t.Errorf("after the write: got %v, want ready", got)
	}
	if rows := must(w.a.st.Outbox(w.ctx, store.OutboxQuery{}))(w); len(rows) != 1 {
		t.Errorf("%d events stored, want 1", len(rows))
	}
}
