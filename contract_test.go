package main_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// oneOfEach is one event of every type of contract section 3, as a TigerOps incident lives through them.
var oneOfEach = []string{
	`{"id":"evt_01","type":"anomaly.detected","timestamp":"2026-11-23T01:59:00Z","incident":{"title":"p99 latency of api-gateway is 12 times its baseline","severity":"warning","service":"api-gateway"}}`,
	`{"id":"evt_02","type":"slo.breached","timestamp":"2026-11-23T01:59:30Z","incident":{"title":"checkout-availability is burning","severity":"critical","service":"api-gateway","slo":{"name":"checkout-availability","status":"breached","error_budget_burn_rate":14.4}}}`,
	`{"id":"evt_03","type":"incident.created","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"TIG-4711","title":"Checkout latency above SLO","severity":"critical","status":"open",
	  "service":"api-gateway","affected_services":["api-gateway"],"team":"payments","environment":"production","url":"https://tigerops.example/incidents/TIG-4711","trace_url":"https://tigerops.example/traces/1",
	  "ai_summary":"Checkout slowed down after deployment 9f2c1e7.","root_cause":"Connection pool exhausted","impacted_metrics":[{"name":"p99_latency","value":"2.3 s","baseline":"180 ms"}],
	  "slo":{"name":"checkout-availability","status":"breached","error_budget_burn_rate":14.4},"deployment":{"sha":"9f2c1e7","service":"checkout","url":"https://ci.example/9f2c1e7"},
	  "responders":[{"role":"owner","email":"ada@example.com","name":"Ada"}],"started_at":"2026-11-23T01:58:00Z"},"actor":{"name":"TigerOps"}}`,
	`{"id":"evt_04","type":"investigation.step","timestamp":"2026-11-23T02:01:00Z","incident":{"id":"TIG-4711"},"step":{"kind":"root_cause_identified","title":"Connection pool exhausted","detail":"All 50 connections are held by the new retry loop."}}`,
	`{"id":"evt_05","type":"runbook.action","timestamp":"2026-11-23T02:02:00Z","incident":{"id":"TIG-4711"},"action":{"title":"Roll back checkout","status":"running","detail":"to 8e1b0d6","url":"https://tigerops.example/runs/1"}}`,
	`{"id":"evt_06","type":"runbook.action","timestamp":"2026-11-23T02:04:00Z","incident":{"id":"TIG-4711"},"action":{"title":"Roll back checkout","status":"succeeded"}}`,
	`{"id":"evt_07","type":"incident.acknowledged","timestamp":"2026-11-23T02:03:00Z","incident":{"id":"TIG-4711"},"actor":{"name":"Ada","email":"ada@example.com"}}`,
	`{"id":"evt_08","type":"incident.updated","timestamp":"2026-11-23T02:05:00Z","incident":{"id":"TIG-4711","severity":"warning","deployment":{"sha":"8e1b0d6"}}}`,
	`{"id":"evt_09","type":"incident.escalated","timestamp":"2026-11-23T02:06:00Z","incident":{"id":"TIG-4711","severity":"critical"},"actor":{"name":"Ada","email":"ada@example.com"}}`,
	`{"id":"evt_10","type":"incident.resolved","timestamp":"2026-11-23T02:30:00Z","incident":{"id":"TIG-4711","status":"resolved","resolved_at":"2026-11-23T02:30:00Z"}}`,
	`{"id":"evt_11","type":"postmortem.ready","timestamp":"2026-11-23T03:00:00Z","incident":{"id":"TIG-4711"},"postmortem":{"contributing_factors":["Retry loop without a limit"],"timeline_summary":"02:00 page, 02:30 resolved","action_items":[{"title":"Bound the retry loop","detail":"Three tries","owner":"ada@example.com"},{"title":"Alert on pool use"}]}}`,
	`{"id":"evt_12","type":"incident.reopened","timestamp":"2026-11-23T04:00:00Z","incident":{"id":"TIG-4711","severity":"critical"}}`,
}

