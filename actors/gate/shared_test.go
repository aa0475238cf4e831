package gate

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence/redistest"
	"github.com/rookery-chat/rookery/protocol"
)

// clock is set by hand.
type clock struct{ at atomic.Pointer[time.Time] }

func newClock() *clock {
	c := new(clock)
	now := time.Now()
	c.at.Store(&now)
	return c
}

func (c *clock) now() time.Time { return *c.at.Load() }

func (c *clock) pass(d time.Duration) {
	now := c.now().Add(d)
	c.at.Store(&now)
}

// sharing is a node's accounts on a shelf, with a count of its loads.
type sharing struct {
	*accounts
	loads atomic.Int64
}

func share(t *testing.T, r *redistest.Server, c *clock, truth *atomic.Pointer[account]) *sharing {
	t.Helper()
	shelf, err := newRedisShelf(r.Client(), accessSecret, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := &sharing{}
	s.accounts = newAccounts(10*time.Second, c.now, shelf, func(protocol.UserID) (*account, error) {
		s.loads.Add(1)
		return truth.Load(), nil
	})
	return s
}

func (s *sharing) ask(t *testing.T, user protocol.UserID) *account {
	t.Helper()
	a, err := s.get(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// waitShelved waits until an entry that is good for longer than until is in Redis:
// it is put there behind the answer.
func (s *sharing) waitShelved(t *testing.T, user protocol.UserID, until time.Time) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, good, ok := s.shelf.get(user); ok && good.After(until) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the account does not get to Redis")
		}
	}
}

func TestNodesShareAccounts(t *testing.T) {
	r, c := redistest.New(t), newClock()
	var truth atomic.Pointer[account]
	id := protocol.AnyID(protocol.NewID[struct{}]())
	before := &account{owner: true, actions: protocol.NewActionSet(protocol.ActionReadMessage)}
	before.end([]protocol.AnyID{id})
	truth.Store(before)
	one, two := share(t, r, c, &truth), share(t, r, c, &truth)
	user := protocol.UserID(protocol.NewID[struct{}]())

	// A node that has just started may have missed news: it loads for itself.
	one.ask(t, user)
	one.waitShelved(t, user, c.now())
	if err := r.Client().Del(t.Context(), shelfPrefix+user.String()).Err(); err != nil {
		t.Fatal(err)
	}
	two.ask(t, user)
	two.waitShelved(t, user, c.now()) // or it would replace a newer one later
	if one.loads.Load() != 1 || two.loads.Load() != 1 {
		t.Fatalf("loads at start: %d, %d", one.loads.Load(), two.loads.Load())
	}
	c.pass(13 * time.Second)
	one.ask(t, user)
	one.waitShelved(t, user, c.now())
	c.pass(4 * time.Second)
	if a := two.ask(t, user); !a.owner || a.actions != before.actions || !a.revoked(id) || a.revoked(protocol.AnyID(user)) || a.banned {
		t.Errorf("shared account = %+v", a)
	}
	if one.loads.Load() != 2 || two.loads.Load() != 1 {
		t.Errorf("loads = %d, %d; the second node was to take what the first had loaded", one.loads.Load(), two.loads.Load())
	}
	// It is as old there as where it was loaded, not newer.
	c.pass(7 * time.Second)
	if two.ask(t, user); two.loads.Load() != 2 {
		t.Error("an entry was believed for longer than since its load")
	}

	// News: what any node has loaded before is not taken any more, whoever put it
	// there, and when.
	two.waitShelved(t, user, c.now())
	truth.Store(&account{banned: true})
	one.forget(user)
	two.forget(user)
	two.shelf.put(user, before, c.now().Add(10*time.Second)) // by a load that began before and was slow
	if a := one.ask(t, user); !a.banned || a.owner {
		t.Errorf("after a change: %+v", a)
	}
	c.pass(5 * time.Second)
	one.forgetAll() // the same for everybody
	if a := one.ask(t, user); !a.banned {
		t.Errorf("after all was forgotten: %+v", a)
	}

	// Nobody at all is something to know as well.
	nobody := protocol.UserID(protocol.NewID[struct{}]())
	c.pass(13 * time.Second)
	truth.Store(nil)
	one.ask(t, nobody)
	one.waitShelved(t, nobody, c.now())
	loads := two.loads.Load()
	if a := two.ask(t, nobody); a != nil || two.loads.Load() != loads {
		t.Errorf("nobody = %+v, %d loads", a, two.loads.Load()-loads)
	}
}

// What Redis holds grants nothing by itself: entries that no node has signed, of
// another user, cut, or of a clock that runs ahead are not taken.
func TestShelfIsNotTrusted(t *testing.T) {
	r, c := redistest.New(t), newClock()
	var truth atomic.Pointer[account]
	truth.Store(&account{})
	one := share(t, r, c, &truth)
	c.pass(13 * time.Second)
	client := r.Client()
	forged, err := newRedisShelf(client, []byte("another secret of thirty-two byt"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	owner := protocol.UserID(protocol.NewID[struct{}]())
	one.shelf.put(owner, &account{owner: true}, c.now().Add(10*time.Second))
	entry, err := client.Get(t.Context(), shelfPrefix+owner.String()).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	raw := func(text []byte) func(protocol.UserID) {
		return func(u protocol.UserID) {
			if err := client.Set(t.Context(), shelfPrefix+u.String(), text, time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, put := range map[string]func(protocol.UserID){
		"signed by another": func(u protocol.UserID) { forged.put(u, &account{owner: true}, c.now().Add(10*time.Second)) },
		"of another user":   raw(entry),
		"cut":               raw(entry[:20]),
		"empty":             raw(nil),
		"not signed":        raw([]byte(`{"owner":true,"until":99999999999999}`)),
		"of a fast clock":   func(u protocol.UserID) { one.shelf.put(u, &account{owner: true}, c.now().Add(20*time.Second)) },
		"of a slow clock":   func(u protocol.UserID) { one.shelf.put(u, &account{owner: true}, c.now().Add(-time.Second)) },
		"of another type": func(u protocol.UserID) {
			if err := client.LPush(t.Context(), shelfPrefix+u.String(), "x").Err(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		user := protocol.UserID(protocol.NewID[struct{}]())
		put(user)
		loads := one.loads.Load()
		if a := one.ask(t, user); a == nil || a.owner || one.loads.Load() != loads+1 {
			t.Errorf("%s: %+v, %d loads", name, a, one.loads.Load()-loads)
		}
	}
}

// Without Redis every node loads for itself, and nobody waits for Redis for long.
func TestShelfAway(t *testing.T) {
	r, c := redistest.New(t), newClock()
	var truth atomic.Pointer[account]
	truth.Store(&account{})
	one := share(t, r, c, &truth)
	c.pass(13 * time.Second)
	r.Kill()
	for range 100 {
		one.ask(t, protocol.UserID(protocol.NewID[struct{}]()))
	}
	if one.loads.Load() != 100 {
		t.Errorf("%d loads", one.loads.Load())
	}
	r.Start()
	user := protocol.UserID(protocol.NewID[struct{}]())
	one.shelf.(*redisShelf).paused.Store(0)
	one.ask(t, user)
	one.waitShelved(t, user, c.now())
}
