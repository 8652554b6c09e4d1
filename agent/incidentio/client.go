package incidentio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// DefaultBaseURL is where incident.io's API is.
	DefaultBaseURL = "https://api.incident.io"

	// maxBody bounds an answer in memory, after decompression. A page of 250 incidents has about 1 MiB.
	maxBody = 8 << 20

	// requestTimeout bounds one request from dialling to the last byte; a caller's earlier deadline counts.
	requestTimeout = 30 * time.Second
)

// Options are what a Client is made of. Key is the only one without a default.
type Options struct {
	BaseURL   string        // default DefaultBaseURL; https, or http to a loopback address
	Key       func() string // the API key, asked for before each request, so that a new one serves at once
	UserAgent string        // sent with each request
	CAFile    string        // PEM file of the authorities to trust in place of the system's
	// HTTP's transport and timeout are used in place of the client's own. Redirects are never followed, whatever it says.
	HTTP *http.Client
	// Observe is told of each request when it ended. In path, ids stand as {id}; status is 0 where no answer came.
	Observe func(method, path string, status int, d time.Duration)
}

// Client speaks to incident.io. It is safe for use by many goroutines.
type Client struct {
	base      string
	key       func() string
	agent     string
	transport http.RoundTripper
	timeout   time.Duration
	observe   func(method, path string, status int, d time.Duration)
}

// New makes a client. It makes no request. An error names the option that can't be used.
func New(o Options) (*Client, error) {
	if o.Key == nil {
		return nil, errors.New("incident.io client: Options.Key is not set")
	}
	base, err := baseURL(o.BaseURL)
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, key: o.Key, agent: o.UserAgent, observe: o.Observe, timeout: requestTimeout}
	switch {
	case o.HTTP == nil:
		if c.transport, err = newTransport(o.CAFile); err != nil {
			return nil, err
		}
	case o.CAFile != "":
		return nil, errors.New("incident.io client: a CA file can't be used together with an HTTP client of the caller's")
	default:
		if c.transport = o.HTTP.Transport; c.transport == nil {
			c.transport = http.DefaultTransport
		}
		if o.HTTP.Timeout > 0 {
			c.timeout = o.HTTP.Timeout
		}
	}
	return c, nil
}

// Close gives up idle connections. Requests under way go on, and new ones may still be made.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Call is one request to incident.io.
type Call struct {
	Method string
	Path   string     // from the root of the API, ids escaped: "/v2/incidents/01FDAG…/actions/edit"
	Query  url.Values // never a secret
	Body   []byte     // JSON, sent byte for byte; nil sends none
	Token  string     // an alert source's own token in place of the API key
}

// Send makes one request and tells what became of it. It neither waits nor tries again.
func (c *Client) Send(ctx context.Context, call Call) Result {
	r := Result{what: oneLine(call.Method+" "+call.Path, maxMessage/2)}
	secret := call.Token
	if secret == "" {
		secret = c.key()
	}
	secret = strings.TrimSpace(secret)
	if problem := unusable(secret); problem != "" {
		r.Class, r.Code, r.Message = Unauthorized, "no_key", problem
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, sent := c.watch(ctx)
	req, err := c.request(ctx, call, secret)
	if err != nil {
		// Only a programmer, or a stranger's id put into a path unescaped, gets here: the same call never succeeds.
		r.Class, r.Code, r.Message = Refused, "bad_request", oneLine(redact(err.Error(), secret), maxMessage)
		return r
	}
	r.Requests = 1
	start := time.Now()
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		c.observed(call, 0, start)
		r.Class = Unreachable
		if sent(err) {
			r.Class = InDoubt
		}
		return r.failed(ctx, err, c.timeout, secret)
	}
	body, err := readBody(resp)
	c.observed(call, resp.StatusCode, start)
	a := answer{status: resp.StatusCode, header: resp.Header, body: body, readErr: err, secret: secret}
	r = classify(r, call, a, time.Now())
	if r.Err != nil {
		return r.failed(ctx, r.Err, c.timeout, secret)
	}
	return r
}

func (c *Client) observed(call Call, status int, start time.Time) {
	if c.observe != nil {
		c.observe(call.Method, route(call.Path), status, time.Since(start))
	}
}

func (c *Client) request(ctx context.Context, call Call, secret string) (*http.Request, error) {
	if !strings.HasPrefix(call.Path, "/") || strings.ContainsAny(call.Path, "?#") {
		return nil, fmt.Errorf("the path %q of a call is none", call.Path)
	}
	address := c.base + call.Path
	if len(call.Query) > 0 {
		address += "?" + call.Query.Encode()
	}
	var body io.Reader
	if call.Body != nil {
		body = bytes.NewReader(call.Body)
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Accept", "application/json")
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	if call.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// unusable says why a secret can't be sent, or nothing. A header takes printable ASCII only.
func unusable(secret string) string {
	if secret == "" {
		return "no API key or token is set"
	}
	for _, b := range []byte(secret) {
		if b <= ' ' || b > '~' {
			return "the API key or token has characters that no key has (spaces, line breaks or non-ASCII)"
		}
	}
	return ""
}

var errTooLarge = fmt.Errorf("the answer is larger than %d MiB", maxBody>>20)

// readBody reads a whole answer. With errTooLarge, and with any other error, what was read so far is given too.
func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, nil // its body is the bare connection and has no end
	}
	var b bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= maxBody {
		b.Grow(int(n) + bytes.MinRead) // room for the read that finds the end
	}
	_, err := b.ReadFrom(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && b.Len() > maxBody {
		return b.Bytes()[:maxBody], errTooLarge
	}
	return b.Bytes(), err
}

// failed fills in the words of an error of the network.
func (r Result) failed(ctx context.Context, err error, timeout time.Duration, secret string) Result {
	text := err.Error()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded) {
		text = "no whole answer in time (" + timeout.String() + " at most)"
	}
	r.Message = oneLine(redact(text, secret), maxMessage)
	r.Err = &networkError{text: r.Message, err: err}
	return r
}

// networkError is an error of the network in words without secrets.
type networkError struct {
	text string
	err  error
}

func (e *networkError) Error() string { return e.text }
func (e *networkError) Unwrap() error { return e.err }

// words are the parts of incident.io's paths that are no ids. What is not among them counts as one, so that metrics
// have a bounded number of labels whatever ids come.
var words = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`v1 v2 v3 identity severities incident_statuses incident_types custom_field_options
		custom_fields incident_roles users catalog_entries catalog_types teams alert_sources alert_events http heartbeat
		ping alerts actions resolve incident_alerts alert_notes incidents edit import_postmortem_document
		postmortem_documents incident_updates incident_timeline_items incident_timestamps follow_ups
		incident_attachments escalations escalation_paths`) {
		m[w] = true
	}
	return m
}()

// route is a path with its ids as {id}.
func route(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i, p := range parts {
		if !words[p] {
			parts[i] = "{id}"
		}
	}
	return "/" + strings.Join(parts, "/")
}
