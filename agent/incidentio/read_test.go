package incidentio_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

// incidents is a server with n incidents, ids 1 to n. Each may be blown up to size bytes.
type incidents struct {
	n, size int
	asked   []url.Values
	breakAt int // the request that fails, counted from 1
	endless bool
}

func (s *incidents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.asked = append(s.asked, q)
	if len(s.asked) == s.breakAt {
		w.WriteHeader(503)
		return
	}
	after, _ := strconv.Atoi(q.Get("after"))
	size, _ := strconv.Atoi(q.Get("page_size"))
	end := min(after+size, s.n)
	items := []string{}
	for id := after + 1; id <= end; id++ {
		items = append(items, fmt.Sprintf(`{"id":"%d","summary":"%s"}`, id, strings.Repeat("x", s.size)))
	}
	next := ""
	if end < s.n {
		next = strconv.Itoa(end)
	}
	if s.endless {
		next = "1"
	}
	fmt.Fprintf(w, `{"incidents":[%s],"pagination_meta":{"after":"%s","page_size":%d}}`, strings.Join(items, ","), next, size)
}

func TestPages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		server    incidents
		max       int
		want      int // incidents
		requests  int
		truncated bool
		class     incidentio.Class
	}{
		{"none", incidents{}, 0, 0, 1, false, incidentio.Done},
		{"one page", incidents{n: 250}, 0, 250, 1, false, incidentio.Done},
		{"several pages", incidents{n: 751}, 0, 751, 4, false, incidentio.Done},
		{"only so many", incidents{n: 751}, 3, 3, 1, true, incidentio.Done},
		{"only so many, on the second page", incidents{n: 751}, 300, 300, 2, true, incidentio.Done},
		{"all there are", incidents{n: 3}, 3, 3, 1, false, incidentio.Done},
		{"fewer than wanted", incidents{n: 3}, 1000, 3, 1, false, incidentio.Done},
		{"too many for us", incidents{n: 60_000}, 0, 50_000, 200, true, incidentio.Done},
		{"a later page fails", incidents{n: 751, breakAt: 3}, 0, 0, 3, false, incidentio.Retry},
		{"a cursor that stands still", incidents{n: 1000, endless: true}, 0, 500, 2, true, incidentio.Done},
		// 250 of 40 KiB are 10 MiB: 50 at a time fit.
		{"a page too large to be read", incidents{n: 120, size: 80 << 10}, 0, 120, 4, false, incidentio.Done},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, test.server.ServeHTTP)
			got, r := c.Incidents(within(t), incidentio.ListFilter{Max: test.max})
			if len(got) != test.want || r.Class != test.class || r.Requests != test.requests || r.Truncated != test.truncated {
				t.Errorf("got %d incidents, %v, %d requests, truncated %v: %v", len(got), r.Class, r.Requests, r.Truncated, r)
			}
			for i, in := range got {
				if in.ID != strconv.Itoa(i+1) && !test.server.endless {
					t.Fatalf("incident %d has id %s", i, in.ID)
				}
			}
		})
	}
	t.Run("an incident that is too large by itself", func(t *testing.T) {
		t.Parallel()
		s := incidents{n: 1, size: 9 << 20}
		got, r := serve(t, s.ServeHTTP).Incidents(within(t), incidentio.ListFilter{})
		if got != nil || r.Class != incidentio.InDoubt || r.Code != "too_large" || r.Requests != 3 {
			t.Errorf("got %d, %v, %d requests", len(got), r, r.Requests)
		}
	})
}

func TestFilter(t *testing.T) {
	t.Parallel()
	var s incidents
	c := serve(t, s.ServeHTTP)
	c.Incidents(within(t), incidentio.ListFilter{
		UpdatedSince: time.Date(2026, 11, 23, 3, 0, 1, 999, time.FixedZone("CET", 3600)),
		Categories:   []string{"live", "triage"}, SeverityID: "01SEV", CustomField: "01CF", Value: "01OPT",
		Modes: []string{"test", "standard"}, OldestFirst: true,
	})
	c.Incidents(within(t), incidentio.ListFilter{CustomField: "01CF"})
	for i, want := range []string{
		"custom_field[01CF][one_of]=01OPT&mode[one_of]=test&mode[one_of]=standard&page_size=250&severity[one_of]=01SEV&" +
			"sort_by=created_at_oldest_first&status_category[one_of]=live&status_category[one_of]=triage&updated_at[gte]=2026-11-23T02:00:01Z",
		"page_size=250",
	} {
		got, err := url.QueryUnescape(s.asked[i].Encode())
		if err != nil || got != want {
			t.Errorf("got  %s\nwant %s (%v)", got, want, err)
		}
	}
}

func TestUnreadableAnswers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, `{"incident":null}`, `{"incident":[]}`, `{"incident":{"id":7}}`, `{"incident":{"id":"1","created_at":"yesterday"}}`, `{"incidents":{}}`, `null`, ``,
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		if got, r := c.Incident(within(t), "1"); r.Class != incidentio.Retry || got.ID != "" || r.Message == "" {
			t.Errorf("%q: got %+v, %v", body, got, r)
		}
		if got, r := c.Incidents(within(t), incidentio.ListFilter{}); r.Class != incidentio.Retry || got != nil {
			t.Errorf("%q: got %+v, %v", body, got, r)
		}
	}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"severities":null}`) })
	if got, r := c.Severities(within(t)); !r.OK() || len(got) != 0 {
		t.Errorf("no severities: %v, %v", got, r)
	}
}

func TestGrowth(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef-", 20)
	body := `{"incident":{"id":"` + long + `","mode":"rehearsal","new":{"a":[1]},"incident_status":{"id":"s","category":"frozen"},
		"creator":{"robot":{"id":"r1","name":"Robbie"}},"severity":null,"incident_role_assignments":null,
		"custom_field_entries":[{"custom_field":{"id":"f","field_type":"colour"},"values":[{"value_colour":"red"}]}]},"extra":true}`
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
	got, r := c.Incident(within(t), "1")
	if !r.OK() || got.ID != long || got.Mode != "rehearsal" || got.Status.Category != "frozen" ||
		got.Creator != (incidentio.Actor{Type: "robot", ID: "r1", Name: "Robbie"}) || got.Fields[0].Values[0].Key() != "" {
		t.Errorf("%+v, %v", got, r)
	}
}

func TestIDsInPaths(t *testing.T) {
	t.Parallel()
	var path string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { path = r.RequestURI; io.WriteString(w, `{}`) })
	for _, id := range []string{"a/../b", "a?b=c", "a#b", "ä %"} {
		c.Incident(within(t), id)
		if want := "/v2/incidents/" + url.PathEscape(id); path != want {
			t.Errorf("asked for %s, want %s", path, want)
		}
	}
}

func TestUserByEmail(t *testing.T) {
	t.Parallel()
	body := `{"users":[{"id":"1","email":"adamine@example.com"},{"id":"2","email":"Ada@Example.com"}],"pagination_meta":{"page_size":25}}`
	status := 200
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status); io.WriteString(w, body) })
	if u, ok, r := c.UserByEmail(within(t), "ada@example.com"); !ok || u.ID != "2" || !r.OK() {
		t.Errorf("%v, %v, %v", u, ok, r)
	}
	if u, ok, r := c.UserByEmail(within(t), "lisa@example.com"); ok || u.ID != "" || !r.OK() {
		t.Errorf("%v, %v, %v", u, ok, r)
	}
	status = 500
	if _, ok, r := c.UserByEmail(within(t), "ada@example.com"); ok || r.OK() {
		t.Errorf("%v, %v", ok, r)
	}
}
