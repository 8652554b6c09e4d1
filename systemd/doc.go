// Package systemd is the agent's place among services: the units that the packages install, and the messages to the
// service manager that belong to them (sd_notify, the watchdog, sockets handed over), and log lines with fields for its journal.
package systemd
