// Package protocol is what crosses a boundary: the operations that clients may
// call, the requests, replies and events that travel between edges, actors and
// nodes, ids, times, permissions and errors.
//
// One row of the operations table serves REST, Socket.IO and the native
// websocket. The rows of a feature stand with its types in <feature>.go; all
// rows together (Operations) are the whole API.
//
// # Concurrency
//
// Everything here is plain data. Values are immutable once they were sent to
// an actor: a local send passes the value itself, without a copy. The table is
// filled by package initialisation and only read afterwards.
//
// # What it does not do
//
// It holds no state, opens nothing and knows neither actors nor Postgres. It
// imports the standard library, and pgtype for the one reason that ids and
// instants are scanned a million times and the detour over database/sql costs a
// string each (2026-11).
//
// # Decisions
//
//   - Requests are decoded and validated once, at the edge, and travel as typed
//     Command[Req] values; permission is checked before validity is reported,
//     because the contract says so, hence Command.Invalid (2026-11).
//   - The id of a new message is chosen by the edge, so that a retry after a
//     lost reply or a dead owner carries the same id and can't store it twice
//     (2026-11).
//   - Instants are whole milliseconds since 1970: the contract shows three
//     digits, and equal instants must compare equal after a round trip
//     (2026-11).
package protocol
