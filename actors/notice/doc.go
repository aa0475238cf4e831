// Package notice makes notifications of messages: who is told that somebody named
// him, wrote to him, or wrote where he wants to hear of everything.
//
// The owner of a conversation stores a persistence.NoticeRow with a message that
// may notify somebody, and wakes the Service of its node when that is committed. A
// worker takes the oldest row, makes the notifications of up to a thousand users
// by one statement, tells their devices by one message per node, and goes on until
// nothing is left. Deliveries by web push are stored in the same transaction, as
// jobs.
//
// # Concurrency
//
// Service has a few workers, each with one transaction at a time. Wake may be
// called from anywhere and does not block. Rows are taken with SKIP LOCKED: what one
// worker has, on whatever node, the others pass over.
//
// # What it does not do
//
// It does not decide who is notified: that is SQL of package persistence, held to
// rules.Notify by a test. It does not send pushes; package push does.
//
// # Decisions
//
//   - A row of our own in the transaction of the message, and no job of the queue:
//     it is 40 bytes, needs no arguments, and the next step of a long walk is an
//     UPDATE of it. A crash at any point leaves it there (2026-11).
//   - Messages that mention nobody notify only those who want to hear of
//     everything, and nearly always that is nobody. So when such a message came to
//     nothing, the channel is told and stores no rows for those of the next half
//     minute; who sets the level wakes it up. A plain message costs the send path a
//     comparison, and one row in half a minute per channel (2026-11).
//   - One statement per thousand users, which joins levels, blocks and rights, walks
//     by user id and moves its own place: the work of a message to ten thousand is
//     ten statements, memory is that of one piece (2026-11).
//   - An event is for one user and differs by its id only: one message per node and
//     piece carries what they share once, and the relay writes out those of its own
//     sockets. It is sent after the commit and may be lost with the node; clients
//     read the list again when they reconnect (2026-11).
//   - USER_MENTION also for @here, @channel and groups, as the reference has it
//     (2026-11).
package notice
