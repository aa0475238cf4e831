package relay

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
)

// patience bounds every wait of the tests.
const patience = 30 * time.Second

// quietly keeps heartbeats out of what the tests read.
var quietly = socket.Config{
	SocketIOPing: socket.Heartbeat{Interval: time.Hour, Timeout: time.Hour},
	NativePing:   socket.Heartbeat{Interval: time.Hour, Timeout: time.Hour},
}

// house is a node with a relay, and channels that note what the relay tells
// them.
type house struct {
	t      testing.TB
	node   *cluster.Node
	relay  *Relay
	poller *socket.Poller

	mu      sync.Mutex
	changed chan struct{}
	prunes  []string
	grafts  []string
	typed   []protocol.Typing
	wait    chan struct{} // when set, grafts are answered when it is closed
	refuse  bool          // grafts are refused
}

func newHouse(t testing.TB, cfg Config) *house {
	t.Helper()
	h := &house{t: t, changed: make(chan struct{})}
	cfg.Log = slog.New(slog.DiscardHandler)
	if cfg.Window == 0 {
		cfg.Window = -1 // no offsets in what the tests read
	}
	kind := func(name protocol.Kind) cluster.Kind {
		return cluster.Kind{Name: string(name), Props: func(id string) *actor.Props {
			return actor.PropsFromFunc(func(ctx actor.Context) { h.owner(id, ctx) })
		}}
	}
	var err error
	h.node, err = cluster.Start(t.Context(), cluster.Config{
		Log: cfg.Log, Kinds: []cluster.Kind{kind(protocol.KindUser), kind(protocol.KindChannel), kind(protocol.KindCommunity)},
		Prepare: func(n *cluster.Node) (err error) { h.relay, err = Start(n, cfg); return err },
	})
	if err != nil {
		t.Fatal(err)
	}
	if h.poller, err = socket.NewPoller(quietly); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.poller.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.node.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) owner(id string, ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *cluster.Release:
		ctx.Stop(ctx.Self())
	case *protocol.Prune:
		h.change(func() { h.prunes = append(h.prunes, id) })
	case *protocol.Typing:
		h.change(func() { h.typed = append(h.typed, *m) })
	case *protocol.Graft:
		reply := cluster.Replier(ctx)
		h.mu.Lock()
		wait, refuse := h.wait, h.refuse
		h.mu.Unlock()
		go func() {
			if wait != nil {
				<-wait
			}
			h.change(func() { h.grafts = append(h.grafts, id) })
			if refuse {
				reply(nil, protocol.ErrForbidden)
				return
			}
			reply(&protocol.Done{}, nil)
		}()
	}
}

func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *house) await(what string, ok func() bool) {
	h.t.Helper()
	limit := time.After(patience)
	for {
		h.mu.Lock()
		done, changed := ok(), h.changed
		h.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit:
			h.t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (h *house) tell(msg any) { h.node.TellNode(h.node.ID(), Name, msg) }

// guest is a socket with its other end.
type guest struct {
	t      testing.TB
	house  *house
	socket *socket.Socket
	who    *protocol.Caller
	pid    *actor.PID
	told   chan *protocol.CloseSockets
	closed chan error
	peer   net.Conn
	r      *bufio.Reader
}

// OnMessage implements socket.Handler.
func (g *guest) OnMessage(*socket.Socket, []byte) {}

// OnClose implements socket.Handler.
func (g *guest) OnClose(_ *socket.Socket, err error) { g.closed <- err }

func (h *house) guest(framing socket.Framing) *guest {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	defer l.Close()
	g := &guest{t: h.t, house: h, told: make(chan *protocol.CloseSockets, 10), closed: make(chan error, 1)}
	if g.peer, err = net.Dial("tcp", l.Addr().String()); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = g.peer.Close() })
	g.r = bufio.NewReaderSize(g.peer, 512)
	conn, err := l.Accept()
	if err != nil {
		h.t.Fatal(err)
	}
	if g.socket, err = h.poller.Add(conn, socket.Options{Framing: framing, Handler: g}); err != nil {
		h.t.Fatal(err)
	}
	g.who = &protocol.Caller{
		UserID: protocol.UserID(protocol.NewID[struct{}]()), Conn: protocol.ConnID(protocol.NewRandomID[struct{}]()),
		Session: protocol.SessionID(protocol.NewID[struct{}]()),
	}
	g.pid = h.node.System().Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*protocol.CloseSockets); ok {
			g.told <- m
		}
	}))
	return g
}

// join subscribes and waits for it.
func (g *guest) join(topics ...protocol.Topic) error {
	g.t.Helper()
	select {
	case err := <-g.joining(topics...):
		return err
	case <-time.After(patience):
		g.t.Fatal("not joined")
		return nil
	}
}

