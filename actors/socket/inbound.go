package socket

import (
	"encoding/binary"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

var errBinary = fmt.Errorf("%w: binary message", ErrProtocol)

// inbound is what has to be remembered of a message that is not complete. An
// idle socket has none.
type inbound struct {
	raw     [ws.MaxHeaderSize]byte // start of a header
	rawLen  int
	inFrame bool
	header  ws.Header // of the frame in hand
	left    int64     // payload bytes of it that are to come
	open    bool      // a fragmented message goes on
	msg     []byte    // payload of the message so far
	control []byte    // payload of the control frame in hand
	held    int64     // bytes counted in Poller.partial
	stash   []byte    // read but not looked at, because the owner paused
}

// keepMessage is the largest message buffer that goes back to the pool.
const keepMessage = 64 << 10

var inbounds = sync.Pool{New: func() any { return new(inbound) }}

// midway reports whether the peer owes the rest of something.
func (in *inbound) midway() bool { return in.rawLen > 0 || in.inFrame || in.open }

// feed handles bytes as they came from the connection, and may change them. It
// runs on the reading goroutine.
func (s *Socket) feed(b []byte) {
	for len(b) > 0 && s.accepts(b) {
		var err error
		if b, err = s.step(b); err != nil {
			s.fail(err)
			break
		}
	}
	s.settle()
}

// accepts reports whether b may be looked at; a paused socket keeps it for
// later, and so does one that was resumed but still has to look at older bytes;
// a closing one forgets it.
func (s *Socket) accepts(b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.is(closing) {
		return false
	}
	if s.is(paused) || s.in != nil && s.in.stash != nil {
		in := s.inbound()
		in.stash = append(in.stash, b...)
		return false
	}
	return true
}

// resumeFeed handles what a pause left behind.
func (s *Socket) resumeFeed() {
	if s.in == nil || s.in.stash == nil {
		return
	}
	b := s.in.stash
	s.in.stash = nil
	s.feed(b)
}

// settle drops the state when nothing is incomplete, and starts or stops the
// time that the peer has.
func (s *Socket) settle() {
	in := s.in
	if in == nil {
		return
	}
	if !in.midway() {
		s.partial.Store(0)
		if in.stash == nil {
			s.releaseInbound()
		}
		return
	}
	if s.partial.Load() == 0 {
		now := Now()
		s.partial.Store(now)
		s.p.wheel.sooner(s, now+int64(s.p.cfg.PartialTimeout))
	}
}

func (s *Socket) inbound() *inbound {
	if s.in == nil {
		s.in = inbounds.Get().(*inbound)
	}
	return s.in
}

func (s *Socket) releaseInbound() {
	in := s.in
	if in == nil {
		return
	}
	s.in = nil
	s.partial.Store(0)
	s.p.partial.Add(-in.held)
	msg, control := in.msg[:0], in.control[:0]
	if cap(msg) > keepMessage {
		msg = nil
	}
	*in = inbound{msg: msg, control: control}
	inbounds.Put(in)
}

// step takes one frame, or as much of it as there is, off the front of b.
func (s *Socket) step(b []byte) (rest []byte, err error) {
	in := s.in
	if in != nil && in.inFrame {
		return s.body(in, b)
	}
	if in != nil && in.rawLen > 0 {
		return s.restOfHeader(in, b)
	}
	h, n, err := parseHeader(b)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		in = s.inbound()
		in.rawLen = copy(in.raw[:], b)
		return nil, nil
	}
	if err := s.check(h); err != nil {
		return nil, err
	}
	b = b[n:]
	if whole := h.OpCode.IsControl() || h.Fin && h.OpCode == ws.OpText; whole && h.Length <= int64(len(b)) {
		payload := b[:h.Length]
		ws.Cipher(payload, h.Mask, 0)
		if h.OpCode.IsControl() {
			return b[h.Length:], s.control(h.OpCode, payload)
		}
		return b[h.Length:], s.deliver(payload)
	}
	in = s.inbound()
	in.begin(h)
	return s.body(in, b)
}

// restOfHeader completes a header that came in pieces.
func (s *Socket) restOfHeader(in *inbound, b []byte) (rest []byte, err error) {
	before := in.rawLen
	more := copy(in.raw[before:], b)
	h, n, err := parseHeader(in.raw[:before+more])
	if err != nil {
		return nil, err
	}
	if n == 0 {
		in.rawLen += more
		return nil, nil
	}
	if err := s.check(h); err != nil {
		return nil, err
	}
	in.rawLen = 0
	in.begin(h)
	return s.body(in, b[n-before:])
}

