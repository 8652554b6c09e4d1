package simulator_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// TestWhatFollowsAChange pins what each change leaves: whether updated_at moves, whether there is an update row, which
// webhooks go out.
func TestWhatFollowsAChange(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a, id := newAPI(t, s), idsOf(s)
	lisa := s.As("lisa@example.com")
	edit := func(in object) func(inc string) error {
		return func(inc string) error {
			a.do("POST", "/v2/incidents/"+inc+"/actions/edit", object{"notify_incident_channel": false, "incident": in}).want(200)
			return nil
		}
	}
	const updated, status = "public_incident.incident_updated_v2", "public_incident.incident_status_updated_v2"
	for name, c := range map[string]struct {
		do     func(inc string) error
		moves  bool
		update bool
		hooks  []string
	}{
		"name":               {edit(object{"name": "New"}), true, false, []string{updated}},
		"nothing":            {edit(object{"name": "Checkout is slow"}), false, false, nil},
		"status":             {edit(object{"incident_status_id": id.status["Fixing"]}), true, true, []string{status, updated}},
		"severity":           {edit(object{"severity_id": id.severity["SEV1"]}), true, true, []string{updated}},
		"field":              {edit(value("custom_field_ghi", object{"value_text": "x"})), true, false, []string{updated}},
		"field never set":    {edit(object{"custom_field_entries": []object{{"custom_field_id": "custom_field_jkl", "values": []object{}}}}), false, false, nil},
		"message":            {func(i string) error { return lisa.Message(i, "hi") }, false, true, nil},
		"message and status": {func(i string) error { return lisa.SetStatus(i, "Monitoring", "hi") }, true, true, []string{status, updated}},
		"role":               {func(i string) error { return lisa.AssignRole(i, "lead", "ada@example.com") }, true, false, []string{updated}},
		"nobody unassigned":  {func(i string) error { return lisa.UnassignRole(i, "lead") }, false, false, nil},
		"timeline item":      {func(i string) error { _, err := lisa.AddTimelineItem(i, "t", "", time.Time{}); return err }, false, false, nil},
		"action":             {func(i string) error { _, err := lisa.CreateAction(i, "d"); return err }, false, false, []string{"public_incident.action_created_v1"}},
		"post-mortem":        {func(i string) error { _, err := lisa.CreatePostmortem(i, "t", "c"); return err }, true, false, []string{updated}},
		"private":            {func(i string) error { return lisa.MakePrivate(i) }, true, false, []string{"private_incident.incident_updated_v2"}},
	} {
		inc := a.declare(s, nil)
		before, err := s.Incident(inc)
		hooks := len(s.Webhooks())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.do(inc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		after, err := s.Incident(inc)
		if err != nil {
			t.Fatal(err)
		}
		if got := after.UpdatedAt.After(before.UpdatedAt); got != c.moves {
			t.Errorf("%s: updated_at moved: %v, want %v", name, got, c.moves)
		}
		if got := len(after.Updates) == 2; got != c.update {
			t.Errorf("%s: an update: %v, want %v", name, got, c.update)
		}
		var types []string
		for _, w := range s.Webhooks()[hooks:] {
			types = append(types, w.EventType)
			a.spec.webhook(t, w.EventType, w.Body)
		}
		if !slices.Equal(types, c.hooks) {
			t.Errorf("%s: webhooks %v, want %v", name, types, c.hooks)
		}
	}
}
