package socket

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"
)

// Socket is one websocket connection.
type Socket struct {
	p       *Poller
	handler Handler
	alt     *stream      // set when the socket has its own reading goroutine
	in      *inbound     // of the reading goroutine: set while a message is incomplete
	partial atomic.Int64 // since when it is, 0 when it is not

	mu        sync.Mutex
	owner     any
	err       error  // why it is closing
	q         *queue // nil when nothing waits
	wrote     int64  // when frames were written last
	n         int64  // native: number of the last event
	pingAt    int64  // when the next ping is due
	pongBy    int64  // when an answer is due, 0 when none is
	ponged    int64  // when the last answer came
	linger    int64  // when a closing socket is given up
	counts    Counts
	fd        int32 // -1 without one
	framing   Framing
	loopIndex uint8 // of its epoll loop
	pongs     uint8 // in the queue
	flags     flag

	maxMessage int32
	remote     netip.AddrPort

	// Position in the wheel, under the wheel's mutex.
	wnext, wprev *Socket
	wdue         int64
}

// flag is the state of a socket, under its mutex.
type flag uint16

const (
	blocked  flag = 1 << iota // the kernel is full, or a writing goroutine is at work: others only queue
	owed                      // a caller was told to Flush at its next tick
	held                      // a caller was told to Flush after a while
	paused                    // by the owner
	readOff                   // read interest is not armed
	closing                   // nothing new goes out
	peerShut                  // the peer sent a close frame
	gone                      // not worth waiting for: give up the descriptor now
	shut                      // the writing side is shut down
	told                      // OnClose was called
	done                      // the descriptor is given up
	posted                    // in the list of what the loop has to look at
)

func (s *Socket) is(f flag) bool { return s.flags&f != 0 }

// Push sends an event that many sockets get, and counts it. It writes at once
// when the socket has been quiet for a tick and the poller does not write more
// single frames than its budget; otherwise the frame waits. When
// Push reports true the caller has to Flush the socket at its next tick; while
// somebody owes a flush, or the socket is blocked, it reports false. Now is the
// current Now().
func (s *Socket) Push(f *Frame, now int64) (deferred bool) {
	s.mu.Lock()
	if !s.is(closing) {
		s.n++
		deferred = s.push(entry{f, s.n}, now)
	}
	s.mu.Unlock()
	return deferred
}

// PushN is Push for a session that counts its events itself, because it
// outlives its sockets.
func (s *Socket) PushN(f *Frame, n, now int64) (deferred bool) {
	s.mu.Lock()
	if !s.is(closing) {
		s.n = n
		deferred = s.push(entry{f, n}, now)
	}
	s.mu.Unlock()
	return deferred
}

// PushLater is PushN for a frame that need not go out before something is sent to
// this socket alone: they leave in one write. When it reports true the caller has
// to Flush the socket after a while.
func (s *Socket) PushLater(f *Frame, n, now int64) (deferred bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.is(closing) {
		return false
	}
	s.n = n
	if !s.enqueue(entry{f, n}, now) || s.flags&(blocked|owed|held) != 0 {
		return false
	}
	s.flags |= held
	return true
}

func (s *Socket) push(e entry, now int64) (deferred bool) {
	quiet := now-s.wrote >= s.p.tick
	if quiet && s.q == nil && s.alt == nil && s.p.budget.take(now) {
		s.wrote = now
		s.writeEntry(e, now)
		return false
	}
	if !s.enqueue(e, now) || s.flags&(blocked|owed) != 0 {
		return false
	}
	if quiet && s.alt != nil {
		s.wrote = now
		s.flush(now)
		return false
	}
	s.flags |= owed
	return true
}

// Flush writes what waits.
func (s *Socket) Flush() {
	s.mu.Lock()
	s.flags &^= owed | held
	if s.q != nil && !s.is(blocked) {
		s.wrote = Now()
		s.flush(s.wrote)
	}
	s.mu.Unlock()
}

// FlushLater flushes the socket on the poller's own goroutine, about a tick
// from now. It is for callers that have no tick of their own.
func (s *Socket) FlushLater() { s.p.flusher.add(s) }

// Send sends a text frame to this socket alone, after everything that was
// pushed before and together with it. The payload may be reused after the call.
func (s *Socket) Send(payload []byte) { s.send(ws.OpText, payload) }

func (s *Socket) send(op ws.OpCode, payload []byte) {
	now := Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.is(closing) {
		return
	}
	if s.q == nil && s.alt == nil {
		s.writePrivate(op, payload, now)
		return
	}
	if s.enqueue(entry{f: privateFrame(op, payload)}, now) && !s.is(blocked) {
		s.flush(now)
	}
}

