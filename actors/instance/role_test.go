package instance

import (
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/protocol"
)

func (w *world) newRole(name string, actions ...string) (protocol.Role, error) {
	w.t.Helper()
	r := w.run(w.s.createRole(w.turn(protocol.Caller{}), protocol.CreateInstanceRole{
		ID: protocol.RoleID(protocol.NewID[row]()), Name: name, Actions: actions,
	}))
	if r.err != nil {
		return protocol.Role{}, r.err
	}
	return *r.reply.(*protocol.Role), nil
}

func (w *world) update(by protocol.Caller, id protocol.RoleID, name string, actions ...string) result {
	w.t.Helper()
	req := protocol.UpdateInstanceRole{RoleID: id}
	if name != "" {
		req.Name = &name
	}
	if actions != nil {
		req.Actions = &actions
	}
	return w.run(w.s.updateRole(w.turn(by), req))
}

func (w *world) assign(by protocol.Caller, id protocol.RoleID, who protocol.UserID) result {
	w.t.Helper()
	return w.run(w.s.assignRole(w.turn(by), protocol.AssignInstanceRole{RoleID: id, UserID: who}))
}

func (w *world) unassign(by protocol.Caller, id protocol.RoleID, who protocol.UserID) result {
	w.t.Helper()
	return w.run(w.s.unassignRole(w.turn(by), protocol.UnassignInstanceRole{RoleID: id, UserID: who}))
}

