package agent

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/webhook"
)

// customFields are the TigerOps fields that custom_fields may name, beside paths like $.a.b.
var customFields = []string{
	"affected_services", "team", "environment", "slo_status", "slo_breach", "error_budget_burn_rate", "ai_summary",
	"root_cause", "impacted_metrics", "deployment_sha", "deployment", "trace_url", "tigerops_url", "tigerops_id",
}

// statuses are the TigerOps statuses known; status_mapping may name others too.
var statuses = []string{"open", "acknowledged", "investigating", "mitigated", "resolved"}

// check looks at the whole configuration, each thing by itself.
func (l *loader) check() {
	l.checkSeverities()
	l.checkNames()
	l.checkServices()
	l.checkURLs()
	l.checkAddresses()
	l.checkNumbers()
	l.checkSecrets()
	l.checkPairs()
	l.checkSense()
}

// at tells where an option of the file was set, whichever of its parts: the part's own line, else the option's.
func (l *loader) at(key string) (Source, string) {
	for k := key; ; {
		if s, ok := l.c.from[k]; ok {
			if s.Variable != "" {
				return s, ""
			}
			return s, prefix + key
		}
		i := strings.LastIndexAny(k, ".[")
		if i < 0 {
			return Source{File: l.File}, prefix + key
		}
		k = k[:i]
	}
}

// wrong tells a fault of an option of the file, quiet where a fault of it was told already.
func (l *loader) wrong(key, mend, message string, args ...any) {
	if l.blamed(key) {
		return
	}
	at, name := l.at(key)
	l.fault(at, name, mend, message, args...)
}

// odd warns of an option of the file.
func (l *loader) odd(key, mend, message string, args ...any) {
	at, name := l.at(key)
	l.warn(at, name, mend, message, args...)
}

// variable tells a fault of an environment variable.
func (l *loader) variable(name, mend, message string, args ...any) {
	l.fault(Source{Variable: name}, "", mend, message, args...)
}

// oneOf checks a choice and takes it in the case in which it is known.
func (l *loader) oneOf(key string, value *string, choices []string) {
	if i := slices.IndexFunc(choices, func(c string) bool { return strings.EqualFold(c, *value) }); i >= 0 {
		*value = choices[i]
		return
	}
	l.wrong(key, meant(*value, choices), "%s is none of %s", l.quoted(key, *value), strings.Join(choices, ", "))
}

// quoted shows an option's value as the file has it: what a variable put there stays unseen.
func (l *loader) quoted(key, value string) string {
	if text, ok := l.written[key]; ok {
		value = text
	}
	return quote(value)
}

func (l *loader) checkSeverities() {
	r := &l.c.Rules
	if l.blamed("severities") {
		return
	}
	if len(r.Severities) == 0 {
		l.wrong("severities", "list TigerOps' severities, least first, or remove the line", "the list is empty")
		return
	}
	for i, s := range r.Severities {
		if slices.ContainsFunc(r.Severities[:i], func(o string) bool { return strings.EqualFold(o, s) }) {
			l.wrong("severities", "keep one of them", "%q is listed twice", s)
		}
	}
	if _, set := l.c.from["min_severity"]; !set && !slices.Contains(r.Severities, r.MinSeverity) {
		l.wrong("severities", "set min_severity to one of them", "min_severity is %q where nothing else is said, which is not in this list", r.MinSeverity)
	} else {
		l.oneOf("min_severity", &r.MinSeverity, r.Severities)
	}
	for _, name := range sorted(r.SeverityMapping) {
		known := name
		l.oneOf("severity_mapping."+name, &known, r.Severities)
		if known != name {
			r.SeverityMapping[known] = r.SeverityMapping[name]
			delete(r.SeverityMapping, name)
		}
	}
}

func (l *loader) checkNames() {
	r := &l.c.Rules
	l.oneOf("visibility", &r.Visibility, []string{"public", "private"})
	l.oneOf("conflict", &r.Conflict, []string{mapping.ConflictLatest, mapping.ConflictIncidentIO, mapping.ConflictTigerOps})
	target := map[string]string{}
	for _, name := range sorted(r.CustomFields) {
		key := "custom_fields." + name
		switch {
		case strings.HasPrefix(name, "$"):
			if !strings.HasPrefix(name, "$.") || strings.Contains(name+".", "..") {
				l.wrong(key, `write it like "$.incident.region"`, "is no path into the event")
			}
		case !slices.Contains(customFields, name):
			best, near := Nearest(name, customFields)
			mend := fmt.Sprintf("the nearest known field is %q; any other path of the event is written like \"$.incident.%s\"", best, name)
			if near {
				mend = fmt.Sprintf("did you mean %q?", best)
			}
			l.wrong(key, mend, "unknown TigerOps field")
		}
		field := r.CustomFields[name]
		if other, taken := target[field]; taken {
			l.odd(key, "give each its own", "fills the same custom field as %s", other)
		}
		target[field] = name
	}
	for _, name := range sorted(r.StatusMapping) {
		if best, near := Nearest(name, statuses); near && best != name {
			l.odd("status_mapping."+name, fmt.Sprintf("did you mean %q?", best), "TigerOps has no status of this name that is known here")
		}
	}
	for _, name := range sorted(r.Users) {
		if user, domain, ok := strings.Cut(r.Users[name], "@"); !ok || user == "" || domain == "" || strings.ContainsAny(r.Users[name], " \t") {
			l.wrong("user_mapping."+name, "give the person's email in incident.io", "%s is no email address", l.quoted("user_mapping."+name, r.Users[name]))
		}
	}
	if strings.ContainsAny(l.c.OrgSlug, "/ \t:") {
		l.wrong("org_slug", "it is the word behind app.incident.io/ in the dashboard's address", "is no slug")
	}
}

