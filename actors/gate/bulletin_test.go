package gate

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rookery-chat/rookery/persistence/redistest"
	"github.com/rookery-chat/rookery/protocol"
)

type hearing struct {
	heard chan protocol.UserID
	lost  chan struct{}
}

func hear(t *testing.T, r *redistest.Server) (*redisBulletin, hearing) {
	h := hearing{make(chan protocol.UserID, 10000), make(chan struct{}, 1000)}
	client := redis.NewClient(&redis.Options{Addr: r.Addr(), MaxRetries: -1})
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
	r := redistest.New(t)
	one, _ := hear(t, r)
	_, two := hear(t, r)
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
	r.Kill()
	for range 100_000 { // more than the queue holds: none of them waits
		one.tell(user)
	}
	for len(two.lost) > 0 {
		<-two.lost
	}
	r.Start()
	awaits(t, "distrust after the outage", two.lost)
	for len(two.heard) > 0 {
		<-two.heard
	}
	told()
}

func TestForgetAll(t *testing.T) {
	loads := 0
	a := newAccounts(time.Hour, time.Now, noShelf{}, func(protocol.UserID) (*account, error) { loads++; return &account{}, nil })
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