func (w *world) defaultRole(name string) protocol.Role {
	w.t.Helper()
	list, err := w.db.InstanceRoles(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return list[slices.IndexFunc(list, func(r protocol.Role) bool { return r.Name == name })]
}

func TestInstanceRoles(t *testing.T) {
	t.Parallel()
	w, owner, community := ready(t)
	mia := w.user("mia", w.invite(owner, protocol.CreateInvite{}).Code)
	manager := protocol.Caller{UserID: mia.ID, Actions: protocol.NewActionSet(protocol.ActionUpdateUser, protocol.ActionReadUser)}
	admin := w.defaultRole("Instance Admin")
	var inCommunity, unknown protocol.RoleID
	if err := w.db.Pool().QueryRow(t.Context(), `SELECT id FROM role WHERE community_id = $1 LIMIT 1`, community).Scan(&inCommunity); err != nil {
		t.Fatal(err)
	}
	unknown = protocol.RoleID(protocol.NewID[row]())
	notFound := protocol.NotFound("Role with ID " + unknown.String() + " not found")
	notInstance := protocol.NotFound("Instance role not found")

	auditor, err := w.newRole("Auditor", "READ_USER", "READ_INSTANCE_STATS", "READ_USER")
	if err != nil || auditor.IsDefault || !slices.Equal(auditor.Actions, []string{"READ_USER", "READ_INSTANCE_STATS"}) {
		t.Fatalf("role = %+v, %v", auditor, err)
	}
	if list, err := w.db.InstanceRoles(t.Context()); err != nil || len(list) != 5 || list[4].ID != auditor.ID {
		t.Errorf("a role that nobody has is not listed: %+v, %v", list, err)
	}
	_, err = w.newRole("Auditor", "READ_USER")
	wantError(t, err, protocol.Conflict(`Role with name "Auditor" already exists`))
	_, err = w.newRole("Auditor", "READ_USER", "KICK_USER", "CREATE_MESSAGE")
	wantError(t, err, protocol.BadRequest("Actions not valid for instance roles: KICK_USER, CREATE_MESSAGE"))
	if _, err = w.newRole("Founder", "CREATE_COMMUNITY", "READ_ALL_COMMUNITIES", "DELETE_COMMUNITY", "UNBAN_USER", "READ_MEMBER"); err != nil {
		t.Error(err)
	}

	t.Run("update", func(t *testing.T) {
		wantError(t, w.update(owner, unknown, "x").err, notFound)
		wantError(t, w.update(owner, inCommunity, "x").err, notInstance)
		wantError(t, w.update(owner, admin.ID, "Boss").err, errRenameDefault)
		wantError(t, w.update(owner, auditor.ID, "Founder").err, protocol.Conflict(`Role with name "Founder" already exists`))
		wantError(t, w.update(owner, auditor.ID, "", "KICK_USER").err, protocol.BadRequest("Actions not valid for instance roles: KICK_USER"))
		wantError(t, w.update(manager, auditor.ID, "", "READ_USER", "DELETE_USER").err,
			protocol.Forbidden("Cannot grant permissions you do not have: DELETE_USER"))
		if r := w.update(manager, auditor.ID, "", "READ_USER", "READ_INSTANCE_STATS", "UPDATE_USER"); r.err != nil {
			t.Errorf("what the role has already: %v", r.err)
		}
		if r := w.update(owner, w.defaultRole("Community Creator").ID, "", rules.InstanceRoles()[1].Names()...); r.err != nil {
			t.Errorf("a default role as it is: %v", r.err)
		}
		r := w.update(owner, auditor.ID, "Auditors")
		if got := r.reply.(*protocol.Role); got.Name != "Auditors" || len(got.Actions) != 3 || len(r.accounts) != 0 {
			t.Errorf("role = %+v, told of %v", got, r.accounts)
		}
	})
	t.Run("assign", func(t *testing.T) {
		wantError(t, w.assign(owner, unknown, mia.ID).err, protocol.NotFound("Role not found"))
		wantError(t, w.assign(owner, inCommunity, mia.ID).err, notInstance)
		wantError(t, w.assign(owner, auditor.ID, protocol.UserID(unknown)).err, protocol.NotFound("User not found"))
		wantError(t, w.assign(manager, auditor.ID, mia.ID).err, protocol.Forbidden("Cannot grant permissions you do not have: READ_INSTANCE_STATS"))
		if r := w.assign(owner, auditor.ID, mia.ID); r.err != nil || !slices.Equal(r.accounts, []protocol.UserID{mia.ID}) {
			t.Errorf("result = %+v", r)
		}
		wantError(t, w.assign(owner, auditor.ID, mia.ID).err, protocol.Conflict("User already has this instance role"))
		if s, err := w.db.AccountState(t.Context(), mia.ID, w.now); err != nil || !s.Actions.Has(protocol.ActionReadInstanceStats) {
			t.Errorf("account = %+v, %v", s, err)
		}
		if r := w.update(owner, auditor.ID, "", "READ_USER"); r.err != nil || !slices.Equal(r.accounts, []protocol.UserID{mia.ID}) {
			t.Errorf("who has the role is not told: %+v", r)
		}
		if list, err := w.db.InstanceRolesOf(t.Context(), mia.ID); err != nil || len(list) != 1 || list[0].ID != auditor.ID {
			t.Errorf("roles = %+v, %v", list, err)
		}
	})
	t.Run("many have it", func(t *testing.T) {
		w.exec(`INSERT INTO app_user (id, username, password_hash) SELECT gen_random_uuid(), 'many' || n, 'x' FROM generate_series(0, $1::int) AS n`, maxTold)
		w.exec(`INSERT INTO role_assignment (id, user_id, role_id) SELECT gen_random_uuid(), id, $1 FROM app_user WHERE username LIKE 'many%'`, auditor.ID)
		if r := w.update(owner, auditor.ID, "", "READ_USER", "UPDATE_USER"); r.err != nil || !slices.Equal(r.accounts, []protocol.UserID{protocol.Everybody}) {
			t.Errorf("result = %+v", r)
		}
		w.exec(`DELETE FROM app_user WHERE username LIKE 'many%'`)
	})
	t.Run("unassign and delete", func(t *testing.T) {
		none := protocol.NotFound("User role assignment not found")
		remove := func(id protocol.RoleID) error {
			return w.run(w.s.deleteRole(w.turn(owner), protocol.DeleteInstanceRole{RoleID: id})).err
		}
		wantError(t, remove(unknown), notFound)
		wantError(t, remove(inCommunity), notInstance)
		wantError(t, remove(admin.ID), errDeleteAdmin)
		wantError(t, remove(auditor.ID), protocol.BadRequest("Cannot delete role with 1 assigned user(s). Remove all role assignments first."))
		wantError(t, w.unassign(owner, unknown, mia.ID).err, none)
		wantError(t, w.unassign(owner, inCommunity, mia.ID).err, none)
		wantError(t, w.unassign(owner, auditor.ID, owner.UserID).err, none)
		wantError(t, w.unassign(protocol.Caller{}, auditor.ID, mia.ID).err, protocol.Forbidden("Cannot grant permissions you do not have: READ_USER, UPDATE_USER"))
		if r := w.unassign(owner, auditor.ID, mia.ID); r.err != nil || !slices.Equal(r.accounts, []protocol.UserID{mia.ID}) {
			t.Errorf("result = %+v", r)
		}
		wantError(t, w.unassign(owner, auditor.ID, mia.ID).err, none)
		if err := remove(auditor.ID); err != nil {
			t.Error(err)
		}
	})
}
