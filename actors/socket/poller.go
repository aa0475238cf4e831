package socket

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Poller reads and times the sockets added to it.
type Poller struct {
	cfg       Config
	tick      int64
	rideAlong [Native + 1]int64

	wheel   wheel
	budget  budget
	flusher flusher
	loops   []*loop

	next       atomic.Uint64 // for spreading sockets over loops
	slow       atomic.Uint64
	unanswered atomic.Uint64
	partial    atomic.Int64 // bytes of incomplete messages

	mu       sync.Mutex
	streams  map[*Socket]struct{} // those with their own reading goroutine
	open     int
	accepted uint64
	total    Counts // of closed sockets
	closed   bool

	empty   sync.Cond // open == 0 after closed, on mu
	quit    chan struct{}
	workers sync.WaitGroup
}

// NewPoller starts the loops and the clock.
func NewPoller(cfg Config) (*Poller, error) {
	p := &Poller{cfg: cfg.withDefaults(), streams: make(map[*Socket]struct{}), quit: make(chan struct{})}
	p.tick = int64(p.cfg.Tick)
	for _, f := range []Framing{SocketIO, Native} {
		p.rideAlong[f] = int64(p.cfg.heartbeat(f).Interval) / rideAlong
	}
	p.empty.L = &p.mu
	p.wheel.init(p.cfg.resolution())
	if err := p.startLoops(); err != nil {
		return nil, fmt.Errorf("start epoll loops: %w", err)
	}
	p.flusher.init(p.cfg.Tick)
	if p.cfg.Tick > 0 {
		p.budget.init(p.cfg.QuietWrites)
	}
	p.workers.Go(p.clock)
	p.workers.Go(func() { p.flusher.run(p.quit) })
	return p, nil
}

func (p *Poller) clock() {
	t := time.NewTicker(p.cfg.resolution())
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.wheel.advance(Now(), (*Socket).tick)
		case <-p.quit:
			return
		}
	}
}

// Add takes over a connection after its websocket upgrade, also when it fails.
// OnMessage may be called before Add returns.
func (p *Poller) Add(conn net.Conn, o Options) (*Socket, error) {
	s := p.newSocket(conn, o)
	if !p.admit() {
		_ = conn.Close()
		return nil, ErrPollerClosed
	}
	if l := p.loopFor(conn); l != nil {
		if err := l.add(s, conn, o.Buffered); err != nil {
			_ = conn.Close()
			p.retired(Counts{})
			return nil, fmt.Errorf("add connection: %w", err)
		}
	} else {
		p.addStream(s, conn, o.Buffered)
	}
	s.mu.Lock()
	p.wheel.sooner(s, s.pingAt)
	if p.isClosed() {
		s.lose(ErrPollerClosed)
	}
	s.mu.Unlock()
	return s, nil
}

func (p *Poller) newSocket(conn net.Conn, o Options) *Socket {
	s := &Socket{p: p, handler: o.Handler, owner: o.Owner, framing: o.Framing, fd: -1, wrote: longAgo, remote: addrOf(conn)}
	s.maxMessage = int32(o.MaxMessage)
	if o.MaxMessage <= 0 {
		if s.maxMessage = DefaultMaxSocketIO; o.Framing == Native {
			s.maxMessage = DefaultMaxNative
		}
	}
	s.firstPing(Now())
	return s
}

func addrOf(conn net.Conn) netip.AddrPort {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	a := tcp.AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (p *Poller) admit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.open++
	p.accepted++
	return true
}

// retired takes a socket out of the figures of the open ones.
func (p *Poller) retired(counts Counts) {
	p.mu.Lock()
	p.open--
	p.total.add(counts)
	if p.open == 0 {
		p.empty.Broadcast()
	}
	p.mu.Unlock()
}

func (p *Poller) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// Len is the number of open sockets.
func (p *Poller) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// each calls fn for every socket, without a lock.
func (p *Poller) each(fn func(*Socket)) {
	var all []*Socket
	for _, l := range p.loops {
		all = l.collect(all)
	}
	p.mu.Lock()
	for s := range p.streams {
		all = append(all, s)
	}
	p.mu.Unlock()
	for _, s := range all {
		fn(s)
	}
}

// Close aborts every socket with ErrPollerClosed, waits until OnClose has
// returned for each, and ends the goroutines. It must not be called from a
// handler.
func (p *Poller) Close() {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if again {
		return
	}
	p.each(func(s *Socket) {
		s.mu.Lock()
		s.lose(ErrPollerClosed)
		s.mu.Unlock()
	})
	p.mu.Lock()
	for p.open > 0 {
		p.empty.Wait()
	}
	p.mu.Unlock()
	close(p.quit)
	p.stopLoops()
	p.workers.Wait()
}
