// Package user is the kind of actor that knows one user's sockets, wherever in
// the cluster they are, and with them whether he is online.
//
// It tells a new socket what it may hear (Connect), lets sockets into rooms that
// open while they are connected (MemberJoined, ChannelOpened), carries events
// for the user's own devices, announces coming and going to his communities, and
// ends his sockets when a login or the account ends (EndSessions).
//
// # Concurrency
//
// State is touched in turns of the actor only. The rooms of a socket are read
// from Postgres beside the mailbox. What opens meanwhile raises Version, and the
// socket, once it has joined what it was told, asks again (SyncRooms): so no
// room is missed and none is locked.
//
// # What it does not do
//
// It takes no lease: what it stores is when the user was last seen, which only
// rises, and what he changes about himself and his friends, for which the rows of
// the users concerned are locked in Postgres. It holds no event and writes to no socket; relays do.
//
// # Decisions
//
//   - Registrations of sockets are soft state: they are renewed by heartbeats,
//     which also rebuild them after the actor has moved, and end when they were
//     not renewed or when the socket's node has left the cluster (2026-11).
//   - A new activation sends to every node until all sockets have had time to
//     register with it: what happens right after a move is not lost, and a login
//     that ends then ends its sockets (2026-11).
//   - Versions start at the time of loading, so that one of an earlier
//     activation never equals one of a later (2026-11).
//   - One presence event for the union of all communities, only where it is news
//     and only for communities that are not crowded: the reference's event to
//     every socket of the instance is quadratic (2026-11).
//   - Friends and direct-message groups hear of coming and going too: who they are is
//     read once per transition, and their topics go into the same event (2026-11).
//   - Watermarks are rows, moved by one statement that never goes back; the actor
//     holds only those that Postgres may not have yet, because channels store those of
//     senders two seconds later. All of them would be 20 KB for each user with 500
//     channels, for an answer that is read from Postgres anyway (2026-11).
//   - Unread messages are counted when they are asked for, in one round trip, by at
//     most four thousand rows per context and up to a thousand: a stored count would
//     be one more row to change with every message, deletion and own message. Clients
//     count on by themselves from there (2026-11).
//   - Going offline waits for a grace period, because a page that is reloaded
//     comes back within seconds (2026-11).
package user
