// Package jsontext cuts and writes JSON without decoding it. The websocket
// framings use it: they need the outer layer of a packet and hand the payload
// on as it came.
//
// Every reading function expects text that json.Valid has accepted; on other
// input the result is meaningless, but no function panics or loops.
//
// # Concurrency
//
// Pure functions.
//
// # What it does not do
//
// It validates nothing and builds no values: encoding/json does.
//
// # Decisions
//
//   - Text is validated once, by json.Valid, and then cut by hand: decoding into
//     json.RawMessage would scan and copy each payload again (2026-11).
package jsontext
