package incidentio_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
)

// page is a list's answer with n incidents of about 1 KiB.
func page(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(`{"id":"01FDAG4SAP5TYPT98WGR2N7W%02d","reference":"INC-%d","name":"Checkout latency","summary":%q,"mode":"standard",
			"visibility":"public","incident_status":{"id":"01ST","name":"Investigating","category":"live","rank":1},
			"severity":{"id":"01SEV","name":"SEV1","rank":3},"creator":{"api_key":{"id":"01KEY","name":"TigerOps"}},
			"incident_role_assignments":[{"role":{"id":"01R","name":"Lead","role_type":"lead"},"assignee":{"id":"01U","name":"Lisa"}}],
			"custom_field_entries":[{"custom_field":{"id":"01CF","name":"Service","field_type":"single_select","options":[]},
			"values":[{"value_option":{"id":"01O","value":"api-gateway"}}]}],
			"created_at":"2026-11-23T02:00:00.123Z","updated_at":"2026-11-23T02:10:00.123Z"}`, i%100, i, strings.Repeat("words ", 40))
	}
	return `{"incidents":[` + strings.Join(items, ",") + `],"pagination_meta":{"page_size":250}}`
}

func BenchmarkRefused(b *testing.B) {
	c := answering(b, 422, http.Header{"X-Ratelimit-Limit": {"60, 1200;window=60, 60;window=60"}, "X-Ratelimit-Remaining": {"59"}},
		`{"type":"validation_error","status":422,"request_id":"8e3cc412","errors":[{"code":"invalid_value","message":"is no severity","source":{"field":"severity_id"}}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if r := c.Send(context.Background(), edit); r.Class != incidentio.Refused {
			b.Fatal(r)
		}
	}
}

func BenchmarkIncidents(b *testing.B) {
	body := page(250)
	c := answering(b, 200, http.Header{}, body)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if list, r := c.Incidents(context.Background(), incidentio.ListFilter{}); len(list) != 250 {
			b.Fatal(r)
		}
	}
}
