package mapping

import (
	"crypto/sha256"
	"encoding/hex"
)

// AlertKey is the deduplication key of a TigerOps incident's alert: readable, the same for every agent and every run,
// and another for each life of the incident (generation: the id of the event that reopened it, else empty). It has at
// most 170 characters.
func AlertKey(tigeropsID, generation string) string {
	key := "tigerops/" + Reference(tigeropsID)
	if generation != "" {
		key += "/" + Reference(generation)
	}
	return key
}

// EventAlertKey is the deduplication key of the alert of an event that belongs to no incident.
func EventAlertKey(eventID string) string { return "tigerops-event/" + Reference(eventID) }

// DeclareKey is the idempotency key of a declaration.
func DeclareKey(tigeropsID, generation string) string {
	return "tigerops-" + digest("declare", tigeropsID, generation)
}

// StepKey is the idempotency key of any other step of an event.
func StepKey(eventID, step string) string { return "tigerops-" + digest("step", eventID, step) }

// digest is 40 hex digits (160 bits) of the SHA-256 over the parts, each behind its length so that no two lists of
// parts look alike. With the prefix a key stays under 64 characters.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		for i, l := 0, len(p); i < 8; i++ {
			n[i] = byte(l >> (8 * i))
		}
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))[:40]
}
