package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTableGivesWayToTheTerminal(t *testing.T) {
	t.Parallel()
	columns := []column{{name: "ID"}, {name: "WHAT", gives: true}, {name: "WHY", gives: true}}
	for name, test := range map[string]struct {
		widths []int
		width  int
		want   []int
	}{
		"no terminal":              {[]int{4, 100, 200}, 0, []int{4, 100, 200}},
		"room enough":              {[]int{4, 20, 20}, 80, []int{4, 20, 20}},
		"exactly":                  {[]int{4, 20, 20}, 48, []int{4, 20, 20}},
		"the widest gives way":     {[]int{4, 20, 90}, 80, []int{4, 20, 52}},
		"both give way":            {[]int{4, 80, 90}, 80, []int{4, 36, 36}},
		"as narrow as can be":      {[]int{40, 80, 90}, 20, []int{40, narrowest, narrowest}},
		"what is narrow stays":     {[]int{4, 5, 90}, 40, []int{4, 5, 27}},
		"never less than its name": {[]int{30, 5, 6}, 20, []int{30, 5, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := slices.Clone(test.widths)
			fit(columns, got, test.width)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// What people write in incident.io does not steer the terminal of who looks at it, nor break a line.
func TestOutputIsClean(t *testing.T) {
	t.Parallel()
	var out, err bytes.Buffer
	a := &app{out: &out, err: &err}
	a.table([]column{{name: "NAME"}}, [][]string{{clean("a\x1b[2Jb\nc\u202ed\x07")}})
	a.complain("first\x1b[31m\nsecond\r")
	if got := out.String(); got != "NAME\na[2Jb cd\n" {
		t.Errorf("table: %q", got)
	}
	if got := err.String(); got != "tigerops-incidentio: first[31m\ntigerops-incidentio: second\n" {
		t.Errorf("errors: %q", got)
	}
	out.Reset()
	if err := a.printJSON(map[string]string{"a": "b\x1b\u009b31m\u202ec\u2067\u007f<é"}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "{\n  \"a\": \"b\\u001b\\u009b31m\\u202ec\\u2067\\u007f<é\"\n}\n" {
		t.Errorf("JSON: %q", got)
	}
	if strings.Contains(a.paint(red, "x"), "\x1b") {
		t.Error("colours where there is no terminal")
	}
}

func TestShortTimes(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m", 61 * time.Minute: "1h", 47 * time.Hour: "47h", 49 * time.Hour: "2d", -30 * time.Second: "in 30s",
	} {
		if got := short(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
	if got := ago(time.Time{}, time.Now()); got != "-" {
		t.Errorf("never: got %s", got)
	}
}
