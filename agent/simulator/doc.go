// Package simulator is incident.io in memory: the other end for the demo, for `simulate` and for tests.
//
// It is as strict as the real thing where an integration can go wrong: fields that the API does not know are refused
// by name, ids must exist, values must be of the custom field's own type, an idempotency key gives the first object
// back whatever the bytes, a status moves only where incident.io lets it move, lists page, leave out test incidents and
// keep to their maximum page size, and the rate limits, their headers and their answers are the documented ones.
// Where the documentation is silent the stricter reading was taken; Options says where that can be loosened.
//
// A Simulator is an http.Handler for a listener, an http.RoundTripper for tests that want no network (and so work in a
// testing/synctest bubble), and a Go value to look into (Snapshot, Requests, Webhooks, Counters) and to act on: As
// plays a person who works in incident.io, Break makes requests fail.
//
//	sim := simulator.New(simulator.Options{WebhookURL: url, WebhookSecrets: []string{secret}})
//	defer sim.Close(context.Background())
//	srv := httptest.NewServer(sim)
//	…
//	err := sim.As("lisa@example.com").SetStatus("INC-1", "Monitoring", "Rolled back")
//	sim.Break(simulator.Fault{Method: "POST", Path: "/v2/incidents", Kind: simulator.ResetAfter, Times: 1})
//
// Everything that As, Break and the settings do is also there over HTTP, as JSON, under the control path /_sim/, which
// needs no key: serve a Simulator on loopback only. GET /_sim/ lists the calls.
//
// A Simulator is safe for any number of goroutines. It keeps everything in memory and nothing on disk.
package simulator
