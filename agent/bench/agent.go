package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite"
)

// apiKey is what the agent shows to the sink, which does not look, and to simulate, which does.
const apiKey = "inc_simulated_key"

// webhookSecret signs the webhooks of the measurements.
const webhookSecret = "whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2g="

// agent is the agent on a directory of its own.
type agent struct {
	*process
	w            *world
	dir, db      string
	local, hooks string
	config       string // a file; empty: the environment alone
	env          []string
}

// agentIn is an agent that is yet to be started, towards an incident.io at a URL, with its defaults and what env says.
func (w *world) agentIn(dir, db, incidentio string, env ...string) (a *agent, err error) {
	a = &agent{w: w, dir: dir, db: db}
	if a.local, err = freeAddr(); err != nil {
		return nil, err
	}
	if a.hooks, err = freeAddr(); err != nil {
		return nil, err
	}
	a.env = append([]string{
		"INCIDENT_IO_API_KEY=" + apiKey, "INCIDENT_IO_API_URL=" + incidentio, "INCIDENT_IO_WEBHOOK_SECRET=" + webhookSecret,
		"AGENT_DB=" + a.db, "AGENT_LOCAL_ADDR=" + a.local, "AGENT_WEBHOOK_ADDR=" + a.hooks,
	}, env...)
	return a, nil
}

// newAgent starts an agent on a new database.
func (w *world) newAgent(dir, incidentio string, env ...string) (*agent, error) {
	a, err := w.agentIn(dir, filepath.Join(dir, "agent.db"), incidentio, env...)
	if err != nil {
		return nil, err
	}
	return a, a.start()
}

// start starts it on the file that is there, and waits until it answers.
func (a *agent) start() (err error) {
	a.process, err = a.begin("http://" + a.local + "/healthz")
	return err
}

func (a *agent) begin(ready string) (*process, error) {
	args := []string{"run"}
	if a.config != "" {
		args = append(args, "--config", a.config)
	}
	return start(a.dir, a.env, ready, a.w.program("tigerops-incidentio"), args...)
}

// kill ends the process that is running now, whichever start it came from.
func (a *agent) kill() { a.process.kill() }

// post posts events to the door.
func (a *agent) post(events []byte) error {
	resp, err := http.Post("http://"+a.local+"/v1/events", "application/json", bytes.NewReader(events))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("POST /v1/events: %s %s: %w", resp.Status, answer, err)
	}
	return nil
}

// declare tells the agent of incidents TIG-000000 and on, and waits until incident.io has them and their events have ended.
func (a *agent) declare(n int) error {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"id":"created_%d","type":"incident.created","timestamp":"2026-11-23T01:00:00Z","incident":{"id":"TIG-%06d","title":"Incident %d","severity":"critical","status":"open"}}`+"\n", i, i, i)
	}
	if err := a.post(b.Bytes()); err != nil {
		return err
	}
	return a.settled(60 * time.Second)
}

// settled waits until no event waits.
func (a *agent) settled(within time.Duration) error {
	db, err := openSQL(a.db)
	if err != nil {
		return err
	}
	defer db.Close()
	return a.until(within, 20*time.Millisecond, "no event waits", func() (bool, error) {
		var n int
		err := db.QueryRow(`SELECT count(*) FROM outbox WHERE state IN ('pending', 'dead') AND parked = 0`).Scan(&n)
		return n == 0, err
	})
}

// openSQL opens a file as a stranger's process would.
func openSQL(file string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(20000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// insertSteps puts n steps into the outbox as a stranger would, in one transaction, one after the other to different
// incidents. The numbers begin with first.
func (a *agent) insertSteps(first int64, n, incidents int) error {
	return bulk(a.db, `INSERT INTO outbox (payload) VALUES (?)`, n, func(i int) []any {
		return []any{string(stepEvent(first+int64(i), i%incidents))}
	})
}

// bulk runs a statement n times in one transaction.
func bulk(file, statement string, n int, args func(i int) []any) error {
	db, err := openSQL(file)
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	stmt, err := tx.Prepare(statement)
	if err != nil {
		return err
	}
	for i := range n {
		if _, err := stmt.Exec(args(i)...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// holds checks after a kill that every one of the ids is in a table's column.
func holds(file, query string, ids func(yield func(string) bool)) error {
	there, err := column(file, query)
	if err != nil {
		return err
	}
	var lost []string
	n := 0
	for id := range ids {
		n++
		if !there[id] {
			lost = append(lost, id)
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("after kill -9 %d of %d that were acknowledged or sent are not in the file: %s, …", len(lost), n, strings.Join(lost[:min(3, len(lost))], ", "))
	}
	return nil
}

// column reads a column of texts.
func column(file, query string, args ...any) (map[string]bool, error) {
	db, err := openSQL(file)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]bool{}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all[s] = true
	}
	return all, rows.Err()
}

// oneNumber reads a number.
func oneNumber(file, query string, args ...any) (n int64, err error) {
	db, err := openSQL(file)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return n, db.QueryRow(query, args...).Scan(&n)
}
