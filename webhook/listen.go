package webhook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// socketMode lets the socket's owner and group in: whoever may open it is trusted like loopback.
const socketMode = 0o660

// Listen listens on "host:port", or on a unix socket of mode 0660 for "unix:/path". A socket that a dead process left
// behind is removed; one that answers, and anything else of that name, is not touched.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(addr, "unix:")
	var lc net.ListenConfig
	if !isUnix {
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("open the port: %w", err) // the cause names the address
		}
		return ln, nil
	}
	if path == "" || path[0] == '@' {
		return nil, fmt.Errorf("listen on %q: the path of a file is needed, such as unix:/run/tigerops-incidentio/local.sock", addr)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	// On Linux the file takes the mode that the socket has when it is bound, less the umask: it is never wider than meant.
	lc.Control = func(_, _ string, c syscall.RawConn) error {
		var chmod error
		if err := c.Control(func(fd uintptr) { chmod = syscall.Fchmod(int(fd), socketMode) }); err != nil {
			return fmt.Errorf("reach the socket: %w", err)
		}
		return chmod
	}
	ln, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the socket: %w", err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("let the group use the socket: %w", err), ln.Close())
	}
	return ln, nil
}

// removeStale removes a socket that nobody listens on.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at the socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("listen on %s: there is something else of that name, which is left alone", path)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = conn.Close() // it was opened to see whether somebody answers
		return fmt.Errorf("listen on %s: another process listens there: %w", path, syscall.EADDRINUSE)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("see whether the socket is in use: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket that a dead process left: %w", err)
	}
	return nil
}
