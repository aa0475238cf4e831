package user

import (
	"errors"
	"sync"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func wantError(t *testing.T, err error, want *protocol.Error) {
	t.Helper()
	var got *protocol.Error
	if !errors.As(err, &got) || got.Code != want.Code || got.Message != want.Message {
		t.Errorf("error = %v, want %v", err, want)
	}
}

// as runs a request as a user.
func (w *world) as(id protocol.UserID, do func(*State) (turn.Outcome, error)) result {
	w.t.Helper()
	w.activate(id)
	return w.run(do(w.s))
}

func (w *world) request(from, to protocol.UserID) result {
	w.t.Helper()
	return w.as(from, func(s *State) (turn.Outcome, error) {
		return s.requestFriend(w.turn(), protocol.RequestFriend{UserID: to, ID: protocol.FriendshipID(protocol.NewID[row]())})
	})
}

func TestFriends(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, bob, eve := w.s.user.ID, w.account("bob"), w.account("eve")
	nobody := protocol.UserID(protocol.NewID[row]())
	friendship := func(r result) protocol.Friendship {
		t.Helper()
		if r.err != nil {
			t.Fatal(r.err)
		}
		return *r.reply.(*protocol.Friendship)
	}
	accept := func(by protocol.UserID, id protocol.FriendshipID) result {
		return w.as(by, func(s *State) (turn.Outcome, error) { return s.acceptFriend(w.turn(), protocol.AcceptFriend{ID: id}) })
	}
	decline := func(by protocol.UserID, id protocol.FriendshipID) result {
		return w.as(by, func(s *State) (turn.Outcome, error) { return s.declineFriend(w.turn(), protocol.DeclineFriend{ID: id}) })
	}
	cancel := func(by protocol.UserID, id protocol.FriendshipID) result {
		return w.as(by, func(s *State) (turn.Outcome, error) { return s.cancelFriend(w.turn(), protocol.CancelFriend{ID: id}) })
	}
	remove := func(by protocol.UserID, id protocol.FriendshipID) result {
		return w.as(by, func(s *State) (turn.Outcome, error) { return s.removeFriend(w.turn(), protocol.RemoveFriend{ID: id}) })
	}
	done := func(r result) {
		t.Helper()
		if r.err != nil || !r.reply.(*protocol.Success).Success {
			t.Errorf("result = %+v", r)
		}
	}

	wantError(t, w.request(ada, ada).err, errSelfFriend)
	wantError(t, w.request(ada, nobody).err, protocol.NotFound("User not found"))
	f := friendship(w.request(ada, bob))
	if f.UserAID != ada || f.UserBID != bob || f.Status != protocol.FriendPending || f.CreatedAt == 0 {
		t.Errorf("friendship = %+v", f)
	}
	wantError(t, w.request(ada, bob).err, protocol.Conflict("Friend request already sent"))
	asked, err := w.db.FriendRequests(t.Context(), bob, 9)
	if err != nil || len(asked.Sent) != 0 || len(asked.Received) != 1 || asked.Received[0].ID != f.ID ||
		asked.Received[0].UserA.Username != "ada" || asked.Received[0].UserB.Username != "bob" {
		t.Errorf("requests = %+v, %v", asked, err)
	}

	wantError(t, accept(bob, protocol.FriendshipID(nobody)).err, errNoRequest)
	wantError(t, accept(ada, f.ID).err, protocol.Forbidden("Cannot accept this friend request"))
	wantError(t, accept(eve, f.ID).err, protocol.Forbidden("Cannot accept this friend request"))
	wantError(t, decline(ada, f.ID).err, protocol.Forbidden("Cannot decline this friend request"))
	wantError(t, cancel(bob, f.ID).err, protocol.Forbidden("Cannot cancel this friend request"))
	wantError(t, remove(eve, f.ID).err, protocol.Forbidden("Cannot remove this friendship"))
	wantError(t, remove(bob, f.ID).err, errNotFriends)
	if got := friendship(accept(bob, f.ID)); got.ID != f.ID || got.Status != protocol.FriendAccepted {
		t.Errorf("accepted = %+v", got)
	}
	wantError(t, accept(bob, f.ID).err, errNotPending)
	wantError(t, decline(bob, f.ID).err, errNotPending)
	wantError(t, cancel(ada, f.ID).err, errNotPending)
	wantError(t, w.request(ada, bob).err, protocol.Conflict("Already friends with this user"))
	wantError(t, w.request(bob, ada).err, protocol.Conflict("Already friends with this user"))
	for me, other := range map[protocol.UserID]string{ada: "bob", bob: "ada"} {
		list, err := w.db.Friends(t.Context(), me, 9)
		if err != nil || len(list) != 1 || list[0].Username != other || list[0].FriendshipID != f.ID {
			t.Errorf("friends = %+v, %v", list, err)
		}
	}
	done(remove(bob, f.ID))
	wantError(t, remove(bob, f.ID).err, errNoFriendship)

	done(decline(bob, friendship(w.request(ada, bob)).ID))
	done(cancel(ada, friendship(w.request(ada, bob)).ID))
	f = friendship(w.request(ada, bob))
	if got := friendship(w.request(bob, ada)); got.ID != f.ID || got.UserAID != ada || got.Status != protocol.FriendAccepted {
		t.Errorf("a request that crosses = %+v", got)
	}
	if n := w.number(`SELECT count(*) FROM friendship`); n != 1 {
		t.Errorf("%d rows of one pair", n)
	}
}

func TestBlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, bob := w.s.user.ID, w.account("bob")
	block := func(by, user protocol.UserID) result {
		return w.as(by, func(s *State) (turn.Outcome, error) { return s.blockUser(w.turn(), protocol.BlockUser{UserID: user}) })
	}
	if r := w.request(bob, ada); r.err != nil {
		t.Fatal(r.err)
	}
	wantError(t, block(ada, ada).err, protocol.Forbidden("Cannot block yourself"))
	wantError(t, block(ada, protocol.UserID(protocol.NewID[row]())).err, protocol.NotFound("User to block not found"))
	for range 2 {
		if r := block(ada, bob); r.err != nil || !r.reply.(*protocol.Success).Success {
			t.Errorf("result = %+v", r)
		}
	}
	if n := w.number(`SELECT count(*) FROM friendship`); n != 0 {
		t.Error("a request outlives the block")
	}
	refused := protocol.Forbidden("Cannot send friend request to this user")
	wantError(t, w.request(ada, bob).err, refused)
	wantError(t, w.request(bob, ada).err, refused)
	list, err := w.db.BlockedUsers(t.Context(), ada, 9)
	if err != nil || len(list) != 1 || list[0].ID != bob {
		t.Errorf("blocked = %+v, %v", list, err)
	}
	for of, want := range map[[2]protocol.UserID]bool{{ada, bob}: true, {bob, ada}: false} {
		if got, err := w.db.HasBlocked(t.Context(), of[0], of[1]); err != nil || got != want {
			t.Errorf("blocked %v, %v, want %v", got, err, want)
		}
	}
	for range 2 {
		r := w.as(ada, func(s *State) (turn.Outcome, error) {
			return s.unblockUser(w.turn(), protocol.UnblockUser{UserID: bob})
		})
		if r.err != nil {
			t.Error(r.err)
		}
	}
	if r := w.request(bob, ada); r.err != nil {
		t.Error(r.err)
	}
}

