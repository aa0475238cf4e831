package community

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func (w *world) roleNamed(name string) protocol.Role {
	w.t.Helper()
	r, ok := w.s.role(name)
	if !ok {
		w.t.Fatalf("no role %s", name)
	}
	return r
}

func (w *world) newRole(by protocol.Caller, name string, actions ...string) result {
	w.t.Helper()
	return w.run(w.s.createRole(w.turn(by), protocol.CreateRole{
		ID: protocol.RoleID(protocol.NewID[row]()), CommunityID: w.s.id, Name: name, Actions: actions,
	}))
}

// custom makes a role as an owner of the instance.
func (w *world) custom(name string, actions ...string) protocol.Role {
	w.t.Helper()
	r := w.newRole(protocol.Caller{UserID: protocol.UserID{1}, Owner: true}, name, actions...)
	if r.err != nil {
		w.t.Fatal(r.err)
	}
	return *r.reply.(*protocol.Role)
}

func (w *world) assign(by, who protocol.Caller, role protocol.RoleID) result {
	w.t.Helper()
	return w.run(w.s.assignRole(w.turn(by), protocol.AssignRole{CommunityID: w.s.id, UserID: who.UserID, RoleID: role}))
}

func (w *world) unassign(by, who protocol.Caller, role protocol.RoleID) result {
	w.t.Helper()
	return w.run(w.s.unassignRole(w.turn(by), protocol.UnassignRole{CommunityID: w.s.id, UserID: who.UserID, RoleID: role}))
}

func (w *world) updateRole(by protocol.Caller, role protocol.RoleID, name string, actions ...string) result {
	w.t.Helper()
	req := protocol.UpdateRole{CommunityID: w.s.id, RoleID: role}
	if name != "" {
		req.Name = &name
	}
	if actions != nil {
		req.Actions = &actions
	}
	return w.run(w.s.updateRole(w.turn(by), req))
}

func (w *world) drop(by protocol.Caller, role protocol.RoleID) result {
	w.t.Helper()
	return w.run(w.s.deleteRole(w.turn(by), protocol.DeleteRole{CommunityID: w.s.id, RoleID: role}))
}

// told reads the payload of the only event of a result, for all members.
func told[P any](w *world, r result, name string) P {
	w.t.Helper()
	var p P
	if r.err != nil || len(r.events) != 1 || r.events[0].Name != name ||
		!slices.Equal(r.events[0].Topics, []protocol.Topic{protocol.CommunityTopic(w.s.id)}) {
		w.t.Fatalf("want %s alone, got %+v", name, r)
	}
	if err := json.Unmarshal(r.events[0].Payload, &p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestCreateRole(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	owner := w.user("olga")
	owner.Owner = true
	req := protocol.CreateRole{
		ID: protocol.RoleID(protocol.NewID[row]()), CommunityID: w.s.id, Name: "VIP", Actions: []string{"READ_MEMBER", "KICK_USER", "READ_MEMBER"},
	}
	r := w.run(w.s.createRole(w.turn(admin), req))
	p := told[protocol.RoleChanged](w, r, "roleCreated")
	made := r.reply.(*protocol.Role)
	if made.ID != req.ID || made.IsDefault || !slices.Equal(made.Actions, []string{"READ_MEMBER", "KICK_USER"}) {
		t.Errorf("role = %+v", made)
	}
	if p != (protocol.RoleChanged{CommunityID: w.s.id, RoleID: req.ID, RoleName: "VIP"}) {
		t.Errorf("payload = %+v", p)
	}
	if again := w.run(w.s.createRole(w.turn(admin), req)); again.err != nil || again.reply.(*protocol.Role).ID != req.ID || len(again.events) != 0 {
		t.Errorf("again = %+v", again)
	}
	for _, c := range []struct {
		name    string
		by      protocol.Caller
		role    string
		actions []string
		want    *protocol.Error
	}{
		{"taken", admin, "VIP", []string{"READ_MEMBER"}, roleTaken("VIP")},
		{"taken before rights", admin, "VIP", []string{"BAN_USER"}, roleTaken("VIP")},
		{"a default role", owner, "Moderator", []string{"READ_MEMBER"}, roleTaken("Moderator")},
		{"reserved", owner, "Owner", []string{"READ_MEMBER"}, protocol.BadRequest(`The role name "Owner" is reserved`)},
		{"reserved, any case", admin, "admin", []string{"READ_MEMBER"}, protocol.BadRequest(`The role name "admin" is reserved`)},
		{"more than one has", admin, "Bans", []string{"BAN_USER", "KICK_USER", "READ_USER"},
			protocol.Forbidden("Cannot grant permissions you do not have: BAN_USER, READ_USER")},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, w.newRole(c.by, c.role, c.actions...).err, c.want) })
	}
	if r := w.newRole(owner, "Bans", "BAN_USER"); r.err != nil {
		t.Errorf("owner: %v", r.err)
	}
}

