package socket

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// Whatever way sockets end, descriptors and goroutines are where they were.
func TestNothingIsLeftBehind(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		warm, _ := pair(t) // the runtime's own descriptors
		_ = warm.Close()
		fds, routines := descriptors(t), runtime.NumGoroutine()
		p, err := NewPoller(Config{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			x := openOn(t, p, Framing(1+i%2), wrap, newRecorder())
			x.c.text("3")
			switch i % 4 {
			case 0:
				_ = x.c.conn.Close()
			case 1:
				x.s.Close(4000, "")
				x.c.expectClose(4000)
			case 2:
				x.s.Abort()
			}
			_ = x.c.conn.Close()
			if i%4 != 3 {
				x.r.end(t)
			}
		}
		p.Close()
		eventually(t, "descriptors and goroutines are back", func() bool {
			return descriptors(t) <= fds && runtime.NumGoroutine() <= routines
		})
	})
}

// idlePeers connects n raw descriptors, which cost this process no heap.
func idlePeers(t testing.TB, ln *net.TCPListener, n int) (accepted []net.Conn) {
	t.Helper()
	port := ln.Addr().(*net.TCPAddr).Port
	peers := make([]int, 0, n)
	t.Cleanup(func() {
		for _, fd := range peers {
			_ = unix.Close(fd)
		}
	})
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, fd)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepted = append(accepted, c)
	}
	return accepted
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// nobody ignores everything.
type nobody struct{}

func (nobody) OnMessage(*Socket, []byte) {}
func (nobody) OnClose(*Socket, error)    {}

func TestIdleMemory(t *testing.T) {
	const n = 2000
	ln, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := newPoller(t, Config{})
	before, routines := heap(), runtime.NumGoroutine()
	conns := idlePeers(t, ln, n)
	sockets := make([]*Socket, n)
	for i, c := range conns {
		if sockets[i], err = p.Add(c, Options{Framing: SocketIO, Handler: nobody{}}); err != nil {
			t.Fatal(err)
		}
		sockets[i].Push(eventN(i), Now())
	}
	clear(conns)
	per := (int64(heap()) - int64(before)) / n
	t.Logf("%d bytes of heap and stack per idle socket, %d goroutines more", per, runtime.NumGoroutine()-routines)
	if per > 600 {
		t.Errorf("%d bytes per idle socket", per)
	}
	if more := runtime.NumGoroutine() - routines; more > 10 {
		t.Errorf("%d goroutines for %d sockets", more, n)
	}
	runtime.KeepAlive(sockets)
}

// receivers are connected peers whose input is thrown away by one goroutine.
func receivers(b *testing.B, p *Poller, n int) []*Socket {
	b.Helper()
	ln, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	sockets := make([]*Socket, n)
	for i := range sockets {
		peer, err := net.Dial("tcp4", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		go func() { _, _ = peer.(*net.TCPConn).WriteTo(discard{}) }()
		c, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		if sockets[i], err = p.Add(c, Options{Framing: SocketIO, Handler: nobody{}}); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = peer.Close() })
	}
	return sockets
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkDelivery is the cost of one event to one of 1,000 sockets: written
// bare, pushed to a quiet socket, and pushed with ten frames per tick.
func BenchmarkDelivery(b *testing.B) {
	const n = 1000
	f := NewFrame(Event{Name: "newMessage", Payload: fmt.Appendf(nil, `"%0400d"`, 1)})
	b.Run("bare", func(b *testing.B) {
		p := newPoller(b, Config{})
		sockets := receivers(b, p, n)
		raw := f.SocketIO()
		for i := 0; b.Loop(); i++ {
			if _, err := unix.Write(int(sockets[i%n].fd), raw); err != nil && err != unix.EAGAIN {
				b.Fatal(err)
			}
		}
	})
	b.Run("push", func(b *testing.B) {
		p := newPoller(b, Config{Tick: -1})
		sockets := receivers(b, p, n)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			sockets[i%n].Push(f, Now())
		}
	})
	b.Run("joined10", func(b *testing.B) {
		p := newPoller(b, Config{})
		sockets := receivers(b, p, n)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			s := sockets[i/10%n]
			s.Push(f, 0)
			if i%10 == 9 {
				s.Flush()
			}
		}
	})
}
