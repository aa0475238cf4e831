// Package relay hands the events of actors to the sockets of this node. Each
// node has one: an actor named "relay" that everybody tells, and behind it a
// few shards that hold the rooms.
//
//	owner of a channel, anywhere
//	   | Fanout, Rooms, Empty, CloseSockets      one message per node, in order
//	   v
//	front ("relay")   which shards have a subscriber of the topic?
//	   | the same pointer, encoded once
//	   v
//	shard 0..N        topic -> sockets; Push to each, Flush at the next tick
//
// It owns who of this node's sockets is in which room. All sockets of a user
// are in one shard, so an event for a user visits one shard.
//
// # Concurrency
//
// Front and shards are actors; their state is touched in their turns only. The
// methods of Relay post to the front's mailbox and may be called from any
// goroutine. What is posted by one goroutine keeps its order, and so does what
// one actor publishes, from its mailbox to every socket. Callbacks (done) run
// in the turn of a shard or the front and must not block.
//
// # Joining
//
// Nothing may be missed once a socket was told that it has joined. If an owner
// was told that this node needs no events of a topic (Prune), it is asked to
// send them again (Graft) first; the socket joins when it has answered, and only
// then is done called. So from its first event of a topic on a socket sees every
// event. Between joining and Open the events of a socket are kept back, so that
// its greeting is the first thing it reads.
//
// The front counts claims per topic and shard. A claim is made before the
// shard hears of a subscription and taken back when the shard says that it was
// not needed or has ended. So the count may be too high for a moment, which
// costs a visit, and is never too low, which would lose an event.
//
// # Sessions that go on
//
// What was delivered of late stays in memory: once in the shard, once in the log
// of each of its rooms (history.go), within bounds of time, number and bytes. A
// socket that is gone can be parked: its seat stays in its rooms and follows
// their changes, and costs nothing per event. Take looks up what its client has
// not seen, for the node that goes on with the session: by the offset of the last
// event (Socket.IO), which is the relay's position and part of the shared frame,
// or by counting back from the last number (native). The new node joins first and
// takes then, so nothing falls between; what both have heard is known by its
// Serial and is given once; and the old node lets the session go only behind
// marks from all nodes (barrier.go), because one node may lag behind another.
// Sessions that look at some channels only (focus.go) keep what they were given
// themselves.
//
// # What it does not do
//
// It does not know users, permissions or what an event means beyond what focus
// needs, and never answers a client: that is the business of connections, which
// it tells when their sockets have to end.
//
// # Decisions
//
//   - Fan-out does not go through the mailboxes of connections: a delivery is a
//     few instructions and a share of a writev here, and a scheduled goroutine
//     there (about thirty times the cost, 2026-11).
//   - A room is a dense slice and a member knows its position, so leaving is
//     O(1), walking is linear in memory and a subscription costs 32 bytes
//     (2026-11).
//   - A socket in several topics of one event gets one copy: shards mark it
//     with the number of the delivery instead of building a set (2026-11).
//   - When a change of rooms makes this node graft a topic, what the same room
//     hears next waits for the answer: the event that tells a user of a new
//     channel does not overtake the channel's own events. CloseSockets does not
//     wait (2026-11).
//   - A relay that lost its state closes its sockets at the transport: clients
//     reconnect and refetch, which is always right (2026-11).
//   - The past is kept per room, not per socket: a delivery costs the same with
//     and without recovery, and a parked session takes its seat and no more. The
//     price is a merge of logs when a client returns (2026-11).
//   - A stock client gets CONNECT first and then what it missed. The stock server
//     does it the other way round; then a client that is cut between the two keeps
//     the events in a buffer and gives them out twice (2026-11).
//   - A channel that is not looked at costs a session one hint a second: which
//     message was last, how many were not shown, how many name its user. The
//     figures are of the session, not of the user's read state (2026-11).
//   - What a client caused waits up to 20 ms for the answer that goes with it, so
//     that both leave in one system call and wake the client once; everybody else
//     is told at once. Only when the database is slow does the author see the
//     difference (2026-11).
package relay
