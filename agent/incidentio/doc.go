// Package incidentio is the client of incident.io's API.
//
// It promises four things. A call is one request: the client never sleeps and never repeats a request, whatever the
// answer; waiting and trying again belong to the caller. What became of a request is one value, Result, decided once,
// where the answer arrives, so that no caller looks at status codes. An answer is never larger in memory than 8 MiB.
// And the API key and the tokens leave the process in the Authorization header only: no error, message or URL holds them.
//
// What incident.io adds to its answers (fields, enum values, longer ids) is passed over or handed on as it is.
package incidentio
