package agent

import (
	"context"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// metricPrefix begins the name of every metric.
const metricPrefix = "tigerops_incidentio_"

// metrics are the agent's, in a registry of their own. Every label has a bounded set of values, whatever events,
// answers or webhooks hold.
type metrics struct {
	a   *Agent
	reg *prometheus.Registry
	day hours

	requests   *prometheus.HistogramVec
	deliveries *prometheus.CounterVec
	refusals   *prometheus.CounterVec
	failures   *prometheus.CounterVec
	events     *prometheus.CounterVec
	latency    *prometheus.HistogramVec
	received   *prometheus.CounterVec
	webhooks   *prometheus.CounterVec
	refused    *prometheus.CounterVec
	changes    *prometheus.CounterVec
	pushes     *prometheus.CounterVec
	sweeps     *prometheus.CounterVec
	healed     prometheus.Counter
	echoes     prometheus.Counter
	pruned     prometheus.Counter

	codes, hookTypes, calls vocabulary
}

func newMetrics(a *Agent) *metrics {
	m := &metrics{a: a, reg: prometheus.NewRegistry(), day: hours{since: time.Now()}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, labels)
		m.reg.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: metricPrefix + name, Help: help, Buckets: buckets}, labels)
		m.reg.MustRegister(h)
		return h
	}
	m.requests = histogram("request_duration_seconds", "Time of a request to incident.io, by call and class of the status (none: no answer came).",
		[]float64{0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}, "call", "class")
	m.deliveries = counter("deliveries_total", "Requests of delivery steps to incident.io, by step and outcome.", "step", "outcome")
	m.refusals = counter("delivery_failures_total", "Delivery steps that were not done, by step and reason.", "step", "reason")
	m.failures = counter("failures_total", "Failures that are not one step's alone, by kind.", "kind")
	m.events = counter("events_total", "Events that ended, by type and state.", "type", "state")
	m.latency = histogram("event_duration_seconds", "Time from an event's arrival to its end, by state.",
		[]float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600, 21600, 86400}, "state")
	m.received = counter("webhook_requests_total", "Requests to the webhook port, by outcome and reason.", "outcome", "reason")
	m.webhooks = counter("webhooks_total", "Webhooks that were looked at, by type and outcome.", "type", "outcome")
	m.refused = counter("local_refusals_total", "Requests that the local listener refused or could not serve, by status (none: no answer was given) and reason.", "status", "reason")
	m.changes = counter("changes_total", "Changes put into the inbox by a look at incident.io, by type and source.", "type", "source")
	m.pushes = counter("pushes_total", "Changes posted to TigerOps, by outcome.", "outcome")
	m.sweeps = counter("sweeps_total", "Sweeps over incident.io's incidents, by outcome.", "outcome")
	m.healed = counter("sweep_healed_changes_total", "Changes that a sweep found although a webhook should have told them.").WithLabelValues()
	m.echoes = counter("echoes_dropped_total", "Looks at a changed incident that found nothing but what the agent itself had caused.").WithLabelValues()
	m.pruned = counter("pruned_rows_total", "Finished rows that retention removed.").WithLabelValues()
	m.reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&gauges{a: a},
	)
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: metricPrefix + "build_info", Help: "1, with the program's and Go's version.",
		ConstLabels: prometheus.Labels{"version": a.opts.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.reg.MustRegister(build)
	return m
}

// handler answers GET /metrics.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// request is told of every request to incident.io by the client, which has put {id} where ids stood.
func (m *metrics) request(method, path string, status int, d time.Duration) {
	class := "none"
	if status >= 100 && status < 600 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.requests.WithLabelValues(m.calls.word(method+" "+path, callWord), class).Observe(d.Seconds())
}

// delivered counts a request of a delivery step. outcome is an incidentio.Class in words, reason incident.io's code.
func (m *metrics) delivered(step, outcome, reason string) {
	step = stepKind(step)
	m.deliveries.WithLabelValues(step, outcome).Inc()
	if outcome == "done" {
		return
	}
	if reason == "" {
		reason = outcome
	}
	m.refusals.WithLabelValues(step, m.codes.word(reason, plainWord)).Inc()
	m.day.add(func(h *hour) { h.failed++ })
}

// failure counts what went wrong beside the steps. kind is a word of the program's own.
func (m *metrics) failure(kind string) { m.failures.WithLabelValues(kind).Inc() }

// finished counts an event that ended in a state, some time after its arrival.
func (m *metrics) finished(eventType, state string, after time.Duration) {
	if !mapping.KnownType(eventType) {
		eventType = "unknown"
	}
	m.events.WithLabelValues(eventType, state).Inc()
	m.latency.WithLabelValues(state).Observe(max(after, 0).Seconds())
	if state == store.Done {
		m.day.add(func(h *hour) { h.delivered++ })
	}
}

// webhook counts a webhook that was looked at.
func (m *metrics) webhook(eventType, outcome string) {
	m.webhooks.WithLabelValues(m.hookTypes.word(eventType, typeWord), outcome).Inc()
}

// changed counts the rows that a look put into the inbox.
func (m *metrics) changed(changes []mapping.Change) {
	for _, c := range changes {
		m.changes.WithLabelValues(c.Type, c.Source).Inc()
	}
	if n := len(changes); n > 0 {
		m.day.add(func(h *hour) { h.changes += n })
	}
}

