package connection_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/connection"
	"github.com/rookery-chat/rookery/actors/relay"
	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
)

// patience bounds every wait of the tests.
const patience = 30 * time.Second

// world is one or more nodes with real relays, sockets and connections. Users
// and channels are small actors of the tests.
type world struct {
	t     testing.TB
	nodes []*station

	panics atomic.Int32

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change of what follows
	rooms    map[protocol.UserID][]protocol.Topic
	version  int64
	conns    map[protocol.ConnID]protocol.Connect
	beats    int
	idle     map[protocol.ConnID]bool
	left     int
	settled  int             // times that a socket was told that it has joined everything
	revoked  map[string]bool // tokens
	away     bool            // the gate answers that it can't
	pruned   map[string]map[string]bool
	typed    []protocol.Typing
	serial   uint64
	online   int // members of any community
	quiet    bool
	present  []protocol.UserID // likewise, of those asked about
	grafts   int
	grafting chan struct{} // when set, grafts wait until it is closed
	do       func(op *protocol.Operation, who protocol.Caller, body json.RawMessage) (any, error)
}

// station is one node of the world.
type station struct {
	node   *cluster.Node
	relay  *relay.Relay
	poller *socket.Poller
	server *connection.Server
	http   *httptest.Server
}

type option func(*settings)

type settings struct {
	nodes  int
	limits connection.Limits
	relay  relay.Config
	poller socket.Config
	origin func(*http.Request) bool
	taken  chan struct{} // when set, answers to takes wait until it is closed
}

func newWorld(t testing.TB, opts ...option) *world {
	t.Helper()
	cfg := settings{nodes: 1}
	for _, o := range opts {
		o(&cfg)
	}
	w := &world{
		t: t, changed: make(chan struct{}), version: 1,
		rooms: map[protocol.UserID][]protocol.Topic{}, conns: map[protocol.ConnID]protocol.Connect{},
		idle: map[protocol.ConnID]bool{}, revoked: map[string]bool{}, pruned: map[string]map[string]bool{},
	}
	var join []string
	for range cfg.nodes {
		s := w.start(&cfg, join)
		w.nodes = append(w.nodes, s)
		join = []string{s.node.Addr()}
	}
	return w
}

func (w *world) start(cfg *settings, join []string) *station {
	t := w.t
	t.Helper()
	log := slog.New(slog.NewTextHandler(&watcher{w}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s := &station{}
	cc := cluster.Config{Log: log, Registry: cluster.NewRegistry(), Join: join, Kinds: []cluster.Kind{
		w.kind(protocol.KindUser, w.user), w.kind(protocol.KindChannel, w.channel), w.kind(protocol.KindCommunity, w.channel),
	}}
	if cfg.nodes > 1 {
		cc.Listen = "127.0.0.1:0"
	}
	for name, typ := range protocol.WireTypes() {
		cc.Registry.Add(name, typ)
	}
	cc.Prepare = func(n *cluster.Node) (err error) {
		rc := cfg.relay
		rc.Log = log
		s.relay, err = relay.Start(n, rc)
		return err
	}
	var err error
	if s.node, err = cluster.Start(t.Context(), cc); err != nil {
		t.Fatal(err)
	}
	if s.poller, err = socket.NewPoller(cfg.poller); err != nil {
		t.Fatal(err)
	}
	var r connection.Relay = s.relay
	if cfg.taken != nil {
		r = slowRelay{s.relay, cfg.taken}
	}
	s.server = connection.NewServer(connection.Config{
		Node: s.node, Relay: r, Poller: s.poller, Log: log, Gate: w.gate, Do: w.perform, Limits: cfg.limits, Origin: cfg.origin,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/socket.io/", s.server.ServeSocketIO)
	mux.HandleFunc("/ws", s.server.ServeNative)
	s.http = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.stop(t)
		if n := w.panics.Load(); n > 0 {
			t.Errorf("%d panics", n)
		}
	})
	return s
}

func (s *station) stop(t testing.TB) {
	s.http.Close()
	s.poller.Close()
	s.server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.node.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// watcher looks for panics in the log.
type watcher struct{ w *world }

func (l *watcher) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "panicked") && !strings.Contains(string(b), "at the disco") {
		l.w.panics.Add(1)
		_, _ = os.Stderr.Write(b)
	}
	return len(b), nil
}

// change alters the world and wakes those who wait for it.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

// await waits until the world is as it should be.
func (w *world) await(what string, ok func() bool) {
	w.t.Helper()
	limit := time.After(patience)
	for {
		w.mu.Lock()
		done, changed := ok(), w.changed
		w.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit:
			w.t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (w *world) kind(name protocol.Kind, receive func(id string, ctx actor.Context)) cluster.Kind {
	return cluster.Kind{Name: string(name), Props: func(id string) *actor.Props {
		return actor.PropsFromFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*cluster.Release); ok {
				ctx.Stop(ctx.Self())
				return
			}
			receive(id, ctx)
		})
	}}
}

