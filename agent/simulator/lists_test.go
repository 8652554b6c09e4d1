package simulator_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

func refs(r reply) string {
	var out []string
	for _, v := range r.list("incidents") {
		out = append(out, strings.TrimPrefix(v.(object)["reference"].(string), "INC-"))
	}
	return strings.Join(out, " ")
}

func TestIncidentFilters(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	s := newSim(t, simulator.Options{Now: func() time.Time { return clock }})
	a, id := newAPI(t, s), idsOf(s)
	lisa := s.As("lisa@example.com")
	for i, v := range []object{
		{"severity_id": id.severity["SEV1"]},
		{"severity_id": id.severity["SEV2"], "custom_field_entries": value("custom_field_abc", object{"value_option_id": id.option["Checkout"]})["custom_field_entries"]},
		{"severity_id": id.severity["SEV3"], "custom_field_entries": value("custom_field_ghi", object{"value_text": "text"})["custom_field_entries"]},
		{"mode": "test"},
		{"visibility": "private"},
		{"mode": "retrospective", "incident_status_id": id.status["Closed"]},
	} {
		clock = time.Date(2026, 11, i+1, 12, 0, 0, 0, time.UTC)
		a.declare(s, v)
	}
	clock = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, err := range []error{lisa.SetStatus("1", "Fixing", ""), lisa.AssignRole("2", "lead", "ada@example.com"), lisa.Close("3", "")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]string{
		"":                                "6 5 3 2 1",
		"sort_by=created_at_oldest_first": "1 2 3 5 6",
		"mode[one_of]=test":               "4",
		"mode[one_of]=test&mode[one_of]=standard":                                                "5 4 3 2 1",
		"status_category[one_of]=live":                                                           "5 2 1",
		"status_category[one_of]=live&status_category[one_of]=closed":                            "6 5 3 2 1",
		"status_category[not_in]=live":                                                           "6 3",
		"status[one_of]=" + id.status["Fixing"]:                                                  "1",
		"severity[one_of]=" + id.severity["SEV1"]:                                                "1",
		"severity[gte]=" + id.severity["SEV2"]:                                                   "6 5 2 1",
		"severity[lte]=" + id.severity["SEV2"]:                                                   "6 5 3 2",
		"severity[not_in]=" + id.severity["SEV2"]:                                                "3 1",
		"custom_field[custom_field_abc][one_of]=" + id.option["Checkout"]:                        "2",
		"custom_field[custom_field_abc][not_in]=" + id.option["Checkout"]:                        "6 5 3 1",
		"custom_field[custom_field_ghi][one_of]=text":                                            "3",
		"custom_field[custom_field_ghi][is_blank]=false":                                         "3",
		"incident_role[" + id.role["Incident Lead"] + "][one_of]=" + id.user["ada@example.com"]:  "2",
		"incident_role[" + id.role["Incident Lead"] + "][is_blank]=true":                         "6 5 3 1",
		"created_at[gte]=2026-11-03":                                                             "6 5 3",
		"created_at[lte]=2026-11-03":                                                             "3 2 1",
		"created_at[date_range]=2026-11-02~2026-11-03":                                           "3 2",
		"updated_at[gte]=2026-11-20T00:00:00Z":                                                   "3 2 1",
		"updated_at[gte]=2026-11-20T13:00:00%2B01:00":                                            "3 2 1",
		"status_category[one_of]=live&severity[one_of]=" + id.severity["SEV1"]:                   "1",
		"filter_mode=any&status_category[one_of]=closed&severity[one_of]=" + id.severity["SEV1"]: "6 3 1",
		"status_category[one_of]=live&severity[one_of]=" + id.severity["SEV2"] + "&custom_field[custom_field_abc][one_of]=" + id.option["Checkout"]: "2",
	} {
		if got := refs(a.do("GET", "/v2/incidents?"+query, nil).want(200)); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	if got := a.do("GET", "/v2/incidents", nil).at("pagination_meta", "total_record_count"); got != 5.0 {
		t.Errorf("total %v", got)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newSim(t, simulator.Options{})
	a := newAPI(t, s)
	var made []string
	for range 7 {
		made = append(made, a.declare(s, nil))
	}
	slices.Reverse(made)
	t.Run("every incident once, and no page after the last", func(t *testing.T) {
		for _, size := range []int{1, 2, 3, 7, 250} {
			var got []string
			after, pages := "", 0
			for {
				r := a.do("GET", fmt.Sprintf("/v2/incidents?page_size=%d&after=%s", size, after), nil).want(200)
				pages++
				for _, v := range r.list("incidents") {
					got = append(got, v.(object)["id"].(string))
				}
				if after = r.text("pagination_meta", "after"); after == "" {
					break
				}
			}
			if !slices.Equal(got, made) || pages != (len(made)+size-1)/size {
				t.Errorf("page_size %d: %d incidents on %d pages", size, len(got), pages)
			}
		}
	})
	t.Run("a change between two pages loses nothing", func(t *testing.T) {
		r := a.do("GET", "/v2/incidents?page_size=3&status_category[one_of]=live", nil).want(200)
		after := r.text("pagination_meta", "after")
		if err := s.As("lisa@example.com").Close(after, ""); err != nil {
			t.Fatal(err)
		}
		r = a.do("GET", "/v2/incidents?page_size=3&status_category[one_of]=live&after="+after, nil).want(200)
		if got := r.text("incidents", 0, "id"); got != made[3] {
			t.Errorf("went on at %s, want %s", got, made[3])
		}
	})
	t.Run("a timeline is by the items' time", func(t *testing.T) {
		for i, at := range []string{"2026-11-23T03:00:00Z", "2026-11-23T01:00:00+00:00", "2026-11-23T03:00:00Z"} {
			a.do("POST", "/v2/incident_timeline_items", object{"incident_id": made[0], "idempotency_key": fmt.Sprint(i), "title": fmt.Sprint(i), "timestamp": at}).want(201)
		}
		items := a.do("GET", "/v2/incident_timeline_items?incident_id="+made[0], nil).want(200)
		if got := items.text("incident_timeline_items", 0, "title") + items.text("incident_timeline_items", 2, "title"); got[0] != '1' {
			t.Errorf("order %s", items.Body)
		}
		if got := items.text("incident_timeline_items", 0, "timestamp"); got != "2026-11-23T01:00:00Z" {
			t.Errorf("timestamp %s", got)
		}
	})
	t.Run("work of test incidents shows when asked for", func(t *testing.T) {
		test := a.declare(s, object{"mode": "test"})
		a.do("POST", "/v3/actions", object{"incident_id": test, "description": "d"}).want(201)
		for query, want := range map[string]int{"": 0, "incident_mode=test": 1, "incident_id=" + test: 1, "incident_mode=test&updated_at[gte]=" + url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339)): 0} {
			if got := len(a.do("GET", "/v3/actions?"+query, nil).want(200).list("actions")); got != want {
				t.Errorf("%s: %d actions, want %d", query, got, want)
			}
		}
	})
}
