package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// specFile is the vendor's description of the API, which is no part of the project.
const specFile = "../../../shared/incidentio/openapi.json"

// spec is that description. A nil spec checks nothing.
type spec struct {
	doc   *openapi3.T
	hooks map[string]*openapi3.Schema // by event type

	mu   sync.Mutex
	seen map[string]bool // "POST /v2/incidents" answered with success
}

var (
	specOnce sync.Once
	specAll  *spec
	specErr  error
)

// loadSpec reads the description once; where it is not there it says so and gives nil.
func loadSpec(tb testing.TB) *spec {
	tb.Helper()
	specOnce.Do(func() { specAll, specErr = readSpec() })
	if os.IsNotExist(specErr) {
		tb.Logf("requests and answers are not held against the API's description: %v", specErr)
		return nil
	}
	if specErr != nil {
		tb.Fatal(specErr)
	}
	return specAll
}

func readSpec() (*spec, error) {
	raw, err := os.ReadFile(filepath.FromSlash(specFile))
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", specFile, err)
	}
	var hooks struct {
		List map[string]struct {
			Get struct {
				Responses map[string]struct {
					Content map[string]struct {
						Schema struct {
							Ref string `json:"$ref"`
						} `json:"schema"`
					} `json:"content"`
				} `json:"responses"`
			} `json:"get"`
		} `json:"x-webhooks"`
	}
	if err := json.Unmarshal(raw, &hooks); err != nil {
		return nil, err
	}
	sp := &spec{doc: doc, seen: map[string]bool{}, hooks: map[string]*openapi3.Schema{}}
	for path, h := range hooks.List {
		name := strings.TrimPrefix(h.Get.Responses["200"].Content["application/json"].Schema.Ref, "#/components/schemas/")
		sp.hooks[strings.TrimPrefix(path, "/x-webhooks/")] = doc.Components.Schemas[name].Value
	}
	return sp, nil
}

// operation finds the call that a request is.
func (sp *spec) operation(method, path string) (string, *openapi3.Operation) {
	parts := strings.Split(path, "/")
next:
	for template, item := range sp.doc.Paths.Map() {
		segments := strings.Split(template, "/")
		op := item.GetOperation(method)
		if op == nil || len(segments) != len(parts) {
			continue
		}
		for i, seg := range segments {
			if seg != parts[i] && !strings.HasPrefix(seg, "{") {
				continue next
			}
		}
		return method + " " + template, op
	}
	return "", nil
}

// check holds an exchange against the description: every answer must be described, and a request that was taken must
// have been one that the description allows.
func (sp *spec) check(tb testing.TB, req *http.Request, body []byte, r reply) {
	tb.Helper()
	if sp == nil {
		return
	}
	name, op := sp.operation(req.Method, req.URL.Path)
	if op == nil {
		if r.Status < 400 {
			tb.Errorf("%s %s: is no call of the API, answered %d", req.Method, req.URL.Path, r.Status)
		}
		return
	}
	answer := op.Responses.Value(fmt.Sprint(r.Status))
	if answer == nil {
		answer = op.Responses.Value("default")
		if r.Status < 400 {
			tb.Errorf("%s: status %d is none of its successes", name, r.Status)
		}
	}
	media := answer.Value.Content.Get("application/json")
	switch {
	case media == nil && len(r.Body) > 0:
		tb.Errorf("%s: answered %s, want no body", name, r.Body)
	case media != nil:
		for _, e := range conform(media.Schema.Value, r.Body, openapi3.VisitAsResponse()) {
			tb.Errorf("%s: answer: %s\n%.600s", name, e, r.Body)
		}
	}
	if r.Status >= 400 {
		return
	}
	if op.RequestBody != nil && body != nil {
		for _, e := range conform(op.RequestBody.Value.Content.Get("application/json").Schema.Value, body, openapi3.VisitAsRequest()) {
			tb.Errorf("%s: the request was taken, but: %s", name, e)
		}
	}
	sp.parameters(tb, name, op, req)
	sp.mu.Lock()
	sp.seen[name] = true
	sp.mu.Unlock()
}

// undescribed are parameters that the description lacks although the calls take them.
var undescribed = []string{"GET /v3/actions updated_at", "GET /v3/follow_ups updated_at", "GET /v2/actions updated_at", "GET /v2/follow_ups updated_at"}

func (sp *spec) parameters(tb testing.TB, name string, op *openapi3.Operation, req *http.Request) {
	tb.Helper()
	for key := range req.URL.Query() {
		base, _, _ := strings.Cut(key, "[")
		if op.Parameters.GetByInAndName("query", base) == nil && !slices.Contains(undescribed, name+" "+base) {
			tb.Errorf("%s: took the parameter %s, which it does not have", name, key)
		}
	}
	for _, p := range op.Parameters {
		if p.Value.In == "query" && p.Value.Required && !req.URL.Query().Has(p.Value.Name) {
			tb.Errorf("%s: did without the parameter %s", name, p.Value.Name)
		}
	}
}

// conform tells how a JSON text differs from its schema: kin-openapi's findings, and members that the schema does not
// have, which it lets pass.
func conform(schema *openapi3.Schema, raw []byte, as openapi3.SchemaValidationOption) []string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return []string{err.Error()}
	}
	var out []string
	if err := schema.VisitJSON(v, as, openapi3.MultiErrors(), openapi3.EnableFormatValidation()); err != nil {
		out = append(out, err.Error())
	}
	return append(out, strangers(schema, v, "")...)
}

func strangers(schema *openapi3.Schema, v any, path string) []string {
	var out []string
	switch v := v.(type) {
	case object:
		if len(schema.Properties) == 0 {
			return nil
		}
		for k, e := range v {
			p, ok := schema.Properties[k]
			if !ok {
				out = append(out, path+"."+k+" is not described")
				continue
			}
			out = append(out, strangers(p.Value, e, path+"."+k)...)
		}
	case []any:
		for i, e := range v {
			if schema.Items != nil {
				out = append(out, strangers(schema.Items.Value, e, fmt.Sprintf("%s.%d", path, i))...)
			}
		}
	}
	return out
}

// webhook holds a webhook's body against its description.
func (sp *spec) webhook(tb testing.TB, event, body string) {
	tb.Helper()
	if sp == nil {
		return
	}
	schema, ok := sp.hooks[event]
	if !ok {
		tb.Errorf("webhook %s is not described", event)
		return
	}
	for _, e := range conform(schema, []byte(body), openapi3.VisitAsResponse()) {
		tb.Errorf("webhook %s: %s\n%.600s", event, e, body)
	}
}