func (in *inbound) begin(h ws.Header) {
	in.header, in.left, in.inFrame = h, h.Length, true
	if h.OpCode.IsControl() {
		in.control = in.control[:0]
	}
}

// body takes payload, and ends the frame with its last byte.
func (s *Socket) body(in *inbound, b []byte) (rest []byte, err error) {
	h := in.header
	part := b[:min(int64(len(b)), in.left)]
	ws.Cipher(part, h.Mask, int((h.Length-in.left)%4))
	in.left -= int64(len(part))
	rest = b[len(part):]
	if h.OpCode.IsControl() {
		in.control = append(in.control, part...)
	} else {
		in.msg = append(in.msg, part...)
		if err := s.hold(in); err != nil {
			return nil, err
		}
	}
	if in.left > 0 {
		return rest, nil
	}
	in.inFrame = false
	switch {
	case h.OpCode.IsControl():
		return rest, s.control(h.OpCode, in.control)
	case !h.Fin:
		in.open = true
		return rest, nil
	default:
		in.open = false
		s.partial.Store(0)
		err = s.deliver(in.msg)
		in.msg = in.msg[:0]
		return rest, err
	}
}

// hold counts the buffer of an incomplete message.
func (s *Socket) hold(in *inbound) error {
	more := int64(cap(in.msg)) - in.held
	if more <= 0 {
		return nil
	}
	in.held += more
	if s.p.partial.Add(more) > s.p.cfg.MaxPartialBytes {
		return ErrOverloaded
	}
	return nil
}

// parseHeader reads a frame header from the front of b and returns its length,
// 0 when b ends before it does.
func parseHeader(b []byte) (h ws.Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.Fin = b[0]&0x80 != 0
	h.Rsv = b[0] >> 4 & 7
	h.OpCode = ws.OpCode(b[0] & 0x0f)
	h.Masked = b[1]&0x80 != 0
	n = 2
	switch length := b[1] & 0x7f; length {
	case 126:
		if n += 2; len(b) >= n {
			h.Length = int64(binary.BigEndian.Uint16(b[2:]))
		}
	case 127:
		if n += 8; len(b) >= n {
			h.Length = int64(binary.BigEndian.Uint64(b[2:]))
		}
	default:
		h.Length = int64(length)
	}
	if h.Masked {
		if n += 4; len(b) >= n {
			copy(h.Mask[:], b[n-4:])
		}
	}
	switch {
	case len(b) < n:
		return h, 0, nil
	case h.Length < 0:
		return h, 0, fmt.Errorf("%w: %w", ErrProtocol, ws.ErrHeaderLengthMSB)
	default:
		return h, n, nil
	}
}

// check refuses a frame by its header.
func (s *Socket) check(h ws.Header) error {
	state, sofar := ws.StateServerSide, 0
	if s.in != nil && s.in.open {
		state, sofar = state.Set(ws.StateFragmented), len(s.in.msg)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if h.OpCode == ws.OpBinary {
		return errBinary
	}
	if h.OpCode.IsData() && h.Length > int64(s.maxMessage)-int64(sofar) {
		return ErrTooLarge
	}
	return nil
}

// control answers a control frame.
func (s *Socket) control(op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpPing:
		s.answerPing(payload)
	case ws.OpPong:
		if s.framing == Native {
			s.pong()
		}
	case ws.OpClose:
		return s.peerClosed(payload)
	default: // data is not control
	}
	return nil
}

// maxPongs bounds the pongs that wait for one socket.
const maxPongs = 8

// answerPing sends a pong, unless several wait already: a peer that pings
// faster than it reads gets no queue for it.
func (s *Socket) answerPing(payload []byte) {
	s.mu.Lock()
	skip := s.q != nil && s.pongs >= maxPongs
	if s.q == nil {
		s.pongs = 0
	}
	if !skip {
		s.pongs++
	}
	s.mu.Unlock()
	if !skip {
		s.send(ws.OpPong, payload)
	}
}

// deliver hands a complete message to the owner, except for a heartbeat.
func (s *Socket) deliver(msg []byte) error {
	if !utf8.Valid(msg) {
		return ErrUTF8
	}
	if s.framing == SocketIO && len(msg) > 0 && msg[0] == '3' {
		s.pong()
		return nil
	}
	s.mu.Lock()
	s.counts.FramesIn++
	s.mu.Unlock()
	s.handler.OnMessage(s, msg)
	return nil
}

// lost notes the end of the connection: the peer is gone.
func (s *Socket) lost(err error) {
	s.mu.Lock()
	s.lose(err)
	s.mu.Unlock()
}
