package community

import (
	"bytes"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// roster is who is a member with which roles. A member costs his id and the
// number of a set of roles: sets are shared, there are few.
type roster struct {
	members map[protocol.UserID]uint32 // index into sets
	sets    []roleSet
	index   map[string]uint32 // of a set, by the bytes of its ids
	free    []uint32          // sets that nobody has any more
	known   map[protocol.RoleID]knownRole
}

// roleSet is some roles and what they are worth together.
type roleSet struct {
	roles   []protocol.RoleID // ordered
	actions protocol.ActionSet
	rank    int
	members int // who have exactly these
}

// knownRole is what a role is worth.
type knownRole struct {
	actions protocol.ActionSet
	rank    int
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
		r.sets[set].members += len(g.Users)
		for _, u := range g.Users {
			r.members[u] = set
		}
	}
	return r
}

// know takes over what the roles are worth.
func (r *roster) know(roles []protocol.Role) {
	r.known = make(map[protocol.RoleID]knownRole, len(roles))
	for _, role := range roles {
		r.known[role.ID] = knownRole{protocol.ParseActionSet(role.Actions), rules.Rank(false, []protocol.Role{role})}
	}
	for i := range r.sets {
		r.sets[i].weigh(r.known)
	}
}

func (s *roleSet) weigh(known map[protocol.RoleID]knownRole) {
	s.actions, s.rank = 0, rules.RankNone
	for _, id := range s.roles {
		s.actions |= known[id].actions
		s.rank = max(s.rank, known[id].rank)
	}
}

// intern finds the number of a set of roles, in any order.
func (r *roster) intern(roles []protocol.RoleID) uint32 {
	roles = slices.Clone(roles)
	slices.SortFunc(roles, func(a, b protocol.RoleID) int { return bytes.Compare(a[:], b[:]) })
	roles = slices.Compact(roles)
	key := keyOf(roles)
	if set, ok := r.index[key]; ok {
		return set
	}
	s := roleSet{roles: roles}
	s.weigh(r.known)
	set := uint32(len(r.sets))
	if n := len(r.free); n > 0 {
		set, r.free = r.free[n-1], r.free[:n-1]
		r.sets[set] = s
	} else {
		r.sets = append(r.sets, s)
	}
	r.index[key] = set
	return set
}

func keyOf(roles []protocol.RoleID) string {
	key := make([]byte, 0, 16*len(roles))
	for _, id := range roles {
		key = append(key, id[:]...)
	}
	return string(key)
}

// put makes the user a member with these roles.
func (r *roster) put(user protocol.UserID, roles []protocol.RoleID) {
	set := r.intern(roles)
	r.sets[set].members++
	r.remove(user)
	r.members[user] = set
}

func (r *roster) remove(user protocol.UserID) {
	set, ok := r.members[user]
	if !ok {
		return
	}
	delete(r.members, user)
	if r.sets[set].members--; r.sets[set].members == 0 {
		delete(r.index, keyOf(r.sets[set].roles))
		r.sets[set] = roleSet{}
		r.free = append(r.free, set)
	}
}

// count is how many members have a role.
func (r *roster) count(role protocol.RoleID) int {
	n := 0
	for i := range r.sets {
		if slices.Contains(r.sets[i].roles, role) {
			n += r.sets[i].members
		}
	}
	return n
}

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

// rank is that of a member's roles; none for outsiders.
func (r *roster) rank(user protocol.UserID) int {
	set, ok := r.members[user]
	if !ok {
		return rules.RankNone
	}
	return r.sets[set].rank
}

// rolesOf lists a member's roles, ordered by id.
func (r *roster) rolesOf(user protocol.UserID) []protocol.RoleID {
	set, ok := r.members[user]
	if !ok {
		return nil
	}
	return r.sets[set].roles
}
