// Package dm is the kind of actor that owns a group of direct messages: its
// members, and what is said among them. The log itself is package conversation.
//
// # Reading order
//
// dm_actor.go registers the handlers and is the data, group.go judges by
// membership, member.go changes it.
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
//   - Groups are opened by the actor of who opens them, because of two people only
//     Postgres knows whether they have one; after that this actor alone changes the
//     members (2026-11).
//   - Sockets are let in and taken out by the sockets' room of each member, on all
//     nodes, so that nobody's actor is woken for it. A socket that is just
//     connecting sees by the version of its rooms that it has to look again (2026-11).
//   - The last to leave takes the group with him. Its messages go later, piece by
//     piece (2026-11).
//   - Membership is enough for everything, and nothing else is: no role, not even
//     that of an owner of the instance, lets anybody read or send. One thing is left to
//     who has left: to delete what he wrote himself (2026-11).
//   - Of one-to-one conversations the owner knows whether one blocks the other, and
//     is told before a block is answered: no later message passes (2026-11).
package dm