func (g *guest) joining(topics ...protocol.Topic) <-chan error {
	done := make(chan error, 1)
	g.house.relay.Subscribe(g.socket, g.pid, g.who, append(topics, protocol.UserTopic(g.who.UserID)), func(err error) { done <- err })
	return done
}

func (g *guest) open(topics ...protocol.Topic) {
	g.t.Helper()
	if err := g.join(topics...); err != nil {
		g.t.Fatal(err)
	}
	g.house.relay.Open(g.socket, g.who, []byte("hello"), nil)
	g.expect("hello")
}

func (g *guest) expect(want string) {
	g.t.Helper()
	_ = g.peer.SetReadDeadline(time.Now().Add(patience))
	f, err := ws.ReadFrame(g.r)
	if err != nil {
		g.t.Fatalf("waiting for %s: %v", want, err)
	}
	if got := string(f.Payload); got != want {
		g.t.Fatalf("got %s, want %s", got, want)
	}
}

func newChannel() protocol.ChannelID { return protocol.ChannelID(protocol.NewID[struct{}]()) }

func event(name string, topics ...protocol.Topic) *protocol.Fanout {
	return &protocol.Fanout{Event: protocol.Event{Name: name, Topics: topics}}
}

// own is an event of a channel itself, so a relay may prune it.
func own(name string, c protocol.ChannelID) *protocol.Fanout {
	f := event(name, protocol.ChannelTopic(c))
	f.Origin = protocol.Origin{Kind: protocol.KindChannel, ID: c.String()}
	return f
}

func TestFanout(t *testing.T) {
	for _, shards := range []int{1, 4} {
		h := newHouse(t, Config{Shards: shards})
		one, two, three := newChannel(), newChannel(), newChannel()
		a, b := h.guest(socket.SocketIO), h.guest(socket.Native)
		a.open(protocol.ChannelTopic(one), protocol.ChannelTopic(two))
		b.open(protocol.ChannelTopic(two), protocol.ChannelTopic(two))
		h.tell(event("first", protocol.ChannelTopic(one), protocol.ChannelTopic(two)))
		f := event("second", protocol.ChannelTopic(two))
		f.Except = a.who.Conn
		h.tell(f)
		h.tell(event("nobody", protocol.ChannelTopic(three)))
		h.tell(event("third", protocol.UserTopic(a.who.UserID), protocol.UserTopic(b.who.UserID)))
		a.expect(`42["first"]`)
		a.expect(`42["third"]`)
		b.expect(`{"n":1,"ev":"first"}`)
		b.expect(`{"n":2,"ev":"second"}`)
		b.expect(`{"n":3,"ev":"third"}`)
		if s := h.relay.Stats(); s.Deliveries != 5 || s.Sockets != 2 || s.Unwanted != 1 {
			t.Errorf("stats %+v", s)
		}
		h.relay.Unsubscribe(a.socket, a.who)
		h.tell(event("fourth", protocol.ChannelTopic(one), protocol.ChannelTopic(two)))
		b.expect(`{"n":4,"ev":"fourth"}`)
	}
}

func TestEventsBeforeTheGreeting(t *testing.T) {
	h := newHouse(t, Config{})
	c := newChannel()
	g := h.guest(socket.Native)
	if err := g.join(protocol.ChannelTopic(c)); err != nil {
		t.Fatal(err)
	}
	h.tell(event("early", protocol.ChannelTopic(c)))
	h.relay.Open(g.socket, g.who, []byte("hello"), nil)
	h.tell(event("late", protocol.ChannelTopic(c)))
	g.expect("hello")
	g.expect(`{"n":1,"ev":"early"}`)
	g.expect(`{"n":2,"ev":"late"}`)
}

func TestTooManyEventsBeforeTheGreeting(t *testing.T) {
	h := newHouse(t, Config{MaxEarly: 3})
	c := newChannel()
	g := h.guest(socket.Native)
	if err := g.join(protocol.ChannelTopic(c)); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		h.tell(event("early", protocol.ChannelTopic(c)))
	}
	if err := <-g.closed; !errors.Is(err, socket.ErrClosed) {
		t.Fatal(err)
	}
}

