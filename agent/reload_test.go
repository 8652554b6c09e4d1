package agent

import (
	"net"
	"net/http"
	"testing"
)

// A webhook secret that comes by a reload opens the port; where it can't be opened that is told, and the next reload tries
// again.
func TestAReloadThatBringsAWebhookSecretOpensThePort(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		name := "while it runs"
		if !running {
			name = "before it runs"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logged
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			w := newWorld(t, worldOptions{
				config: func(c *Config) { c.WebhookSecrets, c.WebhookAddr = nil, taken.Addr().String() },
				agent: func(o *Options) {
					o.Log, o.WebhookListener = log.logger(), nil
					o.Reload = func() (Config, error) {
						fresh := o.Config
						fresh.WebhookSecrets = []Secret{NewSecret("whsec_QUFB")}
						return fresh, nil
					}
				},
			})
			if running {
				w.serve()
			}
			is(t, "port without a secret", w.a.edges.webhookAddr(), "")
			w.ok(w.a.Reload())
			is(t, "port while another process has it", w.a.edges.webhookAddr(), "")
			is(t, "told that the port is taken", log.count("the webhook port can't be opened"), 1)
			w.ok(taken.Close())
			w.ok(w.a.Reload())
			is(t, "port with a secret", w.a.edges.webhookAddr(), w.a.cfg.Load().WebhookAddr)
			is(t, "told that the port is open", log.count("the webhook port is open"), 1)
			if !running {
				w.serve()
			}
			status, _ := w.do(http.MethodPost, w.a.edges.webhookAddr(), "/webhooks/incident-io", []byte(`{}`), nil)
			is(t, "unsigned", status, http.StatusUnauthorized)
			w.ok(w.a.Reload())
			is(t, "told again", log.count("the webhook port is open"), 1)
		})
	}
}
