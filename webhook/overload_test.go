package webhook_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

func TestSlowBodiesKeepNoHonestWebhookOut(t *testing.T) {
	t.Parallel()
	s, notes := &stored{}, newBook()
	addr := serve(t, &webhook.Server{Name: "webhook", Handler: receiver(s, notes, secretA), BodyWithin: time.Hour, HeaderWithin: time.Hour})
	c := client(t)
	const slow = 300
	for range slow {
		send(t, dial(t, addr), webhookRequest(t, 1<<20, []byte(`{"half":`)))
	}
	notes.wait(t, "unavailable overload", slow-64) // all but those that fit are turned away
	for i := range 10 {
		id := fmt.Sprint("msg_", i)
		status, _, body := do(t, c, http.MethodPost, "http://"+addr+webhook.WebhookPath, signed(t, secretA, "webhook-", id, time.Now(), event), bytes.NewReader(event))
		if status != http.StatusNoContent {
			t.Errorf("an honest webhook among slow ones: got %d %s", status, body)
		}
	}
	if s.len() != 10 {
		t.Errorf("%d stored, want 10", s.len())
	}
}

func TestStorageThatHangsTurnsTheRestAway(t *testing.T) {
	t.Parallel()
	notes, release := newBook(), make(chan struct{})
	r := &webhook.Receiver{
		Secrets: func() []string { return []string{secretA} },
		Observe: func(outcome, reason string) { notes.add(outcome + " " + reason) },
		Accept: func(context.Context, string, []byte) (bool, error) {
			<-release
			return false, nil
		},
	}
	addr := serve(t, &webhook.Server{Name: "webhook", Handler: r.Handler()})
	c := client(t)
	const all = 100
	status := make(chan int, all)
	for i := range all {
		header := signed(t, secretA, "webhook-", fmt.Sprint("msg_", i), time.Now(), event)
		go func() {
			req, err := http.NewRequest(http.MethodPost, "http://"+addr+webhook.WebhookPath, bytes.NewReader(event))
			if err != nil {
				status <- 0
				return
			}
			req.Header = header
			answer, err := c.Do(req)
			if err != nil {
				status <- 0
				return
			}
			answer.Body.Close()
			if answer.StatusCode == 503 && answer.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			status <- answer.StatusCode
		}()
	}
	notes.wait(t, "unavailable overload", all-64)
	close(release)
	counts := map[int]int{}
	for range all {
		counts[<-status]++
	}
	if counts[204] != 64 || counts[503] != 36 {
		t.Errorf("got %v, want 64 stored and 36 asked to come again", counts)
	}
}

func TestMemoryStaysBoundedUnderLargeBodies(t *testing.T) {
	s, notes := &stored{}, newBook()
	addr := serve(t, &webhook.Server{Name: "webhook", Handler: receiver(s, notes, secretA), BodyWithin: time.Hour})
	large := mebibyte(0)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const many = 200
	request := webhookRequest(t, len(large), large[:len(large)-1]) // the last byte never comes
	var writers sync.WaitGroup
	for range many {
		conn := dial(t, addr)
		writers.Go(func() { _, _ = conn.Write(request) }) // fails where the server has hung up
	}
	writers.Wait()
	notes.wait(t, "unavailable overload", many-64)
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := (int64(after.HeapInuse) - int64(before.HeapInuse)) >> 20
	t.Logf("%d MiB held for %d bodies of 1 MiB", held, many)
	if held > 250 {
		t.Errorf("%d MiB are held", held)
	}
	header := signed(t, secretA, "webhook-", "msg_1", time.Now(), large)
	if status, _, body := do(t, client(t), http.MethodPost, "http://"+addr+webhook.WebhookPath, header, bytes.NewReader(large)); status != 204 {
		t.Errorf("an honest large webhook: got %d %s", status, body)
	}
}
