package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
)

// Simulation is the simulated incident.io as a server.
type Simulation struct {
	URL        string // of the API
	Key        string // the API key that it takes, unless that is a configured secret
	WebhookURL string // where webhooks go; empty: none are sent
	sim        *simulator.Simulator
	server     *http.Server
	listener   net.Listener
}

// ErrNotLoopback refuses an address for a simulation.
var ErrNotLoopback = errors.New("only a loopback address will do, such as 127.0.0.1:8490, since anybody who reaches it can act there")

// NewSimulation listens on addr, which must be a loopback address: the person who acts there is anybody. It takes the
// configured API key, or else its own, and signs with the configured webhook secrets the webhooks that it sends to
// webhookURL, or else to the configured webhook address.
func NewSimulation(ctx context.Context, c Config, addr, webhookURL string, log *slog.Logger) (*Simulation, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || !isLoopback(host) {
		return nil, fmt.Errorf("simulate on %q: %w", addr, ErrNotLoopback)
	}
	var listen net.ListenConfig
	ln, err := listen.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Simulation{URL: "http://" + ln.Addr().String(), listener: ln}
	o := simulator.Options{Key: c.APIKey.Reveal(), OrgSlug: c.OrgSlug, BaseURL: s.URL, Logger: log}
	if o.Key == "" {
		s.Key = simulator.DefaultKey
	}
	for _, secret := range c.WebhookSecrets {
		o.WebhookSecrets = append(o.WebhookSecrets, secret.Reveal())
	}
	if webhookURL != "" || len(o.WebhookSecrets) > 0 {
		s.WebhookURL = webhookURLOf(c, webhookURL)
		o.WebhookURL = s.WebhookURL
	}
	s.sim = simulator.New(o)
	s.server = &http.Server{Handler: s.sim, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	return s, nil
}

// Run answers until ctx ends.
func (s *Simulation) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.server.Close() })
	defer stop()
	err := s.server.Serve(s.listener)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	cerr := s.sim.Close(end)
	if errors.Is(err, http.ErrServerClosed) {
		return cerr
	}
	return err
}
