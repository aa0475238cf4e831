// Package socket is the transport under connections: it takes upgraded
// websocket connections, reads them without a goroutine or a buffer per idle
// connection, and writes shared, pre-encoded frames to them with as few system
// calls as the rate of events allows.
//
// It owns the file descriptor, the websocket framing (RFC 6455, through
// gobwas/ws), the bounded outbound queue, the heartbeat of both protocols and
// the closing handshake. It is a support package, not a kind of actor, and
// knows nothing of users, sessions, topics or operations.
//
//	relay ---- Push(*Frame, now) ----+                 +--> write, at once when quiet
//	                                 +--> Socket ------+--> queue --> Flush: one writev
//	connection actor -- Send(reply) -+    (mutex)      +--> queue --> EPOLLOUT: poller
//
//	epoll loop -- read --> frames --> Handler.OnMessage (post to a mailbox, return)
//	clock ------- wheel -> ping, pong deadline, slow reader, slow sender, linger
//
// # Concurrency
//
// Push, PushN, Flush, Send, Close, Abort, Pause and Resume may be called from
// any goroutine and never block on the network. A mutex per socket gives all
// pushes and sends of that socket one total order. Handler methods of one
// socket are called one after the other, on the goroutine of its epoll loop
// (or on the reading goroutine of a socket that has its own); no lock is held
// during the call, but all sockets of the loop wait for it, so a handler posts
// to a mailbox and returns. OnClose comes exactly once, after the last
// OnMessage.
//
// # What it does not do
//
// It does not upgrade HTTP requests, negotiate compression, keep events for
// resume or decide who receives what. It promises nothing about bytes that the
// kernel has accepted.
//
// # Decisions
//
//   - Own epoll set instead of the runtime's poller, because a goroutine blocked
//     in Read costs its stack and a buffer per connection. The descriptor is
//     duplicated out of the net.Conn, which is then closed. Level trigger
//     without EPOLLONESHOT: the loop reads inline, so there is nothing to
//     re-arm, one epoll_wait and one read per readiness, and a sender that
//     fills the buffer is simply reported again after the others had their
//     turn. Write interest is armed only while a socket is blocked. (2026-11)
//   - The epoll descriptor itself is parked in the runtime's poller, so an idle
//     loop holds no thread and waking it is an ordinary goroutine switch.
//     (2026-11)
//   - Reads and writes are raw system calls: the descriptors never block, so
//     telling the scheduler about each call would only cost. (2026-11)
//   - A quiet socket is written at once from the shared bytes: no copy, no
//     queue, no allocation. A socket that was written less than a tick ago
//     queues, and its next Flush writes everything with one writev. So the
//     first event is never late and a burst costs one system call per tick.
//     Writing at once has a budget per second: beyond it everything is joined,
//     so a sender that falls behind gets cheaper per delivery, not later and
//     later. (2026-11, 1,000 sockets, 400 events/s each: 370,000 deliveries/s
//     with it, 60,000/s and a growing backlog without)
//   - A consumer that stays slow is closed, not throttled and not skipped:
//     frames are never dropped from the middle, so what a client has seen is
//     always a prefix, which is what resume needs. (2026-11)
//   - OnClose is never called from inside Push or Close: those run under the
//     locks of their callers. (2026-11)
//   - Connections without a descriptor of their own (TLS), and every connection
//     on systems other than Linux, use one reading goroutine and a writing
//     goroutine while there is something to write, behind the same interface.
//     (2026-11)
package socket
