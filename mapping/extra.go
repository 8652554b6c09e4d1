package mapping

import (
	"bytes"
	"encoding/json"
	"maps"
)

// maxExtra bounds, in bytes, what is kept of the payloads for $.a.b paths: the incident's row is written anew with
// every event.
const maxExtra = 64 << 10

// Extra is the sum of all payloads, for $.a.b paths. It is taken apart once and put together only to be written down; its
// zero value is empty. A value is never changed: with gives another.
type Extra struct {
	raw  json.RawMessage // as it was read; empty once sum holds it
	sum  map[string]any  // objects as maps of this kind, anything else as the JSON that was told
	size int             // bytes of it as JSON, or somewhat more
}

// IsZero says that nothing is known.
func (e Extra) IsZero() bool { return len(e.raw) == 0 && len(e.sum) == 0 }

// MarshalJSON writes the sum as a JSON object.
func (e Extra) MarshalJSON() ([]byte, error) {
	switch {
	case e.IsZero():
		return []byte("null"), nil
	case len(e.raw) > 0:
		return e.raw, nil
	}
	return encodeExtra(e.sum)
}

// UnmarshalJSON keeps what it is given as it is.
func (e *Extra) UnmarshalJSON(b []byte) error {
	*e = Extra{}
	if string(b) != "null" {
		e.raw, e.size = bytes.Clone(b), len(b)
	}
	return nil
}

// object is the sum, which is not to be changed; nil where nothing is known.
func (e Extra) object() map[string]any {
	if len(e.raw) == 0 {
		return e.sum
	}
	return membersOf(e.raw)
}

// with adds a payload to the sum of those before it: objects member by member, all else replaced, null passed over. If
// the sum grows too large only the payload is kept; one that is too large by itself is passed over.
func (e Extra) with(payload json.RawMessage) Extra {
	if len(payload) == 0 || len(payload) > maxExtra {
		return e
	}
	update := membersOf(payload)
	if update == nil {
		return e
	}
	all := Extra{sum: mergeObjects(e.object(), update), size: e.size + len(payload)}
	if all.size <= maxExtra || all.fits() {
		return all
	}
	if all = (Extra{sum: mergeObjects(nil, update)}); all.fits() {
		return all
	}
	return e
}

// fits measures the sum.
func (e *Extra) fits() bool {
	b, err := encodeExtra(e.sum)
	e.size = len(b)
	return err == nil && e.size <= maxExtra
}

// membersOf takes a valid JSON object apart, and the objects in it; nil where it is none.
func membersOf(raw json.RawMessage) map[string]any {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	m := make(map[string]any)
	walkObject(raw, func(name []byte, value json.RawMessage) {
		switch key := string(name); value[0] {
		case '{':
			m[key] = membersOf(value)
		case 'n':
			m[key] = nil
		default:
			m[key] = value
		}
	})
	return m
}

// mergeObjects returns old as update changes it, in new maps.
func mergeObjects(old, update map[string]any) map[string]any {
	all := make(map[string]any, len(old)+len(update))
	maps.Copy(all, old)
	for k, v := range update {
		switch v := v.(type) {
		case nil:
		case map[string]any:
			was, _ := all[k].(map[string]any)
			all[k] = mergeObjects(was, v)
		default:
			all[k] = v
		}
	}
	return all
}

// decoded is what a member of the sum says; numbers stay as they are written.
func decoded(member any) any {
	raw, ok := member.(json.RawMessage)
	if !ok {
		return member
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	_ = d.Decode(&v) // it was valid when it came
	return v
}

// encodeExtra writes keys in order and leaves <, > and & as they are.
func encodeExtra(m map[string]any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
