package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// person is somebody who looks after the agent with a browser.
type person struct {
	*rig
	b *browser
}

// dead sends a runbook action that incident.io refuses for good, and returns its row in the outbox.
func (p *person) dead(event, incident string) (row string) {
	p.t.Helper()
	id, err := p.sim.Break(simulator.Fault{Method: http.MethodPost, Path: "/v3/actions", Kind: simulator.StatusCode, Status: http.StatusUnprocessableEntity,
		Body: `{"type":"validation_error","status":422,"errors":[{"code":"invalid_value","message":"The incident takes no actions now","source":{"field":"incident_id"}}]}`})
	if err != nil {
		p.t.Fatal(err)
	}
	p.event(fmt.Sprintf(`{"id":%q,"type":"runbook.action","timestamp":"2026-11-23T02:05:00Z","incident":{"id":%q},"action":{"title":%q,"status":"succeeded"}}`, event, incident, "Roll back: "+event))
	p.eventually(event+" is dead", func() bool { return p.state(event) == "dead|" })
	p.sim.Mend(id)
	return p.query("SELECT id FROM outbox WHERE event_id = ?", event)[0]
}

// state is an event's, and why it was discarded.
func (p *person) state(event string) string {
	p.t.Helper()
	return p.query("SELECT state, CASE state WHEN 'skipped' THEN reason ELSE '' END FROM outbox WHERE event_id = ?", event)[0]
}

func (p *person) created(incident, title string) {
	p.t.Helper()
	p.event(fmt.Sprintf(`{"id":%q,"type":"incident.created","timestamp":"2026-11-23T02:00:00Z","incident":{"id":%q,"title":%q,"severity":"critical","url":"https://tigerops.example/incidents/%s"}}`,
		"evt_"+incident, incident, title, incident))
	p.settled()
}

// The page in a real browser: the built program, a simulated incident.io, and Chromium, clicked.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	p := &person{rig: newRig(t, simulator.Options{}), b: b}
	p.start()
	b.screen(1280, 900, "light")

	b.open(p.local + "/")
	b.sees("h1", "in step")
	b.sees("main", "No TigerOps incident is tied to one in incident.io yet.")
	b.shot("empty")

	p.created("TIG-1", "Checkout latency above SLO")
	p.created("TIG-2", "Payments: error rate of 4 % over the last ten minutes in eu-central")
	retried, discarded := p.dead("retried", "TIG-1"), p.dead("discarded", "TIG-2")
	p.seesBothSides()
	p.canReadEverything()
	p.clicks(retried, discarded)
	p.tellsWhatWaitsForWhom()
	p.followsAStory()
	p.worksWithoutJavaScript()
	p.refusesOtherSites()
	if got := b.complaints(); len(got) != 0 {
		t.Errorf("the browser complains: %q", got)
	}

	// What is shown while the agent is away says so.
	b.open(p.local + "/")
	p.kill()
	b.sees("#fresh", "The agent does not answer")
	b.shot("away")
	p.start()
	b.sees("#live", "Checkout latency above SLO")
	b.sees("section[aria-labelledby=h-day]", "1 change") // also what was before the restart
	eventually(t, "the page is fresh again", func() bool { var said string; b.script(&said, `return fresh.textContent`); return said == "" })
}

// seesBothSides: each incident with a link into incident.io, what is dead and why. The page updates itself.
func (p *person) seesBothSides() {
	p.t.Helper()
	b := p.b
	b.sees("h1", "2 dead events") // by itself: nothing has loaded the page again
	if got := b.title(); !strings.HasPrefix(got, "2 dead events") {
		p.t.Errorf("the tab says %q", got)
	}
	b.sees("section[aria-labelledby=h-dead]", "The incident takes no actions now")
	for _, i := range p.sim.Snapshot().Incidents {
		var row string
		b.script(&row, `return document.querySelector('a[href="' + arguments[0] + '"]').closest("tr").innerText`, i.Permalink)
		for _, want := range []string{i.Name, i.Reference, i.Status.Name, "SEV1", "TIG-"} {
			if !strings.Contains(row, want) {
				p.t.Errorf("the row of %s lacks %q: %s", i.Reference, want, row)
			}
		}
	}
}

