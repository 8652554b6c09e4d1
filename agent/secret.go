package agent

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// masked is what every way of printing a Secret shows.
const masked = "<secret>"

// Secret is a value that no log line, error, metric, table or document may show: whichever way it is printed or
// marshalled, it is the word <secret>. Only Reveal gives the value. The zero Secret holds nothing.
type Secret struct {
	// A pointer, because fmt prints the inside of an unexported member without asking its methods: the worst that
	// a %+v of a struct around a Secret can show is an address.
	value *string
}

// NewSecret hides value. An empty value gives the zero Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal returns the value, "" if there is none. Whoever calls it answers for where the value goes.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsSet tells whether there is a value.
func (s Secret) IsSet() bool { return s.value != nil }

// Equal compares two secrets in constant time for values of the same length.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns <secret>, or nothing for the zero Secret.
func (s Secret) String() string {
	if !s.IsSet() {
		return ""
	}
	return masked
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// Format prints String, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText marshals String, also as a JSON string and as a key of a map.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText hides what it reads.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// MarshalJSON marshals String.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// MarshalYAML marshals String.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue logs String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
