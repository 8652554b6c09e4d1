package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
	"github.com/tigerops/tigerops-incidentio/webhook"
)

// edges are the two listeners: the webhook port for incident.io, and the local one for TigerOps, monitoring and people.
type edges struct {
	a     *Agent
	local door

	mu     sync.Mutex
	hooks  door      // without a listener: pull-only
	fresh  chan door // a webhook port that is open and not served yet
	closed bool
}

// door is a listener and the server that answers on it.
type door struct {
	ln     net.Listener
	server *webhook.Server
}

// listen opens the listeners; nobody is answered before serve.
func listen(a *Agent) (_ *edges, err error) {
	c := a.cfg.Load()
	e := &edges{a: a, fresh: make(chan door, 1)}
	defer func() {
		if err != nil {
			_ = e.close()
		}
	}()
	if e.local.ln, err = open(a, "local", a.opts.LocalListener, c.LocalAddr); err != nil {
		return nil, err
	}
	e.local.server = &webhook.Server{Name: "local", Handler: e.localDoor().Handler(), Log: a.log, Refused: a.m.localRefused}
	if len(c.WebhookSecrets) == 0 {
		a.log.Warn("no webhook secret: pull-only, changes in incident.io come by the sweep alone",
			"every", c.ReconcileInterval.String(), "mend", "set INCIDENT_IO_WEBHOOK_SECRET")
	}
	return e, e.openHooks()
}

// openHooks opens the webhook port, unless it is open already or there is no secret, so that nobody could be let in.
func (e *edges) openHooks() error {
	c := e.a.cfg.Load()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hooks.ln != nil || e.closed || len(c.WebhookSecrets) == 0 {
		return nil
	}
	ln, err := open(e.a, "webhook", e.a.opts.WebhookListener, c.WebhookAddr)
	if err != nil {
		return err
	}
	e.hooks = door{ln: ln, server: &webhook.Server{
		Name: "webhook", Handler: e.hookDoor().Handler(), Log: e.a.log,
		Refused: func(_ int, reason string) { e.a.m.received.WithLabelValues(webhook.OutcomeRefused, reason).Inc() },
	}}
	e.fresh <- e.hooks
	return nil
}

// open takes the listener that was handed over, else opens the address.
func open(a *Agent, name string, given net.Listener, addr string) (net.Listener, error) {
	if given != nil {
		a.log.Info("using the socket handed over instead of the configured address", "port", name, "socket", given.Addr().String(), "configured", addr)
		return given, nil
	}
	ln, err := webhook.Listen(context.Background(), addr)
	if err != nil {
		return nil, fmt.Errorf("%s listener on %s: %w", name, addr, err)
	}
	return ln, nil
}

// serve answers until ctx ends, then takes no more requests and finishes those under way.
func (e *edges) serve(ctx context.Context) error {
	var group sync.WaitGroup
	failed := make(chan error, 2)
	serve := func(d door) {
		group.Go(func() {
			if err := d.server.Serve(d.ln); err != nil {
				failed <- err
			}
		})
	}
	serve(e.local)
	var err error
	for err == nil && ctx.Err() == nil {
		select {
		case hooks := <-e.fresh:
			serve(hooks)
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin-time.Second)
	defer cancel()
	if hooks := e.end(); hooks.ln != nil {
		err = errors.Join(err, hooks.server.Shutdown(stop))
	}
	err = errors.Join(err, e.local.server.Shutdown(stop))
	group.Wait()
	return errors.Join(err, e.close())
}

// end sees to it that no port is opened any more, and tells which webhook port there is.
func (e *edges) end() door {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return e.hooks
}

// close gives the listeners back, also those that were never served.
func (e *edges) close() error {
	var err error
	for _, ln := range []net.Listener{e.local.ln, e.end().ln, e.a.opts.WebhookListener} {
		if ln == nil {
			continue
		}
		if cerr := ln.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, fmt.Errorf("close the listener: %w", cerr))
		}
	}
	return err
}

func (e *edges) localAddr() string { return e.local.addr() }

// webhookAddr is where webhooks come in; empty: pull-only.
func (e *edges) webhookAddr() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hooks.addr()
}

func (d door) addr() string {
	if d.ln == nil {
		return ""
	}
	if a := d.ln.Addr(); a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return d.ln.Addr().String()
}

