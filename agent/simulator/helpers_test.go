package simulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// newSim makes a Simulator that is closed with the test.
func newSim(tb testing.TB, o simulator.Options) *simulator.Simulator {
	tb.Helper()
	s := simulator.New(o)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			tb.Errorf("closing the simulator: %v", err)
		}
	})
	return s
}

// api sends requests as the agent would; every exchange is held against the API's description, where it is there.
type api struct {
	tb   testing.TB
	sim  http.RoundTripper
	key  string
	spec *spec
}

func newAPI(tb testing.TB, s http.RoundTripper) *api {
	return &api{tb: tb, sim: s, key: simulator.DefaultKey, spec: loadSpec(tb)}
}

// reply is an answer.
type reply struct {
	Status int
	Header http.Header
	Body   []byte
	tb     testing.TB
}

type object = map[string]any

func (a *api) do(method, path string, body any, header ...string) reply {
	a.tb.Helper()
	r, err := a.try(method, path, body, header...)
	if err != nil {
		a.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func (a *api) try(method, path string, body any, header ...string) (reply, error) {
	a.tb.Helper()
	var raw []byte
	switch b := body.(type) {
	case nil:
	case string:
		raw = []byte(b)
	default:
		var err error
		if raw, err = json.Marshal(b); err != nil {
			a.tb.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(a.tb.Context(), method, "https://api.incident.io"+path, bytes.NewReader(raw))
	if err != nil {
		a.tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	if raw != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	resp, err := (&http.Client{Transport: a.sim}).Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	r := reply{Status: resp.StatusCode, Header: resp.Header, Body: out, tb: a.tb}
	a.spec.check(a.tb, req, raw, r)
	return r, nil
}

// want fails the test unless the answer has the status.
func (r reply) want(status int) reply {
	r.tb.Helper()
	if r.Status != status {
		r.tb.Fatalf("status %d, want %d: %s", r.Status, status, r.Body)
	}
	return r
}

// at takes a value out of the answer: at("incident", "severity", "name"), with numbers for places in lists.
func (r reply) at(path ...any) any {
	r.tb.Helper()
	var v any
	if err := json.Unmarshal(r.Body, &v); err != nil {
		r.tb.Fatalf("answer is not JSON: %v: %s", err, r.Body)
	}
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(object)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				r.tb.Fatalf("%v: only %d elements: %s", path, len(l), r.Body)
			}
			v = l[p]
		}
	}
	return v
}

func (r reply) text(path ...any) string {
	r.tb.Helper()
	s, _ := r.at(path...).(string)
	return s
}

func (r reply) list(name string) []any {
	r.tb.Helper()
	l, _ := r.at(name).([]any)
	return l
}

// field is the field that the first error blames.
func (r reply) field() string { r.tb.Helper(); return r.text("errors", 0, "source", "field") }

// ids are what requests name things by.
type ids struct {
	severity, status, role, option map[string]string
	user                           map[string]string // by email
}

func idsOf(s *simulator.Simulator) ids {
	a := s.Account()
	out := ids{severity: map[string]string{}, status: map[string]string{}, role: map[string]string{}, option: map[string]string{}, user: map[string]string{}}
	for _, v := range a.Severities {
		out.severity[v.Name] = v.ID
	}
	for _, v := range a.Statuses {
		out.status[v.Name] = v.ID
	}
	for _, v := range a.Roles {
		out.role[v.Name] = v.ID
	}
	for _, v := range a.Options {
		out.option[v.Value] = v.ID
	}
	for _, v := range a.Users {
		out.user[v.Email] = v.ID
	}
	return out
}

// declared counts declarations, so that each has a key of its own.
var declared atomic.Int64

// declare makes an incident through the API and returns its id.
func (a *api) declare(s *simulator.Simulator, more object) string {
	a.tb.Helper()
	return a.do("POST", "/v2/incidents", a.declaration(s, more)).want(200).text("incident", "id")
}

func (a *api) declaration(s *simulator.Simulator, more object) object {
	body := object{"idempotency_key": fmt.Sprintf("key-%d", declared.Add(1)), "visibility": "public", "name": "Checkout is slow", "severity_id": idsOf(s).severity["SEV2"]}
	for k, v := range more {
		if v == nil {
			delete(body, k)
		} else {
			body[k] = v
		}
	}
	return body
}
