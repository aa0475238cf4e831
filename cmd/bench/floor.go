//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/rookery-chat/rookery/protocol/socketio"
)

// floor is the least that can be done: an epoll loop that accepts subscribers
// and writes the same bytes to each of them.
type floor struct {
	tick            time.Duration
	epoll, listener int
	conns           map[int]*floorConn
	ready           []int // descriptors of subscribers that finished their handshake
	buf             []byte
	writes          uint64
}

type floorConn struct {
	stream
	fd       int
	upgraded bool
	socketIO bool
	ready    bool
}

func runFloor(ctx context.Context, args []string) error {
	f := &floor{conns: make(map[int]*floorConn), buf: make([]byte, 64<<10)}
	fs := flag.NewFlagSet("floor", flag.ExitOnError)
	addr := fs.String("listen", "127.0.0.1:0", "address")
	fs.DurationVar(&f.tick, "tick", 0, "join what comes within a tick into one write (0: one write per frame)")
	_ = fs.Parse(args)
	runtime.LockOSThread()
	if err := f.listen(*addr); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for rounds := orders[load](os.Stdin); ctx.Err() == nil; {
		select {
		case l, ok := <-rounds:
			if !ok {
				return nil
			}
			r, err := f.broadcast(ctx, &l)
			if err != nil {
				return err
			}
			if err := say(r); err != nil {
				return err
			}
		default:
		}
		if err := f.poll(10 * time.Millisecond); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (f *floor) listen(addr string) error {
	tcp, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return err
	}
	f.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_ = unix.SetsockoptInt(f.listener, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(f.listener, &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}); err != nil {
		return err
	}
	if err := unix.Listen(f.listener, 4096); err != nil {
		return err
	}
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if err := f.watch(f.listener); err != nil {
		return err
	}
	name, err := unix.Getsockname(f.listener)
	if err != nil {
		return err
	}
	port := name.(*unix.SockaddrInet4).Port
	return say(listening{"listening", net.JoinHostPort(tcp.IP.String(), strconv.Itoa(port)), os.Getpid()})
}

func (f *floor) watch(fd int) error {
	return unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// poll serves what the subscribers send, for at most d.
func (f *floor) poll(d time.Duration) error {
	var events [128]unix.EpollEvent
	n, err := unix.EpollWait(f.epoll, events[:], int(d.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	for _, ev := range events[:max(n, 0)] {
		if fd := int(ev.Fd); fd == f.listener {
			err = f.accept()
		} else {
			err = f.read(f.conns[fd])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *floor) accept() error {
	for {
		fd, _, err := unix.Accept4(f.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 256<<10)
		f.conns[fd] = &floorConn{fd: fd}
		if err := f.watch(fd); err != nil {
			return err
		}
	}
}

func (f *floor) read(c *floorConn) error {
	n, err := unix.Read(c.fd, f.buf)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil
	case n <= 0:
		return fmt.Errorf("a subscriber left: %w", errors.Join(err, net.ErrClosed))
	}
	b := f.buf[:n]
	if !c.upgraded {
		head, after := c.head(b)
		if head == nil {
			return nil
		}
		answer, socketIO := upgradeAnswer(head)
		c.upgraded, c.socketIO = true, socketIO
		if socketIO {
			open := socketio.Open{SID: "floor", PingInterval: 25 * time.Second, PingTimeout: time.Minute, MaxPayload: 1_000_000}
			answer = append(answer, serverFrame(socketio.AppendOpen(nil, open))...)
		} else {
			f.isReady(c)
		}
		if err := f.write(c.fd, answer); err != nil {
			return err
		}
		b = after
	}
	c.frames(b, func(op ws.OpCode, p []byte) { err = errors.Join(err, f.answer(c, op, p)) })
	return err
}

// answer plays the part of a server in the Socket.IO handshake.
func (f *floor) answer(c *floorConn, op ws.OpCode, p []byte) error {
	if op != ws.OpText || !c.socketIO {
		return nil
	}
	packet, err := socketio.Decode(p)
	switch {
	case err != nil:
		return err
	case packet.Kind == socketio.Connect:
		return f.write(c.fd, serverFrame(socketio.AppendConnect(nil, "floor", "")))
	case packet.HasAck:
		f.isReady(c)
		return f.write(c.fd, serverFrame(socketio.AppendAck(nil, packet.AckID, []byte(`"ACK"`))))
	}
	return nil
}

func (f *floor) isReady(c *floorConn) {
	if !c.ready {
		c.ready = true
		f.ready = append(f.ready, c.fd)
	}
}

// broadcast sends the load on schedule, and is late rather than incomplete when
// it cannot keep up.
func (f *floor) broadcast(ctx context.Context, l *load) (report, error) {
	r := report{Event: "sent", Events: l.events()}
	begin, origin, cpu, writes := time.Now(), monotonic(), cpuSeconds(), f.writes
	var joined []byte
	nextTick := begin
	for i := 0; i < r.Events; {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		wakeAt := begin.Add(l.due(i))
		if f.tick > 0 && wakeAt.Before(nextTick) {
			wakeAt = nextTick
		}
		if err := f.sleepUntil(wakeAt); err != nil {
			return r, err
		}
		joined = joined[:0]
		for now := time.Now(); i < r.Events && !begin.Add(l.due(i)).After(now); i++ {
			joined = append(joined, serverFrame(socketio.AppendEvent(nil, "newMessage", l.event(i, origin)))...)
			if f.tick == 0 {
				i++
				break
			}
		}
		nextTick = time.Now().Add(f.tick)
		for _, fd := range f.ready {
			if err := f.write(fd, joined); err != nil {
				return r, err
			}
		}
	}
	r.Seconds = time.Since(begin).Seconds()
	r.Late = max(0, r.Seconds-l.due(r.Events-1).Seconds())
	r.CPU = cpuSeconds() - cpu
	r.Deliveries = r.Events * len(f.ready)
	r.Writes = f.writes - writes
	r.finish()
	return r, nil
}

// sleepUntil serves the subscribers meanwhile. Epoll counts in milliseconds,
// the last of them is slept.
func (f *floor) sleepUntil(at time.Time) error {
	for {
		left := time.Until(at)
		switch {
		case left <= 0:
			return nil
		case left < time.Millisecond:
			time.Sleep(left)
			return nil
		}
		if err := f.poll(left); err != nil {
			return err
		}
	}
}

// write writes everything; when the kernel is full it waits for this one
// subscriber.
func (f *floor) write(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		f.writes++
		switch {
		case err == nil:
			b = b[n:]
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 1000)
		default:
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}
