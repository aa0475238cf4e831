// Package turn is the one loop that all kinds of virtual actors share. A kind
// brings its state, how to load it and a handler per operation or message; the
// loop does everything else, always in the same order:
//
//	permission of the row -> validity -> handler decides and changes state
//	-> rows queued -> events fanned out -> reply
//
// A handler returns an Outcome: values, not calls. So it is tested without
// actors, clock or database.
//
// # Hot and structural turns
//
// A hot turn (a message, a reaction) changes the state at once and returns
// Rows; they are written behind, the events go out at once and the reply is
// held back until the rows are committed. If the rows are refused, Refused
// takes the change back.
//
// A structural turn (a channel is created, a member added) returns Commit: it
// runs beside the mailbox, and what it returns is run as a turn when it has
// committed. Until then further structural turns of this actor are held back
// in order; hot turns go on.
//
// # Concurrency
//
// State is touched by the actor's goroutine only. Loading, Commit and the wait
// for other actors run on goroutines of their own and come back as messages.
// A turn never waits. Replies are sent from the writer's goroutines.
//
// # What it does not do
//
// It knows no feature, no permission rule and no SQL. Where actors live is
// cluster's business; how rows are stored is persistence's.
//
// # Decisions
//
//   - Fan-out floods and prunes: an activation sends its events to every node
//     until a node without subscribers prunes itself; the first subscriber there
//     grafts it back before its socket is told that it has joined. Nobody has to
//     be asked, and no actor has to be loaded, when a socket connects, and a new
//     owner after a crash needs nothing but the list of nodes (2026-11).
//   - What activations can share, or make when it is needed, they don't keep: there
//     is one per user that is online (2026-11).
//   - A command whose caller is not yet known to the state parks under that
//     caller and is resumed in order; others pass (2026-11).
package turn
