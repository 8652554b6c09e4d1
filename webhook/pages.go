package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/julienschmidt/httprouter"
)

//go:embed page
var assets embed.FS

// pagePolicy lets the pages load their own files and nothing else. Their own origin goes with a form's post: a browser that
// kept it back would say "null", as for another site's.
var pagePolicy = map[string]string{
	"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	"Referrer-Policy":         "same-origin",
	"X-Frame-Options":         "DENY",
}

func (l *listener) page(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	ctx, cancel := context.WithTimeout(r.Context(), readWithin)
	defer cancel()
	page, err := l.Page(ctx)
	if err != nil {
		return err
	}
	return render(w, http.StatusOK, statusPage(page, done(r)))
}

// title tells the state of things in a browser's tab.
func title(p Page) string {
	switch {
	case p.Queue.Dead > 0:
		return count(p.Queue.Dead, "dead event", "dead events")
	case len(p.NotReady) > 0:
		return "not ready"
	case p.Queue.Waiting > 0:
		return count(p.Queue.Waiting, "event waits", "events wait")
	}
	return "in step"
}

func (l *listener) story(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	ctx, cancel := context.WithTimeout(r.Context(), readWithin)
	defer cancel()
	id := strings.TrimPrefix(p.ByName("id"), "/")
	if id == "" {
		return notFound(w, r)
	}
	story, err := l.Story(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return &Error{Status: http.StatusNotFound, Message: "no incident " + id + " is known here", Cause: err, reason: "not_found"}
	}
	if err != nil {
		return err
	}
	return render(w, http.StatusOK, storyPage(id, story, done(r)))
}

func (l *listener) retry(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	return l.tend(w, r, p, "retry", func(ctx context.Context, id int64) error { return l.Retry(ctx, id) })
}

func (l *listener) discard(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	return l.tend(w, r, p, "discard", func(ctx context.Context, id int64) error {
		reason := strings.TrimSpace(r.PostForm.Get("reason"))
		if reason == "" {
			reason = "discarded on the status page"
		}
		return l.Discard(ctx, id, reason)
	})
}

// tend does what a button of a page asks for and leads back to that page.
func (l *listener) tend(w http.ResponseWriter, r *http.Request, p httprouter.Params, what string, do func(context.Context, int64) error) error {
	id, err := strconv.ParseInt(p.ByName("id"), 10, 64)
	if err != nil {
		return badRequest("the id of an event in the outbox is a number", nil)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxReason)
	if err := r.ParseForm(); err != nil {
		return bodyFault(err, "the form can't be read")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeWithin)
	defer cancel()
	switch err := do(ctx, id); {
	case errors.Is(err, ErrNotFound):
		return &Error{Status: http.StatusNotFound, Message: fmt.Sprintf("there is no event %d in the outbox", id), Cause: err, reason: "not_found"}
	case errors.Is(err, ErrConflict):
		return &Error{Status: http.StatusConflict, Message: fmt.Sprintf("event %d is not dead any more, so there is nothing to %s", id, what), Cause: err, reason: "conflict"}
	case err != nil:
		return err
	}
	back := "/"
	if from := r.PostForm.Get("from"); from != "" {
		back = "/incidents/" + url.PathEscape(from)
	}
	http.Redirect(w, r, back+"?"+url.Values{"done": {what}, "event": {strconv.FormatInt(id, 10)}}.Encode(), http.StatusSeeOther)
	return nil
}

// done reads what tend has put into the address. Its words are fixed, so that an address made up elsewhere says nothing.
func done(r *http.Request) string {
	event, err := strconv.ParseInt(r.URL.Query().Get("event"), 10, 64)
	if err != nil {
		return ""
	}
	switch r.URL.Query().Get("done") {
	case "retry":
		return fmt.Sprintf("Event %d is due again.", event)
	case "discard":
		return fmt.Sprintf("Event %d is discarded.", event)
	}
	return ""
}

// errorPage answers e to a person.
func (l *listener) errorPage(w http.ResponseWriter, e *Error) {
	if render(w, e.Status, errorPage(http.StatusText(e.Status), e)) != nil {
		writeError(w, e)
	}
}

// render writes a page in full or not at all.
func render(w http.ResponseWriter, status int, page templ.Component) error {
	var b bytes.Buffer
	if err := page.Render(context.Background(), &b); err != nil {
		return &Error{Status: http.StatusInternalServerError, Message: "the page could not be made", Cause: err, reason: "template"}
	}
	for name, value := range pagePolicy {
		w.Header().Set(name, value)
	}
	write(w, status, "text/html; charset=utf-8", b.Bytes())
	return nil
}

// assetTypes are the files that browsers get as they are, with types that do not depend on the machine's own list.
var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func (l *listener) asset(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	name := p.ByName("name")
	file, err := assets.ReadFile("page/" + name)
	kind := assetTypes[path.Ext(name)]
	if err != nil || kind == "" {
		return notFound(w, r)
	}
	sum := sha256.Sum256(file)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file))
	return nil
}

func ago(d time.Duration) string {
	text, ahead := "", d < 0
	if ahead {
		d = -d
	}
	switch {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		text = fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		text = fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		text = fmt.Sprintf("%d h", int(d.Hours()))
	default:
		text = fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	if ahead {
		return "in " + text
	}
	return text + " ago"
}

// count says a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// tone gives the style of a state's word; a word that is not known has none.
func tone(state string) string {
	switch state {
	case "done", "applied", "resolved":
		return "good"
	case "pending", "open", "waiting":
		return "busy"
	case "dead", "refused", "rejected", "failed":
		return "bad"
	}
	return ""
}

// joined are the texts that are not empty, with dots between.
func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), " · ")
}
