package community

import (
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

func (w *world) newAlias(name string, members ...protocol.Caller) result {
	w.t.Helper()
	return w.run(w.s.createAlias(w.turn(protocol.Caller{}), protocol.CreateAlias{
		ID: protocol.AliasGroupID(protocol.NewID[row]()), CommunityID: w.s.id, Name: name, MemberIDs: userIDs(members),
	}))
}

func userIDs(callers []protocol.Caller) []protocol.UserID {
	ids := []protocol.UserID{}
	for _, c := range callers {
		ids = append(ids, c.UserID)
	}
	return ids
}

// moves lists who joins and who leaves the room of a group.
func moves(g protocol.AliasGroupID, r result) (joined, left []protocol.Topic) {
	topic := []protocol.Topic{protocol.AliasTopic(g)}
	for _, m := range r.rooms {
		if slices.Equal(m.Join, topic) {
			joined = append(joined, m.Of)
		}
		if slices.Equal(m.Leave, topic) {
			left = append(left, m.Of)
		}
	}
	return joined, left
}

func topicsOf(callers ...protocol.Caller) []protocol.Topic {
	var list []protocol.Topic
	for _, c := range callers {
		list = append(list, protocol.UserTopic(c.UserID))
	}
	return list
}

func TestAliasGroups(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	mia, moe, eve := w.member(admin, "mia"), w.member(admin, "moe"), w.user("eve")
	w.s.online[mia.UserID] = w.now

	r := w.newAlias("birds", mia, admin, mia)
	if r.err != nil {
		t.Fatal(r.err)
	}
	g := r.reply.(*protocol.AliasGroup)
	if g.Name != "birds" || g.CommunityID != w.s.id || g.MemberCount != 2 || len(g.Members) != 2 || g.Members[0].Username != "ada" || g.Members[1].ID != mia.UserID {
		t.Errorf("group = %+v", g)
	}
	if joined, _ := moves(g.ID, r); !slices.Equal(joined, topicsOf(mia, admin)) {
		t.Errorf("joined %v", joined)
	}
	if len(r.tells) != 1 || r.tells[0].ID != mia.UserID.String() {
		t.Errorf("who is online is not told: %+v", r.tells)
	}
	taken := protocol.Conflict(`Alias group "birds" already exists in this community`)
	outside := protocol.BadRequest("Users not members of this community: " + eve.UserID.String())
	wantError(t, w.newAlias("birds", eve).err, taken)
	wantError(t, w.newAlias("fish", mia, eve).err, outside)
	if r := w.newAlias("Birds"); r.err != nil || r.reply.(*protocol.AliasGroup).Members == nil {
		t.Errorf("another case, nobody: %+v", r)
	}
	other := protocol.AliasGroupID(protocol.NewID[row]())
	rename := func(id protocol.AliasGroupID, name string) result {
		return w.run(w.s.renameAlias(w.turn(admin), protocol.RenameAlias{GroupID: id, Name: name}))
	}
	add := func(id protocol.AliasGroupID, who protocol.Caller) result {
		return w.run(w.s.addAliasMember(w.turn(admin), protocol.AddAliasMember{GroupID: id, UserID: who.UserID}))
	}
	remove := func(id protocol.AliasGroupID, who protocol.Caller) result {
		return w.run(w.s.removeAliasMember(w.turn(admin), protocol.RemoveAliasMember{GroupID: id, UserID: who.UserID}))
	}
	set := func(id protocol.AliasGroupID, who ...protocol.Caller) result {
		return w.run(w.s.setAliasMembers(w.turn(admin), protocol.SetAliasMembers{GroupID: id, MemberIDs: userIDs(who)}))
	}
	drop := func(id protocol.AliasGroupID) result {
		return w.run(w.s.deleteAlias(w.turn(admin), protocol.DeleteAlias{GroupID: id}))
	}
	none := protocol.NotFound("Alias group not found")
	for what, r := range map[string]result{
		"rename": rename(other, "x"), "add": add(other, eve), "remove": remove(other, mia), "set": set(other, eve), "delete": drop(other),
	} {
		t.Run(what+" unknown", func(t *testing.T) { wantError(t, r.err, none) })
	}
	wantError(t, rename(g.ID, "Birds").err, protocol.Conflict(`Alias group "Birds" already exists in this community`))
	if r := rename(g.ID, "crows"); r.err != nil || r.reply.(*protocol.AliasGroup).Name != "crows" || r.reply.(*protocol.AliasGroup).MemberCount != 2 {
		t.Errorf("rename = %+v", r)
	}
	if r := rename(g.ID, "crows"); r.err != nil {
		t.Errorf("its own name: %v", r.err)
	}
	wantError(t, add(g.ID, eve).err, errNotInCommunity)
	wantError(t, add(g.ID, mia).err, protocol.Conflict("User is already a member of this group"))
	if joined, _ := moves(g.ID, add(g.ID, moe)); !slices.Equal(joined, topicsOf(moe)) {
		t.Errorf("joined %v", joined)
	}
	wantError(t, set(g.ID, mia, eve).err, outside)
	r = set(g.ID, mia, mia)
	joined, left := moves(g.ID, r)
	if r.err != nil || len(joined) != 0 || len(left) != 2 {
		t.Errorf("set: joined %v, left %v, %v", joined, left, r.err)
	}
	if _, left := moves(g.ID, remove(g.ID, mia)); !slices.Equal(left, topicsOf(mia)) {
		t.Errorf("left %v", left)
	}
	wantError(t, remove(g.ID, mia).err, protocol.NotFound("User is not a member of this group"))
	if r := set(g.ID); r.err != nil {
		t.Errorf("nobody: %v", r.err)
	}

	list, err := w.db.Aliases(t.Context(), w.s.id)
	if err != nil || len(list) != 2 || list[0].Name != "Birds" || list[1].Name != "crows" || list[1].MemberCount != 0 {
		t.Errorf("list = %+v, %v", list, err)
	}
	w.s.holders[w.s.channels[0].ID] = w.s.version
	if r := drop(g.ID); r.err != nil || len(r.tells) != 1 || r.tells[0].Msg.(*protocol.AliasGone).Group != g.ID {
		t.Errorf("delete = %+v", r)
	}
	_, err = w.db.Alias(t.Context(), g.ID)
	wantError(t, err, none)
	_, err = w.db.CommunityOfAlias(t.Context(), g.ID)
	wantError(t, err, none)
}
