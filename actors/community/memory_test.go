package community

import (
	"runtime"
	"testing"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

func TestMemory(t *testing.T) {
	const members, limit = 100_000, 60 << 20
	roles := []protocol.RoleID{protocol.RoleID(protocol.NewID[row]()), protocol.RoleID(protocol.NewID[row]())}
	groups := []persistence.MemberGroup{{Roles: roles[:1]}, {Roles: roles}}
	for i := range members {
		g := &groups[i%2]
		g.Users = append(g.Users, protocol.UserID(protocol.NewRandomID[row]()))
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	s := &State{online: map[protocol.UserID]protocol.Instant{}}
	s.replace(persistence.CommunityRows{Community: &protocol.Community{}, Members: groups})
	rest := heap() - before
	for _, g := range groups {
		for _, u := range g.Users {
			s.online[u] = 1
		}
	}
	full := heap() - before
	t.Logf("%d members: %.1f MB, with everybody online %.1f MB", members, float64(rest)/(1<<20), float64(full)/(1<<20))
	if full > limit {
		t.Errorf("%d bytes for %d members, want at most %d", full, members, limit)
	}
	runtime.KeepAlive(s)
	runtime.KeepAlive(groups)
}
