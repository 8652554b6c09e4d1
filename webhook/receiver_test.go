package webhook_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

var event = []byte(`{"event_type":"public_incident.incident_updated_v2","public_incident.incident_updated_v2":{"id":"01FDAG"}}`)

// receiver gives a port that stores into s and notes what it observes as "outcome reason".
func receiver(s *stored, notes *book, secrets ...string) http.Handler {
	r := &webhook.Receiver{
		Secrets: func() []string { return secrets },
		Accept:  s.accept,
		Observe: func(outcome, reason string) { notes.add(outcome + " " + reason) },
	}
	return r.Handler()
}

func TestReceiver(t *testing.T) {
	t.Parallel()
	packed, bomb := zipped(t, event), zipped(t, bytes.Repeat([]byte(`{"a":1}`), 1<<18))
	now := time.Now()
	h := func(secret, family string, at time.Time) http.Header {
		return signed(t, secret, family, "msg_1", at, event)
	}
	with := func(h http.Header, change func(http.Header)) http.Header {
		h = h.Clone()
		change(h)
		return h
	}
	gzipped := func(h http.Header) { h.Set("Content-Encoding", "gzip") }
	const unsigned = "{\"error\":\"the signature is missing, wrong or out of date\"}\n"
	for name, tc := range map[string]struct {
		header http.Header
		body   []byte
		status int
		note   string
	}{
		"first secret":         {h(secretA, "webhook-", now), event, 204, "stored secret_0"},
		"second secret":        {h(secretB, "webhook-", now), event, 204, "stored secret_1"},
		"svix names":           {h(secretA, "svix-", now), event, 204, "stored secret_0"},
		"old, but not too old": {h(secretA, "webhook-", now.Add(-4*time.Minute)), event, 204, "stored secret_0"},
		"new, but not too new": {h(secretA, "webhook-", now.Add(4*time.Minute)), event, 204, "stored secret_0"},
		"several signatures":   {with(h(secretB, "webhook-", now), func(h http.Header) { h.Set("webhook-signature", "v1a,xx v1,AAAA "+h.Get("webhook-signature")) }), event, 204, "stored secret_1"},
		"a signature a line":   {with(h(secretB, "webhook-", now), func(h http.Header) { h["Webhook-Signature"] = []string{"v1,AAAA", h.Get("webhook-signature")} }), event, 204, "stored secret_1"},
		"one family is wrong": {with(h(secretA, "svix-", now), func(h http.Header) {
			h.Set("webhook-id", "x")
			h.Set("webhook-timestamp", "y")
			h.Set("webhook-signature", "z")
		}), event, 204, "stored secret_0"},
		"unsigned":            {http.Header{}, event, 401, "refused missing_headers"},
		"no id":               {with(h(secretA, "webhook-", now), func(h http.Header) { h.Del("webhook-id") }), event, 401, "refused missing_headers"},
		"a changed id":        {with(h(secretA, "webhook-", now), func(h http.Header) { h.Set("webhook-id", "msg_2") }), event, 401, "refused wrong_signature"},
		"a changed byte":      {h(secretA, "webhook-", now), bytes.Replace(event, []byte("01F"), []byte("01G"), 1), 401, "refused wrong_signature"},
		"a changed time":      {with(h(secretA, "webhook-", now), func(h http.Header) { h.Set("webhook-timestamp", strconv.FormatInt(now.Unix()+1, 10)) }), event, 401, "refused wrong_signature"},
		"an unknown secret":   {h("whsec_AAAA", "webhook-", now), event, 401, "refused wrong_signature"},
		"stale":               {h(secretA, "webhook-", now.Add(-6*time.Minute)), event, 401, "refused too_old"},
		"from the future":     {h(secretA, "webhook-", now.Add(6*time.Minute)), event, 401, "refused too_new"},
		"no time at all":      {with(h(secretA, "webhook-", now), func(h http.Header) { h.Set("webhook-timestamp", "yesterday") }), event, 401, "refused invalid_headers"},
		"compressed, signed":  {with(signed(t, secretA, "webhook-", "msg_1", now, packed), gzipped), packed, 400, "refused not_json"},
		"compressed, wrong":   {with(h(secretA, "webhook-", now), gzipped), packed, 401, "refused wrong_signature"},
		"a bomb":              {with(signed(t, secretA, "webhook-", "msg_1", now, bomb), gzipped), bomb, 400, "refused not_json"},
		"signed but not JSON": {signed(t, secretA, "webhook-", "msg_1", now, []byte("{oops")), []byte("{oops"), 400, "refused not_json"},
		"signed and empty":    {signed(t, secretA, "webhook-", "msg_1", now, nil), nil, 400, "refused not_json"},
		"an unknown type":     {signed(t, secretA, "webhook-", "msg_1", now, []byte(`{"event_type":"x"}`)), []byte(`{"event_type":"x"}`), 204, "stored secret_0"},
		"a name twice":        {signed(t, secretA, "webhook-", "msg_1", now, []byte(`{"a":1,"a":2}`)), []byte(`{"a":1,"a":2}`), 204, "stored secret_0"},
		"not UTF-8":           {signed(t, secretA, "webhook-", "msg_1", now, []byte("{\"a\":\"\xff\"}")), []byte("{\"a\":\"\xff\"}"), 204, "stored secret_0"},
		"too deep":            {signed(t, secretA, "webhook-", "msg_1", now, deep(10_001)), deep(10_001), 400, "refused not_json"},
		"exactly 1 MiB":       {signed(t, secretA, "webhook-", "msg_1", now, mebibyte(0)), mebibyte(0), 204, "stored secret_0"},
		"a byte over 1 MiB":   {signed(t, secretA, "webhook-", "msg_1", now, mebibyte(1)), mebibyte(1), 413, "refused too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, notes := &stored{}, newBook()
			w := deliver(receiver(s, notes, secretA, secretB), http.MethodPost, webhook.WebhookPath, tc.header, bytes.NewReader(tc.body))
			if w.Code != tc.status {
				t.Fatalf("got %d %s, want %d", w.Code, w.Body, tc.status)
			}
			if got := notes.all(); len(got) != 1 || got[0] != tc.note {
				t.Errorf("observed %q, want %q once", got, tc.note)
			}
			switch tc.status {
			case 204:
				if got := s.body("msg_1"); !bytes.Equal(got, tc.body) {
					t.Errorf("stored %.80q, want the bytes as they came", got)
				}
				if w.Body.Len() > 0 {
					t.Errorf("got a body with 204: %s", w.Body)
				}
				return
			case 401:
				if got := w.Body.String(); got != unsigned {
					t.Errorf("got body %q, want the same for each fault", got)
				}
			}
			wantError(t, w.Body.String())
			if s.len() != 0 {
				t.Error("something was stored")
			}
		})
	}
}

