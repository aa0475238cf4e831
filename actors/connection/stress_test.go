package connection_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/actors/connection"
	"github.com/rookery-chat/rookery/protocol"
)

// Every socket gets every event of its rooms once and in order, from the first
// one after it was told that it has joined, while others come, go and change
// rooms.
func TestEveryEventOnceAndInOrder(t *testing.T) {
	sockets, events := 1000, 300
	if testing.Short() {
		sockets, events = 100, 100
	}
	w := newWorld(t, func(s *settings) { s.limits = connection.Limits{Off: true, Resume: -1} })
	s := w.nodes[0]
	stable, moving := newChannel(), newChannel()

	var logins, readers sync.WaitGroup
	seqs := make(chan error, sockets)
	crowd := make(chan struct{}, 32) // who log in at the same time
	users := make([]protocol.UserID, sockets)
	for i := range sockets {
		u := newUser()
		users[i] = u
		w.member(u, stable)
		crowd <- struct{}{}
		logins.Add(1)
		readers.Go(func() {
			c := login(t, s, u)
			<-crowd
			logins.Done()
			seqs <- follow(c, u, int64(events))
		})
	}
	logins.Wait()
	for seq := range int64(events) {
		w.publish(message(stable, seq+1, fmt.Sprintf(`{"stable":%d}`, seq+1)))
		u := users[rand.IntN(len(users))]
		change := protocol.Rooms{Of: protocol.UserTopic(u), Join: []protocol.Topic{protocol.ChannelTopic(moving)}}
		if rand.IntN(2) == 0 {
			change.Join, change.Leave = nil, change.Join
		}
		w.tell(&change)
		w.publish(message(moving, seq+1, fmt.Sprintf(`{"moving":%d}`, seq+1)))
		if seq%10 == 0 { // somebody comes in the middle of it
			late := newUser()
			w.member(late, stable)
			readers.Go(func() {
				c := login(t, s, late)
				_ = c.conn.Close()
			})
		}
	}
	readers.Wait()
	for range sockets {
		if err := <-seqs; err != nil {
			t.Error(err)
		}
	}
}

// follow reads until the last event of the stable channel.
func follow(c *client, u protocol.UserID, last int64) error {
	var stable, moving int64
	for stable < last {
		text, err := c.read()
		if err != nil {
			return fmt.Errorf("%s after %d: %w", u, stable, err)
		}
		if !strings.HasPrefix(text, `42["newMessage",`) {
			continue // a ping
		}
		var m struct{ Stable, Moving int64 }
		if err := json.Unmarshal([]byte(text[len(`42["newMessage",`):len(text)-1]), &m); err != nil {
			return err
		}
		switch {
		case m.Stable == stable+1:
			stable++
		case m.Stable != 0:
			return fmt.Errorf("%s got %d after %d", u, m.Stable, stable)
		case m.Moving <= moving:
			return fmt.Errorf("%s got %d of the moving channel after %d", u, m.Moving, moving)
		default:
			moving = m.Moving
		}
	}
	return nil
}

// A socket misses nothing after it was told that it has joined, however the
// owner was told before that nobody here listens.
func TestNothingMissedAfterJoining(t *testing.T) {
	nodes := 2
	if raceEnabled {
		nodes = 1
	}
	w := newWorld(t, func(s *settings) { s.nodes = nodes; s.limits = connection.Limits{Off: true, Resume: -1} })
	ch := newChannel()
	publisher := make(chan struct{})
	var seq int64
	var mu sync.Mutex
	var all sync.WaitGroup
	all.Go(func() {
		pace := time.NewTicker(200 * time.Microsecond)
		defer pace.Stop()
		for {
			select {
			case <-publisher:
				return
			case <-pace.C:
			}
			mu.Lock()
			seq++
			w.publish(message(ch, seq, fmt.Sprintf(`%d`, seq)))
			mu.Unlock()
		}
	})
	for round := range 50 {
		s := w.nodes[round%nodes]
		u := newUser()
		w.member(u, ch)
		c, _ := hello(t, s, u)
		mu.Lock()
		joined := seq
		mu.Unlock()
		first := int64(-1)
		for n := int64(1); ; n++ {
			var e struct{ N, Seq int64 }
			if err := json.Unmarshal([]byte(c.next()), &e); err != nil {
				t.Fatal(err)
			}
			if e.N != n {
				t.Fatalf("event number %d, want %d", e.N, n)
			}
			if first < 0 {
				first = e.Seq - 1
			}
			if first > joined {
				t.Fatalf("joined at %d, first event %d", joined, e.Seq)
			}
			if e.Seq != first+n {
				t.Fatalf("event %d after %d", e.Seq, first+n-1)
			}
			if e.Seq > joined+20 {
				break
			}
		}
		_ = c.conn.Close()
		w.await("gone", func() bool { return len(w.conns) == 0 })
	}
	close(publisher)
	all.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Logf("%d events, %d grafts", seq, w.grafts)
	if w.grafts == 0 {
		t.Error("nothing was pruned: the test shows nothing")
	}
}
