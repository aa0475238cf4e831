// Package conversation is the log of messages that channels and direct message
// groups share: the newest messages, their order, and all that hangs on them. It
// is no kind of actor; kinds embed it, register its handlers and bring Rules.
//
// # Reading order
//
// conversation.go is what kinds use, state.go is the data. A file per feature:
// message.go (send, get, edit, delete), page.go, reaction.go, pin.go, typing.go,
// receipt.go, thread.go. notice.go is the one place where an accepted message is announced to
// others than those who hear the conversation: whoever notifies hangs on it.
// recent.go is the ring, detour.go is how a turn gets at what is only in Postgres.
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
// what comes later for that message or author queues behind them. A conversation
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
// Who may do what; it lets the edge search. A message that it does not have in
// memory, and the page around one, it grants the edge to read (protocol.ColdMessage,
// protocol.PageGrant) when everything it has queued so far is committed.
//
// # Decisions
//
//   - One State for both kinds, with a strategy value (Rules) for what differs:
//     nothing here asks which kind it is but the context ids and the name of the
//     event of a new message (2026-11).
//   - The newest 128 messages are kept, at most 1 MiB, each with its JSON, and the
//     first pages as they were last sent: reading the end of a conversation costs no
//     encoding (2026-11).
//   - Pages that had to be read are kept encoded, 64 MiB per node, and dropped when
//     a message changes on which they depend; an activation sees its own only. The
//     owner reads them, not the edge, because only it knows whether something
//     changed while they were read. What no owner is told of, such as that an
//     alias group is gone, takes Outcome.Pages, on every node (2026-11).
//   - Uploads that do not come are given up when a chore, once in the cluster, asks the owner of the
//     message: a timer of an activation would end with it (2026-11).
//   - A thread reply is a message of the log, with a seq, but outside of the ring,
//     which is for lists. How many replies a message has is stored as a value with
//     each of them, so that it may run twice, and counted anew after one that
//     Postgres refused (2026-11).
//   - The first reply subscribes the author of the parent, each its own author. Who
//     has unsubscribed is subscribed again only by a reply of his own (2026-11).
//   - Reactions are kept one by one in the order of choosing and grouped for
//     clients, so memory and a fresh load can't disagree on the order (2026-11).
//   - What happens to messages is kept for a while and numbered, so that a client
//     whose node died is given just what it has not seen (changes.go). The numbers
//     are of the activation: after another one, or beyond the bounds, the client is
//     told to fetch. Storing them would make every reaction write one more row for a
//     case that a client meets once in a while (2026-11).
//   - A refused edit, deletion or reaction is not undone from memory: the message
//     is read again, and everybody told what it is (2026-11).
//   - Who sends has read up to his own message. His other sockets are told at
//     once; the row is not part of what the send's ack stands for. The newest of
//     every sender waits up to 2 s and all go as one write, because a receipt per
//     send cost Postgres as much as half of the message itself. A crash may lose the
//     sender's watermark of the last 2 s; a conversation that moves to another node
//     queues them first, and one that is only idle stays until they are queued. A
//     deletion carries the receipt of its message, so a fresh load, which takes the
//     highest of rows and receipts, uses no deleted seq again (2026-11).
package conversation
