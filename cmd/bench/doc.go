// Command bench measures the server: what fan-out, connections, sends and
// history cost, as ratios to something simpler on the same machine in the same
// run. It prints every figure with its target in one table at the end.
//
//	bench all --rookery bin/rookery           everything, about five minutes
//	bench server-fanout                       CPU per delivery of the whole server against the floor
//	bench server-highest                      highest clean rate of both
//	bench memory | storm | sends | history    one subject each
//	bench fanout --conns 1000 --rate 10       floor and transport alone, without a server
//	bench fanout --highest
//	bench floor | transport | subscribers | senders    the processes it starts
//
// With --profiles DIR the server's profiles of each part are kept there; with
// --keep the data directory. A figure short of its target is no failure.
//
// The floor is a bare epoll loop that writes the same pre-built frames to the
// same number of sockets, one write per frame, and does nothing else. With
// --tick it writes what came within a tick at once. Its frames are as long as
// the server's. The transport is actors/socket alone, fed like the floor.
// Subscribers connect, shake hands, and count and time what arrives.
//
// The server runs as its own process with its own embedded Postgres in a fresh
// directory. Users come into the database by SQL and their tokens are signed
// with the server's own secret: ten thousand password hashes would take longer
// than everything else. Everything that is measured goes through the server's
// front door.
//
// Every process reports its own processor time, so the figures can be compared
// although they share the machine: what one delivery costs the sender is its
// system call and everything that the kernel does inside it, on loopback also
// the receiver's half of TCP. The table says how many processors others kept
// busy meanwhile; rates suffer from that, processor time per item much less.
//
// # Concurrency
//
// Floor, transport, subscribers and senders do their work on one goroutine per
// process. The processes talk through standard input and output, one JSON
// object per line: orders one way, what came of them the other way.
//
// # Decisions
//
//   - Messages of the fan-out come in by REST, from connections that do not
//     subscribe: a Socket.IO sender would be a subscriber too (2026-11).
//   - Senders write to private channels, one member each: storing is measured,
//     not fan-out. The base is a row of message inserted by itself; a second line
//     adds its span, which is nearer to what the server stores (2026-11).
//   - The long history has spans, reactions and attachments only where pages are
//     read, and no search text: filling a million messages takes seconds instead
//     of minutes, and a page costs the same (2026-11).
package main
