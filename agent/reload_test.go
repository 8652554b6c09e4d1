package agent

import "testing"

// A webhook secret that comes by a reload can't open the port: whoever waits for webhooks is told what to do.
func TestAReloadSaysThatTheWebhookPortNeedsARestart(t *testing.T) {
	t.Parallel()
	const told = "the webhook port is opened at a start only"
	for name, want := range map[string]int{"pull-only before": 1, "with the port open": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logged
			w := newWorld(t, worldOptions{
				config: func(c *Config) {
					if want == 1 {
						c.WebhookSecrets = nil
					}
				},
				agent: func(o *Options) {
					o.Log = log.logger()
					o.Reload = func() (Config, error) {
						fresh := o.Config
						fresh.WebhookSecrets = []Secret{NewSecret("whsec_QUFB")}
						return fresh, nil
					}
				},
			})
			w.ok(w.a.Reload())
			if got := log.count(told); got != want {
				t.Errorf("told %d times, want %d:\n%s", got, want, &log)
			}
		})
	}
}
