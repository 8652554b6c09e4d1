package mapping_test

import (
	"fmt"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// BenchmarkValidate is what every event costs at the door beside its commit.
func BenchmarkValidate(b *testing.B) {
	payload := []byte(full)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if errs := mapping.Validate(payload); errs != nil {
			b.Fatal(errs)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	e := event(b, full)
	s := mapping.State{}.Apply(e)
	b.ReportAllocs()
	for b.Loop() {
		s = s.Apply(e)
	}
}

// BenchmarkFoldable is the backlog of an hour's outage of one incident.
func BenchmarkFoldable(b *testing.B) {
	head := event(b, ev("u", "incident.updated", `"severity":"critical"`))
	var later []mapping.Event
	for i := range 20 {
		later = append(later,
			event(b, ev(fmt.Sprint("s", i), "investigation.step", ``, `"step":{"kind":"x"}`)),
			event(b, ev(fmt.Sprint("u", i), "incident.updated", `"title":"a"`)), event(b, ev(fmt.Sprint("v", i), "incident.updated", `"team":"b"`)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(mapping.Foldable(head, later)); n != 40 {
			b.Fatal(n)
		}
	}
}

// BenchmarkChanges is a look at an incident on which much was said and nothing is new.
func BenchmarkChanges(b *testing.B) {
	c := base()
	for i := range 200 {
		c.Look.Updates = append(c.Look.Updates, posted(fmt.Sprint("u", i), i, "said", &investigating, &sev1))
	}
	_, c.Tie.Agreed = mapping.Changes(c)
	b.ReportAllocs()
	for b.Loop() {
		if rows, _ := mapping.Changes(c); len(rows) > 0 {
			b.Fatal(rows)
		}
	}
}
