package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
)

// sink answers the calls that a step on a declared incident causes, at once.
type sink struct {
	ids   atomic.Int64
	steps atomic.Int64
	want  int64
	done  chan struct{}
}

var accountAnswers = map[string]string{
	"/v1/identity":          `{"identity":{"name":"bench","roles":["viewer"],"dashboard_url":"https://app.incident.io/example"}}`,
	"/v1/severities":        `{"severities":[{"id":"v1","name":"SEV1","rank":3},{"id":"v2","name":"SEV2","rank":2},{"id":"v3","name":"SEV3","rank":1}]}`,
	"/v1/incident_statuses": `{"incident_statuses":[{"id":"s1","name":"Investigating","category":"live","rank":1},{"id":"s2","name":"Closed","category":"closed","rank":2}]}`,
	"/v1/incident_types":    `{"incident_types":[]}`,
	"/v2/incident_roles":    `{"incident_roles":[]}`,
	"/v2/custom_fields":     `{"custom_fields":[]}`,
}

func (s *sink) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	status, body := http.StatusOK, accountAnswers[r.URL.Path]
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v2/incidents":
		body = fmt.Sprintf(`{"incident":{"id":"i%d","reference":"INC-1","name":"x","created_at":"2026-11-23T02:00:00Z","updated_at":"2026-11-23T02:00:00Z",
			"incident_status":{"id":"s1","name":"Investigating","category":"live"},"mode":"standard","visibility":"public"}}`, s.ids.Add(1))
	case r.URL.Path == "/v2/incident_timeline_items" && r.Method == http.MethodPost:
		status, body = http.StatusCreated, fmt.Sprintf(`{"incident_timeline_item":{"id":"t%d"}}`, s.ids.Add(1))
		if s.steps.Add(1) == s.want {
			close(s.done)
		}
	case body == "":
		body = `{"incidents":[],"incident_updates":[],"incident_timeline_items":[],"pagination_meta":{"page_size":250}}`
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: int64(len(body)),
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(body))),
	}, nil
}

// BenchmarkDrain delivers investigation steps of 200 incidents, one request each, to a sink that answers at once: what an
// event costs the agent and the database.
func BenchmarkDrain(b *testing.B) {
	for _, incidents := range []int{200, 1} {
		b.Run(fmt.Sprintf("incidents=%d", incidents), func(b *testing.B) {
			s := &sink{want: int64(b.N), done: make(chan struct{})}
			w := newWorld(b, worldOptions{
				config: func(c *Config) { c.RateLimit, c.Workers, c.WebhookSecrets = 1_000_000_000, 16, nil },
				agent:  func(o *Options) { o.HTTP, o.Log = &http.Client{Transport: s}, slog.New(slog.DiscardHandler) },
			})
			for i := range incidents {
				benchEvent(w, fmt.Sprintf(`{"id":"c%d","type":"incident.created","incident":{"id":"T%d","title":"x","severity":"critical"}}`, i, i))
			}
			batch := make([][]byte, 0, 1000)
			for i := range b.N {
				batch = append(batch, fmt.Appendf(nil, `{"id":"s%d","type":"investigation.step","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"T%d"},"step":{"kind":"note","title":"step %d"}}`, i, i%incidents, i))
				if len(batch) == cap(batch) || i == b.N-1 {
					if _, err := w.a.st.InsertEvents(b.Context(), batch); err != nil {
						b.Fatal(err)
					}
					batch = batch[:0]
				}
			}
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			b.ReportAllocs()
			b.ResetTimer()
			go func() { ended <- w.a.Run(ctx) }()
			<-s.done
			b.StopTimer()
			stop()
			if err := <-ended; err != nil {
				b.Error(err)
			}
		})
	}
}

func benchEvent(w *world, payload string) {
	if _, err := w.a.st.InsertEvents(w.ctx, [][]byte{[]byte(payload)}); err != nil {
		w.Fatal(err)
	}
}
