package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	bodyLimit      = 4 << 20   // bytes of a request that are read at all
	alertBodyLimit = 512 << 10 // bytes of an alert event, as documented; more is answered 429
)

// answer is what is written to a client.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func errorAnswer(e *apiError) *answer {
	a := &answer{status: e.Status, header: http.Header{}}
	if e.retryAfter != "" {
		a.header.Set("Retry-After", e.retryAfter)
	}
	a.header.Set("Content-Type", "application/json")
	a.body = mustJSON(e)
	return a
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("simulator: marshal %T: %v", v, err))
	}
	return b
}

// errDropped and errRefused end a request without an answer.
var (
	errDropped = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	errCut     = errors.New("cut")
)

// Handler is s itself, for those who like to read it.
func (s *Simulator) Handler() http.Handler { return s }

// ServeHTTP answers the API and, under /_sim/, the control calls. A fault that drops the connection panics with
// http.ErrAbortHandler, as net/http wants it.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/_sim" || strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.ctrl.ServeHTTP(w, r)
		return
	}
	a, err := s.handle(r)
	if a != nil {
		for k, v := range a.header {
			w.Header()[k] = v
		}
		body := a.body
		if err == errCut {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			body = body[:len(body)/2]
		}
		w.WriteHeader(a.status)
		if _, werr := w.Write(body); werr != nil {
			s.log.Debug("answer not taken", "path", r.URL.Path, "error", werr)
		}
		if err == errCut {
			if fl, ok := w.(http.Flusher); ok {
				fl.Flush()
			}
		}
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// RoundTrip answers without a network: http.Client{Transport: sim} talks to s whatever the URL's host.
func (s *Simulator) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(r.URL.Path, "/_sim") {
		w := &memoryWriter{header: http.Header{}, status: http.StatusOK}
		s.ctrl.ServeHTTP(w, r)
		return response(r, &answer{status: w.status, header: w.header, body: w.body.Bytes()}, nil), nil
	}
	a, err := s.handle(r)
	switch {
	case err == errCut:
		return response(r, &answer{status: a.status, header: a.header, body: a.body[:len(a.body)/2]}, io.ErrUnexpectedEOF), nil
	case err != nil && r.Context().Err() != nil:
		return nil, r.Context().Err()
	case err != nil:
		return nil, err
	}
	return response(r, a, nil), nil
}

func response(r *http.Request, a *answer, end error) *http.Response {
	var body io.Reader = bytes.NewReader(a.body)
	if end != nil {
		body = io.MultiReader(body, failingReader{end})
	}
	return &http.Response{StatusCode: a.status, Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(body), ContentLength: -1, Request: r}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

type memoryWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *memoryWriter) Header() http.Header         { return w.header }
func (w *memoryWriter) WriteHeader(status int)      { w.status = status }
func (w *memoryWriter) Write(b []byte) (int, error) { return w.body.Write(b) }

// handle does one API request: record, faults, the call itself. An error means that the connection is dropped, after
// half of the answer if it is errCut.
func (s *Simulator) handle(r *http.Request) (*answer, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil {
		return nil, errDropped
	}
	begin := s.o.Now()
	entry := s.seen.begin(r, body, begin.UTC())
	end := Request{ID: s.requestID()}
	pause, f := s.faults.pick(r.Method, r.URL.Path)
	if f == nil && s.o.Fault != nil {
		f = s.o.Fault(r, body)
	}
	if f != nil && f.Kind == Delay {
		pause, f = pause+f.Delay, nil
	}
	if pause > 0 {
		end.Fault = string(Delay)
	}
	if f != nil {
		end.Fault = string(f.Kind)
	}
	rt, params := s.match(r.Method, r.URL.Path)
	a, err := s.meet(r, body, rt, params, pause, f, &end)
	if a != nil && err == nil {
		end.Status = a.status
	}
	now := s.o.Now()
	end.Took = now.Sub(begin)
	if a != nil {
		a.header.Set("Date", now.UTC().Format(http.TimeFormat)) // the account's clock, also where it is not the machine's
	}
	call := ""
	if rt != nil {
		call = rt.method + " " + rt.path
	}
	s.seen.finish(entry, end, call)
	return a, err
}

