package store_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tigerops/tigerops-incidentio/store"
)

// kilobyte is an event of about 1 KiB.
func kilobyte(n int64) []byte {
	return fmt.Appendf(nil, `{"id":"evt_01JDABCDEF%012d","type":"incident.updated","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"TIG-%d",`+
		`"title":"Checkout latency above SLO","severity":"critical","status":"open","service":"api-gateway","affected_services":["api-gateway","checkout"],`+
		`"team":"payments","environment":"production","ai_summary":%q}}`, n, n%200, strings.Repeat("lorem ipsum ", 58))
}

// known is what the agent's door has read of it.
func known(n int64) store.Known {
	return store.Known{ID: fmt.Sprintf("evt_01JDABCDEF%012d", n), Type: "incident.updated", Incident: fmt.Sprint("TIG-", n%200), Severity: "critical"}
}

// callers runs b.N calls from so many goroutines.
func callers(b *testing.B, n int, call func(i int64)) {
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var wait sync.WaitGroup
	for range n {
		wait.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				call(i)
			}
		})
	}
	wait.Wait()
}

func BenchmarkInsertEvents(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("callers=", n), func(b *testing.B) {
			s := open(b, ready(b))
			callers(b, n, func(i int64) {
				if _, err := s.InsertEvents(ctx, [][]byte{kilobyte(i)}, known(i)); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

func BenchmarkInsertWebhook(b *testing.B) {
	body := []byte(`{"event_type":"public_incident.incident_updated_v2","public_incident.incident_updated_v2":{"id":"I","text":"` + strings.Repeat("lorem ipsum ", 330) + `"}}`)
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("callers=", n), func(b *testing.B) {
			s := open(b, ready(b))
			callers(b, n, func(i int64) {
				if _, err := s.InsertWebhook(ctx, fmt.Sprint("msg_", i), body); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// filled is a store with n waiting events on 200 incidents.
func filled(b *testing.B, n int) *store.Store {
	b.Helper()
	s := open(b, ready(b))
	for at := 0; at < n; {
		var payloads [][]byte
		for ; at < n && len(payloads) < 1000; at++ {
			payloads = append(payloads, kilobyte(int64(at)))
		}
		insert(b, s, payloads...)
	}
	return s
}

// BenchmarkDeliver is what the store does for an event of one step: read it, freeze the step, end both.
func BenchmarkDeliver(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("workers=", n), func(b *testing.B) {
			s := filled(b, b.N)
			callers(b, n, func(i int64) {
				e, err := s.Event(ctx, i)
				if err == nil {
					_, err = s.Commit(ctx, store.Commit{Freeze: step(e.ID, "timeline.add")})
				}
				if err == nil {
					_, err = s.Commit(ctx, store.Commit{End: &store.StepEnd{OutboxID: e.ID, Name: "timeline.add", State: store.StepDone, HTTPStatus: 201, RemoteID: "R"},
						Finish: &store.Finish{OutboxID: e.ID, State: store.Done}, Incident: &store.IncidentState{TigerOpsID: e.IncidentKey, State: []byte(`{"open":true}`)}})
				}
				if err == nil {
					_, _, err = s.Head(ctx, e.Lane)
				}
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

func BenchmarkHead(b *testing.B) {
	s := filled(b, 20_000)
	b.Run("Head", func(b *testing.B) {
		callers(b, 1, func(i int64) {
			if _, found, err := s.Head(ctx, fmt.Sprint("TIG-", i%200)); err != nil || !found {
				b.Error(found, err)
			}
		})
	})
	b.Run("Heads", func(b *testing.B) {
		callers(b, 1, func(int64) {
			if heads, _, err := s.Heads(ctx); err != nil || len(heads) != 200 {
				b.Error(len(heads), err)
			}
		})
	})
	b.Run("Touched", func(b *testing.B) {
		callers(b, 1, func(int64) {
			if _, _, _, _, err := s.Touched(ctx, store.Cursor{LastID: 10_000}); err != nil {
				b.Error(err)
			}
		})
	})
	b.Run("Waiting", func(b *testing.B) {
		callers(b, 1, func(i int64) {
			if _, err := s.Waiting(ctx, fmt.Sprint("TIG-", i%200), 100, 10); err != nil {
				b.Error(err)
			}
		})
	})
}
