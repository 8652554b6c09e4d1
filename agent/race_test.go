//go:build race

package agent_test

// slower is how much longer everything takes under the race detector.
const slower = 4
