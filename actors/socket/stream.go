package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// stream is the transport of a socket that cannot be polled: a reading
// goroutine for its life, a writing one while something waits.
type stream struct {
	conn net.Conn
	wake chan struct{} // ends the wait of a paused reader
}

// streamRead is the read buffer of a stream in bytes.
const streamRead = 4 << 10

// streamWrite is about how much a stream writes at once: a few TLS records.
const streamWrite = 32 << 10

var writeBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, streamWrite+4<<10)
	return &b
}}

func (p *Poller) addStream(s *Socket, conn net.Conn, buffered []byte) {
	s.alt = &stream{conn: conn, wake: make(chan struct{}, 1)}
	p.mu.Lock()
	p.streams[s] = struct{}{}
	p.mu.Unlock()
	first := append([]byte(nil), buffered...)
	p.workers.Go(func() { s.alt.read(s, first) })
}

// read is the reading goroutine.
func (t *stream) read(s *Socket, first []byte) {
	_ = t.conn.SetDeadline(time.Time{})
	s.feed(first)
	buf := make([]byte, streamRead)
	for t.ready(s) {
		n, err := t.conn.Read(buf)
		s.mu.Lock()
		s.counts.BytesIn += uint64(n)
		s.mu.Unlock()
		s.feed(buf[:n])
		if err != nil {
			t.failed(s, err)
		}
	}
	t.finish(s, buf)
}

// ready waits while the owner pauses. It reports false when the socket closes.
func (t *stream) ready(s *Socket) bool {
	for {
		s.mu.Lock()
		s.flags &^= posted
		f := s.flags
		s.mu.Unlock()
		switch {
		case f&closing != 0:
			return false
		case f&paused == 0 && (s.in == nil || s.in.stash == nil):
			return true
		case f&paused == 0:
			s.resumeFeed()
		default:
			<-t.wake
		}
	}
}

// failed takes an error of Read for the end of the connection, unless the
// deadline was set to wake the reader.
func (t *stream) failed(s *Socket, err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = t.conn.SetReadDeadline(time.Time{})
		s.mu.Lock()
		if s.is(closing) {
			_ = t.conn.SetReadDeadline(time.Unix(1, 0))
		}
		s.mu.Unlock()
		return
	}
	s.lost(err)
}

// finish tells the owner, waits for the peer to close within the linger, and
// gives the connection up.
func (t *stream) finish(s *Socket, buf []byte) {
	giveUp := s.look()
	s.mu.Lock()
	left := time.Duration(s.linger - Now())
	if !s.is(gone) {
		_ = t.conn.SetReadDeadline(time.Now().Add(left))
	}
	s.mu.Unlock()
	for !giveUp {
		if _, err := t.conn.Read(buf); err != nil {
			break
		}
		giveUp = s.look()
	}
	s.lost(io.EOF)
	_ = t.conn.Close()
	s.p.mu.Lock()
	delete(s.p.streams, s)
	s.p.mu.Unlock()
	s.retire()
}

// post wakes the reader. It runs under the socket's mutex.
func (t *stream) post(s *Socket) {
	if s.is(closing) && (!s.is(told) || s.is(gone) || s.is(peerShut) && s.is(shut)) {
		_ = t.conn.SetReadDeadline(time.Unix(1, 0))
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// drain is the writing goroutine. It ends when nothing waits.
func (t *stream) drain(s *Socket) {
	bp := writeBuffers.Get().(*[]byte)
	defer writeBuffers.Put(bp)
	for {
		b, frames := t.take(s, (*bp)[:0])
		if frames == 0 {
			t.shutWrite(s)
			return
		}
		_ = t.conn.SetWriteDeadline(time.Now().Add(s.p.cfg.SlowAfter))
		n, err := t.conn.Write(b)
		s.mu.Lock()
		s.count(frames, n)
		if s.q != nil {
			s.q.since = Now()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !s.is(closing) {
			s.p.slow.Add(1)
			err = ErrSlowReader
		}
		if err != nil {
			s.lose(err)
		}
		s.mu.Unlock()
		if cap(b) <= keepMessage {
			*bp = b
		}
	}
}

// take moves frames from the queue to b. When there are none it ends the
// writing, together with the check under one lock.
func (t *stream) take(s *Socket, b []byte) (_ []byte, frames int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.q != nil && !s.is(gone) {
		var head [maxHead]byte
		for s.q.len() > 0 && len(b) < streamWrite {
			before := len(b)
			h, body := s.q.entries[s.q.head].segments(s.framing, head[:0])
			b = append(append(b, h...), body...)
			s.q.advance(len(b)-before, s.framing)
			frames++
		}
	}
	if frames > 0 {
		return b, frames
	}
	s.flags &^= blocked
	if s.q != nil {
		s.drained()
	}
	return b, 0
}

// shutWrite tells the peer of a closing socket that nothing more comes. It may
// block on the network, so it runs without a lock.
func (t *stream) shutWrite(s *Socket) {
	s.mu.Lock()
	last := s.is(shut) && !s.is(gone)
	s.mu.Unlock()
	if c, ok := t.conn.(interface{ CloseWrite() error }); ok && last {
		_ = c.CloseWrite()
	}
}
