package incidentio

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// baseURL checks where the key would be sent to: over TLS, or not beyond this machine.
func baseURL(s string) (string, error) {
	if s == "" {
		return DefaultBaseURL, nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Host == "", u.Opaque != "", u.RawQuery != "", u.Fragment != "", u.User != nil:
		// The value itself stays out of the error: it may hold a password.
		return "", errors.New("incident.io's API URL is none: want something like " + DefaultBaseURL + ", without user, query or fragment")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return strings.TrimRight(u.String(), "/"), nil
	}
	return "", fmt.Errorf("incident.io's API URL %s://%s would send the API key unencrypted: use https (http is taken for loopback addresses only)", u.Scheme, u.Host)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func newTransport(caFile string) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("reading the CA file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA file %s holds no certificate in PEM form", caFile)
		}
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		// As many as there may be workers, so that none dials anew for each request.
		MaxIdleConns:        64,
		MaxIdleConnsPerHost: 64,
		// Shorter than what load balancers keep (60 s and more): a request on a connection that the other side has just
		// dropped would be in doubt for nothing.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		// A connection that a network cut killed silently would otherwise hold up every request that goes over it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("the proxy %s does not let us through: it answered %s", proxy.Host, resp.Status)
			}
			return nil
		},
	}, nil
}

// watch follows a request's way to the wire. The function it gives says, once the request ended with err, whether any
// of it may have reached incident.io.
//
// What counts is that a connection was there (dialled, through the proxy, TLS done), not that headers were seen being
// written: a request that is cancelled may still be written by the connection's own goroutine.
func (c *Client) watch(ctx context.Context) (context.Context, func(error) bool) {
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// The transport itself begins again only where nothing at all was written, as on a dropped idle connection.
		GetConn: func(string) { connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	return ctx, func(err error) bool {
		if _, ok := c.transport.(*http.Transport); ok {
			return connected.Load()
		}
		// Another transport need not tell anything. Then only an error that says so itself proves that nothing was sent.
		var op *net.OpError
		var dns *net.DNSError
		return connected.Load() || !(errors.As(err, &op) && op.Op == "dial") && !errors.As(err, &dns)
	}
}
