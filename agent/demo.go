package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/simulator"
	"github.com/tigerops/tigerops-incidentio/store"
)

// demoWithin bounds the whole demo.
const demoWithin = 20 * time.Second

// The two directions, as every line of the demo begins.
const (
	toIncidentIO = "TigerOps → incident.io"
	toTigerOps   = "incident.io → TigerOps"
)

// DemoOptions are what the demo needs.
type DemoOptions struct {
	Dir     string            // where it leaves its database
	Version string            // of the program
	Tell    func(line string) // is told every step as it happens
	Log     *slog.Logger      // the agent's; nil: nothing is logged
}

// demo is one demo under way: the real agent between the simulated incident.io and a scripted TigerOps.
type demo struct {
	tell  func(string)
	a     *Agent
	sim   *simulator.Simulator
	local string // base URL of the agent's local listener
	inbox int64  // the last inbox row told
	http  http.Client
}

// Demo runs the whole sync on this machine: the agent as run has it, a simulated incident.io, a scripted TigerOps
// incident from the anomaly to the post-mortem, and a person in incident.io. It returns the path of the database that it
// leaves, under a new name each time.
func Demo(ctx context.Context, o DemoOptions) (db string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, demoWithin, fmt.Errorf("the demo took longer than %s", demoWithin))
	defer cancel()
	if db, err = freshName(filepath.Join(o.Dir, "tigerops-demo")); err != nil {
		return "", err
	}
	d := &demo{tell: o.Tell}
	end, err := d.start(ctx, db, o)
	if err != nil {
		return "", err
	}
	err = d.play(ctx)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	}
	return db, errors.Join(err, end())
}