// user is the user actor of the tests.
func (w *world) user(id string, ctx actor.Context) {
	user := must(protocol.ParseID[struct{}](id))
	answer := func(topics bool) {
		c := &protocol.Connected{User: protocol.PublicUser{ID: protocol.UserID(user), Username: "ada"}, Version: w.version}
		if topics {
			c.Topics = append([]protocol.Topic{protocol.UserTopic(protocol.UserID(user))}, w.rooms[protocol.UserID(user)]...)
		}
		cluster.Reply(ctx, c)
	}
	switch m := ctx.Message().(type) {
	case *protocol.Connect:
		w.change(func() { w.conns[m.Conn] = *m; answer(true) })
	case *protocol.AskOverview:
		o := &protocol.Overview{Communities: []protocol.CommunityOverview{{ID: protocol.CommunityID(user), Name: "Nest"}}}
		if m.Unread {
			some, none := 3, 0
			o.Communities[0].Unread, o.Communities[0].Mentions = &some, &none
			for _, t := range w.rooms[protocol.UserID(user)] {
				if t.Room == protocol.RoomGroup && len(o.Groups) == 0 {
					o.Groups = append(o.Groups, protocol.GroupOverview{ID: t.ID, Unread: &some, Mentions: &some})
				}
			}
		}
		cluster.Reply(ctx, o)
	case *protocol.SyncRooms:
		w.change(func() {
			if m.Version == w.version {
				w.settled++
			}
			answer(m.Version != w.version)
		})
	case *protocol.Heartbeat:
		w.change(func() { w.beats++; w.conns[m.Conn] = m.Connect; w.idle[m.Conn] = m.Idle; answer(false) })
	case *protocol.Disconnect:
		w.change(func() { delete(w.conns, m.Conn); w.left++ })
	}
}

// channel is the channel actor of the tests; communities are the same.
func (w *world) channel(id string, ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *protocol.Prune:
		w.change(func() {
			if w.pruned[id] == nil {
				w.pruned[id] = map[string]bool{}
			}
			w.pruned[id][m.Node] = true
		})
	case *protocol.Graft:
		reply := cluster.Replier(ctx)
		w.mu.Lock()
		wait := w.grafting
		w.mu.Unlock()
		go func() {
			if wait != nil {
				<-wait
			}
			w.change(func() { delete(w.pruned[id], m.Node); w.grafts++ })
			reply(&protocol.Done{}, nil)
		}()
	case *protocol.AskPresence:
		w.mu.Lock()
		defer w.mu.Unlock()
		cluster.Reply(ctx, &protocol.PresenceScope{Online: w.online, Quiet: w.quiet})
	case *protocol.AskOnlineMembers:
		w.mu.Lock()
		defer w.mu.Unlock()
		reply := &protocol.OnlineMembers{}
		for _, u := range m.Users {
			if slices.Contains(w.present, u) {
				reply.Users = append(reply.Users, u)
			}
		}
		cluster.Reply(ctx, reply)
	case *protocol.Typing:
		w.change(func() { w.typed = append(w.typed, *m) })
	}
}

// gate knows tokens of the form "token-<user id>", with anything after it.
func (w *world) gate(_ context.Context, token string) (protocol.Caller, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return protocol.Caller{}, protocol.ErrUnavailable
	}
	rest, ok := strings.CutPrefix(token, "token-")
	if !ok || len(rest) < 36 || w.revoked[token] {
		return protocol.Caller{}, protocol.ErrUnauthorized
	}
	id, err := protocol.ParseID[struct{}](rest[:36])
	if err != nil {
		return protocol.Caller{}, protocol.ErrUnauthorized
	}
	who := protocol.Caller{UserID: protocol.UserID(id)}
	copy(who.Session[:], rest[36:])
	copy(who.Token[:], rest[36:])
	return who, nil
}

func (w *world) perform(_ context.Context, op *protocol.Operation, who protocol.Caller, body json.RawMessage) (any, error) {
	w.mu.Lock()
	do := w.do
	w.mu.Unlock()
	if do == nil {
		return nil, errors.New("nothing to do")
	}
	return do(op, who, body)
}

// publish sends an event as its owner would: to the nodes that want it.
func (w *world) publish(f protocol.Fanout) {
	var ids []string
	w.mu.Lock()
	w.serial++
	if f.Serial.N == 0 {
		f.Serial = protocol.Serial{From: 1, N: w.serial}
	}
	for _, s := range w.nodes {
		if !w.pruned[f.Origin.ID][s.node.ID()] {
			ids = append(ids, s.node.ID())
		}
	}
	w.mu.Unlock()
	w.nodes[0].node.TellNodes(ids, relay.Name, &f)
}

func (w *world) tell(msg any) {
	for _, s := range w.nodes {
		s.node.TellNode(s.node.ID(), relay.Name, msg)
	}
}

func newUser() protocol.UserID       { return protocol.UserID(protocol.NewID[struct{}]()) }
func newChannel() protocol.ChannelID { return protocol.ChannelID(protocol.NewID[struct{}]()) }

func token(u protocol.UserID) string { return "token-" + u.String() }

func (w *world) member(u protocol.UserID, channels ...protocol.ChannelID) {
	w.change(func() {
		for _, c := range channels {
			w.rooms[u] = append(slices.Clip(w.rooms[u]), protocol.ChannelTopic(c))
		}
	})
}

// message is an event of a channel.
func message(c protocol.ChannelID, seq int64, payload string) protocol.Fanout {
	return protocol.Fanout{
		Event: protocol.Event{
			Name: "newMessage", Topics: []protocol.Topic{protocol.ChannelTopic(c)}, Payload: json.RawMessage(payload),
			Stream: protocol.ChannelTopic(c), Epoch: 3, Seq: seq,
		},
		Origin: protocol.Origin{Kind: protocol.KindChannel, ID: c.String()},
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
