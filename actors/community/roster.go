package community

import (
	"bytes"
	"slices"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// roster is who is a member with which roles. A member costs his id and the
// number of a set of roles: sets are shared, there are few.
type roster struct {
	members map[protocol.UserID]uint32 // index into sets
	sets    []roleSet
	index   map[string]uint32 // of a set, by the bytes of its ids
	known   map[protocol.RoleID]protocol.ActionSet
}

// roleSet is some roles and what they allow together.
type roleSet struct {
	roles   []protocol.RoleID // ordered
	actions protocol.ActionSet
}

func newRoster(roles []protocol.Role, groups []persistence.MemberGroup) roster {
	n := 0
	for _, g := range groups {
		n += len(g.Users)
	}
	r := roster{members: make(map[protocol.UserID]uint32, n), index: map[string]uint32{}}
	r.know(roles)
	for _, g := range groups {
		set := r.intern(g.Roles)
		for _, u := range g.Users {
			r.members[u] = set
		}
	}
	return r
}

// know takes over what the roles allow.
func (r *roster) know(roles []protocol.Role) {
	r.known = make(map[protocol.RoleID]protocol.ActionSet, len(roles))
	for _, role := range roles {
		r.known[role.ID] = protocol.ParseActionSet(role.Actions)
	}
	for i := range r.sets {
		r.sets[i].actions = r.union(r.sets[i].roles)
	}
}

func (r *roster) union(roles []protocol.RoleID) protocol.ActionSet {
	var all protocol.ActionSet
	for _, id := range roles {
		all |= r.known[id]
	}
	return all
}

// intern finds the number of a set of roles, in any order.
func (r *roster) intern(roles []protocol.RoleID) uint32 {
	roles = slices.Clone(roles)
	slices.SortFunc(roles, func(a, b protocol.RoleID) int { return bytes.Compare(a[:], b[:]) })
	roles = slices.Compact(roles)
	key := make([]byte, 0, 16*len(roles))
	for _, id := range roles {
		key = append(key, id[:]...)
	}
	if set, ok := r.index[string(key)]; ok {
		return set
	}
	set := uint32(len(r.sets))
	r.sets = append(r.sets, roleSet{roles, r.union(roles)})
	r.index[string(key)] = set
	return set
}

// put makes the user a member with these roles.
func (r *roster) put(user protocol.UserID, roles []protocol.RoleID) {
	r.members[user] = r.intern(roles)
}

func (r *roster) remove(user protocol.UserID) { delete(r.members, user) }

func (r *roster) has(user protocol.UserID) bool {
	_, ok := r.members[user]
	return ok
}

// actions is what a member's roles allow; nothing for outsiders.
func (r *roster) actions(user protocol.UserID) protocol.ActionSet {
	set, ok := r.members[user]
	if !ok {
		return 0
	}
	return r.sets[set].actions
}

// rolesOf lists a member's roles, ordered by id.
func (r *roster) rolesOf(user protocol.UserID) []protocol.RoleID {
	set, ok := r.members[user]
	if !ok {
		return nil
	}
	return r.sets[set].roles
}

// count is how many members have a role.
func (r *roster) count(role protocol.RoleID) int {
	with := make([]bool, len(r.sets))
	for i := range r.sets {
		with[i] = slices.Contains(r.sets[i].roles, role)
	}
	n := 0
	for _, set := range r.members {
		if with[set] {
			n++
		}
	}
	return n
}
