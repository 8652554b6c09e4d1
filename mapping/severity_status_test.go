package mapping_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

func TestResolveSeverity(t *testing.T) {
	t.Parallel()
	d := &mapping.Directory{Severities: []mapping.Severity{{ID: "01A", Name: "Minor", Rank: 1}, {ID: "01B", Name: "Major ", Rank: 20}, {ID: "01C", Name: "1", Rank: 300}}}
	for name, want := range map[string]string{
		"minor": "01A", " MAJOR ": "01B", "01C": "01C", "20": "01B", "1": "01C", "300": "01C", "2": "", "": "", "01a": "", "min": "", "1.0": "",
	} {
		s, ok := mapping.ResolveSeverity(name, d)
		if s.ID != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", name, s.ID, ok, want)
		}
	}
	if _, ok := mapping.ResolveSeverity("minor", nil); ok {
		t.Error("found without a directory")
	}
}

func TestSeverityFor(t *testing.T) {
	t.Parallel()
	ranked := func(names ...string) *mapping.Directory {
		d := &mapping.Directory{}
		for i, n := range names { // most severe first, as accounts show them
			d.Severities = append(d.Severities, mapping.Severity{ID: "id-" + n, Name: n, Rank: int64(len(names) - i)})
		}
		return d
	}
	four := []string{"low", "info", "warning", "critical"}
	for name, tc := range map[string]struct {
		told  string // TigerOps' severity
		rules mapping.Rules
		dir   *mapping.Directory
		want  string
		warns string
	}{
		"as mapped, by name":                     {"critical", mapping.Rules{SeverityMapping: map[string]string{"critical": "sev1"}}, ranked("SEV1", "SEV2"), "SEV1", ""},
		"as mapped, whatever the case":           {"Critical", mapping.Rules{SeverityMapping: map[string]string{"CRITICAL": "SEV2"}}, ranked("SEV1", "SEV2"), "SEV2", ""},
		"as mapped, by rank":                     {"critical", mapping.Rules{SeverityMapping: map[string]string{"critical": "1"}}, ranked("Top", "Low"), "Low", ""},
		"as mapped, by id":                       {"critical", mapping.Rules{SeverityMapping: map[string]string{"critical": "id-Top"}}, ranked("Top", "Low"), "Top", ""},
		"several onto one":                       {"info", mapping.Rules{SeverityMapping: map[string]string{"info": "Low", "warning": "Low"}}, ranked("Top", "Low"), "Low", ""},
		"mapped to what is not there":            {"critical", mapping.Rules{SeverityMapping: map[string]string{"critical": "SEV0"}}, ranked("SEV1"), "", `incident.io has no severity "SEV0" (severity_mapping of critical)`},
		"not mapped: a like name":                {"critical", mapping.Rules{}, ranked("Major", "Critical", "Minor"), "Critical", ""},
		"not mapped: a name that has the word":   {"critical", mapping.Rules{}, ranked("SEV0 - Blackout", "SEV1 - Critical"), "SEV1 - Critical", ""},
		"not mapped: not half a word":            {"info", mapping.Rules{}, ranked("Top", "Middle", "Informal"), "Informal", ""}, // by rank
		"not mapped: by rank, the top":           {"critical", mapping.Rules{}, ranked("SEV1", "SEV2", "SEV3"), "SEV1", ""},
		"not mapped: by rank, the middle":        {"warning", mapping.Rules{}, ranked("SEV1", "SEV2", "SEV3"), "SEV2", ""},
		"not mapped: by rank, the least":         {"info", mapping.Rules{}, ranked("SEV1", "SEV2", "SEV3"), "SEV3", ""},
		"fewer there than here share the least":  {"info", mapping.Rules{}, ranked("SEV1", "SEV2"), "SEV2", ""},
		"more there than here: from the top":     {"info", mapping.Rules{}, ranked("1a", "2b", "3c", "4d", "5e"), "3c", ""},
		"more than three here":                   {"low", mapping.Rules{Severities: four}, ranked("SEV1", "SEV2", "SEV3", "SEV4"), "SEV4", ""},
		"one that is mapped, and one that isn't": {"warning", mapping.Rules{SeverityMapping: map[string]string{"critical": "SEV3"}}, ranked("SEV1", "SEV2", "SEV3"), "SEV2", ""},
		"a word that nobody knows":               {"purple", mapping.Rules{}, ranked("SEV1"), "", `"purple" is none of info, warning, critical`},
		"none told, no service":                  {"", mapping.Rules{}, ranked("SEV1"), "", ""},
		"none told: the service's default":       {"", mapping.Rules{Services: []mapping.ServiceRule{{TigerOps: "API", DefaultSeverity: "sev2"}}}, ranked("SEV1", "SEV2"), "SEV2", ""},
		"none told, a default that isn't there":  {"", mapping.Rules{Services: []mapping.ServiceRule{{TigerOps: "API", DefaultSeverity: "X"}}}, ranked("SEV1"), "", "default_severity of API"},
		"told: the default counts for nothing":   {"critical", mapping.Rules{Services: []mapping.ServiceRule{{TigerOps: "API", DefaultSeverity: "SEV2"}}}, ranked("SEV1", "SEV2"), "SEV1", ""},
		"an account without severities":          {"critical", mapping.Rules{}, ranked(), "", "severity left out"},
		"no directory":                           {"critical", mapping.Rules{}, nil, "", "severity left out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, warning := mapping.SeverityFor(mapping.State{Incident: mapping.Incident{Severity: tc.told, Service: "api"}}, &tc.rules, tc.dir)
			got := ""
			if s != nil {
				got = s.Name
			}
			if got != tc.want || (tc.warns == "") != (warning == "") || !strings.Contains(warning, tc.warns) {
				t.Errorf("got %q, %q; want %q, %q", got, warning, tc.want, tc.warns)
			}
		})
	}
}

