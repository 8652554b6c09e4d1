package incidentio

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
)

// DecodeIncident reads the answer to a call that makes or edits an incident.
func DecodeIncident(body []byte) (Incident, error) {
	var i Incident
	if err := unwrap(body, "incident", &i); err != nil {
		return Incident{}, err
	}
	if i.ID == "" {
		return Incident{}, errors.New("the incident has no id")
	}
	return i, nil
}

// DecodeID reads the id of what a call made, whatever the answer's wrapper is called, e.g.
// {"incident_update":{"id":"…"}}. An alert event has no id yet; its deduplication key stands for it.
func DecodeID(body []byte) (string, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", errors.New("the answer is no JSON object")
	}
	var id, key, wrapper, wrapped string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return "", err
		}
		switch name {
		case "id":
			id, err = decodeText(d)
		case "deduplication_key":
			key, err = decodeText(d)
		default:
			var thing struct {
				ID string `json:"id"`
			}
			err = passOver(d.Decode(&thing))
			if name := name.(string); thing.ID != "" && (wrapped == "" || name < wrapper) {
				wrapper, wrapped = name, thing.ID
			}
		}
		if err != nil {
			return "", err
		}
	}
	if _, err := d.Token(); err != nil { // the end was cut off
		return "", err
	}
	if found := cmp.Or(id, wrapped, key); found != "" {
		return found, nil
	}
	return "", errors.New("the answer names no id")
}

// decodeText is a string, or nothing where another value stands.
func decodeText(d *json.Decoder) (s string, err error) {
	err = passOver(d.Decode(&s))
	return s, err
}

// passOver passes over values of another type.
func passOver(err error) error {
	if _, other := errors.AsType[*json.UnmarshalTypeError](err); other {
		return nil
	}
	return err
}
