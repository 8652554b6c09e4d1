package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// SignatureHeader carries TigerOps' signature of a request's body, both ways.
const SignatureHeader = "X-TigerOps-Signature"

const sha256Prefix = "sha256="

// Sign gives the value of SignatureHeader for body: "sha256=" and the HMAC-SHA256 in hex.
func Sign(secret string, body []byte) string {
	return sha256Prefix + hex.EncodeToString(mac(secret, body))
}

func mac(secret string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return h.Sum(nil)
}

// Verify tells whether header is a signature of body by secret: HMAC-SHA256 in hex or base64, with or without "sha256=".
// An empty secret verifies nothing. The comparison takes the same time wherever the first difference is.
func Verify(secret, header string, body []byte) bool {
	given, ok := decodeMAC(header)
	return ok && secret != "" && hmac.Equal(given, mac(secret, body))
}

// decodeMAC reads the 32 bytes of a SHA-256 MAC from a header. Hex has 64 digits, which base64 of 32 bytes never has.
func decodeMAC(header string) ([]byte, bool) {
	text := strings.TrimSpace(header)
	if len(text) >= len(sha256Prefix) && strings.EqualFold(text[:len(sha256Prefix)], sha256Prefix) {
		text = text[len(sha256Prefix):]
	}
	var sum []byte
	var err error
	if len(text) == hex.EncodedLen(sha256.Size) {
		sum, err = hex.DecodeString(text)
	} else {
		sum, err = decodeBase64(text)
	}
	return sum, err == nil && len(sum) == sha256.Size
}

// decodeBase64 takes both alphabets, padded or not: secrets and signatures are copied through many hands.
func decodeBase64(text string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(oneAlphabet.Replace(strings.TrimRight(text, "=")))
}

var oneAlphabet = strings.NewReplacer("-", "+", "_", "/")

// bearer tells whether the request carries secret as its bearer token. An empty secret is nobody's.
func bearer(r *http.Request, secret string) bool {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || secret == "" || !strings.EqualFold(scheme, "bearer") {
		return false
	}
	given, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(secret)) // hides the length too
	return subtle.ConstantTimeCompare(given[:], want[:]) == 1
}

// SignStandard gives the webhook-signature header by the Standard Webhooks rules, as incident.io signs: secret is
// "whsec_…" or the bare base64.
func SignStandard(secret, id string, at time.Time, body []byte) (string, error) {
	wh, err := standard(secret)
	if err != nil {
		return "", err
	}
	return wh.Sign(id, at, body)
}

// CheckSecret tells what is wrong with a Standard Webhooks secret, without its text; nil if nothing is.
func CheckSecret(secret string) error {
	_, err := standard(secret)
	return err
}

// standard gives the library's verifier for a secret. The library itself would take an empty key, by which anybody can
// sign.
func standard(secret string) (*standardwebhooks.Webhook, error) {
	key, err := decodeBase64(strings.TrimPrefix(strings.TrimSpace(secret), "whsec_"))
	if err != nil {
		return nil, errors.New("a webhook secret is whsec_ and base64; this one is not base64") // the cause would quote a byte of it
	}
	if len(key) == 0 {
		return nil, errors.New("a webhook secret is whsec_ and base64; this one is empty")
	}
	wh, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, fmt.Errorf("take a webhook secret: %w", err)
	}
	return wh, nil
}

// Words for why a webhook's signature was refused.
const (
	reasonNoHeaders  = "missing_headers"
	reasonBadHeaders = "invalid_headers"
	reasonStale      = "too_old"
	reasonFuture     = "too_new"
	reasonNoMatch    = "wrong_signature"
	reasonNoSecret   = "no_secret"
)

// envelope is the signed headers of one webhook, in the names that the library knows.
type envelope http.Header

// headerNames are the names of the signed headers, as http.Header has them.
type headerNames struct{ id, timestamp, signature string }

// headerFamilies are the names that senders use, the standard ones first.
var headerFamilies = []headerNames{standardNames, {"Svix-Id", "Svix-Timestamp", "Svix-Signature"}}

var standardNames = headerNames{
	id:        http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookID),
	timestamp: http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookTimestamp),
	signature: http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookSignature),
}

// envelopes gives the header families that a request carries in full, the standard one first; both are tried, since a
// proxy may add to one of them.
func envelopes(h http.Header) []envelope {
	var all []envelope
	for _, names := range headerFamilies {
		id, at, signature := h.Get(names.id), h.Get(names.timestamp), strings.Join(h.Values(names.signature), " ")
		if id == "" || at == "" || signature == "" {
			continue
		}
		all = append(all, envelope{standardNames.id: {id}, standardNames.timestamp: {at}, standardNames.signature: {signature}})
	}
	return all
}

func (e envelope) id() string { return http.Header(e).Get(standardNames.id) }

// keyring are the secrets in force, made ready to verify by.
type keyring struct {
	secrets []string
	keys    []*standardwebhooks.Webhook // nil for a secret that is none: the configuration names it
	usable  bool                        // there is one that is not nil
}

func newKeyring(secrets []string) *keyring {
	k := &keyring{secrets: slices.Clone(secrets), keys: make([]*standardwebhooks.Webhook, len(secrets))}
	for i, text := range secrets {
		if wh, err := standard(text); err == nil {
			k.keys[i], k.usable = wh, true
		}
	}
	return k
}

// rule tells what neither a body nor another clock could mend; empty if nothing is of that kind. Whether the signature is
// out of date is told with the body.
func (k *keyring) rule(all []envelope) (reason string) {
	switch {
	case len(all) == 0:
		return reasonNoHeaders
	case !k.usable:
		return reasonNoSecret
	}
	return ""
}

// verify tries each envelope with each secret. It gives the envelope's id and the index of the secret that matched, or the
// reason that is most telling: headers that are wrong in themselves come before a signature that is.
func (k *keyring) verify(all []envelope, body []byte) (id string, secret int, reason string) {
	reason = k.rule(all)
	for i, wh := range k.keys {
		if wh == nil {
			continue
		}
		for _, e := range all {
			err := wh.Verify(body, http.Header(e))
			if err == nil {
				return e.id(), i, ""
			}
			if reason != reasonNoMatch { // one envelope in good order tells more than another that is not
				reason = whyRefused(err)
			}
		}
	}
	return "", 0, reason
}

func whyRefused(err error) string {
	switch {
	case errors.Is(err, standardwebhooks.ErrRequiredHeaders):
		return reasonNoHeaders
	case errors.Is(err, standardwebhooks.ErrInvalidHeaders):
		return reasonBadHeaders
	case errors.Is(err, standardwebhooks.ErrMessageTooOld):
		return reasonStale
	case errors.Is(err, standardwebhooks.ErrMessageTooNew):
		return reasonFuture
	}
	return reasonNoMatch
}
