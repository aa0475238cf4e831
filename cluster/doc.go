// Package cluster locates actors: it knows which nodes there are, on which of
// them an actor lives, how to reach it, and how to move it without losing what
// was asked of it. It knows nothing about chat.
//
// # What it is for
//
// A virtual actor has a kind and an id and no address. Ask and Tell find it, on
// whatever node owns it now, and bring it to life there when it is not. Named
// actors (Spawn) are plain actors of one node that others reach by node and
// name; Broadcast reaches the actor of one name on every node.
//
//	asker's node                                owner's node
//	Ask ── view ── owner ── parcel ─ remoting ─► door ── table ── host ── actor
//	  ▲                                                             │
//	  └────────────────────── reply, by request id ◄────────────────┘
//
// Underneath are protoactor-go (actors, remoting, the ClusterProvider and
// IdentityLookup interfaces) and hashicorp/memberlist (gossip).
//
// # What it owns
//
//   - Membership: views, made of gossip, failure detection and a handshake over
//     remoting; draining; rejoining under a new id after having been declared dead.
//   - Placement: rendezvous hashing over node ids, the table of activations of
//     this node, their release, their passivation, their supervision.
//   - The way of a message: Registry (CBOR in one protobuf Envelope), bounds per
//     peer, retries, and the certainty that an ask ends.
//
// # Concurrency
//
// Every method of Node may be called from any goroutine, and none holds a lock
// while it waits. An actor must not Ask in its turn: it would wait for others
// while its mailbox waits for it.
//
// Kind.Props, and the actor's producer, run on the goroutine of the first
// message, which may be a connection to another node: they must not block.
// OnView and OnRejoin functions run on a goroutine of their own, one at a time.
// The function that Replier returns may be called from anywhere, once counts.
//
// Messages from one goroutine to one actor arrive in the order they were sent,
// as long as the actor does not move and no connection breaks. A message that
// stays inside the process is the very value that was sent: treat messages as
// immutable.
//
// # What is promised, and what is not
//
// Tell is at most once. Ask is at least once, within its deadline: it is
// repeated when the owner is gone or gave no sign of life, so what is asked must
// be idempotent or carry an id. An activation is the only one of its identity
// nearly always; a paused node that wakes up has stale ones for a moment. What
// makes that harmless is an epoch that storage checks with every write, and that
// is not this package's work.
//
// # Decisions
//
// Own entry process instead of the library's request path (2026-11). Everything
// from other nodes goes through one process, the door, which checks that this
// node owns the identity. So a sender with an old view cannot activate an actor
// on the wrong node, no address of an actor is ever cached, and an ask costs one
// round trip even when the actor has to be activated.
//
// The owner keeps a record of every ask until it is answered (2026-11). The
// library drops what is in the mailbox of an actor that stops. Here such asks are
// answered "moved" and the asker goes on to the next owner. An ask that takes
// longer than 0.2 s is accepted with a tiny message, once: from then on the
// asker waits for the owner instead of trying again, and now and then checks
// that the owner still knows. Fast asks cost no extra message, not even those
// answered shortly after their turn, when a write was committed.
//
// A node that was declared dead keeps its actor system (2026-11). The identity
// that others block is the name in gossip; remoting does not care. So rejoining
// takes a new name and drops the activations, while named actors, connections
// and every *Node, *ActorSystem and PID in other packages stay valid.
//
// Members are admitted by a handshake over remoting (2026-11). A node that has
// the gossip secret but no certificate, or is behind a firewall, would otherwise
// own identities that nobody can reach.
//
// No quorum (2026-11). The smaller side of a partition goes on; with two nodes
// the survivor of a crash could not serve otherwise. When the partition heals the
// smaller side rejoins.
//
// Passivation by a sweep (2026-11), not by the library's receive timeout, which races and
// costs memory per actor. Panics stop a virtual actor, whose state is in storage,
// and restart a named one, which nobody else would start again.
//
// One Props for all activations of a kind (2026-11). What the cluster adds to it,
// middleware and supervision, is added once; the host of an actor is found from
// its context. With a hundred thousand actors that mostly rest, closures of each
// would be a sixth of the memory.
//
// The library's list of processes is packed into fewer maps (2026-11): it makes
// 32,768, most of which would hold one actor each.
//
// # What it does not do
//
// No leases or epochs, no persistence, no exactly-once, no ordering between
// actors, no discovery of seeds other than Config.Join (DNS names are resolved
// each time). Without Config.TLS remoting is neither encrypted nor authenticated:
// the network must be private then.
package cluster