func TestRooms(t *testing.T) {
	h := newHouse(t, Config{})
	first, second := newChannel(), newChannel()
	a, b := h.guest(socket.SocketIO), h.guest(socket.SocketIO)
	a.open(protocol.ChannelTopic(first))
	b.open(protocol.ChannelTopic(first))
	h.tell(&protocol.Rooms{Of: protocol.UserTopic(a.who.UserID), Join: []protocol.Topic{protocol.ChannelTopic(second)}})
	h.tell(event("one", protocol.ChannelTopic(second)))
	a.expect(`42["one"]`)
	h.tell(&protocol.Rooms{Of: protocol.ChannelTopic(first), Join: []protocol.Topic{protocol.ChannelTopic(second)}})
	h.tell(event("two", protocol.ChannelTopic(second)))
	a.expect(`42["two"]`)
	b.expect(`42["two"]`)
	h.tell(&protocol.Rooms{Of: protocol.ChannelTopic(second), Leave: []protocol.Topic{protocol.ChannelTopic(first), protocol.ChannelTopic(second)}})
	h.tell(event("three", protocol.ChannelTopic(first), protocol.ChannelTopic(second)))
	h.tell(event("end", protocol.UserTopic(a.who.UserID)))
	a.expect(`42["end"]`)

	a.rejoin(protocol.ChannelTopic(first))
	h.tell(&protocol.Empty{Topics: []protocol.Topic{protocol.ChannelTopic(first)}})
	h.tell(event("four", protocol.ChannelTopic(first)))
	h.tell(event("end", protocol.UserTopic(a.who.UserID)))
	a.expect(`42["end"]`)
}

// A room is for a few: the others leave it and hear what they alone are told.
func TestKeepAndWithout(t *testing.T) {
	h := newHouse(t, Config{})
	channel, community := newChannel(), newChannel()
	in, out := h.guest(socket.SocketIO), h.guest(socket.SocketIO)
	for _, g := range []*guest{in, out} {
		g.open(protocol.ChannelTopic(channel), protocol.ChannelTopic(community))
	}
	h.tell(&protocol.Empty{Topics: []protocol.Topic{protocol.ChannelTopic(channel)}, Keep: []protocol.UserID{in.who.UserID}})
	gone := event("gone", protocol.ChannelTopic(community))
	gone.Without = protocol.ChannelTopic(channel)
	h.tell(gone)
	h.tell(event("secret", protocol.ChannelTopic(channel)))
	h.tell(event("end", protocol.ChannelTopic(community)))
	in.expect(`42["secret"]`)
	in.expect(`42["end"]`)
	out.expect(`42["gone"]`)
	out.expect(`42["end"]`)
}

// rejoin changes the rooms of an open socket.
func (g *guest) rejoin(topics ...protocol.Topic) {
	g.t.Helper()
	if err := g.join(topics...); err != nil {
		g.t.Fatal(err)
	}
}

func TestCloseSockets(t *testing.T) {
	h := newHouse(t, Config{})
	a := h.guest(socket.SocketIO)
	a.open()
	h.tell(&protocol.CloseSockets{User: a.who.UserID, Session: protocol.SessionID(protocol.NewID[struct{}]()), Reason: "another"})
	h.tell(&protocol.CloseSockets{User: protocol.UserID(protocol.NewID[struct{}]()), Reason: "somebody else"})
	h.tell(&protocol.CloseSockets{User: a.who.UserID, Session: a.who.Session, Reason: "logout"})
	if m := <-a.told; m.Reason != "logout" {
		t.Fatalf("told %+v", m)
	}
	h.tell(&protocol.CloseSockets{User: a.who.UserID, Reason: "ban"})
	if m := <-a.told; m.Reason != "ban" {
		t.Fatalf("told %+v", m)
	}
}

func TestTyping(t *testing.T) {
	h := newHouse(t, Config{})
	in, out := newChannel(), newChannel()
	g := h.guest(socket.SocketIO)
	g.open(protocol.ChannelTopic(in))
	for _, c := range []protocol.ChannelID{out, in} {
		h.relay.Typing(g.socket, g.who, protocol.ChannelTopic(c), true)
	}
	h.await("typing", func() bool { return len(h.typed) > 0 })
	if m := h.typed[0]; m.User != g.who.UserID || m.Conn != g.who.Conn || !m.Active || len(h.typed) != 1 {
		t.Fatalf("typed %+v", h.typed)
	}
}

func TestPruneAndGraft(t *testing.T) {
	h := newHouse(t, Config{Shards: 1})
	c, quiet := newChannel(), newChannel()
	wait := make(chan struct{})
	h.wait = wait
	h.tell(event("without origin", protocol.ChannelTopic(quiet)))
	for range 3 {
		h.tell(own("unwanted", c))
	}
	h.await("prune", func() bool { return len(h.prunes) > 0 })
	g := h.guest(socket.SocketIO)
	done := g.joining(protocol.ChannelTopic(c))
	select {
	case <-done:
		t.Fatal("joined before the owner answered")
	default:
	}
	// While the owner is asked, what it sends is not answered with a prune, also
	// when nobody wants it any more.
	h.relay.Unsubscribe(g.socket, g.who)
	if err := h.guest(socket.SocketIO).join(); err != nil { // the front knows by now
		t.Fatal(err)
	}
	h.tell(own("meanwhile", c))
	other := h.guest(socket.SocketIO)
	again := other.joining(protocol.ChannelTopic(c))
	close(wait)
	if err := errors.Join(<-done, <-again); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if want := []string{c.String()}; !slices.Equal(h.prunes, want) || !slices.Equal(h.grafts, want) {
		t.Fatalf("prunes %v, grafts %v", h.prunes, h.grafts)
	}
}

