// tigerops-incidentio keeps TigerOps incidents and incident.io in step, in both directions.
package main

import (
	"os"

	"github.com/tigerops/tigerops-incidentio/agent/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
