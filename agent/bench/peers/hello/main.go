// hello is the least that a server with the agent's router can be: what a start and an answer cost at best. With -file it
// writes 4 KiB to that file for each POST and waits for the disk: what a durable answer costs at best, one at a time.
package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"syscall"

	"github.com/julienschmidt/httprouter"
)

const (
	page = 4 << 10
	// ring is how much of the file is written before it begins anew: written once beforehand, so that no write makes the
	// file longer.
	ring = 256
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "where it listens")
	file := flag.String("file", "", "the file that POSTs are written to")
	flag.Parse()
	if err := run(*addr, *file); err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

func run(addr, file string) error {
	router := httprouter.New()
	router.GET("/healthz", func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) { fmt.Fprintln(w, "ok") })
	write := func() error { return nil }
	if file != "" {
		var err error
		if write, err = writer(file); err != nil {
			return err
		}
	}
	router.POST("/v1/events", func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := write(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	return http.ListenAndServe(addr, router)
}

// writer gives a function that writes a page over an older one and returns when it is on disk.
func writer(file string) (func() error, error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, page)
	for i := range buf {
		buf[i] = byte(i)
	}
	for i := range int64(ring) {
		if _, err := f.WriteAt(buf, i*page); err != nil {
			return nil, err
		}
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var n int64
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		if _, err := f.WriteAt(buf, n%ring*page); err != nil {
			return err
		}
		n++
		return syscall.Fdatasync(int(f.Fd()))
	}, nil
}
