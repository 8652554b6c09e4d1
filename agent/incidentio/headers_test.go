package incidentio_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

// answering is a client whose every request is answered so, without a network and thus fit for a synctest bubble.
func answering(t testing.TB, status int, header http.Header, body string) *incidentio.Client {
	t.Helper()
	c, err := incidentio.New(incidentio.Options{Key: func() string { return key }, HTTP: &http.Client{
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1, Request: r}, nil
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) time.Time { // in a bubble the clock starts there
		return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d)
	}
	httpDate := func(d time.Duration) string { return at(d).Format(http.TimeFormat) }
	stamp := func(d time.Duration) string { return at(d).Format(time.RFC3339Nano) }
	for _, test := range []struct {
		name    string
		headers []string
		body    string // rate_limit.retry_after
		want    time.Duration
	}{
		{"nothing", nil, "", 0},
		{"seconds", []string{"12"}, "", 12 * time.Second},
		{"seconds with spaces", []string{" 12 "}, "", 12 * time.Second},
		{"parts of a second", []string{"0.5"}, "", 500 * time.Millisecond},
		{"an HTTP date", []string{httpDate(90 * time.Second)}, "", 90 * time.Second},
		{"an HTTP date of the old kind", []string{at(time.Minute).Format(time.ANSIC)}, "", time.Minute},
		{"an RFC 3339 time", []string{stamp(1500 * time.Millisecond)}, "", 1500 * time.Millisecond},
		{"an RFC 3339 time elsewhere", []string{at(time.Minute).In(time.FixedZone("", 3600)).Format(time.RFC3339)}, "", time.Minute},
		{"the body alone", nil, stamp(30 * time.Second), 30 * time.Second},
		{"the header is later", []string{"40"}, stamp(30 * time.Second), 40 * time.Second},
		{"the body is later", []string{"1"}, stamp(30 * time.Second), 30 * time.Second},
		{"several headers", []string{"1", httpDate(20 * time.Second), "5"}, "", 20 * time.Second},
		{"in the past", []string{httpDate(-time.Hour)}, stamp(-time.Second), 0},
		{"negative", []string{"-3"}, "", 0},
		{"too long", []string{"86400"}, "", time.Hour},
		{"too long as a date", []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, "", time.Hour},
		{"absurd", []string{"1e300"}, "", time.Hour},
		{"infinite", []string{"Inf"}, "", time.Hour},
		{"no number", []string{"NaN"}, "", 0},
		{"nonsense", []string{"soon"}, "later", 0},
		{"empty", []string{""}, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				body, err := json.Marshal(map[string]any{"rate_limit": map[string]any{"retry_after": test.body}})
				if err != nil {
					t.Fatal(err)
				}
				r := answering(t, 429, http.Header{"Retry-After": test.headers}, string(body)).Send(context.Background(), edit)
				if r.Class != incidentio.Throttled || r.After != test.want {
					t.Errorf("%v, after %v, want %v", r.Class, r.After, test.want)
				}
			})
		})
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	reset := time.Unix(1785173199, 0).UTC()
	minute := incidentio.Quota{Limit: 60, Window: time.Minute}
	for _, test := range []struct {
		name, limit, remaining, reset string
		want                          incidentio.Rate
	}{
		{"none", "", "", "", incidentio.Rate{}},
		{"the documented form", "60, 1200;window=60, 60;window=60", "59", "1785173199", incidentio.Rate{Known: true, Limit: 60, Remaining: 59,
			Window: time.Minute, Reset: reset, Limits: []incidentio.Quota{{Limit: 1200, Window: time.Minute}, minute}}},
		{"one limit", "1200, 1200;window=60", "0", "1785173199", incidentio.Rate{Known: true, Limit: 1200,
			Window: time.Minute, Reset: reset, Limits: []incidentio.Quota{{Limit: 1200, Window: time.Minute}}}},
		{"two of a number", "60, 60;window=60, 60;window=3600", "1", "", incidentio.Rate{Known: true, Limit: 60, Remaining: 1,
			Window: time.Hour, Limits: []incidentio.Quota{minute, {Limit: 60, Window: time.Hour}}}},
		{"without windows", "60", "5", "", incidentio.Rate{Known: true, Limit: 60, Remaining: 5}},
		{"the window at the first", "60;window=60", "5", "", incidentio.Rate{Known: true, Limit: 60, Remaining: 5, Window: time.Minute}},
		{"more parameters", "60,60; comment=\"x\" ;window=60", "5", "x", incidentio.Rate{Known: true, Limit: 60, Remaining: 5,
			Window: time.Minute, Limits: []incidentio.Quota{minute}}},
		{"nonsense among them", "60, many, 60;window=soon, ;, 60;window=-60", "5", "-1", incidentio.Rate{Known: true, Limit: 60, Remaining: 5,
			Limits: []incidentio.Quota{{Limit: 60}, {Limit: 60}}}},
		{"without what is left", "60, 60;window=60", "", "", incidentio.Rate{}},
		{"negative", "-60", "-5", "", incidentio.Rate{}},
		{"nonsense", "plenty", "5", "", incidentio.Rate{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			for name, value := range map[string]string{"Limit": test.limit, "Remaining": test.remaining, "Reset": test.reset} {
				if value != "" {
					h.Set("X-RateLimit-"+name, value)
				}
			}
			r := answering(t, 200, h, `{}`).Send(context.Background(), edit)
			if !r.OK() || !reflect.DeepEqual(r.Rate, test.want) {
				t.Errorf("got %+v\nwant %+v (%v)", r.Rate, test.want, r)
			}
		})
	}
}

