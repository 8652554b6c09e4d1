package simulator_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// control drives a Simulator as a test in another language would.
func control(t *testing.T, base, method, path string, body any) (int, object) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, out)
	}
	if list, ok := v.([]any); ok {
		return resp.StatusCode, object{"list": list}
	}
	return resp.StatusCode, v.(object)
}

func TestControl(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	srv := httptest.NewServer(s)
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	call := func(want int, method, path string, body any) object {
		t.Helper()
		status, v := control(t, srv.URL, method, path, body)
		if status != want {
			t.Fatalf("%s %s: %d, want %d: %v", method, path, status, want, v)
		}
		return v
	}
	as := func(verb string, body object) object {
		t.Helper()
		return call(200, "POST", "/_sim/as/lisa@example.com/"+verb, body)
	}
	id := func(v object) string { s, _ := v["id"].(string); return s }

	if got := as("declare", object{"name": "Down", "severity": "SEV1", "fields": object{"SLO breach": []string{"Yes"}}})["incident"]; got != "INC-1" {
		t.Fatal(got)
	}
	as("declare", object{"name": "Also down"})
	as("set-status", object{"incident": "INC-1", "status": "Monitoring", "message": "m"})
	as("set-severity", object{"incident": "1", "severity": "SEV2"})
	as("message", object{"incident": "INC-1", "message": "m"})
	as("assign-role", object{"incident": "INC-1", "role": "lead"})
	as("assign-role", object{"incident": "INC-1", "role": "comms", "email": "ada@example.com"})
	as("unassign-role", object{"incident": "INC-1", "role": "comms"})
	as("edit-summary", object{"incident": "INC-1", "summary": "s"})
	as("rename", object{"incident": "INC-1", "name": "n"})
	as("set-field", object{"incident": "INC-1", "field": "Affected services", "values": []string{"Checkout"}})
	as("add-timeline-item", object{"incident": "INC-1", "title": "t", "timestamp": "2026-11-23T02:00:00Z"})
	as("set-action", object{"id": id(as("create-action", object{"incident": "INC-1", "description": "d"}))})
	as("set-follow-up", object{"id": id(as("create-follow-up", object{"incident": "INC-1", "title": "t", "labels": []string{"l"}}))})
	as("set-escalation", object{"id": id(as("escalate", object{"incident": "INC-1", "title": "t"}))})
	as("set-postmortem", object{"id": id(as("create-postmortem", object{"incident": "INC-1", "title": "t", "content": "c"}))})
	as("resolve", object{"incident": "INC-1"})
	as("close", object{"incident": "INC-1"})
	as("reopen", object{"incident": "INC-1"})
	newAPI(t, s).do("POST", eventsPath+"?token="+simulator.DefaultAlertSourceToken, event("firing", "k"), "Authorization", "").want(202)
	as("attach-alert", object{"incident": "INC-1", "id": "k"})
	as("resolve-alert", object{"id": "k"})
	as("merge", object{"incident": "INC-2", "into": "INC-1"})
	as("make-private", object{"incident": "INC-2"})

	v := call(200, "GET", "/_sim/incidents/INC-1", nil)
	for list, n := range map[string]int{"updates": 7, "timeline": 1, "actions": 1, "follow_ups": 1, "postmortems": 1, "alerts": 1, "escalations": 1} {
		if got := len(v[list].([]any)); got != n {
			t.Errorf("%s: %d, want %d", list, got, n)
		}
	}
	if st := v["incident_status"].(object)["name"]; st != "Investigating" || v["name"] != "n" || v["summary"] != "s" {
		t.Errorf("%v %v %v", st, v["name"], v["summary"])
	}
	call(404, "GET", "/_sim/incidents/INC-9", nil)
	call(422, "POST", "/_sim/as/eve@example.com/close", object{"incident": "INC-1"})
	call(400, "POST", "/_sim/as/lisa@example.com/close", object{"incidents": "INC-1"})
	call(404, "POST", "/_sim/as/lisa@example.com/explode", object{})

	// Every call that the list names is one of those made here, or is made below.
	list := call(200, "GET", "/_sim/", nil)["controls"].([]any)
	if len(list) < 35 {
		t.Errorf("%d control calls", len(list))
	}
	for _, c := range list {
		c := c.(object)
		if path := c["path"].(string); c["does"] == "" || (strings.Contains(path, "/as/") && c["example"] == nil) {
			t.Errorf("%s says too little", path)
		}
	}

	fault := call(200, "POST", "/_sim/faults", object{"kind": "hang", "delay": "1ms", "path": "/v1/identity", "times": 1})
	if f := call(200, "GET", "/_sim/faults", nil)["faults"].([]any)[0].(object); f["delay"] != "1ms" || f["id"] != fault["id"] {
		t.Errorf("%v", f)
	}
	call(422, "POST", "/_sim/faults", object{"kind": "explode"})
	call(200, "DELETE", "/_sim/faults/"+fault["id"].(string), nil)
	call(200, "DELETE", "/_sim/faults", nil)

	call(200, "POST", "/_sim/settings", object{"key": "other", "roles": []string{"viewer"}, "alert_delay": "1h", "alert_route": object{"delay": "1s", "severity": "SEV1"},
		"missing_newer_calls": true, "limits": object{"per_minute": 2}, "webhook_url": "http://127.0.0.1:1/", "webhook_secrets": []string{secretA},
		"webhooks": object{"attempts": 1, "drop_share": 1.0}, "remove": []string{"SEV3"}, "add_users": []object{{"name": "Joan", "email": "joan@example.com"}}, "deactivate": []string{"linus@example.com"}})
	call(422, "POST", "/_sim/settings", object{"remove": []string{"nothing"}})
	a := newAPI(t, s)
	a.do("GET", "/v1/identity", nil).want(401)
	a.key = "other"
	if r := a.do("GET", "/v2/users?email=joan@example.com", nil).want(200); len(r.list("users")) != 1 || r.Header.Get("X-RateLimit-Limit") != "2, 2;window=60" {
		t.Errorf("%s %v", r.Body, r.Header)
	}
	call(200, "POST", "/_sim/as/joan@example.com/message", object{"incident": "INC-1", "message": "I am new"})
	if n := len(call(200, "GET", "/_sim/requests?match=/v2/users&after=1", nil)["list"].([]any)); n != 1 {
		t.Errorf("%d requests", n)
	}
	call(200, "GET", "/_sim/webhooks?type=public_incident.incident_created_v2", nil)
	call(200, "POST", "/_sim/webhooks/replay", object{"ids": []string{"none"}})
	if n := call(200, "GET", "/_sim/counters", nil)["requests"]; n == 0.0 {
		t.Error("nothing counted")
	}
	call(200, "GET", "/_sim/account", nil)
	if n := len(call(200, "GET", "/_sim/snapshot", nil)["incidents"].([]any)); n != 2 {
		t.Errorf("%d incidents", n)
	}
}
