package agent

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
)

// Who makes a backup is shown how far it is.
func TestABackupTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	c := Default()
	c.DB = filepath.Join(t.TempDir(), "agent.db")
	d, err := OpenDesk(t.Context(), c, "test", ToCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	db, err := sql.Open("sqlite", c.DB)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`CREATE TABLE large AS SELECT zeroblob(16 << 20) AS b`); err != nil {
		t.Fatal(err)
	}
	// A copy may be over before anybody has looked; not every time.
	for i := range 20 {
		to := fmt.Sprintf("%s.copy%d", c.DB, i)
		done := make(chan error, 1)
		go func() { done <- d.Backup(t.Context(), to) }()
		for seen, over := false, false; !over; {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				if seen {
					return
				}
				over = true
			default:
				size := d.BackupSoFar(to)
				seen = seen || size > 0 && size < 16<<20
			}
		}
	}
	t.Error("no backup of 16 MiB was ever seen on its way")
}
