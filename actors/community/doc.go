// Package community is the kind of actor that owns a community: its row, its
// channels and their order, its roles, who is a member with which roles, who was
// let into private channels, bans and timeouts in force, and who is online.
//
// It answers three kinds of questions: clients' operations on communities,
// channels, members, roles, moderation and alias groups; what a user may do in a channel (AskAccess, from channel
// actors); and presence (MemberPresence, from user actors).
//
// # Concurrency
//
// State is touched in turns of the actor only. Changes are structural turns:
// committed in one fenced transaction first, then applied to the state, then
// announced, then answered. What takes rights away (a departure, a ban, a timeout,
// a role that loses actions, a channel made private, a deletion) is answered when
// the channels have confirmed it. Two structural turns of one community never
// overlap, so a handler may decide (the next position, whether a name is free)
// before its transaction runs.
//
// # What it does not do
//
// It does not write behind, knows no messages, and does not page through
// members: the list is read from Postgres with the leave (MembersGrant) it gives.
//
// # Decisions
//
//   - A community is one actor however many members it has: 100,000 members take
//     a few megabytes, because a member is an id and the number of a set of
//     roles, and there are few such sets (2026-11).
//   - Only members have rights. A role assignment without a membership, which
//     the contract's reference honours, gives nothing here (2026-11).
//   - Rank comes from default roles, and nobody gives or takes a role whose actions
//     he does not hold: otherwise UPDATE_MEMBER would be the right to everything.
//     Names that look like rank are reserved for default roles (2026-11).
//   - Alias groups are not kept in memory: nothing is decided by them (2026-11).
//   - Channels keep the answers to AskAccess. Versions carry the lease's epoch, so
//     they rise across activations too. A new activation can't know who holds
//     answers of the one before, so it treats every channel as a holder until
//     that channel has confirmed a change (2026-11).
//   - Deleting hides at once, by a mark on the row, and removes later in pieces: a
//     transaction over a million messages would hold up everybody (2026-11).
//   - Events of private channels go to the channel's own room and to the members
//     who manage channels, not to the community: others must not learn that there
//     is one. One that becomes private empties its room of all who are not inside,
//     and for those it is as if it had been deleted (2026-11).
//   - Presence is a hint that heals itself: users say that they are online every
//     few minutes, whoever is not heard of is asked and then forgotten (2026-11).
package community