func TestOneEventOfEveryTypeThroughThePublishedConfiguration(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	r.env["INCIDENT_IO_ALERT_SOURCE_ID"] = simulator.DefaultAlertSourceID
	r.env["INCIDENT_IO_ALERT_SOURCE_TOKEN"] = simulator.DefaultAlertSourceToken
	r.env["AGENT_CONFIG_UNUSED"] = ""
	r.env["AGENT_LOG_LEVEL"] = "debug" // the secrets are looked for in the log at the end
	r.write("config.yaml", publishedYAML+"    alert_route_wait: 0s\n")
	r.start()
	for _, e := range oneOfEach[:len(oneOfEach)-1] {
		r.event(e)
	}
	r.settled()
	if rows := r.query("SELECT event_id, state, reason FROM outbox WHERE state <> 'done'"); len(rows) != 0 {
		t.Errorf("events that did not end done: %v", rows)
	}

	i := r.incident()
	if i.Name != "Checkout latency above SLO" {
		t.Errorf("name %q", i.Name)
	}
	if i.Severity == nil || i.Severity.Name != "SEV1" {
		t.Errorf("severity %v, want SEV1: critical, down to warning, and escalated again", i.Severity)
	}
	if i.Status.Category != "learning" {
		t.Errorf("status %s (%s), want post-incident first", i.Status.Name, i.Status.Category)
	}
	for _, part := range []string{"Checkout slowed down after deployment 9f2c1e7.", "Connection pool exhausted", "p99_latency", "2.3 s", "180 ms", "https://tigerops.example/incidents/TIG-4711", "https://tigerops.example/traces/1"} {
		if !strings.Contains(i.Summary, part) {
			t.Errorf("the summary lacks %q:\n%s", part, i.Summary)
		}
	}
	fields := make(map[string][]string)
	for _, f := range i.CustomFieldEntries {
		for _, v := range f.Values {
			b, _ := json.Marshal(v)
			fields[f.CustomField.ID] = append(fields[f.CustomField.ID], string(b))
		}
	}
	for id, part := range map[string]string{"custom_field_abc": "API Gateway", "custom_field_def": "Yes", "custom_field_ghi": "Checkout slowed down", "custom_field_jkl": "8e1b0d6"} {
		if !strings.Contains(strings.Join(fields[id], " "), part) {
			t.Errorf("custom field %s is %v, want %q in it", id, fields[id], part)
		}
	}
	lead := ""
	for _, a := range i.RoleAssignments {
		if a.Role.RoleType == "lead" && a.Assignee != nil {
			lead = a.Assignee.Email
		}
	}
	if lead != "ada@example.com" {
		t.Errorf("lead is %q, want the owner ada@example.com", lead)
	}
	if n := countOf(i.Timeline, func(x simulator.TimelineItem) bool {
		return strings.Contains(x.Title+x.Description, "Connection pool exhausted") && x.Timestamp.Equal(time.Date(2026, 11, 23, 2, 1, 0, 0, time.UTC))
	}); n != 1 {
		t.Errorf("the investigation step is on the timeline %d times with its own time, want once", n)
	}
	if n := countOf(i.Actions, func(x simulator.Action) bool { return strings.Contains(x.Description, "Roll back checkout") }); n != 1 {
		t.Errorf("the runbook action is there %d times, want once: %+v", n, i.Actions)
	}
	if n := countOf(i.Timeline, func(x simulator.TimelineItem) bool {
		return strings.Contains(x.Title, "Roll back checkout") && strings.Contains(x.Title+x.Description, "succeeded")
	}); n != 1 {
		t.Errorf("the action's changed status is on the timeline %d times, want once", n)
	}
	if n := countOf(i.Updates, func(x simulator.Update) bool { return strings.Contains(x.Message, "Acknowledged by Ada") }); n != 1 {
		t.Errorf("the acknowledgement is told %d times, want once: %+v", n, i.Updates)
	}
	if len(i.Postmortems) != 1 || len(i.FollowUps) != 2 {
		t.Errorf("%d post-mortems and %d follow-ups, want 1 and 2", len(i.Postmortems), len(i.FollowUps))
	}
	var states []string
	for _, a := range r.sim.Snapshot().Alerts {
		states = append(states, a.Status)
	}
	slices.Sort(states)
	if !slices.Equal(states, []string{"firing", "firing", "resolved"}) {
		t.Errorf("alerts %v, want the anomaly and the SLO firing and the incident's resolved", states)
	}
	// P4: what the agent did itself is no change.
	r.eventually("every webhook is taken in", func() bool { return len(r.query("SELECT id FROM webhook WHERE state = 'pending'")) == 0 })
	if got := r.query("SELECT DISTINCT type FROM inbox"); !slices.Equal(got, []string{"incident.linked"}) {
		t.Errorf("inbox rows %v, want nothing but the link: all else the agent did itself", r.query("SELECT type, payload FROM inbox"))
	}

	// A closed incident can't be opened again: a reopen declares a new one that names the old.
	r.event(oneOfEach[len(oneOfEach)-1])
	r.settled()
	all := r.sim.Snapshot().Incidents
	if len(all) != 2 {
		t.Fatalf("%d incidents after the reopen, want 2", len(all))
	}
	if !strings.Contains(all[1].Summary, all[0].Reference) {
		t.Errorf("the new incident does not name %s:\n%s", all[0].Reference, all[1].Summary)
	}
	if got := r.query("SELECT incident_id FROM link WHERE tigerops_incident_id = 'TIG-4711'"); !slices.Equal(got, []string{all[1].ID}) {
		t.Errorf("link %v, want the new incident %s", got, all[1].ID)
	}
	if status := r.stop(); status != 0 {
		t.Errorf("exit status %d after SIGTERM, want 0", status)
	}
	for _, secret := range []string{testKey, strings.TrimPrefix(testSecret, "whsec_"), simulator.DefaultAlertSourceToken} {
		if strings.Contains(r.log.String(), secret) {
			t.Error("a secret is in the log")
		}
		if file, err := os.ReadFile(r.env["AGENT_DB"]); err != nil || bytes.Contains(file, []byte(secret)) {
			t.Errorf("a secret is in the database, or it can't be read: %v", err)
		}
	}
}