// canReadEverything holds each page against what people need: contrast, names, a focus that is seen, no scrolling sideways.
func (p *person) canReadEverything() {
	p.t.Helper()
	b := p.b
	for name, path := range map[string]string{"overview": "/", "story": "/incidents/TIG-2", "unknown": "/incidents/TIG-0"} {
		for _, width := range []int{320, 390, 800, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				if scheme == "dark" && width != 390 {
					continue // its colours are the same at any width
				}
				where := fmt.Sprintf("%s at %d, %s", name, width, scheme)
				b.screen(width, 844, scheme)
				b.open(p.local + path)
				b.shot(fmt.Sprintf("%s-%d-%s", name, width, scheme))
				var wide []string
				b.script(&wide, `const page = document.documentElement
					return [...document.body.querySelectorAll("*")].filter((e) => page.scrollWidth > page.clientWidth && e.getBoundingClientRect().right > page.clientWidth + 1).map((e) => e.outerHTML.slice(0, 100))`)
				if len(wide) != 0 {
					p.t.Errorf("%s: goes out of the screen: %q", where, wide)
				}
				b.script(&wide, `const lines = (e) => { const r = document.createRange(); r.selectNodeContents(e); return r.getBoundingClientRect().height / parseFloat(getComputedStyle(e).lineHeight) }
					return [...document.querySelectorAll("section button, section input:not([type=hidden])")].filter((e) => lines(e) > 1.5 ||
						e.getBoundingClientRect().right > e.closest("section").getBoundingClientRect().right - 8).map((e) => e.outerHTML.slice(0, 100))`)
				if len(wide) != 0 {
					p.t.Errorf("%s: a button is broken or goes out of its card: %q", where, wide)
				}
				var faint []string
				b.script(&faint, contrast)
				if len(faint) != 0 {
					p.t.Errorf("%s: hard to read: %q", where, faint)
				}
			}
		}
	}
	b.screen(1280, 900, "light")
	b.open(p.local + "/")
	for _, e := range b.all("button, input:not([type=hidden]), a, svg") {
		if b.label(e) == "" {
			p.t.Error("something that can be used has no name for a screen reader")
		}
	}

	// By keyboard: first a way past the head, then everything in its order, and the focus is always seen.
	const tab, enter = "\ue004", "\ue007"
	b.press(tab)
	b.sees(":focus-visible", "Skip to the content")
	b.press(enter)
	var reached []string
	for range b.all("#live a, #live button, #live input:not([type=hidden])") {
		b.press(tab)
		var on struct {
			Name, Style string
			Width       float64
		}
		b.script(&on, `const e = document.activeElement, s = getComputedStyle(e)
			return {Name: e.innerText || e.getAttribute("aria-label"), Style: s.outlineStyle, Width: parseFloat(s.outlineWidth)}`)
		reached = append(reached, on.Name)
		if on.Style != "solid" || on.Width < 2 {
			p.t.Errorf("the focus on %q can't be seen: outline %s %gpx", on.Name, on.Style, on.Width)
		}
	}
	for _, want := range []string{"Retry", "Discard", "Why event", "Checkout latency above SLO", "INC-1"} {
		if !slices.ContainsFunc(reached, func(s string) bool { return strings.Contains(s, want) }) {
			p.t.Errorf("the keyboard reaches %q, not %q", reached, want)
		}
	}
}

// contrast finds texts that stand out from what is behind them by less than the WCAG's 4.5 to 1.
const contrast = `
	const rgb = (c) => c.match(/[\d.]+/g).map(Number)
	const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b }
	const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c } return [255, 255, 255] }
	return [...document.body.querySelectorAll("*")].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())).map((e) => {
		const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x)
		return [(a + .05) / (b + .05), e]
	}).filter(([ratio]) => ratio < 4.5).map(([ratio, e]) => ratio.toFixed(2) + " " + e.outerHTML.slice(0, 100))`

// clicks retries one dead event and discards another with a reason; then both are seen to be in step.
func (p *person) clicks(retried, discarded string) {
	p.t.Helper()
	b := p.b
	b.open(p.local + "/")
	b.click(b.the(`form[action="/outbox/` + retried + `/retry"] button`))
	b.sees(".notice.good", "Event "+retried+" is due again.")
	b.shot("retried")
	p.eventually("it is delivered", func() bool { return p.state("retried") == "done|" })
	b.sees("h1", "1 dead event")
	if got := b.at(); got != p.local+"/" {
		p.t.Errorf("a reload of %s would tell it once more", got)
	}

	form := `form[action="/outbox/` + discarded + `/discard"] `
	b.write(b.the(form+"input[name=reason]"), "done by hand in INC-2")
	// Whoever is writing is not disturbed: what comes meanwhile is not shown until the form is gone.
	p.created("TIG-3", "Search is slow")
	b.script(nil, `document.dispatchEvent(new Event("visibilitychange"))`)
	b.click(b.the(form + "button"))
	b.sees(".notice.good", "Event "+discarded+" is discarded.")
	b.sees("#live", "Search is slow")
	if got, want := p.state("discarded"), "skipped|done by hand in INC-2"; got != want {
		p.t.Errorf("the event is %q, want %q", got, want)
	}

	// And it goes on updating itself, in the same page.
	b.script(nil, `window.same = true`)
	if err := p.sim.As("lisa@example.com").SetStatus("INC-1", "Monitoring", "Rolled back"); err != nil {
		p.t.Fatal(err)
	}
	b.sees("#live", "Monitoring")
	var same bool
	if b.script(&same, `return window.same === true`); !same {
		p.t.Error("the page was loaded anew, not updated")
	}
}

