package simulator

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

func unauthorized(code, message string) *apiError {
	return plainError(http.StatusUnauthorized, "authentication_error", code, "%s", message)
}

func forbidden(role string) *apiError {
	return plainError(http.StatusForbidden, "authorization_error", "missing_role", "The API key lacks the role to do this: %s", role)
}

// authorize checks the API key. The caller holds mu.
func (s *Simulator) authorize(r *http.Request) *apiError {
	h := r.Header.Get("Authorization")
	if h == "" {
		return unauthorized("missing_authorization_material", "No authorization material provided in request")
	}
	token, ok := strings.CutPrefix(h, "Bearer ")
	if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(s.keyValue)) != 1 {
		return unauthorized("invalid_authorization_material", "The API key is not valid")
	}
	return nil
}

// allowed checks that the key has one of the roles. The caller holds mu.
func (s *Simulator) allowed(anyOf ...string) *apiError {
	if len(anyOf) == 0 || slices.ContainsFunc(anyOf, s.hasRole) {
		return nil
	}
	return forbidden(strings.Join(anyOf, " or "))
}

func (s *Simulator) hasRole(role string) bool { return slices.Contains(s.roles, role) }

// sourceToken checks an alert source's own token: Authorization (Bearer, or Basic with the token as the password) or
// the parameter token. The caller holds mu.
func sourceToken(r *http.Request, want string) *apiError {
	got := r.URL.Query().Get("token")
	if h := r.Header.Get("Authorization"); h != "" {
		kind, v, _ := strings.Cut(h, " ")
		switch kind {
		case "Bearer":
			got = v
		case "Basic":
			if raw, err := base64.StdEncoding.DecodeString(v); err == nil {
				_, got, _ = strings.Cut(string(raw), ":")
			}
		}
	}
	switch {
	case got == "":
		return unauthorized("missing_authorization_material", "No authorization material provided in request")
	case subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1:
		return unauthorized("invalid_authorization_material", "The token is not this alert source's")
	}
	return nil
}

// SetKey puts another API key in force: the old one is refused from now on. Roles stay if none are given.
func (s *Simulator) SetKey(key string, roles ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyValue = key
	if len(roles) > 0 {
		s.roles = roles
	}
}
