package simulator_test

import (
	"net/http"
	"testing"
)

type spec struct{}

func loadSpec(tb testing.TB) *spec { return nil }

func (sp *spec) check(tb testing.TB, req *http.Request, body []byte, r reply) {}
