module github.com/tigerops/tigerops-incidentio

go 1.26.0

require (
	github.com/a-h/templ v0.3.1100 // pages compiled to Go: html/template makes the linker keep every exported method, 2.5 MB
	github.com/caarlos0/env/v11 v11.4.2 // given: the environment into a struct
	github.com/cenkalti/backoff/v4 v4.3.0 // given: delays between attempts
	github.com/coreos/go-systemd/v22 v22.7.0 // sd_notify, the watchdog and sockets handed over
	github.com/getkin/kin-openapi v0.152.0 // tests: requests and answers held against the vendor's API description
	github.com/go-json-experiment/json v1.27.2 // is it JSON, at the doors: the Go team's next encoding/json, several times as fast
	github.com/goccy/go-yaml v1.19.2 // YAML with positions, for faults that name the line
	github.com/gofrs/flock v0.13.1 // one owner of the database at a time
	github.com/jedib0t/go-pretty/v6 v6.8.3 // tables that fit a terminal
	github.com/julienschmidt/httprouter v1.3.0 // given: the HTTP edges' router
	github.com/pressly/goose/v3 v3.29.0 // given: migrations
	github.com/prometheus/client_golang v1.25.0 // metrics
	github.com/rogpeppe/go-internal v1.16.0 // tests: user stories as testscript files
	github.com/schollz/progressbar/v3 v3.19.1 // progress of enqueue and backup
	github.com/spf13/cobra v1.10.2 // the command line, its help, suggestions and completion
	github.com/spf13/pflag v1.0.9 // cobra's flags, whose errors are told in our words
	github.com/standard-webhooks/standard-webhooks/libraries v0.0.1 // the official library for webhook signatures
	go.uber.org/goleak v1.3.0 // tests: nothing outlives a run
	golang.org/x/term v0.44.0 // is it a terminal, and how wide
	golang.org/x/time v0.16.0 // token buckets under incident.io's limits
	modernc.org/sqlite v1.61.1 // given: SQLite without cgo
)

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/go-openapi/jsonpointer v0.22.5 // indirect
	github.com/go-openapi/swag/jsonname v0.25.5 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/mattn/go-runewidth v0.0.16 // indirect
	github.com/mfridman/interpolate v0.0.2 // indirect
	github.com/mitchellh/colorstring v0.0.0-20190213212951-d06e56a500db // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/oasdiff/yaml v0.1.1 // indirect
	github.com/oasdiff/yaml3 v0.0.14 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/sethvargo/go-retry v0.5.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	modernc.org/libc v1.79.0 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)
