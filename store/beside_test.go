package store_test

import (
	"testing"

	"github.com/tigerops/tigerops-incidentio/store"
)

// A TigerOps incident is kept in step with one incident; those beside it are ties all the same.
func TestLinksBeside(t *testing.T) {
	t.Parallel()
	s, _ := fresh(t)
	beside := func(incident string) store.Link {
		l := link("TIG-1", incident)
		l.Origin, l.Beside = "alert_route", true
		return l
	}
	ids := func(links []store.Link, err error) (out string) {
		t.Helper()
		ok(t, err)
		for _, l := range links {
			out += l.IncidentID + " "
		}
		return out
	}
	commit(t, s, store.Commit{Links: []store.Link{beside("I2")}})
	if l, err := s.Link(ctx, "TIG-1"); l != nil || err != nil {
		t.Errorf("one beside nothing counts as in step: %+v, %v", l, err)
	}
	commit(t, s, store.Commit{Links: []store.Link{link("TIG-1", "I1"), beside("I3")}})
	equal(t, "in step", must[*store.Link](t)(s.Link(ctx, "TIG-1")).IncidentID, "I1")
	equal(t, "beside", ids(s.LinksBeside(ctx, "TIG-1")), "I2 I3 ")
	equal(t, "found", ids(s.FindLinks(ctx, "TIG-1")), "I1 I2 I3 ")
	of := must[[]store.Link](t)(s.LinksOf(ctx, "I2"))
	if len(of) != 1 || !of[0].Beside {
		t.Errorf("of I2: %+v", of)
	}

	changed := beside("I2")
	changed.Closed = true
	commit(t, s, store.Commit{Links: []store.Link{changed}})
	equal(t, "open", ids(s.OpenLinks(ctx)), "I1 I3 ")
	equal(t, "in step", must[*store.Link](t)(s.Link(ctx, "TIG-1")).IncidentID, "I1")

	stale(t, s, "dropping one beside", store.Commit{Drop: &store.Link{TigerOpsID: "TIG-1", IncidentID: "I2"}})
	commit(t, s, store.Commit{Drop: &store.Link{TigerOpsID: "TIG-1", IncidentID: "I1"}})
	equal(t, "left", ids(s.FindLinks(ctx, "TIG-1"))[:3], "I1 ")
	equal(t, "beside", ids(s.LinksBeside(ctx, "TIG-1")), "")
	former := must[[]store.Link](t)(s.FormerLinks(ctx, "TIG-1"))
	if len(former) != 3 || former[0].IncidentID != "I1" {
		t.Errorf("former: got %s, want the one that was in step first", ids(former, nil))
	}
}
