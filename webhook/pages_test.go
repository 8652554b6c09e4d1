package webhook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

// browser is somebody who looks at the page on this machine.
var browser = here.with("Accept", "text/html,application/xhtml+xml,*/*;q=0.8").with("Sec-Fetch-Site", "same-origin")

func (f *fake) withPage() *fake {
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	f.page = webhook.Page{
		Version: "1.2.3", Org: "acme", Now: now,
		NotReady: []string{"incident.io refuses the key"},
		Warnings: []webhook.PageWarning{{Text: "no option API Gateway", Mend: "run setup"}},
		Contacts: []webhook.PageContact{{Name: "webhook from incident.io", At: now.Add(-3 * time.Minute)}, {Name: "change taken by TigerOps"}},
		Queue:    webhook.PageQueue{Waiting: 2, Dead: 1, Oldest: now.Add(-time.Hour)},
		Hours:    []webhook.PageHour{{Start: now.Add(-time.Hour), Delivered: 3, Failed: 1, Changes: 2}, {Start: now}},
		Incidents: []webhook.PageIncident{{
			TigerOpsID: "TIG/1 ?", Title: "<script>alert(1)</script>", TigerOpsURL: "javascript:alert(1)", TigerOpsStatus: "open",
			Reference: "INC-7", Permalink: "https://app.incident.io/acme/incidents/7", IncidentIOStatus: "Monitoring", UpdatedAt: now.Add(-time.Minute),
		}},
		Dead:    []webhook.PageEvent{{ID: 12, EventID: "evt_12", Type: "incident.updated", Incident: "TIG/1 ?", Reason: "422 severity_id: no such severity", Attempts: 3, CreatedAt: now.Add(-time.Hour)}},
		Waiting: []webhook.PageEvent{{ID: 13, EventID: "evt_13", Type: "incident.resolved", Incident: "TIG/1 ?", CreatedAt: now, NextAttempt: now.Add(90 * time.Second)}, {ID: 14, Type: "incident.updated", NextAttempt: now.Add(-90 * time.Second)}},
	}
	return f
}

func TestPageShowsBothSides(t *testing.T) {
	t.Parallel()
	w := browser.send(newFake().withPage().local().Handler(), http.MethodGet, "/", "")
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("got %d %s", w.Code, w.Header().Get("Content-Type"))
	}
	page := w.Body.String()
	for _, want := range []string{
		"1 dead event", "incident.io refuses the key", "no option API Gateway", "run setup", "3 min ago", ">never<", "1.2.3",
		"INC-7", `href="https://app.incident.io/acme/incidents/7"`, "Monitoring", `href="/incidents/TIG%2F1%20%3F"`,
		"422 severity_id: no such severity", `action="/outbox/12/retry"`, `action="/outbox/12/discard"`,
		"in 90 s", `data-label="Next">now<`, "3 delivered, 1 failed attempt", "2 changes", "&lt;script&gt;alert(1)&lt;/script&gt;",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "javascript:alert") {
		t.Error("strangers' text is run")
	}
}

// Whatever the pages hold must be allowed by their own policy, which allows nothing that stands in the page itself.
func TestPagesKeepToTheirPolicy(t *testing.T) {
	t.Parallel()
	h := newFake().withPage().local().Handler()
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(?:>| [^>]*>[^<])`)
	assets := regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`)
	seen := map[string]bool{}
	for _, path := range []string{"/", "/incidents/TIG-1", "/incidents/gone"} {
		w := browser.send(h, http.MethodGet, path, "")
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || w.Header().Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: policy %q", path, policy)
		}
		if found := inline.FindString(w.Body.String()); found != "" {
			t.Errorf("%s: holds %q, which its policy forbids", path, found)
		}
		for _, m := range assets.FindAllStringSubmatch(w.Body.String(), -1) {
			seen[m[1]] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("the pages name %v", seen)
	}
	for path := range seen {
		w := browser.send(h, http.MethodGet, path, "")
		if w.Code != 200 || w.Body.Len() == 0 || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d", path, w.Code)
		}
		if w := browser.with("If-None-Match", w.Header().Get("ETag")).send(h, http.MethodGet, path, ""); w.Code != http.StatusNotModified {
			t.Errorf("%s again: got %d, want 304", path, w.Code)
		}
	}
}

