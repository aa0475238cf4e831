package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
)

// Node is this process as a member of the cluster. All methods may be called
// from any goroutine; those that wait take a context.
type Node struct {
	cfg      Config
	log      *slog.Logger
	registry *Registry
	kinds    map[string]*kind

	ctx    context.Context // ends with Stop
	cancel context.CancelFunc

	system   *actor.ActorSystem
	remote   *remote.Remote    // nil for a single node
	library  *pcluster.Cluster // nil for a single node
	gossip   *membership       // nil for a single node
	table    *table
	named    named
	spawning sync.Map // name -> *host, until the actor's context has it
	asks     *asks
	ledger   *ledger
	peers    *peers
	counters counters

	stopOnPanic, restartOnPanic actor.SupervisorStrategy

	viewMu   sync.Mutex
	topology atomic.Pointer[topology]
	watchers watchers

	rejoinMu sync.Mutex
	onRejoin []func()

	drainOnce, stopOnce sync.Once
	drainErr            error
	draining            atomic.Bool
}

// Start brings up a node and, when cfg.Join names reachable members, returns
// when it is one of them. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := newNode(cfg)
	if cfg.Listen == "" {
		n.standAlone()
		err = n.prepare()
	} else {
		err = n.enter(ctx)
	}
	if err != nil {
		n.abort()
		return nil, err
	}
	return n, nil
}

func newNode(cfg Config) *Node {
	n := &Node{cfg: cfg, log: cfg.Log, registry: cfg.Registry, kinds: map[string]*kind{}, asks: newAsks()}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	for _, k := range cfg.Kinds {
		n.kinds[k.Name] = &kind{Kind: k}
	}
	config := actor.NewConfig()
	config.LoggerFactory = func(*actor.ActorSystem) *slog.Logger {
		return slog.New(libraryLog{cfg.Log.Handler()}).With("lib", "protoactor")
	}
	config.DeadLetterRequestLogging = false
	n.system = actor.NewActorSystemWithConfig(config)
	packProcesses(n.system)
	n.stopOnPanic, n.restartOnPanic = newStrategies(cfg.Log)
	n.table = newTable(n)
	n.ledger = newLedger(n)
	n.named.hosts = map[string]*host{}
	n.peers = &peers{limit: int64(cfg.PeerLimit), bytes: int64(cfg.PeerBytes), dropped: &n.counters.dropped}
	n.watchers.wake = make(chan struct{}, 1)
	n.system.ProcessRegistry.Add(&door{n}, doorName)
	return n
}

func (n *Node) kindNames() []string {
	names := make([]string, len(n.cfg.Kinds))
	for i, k := range n.cfg.Kinds {
		names[i] = k.Name
	}
	return names
}

// standAlone makes the node the only member of its view.
func (n *Node) standAlone() {
	id := n.system.ID
	v := newView(id, []Member{{ID: id, kinds: n.kindNames()}})
	n.topology.Store(&topology{view: v})
	n.run()
}

func (n *Node) run() {
	go n.watchers.run(n)
	go n.table.sweep(n.ctx)
}

// enter starts remoting and gossip. The order matters: the node must be able to
// serve what it gossips.
func (n *Node) enter(ctx context.Context) error {
	gossip, err := newMembership(n)
	if err != nil {
		return err
	}
	n.gossip = gossip
	if err := n.listen(gossip); err != nil {
		return err
	}
	gossip.id = n.system.ID
	n.topology.Store(&topology{view: newView(gossip.id, []Member{gossip.selfMember()})})
	n.library = pcluster.New(n.system, pcluster.Configure("rookery", gossip, &lookup{n}, remote.Configure("", 0)))
	n.library.Remote = n.remote
	n.library.IdentityLookup = n.library.Config.IdentityLookup
	n.library.IdentityLookup.Setup(n.library, n.kindNames(), false)
	n.system.EventStream.Subscribe(n.connectionEvent)
	n.run()
	go n.ledger.run(n.ctx)
	go n.check(n.ctx)
	if err := n.prepare(); err != nil {
		return err
	}
	gossip.starting = ctx
	return gossip.StartMember(n.library)
}

func (n *Node) prepare() error {
	if n.cfg.Prepare == nil {
		return nil
	}
	if err := n.cfg.Prepare(n); err != nil {
		return fmt.Errorf("cluster: prepare: %w", err)
	}
	return nil
}

// connectionEvent runs on the goroutine of whoever noticed that a connection to
// a peer is gone, with all that was queued for it.
func (n *Node) connectionEvent(event any) {
	if e, ok := event.(*remote.EndpointTerminatedEvent); ok {
		n.peers.drop(e.Address)
		n.asks.loseAddress(e.Address)
	}
}

// ID names this membership of the node. It is new with every start, and after
// the node was declared dead and rejoined.
func (n *Node) ID() string { return n.topology.Load().view.self }

// System is the actor system; the same one for the life of the Node.
func (n *Node) System() *actor.ActorSystem { return n.system }

// View is the membership as it is now.
func (n *Node) View() View { return *n.topology.Load().view }

// OnView registers f to be called with the newest view after each change, in
// order, on one goroutine that f must not block for long.
func (n *Node) OnView(f func(View)) { n.watchers.add(f) }

// OnRejoin registers f to be called after the node, declared dead by the others,
// is back under a new ID. Its activations are gone, its named actors, their
// children and its sockets were not touched. What others keep about this node
// under its ID must be told to them again.
func (n *Node) OnRejoin(f func()) {
	n.rejoinMu.Lock()
	defer n.rejoinMu.Unlock()
	n.onRejoin = append(n.onRejoin, f)
}

// Owner is the node that hosts the virtual actor, and whether that is this one;
// empty while no member takes activations of the kind.
func (n *Node) Owner(kind, id string) (nodeID string, self bool) {
	v := n.topology.Load().view
	m := v.owner(kind, id, "")
	if m == nil {
		return "", false
	}
	return m.ID, m.ID == v.self
}

// Drain hands all activations over and leaves the cluster: others are told not
// to expect anything of this node, its activations are released with time to
// flush while it is still a member, then it leaves. Named actors go on until Stop,
// and what they tell others still goes out, but the view is not kept up to date.
func (n *Node) Drain(ctx context.Context) error {
	n.drainOnce.Do(func() {
		n.draining.Store(true)
		if n.gossip != nil {
			n.gossip.setDraining()
		}
		n.table.closed.Store(true)
		n.drainErr = n.table.drain(ctx)
		if n.gossip != nil {
			n.peers.flush(ctx)
			n.drainErr = errors.Join(n.drainErr, n.gossip.Shutdown(true))
		}
	})
	return n.drainErr
}

// flushLimit bounds the wait for answers that are still queued for peers.
const flushLimit = 250 * time.Millisecond

// Stop drains, stops the named actors and closes the sockets. The Node cannot be
// used afterwards.
func (n *Node) Stop(ctx context.Context) error {
	err := n.Drain(ctx)
	n.stopOnce.Do(func() {
		n.stopNamed(ctx)
		n.close()
	})
	return err
}

func (n *Node) close() {
	n.cancel()
	if n.remote != nil {
		view := n.topology.Load().view
		for i := range view.Members { // closes the connections, which Shutdown does not
			if m := &view.Members[i]; m.ID != view.self {
				n.system.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: m.Address()})
			}
		}
		n.remote.Shutdown(false)
	}
	n.system.Shutdown()
}

// abort undoes a start that failed half-way.
func (n *Node) abort() {
	if n.gossip != nil {
		_ = n.gossip.Shutdown(false)
	}
	n.close()
}
