// Package gate knows who calls. It mints and reads tokens, checks passwords, and
// keeps, per node, a short-lived copy of what decides whether a valid token is
// still good: role, ban, instance rights, revocations.
//
// It owns the token format, the password hashes and the actor named "gate" that
// every node has.
//
// # Concurrency
//
// All methods may be called from any goroutine. Authenticate reads a sharded
// cache and, at most once per user and node at a time, Postgres. Password work
// waits for one of a few slots: a hash takes 19 MiB and some 20 ms of one CPU,
// and logins must not be able to take all of either. The actor's turns never
// block: they drop a cache entry and acknowledge.
//
// With Redis two more goroutines tell and hear of changes; no request waits for
// either.
//
// # What it does not do
//
// It stores nothing and decides nothing about communities. Sessions (rotation,
// reuse, revocation) are httpapi's with persistence; it is told about their end
// by AccountChanged.
//
// # Decisions
//
//   - Rights come from the account's row, never from the token: the claim "role"
//     is for clients only. So a change acts at once (2026-11).
//   - A change is told to every node and acknowledged (Forget) before whoever made
//     it gets his answer; a node that is cut off goes on with what it knows for at
//     most the cache's 10 s (2026-11).
//   - Revocations stand in Postgres. Redis, when there is one, carries the news that
//     an account changed to nodes that gossip has lost, and accounts that a node has
//     loaded to the others: a user costs one query in 10 s, not one per node. Whoever
//     could not hear Redis for a while forgets all it knows (2026-11).
//   - An entry in Redis is never removed, it expires 10 s after its load began. A node
//     that hears of a change does not look there for that account until everything
//     loaded before has expired. So an outage of Redis at the wrong moment brings no
//     old rights back. Entries are signed, because Redis must not be able to grant
//     any (2026-11).
//   - A ban is told before a revocation: it revokes what was handed out, so that an
//     old token is not good again after it (2026-11).
//   - A load that began before a Forget must not fill the cache after it, so every
//     entry carries the generation of its shard, and a Forget moves it on (2026-11).
//   - The signature of a token is checked once per node, its expiry and its account
//     every time. What is remembered is the token's SHA-256, not the token: it is a
//     tenth of the size, and nothing that could be stolen (2026-11).
//   - A socket keeps its login for days, so every operation that comes by one asks
//     whether anything became known of the account since (Mark, Renew): one atomic
//     read when nothing did, and no question to Postgres, which may be away
//     (2026-11).
//   - Access and refresh tokens have separate keys, so that one never passes for
//     the other. A refresh token is good only with its row; the signature spares
//     Postgres the garbage (2026-11).
package gate
