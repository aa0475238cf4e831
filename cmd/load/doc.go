// Package load is a client of a Rookery server for tests and benchmarks: REST
// and Socket.IO as the stock clients speak them, with one goroutine per socket.
//
// It owns nothing but its connections: what one socket has asked and not yet
// been answered.
//
// # Concurrency
//
// A Socket may be used from many goroutines; its OnEvent or OnFrame is called on the
// one goroutine that reads, in the order of arrival.
//
// # What it does not do
//
// It never reconnects and never retries: what happens is what the test wants to
// see. It holds no expectations about the server's state.
//
// # Decisions
//
//   - It is written against the protocols and imports nothing of the server, so
//     that a mistake in the server's own framing can't cancel itself out
//     (2026-11).
package load
