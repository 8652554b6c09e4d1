package webhook_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
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
	// Whoever is to make room and has his whole body come just then is taken all the same: a few more than 64 on a busy machine.
	const late = 6
	notes.wait(t, "unavailable overload", all-64-late)
	close(release)
	counts := map[int]int{}
	for range all {
		counts[<-status]++
	}
	if counts[204] < 64 || counts[204] > 64+late || counts[204]+counts[503] != all {
		t.Errorf("got %v, want 64 stored or little more, and the rest asked to come again", counts)
	}
}

// More attackers than there are connections, of every kind at once, and more of them all the time: memory is bounded, and
// each honest webhook gets through.
func TestThousandsOfAttackersKeepNoHonestWebhookOut(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	attackers := 4000 // half of them come first, the others meanwhile
	if room := int(min(files.Cur, 1<<20)-500) / 2; room < attackers {
		t.Logf("%d attackers in place of %d: no more files may be open", room, attackers)
		attackers = room
	}
	s, notes := &stored{}, newBook()
	// A third of the first says nothing, or not enough for a request: more than there are places.
	addr := serve(t, &webhook.Server{
		Name: "webhook", Handler: receiver(s, notes, secretA), MaxConns: attackers / 8, HeaderWithin: time.Hour,
		Refused: func(_ int, reason string) { notes.add("refused " + reason) },
	})
	bomb := zipped(t, make([]byte, 4<<20))
	kinds := [][]byte{
		nil,
		[]byte("POST /webhooks/incident-io HTTP/1.1\r\nHost: x\r\nWebhook-"),
		[]byte("POST /webhooks/incident-io HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Y: "+strings.Repeat("z", 100)+"\r\n", 1000)),
		webhookRequest(t, 1<<20, []byte(`{"half":`)),
		append(fmt.Appendf(nil, "POST /webhooks/incident-io HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", len(bomb)), bomb...),
		[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	conns := make([]net.Conn, 0, attackers)
	attack := func() error {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return fmt.Errorf("attacker %d: %w", len(conns), err)
		}
		_, _ = conn.Write(kinds[len(conns)%len(kinds)]) // fails where the server has hung up
		conns = append(conns, conn)
		return nil
	}
	for range attackers / 2 {
		if err := attack(); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var more sync.WaitGroup
	more.Go(func() {
		for range attackers / 2 {
			select {
			case <-stop:
				return
			default:
			}
			if err := attack(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	const honest = 50
	for i := range honest {
		c := client(t)
		c.Transport.(*http.Transport).DisableKeepAlives = true
		id := fmt.Sprint("msg_", i)
		status, _, body := do(t, c, http.MethodPost, "http://"+addr+webhook.WebhookPath, signed(t, secretA, "webhook-", id, time.Now(), event), bytes.NewReader(event))
		if status != http.StatusNoContent {
			t.Errorf("an honest webhook: got %d %s", status, body)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	close(stop)
	more.Wait()
	for _, conn := range conns {
		_ = conn.Close()
	}
	held := (int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)) >> 20
	t.Logf("%d MiB held among %d attackers", held, attackers)
	if held > 300 {
		t.Errorf("%d MiB are held", held)
	}
	if s.len() != honest {
		t.Errorf("%d stored, want %d", s.len(), honest)
	}
	for _, kind := range []string{"refused missing_headers", "refused path", "refused header_too_large", "refused evicted"} {
		if notes.count(kind) == 0 {
			t.Errorf("not counted: %s", kind)
		}
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
