package agent

import (
	"database/sql"
	"encoding/json"
	"testing"
)

// TestStrangersAndOwnEventsKeepTheirOrder puts events of one incident in by turns: by the door of this process, which
// tells the drainer, and by another connection, which the drainer has to notice.
func TestStrangersAndOwnEventsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	w, l := listening(t, func(*world, int, string) {})
	db := must(sql.Open("sqlite", "file:"+w.path+"?_pragma=busy_timeout(10000)"))(w)
	defer db.Close()
	list := notes(60)
	for i, e := range list {
		if i%3 == 1 {
			w.post(e)
			continue
		}
		if _, err := db.Exec("INSERT INTO outbox(payload) VALUES (?)", string(must(json.Marshal(e))(w))); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range list {
		w.ends(e, "done")
	}
	same(t, "order", l.order(60), inOrder(60)...)
	is(t, "sent", len(l.heard), 60)
}
