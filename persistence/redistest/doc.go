// Package redistest starts real Redis servers for tests.
//
// # Concurrency
//
// A Server belongs to one test; its methods are called by that test's goroutine.
//
// # What it does not do
//
// It installs nothing: `make redis` does. It keeps nothing on disk, so a server
// that was killed comes back empty, as after a lost machine.
package redistest
