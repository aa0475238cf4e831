// Package dispatch turns what an edge received into a typed command, brings it
// to the actor that owns the state, and finishes the answer.
//
//	find the plan of the row -> decode and check -> locate the owner
//	-> Ask -> finish (read from Postgres what the owner gave leave to read)
//
// It owns the compiled form of the operations table: for every request type,
// which field comes from where and which rules it must pass. It owns this node's
// memory of where messages and channels live. The rules stand in
// the struct tags of the protocol types (`rule:"max=100,min=1,string"`) and are
// compiled once, when the Dispatcher is made; a tag that is not understood is a
// panic then, and a test walks the whole table.
//
// # Concurrency
//
// Do is called by any number of goroutines: HTTP requests, sockets. It blocks
// until the owner has answered, at most for the deadline of the operation. The
// Dispatcher is immutable but for three caches with locks of their own. Password
// hashing waits for one of a few slots, because each takes 19 MiB.
//
// # What it does not do
//
// It judges no permission of communities and channels: the owner does. It knows
// no framing, no cookies, no limits, and it makes no decision that two nodes
// could make differently.
//
// # Decisions
//
//   - Validity is not reported at once but travels in Command.Invalid, because
//     permission is checked before validity is told (contract 0.5). Only what is
//     needed to find the owner is judged here: who may not even know whether a
//     resource exists gets "Forbidden resource" for a key that leads nowhere (2026-11).
//   - The rules are our own. go-playground/validator stops at the first rule of a
//     field and sees values only after decoding, when a wrong JSON type has
//     already become an error or a zero; the contract wants every failed rule of
//     every field, and rules judge the JSON value. Its email format is used, and
//     nothing else of it (2026-11).
//   - Rules judge like the reference: a rule about strings fails for everything
//     that is no string, so a missing required field reports all its rules. Rules
//     written after "array" look into the list and are skipped without one (2026-11).
//   - Where a message or channel lives never changes, so the mapping is cached
//     without expiry; a deleted one is refused by its owner (2026-11).
//   - An id of a channel or community that Postgres does not know is refused here:
//     asking for it would activate an actor, and each takes a lease, which
//     stays (2026-11).
package dispatch
