package mapping

import (
	"bytes"
	"encoding/json"
	"maps"
)

// maxExtra bounds, in bytes, what is kept of the payloads for $.a.b paths: the incident's row is written anew with
// every event.
const maxExtra = 64 << 10

// mergeExtra adds a payload to the sum of those before it: objects member by member, all else replaced, null passed
// over. If the sum grows too large only the payload is kept; one that is too large by itself is passed over.
func mergeExtra(sum, payload json.RawMessage) json.RawMessage {
	if len(payload) == 0 || len(payload) > maxExtra {
		return sum
	}
	update, ok := decodeObject(payload)
	if !ok {
		return sum
	}
	old, _ := decodeObject(sum)
	merged, err := encodeExtra(mergeObjects(old, update))
	if err == nil && len(merged) > maxExtra {
		merged, err = encodeExtra(mergeObjects(nil, update))
	}
	if err != nil || len(merged) > maxExtra {
		return sum
	}
	return merged
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

// decodeObject keeps numbers as they are written.
func decodeObject(raw json.RawMessage) (map[string]any, bool) {
	if len(raw) == 0 {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	return m, d.Decode(&m) == nil && m != nil
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
