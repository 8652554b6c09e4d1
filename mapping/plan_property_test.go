package mapping_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// TestAnySequence delivers random events of an incident while people change it, under random rules. What holds of every
// plan is checked by the world itself: the same input gives the same bytes, ended steps do not come again, bodies are as
// the API describes them, and every event ends.
func TestAnySequence(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		pick := func(all ...string) string { return all[r.IntN(len(all))] }
		w := newWorld(t)
		w.rules.AutoDeclare = r.IntN(4) > 0
		w.rules.AutoResolve = r.IntN(3) > 0
		w.rules.CreateOptions = r.IntN(2) > 0
		w.rules.PushTimeline, w.rules.PushActions, w.rules.PushPostmortem = r.IntN(4) > 0, r.IntN(4) > 0, r.IntN(4) > 0
		w.rules.MinSeverity = pick("info", "warning", "critical")
		w.rules.AlertSource = pick("", "source-1", "source-1")
		w.rules.EscalationPaths = map[string]string{"payments": "path-1"}
		w.rules.StatusMapping = map[string]string{"resolved": pick("closed", "learning", "Monitoring", "gone")}
		if r.IntN(3) == 0 {
			w.dir.Missing = map[string]bool{pick(mapping.CallTimeline, mapping.CallUpdates, mapping.CallActions, mapping.CallFollowUps, mapping.CallPostmortem): true, pick(mapping.CallTimeline, mapping.CallUpdates): true}
		}
		if r.IntN(3) == 0 {
			w.left[pick("alert.fire", "incident.edit", "incident.update", "option.create.1", "timeline.add", "incident.roles")] = true
		}
		var history []string
		for n := range 12 {
			kind := pick(mapping.IncidentCreated, mapping.IncidentUpdated, mapping.IncidentUpdated, mapping.IncidentAcknowledged, mapping.IncidentEscalated, mapping.IncidentResolved,
				mapping.IncidentReopened, mapping.InvestigationStep, mapping.RunbookAction, mapping.PostmortemReady, mapping.AnomalyDetected, mapping.SLOBreached)
			var inc []string
			for _, m := range []string{
				`"title":"` + pick("A", "B", "A\\nB") + `"`, `"severity":"` + pick("info", "warning", "critical", "odd") + `"`, `"status":"` + pick("open", "mitigated", "resolved", "odd") + `"`,
				`"ai_summary":"` + pick("one", "two\\n\\n---\\n\\nthree") + `"`, `"affected_services":["` + pick("checkout", "ledger", "api-gateway") + `"]`, `"team":"` + pick("payments", "x") + `"`,
				`"slo":{"status":"` + pick("ok", "breached") + `"}`, `"responders":[{"role":"owner","email":"` + pick("ada@example.com", "lisa@example.com", "eve@example.com") + `"}]`,
			} {
				if r.IntN(3) == 0 {
					inc = append(inc, m)
				}
			}
			extra := fmt.Sprintf(`"actor":{"email":%q},"step":{"kind":"x","title":"s%d"},"action":{"title":%q,"status":%q},"postmortem":{"timeline_summary":"t","action_items":[{"title":%q,"owner":"ada@example.com"}]}`,
				pick("ada@example.com", "eve@example.com"), n, pick("r1", "r2"), pick("started", "done"), pick("f1", "f2"))
			payload := saying(fmt.Sprintf("e%d", n), kind, strings.Join(inc, ","), extra)
			history = append(history, payload)
			w.says(payload)
			if t.Failed() {
				t.Fatalf("seed %d, after\n%s\nthe steps were %s", seed, strings.Join(history, "\n"), names(w.steps))
			}
			w.hold(seed)
			if w.tie == nil {
				continue
			}
			w.siblings = r.IntN(5) / 4
			switch r.IntN(6) { // a person
			case 0:
				w.tie.Agreed.Status = w.dir.Statuses[r.IntN(len(w.dir.Statuses))]
			case 1:
				w.tie.Agreed.Summary = pick("", "Lisa was here.", w.tie.Agreed.Summary+"\n\n---\n\nLisa.")
			case 2:
				w.tie.Agreed.Severity = &w.dir.Severities[r.IntN(3)]
			}
			if kind == mapping.IncidentResolved && r.IntN(2) == 0 { // the agent saw that it can't be opened again
				if c := w.tie.Agreed.Status.Category; c != "live" && c != "triage" && c != "paused" {
					w.former, w.tie = w.tie, nil
				}
			}
		}
	}
}

