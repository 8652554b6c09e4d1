package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tigerops/tigerops-incidentio/webhook"
)

func sum(secret string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return h.Sum(nil)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	body := []byte(`{"id":"evt_1"}`)
	good := sum("s3cret", body)
	inHex, inBase64 := hex.EncodeToString(good), base64.StdEncoding.EncodeToString(good)
	changed := []byte(`{"id":"evt_2"}`)
	for name, tc := range map[string]struct {
		secret, header string
		body           []byte
		want           bool
	}{
		"hex":                        {"s3cret", inHex, body, true},
		"hex with prefix":            {"s3cret", "sha256=" + inHex, body, true},
		"upper hex, upper prefix":    {"s3cret", "SHA256=" + strings.ToUpper(inHex), body, true},
		"base64":                     {"s3cret", inBase64, body, true},
		"base64 with prefix":         {"s3cret", "sha256=" + inBase64, body, true},
		"base64 without padding":     {"s3cret", strings.TrimRight(inBase64, "="), body, true},
		"base64 of URLs":             {"s3cret", base64.URLEncoding.EncodeToString(good), body, true},
		"spaces around":              {"s3cret", " " + inHex + " ", body, true},
		"a changed byte of the body": {"s3cret", inHex, changed, false},
		"another secret":             {"secret", inHex, body, false},
		"half a signature":           {"s3cret", inHex[:32], body, false},
		"another algorithm's name":   {"s3cret", "sha1=" + inHex, body, false},
		"none":                       {"s3cret", "", body, false},
		"prefix only":                {"s3cret", "sha256=", body, false},
		"an empty secret":            {"", hex.EncodeToString(sum("", body)), body, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := webhook.Verify(tc.secret, tc.header, tc.body); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	if header := webhook.Sign("s3cret", body); header != "sha256="+inHex {
		t.Errorf("Sign: got %q, want sha256= and hex", header)
	}
}

// The figures are those of the Standard Webhooks specification's own reference tests.
func TestSignStandardAgreesWithTheReference(t *testing.T) {
	t.Parallel()
	const secret, id, want = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	for _, text := range []string{secret, strings.TrimPrefix(secret, "whsec_"), " " + secret + "\n"} {
		got, err := webhook.SignStandard(text, id, time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
		if err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestCheckSecretNeverQuotesIt(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "whsec_", "whsec_====", "whsec_sécret-value", "not base64!"} {
		err := webhook.CheckSecret(bad)
		if err == nil {
			t.Errorf("CheckSecret(%q) let it pass", bad)
			continue
		}
		if len(bad) > 6 && strings.Contains(err.Error(), bad[6:]) {
			t.Errorf("CheckSecret(%q) quotes the secret: %v", bad, err)
		}
	}
	for _, good := range []string{secretA, strings.TrimPrefix(secretA, "whsec_"), "whsec_-_8"} {
		if err := webhook.CheckSecret(good); err != nil {
			t.Errorf("CheckSecret(%q): %v", good, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	body := []byte(`{"id":"evt_1"}`)
	f.Add("", body)
	f.Add(webhook.Sign("s3cret", body), body)
	f.Add("sha256="+base64.StdEncoding.EncodeToString(sum("s3cret", body)), body)
	f.Add("sha256==", []byte(nil))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		if !webhook.Verify("s3cret", webhook.Sign("s3cret", body), body) {
			t.Error("an own signature does not verify")
		}
		if !webhook.Verify("s3cret", header, body) {
			return
		}
		good := sum("s3cret", body)
		for _, form := range []string{hex.EncodeToString(good), base64.RawStdEncoding.EncodeToString(good), base64.RawURLEncoding.EncodeToString(good)} {
			if strings.Contains(header, form) || strings.Contains(strings.ToLower(header), form) {
				return
			}
		}
		// Mixed alphabets are taken too; what is left must at least be the right length.
		if n := len(strings.Trim(header, " \t\r\n=")); n < 43 {
			t.Errorf("%q verifies and holds no signature", header)
		}
	})
}

func FuzzStandardHeaders(f *testing.F) {
	body := []byte(`{"event_type":"public_incident.incident_created_v2"}`)
	at := time.Now()
	for _, family := range []string{"webhook-", "svix-"} {
		h := signed(f, secretA, family, "msg_1", at, body)
		f.Add(family, h.Get(family+"id"), h.Get(family+"timestamp"), h.Get(family+"signature"), body)
	}
	f.Add("webhook-", "", "", "", []byte("{"))
	f.Add("webhook-", "msg_1", "-9223372036854775808", "v1,", []byte("{}"))
	f.Add("svix-", "msg_1", "9223372036854775807", "v1,,, v1 v2,x", []byte("{}"))
	f.Fuzz(func(t *testing.T, family, id, timestamp, signature string, body []byte) {
		called := false
		h := http.Header{}
		h.Set(family+"id", id)
		h.Set(family+"timestamp", timestamp)
		h.Set(family+"signature", signature)
		r := &webhook.Receiver{
			Secrets: func() []string { return []string{"!", secretB, secretA} },
			Accept:  (&stored{}).accept,
			Observe: func(outcome, _ string) { called = outcome == webhook.OutcomeStored },
		}
		w := deliver(r.Handler(), http.MethodPost, webhook.WebhookPath, h, strings.NewReader(string(body)))
		if !called {
			if w.Code != http.StatusUnauthorized && w.Code != http.StatusBadRequest && w.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("got %d for what was not stored", w.Code)
			}
			return
		}
		std := http.Header{}
		std.Set(standardwebhooks.HeaderWebhookID, id)
		std.Set(standardwebhooks.HeaderWebhookTimestamp, timestamp)
		std.Set(standardwebhooks.HeaderWebhookSignature, signature)
		for _, secret := range []string{secretA, secretB} {
			library, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if library.Verify(body, std) == nil {
				return
			}
		}
		t.Errorf("stored what the library itself refuses: %v", h)
	})
}

func BenchmarkVerifyStandard4KiB(b *testing.B) {
	body := []byte(`{"pad":"` + strings.Repeat("x", 4<<10) + `"}`)
	r := &webhook.Receiver{Secrets: func() []string { return []string{secretA} }, Accept: (&stored{}).accept}
	handler := r.Handler()
	headers := signed(b, secretA, "webhook-", "msg_1", time.Now(), body)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if w := deliver(handler, http.MethodPost, webhook.WebhookPath, headers, strings.NewReader(string(body))); w.Code != http.StatusNoContent {
			b.Fatal(w.Code)
		}
	}
}

func BenchmarkVerifyTigerOps4KiB(b *testing.B) {
	body := []byte(strings.Repeat("x", 4<<10))
	header := webhook.Sign("s3cret", body)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if !webhook.Verify("s3cret", header, body) {
			b.Fatal("refused")
		}
	}
}
