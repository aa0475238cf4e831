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
		&protocol.ChannelMentionable.Operation, &protocol.MemberSearch.Operation, &protocol.MemberGet.Operation,
		&protocol.ChannelMemberList.Operation, &protocol.ChannelMemberGet.Operation,
		&protocol.CommunityUpdate.Operation, &protocol.CommunityDelete.Operation, &protocol.ChannelUpdate.Operation,
		&protocol.ChannelDelete.Operation, &protocol.ChannelMoveUp.Operation, &protocol.ChannelMoveDown.Operation,
		&protocol.MemberRemove.Operation, &protocol.ChannelMemberAdd.Operation, &protocol.ChannelMemberRemove.Operation,
	}
	may := map[string]map[*protocol.Operation]bool{
		"member": {ops[0]: true, ops[2]: true, ops[3]: true, ops[5]: true, ops[6]: true, ops[7]: true, ops[8]: true, ops[9]: true, ops[10]: true},
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
			"update":  second(w.s.updateCommunity(w.turn(owner), protocol.UpdateCommunity{})),
			"delete":  second(w.s.deleteCommunity(w.turn(owner), protocol.DeleteCommunity{})),
			"mention": second(w.s.listMentionable(w.turn(owner), protocol.ListMentionable{})),
			"create":  second(w.s.createChannel(w.turn(owner), protocol.CreateChannel{})),
		} {
			t.Run(name, func(t *testing.T) { wantError(t, err, errNoCommunity) })
		}
		wantError(t, w.add(owner, outsider).err, errNoUserOrCommunity)
	})
}

func second[A any](_ A, err error) error { return err }

func (w *world) file(by protocol.Caller, resource string) protocol.FileID {
	w.t.Helper()
	id := protocol.FileID(protocol.NewID[row]())
	w.exec(`INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, resource_type, storage_path)
		VALUES ($1, 'a.png', 'image/png', 'IMAGE', 1, 'c', $2, $3, 'p')`, id, by.UserID, resource)
	return id
}

func TestUpdateCommunity(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	update := func(req protocol.UpdateCommunity) result {
		t.Helper()
		return w.run(w.s.updateCommunity(w.turn(admin), req))
	}
	avatar, next := w.file(admin, "COMMUNITY_AVATAR"), w.file(admin, "COMMUNITY_AVATAR")
	r := update(protocol.UpdateCommunity{Name: ptr("Eyrie"), Description: protocol.To("high"), Avatar: protocol.To(avatar.String())})
	if r.err != nil || r.reply.(*protocol.Community).Name != "Eyrie" {
		t.Fatalf("result = %+v", r)
	}
	p := payload[protocol.CommunityUpdated](t, r.events[0])
	if p.CommunityID != w.s.id || p.Name != "Eyrie" || *p.Description != "high" || *p.Avatar != avatar || p.Banner != nil {
		t.Errorf("payload = %+v", p)
	}
	deleted := func(f protocol.FileID) bool {
		return w.rows(`SELECT count(*) FROM file WHERE id = $1 AND deleted_at IS NOT NULL`, f) == 1
	}
	update(protocol.UpdateCommunity{Avatar: protocol.To(avatar.String())})
	if deleted(avatar) {
		t.Error("the same picture again deletes it")
	}
	update(protocol.UpdateCommunity{Avatar: protocol.To(next.String())})
	if !deleted(avatar) || deleted(next) {
		t.Error("the old picture is to go, the new one to stay")
	}
	r = update(protocol.UpdateCommunity{Avatar: protocol.Cleared[string](), Description: protocol.Cleared[string]()})
	if c := r.reply.(*protocol.Community); c.Avatar != nil || c.Description != nil || c.Name != "Eyrie" || !deleted(next) {
		t.Errorf("cleared = %+v", c)
	}

	eve := w.user("eve")
	for name, f := range map[string]protocol.FileID{
		"of another user": w.file(eve, "COMMUNITY_AVATAR"), "a banner": w.file(admin, "COMMUNITY_BANNER"),
		"an attachment": w.file(admin, "MESSAGE_ATTACHMENT"), "deleted": avatar,
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, update(protocol.UpdateCommunity{Avatar: protocol.To(f.String())}).err, errNoFile)
		})
	}
	w.exec(`INSERT INTO community (id, name) VALUES (gen_random_uuid(), 'Taken')`)
	wantError(t, update(protocol.UpdateCommunity{Name: ptr("Taken")}).err, protocol.Conflict("Duplicate community name"))
}

func TestDeleteCommunity(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	secret := w.channel(admin, "secret", protocol.ChannelText, true)
	mia := w.member(admin, "mia")
	group := w.alias("birds", mia)
	id := w.s.id
	r := w.run(w.s.deleteCommunity(w.turn(admin), protocol.DeleteCommunity{ID: id}))
	if r.err != nil || !slices.Equal(r.trace, []string{"communityDeleted", "Empty", "AccessChanged", "AccessChanged"}) {
		t.Fatalf("order = %v, %v", r.trace, r.err)
	}
	for _, a := range r.asks {
		if !a.Msg.(*protocol.AccessChanged).Gone {
			t.Errorf("a channel was told %+v", a.Msg)
		}
	}
	want := []protocol.Topic{protocol.CommunityTopic(id), protocol.ChannelTopic(secret.ID), protocol.AliasTopic(group)}
	for _, topic := range want {
		if !slices.Contains(r.emptied[0].Topics, topic) {
			t.Errorf("%v is not emptied", topic)
		}
	}
	if !w.s.missing || w.s.judge(w.turn(admin), &protocol.CommunityGet.Operation).Allowed {
		t.Error("still there")
	}
	wantError(t, w.run(w.s.removeCommunity(w.turn(admin), protocol.RemoveCommunity{ID: id})).err, errNoCommunity)

	ctx := t.Context()
	topics, _, err := w.db.Topics(ctx, mia.UserID)
	if err != nil || !slices.Equal(topics, []protocol.Topic{protocol.UserTopic(mia.UserID)}) {
		t.Errorf("topics = %v, %v", topics, err)
	}
	if list, err := w.db.CommunitiesOf(ctx, mia.UserID); err != nil || len(list) != 0 {
		t.Errorf("communities = %v, %v", list, err)
	}
	if list, err := w.db.MembershipsOf(ctx, mia.UserID); err != nil || len(list) != 0 {
		t.Errorf("memberships = %v, %v", list, err)
	}
	if _, err := w.db.KnownCommunity(ctx, id); err == nil {
		t.Error("the community is known")
	}
	if rows, err := w.db.User(ctx, mia.UserID); err != nil || len(rows.Communities) != 0 {
		t.Errorf("user = %+v, %v", rows, err)
	}

	t.Run("the name is free", func(t *testing.T) {
		w.activate(protocol.CommunityID(protocol.NewID[row]()))
		if r := w.run(w.s.createCommunity(w.turn(admin), protocol.CreateCommunity{Name: "Nest"})); r.err != nil {
			t.Error(r.err)
		}
	})
	t.Run("a member's actor that did not hear of it", func(t *testing.T) {
		w.activate(id)
		r := w.run(w.s.memberPresence(w.turn(protocol.Caller{}), &protocol.MemberPresence{User: mia.UserID, Online: true}))
		if len(r.tells) != 1 || r.tells[0].ID != mia.UserID.String() || r.tells[0].Msg.(*protocol.NotMember).Community != id {
			t.Errorf("told %+v", r.tells)
		}
	})
}
