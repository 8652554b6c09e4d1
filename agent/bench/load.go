package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// gun makes the requests of one caller: next gives the bytes of request n, head and body, which it may overwrite at the
// following call.
type gun interface {
	next(n int64) (head, body []byte)
}

// volley is what came of firing.
type volley struct {
	acked     []int64 // the numbers of the requests that were answered as wanted
	latencies []time.Duration
	took      time.Duration
}

func (v volley) rate() float64 { return float64(len(v.acked)) / v.took.Seconds() }

// fire lets callers send request after request, each on a connection of its own, until the time is up. It counts answers
// with the wanted status; any other is an error. It spends as little of the machine as it can, since the server has to
// share it, and spends the same on every side.
func fire(addr string, callers int, d time.Duration, status int, numbers *atomic.Int64, make func() gun) (volley, error) {
	conns := []net.Conn{}
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range callers {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return volley{}, err
		}
		conns = append(conns, c)
	}
	var (
		mu     sync.Mutex
		all    volley
		failed error
		group  sync.WaitGroup
	)
	began := time.Now()
	end := began.Add(d)
	for _, c := range conns {
		group.Go(func() {
			var own volley
			err := shoot(c, end, status, numbers, make(), &own)
			mu.Lock()
			defer mu.Unlock()
			all.acked = append(all.acked, own.acked...)
			all.latencies = append(all.latencies, own.latencies...)
			failed = errors.Join(failed, err)
		})
	}
	group.Wait()
	all.took = time.Since(began)
	return all, failed
}

func shoot(c net.Conn, end time.Time, status int, numbers *atomic.Int64, g gun, v *volley) error {
	r := bufio.NewReader(c)
	var buf []byte
	for {
		start := time.Now()
		if !start.Before(end) {
			return nil
		}
		n := numbers.Add(1)
		head, body := g.next(n)
		buf = append(append(buf[:0], head...), body...)
		if err := c.SetDeadline(start.Add(30 * time.Second)); err != nil {
			return err
		}
		if _, err := c.Write(buf); err != nil {
			return fmt.Errorf("send request %d: %w", n, err)
		}
		got, answer, err := readAnswer(r)
		if err != nil {
			return fmt.Errorf("read the answer to request %d: %w", n, err)
		}
		if got != status {
			return fmt.Errorf("request %d is answered %d %s", n, got, bytes.TrimSpace(answer))
		}
		v.acked = append(v.acked, n)
		v.latencies = append(v.latencies, time.Since(start))
	}
}

// readAnswer reads what these servers answer: a status line, headers with a length where there is a body, the body.
func readAnswer(r *bufio.Reader) (status int, body []byte, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, fmt.Errorf("no status line: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, fmt.Errorf("no status line: %q", line)
	}
	length := -1
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, nil, fmt.Errorf("no length: %q", line)
			}
		}
	}
	switch {
	case status == http.StatusNoContent || length == 0:
		return status, nil, nil
	case length < 0:
		return 0, nil, errors.New("an answer without a length")
	case status < 300:
		_, err = r.Discard(length)
		return status, nil, err
	}
	body = make([]byte, length)
	for n := 0; n < length && err == nil; {
		var m int
		m, err = r.Read(body[n:])
		n += m
	}
	return status, body, err
}

// digits is how wide the numbers of requests are written, so that a request has the same length whatever its number.
const digits = 12

func putNumber(at []byte, n int64) {
	for i := len(at) - 1; i >= 0; i-- {
		at[i] = byte('0' + n%10)
		n /= 10
	}
}

// eventGun posts investigation steps with time-ordered ids, one after the other to different incidents.
type eventGun struct {
	head, body []byte
	id, lane   []byte // where they stand in body
	seq        []byte
	incidents  int64
}

func newEventGun(addr string, incidents int) *eventGun {
	body := stepEvent(0, 0)
	head := fmt.Sprintf("POST /v1/events HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", addr, len(body))
	g := &eventGun{head: []byte(head), body: body, incidents: int64(incidents)}
	at := func(mark string, wide int) []byte {
		i := bytes.Index(body, []byte(mark)) + len(mark)
		return body[i : i+wide]
	}
	g.id, g.lane, g.seq = at(`"id":"evt_`, digits), at(`"incident":{"id":"TIG-`, 6), at(`"title":"step `, digits)
	return g
}

func (g *eventGun) next(n int64) (head, body []byte) {
	putNumber(g.id, n)
	putNumber(g.seq, n)
	putNumber(g.lane, n%g.incidents)
	return g.head, g.body
}

func eventID(n int64) string { return fmt.Sprintf("evt_%0*d", digits, n) }

// stepEvent is an investigation step of about 1 KiB, as TigerOps sends it. n is told in its title, for the sink to check
// the order by.
func stepEvent(n int64, incident int) []byte {
	return fmt.Appendf(nil, `{"id":"%s","type":"investigation.step","timestamp":"2026-11-23T02:00:00Z","incident":{"id":"TIG-%06d"},`+
		`"actor":{"name":"TigerOps"},"step":{"kind":"note","title":"step %0*d","detail":"%s"}}`, eventID(n), incident, digits, n, stepDetail)
}

var stepDetail = func() string {
	const sentence = "The p99 latency of checkout rose from 180 ms to 2.3 s after deployment 9f2c1e7 of api-gateway; the connection pool of payments-db is exhausted, and 14 of 20 pods wait for a connection. "
	var b []byte
	for len(b) < 780 {
		b = append(b, sentence...)
	}
	return string(b[:780])
}()
