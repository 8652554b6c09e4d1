package systemd

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// Notify tells the service manager of a state: "ready", "status" (with a line of text for `systemctl status`), "alive"
// (the watchdog's ping), "reloading" and "stopping". Without a service manager it does nothing. An error is a broken
// socket, of which nobody can do anything but log it.
func Notify(state, text string) error {
	var message string
	switch state {
	case "ready":
		message = daemon.SdNotifyReady
	case "status":
		message = "STATUS=" + strings.ReplaceAll(text, "\n", " ")
	case "alive":
		message = daemon.SdNotifyWatchdog
	case "reloading":
		message = daemon.SdNotifyReloading
	case "stopping":
		message = daemon.SdNotifyStopping
	default:
		return fmt.Errorf("notify the service manager of %q: no such state", state)
	}
	if _, err := daemon.SdNotify(false, message); err != nil {
		return fmt.Errorf("notify the service manager of %q: %w", state, err)
	}
	return nil
}

// WatchdogEvery is how often Notify("alive") has to come: half of WatchdogSec of the unit. Zero: no watchdog.
func WatchdogEvery() (time.Duration, error) {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0, fmt.Errorf("read the watchdog's interval: %w", err)
	}
	return d / 2, nil
}

// Listener returns the socket that the service manager handed over, nil if there is none. More than one is an error:
// the agent has one port that strangers reach.
func Listener() (net.Listener, error) {
	all, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take over the service manager's socket: %w", err)
	}
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	}
	for _, l := range all {
		_ = l.Close()
	}
	return nil, fmt.Errorf("take over the service manager's socket: %d were handed over, the webhook port is one", len(all))
}
