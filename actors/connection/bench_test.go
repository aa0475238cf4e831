package connection_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"

	"github.com/rookery-chat/rookery/actors/connection"
	"github.com/rookery-chat/rookery/protocol"
)

// BenchmarkIdle logs what a connection costs that is logged in, in five rooms
// and quiet: heap and memory of the process, of relay, connection and socket
// together. The clients live in the same process as bare descriptors.
func BenchmarkIdle(b *testing.B) {
	for _, path := range []string{socketIOPath, "/ws"} {
		b.Run(map[string]string{socketIOPath: "socketio", "/ws": "native"}[path], func(b *testing.B) { benchIdle(b, path) })
	}
}

func benchIdle(b *testing.B, path string) {
	const n = 4000
	w := newWorld(b, func(s *settings) { s.limits = connection.Limits{Off: true} })
	s := w.nodes[0]
	channels := []protocol.ChannelID{newChannel(), newChannel(), newChannel(), newChannel()}
	users := make([]protocol.UserID, 64) // few, so that their actors cost nothing
	for i := range users {
		users[i] = newUser()
		w.member(users[i], channels...)
	}
	var mu sync.Mutex
	descriptors := make([]int, 0, 2*n)
	connect := func(n int) {
		var all sync.WaitGroup
		slots := make(chan struct{}, 16)
		for i := range n {
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				fd, err := w.idleClient(s, path, users[i%len(users)])
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				descriptors = append(descriptors, fd)
				mu.Unlock()
			})
		}
		all.Wait()
		w.change(func() { w.conns, w.idle = map[protocol.ConnID]protocol.Connect{}, map[protocol.ConnID]bool{} })
	}
	connect(500)
	heap, rss := heapSize(), resident(b)
	connect(n)
	b.ReportMetric(float64(heapSize()-heap)/n, "heap-B/conn")
	b.ReportMetric(float64(resident(b)-rss)/n, "rss-B/conn")
	b.ReportMetric(0, "ns/op")
	for _, fd := range descriptors {
		_ = syscall.Close(fd)
	}
	within(b, "connections", func() bool { return s.server.Len() == 0 })
}

// idleClient logs in and keeps nothing but the descriptor.
func (w *world) idleClient(s *station, path string, u protocol.UserID) (fd int, err error) {
	c, err := tryDial(w.t, s, path, nil)
	if err != nil {
		return 0, err
	}
	defer c.conn.Close()
	if path == "/ws" {
		c.hello(u)
	} else {
		c.login(u)
	}
	raw, err := c.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	if failed := raw.Control(func(own uintptr) { fd, err = syscall.Dup(int(own)) }); failed != nil {
		return 0, failed
	}
	return fd, err
}

func resident(b *testing.B) uint64 {
	b.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc")
	}
	var kb uint64
	for line := range bytes.Lines(status) {
		if _, err := fmt.Sscanf(string(line), "VmRSS: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	b.Skip("no VmRSS")
	return 0
}
