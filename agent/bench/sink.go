package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sink is as much of incident.io as the measurements need: it takes incidents, timeline items and updates, gives each
// idempotency key's thing once, and answers the account's settings. It counts steps, by their keys, and checks that those of
// an incident come in order. It spends as little of the machine as it can, since the agent has to share it, and spends the
// same on every side. Where incident.io's strictness matters, `simulate` stands in its place.
type sink struct {
	ln    net.Listener
	delay time.Duration      // before each answer to a POST
	onHit func(at time.Time) // told of each step and each alert when it has come in; may be nil
	all   atomic.Int64       // requests

	mu        sync.Mutex
	incidents map[string]*sinkIncident // by id
	byKey     map[string]*sinkIncident // by idempotency key
	steps     int                      // with keys not seen before
	disorder  int                      // steps that came after a later one
	want      int
	wanted    chan time.Time
	conns     map[net.Conn]bool
}

type sinkIncident struct {
	id     string
	answer []byte
	seen   map[string]bool // keys of steps
	last   int64
}

func newSink(delay time.Duration) (*sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{ln: ln, delay: delay, incidents: map[string]*sinkIncident{}, byKey: map[string]*sinkIncident{}, conns: map[net.Conn]bool{}}
	go s.serve()
	return s, nil
}

func (s *sink) addr() string { return s.ln.Addr().String() }
func (s *sink) url() string  { return "http://" + s.addr() }

func (s *sink) close() {
	s.ln.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

func (s *sink) serve() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		go func() {
			s.talk(c)
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
	}
}

// talk answers one connection's requests until it ends. An error is the client's going away.
func (s *sink) talk(c net.Conn) {
	r := bufio.NewReader(c)
	var body, out []byte
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.ContentLength < 0 {
			body, err = io.ReadAll(req.Body)
		} else {
			if int64(cap(body)) < req.ContentLength {
				body = make([]byte, req.ContentLength)
			}
			body = body[:req.ContentLength]
			_, err = io.ReadFull(req.Body, body)
		}
		if err != nil {
			return
		}
		s.all.Add(1)
		status, answer := s.answer(req, body, time.Now())
		if s.delay > 0 && req.Method == http.MethodPost {
			time.Sleep(s.delay)
		}
		out = fmt.Appendf(out[:0], "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", status, http.StatusText(status), len(answer))
		if _, err := c.Write(append(out, answer...)); err != nil {
			return
		}
	}
}

func (s *sink) answer(r *http.Request, body []byte, at time.Time) (int, []byte) {
	path := r.URL.Path
	if r.Method == http.MethodPost {
		switch {
		case path == "/v2/incident_timeline_items":
			return s.step(body, at)
		case path == "/v2/incidents":
			return s.declare(body)
		case path == "/v2/incident_updates":
			return http.StatusCreated, []byte(`{"incident_update":{"id":"01UPDATE000000000000000000"}}`)
		case strings.HasPrefix(path, "/v2/incidents/"): // an edit
			if i := s.incident(strings.Split(path, "/")[3]); i != nil {
				return http.StatusOK, i.answer
			}
		case strings.HasPrefix(path, "/v2/alert_events/http/"):
			if s.onHit != nil {
				s.onHit(at)
			}
			s.mu.Lock()
			s.hitLocked(at)
			s.mu.Unlock()
			return http.StatusAccepted, []byte(`{"deduplication_key":"key","message":"Event accepted for processing","status":"success"}`)
		}
		return http.StatusNotFound, []byte(`{"type":"not_found","status":404,"errors":[]}`)
	}
	if settings, ok := sinkSettings[path]; ok {
		return http.StatusOK, []byte(settings)
	}
	if id, ok := strings.CutPrefix(path, "/v2/incidents/"); ok {
		if i := s.incident(id); i != nil {
			return http.StatusOK, i.answer
		}
	}
	return http.StatusNotFound, []byte(`{"type":"not_found","status":404,"errors":[]}`)
}

func (s *sink) incident(id string) *sinkIncident {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.incidents[id]
}

// member is a text member's value in JSON that has no blanks beside the colon, without reading the rest for meaning.
func member(body []byte, name string) string {
	_, rest, found := bytes.Cut(body, []byte(`"`+name+`":"`))
	end := bytes.IndexByte(rest, '"')
	if !found || end < 0 {
		return ""
	}
	return string(rest[:end])
}

