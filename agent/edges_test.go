package agent

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/store"
)

// serve lets both listeners answer until the test ends.
func (w *world) serve() {
	w.Helper()
	done := make(chan error, 1)
	go func() { done <- w.a.edges.serve(w.ctx) }()
	w.Cleanup(func() {
		if err := <-done; err != nil {
			w.Errorf("serve: %v", err)
		}
	})
}

// do sends a request to one of the listeners.
func (w *world) do(method, addr, path string, body []byte, header http.Header) (status int, answer string) {
	w.Helper()
	req := must(http.NewRequestWithContext(w.ctx, method, "http://"+addr+path, bytes.NewReader(body)))(w)
	if header != nil {
		req.Header = header
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res := must((&http.Client{Transport: transport, Timeout: 20 * time.Second}).Do(req))(w)
	defer res.Body.Close()
	return res.StatusCode, string(must(io.ReadAll(res.Body))(w))
}

func (w *world) local(method, path, body string) (status int, answer string) {
	w.Helper()
	return w.do(method, w.a.edges.localAddr(), path, []byte(body), nil)
}

// All of incident.io's own examples, signed by the official library: taken, stored, and settled.
func TestVendorWebhooksAreAllTakenAndSettled(t *testing.T) {
	t.Parallel()
	examples := vendorWebhooks(t)
	w := newWorld(t, worldOptions{config: func(c *Config) { c.Rules.PullUnlinked = true }})
	w.tie("TIG-1")
	w.serve()
	signer := must(standardwebhooks.NewWebhook(w.a.cfg.Load().WebhookSecrets[0].Reveal()))(w)
	for name, body := range examples {
		at := time.Now()
		header := http.Header{}
		header.Set("webhook-id", "msg_"+name)
		header.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
		header.Set("webhook-signature", must(signer.Sign("msg_"+name, at, body))(w))
		for range 2 { // the second is a repeat
			if status, answer := w.do(http.MethodPost, w.a.edges.webhookAddr(), "/webhooks/incident-io", body, header); status != http.StatusNoContent {
				t.Errorf("%s: got %d %s, want 204", name, status, answer)
			}
		}
	}
	must(w.a.pullOnce(w.ctx))(w)
	w.wantTypes(w.rows())
	if n := w.hookStates()["pending"]; n != 0 {
		t.Errorf("webhooks left pending: %d", n)
	}
	for _, s := range must(w.a.st.Stuck(w.ctx))(w) {
		// The examples speak of incidents that are not in this account.
		if s.Kind != "webhook" || !strings.Contains(s.Why, "does not show it to the API key") {
			t.Errorf("stuck: %+v", s)
		}
	}
}

func TestLocalListener(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ref, id := w.tie("TIG-1")
	w.serve()

	if status, _ := w.local(http.MethodGet, "/healthz", ""); status != 200 {
		t.Errorf("healthz: got %d", status)
	}
	if status, answer := w.local(http.MethodGet, "/readyz", ""); status != 200 {
		t.Errorf("readyz: got %d %s", status, answer)
	}
	w.a.up.forbid("edit", "incident.io forbids to edit")
	if status, answer := w.local(http.MethodGet, "/readyz", ""); status != 503 || !strings.Contains(answer, "forbids to edit") {
		t.Errorf("readyz while a role is missing: got %d %s, want 503 with the reason", status, answer)
	}
	w.a.up.forbid("edit", "")

	status, answer := w.local(http.MethodPost, "/v1/events", `{"id":"e1","type":"incident.updated","incident":{"id":"TIG-1","severity":"warning"}}`)
	if status != 202 || !strings.Contains(answer, `"ids":["e1"]`) {
		t.Errorf("event: got %d %s, want 202 with its id", status, answer)
	}
	status, answer = w.local(http.MethodPost, "/v1/events", `[{"id":"e1","type":"incident.updated","incident":{"id":"TIG-1"}},{"id":"e2","type":"incident.updated"}]`)
	if status != 422 || !strings.Contains(answer, `"index":1`) || !strings.Contains(answer, "incident.id") {
		t.Errorf("events with a fault: got %d %s, want 422 that names index and field", status, answer)
	}
	status, answer = w.local(http.MethodPost, "/v1/events", `{"id":"e1","type":"incident.updated","incident":{"id":"TIG-1"}}`)
	if status != 202 || !strings.Contains(answer, `"duplicates":1`) {
		t.Errorf("a repeat: got %d %s, want 202 and one duplicate", status, answer)
	}
	db := must(sql.Open("sqlite", w.path))(w)
	defer db.Close()
	var known string
	if err := db.QueryRow("SELECT known_id || known_type || known_incident || known_severity FROM outbox WHERE event_id = 'e1'").Scan(&known); err != nil || known != "e1incident.updatedTIG-1warning" {
		t.Errorf("the event was read once, and known is %q, %v", known, err)
	}

	var report struct {
		Ready bool
		store.Status
	}
	status, answer = w.local(http.MethodGet, "/v1/status", "")
	w.ok(json.Unmarshal([]byte(answer), &report))
	if status != 200 || !report.Ready || report.Waiting != 1 || len(report.Links) != 1 || report.Links[0].Reference != ref {
		t.Errorf("status: got %d %s", status, answer)
	}
	for _, name := range []string{"TIG-1", id, ref, strings.ToLower(ref)} {
		status, answer = w.local(http.MethodGet, "/v1/incidents/"+name, "")
		if status != 200 || !strings.Contains(answer, ref) || !strings.Contains(answer, "incident.linked") {
			t.Errorf("incident %s: got %d %s", name, status, answer)
		}
	}
	if status, answer = w.local(http.MethodGet, "/v1/incidents/TIG-404", ""); status != 404 {
		t.Errorf("an incident that is not there: got %d %s, want 404", status, answer)
	}
	for _, path := range []string{"/", "/incidents/TIG-1"} {
		if status, answer = w.local(http.MethodGet, path, ""); status != 200 || !strings.Contains(answer, ref) {
			t.Errorf("page %s: got %d, want the incident on it", path, status)
		}
	}
	if status, answer = w.local(http.MethodGet, "/metrics", ""); status != 200 || !strings.Contains(answer, `tigerops_incidentio_outbox_events{state="waiting"} 1`) {
		t.Errorf("metrics: got %d, want one waiting event", status)
	}
}

func TestInboxOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	ref, _ := w.tie("TIG-1")
	w.serve()
	last := w.last

	answers := make(chan string, 1)
	go func() {
		_, answer := w.local(http.MethodGet, fmt.Sprintf("/v1/inbox?after=%d&wait=20s", last), "")
		answers <- answer
	}()
	w.ok(w.sim.As(lisa).SetStatus(ref, "Monitoring", "A fix is out."))
	w.pull()
	var got struct{ Changes []row }
	w.ok(json.Unmarshal([]byte(<-answers), &got))
	if len(got.Changes) != 1 || got.Changes[0].Type != "incident.status_changed" || got.Changes[0].ID <= last {
		t.Fatalf("long poll: got %v, want the change", got.Changes)
	}
	path := fmt.Sprintf("/v1/inbox/%d", got.Changes[0].ID)
	for _, c := range []struct {
		do, body string
		want     int
	}{
		{path + "/ack", "", 2}, {path + "/ack", "", 2}, {path + "/reject", `{"reason":"no"}`, 4}, {"/v1/inbox/99999/ack", "", 4},
	} {
		if status, answer := w.local(http.MethodPost, c.do, c.body); status/100 != c.want {
			t.Errorf("POST %s: got %d %s, want %dxx", c.do, status, answer, c.want)
		}
	}
}

func TestRetryAndDiscardOfDeadEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	doors := w.a.edges.localDoor()
	var ids []int64
	for _, id := range []string{"e1", "e2"} {
		row := must(w.a.st.InsertEvents(w.ctx, [][]byte{[]byte(`{"id":"` + id + `","type":"incident.created","incident":{"id":"TIG-` + id + `"}}`)}))(w)[0]
		must(w.a.st.Commit(w.ctx, store.Commit{Why: "test", Finish: &store.Finish{OutboxID: row.ID, State: store.Dead, Reason: "refused"}}))(w)
		ids = append(ids, row.ID)
	}
	w.ok(doors.Retry(w.ctx, ids[0]))
	w.ok(doors.Discard(w.ctx, ids[1], "by hand"))
	if got := must(w.a.st.Event(w.ctx, ids[0]))(w).State; got != store.Pending {
		t.Errorf("retried: got %s", got)
	}
	if e := must(w.a.st.Event(w.ctx, ids[1]))(w); e.State != store.Skipped || e.Reason != "by hand" {
		t.Errorf("discarded: got %s %q", e.State, e.Reason)
	}
	if err := doors.Retry(w.ctx, 4711); err == nil {
		t.Error("an event that is not there: got no error")
	}
}

func TestNoSecretInStatusPagesOrMetrics(t *testing.T) {
	t.Parallel()
	var told logged
	w := newWorld(t, worldOptions{
		config: func(c *Config) {
			c.TigerOpsSecret, c.ApplySecret = NewSecret("secret-of-the-door"), NewSecret("secret-of-the-push")
			c.ApplyURL = "http://user:secret-in-the-url@127.0.0.1:1/apply"
			c.AlertSource = AlertSource{ID: simulator.DefaultAlertSourceID, Token: NewSecret("secret-of-the-source")}
			c.Heartbeat = Heartbeat{ID: "h", Token: NewSecret("secret-of-the-heart"), Every: time.Minute}
		},
		agent: func(o *Options) { o.Log = told.logger() },
	})
	w.tie("TIG-1")
	w.tell("TIG-1", "incident.resolved")
	w.push()
	w.a.beat(w.ctx, w.a.cfg.Load(), &heart{})
	w.serve()
	var all strings.Builder
	for _, path := range []string{"/", "/incidents/TIG-1", "/v1/status", "/v1/incidents/TIG-1", "/metrics", "/readyz", "/v1/inbox"} {
		_, answer := w.local(http.MethodGet, path, "")
		all.WriteString(answer)
	}
	_, reasons := w.inboxStates()
	all.WriteString(told.String() + strings.Join(reasons, "\n"))
	for _, secret := range append(w.a.cfg.Load().Secrets(), "secret-in-the-url") {
		if strings.Contains(all.String(), secret) {
			t.Errorf("%q got out", secret)
		}
	}
}
