// Package dm is the kind of actor that owns a group of direct messages: its
// members, and what is said among them. The log itself is package conversation.
//
// # Reading order
//
// dm_actor.go registers the handlers and is the data, group.go judges by
// membership.
//
// # Concurrency
//
// As of package turn: the state is touched in turns only.
//
// # What it does not do
//
// Slow mode, timeouts, pins: those are of communities.
//
// # Decisions
//
//   - Membership is enough for everything, and nothing else is: no role, not even
//     that of an owner of the instance, lets anybody read or send (2026-11).
//   - Of one-to-one conversations the owner knows whether one blocks the other, and
//     is told before a block is answered: no later message passes (2026-11).
package dm
