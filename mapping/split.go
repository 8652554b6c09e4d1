package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// SplitBatch takes a body apart into its events: a JSON object, an array, or NDJSON (an object a line; blank lines
// count for nothing, and an object may run over several lines). It is an error, with the line's number, if the body is
// something else, goes on behind its end, or nests deeper than 64 levels. What the events hold is left to Validate,
// which is why an array may hold anything.
func SplitBatch(body []byte) ([]json.RawMessage, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	start := skipSpace(body, 0)
	switch {
	case start == len(body):
		return nil, errors.New("the body is empty")
	case !utf8.Valid(body):
		return nil, errors.New("the body is not UTF-8")
	}
	limit := maxDepth
	if body[start] == '[' { // the array around the events is a level of its own
		limit++
	}
	if depthOf(body) > limit {
		return nil, fmt.Errorf("the body nests deeper than %d levels", maxDepth)
	}
	if body[start] == '{' {
		return splitLines(body)
	}
	if err := validAt(body, body[start:], start); err != nil {
		return nil, err
	}
	value := bytes.TrimRight(body[start:], " \t\r\n")
	if body[start] != '[' {
		return []json.RawMessage{value}, nil
	}
	events := []json.RawMessage{}
	walkList(value, func(v json.RawMessage) { events = append(events, v) })
	return events, nil
}

// splitLines takes objects apart that stand one behind the other, each beginning on a line of its own.
func splitLines(body []byte) ([]json.RawMessage, error) {
	var events []json.RawMessage
	for i := skipSpace(body, 0); i < len(body); {
		if body[i] != '{' {
			return nil, fmt.Errorf("line %d: expected an object, found %q", lineAt(body, i), short(string(body[i:])))
		}
		end := skipValue(body, i)
		if err := validAt(body, body[i:end], i); err != nil {
			return nil, err
		}
		events = append(events, body[i:end:end])
		next := skipSpace(body, end)
		if next < len(body) && bytes.IndexByte(body[end:next], '\n') < 0 {
			return nil, fmt.Errorf("line %d: text behind the end of the object: %q", lineAt(body, next), short(string(body[next:])))
		}
		i = next
	}
	return events, nil
}

// validAt says what is wrong with a JSON value that begins at offset in body, and on which line.
func validAt(body, value []byte, offset int) error {
	if isJSON(value) {
		return nil
	}
	var any json.RawMessage
	err := json.Unmarshal(value, &any)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset += int(syntax.Offset)
	}
	return fmt.Errorf("line %d: not JSON: %w", lineAt(body, min(offset, len(body))), err)
}

func lineAt(body []byte, offset int) int { return 1 + bytes.Count(body[:offset], []byte{'\n'}) }
