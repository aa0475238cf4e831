// Package channel is the kind of actor that owns what is said in one channel:
// its newest messages, their order, who may speak and how often.
//
// The row of the channel belongs to its community; who may do what is the
// community's answer, kept here until it is taken back (protocol.AccessChanged).
//
// # Reading order
//
// channel_actor.go registers the handlers, state.go is the data. A file per
// feature: message.go (send, get, edit, delete), page.go, reaction.go,
// typing.go, receipt.go. access.go judges, recent.go is the ring, detour.go is how a turn
// gets at what is only in Postgres.
//
// # Concurrency
//
// As of package turn: the state is touched in turns only. Messages that left a
// turn (replies, rows, events) are never changed; a change makes a copy.
//
// No handler is registered as structural. A command that needs Postgres first (a
// message that is not in memory, files to attach) takes a detour: it returns
// Commit, and the turns of others go on meanwhile. Detours of the same message,
// or of sends of the same author, are run in the order in which they came, and
// what comes later for that message or author queues behind them. A channel
// therefore keeps talking while Postgres is away.
//
// # Order and cursors
//
// Every message gets the next seq. Seqs are gapless over all rows that were ever
// stored: should Postgres refuse a message, a row without content takes its
// place, because clients have already seen the seq, and later ones. Pages are cut
// by seq; a token is a place, not a message, so deleting one ends no history.
//
// # What it does not do
//
// Direct messages, threads, search. A message that it does not have in
// memory, and the page around one, it grants the edge to read (protocol.ColdMessage,
// protocol.PageGrant) when everything it has queued so far is committed.
//
// # Decisions
//
//   - The newest 128 messages are kept, at most 1 MiB, each with its JSON, and the
//     first pages as they were last sent: reading the end of a channel costs no
//     encoding (2026-11).
//   - Pages that had to be read are kept encoded, 64 MiB per node, and dropped when
//     a message changes on which they depend; an activation sees its own only. The
//     owner reads them, not the edge, because only it knows whether something
//     changed while they were read. What no owner is told of, such as that an
//     alias group is gone, takes persistence.DB.ForgetPages on every node (2026-11).
//   - Reactions are kept one by one in the order of choosing and grouped for
//     clients, so memory and a fresh load can't disagree on the order (2026-11).
//   - A refused edit, deletion or reaction is not undone from memory: the message
//     is read again, and everybody told what it is (2026-11).
//   - Who sends has read up to his own message. His other sockets are told at
//     once; the row is not part of what the send's ack stands for. The newest of
//     every sender waits up to 2 s and all go as one write, because a receipt per
//     send cost Postgres as much as half of the message itself. A crash, or a
//     channel that moves to another node, may lose the sender's watermark of the
//     last 2 s; an activation that is only idle stays until they are queued. A
//     deletion carries the receipt of its message, so a fresh load, which takes the
//     highest of rows and receipts, uses no deleted seq again (2026-11).
package channel
