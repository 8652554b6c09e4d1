package webhook

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// access decides who may read and tend: what comes through the unix socket or from loopback, and who knows the secret.
func (l *listener) access(r *http.Request) error {
	if err := sameSite(r); err != nil {
		return err
	}
	secret := l.Secret()
	switch near := !isForwarded(r); {
	case bearer(r, secret), near && overSocket(r):
		return nil
	case near && fromLoopback(r) && ownHost(r):
		return nil
	case near && fromLoopback(r):
		return forbidden("host", "the Host is not this machine's: use its address or localhost, or send Authorization: Bearer")
	case secret == "":
		return &Error{
			Status: http.StatusUnauthorized, reason: "remote",
			Message: "this is for loopback and the unix socket only, since TIGEROPS_WEBHOOK_SECRET is not set",
		}
	}
	return unauthorized("Authorization: Bearer with TIGEROPS_WEBHOOK_SECRET is needed from elsewhere than loopback and the unix socket")
}

// sameSite refuses what a page of another site made a browser send. A page can't choose these headers.
func sameSite(r *http.Request) error {
	if err := crossOrigin.Check(r); err != nil {
		return forbidden("cross_site", "requests of other sites' pages are not taken")
	}
	// The check above lets every GET pass. One of another origin's script can't read the answer, but it could wait on it.
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	if origin == "" || site == "same-origin" {
		return nil
	}
	if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
		return forbidden("cross_site", "requests of other sites' pages are not taken")
	}
	return nil
}

var crossOrigin = http.NewCrossOriginProtection()

// overSocket tells whether the request came through a unix socket, whose file mode has decided who may.
func overSocket(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && addr.Network() == "unix"
}

// isForwarded tells whether a proxy says that the request is not its own. Such headers are believed in this only: the
// request does not come from this machine then, whatever the connection does.
func isForwarded(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(name)) > 0 {
			return true
		}
	}
	return false
}

func fromLoopback(r *http.Request) bool {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// ownHost tells whether the Host is one by which this machine's own programs name it. A page of another site that has its
// name point to loopback (DNS rebinding) still sends its own name; none at all is no browser's.
func ownHost(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "" || strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return false
	}
	if ip.Unmap().IsLoopback() {
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return false
	}
	own, err := netip.ParseAddrPort(local.String())
	return err == nil && own.Addr().Unmap() == ip.Unmap()
}

func forbidden(reason, message string) *Error {
	return &Error{Status: http.StatusForbidden, Message: message, reason: reason}
}

func unauthorized(message string) *Error {
	return &Error{Status: http.StatusUnauthorized, Message: message, reason: "unauthorized"}
}
