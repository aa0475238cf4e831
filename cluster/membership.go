package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/hashicorp/memberlist"
)

// Failure detection: a killed node is noticed in about two seconds. Values of a
// fast local network; the probe falls back to TCP, so a lost datagram alone
// kills nobody, and a suspect has a second and a half to object: a machine that
// is short of processors lets a process wait that long.
const (
	probeInterval    = 300 * time.Millisecond
	probeTimeout     = 150 * time.Millisecond
	suspicionMult    = 5
	gossipInterval   = 50 * time.Millisecond
	pushPullInterval = 10 * time.Second

	settle      = 20 * time.Millisecond // events that come together make one view
	seedEvery   = 3 * time.Second       // while members are missing
	remember    = 10 * time.Minute      // how long a lost member's address is tried
	helloTry    = 500 * time.Millisecond
	admitLimit  = 3 * time.Second // for the first members to be admitted
	leaveLimit  = 500 * time.Millisecond
	noticeEvery = 500 * time.Millisecond // to a member that was declared dead and is alive
)

// membership is the library's ClusterProvider on memberlist. It turns gossip
// into views: who is alive, and could be talked to over remoting, is in.
//
// One goroutine, run, owns everything below mu and publishes; memberlist's
// callbacks only wake it.
type membership struct {
	node       *Node
	bindHost   string
	bindPort   int
	host       string // advertised
	remotePort int
	starting   context.Context
	wakeup     chan struct{}
	notices    chan notice
	publishing sync.Mutex // one view at a time, in order
	dialling   atomic.Bool

	mu        sync.Mutex
	id        string
	list      *memberlist.Memberlist
	ears      *ears
	joining   bool // in gossip, but not yet to be given anything
	draining  bool
	left      bool
	rejoining bool                 // between two identities: gossip is not to be believed
	shown     map[string]bool      // members of the last view
	dead      map[string]bool      // were in a view of this identity and are not any more
	admitted  map[string]bool      // answered hello over remoting
	greeting  map[string]bool      // is being greeted
	gossipOf  map[string]string    // member -> gossip address
	missing   map[string]time.Time // gossip addresses of members that were lost
	done      chan struct{}
	stop      context.CancelFunc
}

// meta is what a member tells about itself in gossip; at most 512 bytes.
type meta struct {
	Host     string   `json:"h"`
	Port     int      `json:"p"`
	Draining bool     `json:"d,omitempty"`
	Kinds    []string `json:"k"`
}

var _ pcluster.ClusterProvider = (*membership)(nil)

