package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shots is where screenshots of the page are kept for a person to look at: go test . -run Browser -shots DIR
var shots = flag.String("shots", "", "keep screenshots of the page in this `directory`")

// browser is a headless Chromium, driven through chromedriver by the W3C's WebDriver protocol. The protocol is a few
// JSON calls, so it takes no module to speak it.
type browser struct {
	t       testing.TB
	session string // its URL
	client  *http.Client
}

// element is how WebDriver names one of the page's elements.
type element struct {
	ID string `json:"element-6066-11e4-a52e-4f735466cecf"`
}

// newBrowser starts one. Where there is none the test is skipped.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	driver, err := exec.LookPath("chromedriver")
	if err != nil {
		t.Skip("chromedriver is not installed (apt-get install chromium chromium-driver)")
	}
	chromium := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			chromium = found
			break
		}
	}
	if chromium == "" {
		t.Skip("chromium is not installed (apt-get install chromium chromium-driver)")
	}
	port := freePort(t)
	var log lockedBuffer
	cmd := exec.Command(driver, "--port="+port)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("chromedriver:\n%s", tail(log.String(), 20))
		}
	})
	b := &browser{t: t, session: "http://127.0.0.1:" + port + "/session", client: &http.Client{Timeout: 2 * time.Minute}}
	eventually(t, "chromedriver answers", func() bool {
		resp, err := b.client.Get("http://127.0.0.1:" + port + "/status")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	args := []string{"--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-proxy-server", "--user-data-dir=" + t.TempDir()}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // it refuses to run as root otherwise
	}
	var made struct {
		ID string `json:"sessionId"`
	}
	b.call(http.MethodPost, "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"goog:chromeOptions": map[string]any{"binary": chromium, "args": args},
		"goog:loggingPrefs":  map[string]any{"browser": "ALL"},
		"timeouts":           map[string]any{"pageLoad": 60_000, "script": 60_000},
	}}}, &made)
	b.session += "/" + made.ID
	t.Cleanup(func() { b.call(http.MethodDelete, "", nil, nil) })
	return b
}

// call makes one call of the protocol; into takes the value of its answer.
func (b *browser) call(method, path string, body, into any) {
	b.t.Helper()
	var data []byte
	if method == http.MethodPost {
		if body == nil {
			body = struct{}{}
		}
		var err error
		if data, err = json.Marshal(body); err != nil {
			b.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, b.session+path, bytes.NewReader(data))
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatalf("browser: %s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		b.t.Fatalf("browser: %s %s: %v", method, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		b.t.Fatalf("browser: %s %s %s: %s", method, path, data, answer.Value)
	}
	if into != nil {
		if err := json.Unmarshal(answer.Value, into); err != nil {
			b.t.Fatalf("browser: %s %s answers %s: %v", method, path, answer.Value, err)
		}
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.call(http.MethodPost, "/url", map[string]any{"url": url}, nil)
}

func (b *browser) at() (url string) {
	b.t.Helper()
	b.call(http.MethodGet, "/url", nil, &url)
	return url
}

func (b *browser) title() (title string) {
	b.t.Helper()
	b.call(http.MethodGet, "/title", nil, &title)
	return title
}

// devtools makes a call of the browser's own protocol, for what WebDriver has no word for.
func (b *browser) devtools(cmd string, params map[string]any) {
	b.t.Helper()
	b.call(http.MethodPost, "/goog/cdp/execute", map[string]any{"cmd": cmd, "params": params}, nil)
}

// script runs the body of a function in the page.
func (b *browser) script(into any, body string, args ...any) {
	b.t.Helper()
	b.call(http.MethodPost, "/execute/sync", map[string]any{"script": body, "args": append([]any{}, args...)}, into)
}

// all are the elements that a CSS selector finds.
func (b *browser) all(css string) (found []element) {
	b.t.Helper()
	b.call(http.MethodPost, "/elements", map[string]any{"using": "css selector", "value": css}, &found)
	return found
}

// the waits for the one element that a CSS selector finds.
func (b *browser) the(css string) element {
	b.t.Helper()
	var found []element
	eventually(b.t, "the page has one "+css, func() bool { found = b.all(css); return len(found) == 1 })
	return found[0]
}

// sees waits until text is to be seen in what a CSS selector finds first.
func (b *browser) sees(css, text string) {
	b.t.Helper()
	eventually(b.t, fmt.Sprintf("%s says %q", css, text), func() bool {
		var said string
		b.script(&said, `return document.querySelector(arguments[0])?.innerText ?? ""`, css)
		return strings.Contains(said, text)
	})
}

func (b *browser) click(e element) {
	b.t.Helper()
	b.call(http.MethodPost, "/element/"+e.ID+"/click", nil, nil)
}

func (b *browser) write(e element, text string) {
	b.t.Helper()
	b.call(http.MethodPost, "/element/"+e.ID+"/value", map[string]any{"text": text}, nil)
}

// label is what a screen reader calls the element.
func (b *browser) label(e element) (label string) {
	b.t.Helper()
	b.call(http.MethodGet, "/element/"+e.ID+"/computedlabel", nil, &label)
	return label
}

// press presses a key, wherever the focus is.
func (b *browser) press(key string) {
	b.t.Helper()
	b.call(http.MethodPost, "/actions", map[string]any{"actions": []any{map[string]any{
		"type": "key", "id": "keyboard", "actions": []any{map[string]any{"type": "keyDown", "value": key}, map[string]any{"type": "keyUp", "value": key}},
	}}}, nil)
}

// screen gives the page a size, and what the browser's user prefers.
func (b *browser) screen(width, height int, scheme string) {
	b.t.Helper()
	b.devtools("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
	b.devtools("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}})
}

// shot keeps a screenshot of the whole page where -shots asks for it.
func (b *browser) shot(name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	var answer struct {
		Data string `json:"data"`
	}
	b.call(http.MethodPost, "/goog/cdp/execute", map[string]any{"cmd": "Page.captureScreenshot", "params": map[string]any{"captureBeyondViewport": true}}, &answer)
	data, err := base64.StdEncoding.DecodeString(answer.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(*shots, name+".png"), data, 0o644)
	}
	if err != nil {
		b.t.Errorf("keep a screenshot: %v", err)
	}
}

// complaints are what the browser has written to its console as errors since the last call.
func (b *browser) complaints() (all []string) {
	b.t.Helper()
	var log []struct{ Level, Message string }
	b.call(http.MethodPost, "/se/log", map[string]any{"type": "browser"}, &log)
	for _, l := range log {
		if l.Level == "SEVERE" {
			all = append(all, l.Message)
		}
	}
	return all
}
