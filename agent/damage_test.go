package agent_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent"
	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// TestADamagedDatabaseIsToldAndNotTriedWithoutEnd lets an agent run on for hours once its database is damaged, in virtual
// time: the heartbeat stops, so that incident.io raises the alarm, few lines are logged, and few requests are made.
func TestADamagedDatabaseIsToldAndNotTriedWithoutEnd(t *testing.T) {
	t.Parallel()
	const hours = 2 * time.Hour
	now, dir := time.Now(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now.Add(time.Hour))) // see TestACriticalIncident…
		w := newVirtual(t, filepath.Join(dir, "agent.db"), func(c *agent.Config) {
			c.Heartbeat = agent.Heartbeat{ID: simulator.DefaultHeartbeatID, Token: agent.NewSecret(simulator.DefaultHeartbeatToken), Every: time.Minute}
		})
		pings := func() (n int) {
			for _, p := range w.sim.Snapshot().Pings {
				n += p
			}
			return n
		}
		w.start()
		w.insert(`{"id":"e1","type":"incident.created","incident":{"id":"TIG-1","title":"Slow","severity":"critical"}}`)
		time.Sleep(3*time.Minute + 30*time.Second) // between two sweeps and two rounds of housekeeping
		if pings() == 0 {
			t.Fatal("no heartbeat while all is well")
		}
		if err := w.st.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		spoilTable(t, filepath.Join(dir, "agent.db"), "meta")
		// What another connection commits makes the agent read from the file again what it held in memory.
		w.insert(`{"id":"e2","type":"incident.created","incident":{"id":"TIG-2","title":"Slow","severity":"critical"}}`)
		time.Sleep(10 * time.Minute) // a sweep notes its end in the table
		if _, err := os.Stat(filepath.Join(dir, "agent.db.damaged")); err != nil {
			t.Fatalf("the damage is not noticed: %v", err)
		}
		beats, requests, logged := pings(), w.sim.Counters().Requests, w.lines.all.Load()
		time.Sleep(hours)
		beats, requests, logged = pings()-beats, w.sim.Counters().Requests-requests, w.lines.all.Load()-logged
		t.Logf("%d requests, %d log lines and %d heartbeats within %s", requests, logged, beats, hours)
		if beats > 0 {
			t.Errorf("%d heartbeats although the database is damaged", beats)
		}
		if most := int64(8 * hours / (30 * time.Second)); logged > most+int64(requests) {
			t.Errorf("%d log lines within %s, want %d at most", logged, hours, most)
		}
		if most := int(hours / time.Second); requests > most {
			t.Errorf("%d requests within %s, want %d at most", requests, hours, most)
		}
	})
}

// spoilTable overwrites a table's first page.
func spoilTable(t testing.TB, path, table string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	var page int64
	if err := errors.Join(db.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = ?", table).Scan(&page), db.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0x5a}, 4096), (page-1)*4096)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
