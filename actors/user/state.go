package user

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// State is one user in memory.
type State struct {
	cfg   *Config
	db    *persistence.DB
	nodes func() []string // of the cluster, as this node sees it

	missing     bool
	user        protocol.PublicUser
	communities []protocol.CommunityID // in the order of joining
	groups      []protocol.GroupID     // of direct messages, as of the last announcement
	version     int64                  // of what the sockets may hear

	sockets  []socket // few: a slice takes less than a map
	sweeping bool
	settled  bool // every socket has had time to register with this activation

	online     bool             // sockets, or within the grace period
	announced  bool             // what the communities were told last
	announcing bool             // they are being told
	absence    int              // number of the grace period that runs or ran last
	repeated   protocol.Instant // when the communities were last told that the user is online
	seen       protocol.Instant // when last_seen was last written

	marks []persistence.Mark // watermarks that Postgres may not have yet, oldest first
}

// socket is one registered connection.
type socket struct {
	conn    protocol.ConnID
	node    string
	session protocol.SessionID
	token   protocol.AnyID
	idle    bool
	beat    protocol.Instant
	closing bool // told to close: counts for nothing
	parked  bool // its client is away
}

func load(ctx context.Context, cfg *Config, db *persistence.DB, id protocol.UserID, now protocol.Instant) (*State, error) {
	rows, err := db.User(ctx, id)
	if err != nil {
		return nil, err
	}
	s := &State{
		cfg: cfg, db: db, missing: rows.User == nil, communities: slices.Clip(rows.Communities), version: int64(now),
	}
	s.user.ID = id
	if rows.User != nil {
		s.user = *rows.User
	}
	return s, nil
}

// socket finds a connection; nil when it is not registered.
func (s *State) socket(id protocol.ConnID) *socket {
	for i := range s.sockets {
		if s.sockets[i].conn == id {
			return &s.sockets[i]
		}
	}
	return nil
}

// drop forgets the sockets that match.
func (s *State) drop(match func(socket) bool) {
	if s.sockets = slices.DeleteFunc(s.sockets, match); len(s.sockets) == 0 {
		s.sockets = nil
	}
}

// audience is the nodes that hold sockets of the user. Of an activation that is
// not settled yet it is all nodes: sockets that registered with the one before
// must not miss anything, least of all their end.
func (s *State) audience() []string {
	if !s.settled {
		return s.nodes()
	}
	var nodes []string
	for i := range s.sockets {
		k := &s.sockets[i]
		if !slices.Contains(nodes, k.node) {
			nodes = append(nodes, k.node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

func (s *State) busy() bool {
	return len(s.sockets) > 0 || s.online || s.announced || s.announcing
}

// live counts the sockets that were not told to close and have a client.
func (s *State) live() (n, active int) {
	for i := range s.sockets {
		k := &s.sockets[i]
		if k.closing || k.parked {
			continue
		}
		n++
		if !k.idle {
			active++
		}
	}
	return n, active
}

// event is something for the user's own sockets.
func (s *State) event(name string, payload any) (protocol.Event, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return protocol.Event{}, fmt.Errorf("encode %s: %w", name, err)
	}
	return protocol.Event{Name: name, Topics: []protocol.Topic{protocol.UserTopic(s.user.ID)}, Payload: body}, nil
}

func instants(d time.Duration) protocol.Instant { return protocol.Instant(d.Milliseconds()) }
