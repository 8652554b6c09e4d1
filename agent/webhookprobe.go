package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

// webhookPath is where the webhook port takes incident.io's webhooks (contract section 5).
const webhookPath = "/webhooks/incident-io"

// probeWithin is how long a test webhook may take; incident.io itself gives up after about as long.
const probeWithin = 15 * time.Second

// probeBody is of a type that nobody knows: the agent stores it, finds nothing to do, and answers 204.
const probeBody = `{"event_type":"tigerops-incidentio.test"}`

// WebhookProbe is what came back on a test webhook.
type WebhookProbe struct {
	URL    string        `json:"url"`
	Status int           `json:"status"`
	Answer string        `json:"answer,omitempty"` // the beginning of the body
	Took   time.Duration `json:"took_ns"`
	OK     bool          `json:"ok"`
	Mend   string        `json:"mend,omitempty"` // what to do about it, where it is not OK
}

// ProbeWebhook signs a test webhook with the first webhook secret and sends it to target, or to the configured
// address if that is empty. The error is that of a request without an answer.
func ProbeWebhook(ctx context.Context, c Config, target string) (WebhookProbe, error) {
	if len(c.WebhookSecrets) == 0 {
		return WebhookProbe{}, &ConfigError{Findings: []Finding{{Source: Source{Variable: "INCIDENT_IO_WEBHOOK_SECRET"}, Message: "no webhook secret is set",
			Mend: "the agent is pull-only; set it, or INCIDENT_IO_WEBHOOK_SECRET_FILE, or " + prefix + "webhook_secret in the file"}}}
	}
	p := WebhookProbe{URL: webhookURLOf(c, target)}
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	body := []byte(probeBody)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(body))
	if err != nil {
		return p, fmt.Errorf("send a test webhook: %w", err)
	}
	p.URL = req.URL.Redacted()
	id, now := "msg_test_"+rand.Text(), time.Now()
	signature, err := webhook.SignStandard(c.WebhookSecrets[0].Reveal(), id, now, body)
	if err != nil {
		return p, fmt.Errorf("sign a test webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", fmt.Sprint(now.Unix()))
	req.Header.Set("Webhook-Signature", signature)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		var unanswered *url.Error
		if errors.As(err, &unanswered) {
			err = unanswered.Err
		}
		return p, fmt.Errorf("send a test webhook to %s: %w", p.URL, err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
	p.Status, p.Answer, p.Took = resp.StatusCode, strings.TrimSpace(string(answer)), time.Since(now)
	p.OK = resp.StatusCode == http.StatusNoContent
	p.Mend = probeMend(resp)
	return p, nil
}

// probeMend says what an answer other than 204 means.
func probeMend(resp *http.Response) string {
	switch code := resp.StatusCode; {
	case code == http.StatusNoContent:
		return ""
	case code == http.StatusUnauthorized:
		return "the agent has another webhook secret than this configuration, a clock is off by more than 5 minutes, or a proxy changes the body"
	case code == http.StatusNotFound || code == http.StatusMethodNotAllowed:
		return "something else answers there: the proxy must pass POST " + webhookPath + " on to AGENT_WEBHOOK_ADDR"
	case code >= 300 && code < 400:
		return fmt.Sprintf("it leads elsewhere (%s), and incident.io does not follow: give the address it leads to", resp.Header.Get("Location"))
	case code == http.StatusServiceUnavailable:
		return "the agent can't store it: its log and /readyz tell why"
	case code == http.StatusBadGateway || code == http.StatusGatewayTimeout:
		return "the proxy does not reach the agent: is it running, and does the proxy know AGENT_WEBHOOK_ADDR?"
	case code == http.StatusRequestEntityTooLarge:
		return "the proxy bounds bodies too tightly: webhooks have up to 1 MiB"
	case code < 300:
		return "something else than the agent answers there: the agent answers 204"
	}
	return "see the log of what answers there"
}

// webhookURLOf completes target: without a path it gets that of the webhook port, and if it is empty it is the
// configured address as seen from this machine.
func webhookURLOf(c Config, target string) string {
	if target == "" {
		host, port, err := net.SplitHostPort(c.WebhookAddr)
		if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
			host = "127.0.0.1"
		}
		target = "http://" + net.JoinHostPort(host, port)
	}
	if !strings.Contains(target, "://") {
		target = "https://" + target
	}
	if u, err := url.Parse(target); err == nil && (u.Path == "" || u.Path == "/") {
		u.Path = webhookPath
		return u.String()
	}
	return target
}
