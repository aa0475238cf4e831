package user

import (
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// maxSockets bounds the sockets of one user.
const maxSockets = 256

var (
	errNoUser      = protocol.ErrUnauthorized
	errManySockets = protocol.Unavailable("Too many connections of this account")
	errEnded       = protocol.ErrUnauthorized
)

// connect tells a socket what it may hear and registers it. The version is the
// one before the read: what changes during it makes the socket ask again.
func (s *State) connect(_ turn.Turn, m *protocol.Connect) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoUser
	}
	return s.rooms(func(t turn.Turn) (turn.Outcome, error) { return s.register(t, m) }), nil
}

// rooms reads what the sockets of the user may hear.
func (s *State) rooms(then turn.Then) turn.Outcome {
	db, id, version := s.db, s.user.ID, s.version
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		topics, rooms, err := db.Topics(ctx, id)
		if err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			out, err := then(t)
			out.Reply = &protocol.Connected{User: s.user, Topics: topics, Version: version, Rooms: rooms}
			return out, err
		}, nil
	}}
}

// register notes a socket, new or known, and sees to presence.
func (s *State) register(t turn.Turn, m *protocol.Connect) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoUser
	}
	k := s.socket(m.Conn)
	switch {
	case k == nil && len(s.sockets) >= maxSockets:
		return turn.Outcome{}, errManySockets
	case k == nil:
		if len(s.sockets) == 0 {
			s.sockets = make([]socket, 0, 1)
		}
		s.sockets = append(s.sockets, socket{})
		k = &s.sockets[len(s.sockets)-1]
	case k.closing:
		return turn.Outcome{}, errEnded
	}
	*k = socket{conn: m.Conn, node: m.Node, session: m.Session, token: m.Token, idle: m.Idle, parked: m.Parked, beat: t.Now}
	var out turn.Outcome
	if m.Parked {
		out.Timers = s.vanished()
	} else {
		out.Timers = s.appeared()
	}
	if !s.sweeping {
		s.sweeping = true
		out.Timers = append(out.Timers, turn.Timer{After: s.cfg.Sweep, Msg: &sweep{}})
	}
	return out, nil
}

// heartbeat renews a registration. The answer has no topics: a socket whose
// version differs asks for them.
func (s *State) heartbeat(t turn.Turn, m *protocol.Heartbeat) (turn.Outcome, error) {
	out, err := s.register(t, &m.Connect)
	if err != nil {
		return turn.Outcome{}, err
	}
	out.Reply = &protocol.Connected{User: s.user, Version: s.version}
	return out, nil
}

// syncRooms answers with topics only when they may have changed: for this user,
// or for many because a channel of a community opened, closed or went.
func (s *State) syncRooms(_ turn.Turn, m *protocol.SyncRooms) (turn.Outcome, error) {
	switch {
	case s.missing:
		return turn.Outcome{}, errNoUser
	case m.Version != s.version:
		return s.readRooms(), nil
	}
	db, id := s.db, s.user.ID
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		rooms, err := db.RoomsVersion(ctx, id)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			if m.Version != s.version || m.Rooms != rooms {
				return s.readRooms(), nil
			}
			return turn.Outcome{Reply: &protocol.Connected{User: s.user, Version: s.version, Rooms: rooms}}, nil
		}, nil
	}}, nil
}

func (s *State) readRooms() turn.Outcome {
	return s.rooms(func(turn.Turn) (turn.Outcome, error) { return turn.Outcome{}, nil })
}

func (s *State) disconnect(_ turn.Turn, m *protocol.Disconnect) (turn.Outcome, error) {
	s.drop(func(k socket) bool { return k.conn == m.Conn })
	return turn.Outcome{Timers: s.vanished()}, nil
}

// endSessions closes sockets of a login, of an access token, or all, on every
// node: also those that have not registered with this activation. From now on
// they don't count and can't come back.
func (s *State) endSessions(_ turn.Turn, m *protocol.EndSessions) (turn.Outcome, error) {
	s.closing(m.Session, m.Token)
	return turn.Outcome{
		Closes:     []protocol.CloseSockets{{User: s.user.ID, Session: m.Session, Token: m.Token, Reason: m.Reason}},
		Everywhere: true,
		Timers:     s.vanished(),
	}, nil
}

// closing marks the sockets of a login, of an access token, or all.
func (s *State) closing(session protocol.SessionID, token protocol.AnyID) {
	for i := range s.sockets {
		k := &s.sockets[i]
		if (session.IsZero() || k.session == session) && (token.IsZero() || k.token == token) {
			k.closing = true
		}
	}
}

// accountGone closes the sockets of a deleted account and announces at once that
// it is offline, while its communities still know it.
func (s *State) accountGone(t turn.Turn, m *protocol.AccountGone) (turn.Outcome, error) {
	s.missing = true
	s.closing(protocol.SessionID{}, protocol.AnyID{})
	s.online = false
	s.absence++ // ends a grace period
	var out turn.Outcome
	var err error
	if s.beginAnnouncement(t) {
		out, err = s.tellPresence(t)
	}
	out.Closes = []protocol.CloseSockets{{User: s.user.ID, Reason: m.Reason}}
	out.Everywhere = true
	return out, err
}

// settle is the timer at which an activation knows all its sockets.
type settle struct{}

func (s *State) start(turn.Turn) turn.Outcome {
	return turn.Outcome{Timers: []turn.Timer{{After: s.cfg.DeadAfter, Msg: &settle{}}}}
}

func (s *State) settle(turn.Turn, *settle) (turn.Outcome, error) {
	s.settled = true
	return turn.Outcome{}, nil
}

// sweep is the timer that looks over the sockets.
type sweep struct{}

// sweepSockets drops sockets that are gone without a word, says again to the
// communities that the user is online, and sees to lastSeen.
func (s *State) sweepSockets(t turn.Turn, _ *sweep) (turn.Outcome, error) {
	nodes := s.nodes()
	s.drop(func(k socket) bool {
		return k.closing || t.Now-k.beat > instants(s.cfg.DeadAfter) || !slices.Contains(nodes, k.node)
	})
	var out turn.Outcome
	if n, _ := s.live(); n > 0 {
		out = s.repeat(t)
	} else {
		out.Timers = s.vanished()
	}
	s.sweeping = len(s.sockets) > 0
	if s.sweeping {
		out.Timers = append(out.Timers, turn.Timer{After: s.cfg.Sweep, Msg: &sweep{}})
	}
	return out, nil
}