func (l *loader) checkServices() {
	for i, rule := range l.c.Rules.Services {
		if strings.EqualFold(rule.TigerOps, "default") && rule.IncidentIO == "" {
			l.odd(fmt.Sprintf("service_mappings[%d]", i), "", "names a service called %q: there is no entry for all services", rule.TigerOps)
		}
	}
}

func (l *loader) checkURLs() {
	c := l.c
	c.APIURL = strings.TrimRight(c.APIURL, "/")
	switch u, err := webURL(c.APIURL); {
	case err != nil:
		l.variable("INCIDENT_IO_API_URL", "", "%v", err)
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		l.variable("INCIDENT_IO_API_URL", "write https://", "%s would send the API key unencrypted", quote(c.APIURL))
	case u.RawQuery != "" || u.Fragment != "":
		l.variable("INCIDENT_IO_API_URL", "", "must end with the path")
	}
	if c.ApplyURL != "" {
		switch u, err := webURL(c.ApplyURL); {
		case err != nil:
			l.variable("TIGEROPS_APPLY_URL", "", "%v", err)
		case u.Scheme != "https" && !isLoopback(u.Hostname()):
			l.warn(Source{Variable: "TIGEROPS_APPLY_URL"}, "", "write https:// where TigerOps takes it", "changes travel unencrypted")
		}
	}
	if c.CAFile != "" && !l.Lenient {
		pem, err := l.ReadFile(c.CAFile)
		if err != nil {
			l.variable("INCIDENT_IO_CA_FILE", "", "%v", err)
		} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			l.variable("INCIDENT_IO_CA_FILE", "", "%s holds no PEM certificate", c.CAFile)
		}
	}
}

// webURL parses an http or https URL. Its errors do not show a password in it.
func webURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("is no URL: %w", err)
	case u.User != nil:
		return nil, errors.New("holds a user name: credentials do not belong into a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, fmt.Errorf("%s is no URL: write it like \"https://host/path\"", quote(text))
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

func (l *loader) checkAddresses() {
	c := l.c
	host, err := hostPort(c.LocalAddr)
	if path, socket := strings.CutPrefix(c.LocalAddr, "unix:"); socket {
		if path == "" {
			l.variable("AGENT_LOCAL_ADDR", "write it like unix:/run/tigerops-incidentio/agent.sock", "names no socket")
		}
	} else if err != nil {
		l.variable("AGENT_LOCAL_ADDR", "write it like 127.0.0.1:8485 or unix:/path", "%v", err)
	} else if !isLoopback(host) && !c.TigerOpsSecret.IsSet() && !l.Lenient {
		l.warn(Source{Variable: "AGENT_LOCAL_ADDR"}, "", "set TIGEROPS_WEBHOOK_SECRET", "%s is reached from other machines, but without a secret only loopback is answered", c.LocalAddr)
	}
	if _, err := hostPort(c.WebhookAddr); err != nil {
		l.variable("AGENT_WEBHOOK_ADDR", "write it like 127.0.0.1:8484", "%v", err)
	}
	if c.LocalAddr == c.WebhookAddr && !strings.HasSuffix(c.LocalAddr, ":0") {
		l.variable("AGENT_LOCAL_ADDR", "give each listener its own port", "is the same as AGENT_WEBHOOK_ADDR")
	}
}

// hostPort checks a TCP address and returns its host, empty for all of the machine's.
func hostPort(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("%s is no host:port", quote(addr))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return "", fmt.Errorf("%s has no port number from 0 to 65535", quote(addr))
	}
	return host, nil
}

