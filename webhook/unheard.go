package webhook

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
)

// What no handler hears of: net/http refuses a request by itself, or a connection ends before its request is there. Both
// can be seen on the connection: net/http writes to it, or fails to read from it, while no handler has its request.

// phases of a boundedConn.
const (
	phaseNew     = iota // it has said nothing yet, and is there to
	phaseIdle           // it has said nothing since its last answer: it may go
	phaseBegun          // some of a request has come
	phaseHandled        // a handler has the request, or had the last one and its answer is not out yet
	phaseRefused        // its end was told
)

// Words for the reasons that a Server tells Refused beside those of its handler.
const (
	reasonMalformed   = "malformed"         // 400
	reasonExpectation = "expectation"       // 417
	reasonHeader      = "header_too_large"  // 431
	reasonTransfer    = "transfer_encoding" // 501
	reasonVersion     = "http_version"      // 505
	reasonIncomplete  = "incomplete"        // the client went away in the middle of a header
	reasonSilent      = "silent"            // a new connection said nothing in time
	reasonSlow        = "slow"              // a header began and was not there in time
	reasonEvicted     = "evicted"           // it made room for another connection
)

// unheard are the answers that net/http gives by itself, in this package's words.
var unheard = map[int]Error{
	http.StatusBadRequest:                  {Message: "this is no HTTP request", reason: reasonMalformed},
	http.StatusExpectationFailed:           {Message: "no Expect but 100-continue is met here", reason: reasonExpectation},
	http.StatusRequestHeaderFieldsTooLarge: {Message: "the header is over 16 KiB", reason: reasonHeader},
	http.StatusNotImplemented:              {Message: "no Transfer-Encoding but chunked is known here", reason: reasonTransfer},
	http.StatusHTTPVersionNotSupported:     {Message: "HTTP/1.1 and 1.0 are spoken here", reason: reasonVersion},
}

// refuse tells once, and only of a connection whose request no handler has. Status 0 is for no answer.
func (c *boundedConn) refuse(status int, reason, message string) {
	if old := c.phase.Swap(phaseRefused); old != phaseRefused && c.in.refused != nil {
		c.in.refused(status, reason, message, c.RemoteAddr())
	}
}

func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	switch phase := c.phase.Load(); {
	case phase >= phaseHandled:
	case n > 0:
		c.phase.CompareAndSwap(phase, phaseBegun) // unless it was closed for a newcomer at this moment
	case err == nil, errors.Is(err, net.ErrClosed): // by this side
	case errors.Is(err, os.ErrDeadlineExceeded) && phase == phaseNew:
		c.refuse(0, reasonSilent, "nothing was said in time")
	case errors.Is(err, os.ErrDeadlineExceeded) && phase == phaseBegun:
		c.refuse(0, reasonSlow, "the header did not arrive in time")
	case phase == phaseBegun:
		c.refuse(0, reasonIncomplete, "the client went away in the middle of the header")
	}
	return n, err
}

// Write passes a handler's answer on, and puts net/http's own into the form of all others. It is handed each of those in
// one piece.
func (c *boundedConn) Write(p []byte) (int, error) {
	switch c.phase.Load() {
	case phaseHandled:
		return c.Conn.Write(p)
	case phaseRefused:
		// It was told how this connection ends: net/http takes a line that breaks off for a malformed one, and would say so
		// to a client that is merely slow.
		return len(p), nil
	}
	line, _, _ := bytes.Cut(p, []byte("\r\n"))
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 3 {
		return c.Conn.Write(p)
	}
	status, _ := strconv.Atoi(string(rest[:3]))
	e, ok := unheard[status]
	if !ok {
		c.refuse(status, "status_"+strconv.Itoa(status), string(rest))
		return c.Conn.Write(p)
	}
	if _, detail, ok := bytes.Cut(rest, []byte(": ")); ok { // a few fixed words, none of the client's
		e.Message += ": " + string(detail)
	}
	c.refuse(status, e.reason, e.Message)
	if err := c.answer(status, e.Message); err != nil {
		return 0, err
	}
	return len(p), nil
}

// answer sends what writeError would, where there is no http.ResponseWriter, as the last that is said on the connection.
func (c *boundedConn) answer(status int, message string) error {
	body, err := encode(errorBody{Error: message})
	if err != nil {
		return err // a string always marshals
	}
	answer := http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header: http.Header{
			"Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"},
		},
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
	var whole bytes.Buffer
	if err := answer.Write(&whole); err != nil {
		return err // a buffer takes all
	}
	_, err = c.Conn.Write(whole.Bytes())
	return err
}

// tell logs and counts what no handler heard of, in this order: whoever sees the count finds the line.
func (s *Server) tell(status int, reason, message string, remote net.Addr) {
	s.quiet.say(slog.LevelWarn, "HTTP request refused", reason,
		slog.Int("status", status), slog.String("remote", remote.String()), slog.String("error", message))
	if s.Refused != nil {
		s.Refused(status, reason)
	}
}
