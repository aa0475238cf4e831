package connection_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/actors/connection"
	"github.com/rookery-chat/rookery/protocol"
)

// Idle connections have no goroutine, and nothing is left of those that went,
// however they went.
func TestNothingIsLeftBehind(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.limits = connection.Limits{Off: true, Login: time.Second, Resume: -1} })
	s := w.nodes[0]
	ch := newChannel()
	const n = 500
	users := make([]protocol.UserID, n)
	for i := range users {
		users[i] = newUser()
	}
	crowd(t, w, users, ch)() // makes what stays: the users' actors, pools
	settleDown(t, w)
	goroutines, heap := runtime.NumGoroutine(), heapSize()

	leave := crowd(t, w, users, ch)
	w.publish(message(ch, 1, `{}`))
	within(t, "idle goroutines", func() bool { return runtime.NumGoroutine() < goroutines+n/10 })
	leave()
	settleDown(t, w)
	within(t, "goroutines", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
	if got := heapSize(); got > heap+n*1024 {
		t.Errorf("heap grew from %d to %d KiB", heap>>10, got>>10)
	}
	if st := s.relay.Stats(); st.Sockets != 0 || st.Topics != 0 {
		t.Errorf("relay %+v", st)
	}
}

// crowd logs users in; what it returns makes them leave, in every way.
func crowd(t *testing.T, w *world, users []protocol.UserID, ch protocol.ChannelID) (leave func()) {
	t.Helper()
	s := w.nodes[0]
	clients := make([]*client, len(users))
	var all sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i := range clients {
		u := users[i]
		w.member(u, ch)
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			path := socketIOPath
			if i%2 == 0 {
				path = "/ws"
			}
			c, err := tryDial(t, s, path, nil)
			switch clients[i] = c; {
			case err != nil:
				t.Error(err)
			case i%2 == 0:
				c.hello(u)
			default:
				c.login(u)
			}
		})
	}
	all.Wait()
	return func() {
		for i, c := range clients {
			if i%4 == 0 {
				c.send(`41`)
			}
			_ = c.conn.Close()
		}
		w.await("disconnects", func() bool { return len(w.conns) == 0 })
		w.change(func() { clear(w.rooms); clear(w.idle) })
	}
}

// settleDown waits until the server has forgotten everybody.
func settleDown(t *testing.T, w *world) {
	t.Helper()
	within(t, "connections", func() bool { return w.nodes[0].server.Len() == 0 && w.nodes[0].poller.Len() == 0 })
}

// within polls what has no signal of its own.
func within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: not as it was after %v, %d goroutines", what, patience, runtime.NumGoroutine())
		}
	}
}

func heapSize() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
