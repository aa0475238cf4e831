// Package instance is the kind of which there is one actor: it owns the
// instance's settings, its set-up, registrations, invites, quotas, and the roles,
// bans and ends of accounts.
//
// # Concurrency
//
// State is touched in turns of the actor only. Everything that changes is a
// structural turn: one fenced transaction, then the state, then the actors
// concerned (communities that got a member, the user whose sockets end), then
// the reply. So registrations run one after the other; the work that takes long,
// hashing, is done by the edge before.
//
// # What it does not do
//
// It hashes no password, checks no token and shows no invite: the edge reads
// those from Postgres itself.
//
// # Decisions
//
//   - Whoever is the first user is decided in SQL under a row lock, not by the
//     state: the state may be wrong after an operator's work on the database,
//     two owners would stay (2026-11).
//   - A role of the instance is created with any valid action but given, taken or
//     extended only by who holds the actions: else UPDATE_USER or
//     UPDATE_INSTANCE_SETTINGS would be the right to everything (2026-11).
//   - The set-up token is kept in Postgres, so that it survives the node that
//     made it. It is compared in constant time and used up by the transaction
//     that it allows (2026-11).
//   - A registration that is sent again with the id it had finds its result: a
//     lost answer does not become "this username already exists" (2026-11).
package instance