func TestUpdateRole(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	owner := protocol.Caller{UserID: admin.UserID, Owner: true}
	mia := w.member(admin, "mia")
	vip := w.custom("VIP", "READ_MEMBER", "KICK_USER")
	w.assign(admin, mia, vip.ID)
	w.custom("Other", "READ_MEMBER")
	elsewhere := protocol.RoleID(protocol.NewID[row]())
	w.exec(`INSERT INTO role (id, name) VALUES ($1, 'of the instance')`, elsewhere)
	unknown := protocol.RoleID(protocol.NewID[row]())
	member := w.roleNamed("Member")
	for _, c := range []struct {
		name    string
		by      protocol.Caller
		role    protocol.RoleID
		to      string
		actions []string
		want    *protocol.Error
	}{
		{"unknown", owner, unknown, "x", nil, protocol.NotFound("Role with ID " + unknown.String() + " not found")},
		{"of elsewhere", owner, elsewhere, "x", nil, protocol.NotFound("Role with ID " + elsewhere.String() + " not found in this community")},
		{"rename a default role", owner, member.ID, "Peon", nil, errRenameDefault},
		{"more than one has", admin, vip.ID, "", []string{"READ_MEMBER", "BAN_USER"}, protocol.Forbidden("Cannot grant permissions you do not have: BAN_USER")},
		{"rights before name", admin, vip.ID, "Other", []string{"BAN_USER"}, protocol.Forbidden("Cannot grant permissions you do not have: BAN_USER")},
		{"taken", admin, vip.ID, "Other", nil, roleTaken("Other")},
		{"reserved", admin, vip.ID, "OWNER", nil, protocol.BadRequest(`The role name "OWNER" is reserved`)},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, w.updateRole(c.by, c.role, c.to, c.actions...).err, c.want) })
	}

	general := w.s.channels[0].ID
	w.ask(general, mia)
	r := w.updateRole(admin, vip.ID, "Very")
	if p := told[protocol.RoleChanged](w, r, "roleUpdated"); p.RoleName != "Very" || p.RoleID != vip.ID || len(r.asks) != 0 {
		t.Errorf("rename = %+v", r)
	}
	if got := r.reply.(*protocol.Role); got.Name != "Very" || !slices.Equal(got.Actions, vip.Actions) {
		t.Errorf("role = %+v", got)
	}
	if r := w.updateRole(admin, member.ID, "Member"); r.err != nil || len(r.events) != 1 {
		t.Errorf("an unchanged name: %+v", r)
	}

	t.Run("a loss is confirmed first", func(t *testing.T) {
		r := w.updateRole(admin, vip.ID, "", "READ_MEMBER")
		if r.err != nil || len(r.asks) != 1 || r.asks[0].Msg.(*protocol.AccessChanged).Users != nil {
			t.Fatalf("result = %+v", r)
		}
		if w.s.actions(mia.UserID, false).Has(protocol.ActionKickUser) {
			t.Error("the right is still there")
		}
		w.ask(general, mia)
		w.answer = func(turn.Ask) turn.Answer { return turn.Answer{Err: protocol.ErrDeadline} }
		defer func() { w.answer = nil }()
		wantError(t, w.updateRole(owner, member.ID, "", "READ_MEMBER").err, errUnconfirmed)
	})
	t.Run("a gain needs no patience", func(t *testing.T) {
		w.ask(general, mia)
		w.answer = func(turn.Ask) turn.Answer { return turn.Answer{Err: protocol.ErrDeadline} }
		defer func() { w.answer = nil }()
		if r := w.updateRole(owner, member.ID, "", "READ_MEMBER", "READ_CHANNEL"); r.err != nil {
			t.Error(r.err)
		}
	})
}

func TestDeleteRole(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	mia := w.member(admin, "mia")
	vip := w.custom("VIP", "READ_MEMBER")
	w.assign(admin, mia, vip.ID)
	wantError(t, w.drop(admin, w.roleNamed("Member").ID).err, errDeleteDefault)
	wantError(t, w.drop(admin, vip.ID).err,
		protocol.BadRequest(`Cannot delete role "VIP" because it is assigned to 1 user(s). Remove all role assignments first.`))
	if r := w.unassign(admin, mia, vip.ID); r.err != nil {
		t.Fatal(r.err)
	}
	if p := told[protocol.RoleDeleted](w, w.drop(admin, vip.ID), "roleDeleted"); p.RoleID != vip.ID {
		t.Errorf("payload = %+v", p)
	}
	wantError(t, w.drop(admin, vip.ID).err, protocol.NotFound("Role with ID "+vip.ID.String()+" not found"))
}

