package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of a Server that its fields leave at zero.
const (
	defaultHeaderWithin = 5 * time.Second
	defaultBodyWithin   = 15 * time.Second // as long as incident.io waits for an answer
	defaultMaxConns     = 4096
	idleWithin          = 60 * time.Second
	answerWithin        = maxWait + 30*time.Second // a long poll and the reading of its answer
	maxHeaderBytes      = 16 << 10
	// hearWithin is how long a stop waits for the requests of those who were let in. They have connected already, so it
	// takes them a moment; whoever says nothing is not owed more.
	hearWithin = time.Second
)

// Server runs a handler on a listener with bounds on time, header size and connections. The zero value of all fields but
// Handler is fine.
type Server struct {
	Name         string        // says in the log which port it is
	Handler      http.Handler  // answers
	HeaderWithin time.Duration // for a request's header to arrive; 0 is 5 s
	BodyWithin   time.Duration // for the whole request to arrive; 0 is 15 s
	MaxConns     int           // open connections; 0 is 4096. Beyond, the longest idle one is closed for the newcomer
	// Log, if set, is told of what Refused is and of what net/http has to say, at most one line for each reason in 30 seconds.
	Log *slog.Logger

	// Refused, if set, is told of each request that ended without the handler: net/http refused it, or its header was not
	// there in time or in full, or its connection made room for another. status is 0 where nothing was answered; reason
	// comes from a small fixed set, fit for metric labels.
	Refused func(status int, reason string)

	once  sync.Once
	http  *http.Server
	quiet *throttle

	mu     sync.Mutex
	in     *bounded      // nil before Serve
	served chan struct{} // closed when Serve lets nobody in any more
}

// setUp makes the server at the first call of Serve or Shutdown.
func (s *Server) setUp() {
	s.once.Do(func() {
		stop := make(chan struct{})
		base := context.WithValue(context.Background(), stopKey{}, (<-chan struct{})(stop))
		s.quiet = newThrottle(logger(s.Log).With("port", s.Name))
		s.http = &http.Server{
			Handler:           heard(s.Handler),
			ReadHeaderTimeout: cmp.Or(s.HeaderWithin, defaultHeaderWithin),
			ReadTimeout:       cmp.Or(s.BodyWithin, defaultBodyWithin),
			WriteTimeout:      answerWithin,
			IdleTimeout:       idleWithin,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          log.New(s.quiet, "", 0),
			BaseContext:       func(net.Listener) context.Context { return base },
			ConnContext:       withConn,
			ConnState:         connState,
			// OPTIONS * is the handler's like everything else.
			DisableGeneralOptionsHandler: true,
		}
		s.http.RegisterOnShutdown(sync.OnceFunc(func() { close(stop) })) // each Shutdown calls it
	})
}

// stopKey is the context key of the channel that is closed when the server begins to stop.
type stopKey struct{}

// stopping gives the channel that ends long polls; nil, which never does, outside a Server.
func stopping(ctx context.Context) <-chan struct{} {
	stop, _ := ctx.Value(stopKey{}).(<-chan struct{})
	return stop
}

// Serve answers on ln, which it owns, until Shutdown; it returns nil then.
func (s *Server) Serve(ln net.Listener) error {
	s.setUp()
	in, served := newBounded(ln, cmp.Or(s.MaxConns, defaultMaxConns), s.tell), make(chan struct{})
	s.mu.Lock()
	s.in, s.served = in, served
	s.mu.Unlock()
	err := s.http.Serve(in)
	close(served)
	if errors.Is(err, http.ErrServerClosed) || in.isClosed() {
		return nil
	}
	return fmt.Errorf("serve the %s port: %w", s.Name, err)
}

// Shutdown takes no more connections, answers those that it has, ends long polls at once, and waits for what is under way
// until ctx ends; then it closes what is left and gives ctx's error. It may be called before Serve and more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.setUp()
	s.mu.Lock()
	in, served := s.in, s.served
	s.mu.Unlock()
	var err error
	if in != nil {
		// net/http drops the request of a connection that it has accepted but not read when its Shutdown begins. Where the
		// service manager holds the port for the next process that request would be the only one a restart loses.
		err = in.Close()
		<-served
		in.hear(hearWithin)
	}
	err = errors.Join(err, s.http.Shutdown(ctx))
	if err == nil {
		return nil
	}
	_ = s.http.Close() // what is left has had its time
	return fmt.Errorf("stop the %s port: %w", s.Name, err)
}
