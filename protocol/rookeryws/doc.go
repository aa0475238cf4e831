// Package rookeryws frames the native websocket protocol, version 1: it reads
// the requests of clients and writes replies, events and session frames. It
// also names the close codes.
//
// Every frame is one JSON object. A request is {"op","id","d"} (and "n" for
// ack), a reply {"id","ok"} or {"id","err"}, an event {"n","ev","ch","ep",
// "seq","d"}. The package knows only the four operations of the session itself
// (hello, ping, ack, focus).
//
// # Concurrency
//
// Pure functions over byte slices. Request.D shares memory with its input:
// copy what must outlive it.
//
// # What it does not do
//
// It reads no websocket frames and keeps no session. What an operation does, who
// may call it and in what order requests run is decided elsewhere.
//
// # Decisions
//
//   - "n" stands first in an event, so that everything after it is the same for
//     every receiver and is encoded once (AppendEventHead, AppendEventTail).
//     Members of a JSON object have no order, so clients do not notice (2026-11).
//   - Frames are read strictly: numbers are plain integers below 2^53, "d" is an
//     object, nothing follows the object. Members that are not known are
//     skipped, so that clients may be newer than the server (2026-11).
package rookeryws
