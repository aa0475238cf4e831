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
// # What it does not do
//
// It knows nothing of actors, sockets or HTTP and decides nothing about permissions. It does
// not cache.
package persistence
