// Package load is a client of a Rookery server for tests and benchmarks: REST
// and Socket.IO as the stock clients speak them, with one goroutine per socket.
//
// # Concurrency
//
// A Socket may be used from many goroutines; its OnEvent is called on the one
// goroutine that reads, in the order of arrival.
//
// # What it does not do
//
// It never reconnects and never retries: what happens is what the test wants to
// see. It holds no expectations about the server's state.
package load
