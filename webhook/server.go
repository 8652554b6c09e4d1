package webhook

import (
	"context"
	"log/slog"
	"net"
	"net/http"
)

// Listen listens on "host:port", or on a unix socket for "unix:/path".
func Listen(ctx context.Context, addr string) (net.Listener, error) { return nil, nil }

// Server runs a handler on a listener with bounds on time, header size and connections.
type Server struct {
	// Name says in the log which port it is.
	Name string
	// Handler answers.
	Handler http.Handler
	// MaxConns bounds the open connections; 0 is 4096.
	MaxConns int
	// Log, if set, is told what net/http has to say, at most one line in 30 seconds.
	Log *slog.Logger
}

// Serve answers on ln, which it owns, until Shutdown; it returns nil then.
func (s *Server) Serve(ln net.Listener) error { return nil }

// Shutdown takes no more connections, ends long polls at once, and waits for what is under way until ctx ends; then it
// closes what is left. It may be called before Serve and more than once.
func (s *Server) Shutdown(ctx context.Context) error { return nil }