// FuzzAnswer holds for whatever a stranger answers: one of the classes, bounds, and words fit for a line.
func FuzzAnswer(f *testing.F) {
	f.Add(422, "3", "60, 60;window=60", "1", `{"request_id":"r","errors":[{"code":"c","message":"m","source":{"field":"f"}}]}`)
	f.Add(429, "Fri, 31 Dec 1999 23:59:59 GMT", "", "", `{"rate_limit":{"retry_after":"2000-01-01T00:00:01Z"}}`)
	f.Add(200, "", "x", "y", `{"incident":{"id":"1","creator":{"user":{}},"created_at":"2026-01-01T00:00:00Z"}}`)
	f.Add(200, "", "", "", `{"incidents":[{"id":"1"}],"pagination_meta":{"after":"1"}}`)
	f.Add(302, "", "", "", "\x00\xff\u202e")
	f.Fuzz(func(t *testing.T, status int, after, limit, remaining, body string) {
		h := http.Header{"Retry-After": {after}, "X-Ratelimit-Limit": {limit}, "X-Ratelimit-Remaining": {remaining},
			"Location": {body}, "X-Request-Id": {after}, "Content-Type": {limit}}
		c := answering(t, status, h, body)
		r := c.Send(context.Background(), edit)
		if r.Class < incidentio.Done || r.Class > incidentio.Refused || r.After < 0 || r.After > time.Hour || r.Rate.Limit < 0 {
			t.Errorf("class %d, after %v, rate %+v", r.Class, r.After, r.Rate)
		}
		if r.OK() != (status >= 200 && status <= 299) && r.Class != incidentio.Retry {
			t.Errorf("%d is %v", status, r.Class)
		}
		for _, s := range []string{r.Message, r.Code, r.Field, r.RequestID, r.Error()} {
			if len(s) > 1000 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
				t.Errorf("not fit for a line: %q", s)
			}
		}
		if i, r := c.Incident(context.Background(), body); r.OK() != (i.ID != "" || r.Class == incidentio.Done) {
			t.Errorf("%+v, %v", i, r)
		}
		if list, r := c.Incidents(context.Background(), incidentio.ListFilter{Max: 3}); !r.OK() && list != nil || len(list) > 3 {
			t.Errorf("%+v, %v", list, r)
		}
		if id, err := incidentio.DecodeID([]byte(body)); (err == nil) != (id != "") {
			t.Errorf("%q, %v", id, err)
		}
		if i, err := incidentio.DecodeIncident([]byte(body)); (err == nil) != (i.ID != "") {
			t.Errorf("%+v, %v", i, err)
		}
	})
}
