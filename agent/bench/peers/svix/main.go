// svix is a receiver of webhooks as one would put it together: Svix' own library verifies, goqite stores, behind the
// agent's router. Without -db it verifies and stores nothing: what there is to gain at most.
package main

import (
	"database/sql"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/julienschmidt/httprouter"
	svix "github.com/svix/svix-webhooks/go"
	_ "modernc.org/sqlite"

	"maragu.dev/goqite"
)

// schema is schema_sqlite.sql of goqite v0.4.0 (MIT, Copyright (c) maragu), which the module does not export.
//
//go:embed schema.sql
var schema string

const maxBody = 1 << 20

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "where it listens")
	file := flag.String("db", "", "the database; nothing is stored without one")
	secret := flag.String("secret", "", "the signing secret, whsec_…")
	flag.Parse()
	if err := run(*addr, *file, *secret); err != nil {
		fmt.Fprintln(os.Stderr, "svix:", err)
		os.Exit(1)
	}
}

func run(addr, file, secret string) error {
	verifier, err := svix.NewWebhook(secret)
	if err != nil {
		return fmt.Errorf("the secret: %w", err)
	}
	var q *goqite.Queue
	if file != "" {
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
		q = goqite.New(goqite.NewOpts{DB: db, Name: "webhooks"})
	}
	router := httprouter.New()
	router.GET("/healthz", func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) { fmt.Fprintln(w, "ok") })
	router.POST("/webhooks/incident-io", func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := verifier.Verify(body, r.Header); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if q != nil {
			if err := q.Send(r.Context(), goqite.Message{Body: body}); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return http.ListenAndServe(addr, router)
}
