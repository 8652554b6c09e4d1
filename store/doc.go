// Package store keeps everything that the agent must not forget in one SQLite file: the events from TigerOps
// (outbox), the ledger of what was sent for them (delivery), what TigerOps has told so far (incident), the ties
// (link), the webhooks as they came and the changes for TigerOps to apply (inbox).
//
// What it promises:
//
//   - What a method has answered for is on disk: the file is in WAL mode with synchronous=FULL, and nobody is told of
//     success before the commit that carries his rows has returned.
//   - Writers that wait at the same moment share one commit; a writer's own mistake (a constraint) is his alone, and
//     any other failure acknowledges nobody.
//   - A transition names the state that it leaves; when the row is no longer there the answer is ErrStale and nothing
//     of the transaction stays.
//   - A file that is newer than the program or somebody else's is refused before a byte of it changes, and one process
//     at a time owns the file.
//
// The file is shared with people and other programs, who use it through plain SQL; the rules that they must keep are
// constraints and triggers of the schema (package sqlmigrations), not code here.
package store
