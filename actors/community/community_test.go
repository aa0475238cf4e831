package community

import (
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/protocol"
)

func TestCreateCommunity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.user("ada")
	about := "for birds"
	req := protocol.CreateCommunity{Name: "Nest", Description: &about}
	r := w.run(w.s.createCommunity(w.turn(admin), req))
	if r.err != nil {
		t.Fatal(r.err)
	}
	c := r.reply.(*protocol.Community)
	if c.ID != w.s.id || c.Name != "Nest" || *c.Description != about || c.Avatar != nil {
		t.Errorf("reply = %+v", c)
	}
	if len(w.s.channels) != 1 || w.s.channels[0].Name != "general" || w.s.channels[0].Position != 0 {
		t.Errorf("channels = %+v", w.s.channels)
	}
	joined := r.asks[0].Msg.(*protocol.MemberJoined)
	if joined.Community != c.ID || !slices.Equal(joined.Channels, []protocol.ChannelID{w.s.channels[0].ID}) {
		t.Errorf("creator was told %+v", joined)
	}
	var names []string
	for _, role := range w.s.roles {
		names = append(names, role.Name)
	}
	if !slices.Equal(names, []string{rules.RoleCommunityAdmin, rules.RoleModerator, rules.RoleMember}) {
		t.Errorf("roles = %v", names)
	}
	if n := w.s.roster.actions(admin.UserID).Len(); n != 41 {
		t.Errorf("the creator has %d actions, want the 41 of Community Admin", n)
	}

	t.Run("sent again", func(t *testing.T) {
		again := w.run(w.s.createCommunity(w.turn(admin), req))
		if again.err != nil || *again.reply.(*protocol.Community) != *c {
			t.Errorf("reply = %+v, %v", again.reply, again.err)
		}
	})
	t.Run("by another", func(t *testing.T) {
		wantError(t, w.run(w.s.createCommunity(w.turn(w.user("eve")), req)).err, protocol.ErrForbidden)
	})
	t.Run("name taken", func(t *testing.T) {
		w.activate(protocol.CommunityID(protocol.NewID[row]()))
		wantError(t, w.run(w.s.createCommunity(w.turn(admin), req)).err, protocol.Conflict("Duplicate community name"))
	})
	t.Run("files", func(t *testing.T) {
		mine, foreign := protocol.FileID(protocol.NewID[row]()), protocol.FileID(protocol.NewID[row]())
		for id, by := range map[protocol.FileID]protocol.Caller{mine: admin, foreign: w.user("mallory")} {
			w.exec(`INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, resource_type, storage_path)
				VALUES ($1, 'a.png', 'image/png', 'IMAGE', 1, 'c', $2, 'COMMUNITY_AVATAR', 'p')`, id, by.UserID)
		}
		for name, file := range map[string]string{"not an id": "x", "unknown": protocol.FileID(protocol.NewID[row]()).String(), "foreign": foreign.String()} {
			t.Run(name, func(t *testing.T) {
				wantError(t, w.run(w.s.createCommunity(w.turn(admin), protocol.CreateCommunity{Name: name, Avatar: &file})).err, errNoFile)
			})
		}
		file := mine.String()
		r := w.run(w.s.createCommunity(w.turn(admin), protocol.CreateCommunity{Name: "own", Avatar: &file, Banner: &file}))
		if r.err != nil || *r.reply.(*protocol.Community).Avatar != mine {
			t.Errorf("reply = %+v, %v", r.reply, r.err)
		}
	})
}

func TestGetCommunity(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	r := w.run(w.s.getCommunity(w.turn(admin), protocol.GetCommunity{ID: w.s.id}))
	if r.err != nil || r.reply.(*protocol.Community).Name != "Nest" {
		t.Errorf("reply = %+v, %v", r.reply, r.err)
	}
}

// Every operation of the kind, asked by every persona.
func TestJudge(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	member, outsider := w.member(admin, "mia"), w.user("otto")
	owner := w.user("olga")
	owner.Owner = true
	ops := []*protocol.Operation{
		&protocol.CommunityGet.Operation, &protocol.ChannelCreate.Operation, &protocol.ChannelList.Operation,
		&protocol.ChannelGet.Operation, &protocol.MemberAdd.Operation, &protocol.MemberList.Operation,
	}
	may := map[string]map[*protocol.Operation]bool{
		"member": {ops[0]: true, ops[2]: true, ops[3]: true, ops[5]: true},
	}
	for _, op := range ops {
		for name, c := range map[string]protocol.Caller{"owner": owner, "admin": admin, "member": member, "outsider": outsider} {
			want := name == "owner" || name == "admin" || may[name][op]
			if got := w.s.judge(w.turn(c), op).Allowed; got != want {
				t.Errorf("%s %s: allowed %v, want %v", name, op.Name, got, want)
			}
		}
	}

	t.Run("missing community", func(t *testing.T) {
		w.activate(protocol.CommunityID(protocol.NewID[row]()))
		for _, op := range ops {
			if w.s.judge(w.turn(admin), op).Allowed {
				t.Errorf("%s is allowed in a community that is not there", op.Name)
			}
			if !w.s.judge(w.turn(owner), op).Allowed {
				t.Errorf("%s: an owner is not told that there is none", op.Name)
			}
		}
		for name, err := range map[string]error{
			"get":     second(w.s.getCommunity(w.turn(owner), protocol.GetCommunity{})),
			"list":    second(w.s.listChannels(w.turn(owner), protocol.ListChannels{})),
			"members": second(w.s.listMembers(w.turn(owner), protocol.ListMembers{})),
			"create":  second(w.s.createChannel(w.turn(owner), protocol.CreateChannel{})),
		} {
			t.Run(name, func(t *testing.T) { wantError(t, err, errNoCommunity) })
		}
		wantError(t, w.add(owner, outsider).err, errNoUserOrCommunity)
	})
}

func second[A any](_ A, err error) error { return err }
