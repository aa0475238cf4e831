package gate

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Limits of the cache: an account takes about 200 bytes.
const (
	accountShards = 64
	shardAccounts = 2048
)

// account is what decides whether a valid token is still good. It is immutable.
type account struct {
	owner   bool
	banned  bool
	actions protocol.ActionSet
	ended   map[protocol.AnyID]struct{} // tokens and sessions that ended early
}

func (a *account) revoked(id protocol.AnyID) bool {
	_, ended := a.ended[id]
	return ended
}

// end notes tokens and sessions that ended early.
func (a *account) end(ids []protocol.AnyID) {
	if len(ids) == 0 {
		return
	}
	a.ended = make(map[protocol.AnyID]struct{}, len(ids))
	for _, id := range ids {
		a.ended[id] = struct{}{}
	}
}

// accounts is a cache of accounts, keyed by user.
//
// What is on the shelf was loaded by some node before it put it there, and is
// good for keep from then on. So when this node hears that an account changed, it
// leaves the shelf alone for that account until everything loaded before has
// expired: nothing has to be removed there, and nothing depends on Redis being
// there at that moment. The same for all accounts when it may have missed
// something, and when it starts.
type accounts struct {
	keep   time.Duration
	now    func() time.Time
	load   func(protocol.UserID) (*account, error)
	shelf  shelf
	shards [accountShards]accountShard
	// unshelved is until when (Unix milliseconds) the shelf is not used for the
	// accounts that share a place, allUnshelved for any.
	unshelved    [changePlaces]atomic.Int64
	allUnshelved atomic.Int64
	// changes counts what became known of the accounts that share a place. One
	// that is told of too much looks once too often.
	changes [changePlaces]atomic.Uint32
}

// changePlaces is 16 KiB: the sockets of one in 4,096 accounts look again when one
// account changes.
const changePlaces = 4096

type accountShard struct {
	mu         sync.Mutex
	generation uint64 // moved on by every forget
	entries    map[protocol.UserID]entry
	loading    map[protocol.UserID]*loading
}

type entry struct {
	account *account // nil: no such account
	until   time.Time
}

// loading is a load under way, for which others may wait.
type loading struct {
	done    chan struct{}
	account *account
	err     error
}

func newAccounts(keep time.Duration, now func() time.Time, s shelf, load func(protocol.UserID) (*account, error)) *accounts {
	a := &accounts{keep: keep, now: now, load: load, shelf: s}
	a.allUnshelved.Store(a.expired())
	for i := range a.shards {
		a.shards[i].entries = map[protocol.UserID]entry{}
		a.shards[i].loading = map[protocol.UserID]*loading{}
	}
	return a
}

// place is where an account is counted.
func place(user protocol.UserID) uint16 { return binary.BigEndian.Uint16(user[14:]) % changePlaces }

// mark changes with whatever becomes known of an account.
func (a *accounts) mark(user protocol.UserID) *atomic.Uint32 { return &a.changes[place(user)] }

// expired is when everything that any node has loaded up to now has expired, in
// Unix milliseconds.
func (a *accounts) expired() int64 { return a.now().Add(a.keep + 2*shelfSlack).UnixMilli() }

func (a *accounts) shard(user protocol.UserID) *accountShard {
	return &a.shards[user[15]%accountShards]
}

// get returns the account of a user, nil when there is none.
func (a *accounts) get(ctx context.Context, user protocol.UserID) (*account, error) {
	s := a.shard(user)
	s.mu.Lock()
	if e, ok := s.entries[user]; ok && a.now().Before(e.until) {
		s.mu.Unlock()
		return e.account, nil
	}
	l := s.loading[user]
	if l == nil {
		l = &loading{done: make(chan struct{})}
		s.loading[user] = l
		go a.fill(s, user, l, s.generation)
	}
	s.mu.Unlock()
	select {
	case <-l.done:
		return l.account, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *accounts) fill(s *accountShard, user protocol.UserID, l *loading, generation uint64) {
	// Taken before the load: what it finds is at least as new.
	now := a.now()
	until := now.Add(a.keep)
	found, good, shelved := a.unshelve(user, now, until)
	if shelved {
		l.account, until = found, good
	} else {
		l.account, l.err = a.load(user)
	}
	s.mu.Lock()
	if s.loading[user] == l {
		delete(s.loading, user)
	}
	if l.err == nil && s.generation == generation {
		s.makeRoom(a.now())
		s.entries[user] = entry{l.account, until}
	}
	close(l.done)
	s.mu.Unlock()
	if l.err == nil && !shelved {
		a.shelf.put(user, l.account, until)
	}
}

// unshelve takes an account from the shelf.
func (a *accounts) unshelve(user protocol.UserID, now, until time.Time) (*account, time.Time, bool) {
	if now.UnixMilli() < max(a.unshelved[place(user)].Load(), a.allUnshelved.Load()) {
		return nil, time.Time{}, false
	}
	found, good, ok := a.shelf.get(user)
	// One that is good for too long was put there by a clock that can't be trusted.
	return found, good, ok && now.Before(good) && !good.After(until.Add(shelfSlack))
}

// makeRoom keeps the shard within its bound: first without what has expired,
// then without whatever comes first.
func (s *accountShard) makeRoom(now time.Time) {
	if len(s.entries) < shardAccounts {
		return
	}
	for user, e := range s.entries {
		if !now.Before(e.until) {
			delete(s.entries, user)
		}
	}
	for user := range s.entries {
		if len(s.entries) < shardAccounts {
			return
		}
		delete(s.entries, user)
	}
}

// forget drops an account. Whoever asks from now on gets what is loaded from
// now on: a load under way is not waited for and not kept.
func (a *accounts) forget(user protocol.UserID) {
	a.unshelved[place(user)].Store(a.expired())
	s := a.shard(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	delete(s.entries, user)
	delete(s.loading, user)
	a.mark(user).Add(1) // last: who sees it finds nothing old
}

// forgetAll drops every account.
func (a *accounts) forgetAll() {
	a.allUnshelved.Store(a.expired())
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.Lock()
		s.generation++
		clear(s.entries)
		clear(s.loading)
		s.mu.Unlock()
	}
	for i := range a.changes {
		a.changes[i].Add(1)
	}
}