func countOf[T any](list []T, is func(T) bool) (n int) {
	for _, x := range list {
		if is(x) {
			n++
		}
	}
	return n
}

func TestThreeDoorsOneTable(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	// enqueue works before the agent ever ran.
	out, errs, status := r.run(`{"id":"e1","type":"incident.created","incident":{"id":"T-1","title":"From the command line","severity":"critical"}}`+"\n", "enqueue", "-")
	if status != 0 {
		t.Fatalf("enqueue: %d %s%s", status, out, errs)
	}
	r.start()
	r.event(`{"id":"e2","type":"incident.created","incident":{"id":"T-2","title":"Over HTTP","severity":"critical"}}`)
	if err := r.exec(`INSERT INTO outbox(payload) VALUES ('{"id":"e3","type":"incident.created","incident":{"id":"T-3","title":"By SQL","severity":"critical"}}')`); err != nil {
		t.Fatal(err)
	}
	// The flat form of TigerOps' outbound webhook.
	r.event(`{"event":"incident.created","incident_id":"T-4","title":"Flat","severity":"critical","service_name":"checkout","timestamp":"2026-11-23T02:00:00Z"}`)
	r.eventually("four incidents", func() bool { return len(r.sim.Snapshot().Incidents) == 4 })

	// A repeated event is one event, through whichever door.
	status, answer := r.post("/v1/events", `[{"id":"e3","type":"incident.created","incident":{"id":"T-3"}},{"id":"e1","type":"incident.created","incident":{"id":"T-1"}}]`)
	if status != 202 || !strings.Contains(answer, `"accepted":0`) || !strings.Contains(answer, `"duplicates":2`) {
		t.Errorf("repeats: %d %s, want 202 and two duplicates", status, answer)
	}
	if err := r.exec(`INSERT INTO outbox(payload) VALUES ('{"id":"e2","type":"incident.resolved","incident":{"id":"T-2"}}')`); err != nil {
		t.Errorf("a repeat by SQL: %v, want it passed over in silence", err)
	}
	// A test POST changes nothing.
	for _, body := range []string{`{}`, `{"type":"test"}`} {
		if status, answer := r.post("/v1/events", body); status != 202 {
			t.Errorf("test POST %s: %d %s, want 202", body, status, answer)
		}
	}
	if n := r.query("SELECT count(*) FROM outbox"); n[0] != "4" {
		t.Errorf("%s rows in the outbox, want 4", n[0])
	}
	for body, want := range map[string]int{
		`not json`:                             400,
		`{"id":"x","type":"incident.created"}`: 422,
		`{"type":"incident.created","incident":{"id":"T"}}`:                                                     422,
		`{"id":"x","incident":{"id":"T"}}`:                                                                      422,
		`[{"id":"y","type":"incident.created","incident":{"id":"T"}},{"id":"z","type":"incident.updated"}]`:     422,
		`{"id":"big","type":"incident.created","incident":{"id":"T"},"x":"` + strings.Repeat("x", 2<<20) + `"}`: 413,
	} {
		if status, answer := r.post("/v1/events", body); status != want {
			t.Errorf("%.80s: %d %s, want %d", body, status, answer, want)
		}
	}
	for q, name := range map[string]string{
		`[]`:                                   "payload_must_be_a_json_object",
		`nonsense`:                             "payload_must_be_a_json_object",
		`{"id":"x"}`:                           "event_needs_a_type",
		`{"id":"x","type":"incident.created"}`: "event_needs_an_incident_id",
		`{"type":"incident.created","incident":{"id":"T"}}`: "event_needs_an_id_or_a_timestamp",
	} {
		if err := r.exec("INSERT INTO outbox(payload) VALUES (?)", q); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("INSERT of %s: %v, want a refusal by %s", q, err, name)
		}
	}
	if n := r.query("SELECT count(*) FROM outbox"); n[0] != "4" {
		t.Errorf("%s rows in the outbox after what was refused, want 4: all or nothing", n[0])
	}
	// An unknown type is stored and ends skipped.
	r.event(`{"id":"u1","type":"incident.exploded","incident":{"id":"T-1"}}`)
	r.eventually("the unknown type is skipped", func() bool {
		got := r.query("SELECT state, reason <> '' FROM outbox WHERE event_id = 'u1'")
		return len(got) == 1 && got[0] == "skipped|1"
	})
}

func TestWhatPeopleDoComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	r.start()
	r.event(`{"id":"e1","type":"incident.created","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"TIG-1","title":"Slow","severity":"critical","status":"open"}}`)
	r.settled()
	ref := r.incident().Reference
	lisa := r.sim.As("lisa@example.com")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	wait := func(kind string, n int) []map[string]any {
		t.Helper()
		r.eventually(kind+" in the inbox", func() bool { return len(r.inbox(kind)) >= n })
		return r.inbox(kind)
	}
	must(lisa.SetStatus(ref, "Monitoring", "Rolled back, watching"))
	row := wait("incident.status_changed", 1)[0]
	after, _ := row["after"].(map[string]any)
	if row["tigerops_incident_id"] != "TIG-1" || after["incident_io_status"] != "Monitoring" || after["status"] != "mitigated" || after["category"] != "live" || row["message"] != "Rolled back, watching" {
		t.Errorf("status row %v", row)
	}
	actor, _ := row["actor"].(map[string]any)
	if actor["email"] != "lisa@example.com" || actor["type"] != "user" {
		t.Errorf("actor %v, want Lisa", row["actor"])
	}
	must(lisa.SetSeverity(ref, "SEV2", ""))
	after, _ = wait("incident.severity_changed", 1)[0]["after"].(map[string]any)
	if after["severity"] != "warning" || after["incident_io_severity"] != "SEV2" {
		t.Errorf("severity row after %v", after)
	}
	must(lisa.AssignRole(ref, "Incident Lead", "lisa@example.com"))
	after, _ = wait("incident.role_assigned", 1)[0]["after"].(map[string]any)
	if after["role"] != "owner" || after["email"] != "lisa@example.com" {
		t.Errorf("role row after %v", after)
	}
	must(lisa.EditSummary(ref, "Ours now."))
	wait("incident.summary_changed", 1)
	must(lisa.Message(ref, "Customers were told"))
	wait("incident.message", 1)
	_, err := lisa.AddTimelineItem(ref, "Called the bank", "", time.Now())
	must(err)
	wait("timeline.added", 1)
	action, err := lisa.CreateAction(ref, "Tell support")
	must(err)
	wait("action.created", 1)
	must(lisa.CompleteAction(action))
	wait("action.updated", 1)
	_, err = lisa.CreateFollowUp(ref, "Write it up", "")
	must(err)
	wait("follow_up.created", 1)
	escalation, err := lisa.Escalate(ref, simulator.DefaultEscalationPathID, "Need a DBA")
	must(err)
	wait("incident.escalated", 1)
	must(lisa.AckEscalation(escalation))
	wait("incident.acknowledged", 1)
	must(lisa.Resolve(ref, "Fixed"))
	wait("incident.resolved", 1)

	// A resolve is one row, and nothing comes twice although webhooks and the sweep both see it.
	swept := r.query("SELECT value FROM meta WHERE key = 'last_sweep'")
	r.eventually("another sweep", func() bool {
		now := r.query("SELECT value FROM meta WHERE key = 'last_sweep'")
		return len(now) == 1 && !slices.Equal(now, swept)
	})
	for _, line := range r.query("SELECT type, count(*) FROM inbox GROUP BY type") {
		if !strings.HasSuffix(line, "|1") {
			t.Errorf("%s: want one of each; %v", line, r.query("SELECT type, payload FROM inbox"))
		}
	}

	// TigerOps takes them: by long poll with ack and reject, and by SQL.
	status, body := r.get("/v1/inbox?limit=2&wait=1s")
	var page struct {
		Changes []struct {
			ID   int64
			Type string
		}
	}
	if err := json.Unmarshal([]byte(body), &page); status != 200 || err != nil || len(page.Changes) != 2 || page.Changes[0].Type != "incident.linked" {
		t.Fatalf("GET /v1/inbox: %d %s", status, body)
	}
	if status, body := r.post("/v1/inbox/"+itoa(page.Changes[0].ID)+"/ack", ""); status/100 != 2 {
		t.Errorf("ack: %d %s", status, body)
	}
	if status, body := r.post("/v1/inbox/"+itoa(page.Changes[1].ID)+"/reject", `{"reason":"not now"}`); status/100 != 2 {
		t.Errorf("reject: %d %s", status, body)
	}
	must(r.exec("UPDATE inbox SET state = 'applied' WHERE state = 'pending'"))
	if got := r.query("SELECT state, count(*), min(applied_at <> '') FROM inbox GROUP BY state ORDER BY state"); len(got) != 2 || !strings.HasSuffix(got[0], "|1") || got[1] != "rejected|1|1" {
		t.Errorf("inbox states %v", got)
	}
	if err := r.exec("UPDATE inbox SET state = 'pending' WHERE state = 'applied'"); err == nil {
		t.Error("an applied change can be made pending again, want a refusal")
	}
	out, errs, status := r.run("", "show", "TIG-1")
	if status != 0 || !strings.Contains(out, "incident.resolved") || !strings.Contains(out, "incident.declare") {
		t.Errorf("show TIG-1: %d\n%s%s", status, out, errs)
	}
	if out2, _, _ := r.run("", "show", ref); !strings.Contains(out2, "incident.declare") {
		t.Errorf("show %s does not tell the story:\n%s", ref, out2)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// TestVendorsWebhooks posts the vendor's example of each webhook, signed by the official library.
func TestVendorsWebhooks(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../shared/incidentio/webhooks/*.json")
	if err != nil || len(files) == 0 {
		t.Skip("the vendor's example webhooks (../shared/incidentio/webhooks) are not here")
	}
	r := newRig(t, simulator.Options{})
	r.start()
	signer, err := standardwebhooks.NewWebhook(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	send := func(id string, body []byte, change func(*http.Request)) int {
		t.Helper()
		now := time.Now()
		signature, err := signer.Sign(id, now, body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(http.MethodPost, r.webhooks, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("webhook-id", id)
		req.Header.Set("webhook-timestamp", itoa(now.Unix()))
		req.Header.Set("webhook-signature", signature)
		if change != nil {
			change(req)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		id := "msg_" + filepath.Base(f)
		for range 2 { // they come twice
			if got := send(id, body, nil); got != http.StatusNoContent {
				t.Errorf("%s: %d, want 204", filepath.Base(f), got)
			}
		}
		if got := send(id+"x", body, func(q *http.Request) { q.Header.Set("webhook-signature", "v1,bm9uc2Vuc2U=") }); got != http.StatusUnauthorized {
			t.Errorf("%s with a wrong signature: %d, want 401", filepath.Base(f), got)
		}
	}
	if got := send("msg_new", []byte(`{"event_type":"public_incident.something_new_v9"}`), nil); got != http.StatusNoContent {
		t.Errorf("an unknown event type: %d, want 204", got)
	}
	if got := send("msg_text", []byte(`hello`), nil); got != http.StatusBadRequest {
		t.Errorf("signed but not JSON: %d, want 400", got)
	}
	r.eventually("none waits", func() bool { return len(r.query("SELECT id FROM webhook WHERE state = 'pending'")) == 0 })
	if n := r.query("SELECT count(*) FROM webhook"); n[0] != strconv.Itoa(len(files)+1) {
		t.Errorf("%s webhooks stored, want %d: each once", n[0], len(files)+1)
	}
	if got := r.query("SELECT type FROM inbox"); len(got) != 0 {
		t.Errorf("inbox %v from webhooks about strangers' incidents, want none", got)
	}
}
