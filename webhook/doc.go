// Package webhook holds the HTTP edges of the agent: the port that incident.io posts to (Receiver), the local listener for
// TigerOps, monitoring and people (Local), the signatures of both, and the server that runs either (Server).
//
// It promises that nothing unsigned gets in, that nothing is answered with a 2xx before the function that stores it
// returned, that memory stays bounded whatever strangers send, and that a slow peer holds up nobody else. It knows nothing
// of events, incidents or the database: what it needs is handed to it as functions over bytes, ids and small values.
package webhook