// writeEntry writes to a socket on which nothing waits.
func (s *Socket) writeEntry(e entry, now int64) {
	var buf [maxHead]byte
	head, body := e.segments(s.framing, buf[:0])
	var ping []byte
	if s.pingSoon(now) {
		ping = pingFrame(s.framing).raw
		s.pinged(now)
	}
	n, err := s.writeParts(head, body, ping)
	s.count(1, n)
	if n == len(head)+len(body)+len(ping) {
		return
	}
	if err != nil {
		s.lose(err)
		return
	}
	s.q = newQueue(now)
	s.q.push(e, s.framing)
	if ping != nil {
		s.q.push(entry{f: pingFrame(s.framing)}, s.framing)
	}
	s.q.advance(n, s.framing)
	s.block(now)
}

// writePrivate writes a frame of its own to a socket on which nothing waits;
// the payload is copied only if it cannot be written whole.
func (s *Socket) writePrivate(op ws.OpCode, payload []byte, now int64) {
	var buf [ws.MaxHeaderSize]byte
	head := appendHeader(buf[:0], op, len(payload))
	n, err := s.writeParts(head, payload, nil)
	s.count(1, n)
	if n == len(head)+len(payload) {
		return
	}
	if err != nil {
		s.lose(err)
		return
	}
	s.q = newQueue(now)
	s.q.push(entry{f: privateFrame(op, payload)}, s.framing)
	s.q.advance(n, s.framing)
	s.block(now)
}

func (s *Socket) count(frames, bytes int) {
	s.counts.FramesOut += uint64(frames)
	s.counts.BytesOut += uint64(bytes)
	s.counts.Writes++
}

// enqueue adds a frame to what waits. It reports false when the socket is
// closing afterwards: a blocked one that exceeds its bound is. One that only
// waits for its flush is flushed early instead. A single frame may be larger
// than the bound.
func (s *Socket) enqueue(e entry, now int64) bool {
	if s.q == nil {
		s.q = newQueue(now)
	}
	s.q.push(e, s.framing)
	frames, bytes := s.q.len(), s.q.bytes
	cfg := &s.p.cfg
	switch {
	case frames == 1:
	case !s.is(blocked) && (frames > cfg.MaxQueueFrames/2 || bytes > cfg.MaxQueueBytes/2):
		s.flush(now)
	case s.is(blocked) && (frames > cfg.MaxQueueFrames || bytes > cfg.MaxQueueBytes):
		s.closeSlow()
	}
	return !s.is(closing)
}

// flush writes what waits, as far as the kernel takes it. Nobody else may be
// writing.
func (s *Socket) flush(now int64) {
	if s.q == nil {
		return
	}
	if s.pingSoon(now) && !s.is(closing) {
		s.q.push(entry{f: pingFrame(s.framing)}, s.framing)
		s.pinged(now)
	}
	if s.alt != nil {
		s.block(now)
		s.p.workers.Go(func() { s.alt.drain(s) })
		return
	}
	s.drain(now)
}

// drained gives the queue back after its last byte.
func (s *Socket) drained() {
	s.q.release()
	s.q = nil
	s.pongs = 0
	if s.is(closing) {
		s.shutWrite()
	}
}

// block notes that the kernel is full.
func (s *Socket) block(now int64) {
	s.flags |= blocked
	s.p.wheel.sooner(s, now+int64(s.p.cfg.SlowAfter))
	if s.alt == nil {
		s.arm()
	}
}

// Pause stops OnMessage after the message in hand, until Resume. What the peer
// sends stays in the kernel, so the peer is slowed down.
func (s *Socket) Pause() {
	s.mu.Lock()
	s.flags |= paused
	s.mu.Unlock()
}

// Resume ends a Pause.
func (s *Socket) Resume() {
	s.mu.Lock()
	if s.is(paused) {
		s.flags &^= paused
		if s.partial.Load() != 0 { // the peer could not go on meanwhile
			now := Now()
			s.partial.Store(now)
			s.p.wheel.sooner(s, now+int64(s.p.cfg.PartialTimeout))
		}
		s.post()
	}
	s.mu.Unlock()
}

// SetN sets the number of the last native event, for a session that continues.
func (s *Socket) SetN(n int64) {
	s.mu.Lock()
	s.n = n
	s.mu.Unlock()
}

// N is the number of the last native event.
func (s *Socket) N() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Owner is the value that belongs to the owner of the socket.
func (s *Socket) Owner() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owner
}

// SetOwner replaces Owner.
func (s *Socket) SetOwner(owner any) {
	s.mu.Lock()
	s.owner = owner
	s.mu.Unlock()
}

// Framing is the protocol of the socket.
func (s *Socket) Framing() Framing { return s.framing }

// RemoteAddr is the address of the TCP peer; invalid when it has none.
func (s *Socket) RemoteAddr() netip.AddrPort { return s.remote }

// LastPong is the Now() of the last answer to a ping, 0 before the first.
func (s *Socket) LastPong() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ponged
}

// Queued is what waits to be written.
func (s *Socket) Queued() (frames, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.q == nil {
		return 0, 0
	}
	return s.q.len(), s.q.bytes
}

// Counts are the traffic figures of the socket.
func (s *Socket) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// longAgo makes a fresh socket quiet.
const longAgo = math.MinInt64 / 2
