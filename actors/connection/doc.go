// Package connection is the actor per websocket: the place where a client's
// protocol ends and the platform's begins. A connection logs its user in, joins
// his rooms, turns what he sends into operations and what comes of them into
// replies, and ends when his session does.
//
//	GET /socket.io/, /ws -> Server.ServeSocketIO, ServeNative -> upgrade
//	   socket (epoll loop) -- frame --> mailbox of the connection
//	      codec (Socket.IO or native): what does the frame ask for?
//	         login, rooms, presence, typing    connection and user actor
//	         everything else                   Do: the operations table
//	   events: relay -> socket, past the connection
//
// It owns protocol state: who is on the other side, what he has asked that is
// not answered yet, the throttles of his frames and events. What the two
// protocols say differently is in their codecs (socketio.go, native.go);
// everything else is the same code for both.
//
// # Concurrency
//
// One actor per socket, not named in the cluster: its address is its node and
// its ConnID. State is touched in turns only. Whatever waits (login, operations,
// asking for rooms) runs on a goroutine while it waits and comes back as a
// message; an idle connection has none. Operations run on goroutines that are
// used again (workers.go); none ever waits for one. Frames come from the socket's epoll
// loop, which only copies and posts them. A connection that has too much in
// hand stops reading from its socket until it has caught up.
//
// Requests of one connection that touch the same actor reach its mailbox in the
// order sent: the next one starts when the one before is there, not when it is
// answered, so that talk goes on while acks wait for Postgres. An actor that
// moves meanwhile may see those under way in another order. All others run side
// by side. A request that names a
// message counts as touching every channel, because its channel is not known
// here.
//
// # Sessions
//
// A session outlives its socket for a while (Limits.Resume): the connection is
// parked, its user is offline but hears on, its login may end it at any time. A
// client that returns, to this node or another, logs in as always and joins its
// rooms; then its new connection asks the node that its hints name, or all, for
// the session (the actor "sessions" of each node), and goes on with what the
// relay there gives back. Sessions are given to the same login of the same user
// only, and once. A native session that is gone with its node is made anew from
// the owners of its conversations, and told what these don't know. A node that drains lingers until its sessions
// were fetched, a few seconds at most.
//
// # What it does not do
//
// It does not check permissions, validate, or know what an operation does; it
// does not see events; it does not limit connects per address: the HTTP edge
// refuses those before the upgrade, and a connection only gives its place back
// when it ends. Failed logins it counts itself.
//
// # Decisions
//
//   - Rooms are joined before the client is told that it is connected, and the
//     token is checked once more after that: a revocation that comes in between
//     would find no socket to close (2026-11).
//   - A login that fails because something is away closes the transport instead
//     of refusing it: stock clients reconnect after the former and log out after
//     the latter (2026-11).
//   - The server renews the presence of open sockets by itself, so presence
//     follows the socket and not the timers of a browser tab in the background
//     (2026-11).
//   - A session is looked for where the client's hints lead and not in a
//     directory: there is nothing to keep up to date, and only a client whose
//     hints lead nowhere costs a question to every node (2026-11).
//   - Who gives a session up keeps the answer for some seconds: under load the
//     cluster asks twice when it gets no sign of life, and a socket asks a slow node
//     again; the second question found nothing and was answered first, and the session
//     was lost (2026-11).
//   - The wait for other logins does not count against a login: after a deploy
//     everybody comes at once, and whoever was refused would come again (2026-11).
//   - The throttle of events is a budget per user and node instead of the
//     contract's window per socket: opening more sockets gains nothing, and
//     whoever kept the contract's rate keeps this one (2026-11).
package connection
