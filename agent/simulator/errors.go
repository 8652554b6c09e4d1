package simulator

import (
	"fmt"
	"net/http"
	"time"
)

// apiError is an answer that is no success, in the documented shape.
type apiError struct {
	Type      string      `json:"type"`
	Status    int         `json:"status"`
	RequestID string      `json:"request_id"`
	Errors    []errorItem `json:"errors"`
	RateLimit *rateNote   `json:"rate_limit,omitempty"`

	retryAfter string // the Retry-After header, if any
}

type errorItem struct {
	Code    string       `json:"code"`
	Message string       `json:"message"`
	Source  *errorSource `json:"source,omitempty"`
}

type errorSource struct {
	Field string `json:"field"`
}

type rateNote struct {
	Name       string    `json:"name"`
	Limit      int       `json:"limit"`
	Remaining  int       `json:"remaining"`
	RetryAfter time.Time `json:"retry_after"`
}

func (e *apiError) Error() string {
	it := e.Errors[0]
	if it.Source != nil {
		return fmt.Sprintf("%d %s: %s: %s", e.Status, it.Code, it.Source.Field, it.Message)
	}
	return fmt.Sprintf("%d %s: %s", e.Status, it.Code, it.Message)
}

// Codes of validation errors.
const (
	codeRequired = "is_required"
	codeInvalid  = "invalid_value"
	codeUnknown  = "unknown_field"
	codeNotFound = "not_found"
)

func fieldErrorItem(field, code, format string, args ...any) errorItem {
	return errorItem{Code: code, Message: fmt.Sprintf(format, args...), Source: &errorSource{Field: field}}
}

// refuse is a 422 that blames one field.
func refuse(field, code, format string, args ...any) *apiError {
	return invalid([]errorItem{fieldErrorItem(field, code, format, args...)})
}

func invalid(items []errorItem) *apiError {
	return &apiError{Type: "validation_error", Status: http.StatusUnprocessableEntity, Errors: items}
}

func plainError(status int, typ, code, format string, args ...any) *apiError {
	return &apiError{Type: typ, Status: status, Errors: []errorItem{{Code: code, Message: fmt.Sprintf(format, args...)}}}
}

func missing(what, id string) *apiError {
	return plainError(http.StatusNotFound, "not_found", codeNotFound, "%s %q could not be found", what, id)
}

func badRequest(format string, args ...any) *apiError {
	return plainError(http.StatusBadRequest, "bad_request", "invalid_request", format, args...)
}
