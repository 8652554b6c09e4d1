package agent

import "testing"

func TestDetailIsForPeople(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ direction, detail, want string }{
		{toTigerOps, `{"category":"live","incident_io_severity":"SEV2","origin":"declared"}`, "category live, incident.io severity SEV2, origin declared"},
		{toTigerOps, `Reindexed {"incident_io_status":"Documenting","status":"resolved"} by Lisa`, "Reindexed (incident.io status Documenting, status resolved) by Lisa"},
		{toTigerOps, `no longer {"email":"","name":null,"role":"lead","n":1,"x":{"a":[1]}} [said {no}]`, `no longer (role lead, n 1, x {"a":[1]}) [said {no}]`},
		{toTigerOps, `{}`, ""},
		{toTigerOps, "what {is this", "what {is this"},
		{toTigerOps, `a {"cut":`, `a {"cut":`},
		{toTigerOps, "webhook msg_1", "webhook msg_1"},
		{toTigerOps, "", ""},
		{toIncidentIO, `A title with {"json":1}`, `A title with {"json":1}`},
		{toIncidentIO, "POST /v3/actions 422: POST /v3/actions: refused (422), incident_id: no", "POST /v3/actions 422: refused (422), incident_id: no"},
		{toIncidentIO, "POST /v2/incidents 200", "POST /v2/incidents 200"},
		{toIncidentIO, "", ""},
	} {
		if got := Detail(StoryRow{Direction: c.direction, Detail: c.detail}); got != c.want {
			t.Errorf("%s: got %q, want %q", c.detail, got, c.want)
		}
	}
}
