package cluster

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/cespare/xxhash/v2"
)

// Member is one node of the cluster as this node sees it.
type Member struct {
	ID       string
	Host     string // of remoting; empty for a single node without Listen
	Port     int
	Draining bool // owns nothing new: about to leave, or still joining

	kinds []string
	hash  uint64
	door  *actor.PID // the node's entry process
}

// Address is host:port of the member's remoting.
func (m Member) Address() string { return net.JoinHostPort(m.Host, strconv.Itoa(m.Port)) }

func (m *Member) hosts(kind string) bool {
	return !m.Draining && slices.Contains(m.kinds, kind)
}

// View is the membership as this node sees it. It is immutable; Members is
// sorted by ID and always contains the node itself.
type View struct {
	Members []Member

	self string
}

// Member returns the member with this id.
func (v View) Member(id string) (Member, bool) {
	if m := v.find(id); m != nil {
		return *m, true
	}
	return Member{}, false
}

func (v *View) find(id string) *Member {
	i, ok := slices.BinarySearchFunc(v.Members, id, func(m Member, id string) int { return strings.Compare(m.ID, id) })
	if !ok {
		return nil
	}
	return &v.Members[i]
}

func newView(self string, members []Member) *View {
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	for i := range members {
		members[i].hash = hashNode(members[i].ID)
	}
	return &View{Members: members, self: self}
}

func (v *View) equal(o *View) bool {
	return v.self == o.self && slices.EqualFunc(v.Members, o.Members, func(a, b Member) bool {
		return a.ID == b.ID && a.Host == b.Host && a.Port == b.Port && a.Draining == b.Draining && slices.Equal(a.kinds, b.kinds)
	})
}

// owner is the member that hosts the actor: rendezvous hashing (Thaler,
// Ravishankar 1996) over the ids of the members that take activations of the
// kind. When a member comes or goes only the identities it gains or had move.
// nil when there is no such member. except is left out of the choice.
func (v *View) owner(kind, id, except string) *Member {
	key := hashIdentity(kind, id)
	var best *Member
	var top uint64
	for i := range v.Members {
		m := &v.Members[i]
		if !m.hosts(kind) || m.ID == except {
			continue
		}
		if w := mix(key ^ m.hash); best == nil || w > top {
			best, top = m, w
		}
	}
	return best
}

func hashNode(id string) uint64 { return mix(xxhash.Sum64String(id)) }

func hashIdentity(kind, id string) uint64 {
	return xxhash.Sum64String(id) ^ mix(xxhash.Sum64String(kind))
}

// mix is the finalizer of MurmurHash3: without it, hashes of similar ids weigh
// alike and members get very unequal shares.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}