// mebibyte is a JSON string of 1 MiB and some bytes.
func mebibyte(more int) []byte {
	return []byte(`"` + strings.Repeat("x", 1<<20-2+more) + `"`)
}

// deep is a JSON list in a list in a list.
func deep(levels int) []byte {
	return []byte(strings.Repeat("[", levels) + strings.Repeat("]", levels))
}

// zipped is a body as a client compresses it.
func zipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReceiverRefusesAllWithoutAUsableSecret(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{nil, {""}, {"whsec_"}, {"not base64!"}} {
		notes := newBook()
		// The library alone would take a signature by the empty key.
		header := signed(t, secretA, "webhook-", "msg_1", time.Now(), event)
		w := deliver(receiver(&stored{}, notes, secrets...), http.MethodPost, webhook.WebhookPath, header, bytes.NewReader(event))
		if w.Code != http.StatusUnauthorized || notes.count("refused no_secret") != 1 {
			t.Errorf("secrets %q: got %d, observed %q", secrets, w.Code, notes.all())
		}
	}
}

func TestReceiverAnswersARepeatAlike(t *testing.T) {
	t.Parallel()
	s, notes := &stored{}, newBook()
	h := receiver(s, notes, secretA)
	for range 3 {
		header := signed(t, secretA, "webhook-", "msg_1", time.Now(), event)
		if w := deliver(h, http.MethodPost, webhook.WebhookPath, header, bytes.NewReader(event)); w.Code != http.StatusNoContent {
			t.Fatalf("got %d", w.Code)
		}
	}
	if notes.count("stored secret_0") != 1 || notes.count("duplicate secret_0") != 2 {
		t.Errorf("observed %q", notes.all())
	}
}

