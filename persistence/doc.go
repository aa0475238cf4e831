// Package persistence keeps what must survive: in Postgres, through one pool for reads and
// structural changes and one Writer for the stream of rows that actors write behind.
//
// It owns the schema (migrations/*.sql), the SQL of every feature (one file per feature,
// named by its noun), the leases that say who may write, and the embedded Postgres that a
// server without a database URL starts for itself.
//
// # Statements
//
// SQL is written by hand. Every text is a package variable made by query (or newStatement for
// write-behind), so that TestPrepareAllQueries can have Postgres check all of them against
// the newest schema:
//
//	var selectChannel = query(`SELECT name, is_private FROM channel WHERE id = $1`)
//
// Rows are collected with pgx.CollectRows; several statements of one request go into one
// pgx.Batch; lists go in as arrays (= ANY ($1), unnest). Table and column names are in the
// migrations; ids of package protocol can be scanned and passed as they are, the zero id being
// NULL. Times come back in UTC and have millisecond precision in the database, which rounds:
// truncate before writing.
//
// # Who may write
//
// An activation of an actor takes a lease (DB.TakeLease) when it loads and gets an epoch. Its
// rows are stored only while that epoch is the newest one: DB.Fenced checks it for a
// structural change, the Writer for each batch, both by actor_lease_check, which locks the
// lease until commit. Taking a lease waits for that lock, so what the next owner loads is all
// that its predecessor will ever have written.
//
// # Write-behind
//
// What actors produce in a stream (messages, reactions, edits, receipts) goes through one
// Writer. A row type names its Statement, which stores any number of such rows at once:
//
//	var insertMessages = newStatement(Statement{Name: "insert messages", Stage: 1, SQL: `INSERT ...
//		SELECT * FROM unnest($1::uuid[], ...) ON CONFLICT (id) DO NOTHING`, Args: func(rows []Row) []any {
//		return []any{Column(rows, func(r *MessageRow) protocol.MessageID { return r.ID }), ...}
//	}})
//
// The rules for such statements are at Statement. The way of a row: Enqueue -> lane of its
// owner -> batch -> plan (few executions out of many rows) -> one transaction that begins with
// the check of the leases -> Done.
//
// # Concurrency
//
// DB and Writer are safe for concurrent use. DB methods block on the database and take a
// context: an actor calls them off its turn. Writer.Enqueue never blocks. Done functions run
// on the writer's few goroutines and must not block; for one owner they run in the order of
// Enqueue. Rows must not change after Enqueue. Close writers before the DB and the DB before the
// embedded Postgres.
//
// # What it does not do
//
// It knows nothing of actors, sockets or HTTP and decides nothing about permissions. It keeps
// pages of histories for the owners of conversations (Pages) and caches nothing else. It does
// not replicate or back up.
//
// # Decisions
//
//   - Triggers of table file count what a user stores: uploads, edits, deletions, purges and the end
//     of accounts all mark or delete rows, and each would have had to give bytes back. (2026-11)
//   - Bytes of files through gocloud.dev/blob: one interface over disk, S3, Azure and GCS. What was
//     stored on disk before there was a bucket is still served from there. (2026-11)
//   - Leases in a table, checked under a shared row lock in the writing transaction, instead of
//     advisory locks or a consensus service: the check and the rows commit together, so there
//     is no moment in which a paused owner could slip in. Costs one row lock per owner and
//     batch. (2026-11)
//   - The check raises an error instead of returning a list: BEGIN, check, statements and
//     COMMIT then travel in one round trip, and a stale owner, which is rare, costs a second
//     one. (2026-11)
//   - A lane sends at once when idle and otherwise waits for as many rows as last time, at most
//     as long as a commit takes and at most 5 ms: low latency when quiet, batches that grow with
//     the load. (2026-11)
//   - A poisoned batch is halved instead of using a savepoint per write: nothing is paid until
//     something is wrong. (2026-11)
//   - Messages are found by an index of our own (package fulltext), in tables: the terms of up to
//     4096 messages of a channel together. A node indexes what it has stored, a chore what nobody
//     did. What is not in the index yet, or has changed since, is looked at as it is, and every hit
//     is judged by its row: sending pays nothing, and what is found is what there is. (2026-11)
//   - Fixed vocabularies are text with CHECK, not enum types: a later migration can change them
//     in a transaction. (2026-11)
//   - The embedded Postgres listens on loopback with a password, not on a Unix socket: the
//     path of a socket is limited to about 100 bytes and --data is not. Nobody can log in as its
//     superuser: role and database are made in single-user mode. (2026-11)
package persistence
