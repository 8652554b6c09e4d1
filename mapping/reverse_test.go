package mapping_test

import (
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

func TestStatusFromRemote(t *testing.T) {
	t.Parallel()
	live := func(name string) mapping.Status { return mapping.Status{ID: "x-" + name, Name: name, Category: "live"} }
	in := func(category string) mapping.Status {
		return mapping.Status{ID: "x", Name: "Some name", Category: category}
	}
	for name, c := range map[string]struct {
		remote  mapping.Status
		mapping map[string]string
		current string
		want    string
	}{
		"the current word is kept where it fits":           {investigating, nil, "acknowledged", "acknowledged"},
		"and not where it does not":                        {fixing, nil, "acknowledged", "investigating"},
		"a mapped current word is kept":                    {fixing, map[string]string{"working": "Fixing", "busy": "Fixing"}, "working", "working"},
		"a category in the mapping keeps only its own one": {closed, map[string]string{"done": "closed"}, "done", "done"},
		"the mapping read backwards, by name":              {monitoring, map[string]string{"watching": " monitoring "}, "open", "watching"},
		"the mapping read backwards, by id":                {monitoring, map[string]string{"watching": "st-mon"}, "open", "watching"},
		"of several the one of the same name":              {monitoring, map[string]string{"aaa": "Monitoring", "monitoring": "Monitoring"}, "open", "monitoring"},
		"of several the first by name":                     {monitoring, map[string]string{"bbb": "Monitoring", "aaa": "Monitoring"}, "open", "aaa"},
		"the mapping read backwards, by category":          {in("closed"), map[string]string{"done": "closed"}, "open", "done"},
		"a category in the mapping does not take all of live": {
			monitoring, map[string]string{"acknowledged": "live"}, "open", "mitigated"},
		"the exact name":           {live("MITIGATED"), nil, "open", "mitigated"},
		"acknowledged by name":     {live("Acknowledged"), nil, "open", "acknowledged"},
		"like investigating":       {live("Identified"), nil, "open", "investigating"},
		"like fixing":              {live("A fix is on its way"), nil, "open", "investigating"},
		"like monitoring":          {live("Monitoring closely"), nil, "open", "mitigated"},
		"like stable":              {live("Stabilised"), nil, "investigating", "mitigated"},
		"any other live status":    {live("Heads down"), nil, "open", "investigating"},
		"triage":                   {in("triage"), nil, "investigating", "open"},
		"learning":                 {in("learning"), nil, "investigating", "resolved"},
		"closed":                   {in("closed"), nil, "investigating", "resolved"},
		"declined":                 {in("declined"), nil, "investigating", "resolved"},
		"canceled":                 {in("canceled"), nil, "investigating", "resolved"},
		"paused keeps the current": {in("paused"), nil, "investigating", "investigating"},
		"paused without a current": {in("paused"), nil, "", "open"},
		"merged keeps the current": {in("merged"), nil, "mitigated", "mitigated"},
		"a category of the future": {in("hibernation"), nil, "mitigated", "mitigated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := pullRules()
			r.StatusMapping = c.mapping
			if got := mapping.StatusFromRemote(c.remote, r, pullAccount(), c.current); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSeverityFromRemote(t *testing.T) {
	t.Parallel()
	five := []string{"debug", "info", "minor", "major", "critical"}
	shared := map[string]string{"debug": "SEV3", "info": "SEV3", "minor": "SEV3", "major": "SEV1", "critical": "SEV1"}
	for name, c := range map[string]struct {
		remote  *mapping.Severity
		words   []string
		mapping map[string]string
		current string
		want    string
	}{
		"as mapped":                                     {&sev2, nil, nil, "critical", "warning"},
		"the current word is kept where it fits":        {&sev3, five, shared, "info", "info"},
		"whatever its case":                             {&sev3, five, shared, "Info", "Info"},
		"of several the nearest to the current, above":  {&sev1, five, shared, "info", "major"},
		"of several the nearest to the current, below":  {&sev3, five, shared, "critical", "minor"},
		"of several the most severe without a current":  {&sev3, five, shared, "", "minor"},
		"the nearest by rank where nothing maps":        {&sev0, nil, nil, "info", "critical"},
		"the nearest by rank, then by the current word": {&sev0, five, shared, "major", "major"},
		"of two as near by rank the more severe":        {&sev2, []string{"low", "high"}, map[string]string{"low": "SEV3", "high": "SEV1"}, "", "high"},
		"of two as near by rank the current":            {&sev2, []string{"low", "high"}, map[string]string{"low": "SEV3", "high": "SEV1"}, "low", "low"},
		"no severity":                                   {nil, nil, nil, "warning", "warning"},
		"a mapping into nothing":                        {&sev2, []string{"a"}, map[string]string{"a": "none such"}, "a", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := pullRules()
			if c.words != nil {
				r.Severities, r.SeverityMapping = c.words, c.mapping
			}
			if got := mapping.SeverityFromRemote(c.remote, r, pullAccount(), c.current); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Mapped out and back again nothing flaps, whatever shares what.
func TestSeverityComesBackAsItWentOut(t *testing.T) {
	t.Parallel()
	r, d := pullRules(), pullAccount()
	for _, m := range []map[string]string{
		nil,
		{"info": "SEV3", "warning": "SEV3", "critical": "SEV3"},
		{"info": "1", "warning": "sv-1", "critical": "sev1"},
	} {
		r.SeverityMapping = m
		for _, word := range r.Severities {
			st := mapping.State{Incident: mapping.Incident{Severity: word}}
			remote, warning := mapping.SeverityFor(st, r, d)
			if remote == nil {
				t.Fatalf("%s under %v: %s", word, m, warning)
			}
			if got := mapping.SeverityFromRemote(remote, r, d, word); got != word {
				t.Errorf("%s comes back as %s under %v", word, got, m)
			}
		}
	}
}
