// Package cli is the command line: one file a command. It reads arguments, prints what package agent answers, and
// turns errors into an exit status; nothing below it touches the process's arguments, environment or streams.
//
// Exit status: 0 done; 1 failed; 2 wrong usage or wrong configuration. Data goes to stdout; errors go to stderr, each
// on one line that begins with the program's name.
package cli
