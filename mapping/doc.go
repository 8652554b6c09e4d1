// Package mapping says what an event means: it parses and validates TigerOps events, adds them up to what TigerOps
// has told of an incident so far, plans the calls to incident.io that bring it there, and compares incident.io's
// state with what both sides last agreed on to find the changes that TigerOps should hear of.
//
// It is pure: no I/O, no clock, no randomness. The same input always gives the same plan, which is what makes a
// step's name and idempotency key stable over crashes and restarts.
package mapping
