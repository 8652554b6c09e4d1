//go:build race

package store_test

// everyNth thins out the failure tests: under the race detector SQLite is some twenty times slower, and what they look
// for is no race. Without it every call is failed.
const everyNth = 5
