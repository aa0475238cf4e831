package gate

import (
	"context"
	"log/slog"
	"net"
	osexec "os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rookery-chat/rookery/protocol"
)

// redisServer starts a real one on an address, in memory only; stop kills it.
func redisServer(t *testing.T, addr string) (stop func()) {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		t.Fatalf("redis-server is not installed (make redis): %v", err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	return stop
}

type hearing struct {
	heard chan protocol.UserID
	lost  chan struct{}
}

func hear(t *testing.T, addr string) (*redisBulletin, hearing) {
	h := hearing{make(chan protocol.UserID, 10000), make(chan struct{}, 1000)}
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	b := newRedisBulletin(client, slog.New(slog.DiscardHandler), func(u protocol.UserID) { h.heard <- u }, func() { h.lost <- struct{}{} })
	t.Cleanup(func() { b.close(); _ = client.Close() })
	return b, h
}

func awaits[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatal("no " + what)
	}
	return v
}

// Two nodes hear of each other's changes; Redis goes away under load and comes
// back, and meanwhile nothing waits.
func TestBulletin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	stop := redisServer(t, addr)
	one, _ := hear(t, addr)
	_, two := hear(t, addr)
	awaits(t, "subscription", two.lost)
	user := protocol.UserID(protocol.NewID[struct{}]())
	told := func() {
		t.Helper()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			one.tell(user)
			select {
			case got := <-two.heard:
				if got != user {
					t.Errorf("heard %v", got)
				}
				return
			case <-tick.C:
			case <-ctx.Done():
				t.Fatal("nothing is heard")
			}
		}
	}
	told()
	stop()
	began := time.Now()
	for range 100_000 { // more than the queue holds
		one.tell(user)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("telling without a Redis took %s", took)
	}
	for len(two.lost) > 0 {
		<-two.lost
	}
	redisServer(t, addr)
	awaits(t, "distrust after the outage", two.lost)
	for len(two.heard) > 0 {
		<-two.heard
	}
	told()
}

func TestForgetAll(t *testing.T) {
	loads := 0
	a := newAccounts(time.Hour, time.Now, func(protocol.UserID) (*account, error) { loads++; return &account{}, nil })
	user := protocol.UserID(protocol.NewID[struct{}]())
	for range 2 {
		if _, err := a.get(t.Context(), user); err != nil {
			t.Fatal(err)
		}
	}
	a.forgetAll()
	if _, err := a.get(t.Context(), user); err != nil || loads != 2 {
		t.Errorf("%d loads, %v", loads, err)
	}
}