func TestGraftRefused(t *testing.T) {
	h := newHouse(t, Config{})
	c := newChannel()
	h.refuse = true
	h.tell(own("unwanted", c))
	h.await("prune", func() bool { return len(h.prunes) == 1 })
	g := h.guest(socket.SocketIO)
	if err := g.join(protocol.ChannelTopic(c)); !errors.Is(err, protocol.ErrForbidden) {
		t.Fatalf("joined with %v", err)
	}
	h.change(func() { h.refuse = false })
	if err := g.join(protocol.ChannelTopic(c)); err != nil { // asked again
		t.Fatal(err)
	}
}

// What a user is told after he was let into a channel waits until the channel
// sends its events here.
func TestEventsWaitForGrafts(t *testing.T) {
	h := newHouse(t, Config{})
	c := newChannel()
	wait := make(chan struct{})
	h.wait = wait
	h.tell(own("unwanted", c))
	h.await("prune", func() bool { return len(h.prunes) == 1 })
	g := h.guest(socket.SocketIO)
	g.open()
	user := protocol.UserTopic(g.who.UserID)
	h.tell(&protocol.Rooms{Of: user, Join: []protocol.Topic{protocol.ChannelTopic(c)}})
	h.tell(event("added", user))
	h.tell(&protocol.Rooms{Of: user, Leave: []protocol.Topic{protocol.ChannelTopic(c)}})
	h.tell(event("removed", user))
	h.tell(own("not joined", c))
	close(wait)
	g.expect(`42["added"]`)
	g.expect(`42["removed"]`)
	h.tell(own("unseen", c))
	h.tell(event("end", user))
	g.expect(`42["end"]`)
}

func TestResetClosesSockets(t *testing.T) {
	h := newHouse(t, Config{})
	c := newChannel()
	g := h.guest(socket.SocketIO)
	g.open(protocol.ChannelTopic(c))
	h.relay.post(&reset{})
	if err := <-g.closed; !errors.Is(err, socket.ErrClosed) {
		t.Fatal(err)
	}
	h.relay.Unsubscribe(g.socket, g.who) // as connections do
	again := h.guest(socket.SocketIO)
	again.open(protocol.ChannelTopic(c))
	h.tell(event("one", protocol.ChannelTopic(c)))
	again.expect(`42["one"]`)
	if s := h.relay.Stats(); s.Sockets != 1 {
		t.Fatalf("stats %+v", s)
	}
}

func TestUnknownSockets(t *testing.T) {
	h := newHouse(t, Config{Shards: 1})
	c := newChannel()
	stranger, g := h.guest(socket.SocketIO), h.guest(socket.SocketIO)
	h.relay.Open(stranger.socket, stranger.who, []byte("hello"), nil)
	h.relay.Typing(stranger.socket, stranger.who, protocol.ChannelTopic(c), true)
	h.relay.Unsubscribe(stranger.socket, stranger.who)
	g.open(protocol.ChannelTopic(c))
	h.tell(event("one", protocol.ChannelTopic(c)))
	g.expect(`42["one"]`)
}

// What a client caused may wait for the answer that goes with it, but not for
// ever; everybody else hears of it at once, and the order stays.
func TestAuthorHearsWithTheAnswer(t *testing.T) {
	h := newHouse(t, Config{})
	c := newChannel()
	author, other := h.guest(socket.SocketIO), h.guest(socket.SocketIO)
	author.open(protocol.ChannelTopic(c))
	other.open(protocol.ChannelTopic(c))
	said := func(name string) {
		f := event(name, protocol.ChannelTopic(c))
		f.Author = author.who.Conn
		h.tell(f)
	}
	said("first")
	other.expect(`42["first"]`)
	h.await("the event is there", func() bool { // it waits, or has waited long enough
		waiting, _ := author.socket.Queued()
		return waiting > 0 || author.socket.Counts().FramesOut >= 2
	})
	author.socket.Send([]byte("answer"))
	author.expect(`42["first"]`)
	author.expect("answer")
	said("second") // which nothing answers
	h.tell(event("third", protocol.ChannelTopic(c)))
	for _, g := range []*guest{author, other} {
		g.expect(`42["second"]`)
		g.expect(`42["third"]`)
	}
	said("fourth")
	author.expect(`42["fourth"]`)
}
