// plain is what somebody would write first, on the agent's SQLite and router: one commit a request at the door, and one
// loop that takes the oldest row, posts it and marks it done, with a commit for each. Durable, and in order. With -group
// requests that come together share a commit, and nothing else changes: what a bare table can be had to take.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/julienschmidt/httprouter"
	_ "modernc.org/sqlite"
)

const schema = `
CREATE TABLE IF NOT EXISTS event (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id   TEXT NOT NULL UNIQUE ON CONFLICT IGNORE,
    state      TEXT NOT NULL DEFAULT 'pending',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    payload    TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS event_pending ON event (id) WHERE state = 'pending';`

const maxBody = 1 << 20

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "where the door listens")
	file := flag.String("db", "plain.db", "the database")
	sink := flag.String("sink", "", "the URL that rows are posted to; none are without one")
	group := flag.Bool("group", false, "requests that come together share a commit")
	flag.Parse()
	if err := run(*addr, *file, *sink, *group); err != nil {
		fmt.Fprintln(os.Stderr, "plain:", err)
		os.Exit(1)
	}
}

func run(addr, file, sink string, group bool) error {
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	if _, err := db.Exec(schema); err != nil {
		return fmt.Errorf("make the schema: %w", err)
	}
	insert, err := db.Prepare(`INSERT INTO event (event_id, payload) VALUES (?, ?)`)
	if err != nil {
		return err
	}
	failed := make(chan error, 3)
	if sink != "" {
		go func() { failed <- drain(db, sink) }()
	}
	store := func(ctx context.Context, id, body string) error {
		_, err := insert.ExecContext(ctx, id, body)
		return err
	}
	if group {
		queue := make(chan *waiting, 256)
		go func() { failed <- commitTogether(db, queue) }()
		store = func(_ context.Context, id, body string) error {
			one := &waiting{id: id, body: body, done: make(chan error, 1)}
			queue <- one
			return <-one.done
		}
	}
	router := httprouter.New()
	router.GET("/healthz", func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) { fmt.Fprintln(w, "ok") })
	router.POST("/v1/events", func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) { accept(store, w, r) })
	go func() { failed <- http.ListenAndServe(addr, router) }()
	return <-failed
}

// accept answers 202 once the event is on disk.
func accept(store func(ctx context.Context, id, body string) error, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var event struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(body, &event); err != nil || event.ID == "" {
		http.Error(w, "the body is no event", http.StatusBadRequest)
		return
	}
	if err := store(r.Context(), event.ID, string(body)); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, `{"accepted":1,"duplicates":0,"ids":[%q]}`, event.ID)
}

// waiting is a request that waits for its commit.
type waiting struct {
	id, body string
	done     chan error
}

// commitTogether puts all that wait into one commit, over and over. Whoever is about to join them gets to do so before it.
func commitTogether(db *sql.DB, queue <-chan *waiting) error {
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var begin, insert, commit *sql.Stmt
	for text, stmt := range map[string]**sql.Stmt{
		"BEGIN IMMEDIATE": &begin, "INSERT INTO event (event_id, payload) VALUES (?, ?)": &insert, "COMMIT": &commit,
	} {
		if *stmt, err = conn.PrepareContext(ctx, text); err != nil {
			return fmt.Errorf("prepare %s: %w", text, err)
		}
	}
	for first := range queue {
		runtime.Gosched()
		batch := []*waiting{first}
		for range len(queue) {
			batch = append(batch, <-queue)
		}
		if _, err := begin.Exec(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		for _, one := range batch {
			if _, err := insert.Exec(one.id, one.body); err != nil {
				return fmt.Errorf("insert: %w", err)
			}
		}
		_, err := commit.Exec()
		for _, one := range batch {
			one.done <- err
		}
	}
	return nil
}

func drain(db *sql.DB, sink string) error {
	oldest, err := db.Prepare(`SELECT id, payload FROM event WHERE state = 'pending' ORDER BY id LIMIT 1`)
	if err != nil {
		return err
	}
	end, err := db.Prepare(`UPDATE event SET state = 'done' WHERE id = ?`)
	if err != nil {
		return err
	}
	for {
		var id int64
		var payload []byte
		err := oldest.QueryRow().Scan(&id, &payload)
		if errors.Is(err, sql.ErrNoRows) {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if err != nil {
			return fmt.Errorf("take the oldest: %w", err)
		}
		resp, err := http.Post(sink, "application/json", bytes.NewReader(payload))
		if err != nil {
			return fmt.Errorf("post: %w", err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		resp.Body.Close()
		if resp.StatusCode >= 300 {
			return errors.New("the sink answers " + resp.Status)
		}
		if _, err := end.Exec(id); err != nil {
			return fmt.Errorf("mark it done: %w", err)
		}
	}
}