// meet takes a request through its fault, if any, to its answer.
func (s *Simulator) meet(r *http.Request, body []byte, rt *route, params map[string]string, pause time.Duration, f *Fault, end *Request) (*answer, error) {
	if !s.wait(r.Context(), pause, pause > 0) {
		return nil, errDropped
	}
	kind := FaultKind("")
	if f != nil {
		kind = f.Kind
	}
	switch kind {
	case Outage:
		return nil, errRefused
	case ResetBefore:
		return nil, errDropped
	case Hang:
		s.wait(r.Context(), f.Delay, true)
		return nil, errDropped
	case StatusCode, Throttle, RefuseKey, RefuseRole, Missing:
		return f.answer(r.URL.Path, s.o.KeyName, end.ID, s.o.Now()), nil
	}
	a := s.answer(r, body, rt, params, end)
	switch kind {
	case ResetAfter:
		return nil, errDropped
	case HangAfter:
		s.wait(r.Context(), f.Delay, true)
		return nil, errDropped
	case StatusAfter:
		return f.answer(r.URL.Path, s.o.KeyName, end.ID, s.o.Now()), nil
	case Garbage:
		if a.status == http.StatusNoContent {
			a.status = http.StatusOK
		}
		a.header.Set("Content-Type", "text/html")
		a.body = []byte("<html><body>upstream connect error</body>")
	case Cut:
		return a, errCut
	}
	return a, nil
}

func (s *Simulator) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newID()
}

// wait sleeps for d, or with d 0 and hold until the client or the Simulator ends. It tells whether time alone ended it.
func (s *Simulator) wait(ctx context.Context, d time.Duration, hold bool) bool {
	if !hold {
		return true
	}
	var after <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-after:
		return true
	case <-ctx.Done():
	case <-s.life.Done():
	}
	return false
}

// call is one request on its way through its route.
type call struct {
	r      *http.Request
	q      *filters
	params map[string]string
	body   []byte
	end    *Request
}

// answer does the call. It is one at a time for the whole account, as a transaction.
func (s *Simulator) answer(r *http.Request, body []byte, rt *route, params map[string]string, end *Request) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	c := &call{r: r, q: newFilters(r.URL.Query()), params: params, body: body, end: end}
	status, v, buckets, e := s.do(c, rt, now)
	a := &answer{header: http.Header{}}
	if e != nil {
		e.RequestID = end.ID
		end.Error = e.Error()
		a = errorAnswer(e)
	} else {
		a.status = status
		if v != nil {
			a.header.Set("Content-Type", "application/json")
			a.body = s.grown(mustJSON(v))
		}
		end.Effect = rt.method != http.MethodGet && end.Verdict != KeyRepeated && end.Verdict != KeyChanged
	}
	rateHeaders(a.header, now, buckets...)
	a.header.Set("X-Request-Id", end.ID)
	return a
}

// do checks what every call is checked for, then does it. The caller holds mu.
func (s *Simulator) do(c *call, rt *route, now time.Time) (int, any, []*bucket, *apiError) {
	if rt == nil {
		return 0, nil, nil, missing("Page", c.r.URL.Path)
	}
	var buckets []*bucket
	if !rt.open {
		if e := s.authorize(c.r); e != nil {
			return 0, nil, nil, e
		}
		buckets = []*bucket{s.rate.key}
		if rt.bucket != nil {
			buckets = append(buckets, rt.bucket(&s.rate))
		}
		if b := spend(now, buckets...); b != nil {
			return 0, nil, buckets, throttled(s.key.Name, b.size, b.wait(), now)
		}
		if rt.newer && s.o.MissingNewerCalls {
			return 0, nil, buckets, missing("Page", c.r.URL.Path)
		}
		if e := s.allowed(rt.roles...); e != nil {
			return 0, nil, buckets, e
		}
	}
	if len(c.body) > bodyLimit {
		return 0, nil, buckets, plainError(http.StatusRequestEntityTooLarge, "bad_request", "too_large", "the request body is larger than %d bytes", bodyLimit)
	}
	if rt.method != http.MethodGet && !rt.open {
		if e := c.q.done(); e != nil {
			return 0, nil, buckets, e
		}
	}
	status, v, e := rt.do(s, c)
	return status, v, buckets, e
}

// grown adds to every object of an answer what nobody has heard of, if Options.Growth says so.
func (s *Simulator) grown(body []byte) []byte {
	if !s.o.Growth {
		return body
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return body
	}
	var grow func(any)
	grow = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, e := range v {
				grow(e)
			}
			v["added_later"] = map[string]any{"kind": "unheard_of", "values": []any{1, "two", nil}}
		case []any:
			for _, e := range v {
				grow(e)
			}
		}
	}
	grow(v)
	return mustJSON(v)
}
