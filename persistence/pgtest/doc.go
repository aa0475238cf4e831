// Package pgtest gives tests a real Postgres.
//
//	db := pgtest.New(t)        // *persistence.DB on a fresh, migrated database of its own
//	url := pgtest.URL(t)       // the same as a URL, for a process under test
//	srv := pgtest.NewServer(t) // a private server that the test may stop, start and kill
//	dir := pgtest.Dir(t)       // a directory in which an embedded Postgres can run
//
// One cluster serves all tests of a test binary. It starts with the first of them in about a
// second, without fsync; a database is a clone of a migrated template and takes some tens of
// milliseconds. With ROOKERY_TEST_POSTGRES_URL set that server is used instead: its role must
// be allowed to create databases.
//
// # Concurrency
//
// All functions may be called from parallel tests. A database belongs to one test, which must
// have given back its connections when it ends: a leak fails the test.
//
// # What it does not do
//
// It fills no tables and replaces no part of persistence. Nothing here survives a crash of the
// machine, except on a NewDurableServer, which is for benchmarks.
//
// # Clean-up
//
// Databases are dropped and private servers stopped when their test ends. The cluster ends
// with the test binary, however that ends: on Linux the kernel tells it, and everywhere a small
// shell process, which sees its standard input close, stops what still runs and removes the
// directory.
//
// # Decisions
//
//   - A real server instead of a fake: constraints, locks and outages are what the tests are
//     about (2026-11).
//   - Clones of a migrated template instead of a transaction per test: the code under test
//     commits, on several connections (2026-11).
package pgtest