func (l *loader) checkNumbers() {
	c := l.c
	for _, n := range []struct {
		name        string
		value       int
		least, most int
	}{{"AGENT_WORKERS", c.Workers, 1, 1000}, {"AGENT_RATE_LIMIT", c.RateLimit, 1, 1_000_000_000}} {
		if n.value < n.least || n.value > n.most {
			l.variable(n.name, "", "%d is not between %d and %d", n.value, n.least, n.most)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"AGENT_BACKOFF_INITIAL", c.BackoffInitial, time.Millisecond},
		{"AGENT_BACKOFF_MAX", c.BackoffMax, c.BackoffInitial},
		{"AGENT_GIVE_UP_AFTER", c.GiveUpAfter, time.Second},
		{"AGENT_RECONCILE_INTERVAL", c.ReconcileInterval, time.Second},
		{"AGENT_RETENTION", c.Retention, time.Hour},
	} {
		if d.value < d.least {
			l.variable(d.name, "", "%s is less than %s", duration(d.value), duration(d.least))
		}
	}
	if c.AlertRouteWait < 0 || c.AlertRouteWait > 10*time.Minute {
		l.wrong("alert_route_wait", "", "%s is not between 0s and 10m", duration(c.AlertRouteWait))
	}
	if c.Heartbeat.Every < time.Second {
		l.wrong("heartbeat.every", "", "%s is less than 1s", duration(c.Heartbeat.Every))
	}
	formats := []string{LogText, LogJSON}
	if i := slices.IndexFunc(formats, func(f string) bool { return strings.EqualFold(f, c.LogFormat) }); i >= 0 {
		c.LogFormat = formats[i]
	} else {
		l.variable("AGENT_LOG_FORMAT", meant(c.LogFormat, formats), "%s is none of %s", quote(c.LogFormat), strings.Join(formats, ", "))
	}
	if c.DB == "" || strings.HasPrefix(c.DB, ":memory:") || strings.HasPrefix(c.DB, "file:") {
		l.variable("AGENT_DB", "give the path of a file", "%s is no path", quote(c.DB))
	}
}

// checkSecrets looks at the secrets' form, and never shows them.
func (l *loader) checkSecrets() {
	for i, s := range l.c.WebhookSecrets {
		if webhook.CheckSecret(s.Reveal()) != nil {
			which := ""
			if len(l.c.WebhookSecrets) > 1 {
				which = fmt.Sprintf(" (number %d)", i+1)
			}
			l.wrong("webhook_secret", "copy it anew from incident.io, Settings, Webhooks", "is no whsec_… secret%s: behind the prefix there must be base64", which)
		}
	}
	for _, s := range []struct {
		key   string
		value Secret
	}{{"api_key", l.c.APIKey}, {"alert_source.token", l.c.AlertSource.Token}, {"heartbeat.token", l.c.Heartbeat.Token}} {
		if strings.ContainsFunc(s.value.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
			l.wrong(s.key, "copy it anew", "holds a blank, a line break or a letter that no key has")
		}
	}
}

// checkPairs looks at options that need each other.
func (l *loader) checkPairs() {
	if l.Lenient {
		return
	}
	for _, p := range []struct {
		pair  string
		id    string
		token Secret
	}{{"alert_source", l.c.AlertSource.ID, l.c.AlertSource.Token}, {"heartbeat", l.c.Heartbeat.ID, l.c.Heartbeat.Token}} {
		switch {
		case l.blamed(p.pair+".id", p.pair+".token"):
		case p.id != "" && !p.token.IsSet():
			l.wrong(p.pair+".id", fmt.Sprintf("add %s.token, which incident.io shows with the source", p.pair), "has no token beside it")
		case p.id == "" && p.token.IsSet():
			l.wrong(p.pair+".token", fmt.Sprintf("add %s.id, the source's id", p.pair), "has no id beside it")
		}
	}
	if l.c.ApplyURL != "" && !l.c.ApplySecret.IsSet() {
		l.warn(Source{Variable: "TIGEROPS_APPLY_URL"}, "", "set TIGEROPS_APPLY_SECRET", "changes are sent without a signature")
	}
	if l.c.ApplyURL == "" && l.c.ApplySecret.IsSet() {
		l.warn(Source{Variable: "TIGEROPS_APPLY_SECRET"}, "", "set TIGEROPS_APPLY_URL", "is used by nobody")
	}
	l.c.Rules.AlertSource = l.c.AlertSource.ID
}

// checkSense warns of what is allowed but leads to nothing.
func (l *loader) checkSense() {
	if !l.c.Rules.AutoDeclare && l.c.AlertSource.ID == "" && !l.Lenient && !l.blamed("alert_source", "auto_declare") {
		l.odd("auto_declare", "add alert_source, or set auto_declare: true", "nothing is declared, and without an alert source no alerts are sent: only incidents tied already are kept in step")
	}
}

// CheckRun tells what the agent can't run without, as a *ConfigError.
func (c Config) CheckRun() error {
	if c.APIKey.IsSet() {
		return nil
	}
	return &ConfigError{Findings: []Finding{{
		Source:  Source{Variable: "INCIDENT_IO_API_KEY"},
		Message: "no API key for incident.io is set",
		Mend:    "make one in incident.io under Settings, API keys, and set INCIDENT_IO_API_KEY, or INCIDENT_IO_API_KEY_FILE, or " + prefix + "api_key in the file",
	}}}
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// bare takes the path off a file error whose path the finding names already.
func bare(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
