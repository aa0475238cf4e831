package community

import (
	"runtime"
	"testing"
	"time"

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

// TestLargeCommunity loads a community of the size that is promised from a real
// database and looks for people in it.
func TestLargeCommunity(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	const members, channels, limit = 100_000, 500, 60 << 20
	w, _ := founded(t)
	id := w.s.id
	w.exec(`INSERT INTO app_user (id, username, display_name, password_hash)
		SELECT gen_random_uuid(), 'user' || n, 'Number ' || n, 'x' FROM generate_series(1, $1::int) n`, members)
	w.exec(`INSERT INTO membership (id, user_id, community_id, joined_at)
		SELECT gen_random_uuid(), id, $1, now() FROM app_user WHERE username LIKE 'user%'`, id)
	w.exec(`INSERT INTO role_assignment (id, user_id, community_id, role_id)
		SELECT gen_random_uuid(), m.user_id, $1, r.id FROM membership m JOIN role r ON r.community_id = $1 AND r.name = 'Member'
		WHERE m.community_id = $1`, id)
	w.exec(`INSERT INTO channel (id, name, community_id, position, is_private)
		SELECT gen_random_uuid(), 'c' || n, $1, n, n % 10 = 0 FROM generate_series(1, $2::int) n`, id, channels-1)
	w.exec(`INSERT INTO channel_membership (id, user_id, channel_id)
		SELECT gen_random_uuid(), m.user_id, c.id FROM channel c
		JOIN LATERAL (SELECT user_id FROM membership WHERE community_id = $1 ORDER BY user_id LIMIT 1000) m ON true
		WHERE c.community_id = $1 AND c.is_private`, id)
	w.exec(`ANALYZE`)

	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	start := time.Now()
	w.activate(id)
	took := time.Since(start)
	for u := range w.s.roster.members {
		w.s.online[u] = w.now
	}
	full, list, known := heap(), len(w.s.channels), len(w.s.roster.members)
	w.s = nil
	used := full - heap()
	w.activate(id)
	t.Logf("%d members, %d channels: loaded in %v, %.1f MB with everybody online", known, list, took, float64(used)/(1<<20))
	if used > limit || known != members+1 || list != channels {
		t.Errorf("%d bytes for %d members and %d channels, want at most %d", used, known, list, limit)
	}

	start = time.Now()
	window, err := w.db.Members(t.Context(), id, protocol.MemberPlace{}, protocol.MaxMembers)
	if err != nil || len(window) != protocol.MaxMembers {
		t.Fatalf("%d members, %v", len(window), err)
	}
	t.Logf("a window of members took %v", time.Since(start))
	for _, text := range []string{"", "us", "number 4711", "nobody at all"} {
		start = time.Now()
		list, err := w.db.SearchMembers(t.Context(), id, text, 10)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("searching %q found %d in %v", text, len(list), time.Since(start))
	}
	if _, err := w.s.listChannels(w.turn(protocol.Caller{UserID: window[0].UserID}), protocol.ListChannels{}); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(w)
}
