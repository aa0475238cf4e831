package socket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop is one epoll set and the goroutine that serves it.
type loop struct {
	p     *Poller
	file  *os.File // of the epoll set, parked in the runtime's poller
	fd    int      // the same
	index uint8    // in Poller.loops
	wake  int      // eventfd, readable while something is posted
	buf   []byte

	mu     sync.Mutex
	table  []*Socket // by descriptor
	posted []*Socket
	spare  []*Socket
}

// batch is how many sockets one epoll_wait reports.
const batch = 128

func (p *Poller) startLoops() error {
	for range p.cfg.Loops {
		l, err := newLoop(p)
		if err != nil {
			p.stopLoops()
			return err
		}
		l.index = uint8(len(p.loops))
		p.loops = append(p.loops, l)
		p.workers.Go(l.run)
	}
	return nil
}

func (p *Poller) stopLoops() {
	for _, l := range p.loops {
		_ = l.file.Close()
	}
}

// loopFor picks the loop for a connection, nil when it has no descriptor that
// carries plain bytes.
func (p *Poller) loopFor(conn net.Conn) *loop {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil
	}
	return p.loops[p.next.Add(1)%uint64(len(p.loops))]
}

func newLoop(p *Poller) (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	l := &loop{p: p, fd: fd, wake: wake, buf: make([]byte, p.cfg.ReadBuffer)}
	// A non-blocking descriptor is what makes os.NewFile hand it to the
	// runtime's poller.
	err = errors.Join(unix.SetNonblock(fd, true), l.control(unix.EPOLL_CTL_ADD, wake, unix.EPOLLIN))
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd), unix.Close(wake))
	}
	l.file = os.NewFile(uintptr(fd), "epoll")
	return l, nil
}

func (l *loop) control(op, fd int, events uint32) error {
	return unix.EpollCtl(l.fd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// add takes the descriptor out of the connection.
func (l *loop) add(s *Socket, conn net.Conn, buffered []byte) error {
	fd, err := duplicate(conn.(syscall.Conn))
	if err != nil {
		return err
	}
	_ = conn.Close() // the duplicate keeps the connection open
	tune(fd, l.p.cfg.SendBuffer)
	s.fd, s.loopIndex = int32(fd), l.index
	if len(buffered) > 0 {
		s.inbound().stash = append([]byte(nil), buffered...)
	}
	l.mu.Lock()
	for len(l.table) <= fd {
		l.table = append(l.table, make([]*Socket, max(64, len(l.table)))...)
	}
	l.table[fd] = s
	l.mu.Unlock()
	if err := l.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
		l.mu.Lock()
		l.table[fd] = nil
		l.mu.Unlock()
		return errors.Join(fmt.Errorf("epoll_ctl: %w", err), unix.Close(fd))
	}
	if len(buffered) > 0 {
		s.mu.Lock()
		s.post()
		s.mu.Unlock()
	}
	return nil
}

func duplicate(conn syscall.Conn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, dupErr); err != nil {
		return -1, fmt.Errorf("duplicate descriptor: %w", err)
	}
	return fd, unix.SetNonblock(fd, true)
}

// tune sets what a realtime connection needs. Failures do not matter: the
// descriptor may be a Unix socket. TCP keep-alive is off because the heartbeat
// does its work.
func tune(fd, sendBuffer int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
	if sendBuffer > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
}

// run is the goroutine of the loop.
func (l *loop) run() {
	defer func() { _ = unix.Close(l.wake) }()
	raw, err := l.file.SyscallConn()
	if err != nil {
		return
	}
	var events [batch]unix.EpollEvent
	n := 0
	ready := func(fd uintptr) bool {
		n = pollNow(int(fd), events[:])
		return n > 0
	}
	for raw.Read(ready) == nil {
		for _, ev := range events[:n] {
			l.handle(int(ev.Fd), ev.Events)
		}
	}
}

func (l *loop) handle(fd int, events uint32) {
	if fd == l.wake {
		l.handlePosted()
		return
	}
	s := l.lookup(fd)
	if s == nil {
		return
	}
	if events&unix.EPOLLOUT != 0 {
		s.writable()
	}
	if events&^unix.EPOLLOUT != 0 {
		l.readable(s, events)
	}
}

func (l *loop) lookup(fd int) *Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd < 0 || fd >= len(l.table) {
		return nil
	}
	return l.table[fd]
}

// readable reads once. Level trigger reports the socket again when there is
// more.
func (l *loop) readable(s *Socket, events uint32) {
	s.mu.Lock()
	discard := s.is(closing)
	if s.is(paused) && !discard && events&(unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		s.flags |= readOff
		s.arm()
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.resumeFeed()
	n, errno := readNow(int(s.fd), l.buf)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0:
		s.lost(os.NewSyscallError("read", errno))
	case n == 0:
		s.lost(io.EOF)
	case !discard:
		s.mu.Lock()
		s.counts.BytesIn += uint64(n)
		s.mu.Unlock()
		s.feed(l.buf[:n])
	}
}

// post puts the socket into the list of what its loop has to look at. It runs
// under the socket's mutex.
func (s *Socket) post() {
	if s.alt != nil {
		s.alt.post(s)
		return
	}
	if s.flags&(posted|done) != 0 {
		return
	}
	s.flags |= posted
	l := s.p.loops[s.loopIndex]
	l.mu.Lock()
	l.posted = append(l.posted, s)
	first := len(l.posted) == 1
	l.mu.Unlock()
	if first {
		one := [8]byte{0: 1}
		_, _ = unix.Write(l.wake, one[:])
	}
}

func (l *loop) handlePosted() {
	var count [8]byte
	_, _ = unix.Read(l.wake, count[:])
	l.mu.Lock()
	list := l.posted
	l.posted = l.spare
	l.mu.Unlock()
	for _, s := range list {
		l.attend(s)
	}
	clear(list)
	l.spare = list[:0]
}

// attend does for a socket what others asked for.
func (l *loop) attend(s *Socket) {
	if s.fd < 0 {
		return
	}
	if s.look() {
		l.giveUp(s)
		return
	}
	s.mu.Lock()
	resumed := s.flags&(paused|closing) == 0
	if resumed && s.is(readOff) {
		s.flags &^= readOff
		s.arm()
	}
	s.mu.Unlock()
	if resumed {
		s.resumeFeed()
	}
}

// giveUp closes the descriptor. It runs on the loop's goroutine, so no event of
// the present batch can be taken for one of the next owner's.
func (l *loop) giveUp(s *Socket) {
	s.mu.Lock()
	fd := int(s.fd)
	s.fd = -1
	s.flags |= done
	s.mu.Unlock()
	l.mu.Lock()
	l.table[fd] = nil
	l.mu.Unlock()
	// The set would let go of the descriptor by itself, unless a process that
	// is being forked holds a copy of it.
	_ = l.control(unix.EPOLL_CTL_DEL, fd, 0)
	_ = unix.Close(fd)
	s.retire()
}

func (l *loop) collect(all []*Socket) []*Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.table {
		if s != nil {
			all = append(all, s)
		}
	}
	return all
}

// arm tells epoll what the socket waits for. It runs under the socket's mutex.
func (s *Socket) arm() {
	var events uint32
	if !s.is(readOff) {
		events |= unix.EPOLLIN
	}
	if s.is(blocked) {
		events |= unix.EPOLLOUT
	}
	if s.fd >= 0 {
		_ = s.p.loops[s.loopIndex].control(unix.EPOLL_CTL_MOD, int(s.fd), events)
	}
}

// The descriptors never block, so the calls go to the kernel without telling
// the scheduler.

func readNow(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func pollNow(fd int, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}