// freshName returns base.db, or base-2.db and so on, whichever no earlier demo has left.
func freshName(base string) (string, error) {
	for n := 1; n < 1000; n++ {
		name := base + ".db"
		if n > 1 {
			name = fmt.Sprintf("%s-%d.db", base, n)
		}
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("a thousand databases like %s.db are here already: remove some", base)
}

// demoConfig is what a user would write for the simulated account.
const demoConfig = `
integrations:
  incident_io:
    api_key: "${INCIDENT_IO_API_KEY}"
    webhook_secret: "${INCIDENT_IO_WEBHOOK_SECRET}"
    alert_source: {id: "${INCIDENT_IO_ALERT_SOURCE_ID}", token: "${INCIDENT_IO_ALERT_SOURCE_TOKEN}"}
    alert_route_wait: 0s
    severity_mapping: {critical: SEV1, warning: SEV2, info: SEV3}
    custom_fields:
      affected_services: Affected services
      slo_breach: SLO breach
      ai_summary: AI summary
      deployment_sha: Deployment SHA
    service_mappings:
      - {tigerops_service: checkout, incident_io_service: Checkout}
      - {tigerops_service: api-gateway, incident_io_service: API Gateway}
    escalation_paths: {payments: ` + simulator.DefaultEscalationPathID + `}
`

// start brings both sides up. end takes them down again, in the opposite order.
func (d *demo) start(ctx context.Context, db string, o DemoOptions) (end func() error, err error) {
	var undo []func() error
	end = func() error {
		var err error
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, undo[i]())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()))
	var listen net.ListenConfig
	api, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return end, err
	}
	undo = append(undo, closing(api))
	hooks, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return end, err
	}
	undo = append(undo, closing(hooks))
	local, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return end, err
	}
	undo = append(undo, closing(local))
	d.local = "http://" + local.Addr().String()

	d.sim = simulator.New(simulator.Options{
		WebhookURL: "http://" + hooks.Addr().String() + webhookPath, WebhookSecrets: []string{secret}, BaseURL: "http://" + api.Addr().String(),
	})
	server := &http.Server{Handler: d.sim, ReadHeaderTimeout: demoWithin, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go server.Serve(api) //nolint:errcheck // it ends when it is closed
	undo = append(undo, server.Close, func() error {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		return d.sim.Close(end)
	})

	c, err := Load(LoadOptions{File: "demo.yaml", ReadFile: func(string) ([]byte, error) { return []byte(demoConfig), nil }, Environ: map[string]string{
		"INCIDENT_IO_API_KEY": simulator.DefaultKey, "INCIDENT_IO_API_URL": "http://" + api.Addr().String(), "INCIDENT_IO_WEBHOOK_SECRET": secret,
		"INCIDENT_IO_ALERT_SOURCE_ID": simulator.DefaultAlertSourceID, "INCIDENT_IO_ALERT_SOURCE_TOKEN": simulator.DefaultAlertSourceToken, "AGENT_DB": db,
	}})
	if err != nil {
		return end, err
	}
	d.a, err = New(ctx, Options{Config: c, Log: o.Log, Version: o.Version, WebhookListener: hooks, LocalListener: local})
	if err != nil {
		return end, err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	ran := make(chan error, 1)
	go func() { ran <- d.a.Run(work) }()
	undo = append(undo, func() error { stop(); return <-ran })
	return end, nil
}

// closing closes a listener that somebody else may have closed.
func closing(ln net.Listener) func() error {
	return func() error {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// await looks at every commit until done says so.
func (d *demo) await(ctx context.Context, what string, done func() (bool, error)) error {
	for {
		changed := d.a.st.Changed()
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
}

// send posts an event as TigerOps does, waits until it is delivered, and tells each of its steps as it ends.
func (d *demo) send(ctx context.Context, event map[string]any) ([]store.Step, error) {
	body, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	if err := d.post(ctx, "/v1/events", body, http.StatusAccepted); err != nil {
		return nil, err
	}
	var row store.Event
	var steps []store.Step
	told := map[string]bool{}
	err = d.await(ctx, fmt.Sprint(event["type"]), func() (bool, error) {
		if row.ID == 0 {
			rows, err := d.a.st.Outbox(ctx, store.OutboxQuery{Limit: 1000})
			if err != nil {
				return false, err
			}
			for _, r := range rows {
				if r.EventID == event["id"] {
					row = r
				}
			}
		}
		var err error
		if row, err = d.a.st.Event(ctx, row.ID); err != nil {
			return false, err
		}
		if steps, err = d.a.st.Steps(ctx, row.ID); err != nil {
			return false, err
		}
		for _, s := range steps {
			if s.State == store.StepDone && !told[s.Name] {
				told[s.Name] = true
				d.line(toIncidentIO, s.Name, d.stepWords(s))
			}
		}
		switch row.State {
		case store.Dead:
			return false, fmt.Errorf("the event %s is dead: %s", row.EventID, row.Reason)
		case store.Skipped:
			return false, fmt.Errorf("the event %s was skipped: %s", row.EventID, row.Reason)
		}
		return row.State == store.Done, nil
	})
	if err == nil {
		_, err = d.takeInbox(ctx)
	}
	return steps, err
}

// expect waits until a change of the type has come for TigerOps.
func (d *demo) expect(ctx context.Context, changeType string) error {
	return d.await(ctx, changeType+" in the inbox", func() (bool, error) {
		types, err := d.takeInbox(ctx)
		return slices.Contains(types, changeType), err
	})
}

// takeInbox tells the changes that have come, and applies them as TigerOps does.
func (d *demo) takeInbox(ctx context.Context) (types []string, err error) {
	rows, err := d.a.st.Inbox(ctx, store.InboxQuery{After: d.inbox, State: store.Pending})
	for _, r := range rows {
		d.line(toTigerOps, r.Type, changeWords(r.Payload))
		if err := d.post(ctx, fmt.Sprintf("/v1/inbox/%d/ack", r.ID), nil, 0); err != nil {
			return types, err
		}
		types, d.inbox = append(types, r.Type), r.ID
	}
	return types, err
}

func (d *demo) line(direction, what, words string) {
	d.tell(strings.TrimRight(fmt.Sprintf("%s  %-25s %s", direction, what, words), " "))
}

// post sends to the agent's local listener. A status of 0 is any good one.
func (d *demo) post(ctx context.Context, path string, body []byte, status int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.local+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if resp.StatusCode != status && (status != 0 || resp.StatusCode >= 300) {
		return fmt.Errorf("POST %s: %s: %s", path, resp.Status, answer)
	}
	return nil
}