// hold checks what is true after any event.
func (w *world) hold(seed uint64) {
	w.t.Helper()
	if w.tie == nil {
		return
	}
	if w.tie.Pushed.IsZero() {
		w.t.Errorf("seed %d: a tie without anything pushed", seed)
	}
	if n := strings.Count(w.tie.Agreed.Summary, "*TigerOps TIG-4711*"); n > 6 {
		w.t.Errorf("seed %d: TigerOps' part stands %d times in\n%s", seed, n, w.tie.Agreed.Summary)
	}
}

// FuzzPlan puts strangers' texts into everything that people will read.
func FuzzPlan(f *testing.F) {
	f.Add("TIG-1", "Checkout\nis slow", "It **is**", "https://t.example/?a=(b)", uint16(1))
	f.Add("a\\b", strings.Repeat("é", 300), strings.Repeat("```\nx\n", 900), "javascript:x", uint16(6))
	f.Add("_", "\xff\xfe", "---\n\n---\n\n---", "http://a b", uint16(7))
	f.Add("x*", "", "\u202e@channel <!here> &amp;", "ftp://x", uint16(12))
	f.Fuzz(func(t *testing.T, id, title, text, address string, many uint16) {
		if id == "" || len(id) > 512 {
			t.Skip()
		}
		w := newWorld(t)
		w.quick = len(title)+len(text) > 1_000 // TestAnySequence has held plans to the rest
		w.rules.CustomFields["root_cause"], w.rules.CustomFields["trace_url"] = "cf-env", "cf-trace"
		w.rules.CreateOptions = true
		w.rules.EscalationPaths = map[string]string{"t": "p"}
		inc := mapping.Incident{
			ID: id, Title: title, AISummary: text, RootCause: text, URL: address, TraceURL: address, Service: title, Team: "t", Environment: text,
			SLO: &mapping.SLO{Name: title, Status: text}, Deployment: &mapping.Deployment{SHA: text, URL: address, Service: title},
		}
		var items []mapping.ActionItem
		for range many % 80 {
			inc.AffectedServices = append(inc.AffectedServices, text)
			inc.ImpactedMetrics = append(inc.ImpactedMetrics, mapping.Metric{Name: title, Value: text, Baseline: text})
			items = append(items, mapping.ActionItem{Title: fmt.Sprint(title, len(items)), Detail: text, Owner: title, Labels: []string{text, title}})
		}
		who := &mapping.Person{Name: title, Email: text}
		for n, ev := range []mapping.Event{
			{Type: mapping.IncidentCreated},
			{Type: mapping.IncidentEscalated, Actor: who},
			{Type: mapping.InvestigationStep, Step: &mapping.Step{Kind: title, Title: text, Detail: text, URL: address}},
			{Type: mapping.RunbookAction, Action: &mapping.Action{Title: title, Status: text, Detail: text, URL: address}},
			{Type: mapping.RunbookAction, Action: &mapping.Action{Title: title, Status: "x" + text, Detail: text, URL: address}},
			{Type: mapping.PostmortemReady, Post: &mapping.Postmortem{ContributingFactors: []string{text, title}, TimelineSummary: text, ActionItems: items}},
			{Type: mapping.IncidentResolved, Actor: who},
		} {
			ev.ID, ev.Incident = fmt.Sprint(id, n), inc
			for _, s := range w.event(ev) {
				readable(t, s)
			}
		}
		if got := mapping.DeclaredFor(w.tie.Agreed.Summary); len(got) == 0 {
			t.Errorf("the summary of %q tells no incident: %q", id, w.tie.Agreed.Summary)
		}
	})
}

