package simulator_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

const eventsPath = "/v2/alert_events/http/" + simulator.DefaultAlertSourceID

func event(status, key string) object {
	return object{"title": "p99 too high", "status": status, "deduplication_key": key, "description": "d"}
}

func TestAlertEvents(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a := newAPI(t, s)
	bearer := []string{"Authorization", "Bearer " + simulator.DefaultAlertSourceToken}
	for name, c := range map[string]struct {
		path   string
		body   any
		header []string
		status int
		field  string
	}{
		"the API key":       {eventsPath, event("firing", "k"), nil, 401, ""},
		"no token":          {eventsPath, event("firing", "k"), []string{"Authorization", ""}, 401, ""},
		"wrong token":       {eventsPath + "?token=x", event("firing", "k"), []string{"Authorization", ""}, 401, ""},
		"no such source":    {"/v2/alert_events/http/x", event("firing", "k"), bearer, 404, ""},
		"a heartbeat":       {"/v2/alert_events/http/" + simulator.DefaultHeartbeatID, event("firing", "k"), bearer, 404, ""},
		"no key":            {eventsPath, event("firing", ""), bearer, 422, "deduplication_key"},
		"other status":      {eventsPath, event("acked", "k"), bearer, 422, "status"},
		"no title":          {eventsPath, object{"status": "firing", "deduplication_key": "k"}, bearer, 422, "title"},
		"unknown field":     {eventsPath, with(event("firing", "k"), "service", "x"), bearer, 422, "service"},
		"too large":         {eventsPath, with(event("firing", "k"), "description", strings.Repeat("x", 512<<10)), bearer, 429, ""},
		"resolve of none":   {eventsPath, event("resolved", "none"), bearer, 202, ""},
		"token in the URL":  {eventsPath + "?token=" + simulator.DefaultAlertSourceToken, event("firing", "url"), []string{"Authorization", ""}, 202, ""},
		"token in Bearer":   {eventsPath, event("firing", "bearer"), bearer, 202, ""},
		"token in Basic":    {eventsPath, event("firing", "basic"), []string{"Authorization", "Basic dTpzaW11bGF0ZWQtYWxlcnQtc291cmNlLXRva2Vu"}, 202, ""},
		"just small enough": {eventsPath, with(event("firing", "big"), "description", strings.Repeat("x", 512<<10-200)), bearer, 202, ""},
	} {
		r := a.do("POST", c.path, c.body, c.header...)
		if r.Status != c.status || (c.status == 422 && r.field() != c.field) {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
		if name == "too large" && r.Header.Get("Retry-After") != "" {
			t.Error("too large: it tells a time")
		}
	}
	if n := len(s.Snapshot().Alerts); n != 4 {
		t.Errorf("%d alerts, want 4", n)
	}
	for _, r := range s.Requests(eventsPath) {
		if strings.Contains(r.Query.Encode(), simulator.DefaultAlertSourceToken) {
			t.Error("the record holds the token")
		}
	}
	optional := newSim(t, simulator.Options{DeduplicationKeyOptional: true})
	newAPI(t, optional).do("POST", eventsPath, object{"title": "t", "status": "firing"}, bearer...).want(202)
}

func TestOneAlertForAKey(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a := newAPI(t, s)
	for _, status := range []string{"firing", "firing", "resolved", "resolved", "firing"} {
		a.do("POST", eventsPath+"?token="+simulator.DefaultAlertSourceToken, event(status, "k"), "Authorization", "").want(202)
	}
	alerts := s.Snapshot().Alerts
	if len(alerts) != 1 || alerts[0].Status != "firing" || alerts[0].ResolvedAt != nil || alerts[0].Events != 5 {
		t.Errorf("%+v", alerts)
	}
	for event, want := range map[string]int{"public_alert.alert_created_v1": 1, "public_alert.alert_resolved_v1": 1} {
		if got := len(s.Webhooks(event)); got != want {
			t.Errorf("%s: %d, want %d", event, got, want)
		}
	}
}

func TestAlertsLaterAndRouted(t *testing.T) {
	t.Parallel()
	o := simulator.Options{AlertDelay: time.Second, AlertRoute: &simulator.AlertRoute{Delay: 2 * time.Second, Severity: "SEV1", Status: "Triage"}}
	within(t, o, func(t *testing.T, s *simulator.Simulator, a *api) {
		send := func(key string) {
			a.do("POST", eventsPath+"?token="+simulator.DefaultAlertSourceToken, event("firing", key), "Authorization", "").want(202)
		}
		look := func() (alerts, incidents int) {
			synctest.Wait()
			v := s.Snapshot()
			return len(v.Alerts), len(v.Incidents)
		}
		send("k")
		if n, _ := look(); n != 0 {
			t.Error("the alert shows at once")
		}
		time.Sleep(time.Second)
		if n, i := look(); n != 1 || i != 0 {
			t.Errorf("%d alerts, %d incidents", n, i)
		}
		time.Sleep(2 * time.Second)
		if _, i := look(); i != 1 {
			t.Fatalf("%d incidents", i)
		}
		v := s.Snapshot().Incidents[0]
		if v.Name != "p99 too high" || v.Severity.Name != "SEV1" || v.Status.Name != "Triage" || v.Creator.Alert == nil || len(v.Alerts) != 1 {
			t.Errorf("%+v", v)
		}
		tie := a.do("GET", "/v2/incident_alerts?page_size=50&incident_id="+v.ID, nil).want(200)
		if tie.text("incident_alerts", 0, "alert_route_id") == "" {
			t.Errorf("%s", tie.Body)
		}
		a.do("GET", "/v2/incident_updates?incident_id="+v.ID, nil).want(200)

		// Somebody ties the second alert before the route comes to it.
		send("second")
		time.Sleep(time.Second)
		synctest.Wait()
		if err := s.As("lisa@example.com").AttachAlert("INC-1", "second"); err != nil {
			t.Fatal(err)
		}
		send("third") // still under way when the Simulator is closed
		time.Sleep(2 * time.Second)
		if n, i := look(); n != 3 || i != 1 {
			t.Errorf("%d alerts, %d incidents", n, i)
		}
		s.SetAlertRoute(nil)
		s.SetAlertDelay(0)
		send("fourth")
		if n, _ := look(); n != 4 {
			t.Errorf("%d alerts", n)
		}
	})
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a := newAPI(t, s)
	path := "/v2/heartbeat/" + simulator.DefaultHeartbeatID + "/ping"
	a.do("POST", path, nil, "Authorization", "").want(401)
	a.do("POST", path, nil, "Authorization", "Bearer "+simulator.DefaultHeartbeatToken).want(204)
	a.do("POST", path, nil).want(204) // the API key has the role
	a.do("POST", "/v2/heartbeat/x/ping", nil).want(404)
	if n := s.Snapshot().Pings[simulator.DefaultHeartbeatID]; n != 2 {
		t.Errorf("%d pings", n)
	}
}

// TestAlertRouteGroups sends alerts of two groups and of none.
func TestAlertRouteGroups(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{AlertRoute: &simulator.AlertRoute{Group: func(a simulator.Alert) string {
		group, _, _ := strings.Cut(a.DeduplicationKey, "-")
		return strings.TrimPrefix(group, "lone")
	}}})
	a := newAPI(t, s)
	want := func(key, ref string) {
		t.Helper()
		a.do("POST", eventsPath+"?token="+simulator.DefaultAlertSourceToken, event("firing", key), "Authorization", "").want(202)
		v, err := s.Incident(ref)
		if err != nil || !slices.ContainsFunc(v.Alerts, func(a simulator.Alert) bool { return a.DeduplicationKey == key }) {
			t.Errorf("%s has no alert %s: %v, %v", ref, key, v.Alerts, err)
		}
	}
	want("a-1", "INC-1")
	want("a-2", "INC-1")
	want("b-1", "INC-2")
	want("lone-1", "INC-3")
	want("lone-2", "INC-4")
	if err := s.As("lisa@example.com").Close("INC-1", ""); err != nil {
		t.Fatal(err)
	}
	want("a-3", "INC-5") // nobody works on the first one any more
	want("a-4", "INC-5")
}
