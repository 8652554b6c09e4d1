package agent

import (
	"fmt"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// postmortem is TigerOps' draft with action items of these titles.
func postmortem(items ...string) m {
	var list []m
	for _, title := range items {
		list = append(list, m{"title": title, "detail": "Detail of " + title, "owner": ada, "labels": []string{"index", "tigerops"}})
	}
	return event(mapping.PostmortemReady, m{"postmortem": m{
		"contributing_factors": []string{"A missing index", "No alert on cold starts"}, "timeline_summary": "12:00 deployed, 12:05 slow.", "action_items": list,
	}})
}

func TestOut8Postmortem(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) *world {
		w := newRunning(t, worldOptions{})
		w.says(created(everything, m{"incident": m{"started_at": "2026-11-20T11:58:00Z"}}), event(mapping.IncidentResolved, m{"timestamp": noon}))
		return w
	}
	t.Run("is a document with factors, timeline, action items, impact and links, and follow-ups with owner and labels", func(t *testing.T) {
		t.Parallel()
		w := begin(t)
		w.says(postmortem("Add the index", "Alert on cold starts"))
		v := w.only()
		is(t, "documents", len(v.Postmortems), 1)
		holds(t, "title", v.Postmortems[0].Title, "INC-1", "Checkout is slow")
		holds(t, "document", v.Postmortems[0].Content,
			"## Contributing factors", "- A missing index", "- No alert on cold starts", "## Timeline", "12:00 deployed, 12:05 slow.",
			"## Action items", "Add the index", "Alert on cold starts", "## Impact", "availability", "2026-11-20 11:58 UTC", "2026-11-20 12:00 UTC", "p99",
			"## Links", "https://tigerops.example.com/TIG-1", "https://trace.example.com/1", "https://ci.example.com/9", "## Root cause", "A missing index.")
		is(t, "follow-ups", len(v.FollowUps), 2)
		f := v.FollowUps[0]
		is(t, "title", f.Title, "Add the index")
		holds(t, "description", f.Description, "Detail of Add the index")
		same(t, "labels", f.Labels, "index", "tigerops")
		if f.Assignee == nil || f.Assignee.Email != ada {
			t.Errorf("owner: got %+v, want Ada", f.Assignee)
		}
		w.settle()
		w.swept()
		w.wantTypes(w.rows(), "incident.linked")
	})
	t.Run("a later one is a timeline item, and only new follow-ups are made", func(t *testing.T) {
		t.Parallel()
		w := begin(t)
		w.says(postmortem("Add the index"))
		w.says(postmortem("Add the index", "Alert on cold starts"))
		v := w.only()
		is(t, "documents", len(v.Postmortems), 1)
		holds(t, "timeline", on(t, v, "Post-mortem updated").Description, "A missing index", "12:05 slow")
		var got []string
		for _, f := range v.FollowUps {
			got = append(got, f.Title)
		}
		same(t, "follow-ups", got, "Add the index", "Alert on cold starts")
	})
	for _, kind := range lost {
		t.Run("once although the answers were lost: "+string(kind), func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			w.deaf(kind, "/v2/incidents/*/actions/import_postmortem_document")
			w.deaf(kind, "/v3/follow_ups")
			w.says(postmortem("Add the index", "Alert on cold starts", "Add the index"))
			is(t, "documents", len(w.only().Postmortems), 1)
			is(t, "follow-ups", len(w.only().FollowUps), 2)
			w.settle()
			w.swept()
			w.wantTypes(w.rows(), "incident.linked")
		})
	}
	t.Run("beside a document that people wrote", func(t *testing.T) {
		t.Parallel()
		w := begin(t)
		must(w.sim.As(lisa).CreatePostmortem("INC-1", "INC-1 post-mortem: Checkout is slow", "Mine."))(w)
		w.says(postmortem())
		is(t, "documents", len(w.only().Postmortems), 2)
	})
	t.Run("an owner who is not there is named in the text", func(t *testing.T) {
		t.Parallel()
		w := begin(t)
		row := w.says(event(mapping.PostmortemReady, m{"postmortem": m{"action_items": []m{{"title": "Add the index", "owner": "The DBAs"}}}}))
		holds(t, "reason", row.Reason, "The DBAs")
		holds(t, "description", w.only().FollowUps[0].Description, "The DBAs")
	})
	t.Run("more action items than anybody reads", func(t *testing.T) {
		t.Parallel()
		w := begin(t)
		var items []string
		for i := range 60 {
			items = append(items, fmt.Sprintf("Item %d", i))
		}
		holds(t, "reason", w.says(postmortem(items...)).Reason, "10 action items left out")
		is(t, "follow-ups", len(w.only().FollowUps), 50)
	})
	t.Run("with push_postmortem off none is sent", func(t *testing.T) {
		t.Parallel()
		w := newRunning(t, rules(func(r *mapping.Rules) { r.PushPostmortem = false }))
		w.says(created(nil))
		e := postmortem("Add the index")
		w.post(e)
		holds(t, "reason", w.ends(e, store.Skipped).Reason, "push_postmortem is off")
		is(t, "documents", len(w.only().Postmortems), 0)
		is(t, "follow-ups", len(w.only().FollowUps), 0)
	})
}
