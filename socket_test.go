package main_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/webhook"
)

// While the service manager holds the port, webhooks come through any number of restarts: each is answered 204 by the
// process that stops or by the one that starts, and is on disk.
func TestARestartBehindASocketDropsNoWebhook(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	r := newRig(t, simulator.Options{})
	if r.socket, err = ln.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.socket.Close() }()
	r.start()

	// Each webhook on a connection of its own, as a proxy sends them.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	post := func(id string) error {
		body := []byte(`{"event_type":"public_incident.something_new_v9"}`)
		signature, err := webhook.SignStandard(testSecret, id, time.Now(), body)
		if err != nil {
			return err
		}
		req, err := http.NewRequest(http.MethodPost, "http://"+ln.Addr().String()+"/webhooks/incident-io", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("webhook-id", id)
		req.Header.Set("webhook-timestamp", itoa(time.Now().Unix()))
		req.Header.Set("webhook-signature", signature)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			return fmt.Errorf("%s: %s", id, resp.Status)
		}
		return nil
	}
	enough := make(chan struct{})
	var senders sync.WaitGroup
	var sent [16]int
	for i := range sent {
		senders.Go(func() {
			for {
				select {
				case <-enough:
					return
				default:
				}
				if err := post(fmt.Sprintf("msg_%d_%d", i, sent[i])); err != nil {
					t.Errorf("a webhook was lost: %v", err)
					return
				}
				sent[i]++
			}
		})
	}
	for range 10 {
		if status := r.stop(); status != 0 {
			t.Errorf("the agent ends with status %d", status)
		}
		r.start()
	}
	close(enough)
	senders.Wait()
	all := 0
	for _, n := range sent {
		all += n
	}
	if got := r.query("SELECT count(*) FROM webhook"); got[0] != fmt.Sprint(all) {
		t.Errorf("%s webhooks are on disk, %d were answered 204", got[0], all)
	}
	t.Logf("%d webhooks over ten restarts", all)
}
