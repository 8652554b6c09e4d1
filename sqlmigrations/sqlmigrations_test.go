package sqlmigrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/sqlmigrations"
)

// frozen holds the hash of every migration. One that was released never changes: files in the field hold what it made.
// What is to change is a new migration.
var frozen = map[string]string{
	"00001_schema.sql": "db7a04268c81dd4a3d30a449e5d21d1e7726d012e8b8b89944d480527669be66",
}

func TestReleasedMigrationsAreFrozen(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(sqlmigrations.FS, "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(sqlmigrations.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if got := hex.EncodeToString(sum[:]); got != frozen[name] {
			t.Errorf("%s has the hash %s, not %q", name, got, frozen[name])
		}
		delete(frozen, name)
	}
	for name := range frozen {
		t.Errorf("%s is gone", name)
	}
}

func TestMigrationsAreNumberedWithoutGapsAndEndWithTheirVersion(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(sqlmigrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if !strings.HasPrefix(name, fmt.Sprintf("%05d_", i+1)) {
			t.Errorf("migration %d is named %s", i+1, name)
		}
		b, err := fs.ReadFile(sqlmigrations.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("PRAGMA user_version = %d;", i+1); !strings.HasSuffix(strings.TrimSpace(string(b)), want) {
			t.Errorf("%s does not end with %s", name, want)
		}
	}
}
