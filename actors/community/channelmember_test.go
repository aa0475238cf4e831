package community

import (
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

func TestChannelMembers(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	general, secret := w.s.channels[0], w.channel(admin, "secret", protocol.ChannelText, true)
	mia, mod, eve := w.member(admin, "mia"), w.member(admin, "mod"), w.user("eve")
	w.promote(mod, "Moderator")
	owner := w.user("olga")
	owner.Owner = true
	nobody := protocol.Caller{UserID: protocol.UserID(protocol.NewID[row]())}
	unknown := protocol.ChannelID(protocol.NewID[row]())
	add := func(by protocol.Caller, c protocol.ChannelID, who protocol.Caller) result {
		return w.run(w.s.addChannelMember(w.turn(by), protocol.AddChannelMember{UserID: who.UserID, ChannelID: c}))
	}
	remove := func(by protocol.Caller, c protocol.ChannelID, who protocol.Caller) result {
		return w.run(w.s.removeChannelMember(w.turn(by), protocol.RemoveChannelMember{UserID: who.UserID, ChannelID: c}))
	}
	leave := func(c protocol.ChannelID, who protocol.Caller) result {
		return w.run(w.s.leaveChannel(w.turn(who), protocol.LeaveChannel{ChannelID: c}))
	}

	for _, c := range []struct {
		name    string
		by, who protocol.Caller
		channel protocol.ChannelID
		want    *protocol.Error
	}{
		{"unknown channel, owner", owner, mia, unknown, errNoChannel},
		{"unknown channel", admin, mia, unknown, protocol.ErrForbidden},
		{"by somebody outside of it", mod, mia, secret.ID, protocol.ErrForbidden},
		{"public", admin, mia, general.ID, errAddToPublic},
		{"unknown user", admin, nobody, secret.ID, errNoUser},
		{"not in the community", admin, eve, secret.ID, errOutsider},
		{"already inside", admin, admin, secret.ID, errAlreadyInside},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, add(c.by, c.channel, c.who).err, c.want) })
	}

	if a := w.ask(secret.ID, mia); a.Actions != 0 {
		t.Fatal("already inside")
	}
	r := add(admin, secret.ID, mia)
	if r.err != nil || !slices.Equal(r.trace, []string{"AccessChanged", "ChannelOpened"}) {
		t.Fatalf("result = %+v", r)
	}
	if m := r.reply.(*protocol.ChannelMembership); m.UserID != mia.UserID || m.ChannelID != secret.ID || *m.AddedBy != admin.UserID {
		t.Errorf("reply = %+v", m)
	}
	if m := r.asks[1].Msg.(*protocol.ChannelOpened); !m.Announce || m.Channel != secret {
		t.Errorf("told %+v", m)
	}
	if a := w.ask(secret.ID, mia); a.Actions == 0 {
		t.Error("may do nothing inside")
	}

	t.Run("removed", func(t *testing.T) {
		wantError(t, remove(admin, general.ID, mia).err, errRemoveFromPublic)
		wantError(t, remove(admin, secret.ID, mod).err, errNoChannelMember)
		wantError(t, remove(owner, unknown, mia).err, errNoChannel)
		r := remove(admin, secret.ID, mia)
		if r.err != nil || !slices.Equal(r.trace, []string{"AccessChanged", "ChannelClosed"}) {
			t.Fatalf("result = %+v", r)
		}
		if m := r.asks[1].Msg.(*protocol.ChannelClosed); m.Channel != secret.ID || m.Community != w.s.id || r.asks[1].ID != mia.UserID.String() {
			t.Errorf("told %+v", m)
		}
		if a := w.ask(secret.ID, mia); a.Actions != 0 {
			t.Error("still inside")
		}
	})
	t.Run("leaves", func(t *testing.T) {
		wantError(t, leave(unknown, mia).err, errNoChannel)
		wantError(t, leave(general.ID, mia).err, errRemoveFromPublic)
		wantError(t, leave(secret.ID, mia).err, errNoChannelMember)
		wantError(t, leave(general.ID, eve).err, errNoChannelMember)
		if r := add(admin, secret.ID, mod); r.err != nil {
			t.Fatal(r.err)
		}
		if r := leave(secret.ID, mod); r.err != nil {
			t.Error(r.err)
		}
	})
	t.Run("read", func(t *testing.T) {
		read := func(by protocol.Caller, c protocol.ChannelID) error {
			return second(w.s.listChannelMembers(w.turn(by), protocol.ListChannelMembers{ChannelID: c}))
		}
		wantError(t, read(admin, general.ID), errListPublic)
		wantError(t, read(mia, secret.ID), protocol.ErrForbidden)
		if err := read(admin, secret.ID); err != nil {
			t.Error(err)
		}
		wantError(t, second(w.s.getChannelMember(w.turn(admin), protocol.GetChannelMember{ChannelID: general.ID})), errGetPublic)
	})
}