func TestResetRoles(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	mia := w.member(admin, "mia")
	vip := w.custom("VIP", "READ_MEMBER")
	w.assign(admin, mia, vip.ID)
	w.updateRole(admin, w.roleNamed("Member").ID, "", "READ_CHANNEL", "KICK_USER")
	w.exec(`DELETE FROM role WHERE community_id = $1 AND name = 'Moderator'`, w.s.id)
	w.run(w.s.reload(w.turn(protocol.Caller{}), &protocol.ReloadCommunity{}))
	w.ask(w.s.channels[0].ID, mia)

	r := w.run(w.s.resetRoles(w.turn(admin), protocol.ResetRoles{CommunityID: w.s.id}))
	if r.err != nil || len(r.asks) != 1 {
		t.Fatalf("result = %+v", r)
	}
	list := r.reply.(*protocol.CommunityRoles)
	var names []string
	for _, role := range list.Roles {
		names = append(names, role.Name)
	}
	if got := strings.Join(names, ", "); got != "Community Admin, Member, VIP, Moderator" {
		t.Errorf("roles = %s", got)
	}
	if got := strings.Join(r.trace, " "); got != "roleUpdated roleUpdated roleUpdated AccessChanged" {
		t.Errorf("order = %s", got)
	}
	if got, want := w.s.actions(mia.UserID, false), memberRole().Set()|protocol.ParseActionSet(vip.Actions); got != want {
		t.Errorf("mia may %v", got.Names())
	}
}

func TestAssignRole(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	owner := protocol.Caller{UserID: protocol.UserID{9}, Owner: true}
	mod, mia := w.member(admin, "mod"), w.member(admin, "mia")
	moderator, boss := w.roleNamed("Moderator"), w.roleNamed("Community Admin")
	if r := w.assign(admin, mod, moderator.ID); r.err != nil {
		t.Fatal(r.err)
	}
	bans := w.custom("Bans", "BAN_USER")
	unknown := protocol.Caller{UserID: protocol.UserID(protocol.NewID[row]())}
	for _, c := range []struct {
		name    string
		by, who protocol.Caller
		role    protocol.RoleID
		want    string
	}{
		{"unknown role", owner, mia, protocol.RoleID{7}, errNoRole.Message},
		{"a moderator makes himself admin", mod, mod, boss.ID, "Cannot grant permissions you do not have: "},
		{"a moderator makes another admin", mod, mia, boss.ID, "Cannot grant permissions you do not have: "},
		{"an admin gives what he has not", admin, mia, bans.ID, "Cannot grant permissions you do not have: BAN_USER"},
		{"an outsider", admin, w.user("otto"), moderator.ID, errNoMemberRole.Message},
		{"nobody", admin, unknown, moderator.ID, errNoUser.Message},
		{"again", admin, mod, moderator.ID, errAssigned.Message},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := w.assign(c.by, c.who, c.role); r.err == nil || !strings.Contains(r.err.Error(), c.want) {
				t.Errorf("error = %v, want %s", r.err, c.want)
			}
		})
	}

	w.ask(w.s.channels[0].ID, mia)
	r := w.assign(mod, mia, moderator.ID)
	if p := told[protocol.RoleAssigned](w, r, "roleAssigned"); p.UserID != mia.UserID || p.RoleID != moderator.ID || p.RoleName != "Moderator" {
		t.Errorf("payload = %+v", p)
	}
	if len(r.asks) != 1 || r.asks[0].Msg.(*protocol.AccessChanged).Users[0] != mia.UserID {
		t.Errorf("a channel goes on refusing: %+v", r.asks)
	}
	if got := w.s.roster.rank(mia.UserID); got != rules.RankModerator {
		t.Errorf("rank = %d", got)
	}
}