func TestReceiverOtherPathsAndMethods(t *testing.T) {
	t.Parallel()
	h := receiver(&stored{}, newBook(), secretA)
	for _, path := range []string{"/", "/webhooks", "/webhooks/incident-io/", "/WEBHOOKS/incident-io", "//webhooks/incident-io", "/metrics", "/v1/events", "/healthz", "/webhooks/incident-io/../../v1/status"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			w := deliver(h, method, path, nil, nil)
			if w.Code != http.StatusNotFound {
				t.Errorf("%s %s: got %d, want 404", method, path, w.Code)
			}
			wantError(t, w.Body.String())
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions, http.MethodDelete, "PROPFIND"} {
		w := deliver(h, method, webhook.WebhookPath, nil, nil)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
			t.Errorf("%s: got %d, Allow %q, want 405 and POST", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestReceiverAsksToComeAgainWhenItCantStore(t *testing.T) {
	t.Parallel()
	logged := newBook()
	r := &webhook.Receiver{
		Secrets: func() []string { return []string{secretA} },
		Accept: func(context.Context, string, []byte) (bool, error) {
			return false, errors.New("disk full on /dev/sda1")
		},
		Log: logged.logger(),
	}
	w := deliver(r.Handler(), http.MethodPost, webhook.WebhookPath, signed(t, secretA, "webhook-", "msg_1", time.Now(), event), bytes.NewReader(event))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	wantError(t, w.Body.String())
	if strings.Contains(w.Body.String(), "sda1") {
		t.Errorf("the cause reached the client: %s", w.Body)
	}
	if all := strings.Join(logged.all(), "\n"); !strings.Contains(all, "sda1") {
		t.Errorf("the cause did not reach the log: %s", all)
	}
}

func TestReceiverStoresForASenderThatWentAway(t *testing.T) {
	t.Parallel()
	var seen error = errors.New("not called")
	r := &webhook.Receiver{
		Secrets: func() []string { return []string{secretA} },
		Accept: func(ctx context.Context, _ string, _ []byte) (bool, error) {
			seen = ctx.Err()
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the wait for storage has no end")
			}
			return false, nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, webhook.WebhookPath, bytes.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = signed(t, secretA, "webhook-", "msg_1", time.Now(), event)
	r.Handler().ServeHTTP(discard{}, req)
	if seen != nil {
		t.Errorf("storage was told %v", seen)
	}
}

// discard is an answer that nobody reads.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func TestReceiverLogsEachReasonAtMostEveryHalfMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logged := &book{} // without its channel: a bubble can't use one from outside
		r := &webhook.Receiver{Secrets: func() []string { return []string{secretA} }, Accept: (&stored{}).accept, Log: logged.logger()}
		h := r.Handler()
		refuse := func(n int, header http.Header) {
			for range n {
				deliver(h, http.MethodPost, webhook.WebhookPath, header, bytes.NewReader(event))
			}
		}
		stale := signed(t, secretA, "webhook-", "msg_1", time.Now().Add(-time.Hour), event)
		lines := func() (n int, last string) {
			synctest.Wait()
			all := logged.all()
			return len(all), all[len(all)-1]
		}
		refuse(1000, nil)
		if n, last := lines(); n != 1 || !strings.Contains(last, "reason=missing_headers") || !strings.Contains(last, "count=1 ") {
			t.Fatalf("after the first thousand: %d lines, last %s", n, last)
		}
		refuse(5, stale)
		if n, last := lines(); n != 2 || !strings.Contains(last, "reason=too_old") {
			t.Fatalf("another reason waits for the first: %d lines, last %s", n, last)
		}
		<-time.After(31 * time.Second) // by the bubble's own clock
		if n, _ := lines(); n != 4 {
			t.Fatalf("after half a minute: %d lines, want a count for each reason", n)
		}
		if all := strings.Join(logged.all(), "\n"); !strings.Contains(all, "count=999 ") || !strings.Contains(all, "count=4 ") {
			t.Errorf("the counts are missing: %s", all)
		}
		<-time.After(10 * time.Minute)
		if n, _ := lines(); n != 4 {
			t.Errorf("silence was logged: %d lines", n)
		}
		refuse(2, nil)
		if n, last := lines(); n != 5 || !strings.Contains(last, "count=1 ") {
			t.Errorf("after a silence: %d lines, last %s", n, last)
		}
	})
}

func TestReceiverStopsReadingAtTheBound(t *testing.T) {
	t.Parallel()
	endless := &counting{}
	header := signed(t, secretA, "webhook-", "msg_1", time.Now(), event)
	notes := newBook()
	w := deliver(receiver(&stored{}, notes, secretA), http.MethodPost, webhook.WebhookPath, header, endless)
	if w.Code != http.StatusRequestEntityTooLarge || endless.n > 2<<20 {
		t.Errorf("got %d after %d bytes", w.Code, endless.n)
	}
	unread := &counting{}
	if w := deliver(receiver(&stored{}, notes, secretA), http.MethodPost, webhook.WebhookPath, nil, unread); w.Code != http.StatusUnauthorized || unread.n > 0 {
		t.Errorf("got %d after %d bytes without a header", w.Code, unread.n)
	}
}

// counting is a body without end.
type counting struct{ n int }

func (c *counting) Read(p []byte) (int, error) {
	c.n += len(p)
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// The secrets are asked for with each request, and what was made ready of others no longer counts.
func TestReceiverGoesByTheSecretsInForce(t *testing.T) {
	t.Parallel()
	secrets := []string{secretA}
	h := (&webhook.Receiver{Secrets: func() []string { return secrets }, Accept: (&stored{}).accept}).Handler()
	n := 0
	takes := func(step string, wantA, wantB int) {
		t.Helper()
		for secret, want := range map[string]int{secretA: wantA, secretB: wantB} {
			n++
			headers := signed(t, secret, "webhook-", fmt.Sprint("msg_", n), time.Now(), event)
			if w := deliver(h, http.MethodPost, webhook.WebhookPath, headers, bytes.NewReader(event)); w.Code != want {
				t.Errorf("%s: got %d, want %d", step, w.Code, want)
			}
		}
	}
	takes("the first alone", 204, 401)
	secrets[0] = secretB
	takes("another in its place", 401, 204)
	secrets = []string{"no secret!", secretA}
	takes("one that is none, and the first again", 204, 401)
	secrets = []string{secretA, secretB}
	takes("both", 204, 204)
	secrets = nil
	takes("none", 401, 401)
}
