package incidentio

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMessage bounds what is kept of an answer's words, in bytes: they go to logs, the ledger and tables.
const maxMessage = 500

// oneLine makes text of strangers fit for a log line or a terminal: one line, no control or formatting characters,
// valid UTF-8, at most limit bytes.
func oneLine(s string, limit int) string {
	// Far more than can be kept need not be looked at: a body may have 8 MiB.
	if len(s) > 16*limit {
		s = s[:16*limit]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case r == utf8.RuneError, unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= limit {
		return s
	}
	const mark = "…"
	cut := limit - len(mark)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.TrimRight(s[:cut], " ") + mark
}

// userinfo is a URL's user and password, as in a proxy's address.
var userinfo = regexp.MustCompile(`://[^/\s@]+@`)

// redact takes the given secrets, and whatever stands in a URL where a password stands, out of a text.
func redact(s string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= 4 { // shorter ones would tear words apart, and are no secrets
			s = strings.ReplaceAll(s, secret, hidden)
		}
	}
	return userinfo.ReplaceAllString(s, "://"+hidden+"@")
}
