// Command bench measures fan-out: the cost of one event to many websockets,
// against a floor.
//
//	bench fanout --conns 1000 --rate 10 --seconds 10      floor and transport under the same load, with ratios
//	bench fanout --highest                                the highest rate of each without loss and with p99 below 250 ms
//	bench floor | bench transport | bench subscribers     the processes it starts, one at a time
//
// The floor is a bare epoll loop that writes the same pre-built frames to the
// same number of sockets, one write per frame, and does nothing else. With
// --tick it writes what came within a tick at once. The transport is
// actors/socket alone, fed like the floor. Subscribers connect, shake hands,
// and count and time what arrives.
//
// Every process reports its own processor time, so the figures can be compared
// although they share the machine: what one delivery costs the sender is its
// system call and everything that the kernel does inside it, on loopback also
// the receiver's half of TCP.
//
// # Concurrency
//
// One goroutine per process does all the work; the processes talk through
// their standard output, one JSON object per line.
package main