func (s *sink) step(body []byte, at time.Time) (int, []byte) {
	id, key, title := member(body, "incident_id"), member(body, "idempotency_key"), member(body, "title")
	_, number, _ := strings.Cut(title, "step ")
	n, err := strconv.ParseInt(number, 10, 64)
	if id == "" || key == "" || err != nil {
		return http.StatusUnprocessableEntity, []byte(`{"type":"validation_error","status":422,"errors":[]}`)
	}
	if s.onHit != nil {
		s.onHit(at)
	}
	s.mu.Lock()
	i := s.incidents[id]
	if i == nil { // a peer declares none
		i = &sinkIncident{id: id, seen: map[string]bool{}}
		s.incidents[id] = i
	}
	if !i.seen[key] {
		i.seen[key] = true
		if n < i.last {
			s.disorder++
		}
		i.last = max(i.last, n)
		s.hitLocked(at)
	}
	s.mu.Unlock()
	return http.StatusCreated, fmt.Appendf(nil, `{"incident_timeline_item":{"id":"01ITEM%s","incident_id":"%s","title":"%s","timestamp":"2026-11-23T02:00:00Z","created_at":"2026-11-23T02:00:00Z","updated_at":"2026-11-23T02:00:00Z","creator":{"api_key":{"id":"01KEY","name":"bench"}}}}`, key, id, title)
}

func (s *sink) hitLocked(at time.Time) {
	s.steps++
	if s.wanted != nil && s.steps == s.want {
		s.wanted <- at
	}
}

// expect gives a channel that tells when n more steps will have come in.
func (s *sink) expect(n int) <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want, s.wanted = s.steps+n, make(chan time.Time, 1)
	return s.wanted
}

// counted tells how many incidents and steps there are, and how many steps came after a later one of their incident.
func (s *sink) counted() (incidents, steps, disorder int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.incidents), s.steps, s.disorder
}

// keys are the idempotency keys of all steps that came.
func (s *sink) keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, i := range s.incidents {
			for key := range i.seen {
				if !yield(key) {
					return
				}
			}
		}
	}
}

func (s *sink) declare(body []byte) (int, []byte) {
	key, name := member(body, "idempotency_key"), member(body, "name")
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.byKey[key]
	if i == nil {
		n := len(s.incidents) + 1
		i = &sinkIncident{id: fmt.Sprintf("01INCIDENT%016d", n), seen: map[string]bool{}}
		now := time.Now().UTC().Format(time.RFC3339Nano)
		i.answer = fmt.Appendf(nil, `{"incident":{"id":"%s","reference":"INC-%d","name":"%s","summary":"%s","permalink":"https://app.incident.io/bench/incidents/%d",`+
			`"mode":"standard","visibility":"public","incident_status":%s,"severity":%s,"creator":{"api_key":{"id":"01KEY","name":"bench"}},`+
			`"incident_role_assignments":[],"custom_field_entries":[],"created_at":"%s","updated_at":"%s"}}`,
			i.id, n, name, member(body, "summary"), n, sinkStatus, sinkSeverity, now, now)
		s.byKey[key], s.incidents[i.id] = i, i
	}
	return http.StatusOK, i.answer
}

const (
	sinkSeverity = `{"id":"01SEV1","name":"SEV1","description":"","rank":3}`
	sinkStatus   = `{"id":"01INVESTIGATING","name":"Investigating","description":"","category":"live","rank":2}`
	noMore       = `"pagination_meta":{"page_size":250}`
)

// sinkSettings are the answers that never change. Nobody works in this incident.io, so no list of what people did has
// anything in it.
var sinkSettings = map[string]string{
	"/v1/identity":   `{"identity":{"name":"bench","roles":["viewer","incident_creator","incident_editor"],"dashboard_url":"https://app.incident.io/bench"}}`,
	"/v1/severities": `{"severities":[` + sinkSeverity + `,{"id":"01SEV2","name":"SEV2","description":"","rank":2},{"id":"01SEV3","name":"SEV3","description":"","rank":1}]}`,
	"/v1/incident_statuses": `{"incident_statuses":[` + sinkStatus + `,{"id":"01MONITORING","name":"Monitoring","description":"","category":"live","rank":4},` +
		`{"id":"01DOCUMENTING","name":"Documenting","description":"","category":"learning","rank":6},{"id":"01CLOSED","name":"Closed","description":"","category":"closed","rank":8}]}`,
	"/v1/incident_types":          `{"incident_types":[{"id":"01TYPE","name":"Default","is_default":true,"private_incidents_only":false,"create_in_triage":"optional"}]}`,
	"/v2/incident_roles":          `{"incident_roles":[{"id":"01LEAD","name":"Incident Lead","role_type":"lead","shortform":"lead"}]}`,
	"/v2/custom_fields":           `{"custom_fields":[]}`,
	"/v2/users":                   `{"users":[],` + noMore + `}`,
	"/v2/incidents":               `{"incidents":[],` + noMore + `}`,
	"/v2/incident_updates":        `{"incident_updates":[],` + noMore + `}`,
	"/v2/incident_timeline_items": `{"incident_timeline_items":[],` + noMore + `}`,
	"/v3/actions":                 `{"actions":[],` + noMore + `}`,
	"/v3/follow_ups":              `{"follow_ups":[],` + noMore + `}`,
	"/v1/postmortem_documents":    `{"postmortem_documents":[],` + noMore + `}`,
	"/v2/escalations":             `{"escalations":[],` + noMore + `}`,
	"/v2/alerts":                  `{"alerts":[],` + noMore + `}`,
	"/v2/incident_alerts":         `{"incident_alerts":[],` + noMore + `}`,
}
