// Package socketio reads and writes the packets of Engine.IO 4 and Socket.IO 5
// as far as existing clients use them: text frames, the main namespace, no
// polling, no binary attachments.
//
// An Engine.IO packet is one websocket text frame, its first character is the
// type. A Socket.IO packet is the data of an Engine.IO message. Decode reads
// both layers at once; the Append functions write both at once.
//
// # Concurrency
//
// Pure functions over byte slices. A decoded packet shares memory with its
// input: copy what must outlive it.
//
// # What it does not do
//
// It does not know websockets, sessions, timers or event names. What a packet
// means, and when it is allowed, is the connection's business.
//
// # Decisions
//
//   - Whatever a stock client never sends (ACK and CONNECT_ERROR towards the
//     server, binary packets, more than one argument) is refused with an *Error,
//     on which the transport is closed. The stock server does the same for most
//     of it; being strict keeps the rest of the server simple (2026-11).
//   - A payload is handed on as json.RawMessage after one validation of the
//     whole packet, so no layer above has to fear broken JSON (2026-11).
package socketio