// readable checks the limits of all that people read.
func readable(t testing.TB, r mapping.Request) {
	t.Helper()
	if len(r.Body) > 512_000 || !utf8.Valid(r.Body) {
		t.Errorf("%s: a body of %d bytes", r.Name, len(r.Body))
	}
	var body struct {
		Title, Name, Summary, Message, Description, Content string
		Incident                                            json.RawMessage
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	for _, line := range []string{body.Title, body.Name} {
		if utf8.RuneCountInString(line) > 250 || strings.ContainsAny(line, "\n\r\x00") {
			t.Errorf("%s: title %q", r.Name, line)
		}
	}
	for what, n := range map[string]int{body.Summary: 10_000, body.Message: 5_000, body.Content: 101_000} {
		if utf8.RuneCountInString(what) > n || strings.Contains(what, "\x00") {
			t.Errorf("%s: a text of %d runes", r.Name, utf8.RuneCountInString(what))
		}
	}
	limit := 5_000
	if r.Call == mapping.AlertEvent {
		limit = 20_000
	}
	if utf8.RuneCountInString(body.Description) > limit {
		t.Errorf("%s: a description of %d runes", r.Name, utf8.RuneCountInString(body.Description))
	}
	for _, e := range r.Explain {
		if strings.Contains(e, "\n") {
			t.Errorf("%s: explains on several lines: %q", r.Name, e)
		}
	}
}

// An alert is cut in a stated order: description, metrics, services, all metadata, address; title, status and key stay.
func TestAlertIsCutToFit(t *testing.T) {
	t.Parallel()
	big := func(n int) []string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprint(i, strings.Repeat("<", 1000)))
		}
		return all
	}
	for name, tc := range map[string]struct {
		change func(i *mapping.Incident)
		kept   []string
		gone   []string
	}{
		"the metrics go": {func(i *mapping.Incident) {
			for _, s := range big(700) {
				i.ImpactedMetrics = append(i.ImpactedMetrics, mapping.Metric{Name: s})
			}
		}, []string{`"affected_services":["checkout"]`, `"description":"S`, `"source_url"`}, []string{"impacted_metrics"}},
		"and then the services": {func(i *mapping.Incident) { i.AffectedServices = big(700) },
			[]string{`"severity":"critical"`, `"source_url"`, `"description":"S`}, []string{"impacted_metrics", "affected_services"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			inc := mapping.Incident{ID: "TIG-1", Title: "T", Severity: "critical", AISummary: "S" + strings.Repeat("s", 4000), URL: "https://t.example", AffectedServices: []string{"checkout"}, ImpactedMetrics: []mapping.Metric{{Name: "m"}}}
			tc.change(&inc)
			w.event(mapping.Event{ID: "e1", Type: mapping.IncidentCreated, Incident: inc})
			body := string(w.step("alert.fire").Body)
			for _, part := range append(tc.kept, `"title":"T"`, `"status":"firing"`, `"deduplication_key":"tigerops/TIG-1"`, "… (cut)") {
				if !strings.Contains(body, part) {
					t.Errorf("no %s in %.400s", part, body)
				}
			}
			for _, part := range tc.gone {
				if strings.Contains(body, part) {
					t.Errorf("%s is there", part)
				}
			}
			if !contains(w.warnings, "the alert was too large for incident.io and was cut") {
				t.Errorf("warnings %q", w.warnings)
			}
		})
	}
}

func BenchmarkPlan(b *testing.B) {
	for _, kind := range []string{mapping.IncidentCreated, mapping.IncidentUpdated, mapping.InvestigationStep} {
		b.Run(kind, func(b *testing.B) {
			w := newWorld(b)
			before := mapping.State{}
			if kind != mapping.IncidentCreated {
				w.says(full)
				before = w.state
			}
			ev, _ := mapping.ParseEvent([]byte(saying("e2", kind, `"ai_summary":"New.","severity":"warning"`, `"step":{"kind":"x"}`)), "")
			if kind == mapping.IncidentCreated {
				ev, _ = mapping.ParseEvent([]byte(full), "")
			}
			w.state = before.Apply(ev)
			in := w.input(ev, before, nil)
			b.ReportAllocs()
			for b.Loop() {
				if len(mapping.Plan(in).Next) == 0 {
					b.Fatal("no steps")
				}
			}
		})
	}
}