func TestUnassignRole(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	owner := protocol.Caller{UserID: protocol.UserID{9}, Owner: true}
	mod, mia := w.member(admin, "mod"), w.member(admin, "mia")
	moderator, boss := w.roleNamed("Moderator"), w.roleNamed("Community Admin")
	w.assign(admin, mod, moderator.ID)
	wantError(t, w.unassign(admin, mia, moderator.ID).err, errNoAssignment)
	wantError(t, w.unassign(admin, mia, protocol.RoleID{7}).err, errNoAssignment)
	wantError(t, w.unassign(admin, w.user("otto"), moderator.ID).err, errNoAssignment)
	if r := w.unassign(mod, admin, boss.ID); r.err == nil || !strings.Contains(r.err.Error(), "Cannot grant permissions you do not have") {
		t.Errorf("a moderator strips the admin: %v", r.err)
	}
	wantError(t, w.unassign(admin, admin, boss.ID).err, errLastAdmin)

	w.ask(w.s.channels[0].ID, mod)
	r := w.unassign(admin, mod, moderator.ID)
	if p := told[protocol.RoleUnassigned](w, r, "roleUnassigned"); p.UserID != mod.UserID || p.RoleID != moderator.ID {
		t.Errorf("payload = %+v", p)
	}
	if got := strings.Join(r.trace, " "); got != "roleUnassigned AccessChanged" {
		t.Errorf("order = %s", got)
	}
	w.assign(admin, mia, boss.ID)
	if r := w.unassign(mia, admin, boss.ID); r.err != nil {
		t.Errorf("one of two admins: %v", r.err)
	}
	if r := w.unassign(owner, mia, boss.ID); r.err != nil {
		t.Errorf("the last one, by an owner: %v", r.err)
	}
}

func TestReadRoles(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	mia := w.member(admin, "mia")
	vip := w.custom("VIP", "READ_MEMBER")
	w.assign(admin, mia, vip.ID)
	r := w.run(w.s.rolesOfMember(w.turn(admin), protocol.GetMemberRoles{UserID: mia.UserID, CommunityID: w.s.id}))
	of := r.reply.(*protocol.UserRoles)
	if of.UserID != mia.UserID || *of.ResourceID != protocol.AnyID(w.s.id) || of.ResourceType != "COMMUNITY" || len(of.Roles) != 2 ||
		of.Roles[0].Name != "Member" || of.Roles[1].Name != "VIP" {
		t.Errorf("roles = %+v", of)
	}
	r = w.run(w.s.rolesOfMember(w.turn(admin), protocol.GetMemberRoles{UserID: protocol.UserID{3}, CommunityID: w.s.id}))
	if of := r.reply.(*protocol.UserRoles); of.Roles == nil || len(of.Roles) != 0 {
		t.Errorf("of nobody: %+v", of)
	}
	secret := w.channel(admin, "secret", protocol.ChannelText, true)
	ask := func(by protocol.Caller, c protocol.ChannelID) result {
		return w.run(w.s.rolesInChannel(w.turn(by), protocol.GetChannelRoles{UserID: mia.UserID, ChannelID: c}))
	}
	if of := ask(mia, w.s.channels[0].ID).reply.(*protocol.UserRoles); of.ResourceType != "CHANNEL" || len(of.Roles) != 2 {
		t.Errorf("in a channel: %+v", of)
	}
	wantError(t, ask(mia, secret.ID).err, protocol.ErrForbidden)
	if r := ask(admin, secret.ID); r.err != nil {
		t.Error(r.err)
	}
	users := func(role protocol.RoleID) protocol.RoleID {
		r := w.run(w.s.roleUsers(w.turn(admin), protocol.ListRoleUsers{CommunityID: w.s.id, RoleID: role}))
		return r.reply.(*protocol.RoleUsersGrant).RoleID
	}
	if users(vip.ID) != vip.ID || !users(protocol.RoleID{7}).IsZero() {
		t.Error("leave to read is given for the wrong roles")
	}
}

// A member costs an id and the number of a set; a role that changes costs a few
// sets, and sets that nobody has are used again.
func TestRosterSets(t *testing.T) {
	s, users := crowd(1000)
	role := func(n byte) protocol.RoleID { return protocol.RoleID{n} }
	s.roster.know([]protocol.Role{{ID: role(1), Name: "Moderator", IsDefault: true, Actions: []string{"KICK_USER"}}, {ID: role(2)}})
	for round := range 10 {
		for _, u := range users[:10] {
			s.roster.put(u, []protocol.RoleID{role(2), role(1)})
			s.roster.put(u, []protocol.RoleID{role(byte(round + 10))})
		}
	}
	if n := len(s.roster.sets); n > 4 {
		t.Errorf("%d sets are kept", n)
	}
	s.roster.put(users[0], []protocol.RoleID{role(1), role(2)})
	if !s.roster.actions(users[0]).Has(protocol.ActionKickUser) || s.roster.rank(users[0]) != rules.RankModerator ||
		s.roster.count(role(1)) != 1 || s.roster.count(role(19)) != 9 || s.roster.count(role(3)) != 0 {
		t.Errorf("roster = %+v", s.roster.sets)
	}
	for _, u := range users {
		s.roster.remove(u)
		s.roster.remove(u)
	}
	if len(s.roster.index) != 0 || s.roster.rank(users[0]) != rules.RankNone {
		t.Errorf("%d sets of nobody", len(s.roster.index))
	}
}
