package socket

import (
	"errors"
	"fmt"

	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/protocol/rookeryws"
)

// Close sends what waits and a close frame, as far as the peer takes them, and
// closes the connection. Code 0 sends a close frame without a code, as stock
// Socket.IO servers do. Only the first Close or Abort counts.
func (s *Socket) Close(code ws.StatusCode, reason string) {
	s.mu.Lock()
	s.close(closeFrame(code, reason), ErrClosed)
	s.mu.Unlock()
}

// Abort closes the connection at once, without a close frame and without what
// waits.
func (s *Socket) Abort() {
	s.mu.Lock()
	s.lose(ErrClosed)
	s.mu.Unlock()
}

// close begins the closing handshake.
func (s *Socket) close(frame *Frame, err error) {
	if s.is(closing) {
		return
	}
	s.flags |= closing
	s.err = err
	now := Now()
	s.linger = now + int64(s.p.cfg.Linger)
	s.p.wheel.sooner(s, s.linger)
	if s.q == nil {
		s.q = newQueue(now)
	}
	s.q.push(entry{f: frame}, s.framing)
	if !s.is(blocked) {
		s.flush(now)
	}
	s.post()
}

// lose gives the connection up: it is broken, or nothing more is to be said.
func (s *Socket) lose(err error) {
	if !s.is(closing) {
		s.flags |= closing
		s.err = err
	}
	s.flags |= gone
	s.dropQueue()
	s.post()
}

// dropQueue forgets what waits; a writing goroutine sees that itself.
func (s *Socket) dropQueue() {
	if s.q != nil && s.alt == nil {
		s.q.release()
		s.q = nil
	}
}

// closeSlow closes a socket whose peer does not read. What waits is forgotten.
func (s *Socket) closeSlow() {
	if s.is(closing) {
		return
	}
	s.p.slow.Add(1)
	if s.framing == SocketIO {
		s.lose(ErrSlowReader)
		return
	}
	s.q.drop(s.framing)
	s.close(closeFrame(rookeryws.CloseSlowReader, rookeryws.CloseReason(rookeryws.CloseSlowReader)), ErrSlowReader)
}

// fail closes a socket whose peer broke a rule.
func (s *Socket) fail(err error) {
	code := ws.StatusProtocolError
	switch {
	case errors.Is(err, ErrTooLarge):
		if code = ws.StatusMessageTooBig; s.framing == Native {
			code = rookeryws.CloseBadFrame
		}
	case errors.Is(err, errBinary):
		code = ws.StatusUnsupportedData
	case errors.Is(err, ErrUTF8):
		code = ws.StatusInvalidFramePayloadData
	case errors.Is(err, ErrSlowSender):
		code = ws.StatusPolicyViolation
	case errors.Is(err, ErrOverloaded):
		if code = 1013; s.framing == Native { // 1013: try again later (IANA registry)
			code = rookeryws.CloseUnavailable
		}
	}
	s.mu.Lock()
	s.close(closeFrame(code, reasonOf(err)), err)
	s.mu.Unlock()
}

// reasonOf is the text of a failure that the peer gets.
func reasonOf(err error) string {
	const prefix = len("socket: ")
	if text := err.Error(); len(text) > prefix && text[:prefix] == "socket: " {
		return text[prefix:]
	}
	return ""
}

// peerClosed answers the close frame of the peer.
func (s *Socket) peerClosed(payload []byte) error {
	code, reason := ws.ParseCloseFrameData(payload)
	answer := closeFrame(code, "")
	if len(payload) > 0 {
		if err := ws.CheckCloseFrameData(code, reason); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
	}
	s.mu.Lock()
	s.flags |= peerShut
	s.close(answer, &CloseError{Code: code, Reason: reason})
	s.mu.Unlock()
	return nil
}

// look is the part of the reading goroutine in closing and resuming. It calls
// OnClose once and reports whether the descriptor is to be given up now.
func (s *Socket) look() (giveUp bool) {
	s.mu.Lock()
	s.flags &^= posted
	tell := s.is(closing) && !s.is(told)
	if tell {
		s.flags |= told
	}
	giveUp = s.is(gone) || s.is(peerShut) && s.is(shut)
	err := s.err
	s.mu.Unlock()
	if tell {
		s.handler.OnClose(s, err)
	}
	return giveUp
}

// retire ends the life of a socket after its descriptor is given up. It runs
// once, on the reading goroutine.
func (s *Socket) retire() {
	s.releaseInbound()
	s.mu.Lock()
	s.flags |= done | closing
	s.dropQueue()
	counts := s.counts
	s.mu.Unlock()
	s.p.wheel.remove(s)
	s.p.retired(counts)
}