// tellsWhatWaitsForWhom: an event behind a dead one is due, and yet not sent.
func (p *person) tellsWhatWaitsForWhom() {
	p.t.Helper()
	row := p.dead("in the way", "TIG-2")
	p.event(`{"id":"waits","type":"incident.updated","timestamp":"2026-11-23T02:06:00Z","incident":{"id":"TIG-2","root_cause":"A certificate ran out"}}`)
	p.b.sees("section[aria-labelledby=h-wait]", "behind event "+row+", which is dead")
	p.b.shot("waiting")
	if out, _, _ := p.run("", "outbox", "list"); !strings.Contains(out, "-  behind event "+row+", which is dead") {
		p.t.Errorf("outbox list does not say what the event waits for:\n%s", out)
	}
	p.b.click(p.b.the(`form[action="/outbox/` + row + `/retry"] button`))
	p.settled()
}

// followsAStory from the overview: both directions on one time line, in order.
func (p *person) followsAStory() {
	p.t.Helper()
	b := p.b
	b.click(b.the(`table a[href="/incidents/TIG-1"]`))
	b.sees("h1", "Checkout latency above SLO")
	b.shot("story")
	var times, ways []string
	b.script(&times, `return [...document.querySelectorAll(".story time")].map((e) => e.dateTime)`)
	b.script(&ways, `return [...new Set([...document.querySelectorAll(".story .way")].map((e) => e.textContent))]`)
	if len(times) < 4 || !slices.IsSorted(times) {
		p.t.Errorf("the time line is at %q", times)
	}
	if len(ways) != 2 {
		p.t.Errorf("the time line has the directions %q", ways)
	}
	b.sees(".story", "incident.status_changed")
	b.sees(".story", "Rolled back (category live, incident.io status Monitoring")
	b.click(b.the("nav a"))
	b.sees("h1", "TigerOps and incident.io")
}

// worksWithoutJavaScript: the same is there, and the buttons act.
func (p *person) worksWithoutJavaScript() {
	p.t.Helper()
	b := p.b
	retried, discarded := p.dead("retried plainly", "TIG-1"), p.dead("discarded plainly", "TIG-2")
	b.devtools("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
	defer b.devtools("Emulation.setScriptExecutionDisabled", map[string]any{"value": false})
	b.open(p.local + "/")
	b.click(b.the(`form[action="/outbox/` + retried + `/retry"] button`))
	p.eventually("it is delivered", func() bool { return p.state("retried plainly") == "done|" })
	// From the incident's own page one comes back to it.
	b.click(b.the(`table a[href="/incidents/TIG-2"]`))
	b.click(b.the(`form[action="/outbox/` + discarded + `/discard"] button`))
	p.eventually("it is discarded", func() bool { return p.state("discarded plainly") == "skipped|discarded on the status page" })
	eventually(p.t, "the incident's page is back", func() bool { return strings.HasPrefix(b.at(), p.local+"/incidents/TIG-2?") })
	b.open(p.local + "/")
	b.the(`a[href="/incidents/TIG-3"]`)
}

// refusesOtherSites: a page elsewhere may hold a form that posts here, and a browser sends it; nothing comes of it.
func (p *person) refusesOtherSites() {
	p.t.Helper()
	b := p.b
	row := p.dead("evil", "TIG-3")
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<form method="post" action="`+p.local+`/outbox/`+row+`/discard"><button>Win</button></form>`)
	}))
	defer evil.Close()
	for _, origin := range []string{evil.URL, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} {
		b.open(origin)
		b.click(b.the("button"))
		b.sees("h1", "Forbidden")
		if got := p.state("evil"); got != "dead|" {
			p.t.Errorf("a form at %s made the event %q", origin, got)
		}
	}
	b.complaints() // the browser tells of the refusals
}