func TestButtonsOfThePage(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := f.local().Handler()
	post := func(from from, path string, form url.Values) *httptest.ResponseRecorder {
		return from.with("Content-Type", "application/x-www-form-urlencoded").send(h, http.MethodPost, path, form.Encode())
	}
	for _, step := range []struct {
		path string
		form url.Values
		back string
	}{
		{"/outbox/12/retry", nil, "/?done=retry&event=12"},
		{"/outbox/12/retry", url.Values{"from": {"TIG/1 ?"}}, "/incidents/TIG%2F1%20%3F?done=retry&event=12"},
		{"/outbox/12/retry", url.Values{"from": {"//evil.example"}}, "/incidents/%2F%2Fevil.example?done=retry&event=12"},
		{"/outbox/13/discard", url.Values{"reason": {" was a test "}}, "/?done=discard&event=13"},
		{"/outbox/14/discard", nil, "/?done=discard&event=14"},
	} {
		w := post(browser, step.path, step.form)
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != step.back {
			t.Errorf("%s %v: got %d to %q, want %q", step.path, step.form, w.Code, w.Header().Get("Location"), step.back)
		}
	}
	want := []string{"retry 12", "retry 12", "retry 12", "discard 13 was a test", "discard 14 discarded on the status page"}
	if got := f.acts(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("did %q, want %q", got, want)
	}
	for path, status := range map[string]int{"/outbox/404/retry": 404, "/outbox/409/discard": 409, "/outbox/x/retry": 400} {
		if w := post(browser, path, nil); w.Code != status || !strings.Contains(w.Body.String(), "Back to the overview") {
			t.Errorf("%s: got %d, want %d as a page", path, w.Code, status)
		}
	}
	for name, evil := range map[string]from{
		"another site's form":   here.with("Sec-Fetch-Site", "cross-site"),
		"an old browser's":      here.with("Origin", "http://evil.example"),
		"a rebound name's page": {remote: here.remote, local: here.local, host: "evil.example:8485", header: http.Header{"Origin": {"http://evil.example:8485"}}},
	} {
		if w := post(evil, "/outbox/12/retry", nil); w.Code != http.StatusForbidden {
			t.Errorf("%s: got %d, want 403", name, w.Code)
		}
	}
	if w := browser.send(h, http.MethodGet, "/outbox/12/retry", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a link: got %d, want 405", w.Code)
	}
	if got := f.acts(); len(got) != len(want) {
		t.Errorf("a refused post acted: %q", got)
	}
}

func TestPageTellsWhatAButtonDid(t *testing.T) {
	t.Parallel()
	h := newFake().withPage().local().Handler()
	for query, want := range map[string]string{
		"?done=retry&event=12":         "Event 12 is due again.",
		"?done=discard&event=12":       "Event 12 is discarded.",
		"?done=call+0800&event=12":     "",
		"?done=retry&event=call+0800":  "",
		"?done=retry&event=<b>12</b>x": "",
	} {
		page := browser.send(h, http.MethodGet, "/"+query, "").Body.String()
		if told := strings.Contains(page, `<p class="notice good"`); told != (want != "") || !strings.Contains(page, want) || strings.Contains(page, "0800") {
			t.Errorf("%s: told %v, want %q", query, told, want)
		}
	}
}

func TestStoryPage(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := f.local().Handler()
	if w := browser.send(h, http.MethodGet, "/incidents/TIG%2F1", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "<h1>TIG/1</h1>") {
		t.Errorf("got %d", w.Code)
	}
	w := browser.send(h, http.MethodGet, "/incidents/gone", "")
	if w.Code != 404 || !strings.Contains(w.Body.String(), "no incident gone is known here") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := here.send(h, http.MethodGet, "/incidents/gone", ""); !strings.HasPrefix(w.Body.String(), `{"error":`) {
		t.Errorf("a program is told %s", w.Body)
	}
}