func newMembership(n *Node) (*membership, error) {
	host, portText, err := net.SplitHostPort(n.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("cluster: listen address: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535 {
		return nil, fmt.Errorf("cluster: listen address: bad port %q", portText)
	}
	g := &membership{
		node: n, bindHost: host, bindPort: port, host: n.cfg.Advertise, joining: true,
		wakeup: make(chan struct{}, 1), notices: make(chan notice, 64),
		shown: map[string]bool{}, dead: map[string]bool{}, admitted: map[string]bool{}, greeting: map[string]bool{}, gossipOf: map[string]string{}, missing: map[string]time.Time{},
		done: make(chan struct{}),
	}
	if g.host == "" {
		if g.host, err = advertised(host); err != nil {
			return nil, err
		}
	}
	if g.bindHost, err = resolve(n.ctx, host); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *membership) selfMember() Member {
	return Member{ID: g.id, Host: g.host, Port: g.remotePort, Draining: g.joining || g.draining, kinds: g.node.kindNames()}
}

// StartMember implements cluster.ClusterProvider: it joins and returns when the
// members that were found are admitted.
func (g *membership) StartMember(*pcluster.Cluster) error {
	if err := g.open(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(g.node.ctx)
	g.stop = cancel
	g.join(g.node.cfg.Join)
	g.publish()
	go g.run(ctx)
	return g.settleIn(g.starting)
}

// StartClient implements cluster.ClusterProvider. Every node is a member.
func (g *membership) StartClient(*pcluster.Cluster) error {
	return errors.New("cluster: there are no client nodes")
}

// open starts memberlist under the current id.
func (g *membership) open() error {
	c := memberlist.DefaultLANConfig()
	c.Name = g.id
	c.BindAddr, c.BindPort = g.bindHost, g.bindPort
	if c.BindAddr == "" {
		c.BindAddr = "0.0.0.0"
	}
	c.AdvertisePort = g.bindPort
	if ip := net.ParseIP(g.host); ip != nil {
		c.AdvertiseAddr = g.host
	} else if ip, err := resolve(g.node.ctx, g.host); err == nil {
		c.AdvertiseAddr = ip
	}
	c.ProbeInterval, c.ProbeTimeout = probeInterval, probeTimeout
	c.SuspicionMult = suspicionMult
	c.GossipInterval, c.PushPullInterval = gossipInterval, pushPullInterval
	c.TCPTimeout = 2 * time.Second
	c.SecretKey = g.node.cfg.Secret
	c.Label = "rookery"
	e := newEars(g)
	c.Delegate, c.Events = e, e
	c.Logger = log.New(gossipLog{g.node.log}, "", 0)
	list, err := memberlist.Create(c)
	if err != nil {
		return fmt.Errorf("cluster: open gossip: %w", err)
	}
	g.mu.Lock()
	g.list, g.ears = list, e
	g.bindPort = int(list.LocalNode().Port) // kept for a rejoin, when it was 0
	g.mu.Unlock()
	return nil
}

// Addr is host:port of this node's gossip: what others put into Join.
func (n *Node) Addr() string {
	if n.gossip == nil {
		return ""
	}
	return net.JoinHostPort(n.gossip.host, strconv.Itoa(n.gossip.port()))
}

func (g *membership) port() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bindPort
}

// join contacts seeds; each is tried, none has to answer.
func (g *membership) join(seeds []string) {
	g.mu.Lock()
	list := g.list
	g.mu.Unlock()
	if list == nil {
		return
	}
	var wg sync.WaitGroup
	for _, seed := range seeds {
		wg.Go(func() {
			if _, err := list.Join([]string{seed}); err != nil {
				g.node.log.Debug("cannot join through seed", "seed", seed, "error", err)
			}
		})
	}
	wg.Wait()
}

// announce gossips the node's changed flags and publishes them here at once.
func (g *membership) announce() {
	g.mu.Lock()
	list := g.list
	g.mu.Unlock()
	if list == nil { // between two identities; it will be gossiped with the next
		return
	}
	if err := list.UpdateNode(leaveLimit); err != nil {
		g.node.log.Warn("cannot gossip a change of this node", "error", err)
	}
	g.publish()
}

func (g *membership) setDraining() {
	g.mu.Lock()
	g.draining = true
	g.mu.Unlock()
	g.announce()
}

// Shutdown implements cluster.ClusterProvider.
func (g *membership) Shutdown(graceful bool) error {
	g.mu.Lock()
	wasLeft := g.left
	g.left = true
	g.mu.Unlock()
	if wasLeft {
		return nil
	}
	if g.stop != nil {
		g.stop()
		<-g.done // it may be in the middle of a rejoin
	}
	g.mu.Lock()
	list := g.list
	g.mu.Unlock()
	if list == nil {
		return nil
	}
	if graceful {
		if err := list.Leave(leaveLimit); err != nil {
			g.node.log.Debug("leave was not confirmed", "error", err)
		}
	}
	if err := list.Shutdown(); err != nil {
		return fmt.Errorf("cluster: close gossip: %w", err)
	}
	return nil
}

func (g *membership) run(ctx context.Context) {
	defer close(g.done)
	seeds := time.NewTicker(seedEvery)
	defer seeds.Stop()
	overdue := time.NewTicker(noticeEvery)
	defer overdue.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.wakeup:
			pause(ctx, settle)
			g.publish()
		case m := <-g.notices:
			g.heed(ctx, m)
		case <-overdue.C:
			g.warnDead()
		case <-seeds.C:
			g.rejoinLost()
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// publish makes a view of what gossip says and installs it.
func (g *membership) publish() {
	g.publishing.Lock()
	defer g.publishing.Unlock()
	g.mu.Lock()
	if g.left || g.rejoining {
		g.mu.Unlock()
		return
	}
	members := []Member{g.selfMember()}
	alive := map[string]bool{}
	for _, m := range g.ears.members() {
		alive[m.Name] = true
		if m.Name == g.id || g.dead[m.Name] {
			continue
		}
		var t meta
		if err := json.Unmarshal(m.Meta, &t); err != nil {
			continue
		}
		member := Member{ID: m.Name, Host: t.Host, Port: t.Port, Draining: t.Draining, kinds: t.Kinds}
		g.gossipOf[m.Name] = m.Address()
		delete(g.missing, m.Address())
		switch {
		case g.admitted[m.Name]:
			members = append(members, member)
		case !g.greeting[m.Name]:
			g.greeting[m.Name] = true
			go g.greet(member)
		}
	}
	g.noteLost(alive)
	view := newView(g.id, members)
	shown := map[string]bool{}
	for _, m := range view.Members {
		shown[m.ID] = true
		delete(g.shown, m.ID)
	}
	for id := range g.shown {
		g.dead[id] = true
	}
	g.shown = shown
	g.mu.Unlock()
	g.install(view)
}

// install gives a view to the node, and to the library, which closes the
// connections to those who are gone.
func (g *membership) install(view *View) {
	g.node.setView(view)
	list := make(pcluster.Members, len(view.Members))
	for i, m := range view.Members {
		list[i] = &pcluster.Member{Id: m.ID, Host: m.Host, Port: int32(m.Port), Kinds: m.kinds}
	}
	g.node.library.MemberList.UpdateClusterTopology(list)
}

// noteLost forgets members that gossip does not list any more, except where they
// were: a partition may heal long after gossip gave up on them.
func (g *membership) noteLost(alive map[string]bool) {
	now := time.Now()
	for id, address := range g.gossipOf {
		if !alive[id] {
			if !g.ears.saidGoodbye(id) {
				g.missing[address] = now
			}
			delete(g.gossipOf, id)
			delete(g.admitted, id)
		}
	}
	for address, since := range g.missing {
		if now.Sub(since) > remember {
			delete(g.missing, address)
		}
	}
}

func (g *membership) wake() {
	select {
	case g.wakeup <- struct{}{}:
	default:
	}
}
