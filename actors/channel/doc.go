// Package channel is the kind of actor that owns what is said in one channel of
// a community. The log itself is package conversation; here is who may do what.
//
// The row of the channel belongs to its community; who may do what is the
// community's answer, kept here until it is taken back (protocol.AccessChanged).
//
// # Reading order
//
// channel_actor.go registers the handlers and is the data, access.go judges.
//
// # Concurrency
//
// As of package turn: the state is touched in turns only.
//
// # What it does not do
//
// Direct messages, which have the same log and another membership (package dm).
//
// # Decisions
//
//   - Answers of the community are kept per user and version; one that was taken
//     back while it was on its way is not used (2026-11).
package channel