func TestBelowMin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		told, least string
		severities  []string
		want        bool
	}{
		{"info", "warning", nil, true}, {"warning", "warning", nil, false}, {"critical", "warning", nil, false}, {"INFO", "Warning", nil, true},
		{"", "warning", nil, false}, {"odd", "warning", nil, false}, {"info", "", nil, false}, {"info", "odd", nil, false},
		{"low", "mid", []string{"low", "mid", "high"}, true}, {"high", "mid", []string{"low", "mid", "high"}, false},
	} {
		r := &mapping.Rules{MinSeverity: tc.least, Severities: tc.severities}
		if got := mapping.BelowMin(mapping.State{Incident: mapping.Incident{Severity: tc.told}}, r); got != tc.want {
			t.Errorf("%q below %q of %v: got %v", tc.told, tc.least, tc.severities, got)
		}
	}
}

func TestServiceOf(t *testing.T) {
	t.Parallel()
	r := published()
	for _, tc := range []struct {
		in   mapping.Incident
		want string
	}{
		{mapping.Incident{Service: "API-gateway"}, "API Gateway"}, {mapping.Incident{Service: "ledger"}, "ledger"}, {mapping.Incident{}, ""},
		{mapping.Incident{AffectedServices: []string{"api-gateway", "x"}}, "API Gateway"}, {mapping.Incident{Service: "x", AffectedServices: []string{"api-gateway"}}, "x"},
	} {
		if got := mapping.ServiceOf(mapping.State{Incident: tc.in}, r); got != tc.want {
			t.Errorf("%+v: got %q, want %q", tc.in, got, tc.want)
		}
	}
	r.Services[0].IncidentIO = ""
	if got := mapping.ServiceOf(mapping.State{Incident: mapping.Incident{Service: "api-gateway"}}, r); got != "api-gateway" {
		t.Errorf("a rule for the default severity only: got %q", got)
	}
}

