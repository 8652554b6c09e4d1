// goqite is a peer of the agent: maragu.dev/goqite with modernc.org/sqlite, used as its README advises (WAL, one
// connection), with synchronous=FULL as the agent has it. A door like the agent's puts events into the queue, and
// workers drain it to a sink, one request a message, in no order.
package main

import (
	"bytes"
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/julienschmidt/httprouter"
	_ "modernc.org/sqlite"

	"maragu.dev/goqite"
)

// schema is schema_sqlite.sql of goqite v0.4.0 (MIT, Copyright (c) maragu), which the module does not export.
//
//go:embed schema.sql
var schema string

const (
	// maxBody is the bound of the agent's door.
	maxBody = 1 << 20

	// poll is goqite's own example of an interval between looks at an empty queue.
	poll = 10 * time.Millisecond

	// redeliver is long enough that no message comes twice because a machine is slow.
	redeliver = time.Minute
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "where the door listens")
	file := flag.String("db", "goqite.db", "the database")
	sink := flag.String("sink", "", "the URL that workers post messages to; none drain without one")
	workers := flag.Int("workers", 0, "how many drain side by side")
	flag.Parse()
	if err := run(*addr, *file, *sink, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "goqite:", err)
		os.Exit(1)
	}
}

func run(addr, file, sink string, workers int) error {
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
	q := goqite.New(goqite.NewOpts{DB: db, Name: "events", Timeout: redeliver})

	failed := make(chan error, workers+1)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	for range workers {
		go func() { failed <- drain(q, client, sink) }()
	}
	router := httprouter.New()
	router.GET("/healthz", func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) { fmt.Fprintln(w, "ok") })
	router.POST("/v1/events", func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) { accept(q, w, r) })
	go func() { failed <- http.ListenAndServe(addr, router) }()
	return <-failed
}

// accept answers 202 once the event is on disk.
func accept(q *goqite.Queue, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !json.Valid(body) {
		http.Error(w, "the body is not JSON", http.StatusBadRequest)
		return
	}
	id, err := q.SendAndGetID(r.Context(), goqite.Message{Body: body})
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, `{"accepted":1,"duplicates":0,"ids":[%q]}`, string(id))
}

// drain takes a message, posts it and deletes it, again and again. What the sink does not take comes again later.
func drain(q *goqite.Queue, client *http.Client, sink string) error {
	ctx := context.Background()
	for {
		m, err := q.ReceiveAndWait(ctx, poll)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if err := post(client, sink, m.Body); err != nil {
			fmt.Fprintln(os.Stderr, "goqite:", err)
			continue
		}
		if err := q.Delete(ctx, m.ID); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
}

func post(client *http.Client, sink string, body []byte) error {
	resp, err := client.Post(sink, "application/json", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		return errors.New("the sink answers " + resp.Status)
	}
	return nil
}
