package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"iter"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// webhookGroup is a webhook verified and stored: the agent, Svix' library with goqite, and verification alone.
func webhookGroup(quick bool) *group {
	d := pick(quick, 200*time.Millisecond, 2*time.Second)
	return &group{
		name: "webhook",
		sides: []side{
			{"agent", func(w *world, dir string) (figures, error) { return webhooksOfAgent(w, dir, d) }},
			{"svix", func(w *world, dir string) (figures, error) { return webhooksOfPeer(w, dir, d, "svix.db") }},
			{"verify", func(w *world, dir string) (figures, error) { return webhooksOfPeer(w, dir, d, "") }},
		},
		rows: []row{
			{what: "webhook of 4 KiB verified and stored, 16 callers, against svix + goqite", ours: "agent/16 callers", peer: "svix/16 callers", unit: "/s", must: 4, aim: 6},
			{what: "the same, p99", ours: "agent/16 callers p99", peer: "svix/16 callers p99", unit: "ms", less: true, must: 0.4, aim: 0.3},
			{what: "of it the processor time of one request, what is looked at meanwhile included", ours: "agent/16 callers cpu", peer: "svix/16 callers cpu", unit: "µs", less: true, info: true},
			{what: "the same, 64 callers, against verification alone", ours: "agent/64 callers", peer: "verify/64 callers", unit: "/s", must: 0.35, aim: 0.5},
		},
	}
}

// webhookBody is a webhook of incident.io's about an incident, of about 4 KiB.
var webhookBody = func() []byte {
	const kind = "public_incident.incident_updated_v2"
	return fmt.Appendf(nil, `{"event_type":"%s","%s":{"id":"01STRANGER0000000000000000","reference":"INC-4711","name":"Checkout latency above SLO",`+
		`"mode":"standard","visibility":"public","incident_status":%s,"severity":%s,"summary":"%s","created_at":"2026-11-23T01:00:00Z","updated_at":"2026-11-23T02:00:00Z"}}`,
		kind, kind, sinkStatus, sinkSeverity, strings.Repeat("Customers see errors at checkout. ", 104))
}()

// webhookGun signs each webhook, with an id of its own.
type webhookGun struct {
	head          []byte
	id, signature []byte // where they stand in head
	mac           hash.Hash
	signed        []byte // what is signed before the body, and where the id stands in it
	signedID      []byte
	sum           []byte
}

func newWebhookGun(addr string) *webhookGun {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(webhookSecret, "whsec_"))
	if err != nil {
		panic(err) // our own constant
	}
	at := time.Now().Unix()
	id := webhookID(0)
	g := &webhookGun{mac: hmac.New(sha256.New, key), signed: fmt.Appendf(nil, "%s.%d.", id, at)}
	g.head = fmt.Appendf(nil, "POST /webhooks/incident-io HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nwebhook-id: %s\r\nwebhook-timestamp: %d\r\nwebhook-signature: v1,%044d\r\n\r\n",
		addr, len(webhookBody), id, at, 0)
	i := bytes.Index(g.head, []byte("msg_")) + len("msg_")
	g.id = g.head[i : i+digits]
	i = bytes.Index(g.head, []byte("v1,")) + len("v1,")
	g.signature = g.head[i : i+44]
	g.signedID = g.signed[len("msg_") : len("msg_")+digits]
	return g
}

func webhookID(n int64) string { return fmt.Sprintf("msg_%0*d", digits, n) }

func (g *webhookGun) next(n int64) (head, body []byte) {
	putNumber(g.id, n)
	putNumber(g.signedID, n)
	g.mac.Reset()
	g.mac.Write(g.signed)
	g.mac.Write(webhookBody)
	g.sum = g.mac.Sum(g.sum[:0])
	base64.StdEncoding.Encode(g.signature, g.sum)
	return g.head, webhookBody
}

func fireWebhooks(p *process, addr string, d time.Duration, f figures) (acked []int64, err error) {
	var numbers atomic.Int64
	for _, c := range doorCallers[1:] {
		f[c.name+" cpu"], err = p.spent(func() (int, error) {
			v, err := fire(addr, c.n, d, 204, &numbers, func() gun { return newWebhookGun(addr) })
			f[c.name], f[c.name+" p99"] = v.rate(), millis(quantile(v.latencies, 0.99))
			acked = append(acked, v.acked...)
			return len(v.acked), err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return acked, nil
}

func webhookIDs(numbers []int64) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, n := range numbers {
			if !yield(webhookID(n)) {
				return
			}
		}
	}
}

func webhooksOfAgent(w *world, dir string, d time.Duration) (figures, error) {
	s, err := newSink(0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	a, err := w.newAgent(dir, s.url())
	if err != nil {
		return nil, err
	}
	defer a.kill()
	f := figures{}
	acked, err := fireWebhooks(a.process, a.hooks, d, f)
	if err != nil {
		return nil, err
	}
	a.kill()
	return f, holds(a.db, `SELECT id FROM webhook`, webhookIDs(acked))
}

func webhooksOfPeer(w *world, dir string, d time.Duration, db string) (figures, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	args := []string{"-addr", addr, "-secret", webhookSecret}
	file := filepath.Join(dir, db)
	if db != "" {
		args = append(args, "-db", file)
	}
	p, err := start(dir, nil, "http://"+addr+"/healthz", w.program("svix"), args...)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	f := figures{}
	acked, err := fireWebhooks(p, addr, d, f)
	if err != nil || db == "" {
		return f, err
	}
	p.kill()
	n, err := oneNumber(file, `SELECT count(*) FROM goqite`)
	if err == nil && n < int64(len(acked)) {
		err = fmt.Errorf("kill -9 lost %d of %d that were acknowledged", int64(len(acked))-n, len(acked))
	}
	return f, err
}