func TestResolveStatus(t *testing.T) {
	t.Parallel()
	custom := &mapping.Directory{Statuses: []mapping.Status{
		{ID: "c", Name: "Closed", Category: "closed", Rank: 9}, {ID: "l2", Name: "Stabilised", Category: "live", Rank: 3}, {ID: "l1", Name: "Identified", Category: "live", Rank: 2},
		{ID: "t", Name: "Triage", Category: "triage", Rank: 1}, {ID: "o", Name: "On hold", Category: "live", Rank: 4},
	}}
	for _, tc := range []struct {
		told    string
		mapping map[string]string
		dir     *mapping.Directory
		want    string
	}{
		{"acknowledged", nil, tryAccount(), "st-investigating"}, {"Investigating", nil, tryAccount(), "st-investigating"},
		{"mitigated", nil, tryAccount(), "st-monitoring"}, {"resolved", nil, tryAccount(), "st-documenting"},
		{"open", nil, tryAccount(), ""}, {"", nil, tryAccount(), ""}, {"purple", nil, tryAccount(), ""},
		{"fixing", nil, tryAccount(), "st-fixing"}, {"closed", nil, tryAccount(), "st-closed"}, {"reviewing", nil, tryAccount(), "st-reviewing"},
		{"acknowledged", nil, custom, "l1"}, {"mitigated", nil, custom, "l2"}, {"resolved", nil, custom, "c"}, {"on_hold", nil, custom, "o"},
		{"resolved", map[string]string{"resolved": "closed"}, tryAccount(), "st-closed"},
		{"resolved", map[string]string{"Resolved": "st-reviewing"}, tryAccount(), "st-reviewing"},
		{"resolved", map[string]string{"resolved": "post-incident"}, tryAccount(), "st-documenting"},
		{"mitigated", map[string]string{"mitigated": "active"}, tryAccount(), "st-investigating"},
		{"mitigated", map[string]string{"mitigated": "LIVE"}, tryAccount(), "st-investigating"},
		{"open", map[string]string{"open": "Fixing"}, tryAccount(), "st-fixing"},
		{"mitigated", map[string]string{"mitigated": "gone"}, tryAccount(), ""},
		{"resolved", nil, nil, ""}, {"resolved", nil, &mapping.Directory{}, ""},
	} {
		s, ok := mapping.ResolveStatus(tc.told, &mapping.Rules{StatusMapping: tc.mapping}, tc.dir)
		if s.ID != tc.want || ok != (tc.want != "") {
			t.Errorf("%q with %v: got %q, %v, want %q", tc.told, tc.mapping, s.ID, ok, tc.want)
		}
	}
	if s, ok := mapping.ResolveStatus("resolved", nil, tryAccount()); !ok || s.ID != "st-documenting" {
		t.Errorf("without rules: %q, %v", s.ID, ok)
	}
}

// TestStatusPath goes over every pair of categories (facts.md, "Status").
func TestStatusPath(t *testing.T) {
	t.Parallel()
	categories := []string{"triage", "live", "learning", "paused", "closed", "declined", "canceled", "merged", "of_tomorrow"}
	legal := map[string]string{"triage": "triage learning closed", "live": "live learning closed", "learning": "learning closed"}
	for _, from := range categories {
		for _, to := range categories {
			want := strings.Contains(" "+legal[from]+" ", " "+to+" ") || from == to && from != "merged"
			a, b := mapping.Status{ID: "a", Category: from}, mapping.Status{ID: "b", Category: to}
			path, ok := mapping.StatusPath(a, b, nil)
			if ok != want || ok && (len(path) != 1 || path[0].ID != "b") || !ok && path != nil {
				t.Errorf("%s to %s: got %v, %v, want %v", from, to, path, ok, want)
			}
			if path, ok := mapping.StatusPath(a, a, nil); !ok || path != nil {
				t.Errorf("%s to itself: got %v, %v", from, path, ok)
			}
		}
	}
}

// A status that nobody here has heard of is left out, and that is said, once.
func TestAnUnknownStatusIsLeftOutWithAWarning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(full)
	for i, tc := range []struct {
		status string
		want   int
	}{{"purple", 1}, {"purple", 0}, {"open", 0}, {"Fixing", 0}} {
		w.says(saying(fmt.Sprint("e", i), "incident.updated", `"status":"`+tc.status+`"`, ""))
		warned := 0
		for _, text := range w.warnings {
			if strings.Contains(text, "status left out") && strings.Contains(text, tc.status) {
				warned++
			}
		}
		if warned != tc.want {
			t.Errorf("%d. %s: %d warnings, want %d: %q", i, tc.status, warned, tc.want, w.warnings)
		}
	}
}

// Two TigerOps severities that share one of incident.io move nothing there, and nothing flaps.
func TestSharedSeverity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rules.SeverityMapping["warning"] = "SEV1"
	w.says(full)
	if w.says(saying("e2", "incident.updated", `"severity":"warning"`, "")); len(w.steps) != 0 || w.tie.Pushed.Severity != "warning" {
		t.Errorf("sends %s, pushed %q", names(w.steps), w.tie.Pushed.Severity)
	}
	w.tie.Agreed.Severity = &w.dir.Severities[0] // a person
	if w.says(saying("e3", "incident.updated", `"severity":"warning"`, "")); len(w.steps) != 0 {
		t.Errorf("a person's severity is taken back: %s", names(w.steps))
	}
}
