package main_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tigerops/tigerops-incidentio"

// arrows says which of our packages each of our packages may import. The leaves know nothing of ours: what crosses
// between them is bytes, ids, times and small values, and agent does the crossing.
var arrows = map[string][]string{
	".":                {"agent/cli"},
	"agent/cli":        {"agent", "agent/incidentio", "agent/simulator", "mapping", "store", "systemd", "webhook"},
	"agent":            {"agent/incidentio", "agent/simulator", "mapping", "store", "systemd", "webhook"},
	"agent/incidentio": {},
	"agent/simulator":  {},
	"mapping":          {},
	"store":            {"sqlmigrations"},
	"sqlmigrations":    {},
	"systemd":          {},
	"webhook":          {},
}

// TestArrows parses the files, since what `go list` says in a test may come from its cache.
func TestArrows(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	err := filepath.WalkDir(".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (strings.HasPrefix(e.Name(), ".") && name != "." || e.Name() == "testdata" || name == filepath.Join("agent", "bench")) {
			return filepath.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		from := path.Dir(filepath.ToSlash(name))
		allowed, known := arrows[from]
		if !known {
			t.Errorf("%s: package %s is not in the picture of the rooms", name, from)
			return nil
		}
		seen[from] = true
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if to, ours := strings.CutPrefix(to, module+"/"); ours && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s: %s may know only %v", name, to, from, allowed)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for p := range arrows {
		if !seen[p] {
			t.Errorf("package %s is in the picture of the rooms and nowhere else", p)
		}
	}
}
