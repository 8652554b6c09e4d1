package incidentio

import (
	"encoding/json"
	"errors"
	"slices"
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
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return "", err
	}
	if id := text(members["id"]); id != "" {
		return id, nil
	}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var thing struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(members[name], &thing) == nil && thing.ID != "" {
			return thing.ID, nil
		}
	}
	if key := text(members["deduplication_key"]); key != "" {
		return key, nil
	}
	return "", errors.New("the answer names no id")
}

// text is a JSON string's value, or nothing.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