func (e *edges) hookDoor() *webhook.Receiver {
	a := e.a
	return &webhook.Receiver{
		Secrets: func() []string {
			var all []string
			for _, s := range a.cfg.Load().WebhookSecrets {
				all = append(all, s.Reveal())
			}
			return all
		},
		Accept: func(ctx context.Context, id string, body []byte) (bool, error) {
			stored, err := a.st.InsertWebhook(ctx, id, body)
			a.wrote(err)
			if err != nil {
				return false, err
			}
			a.in.setSilent("")
			if stored != nil {
				a.in.hookCame(readHook(*stored, body))
			}
			return stored == nil, nil
		},
		Observe: func(outcome, reason string) { a.m.received.WithLabelValues(outcome, reason).Inc() },
		Log:     a.log,
	}
}

func (e *edges) localDoor() *webhook.Local {
	a := e.a
	return &webhook.Local{
		Secret:  func() string { return a.cfg.Load().TigerOpsSecret.Reveal() },
		Split:   mapping.SplitBatch,
		Check:   check,
		Store:   e.store,
		Inbox:   e.inbox,
		Changed: func() <-chan struct{} { return a.st.Changed(store.TopicInbox) },
		Ack: func(ctx context.Context, id int64) error {
			_, err := a.st.AckInbox(ctx, id)
			a.wrote(err)
			return moved(err)
		},
		Reject: func(ctx context.Context, id int64, reason string) error {
			_, err := a.st.RejectInbox(ctx, a.cfg.Load().clean(reason), id)
			a.wrote(err)
			return moved(err)
		},
		Ready:    func(context.Context) []string { return a.notReady() },
		Metrics:  a.m.handler(),
		Status:   func(ctx context.Context) (any, error) { return a.report(ctx) },
		Incident: func(ctx context.Context, id string) (any, error) { return a.incidentReport(ctx, id) },
		Page:     a.page,
		Story:    a.storyPage,
		Retry: func(ctx context.Context, id int64) error {
			_, err := a.st.RetryEvents(ctx, id)
			a.wrote(err)
			a.drain.wake()
			return moved(err)
		},
		Discard: func(ctx context.Context, id int64, reason string) error {
			_, err := a.st.DiscardEvents(ctx, a.cfg.Load().clean(reason), id)
			a.wrote(err)
			a.drain.wake()
			return moved(err)
		},
		Observe: a.m.localRefused,
		Log:     a.log,
	}
}

func check(event json.RawMessage) (test bool, known webhook.Known, faults []webhook.FieldError) {
	test, read, found := mapping.Check(event)
	for _, f := range found {
		faults = append(faults, webhook.FieldError{Index: f.Index, Field: f.Field, Message: f.Message})
	}
	return test, webhook.Known(read), faults
}

// store makes events durable.
func (e *edges) store(ctx context.Context, payloads [][]byte, read []webhook.Known) ([]webhook.Inserted, error) {
	known := make([]store.Known, len(read))
	for i, k := range read {
		known[i] = store.Known(k)
	}
	rows, err := e.a.st.InsertEvents(ctx, payloads, known...)
	e.a.wrote(err)
	var refused *store.ConstraintError
	if errors.As(err, &refused) {
		return nil, &webhook.Error{
			Status: 422, Message: "the events are refused, none is stored", Cause: err,
			Errors: []webhook.FieldError{{
				Index: refused.Index, Field: constraintFields[refused.Name], Message: strings.ReplaceAll(refused.Name, "_", " "),
			}},
		}
	}
	if err != nil {
		return nil, fmt.Errorf("store events: %w", err)
	}
	out := make([]webhook.Inserted, len(rows))
	for i, r := range rows {
		out[i] = webhook.Inserted{ID: r.EventID, Duplicate: r.Duplicate}
	}
	return out, nil
}

// constraintFields are the members at fault when the schema refuses an event that validation let through.
var constraintFields = map[string]string{
	"event_needs_a_type":                                 "type",
	"event_needs_an_incident_id":                         "incident.id",
	"event_needs_an_id_or_a_timestamp":                   "id",
	"event_id_must_not_be_longer_than_512_characters":    "id",
	"incident_id_must_not_be_longer_than_512_characters": "incident.id",
}

func (e *edges) inbox(ctx context.Context, after int64, limit int) ([]webhook.Change, error) {
	rows, err := e.a.st.Inbox(ctx, store.InboxQuery{After: after, Limit: limit, State: store.Pending})
	if err != nil {
		return nil, fmt.Errorf("read the inbox: %w", err)
	}
	out := make([]webhook.Change, len(rows))
	for i, r := range rows {
		out[i] = webhook.Change{ID: r.ID, Body: json.RawMessage(r.Payload)}
	}
	return out, nil
}

// moved says in the webhook package's words why a row could not be moved.
func moved(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %w", webhook.ErrNotFound, err)
	case errors.Is(err, store.ErrStale):
		return fmt.Errorf("%w: %w", webhook.ErrConflict, err)
	}
	return err
}
