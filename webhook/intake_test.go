package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"encoding/json"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

const one = `{"id":"evt_1","type":"incident.created"}`

func TestEvents(t *testing.T) {
	t.Parallel()
	const two = `{"id":"evt_2","type":"incident.updated"}`
	for name, tc := range map[string]struct {
		body   string
		status int
		answer string // whole, or a part where it begins with …
		stored int
	}{
		"one":                    {one, 202, `{"accepted":1,"duplicates":0,"ids":["evt_1"]}`, 1},
		"array":                  {"[" + one + "," + two + "]", 202, `{"accepted":2,"duplicates":0,"ids":["evt_1","evt_2"]}`, 2},
		"NDJSON":                 {one + "\n" + two + "\n", 202, `{"accepted":2,"duplicates":0,"ids":["evt_1","evt_2"]}`, 2},
		"a repeat in one batch":  {"[" + one + "," + one + "]", 202, `{"accepted":1,"duplicates":1,"ids":["evt_1","evt_1"]}`, 1},
		"a test":                 {`{"type":"test"}`, 202, `{"accepted":0,"duplicates":0,"ids":[]}`, 0},
		"an empty object":        {` {} `, 202, `{"accepted":0,"duplicates":0,"ids":[]}`, 0},
		"tests only":             {`[{},{"type":"test"}]`, 202, `{"accepted":0,"duplicates":0,"ids":[]}`, 0},
		"a test among others":    {"[{}," + one + "]", 202, `{"accepted":1,"duplicates":0,"ids":["evt_1"]}`, 1},
		"no events":              {`[]`, 202, `{"accepted":0,"duplicates":0,"ids":[]}`, 0},
		"nothing":                {"", 400, `…"error":"the body is empty`, 0},
		"spaces":                 {" \n", 400, `…"error":"the body is empty`, 0},
		"not JSON":               {`{"id":`, 400, `…"error":"the body is not JSON`, 0},
		"compressed":             {string(zipped(t, []byte(one))), 400, `…compressed bodies are not taken`, 0},
		"not UTF-8":              {"{\"id\":\"\xff\",\"type\":\"x\"}", 400, `…not UTF-8`, 0},
		"no id":                  {`{"type":"x"}`, 422, `{"error":"1 of 1 events can't be taken, so nothing was stored","errors":[{"index":0,"field":"id","message":"is needed"}]}`, 0},
		"one of three is faulty": {"[" + one + ",{},{\"id\":1}," + two + "]", 422, `…"errors":[{"index":2,`, 0},
		"over 1 MiB":             {`{"id":"` + strings.Repeat("x", 1<<20) + `"}`, 413, `…"error":"the body is over 1 MiB"`, 0},
		"many faults":            {"[" + strings.Repeat(`1,`, 5000) + "1]", 422, `…5001 of 5001 events`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			w := here.with("Content-Type", "text/plain").send(f.local().Handler(), http.MethodPost, "/v1/events", tc.body)
			got := strings.TrimSpace(w.Body.String())
			part, isPart := strings.CutPrefix(tc.answer, "…")
			if w.Code != tc.status || !isPart && got != tc.answer || !strings.Contains(got, part) {
				t.Errorf("got %d %.300s, want %d %s", w.Code, got, tc.status, tc.answer)
			}
			if len(got) > 16<<10 {
				t.Errorf("the answer has %d bytes", len(got))
			}
			if f.stored() != tc.stored {
				t.Errorf("%d stored, want %d", f.stored(), tc.stored)
			}
		})
	}
}

func TestEventsTwiceAreOne(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := f.local().Handler()
	for i, want := range []string{`{"accepted":1,"duplicates":0,"ids":["evt_1"]}`, `{"accepted":0,"duplicates":1,"ids":["evt_1"]}`} {
		if w := here.send(h, http.MethodPost, "/v1/events", one); w.Code != 202 || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("time %d: got %d %s", i+1, w.Code, w.Body)
		}
	}
}

func TestEventsThatTheStorageRefuses(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := f.local().Handler()
	f.storing = fmt.Errorf("insert: %w", &webhook.Error{Status: 422, Message: "the database refuses it", Errors: []webhook.FieldError{{Index: 1, Field: "incident.id", Message: "outbox_needs_incident"}}})
	w := here.send(h, http.MethodPost, "/v1/events", "[{},"+one+",{},"+one+"]")
	if want := `"index":3,"field":"incident.id"`; w.Code != 422 || !strings.Contains(w.Body.String(), want) {
		t.Errorf("got %d %s, want the index in the request", w.Code, w.Body)
	}
	f.storing = errors.New("disk full on /dev/sda1")
	w = here.send(h, http.MethodPost, "/v1/events", one)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "sda1") {
		t.Errorf("got %d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	if !slices.ContainsFunc(f.log.all(), func(line string) bool { return strings.Contains(line, "sda1") }) {
		t.Errorf("the cause is not in the log: %q", f.log.all())
	}
	if f.notes.count("503 unavailable") != 1 {
		t.Errorf("observed %q", f.notes.all())
	}
}

func TestEventsSignedInEachForm(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.secret = "s3cret"
	h := f.local().Handler()
	inHex := webhook.Sign(f.secret, []byte(one))
	for _, header := range []string{inHex, strings.TrimPrefix(inHex, "sha256=")} {
		if w := here.with(webhook.SignatureHeader, header).send(h, http.MethodPost, "/v1/events", one); w.Code != 202 {
			t.Errorf("%s: got %d", header, w.Code)
		}
		if w := here.with(webhook.SignatureHeader, header).send(h, http.MethodPost, "/v1/events", one+" "); w.Code != 401 {
			t.Errorf("%s over other bytes: got %d", header, w.Code)
		}
	}
}

func FuzzEvents(f *testing.F) {
	for _, seed := range []string{one, "[" + one + "]", one + "\n" + one, "{}", "[]", "", "null", "[1,{}]", `{"id":"é"}`, "{\"id\":\"\xff\"}", "\ufeff{}", `{"type":"test"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fake := newFake()
		w := here.send(fake.local().Handler(), http.MethodPost, "/v1/events", string(body))
		var answer struct {
			Error      string   `json:"error"`
			Accepted   int      `json:"accepted"`
			Duplicates int      `json:"duplicates"`
			IDs        []string `json:"ids"`
			Errors     []webhook.FieldError
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("the answer is not JSON: %q", w.Body)
		}
		switch w.Code {
		case 202:
			if answer.Accepted+answer.Duplicates != len(answer.IDs) || answer.Accepted != fake.stored() {
				t.Errorf("stored %d, answered %s", fake.stored(), w.Body)
			}
		case 400, 413, 422:
			if fake.stored() != 0 || answer.Error == "" || (w.Code == 422) != (len(answer.Errors) > 0) {
				t.Errorf("stored %d, answered %d %s", fake.stored(), w.Code, w.Body)
			}
		default:
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	})
}

func BenchmarkEvents(b *testing.B) {
	f := newFake()
	f.secret = "s3cret"
	h := f.local().Handler()
	body := `{"id":"evt_1","type":"incident.created","pad":"` + strings.Repeat("x", 4<<10) + `"}`
	signed := here.with(webhook.SignatureHeader, webhook.Sign(f.secret, []byte(body)))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if w := signed.send(h, http.MethodPost, "/v1/events", body); w.Code != 202 {
			b.Fatal(w.Code)
		}
	}
}
