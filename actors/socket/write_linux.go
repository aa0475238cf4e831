package socket

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writable goes on after the kernel was full.
func (s *Socket) writable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.is(done) || !s.is(blocked) {
		return
	}
	if s.q != nil {
		s.drain(Now())
	}
	if s.q == nil {
		s.flags &^= blocked
		s.arm()
	}
}

// shutWrite ends the writing side after the last byte.
func (s *Socket) shutWrite() {
	if s.is(shut) {
		return
	}
	s.flags |= shut
	if s.fd >= 0 {
		_ = unix.Shutdown(int(s.fd), unix.SHUT_WR)
	}
	s.post()
}

// scratch is what a joined write is built in.
type scratch struct {
	iov   [256]unix.Iovec
	heads [128 * maxHead]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// drain writes what waits with as few calls as possible, until the kernel is
// full.
func (s *Socket) drain(now int64) {
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	for s.q != nil {
		iovs, total := sc.gather(s.q, s.framing)
		n, errno := writev(int(s.fd), sc.iov[:iovs])
		clear(sc.iov[:iovs])
		if errno != 0 && errno != unix.EAGAIN {
			s.lose(os.NewSyscallError("writev", errno))
			return
		}
		s.counts.Writes++
		s.counts.BytesOut += uint64(n)
		if n > 0 {
			before := s.q.len()
			s.q.since = now
			s.q.advance(n, s.framing)
			s.counts.FramesOut += uint64(before - s.q.len())
		}
		if s.q.len() == 0 {
			s.drained()
			return
		}
		if n < total {
			if !s.is(blocked) {
				s.block(now)
			}
			return
		}
	}
}

// gather points the iovecs at the front of the queue.
func (sc *scratch) gather(q *queue, framing Framing) (iovs, total int) {
	heads := sc.heads[:0]
	skip := q.offset
	for _, e := range q.entries[q.head:] {
		if iovs+2 > len(sc.iov) || len(heads)+maxHead > len(sc.heads) {
			break
		}
		start := len(heads)
		head, body := e.segments(framing, heads[start:start:cap(heads)])
		heads = heads[:start+len(head)]
		for _, part := range [2][]byte{head, body} {
			drop := min(skip, len(part))
			skip -= drop
			if part = part[drop:]; len(part) == 0 {
				continue
			}
			sc.iov[iovs].Base = &part[0]
			sc.iov[iovs].SetLen(len(part))
			iovs++
			total += len(part)
		}
	}
	return iovs, total
}

// writeParts writes up to three parts with one call. No error means that what
// is missing has to wait.
func (s *Socket) writeParts(a, b, c []byte) (int, error) {
	var iov [3]unix.Iovec
	k := 0
	for _, part := range [3][]byte{a, b, c} {
		if len(part) > 0 {
			iov[k].Base = &part[0]
			iov[k].SetLen(len(part))
			k++
		}
	}
	n, errno := writev(int(s.fd), iov[:k])
	if errno != 0 && errno != unix.EAGAIN {
		return n, os.NewSyscallError("write", errno)
	}
	return n, nil
}

// writev tells the scheduler nothing: the descriptor does not block.
func writev(fd int, iov []unix.Iovec) (int, unix.Errno) {
	for {
		var n uintptr
		var errno unix.Errno
		if len(iov) == 1 {
			n, _, errno = unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(iov[0].Base)), uintptr(iov[0].Len))
		} else {
			n, _, errno = unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
		}
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