// Whatever two users do to each other at the same time, there is one row at
// most, nobody waits for ever and nobody sees an internal error.
func TestFriendRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, bob := w.s.user.ID, w.account("bob")
	var all sync.WaitGroup
	for i := range 60 {
		n := protocol.Friendship{
			ID: protocol.FriendshipID(protocol.NewID[row]()), UserAID: ada, UserBID: bob, CreatedAt: w.now, Status: protocol.FriendPending,
		}
		if i%2 == 1 {
			n.UserAID, n.UserBID = bob, ada
		}
		all.Go(func() {
			var err error
			if i%10 == 9 {
				if err = w.db.BlockUser(t.Context(), n.UserAID, n.UserBID, w.now); err == nil {
					err = w.db.UnblockUser(t.Context(), n.UserAID, n.UserBID)
				}
			} else {
				_, err = w.db.RequestFriend(t.Context(), n)
			}
			if _, shown := errors.AsType[*protocol.Error](err); err != nil && !shown {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := w.number(`SELECT count(*) FROM friendship`); n > 1 {
		t.Errorf("%d rows of one pair", n)
	}
}

func TestAppearance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.s.user.ID
	first := make([]protocol.Appearance, 20)
	var all sync.WaitGroup
	for i := range first {
		all.Go(func() {
			var err error
			if first[i], err = w.db.Appearance(t.Context(), id, w.now); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, a := range first {
		if a != first[0] || a.ThemeMode != "dark" || a.AccentColor != "blue" || a.Intensity != "minimal" || a.UserID != id {
			t.Fatalf("first reads: %+v and %+v", a, first[0])
		}
	}
	light, rose := "light", "rose"
	r := w.run(w.s.updateAppearance(w.turn(), protocol.UpdateAppearance{ThemeMode: &light}))
	if a := r.reply.(*protocol.Appearance); r.err != nil || a.ThemeMode != light || a.AccentColor != "blue" || a.ID != first[0].ID || a.UpdatedAt <= a.CreatedAt {
		t.Errorf("result = %+v", r)
	}
	bob := w.account("bob")
	r = w.as(bob, func(s *State) (turn.Outcome, error) {
		return s.updateAppearance(w.turn(), protocol.UpdateAppearance{AccentColor: &rose})
	})
	if a := r.reply.(*protocol.Appearance); r.err != nil || a.ThemeMode != "dark" || a.AccentColor != rose {
		t.Errorf("result = %+v", r)
	}
}