// localRefused counts a request that the local listener refused; status 0 is for no answer.
func (m *metrics) localRefused(status int, reason string) {
	answer := "none"
	if status != 0 {
		answer = strconv.Itoa(status)
	}
	m.refused.WithLabelValues(answer, reason).Inc()
}

// stepKind takes the running number off a step's name, so that names stay few.
func stepKind(step string) string {
	return strings.TrimRight(strings.TrimRight(step, "0123456789"), ".")
}

var (
	plainWord = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	typeWord  = regexp.MustCompile(`^[a-z][a-z0-9_.]*$`)
	callWord  = regexp.MustCompile(`^[A-Z]+ /[A-Za-z0-9_/{}.-]*$`)
)

// vocabulary keeps a label's values few although they come from a stranger: the first ones that look like a word, and
// "other" for the rest.
type vocabulary struct {
	mu    sync.Mutex
	known map[string]bool
}

const (
	vocabularySize = 64
	longestWord    = 100 // not in the forms: a regexp that counts to it takes a hundred times the memory
)

func (v *vocabulary) word(s string, form *regexp.Regexp) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.known[s]:
		return s
	case len(v.known) >= vocabularySize || len(s) > longestWord || !form.MatchString(s):
		return "other"
	case v.known == nil:
		v.known = make(map[string]bool)
	}
	v.known[s] = true
	return s
}

// gauges reads what is best read when it is asked for.
type gauges struct {
	a *Agent

	mu   sync.Mutex
	read time.Time
	last store.Status
}

// gaugesFor is how long one reading of the tables serves: several scrapers cost no more than one.
const gaugesFor = 5 * time.Second

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+name, help, labels, nil)
}

var (
	gaugeOutbox      = gauge("outbox_events", "Events that are not finished, by state.", "state")
	gaugeOldest      = gauge("outbox_oldest_waiting_seconds", "Age of the oldest event that waits, 0 if none does.")
	gaugeInbox       = gauge("inbox_changes", "Changes that TigerOps has not applied, by state.", "state")
	gaugeOldestInbox = gauge("inbox_oldest_pending_seconds", "Age of the oldest change that TigerOps has not taken, 0 if there is none.")
	gaugeHooks       = gauge("webhooks_unprocessed", "Webhooks that wait or failed, by state.", "state")
	gaugeLinks       = gauge("links", "TigerOps incidents that are tied to an incident of incident.io.")
	gaugeBudget      = gauge("rate_budget_remaining_requests", "Requests that may go to incident.io right now.")
	gaugeUsable      = gauge("incident_io_usable", "1 while incident.io answers and takes the API key.")
	gaugeReady       = gauge("ready", "1 while GET /readyz answers 200.")
	gaugeWebhookAt   = gauge("last_webhook_timestamp_seconds", "When the last webhook came, 0 if none ever did.")
	gaugeSweepAt     = gauge("last_sweep_timestamp_seconds", "When the last sweep ended, 0 if none ever did.")
	gaugeSize        = gauge("database_size_bytes", "Size of the database's files, by file.", "file")
)

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		gaugeOutbox, gaugeOldest, gaugeInbox, gaugeOldestInbox, gaugeHooks, gaugeLinks, gaugeBudget, gaugeUsable, gaugeReady,
		gaugeWebhookAt, gaugeSweepAt, gaugeSize,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := g.status()
	now := g.a.now()
	set(gaugeOutbox, float64(s.Waiting), "waiting")
	set(gaugeOutbox, float64(s.Parked), "parked")
	set(gaugeOutbox, float64(s.Dead), "dead")
	set(gaugeOldest, age(now, s.OldestWaiting))
	set(gaugeInbox, float64(s.InboxPending), "pending")
	set(gaugeInbox, float64(s.InboxRejected), "rejected")
	set(gaugeOldestInbox, age(now, s.OldestInbox))
	set(gaugeHooks, float64(s.WebhooksPending), "pending")
	set(gaugeHooks, float64(s.WebhooksFailed), "failed")
	set(gaugeLinks, float64(len(s.Links)))
	set(gaugeBudget, g.a.up.left())
	usable, _ := g.a.up.usable()
	set(gaugeUsable, flag(usable))
	set(gaugeReady, flag(len(g.a.notReady()) == 0))
	set(gaugeWebhookAt, stamp(s.LastWebhook))
	set(gaugeSweepAt, stamp(s.LastSweep))
	for name, suffix := range map[string]string{"main": "", "wal": "-wal"} {
		var size int64
		if fi, err := os.Stat(g.a.cfg.Load().DB + suffix); err == nil {
			size = fi.Size()
		}
		set(gaugeSize, float64(size), name)
	}
}

// status reads the tables, or gives the last reading where it is new enough or the tables can't be read.
func (g *gauges) status() store.Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.read) < gaugesFor {
		return g.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := g.a.st.Status(ctx)
	if err != nil {
		g.a.failing("read the status for the metrics", err)
		return g.last
	}
	g.read, g.last = time.Now(), s
	return s
}

func age(now, t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(now.Sub(t).Seconds(), 0)
}

func stamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// left is how many requests may go right now.
func (u *upstream) left() float64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	s := u.scopes[scopeKey]
	if now.Before(s.until) {
		return 0
	}
	return max(s.bucket.TokensAt(now), 0)
}
