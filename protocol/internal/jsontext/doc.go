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
package jsontext
