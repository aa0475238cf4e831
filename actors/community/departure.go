package community

import (
	"context"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errNoMember = protocol.NotFound("Membership not found")
	errRank     = protocol.Forbidden("Cannot kick a user with equal or higher role")
	errLast     = protocol.Conflict("The last Community Admin cannot leave: give the role to another member or delete the community")
)

// departure is a member whose rows are gone.
type departure struct {
	user   protocol.UserID
	rows   persistence.Departed
	events []protocol.Event // about it: to the user and to the members, before his sockets leave
	reply  any
}

// dropMember takes a member out of the state, takes back what channels hold of
// him, and has his sockets leave every room of the community. It follows the
// transaction of all that ends a membership: leaving, removal, kick, ban.
func (s *State) dropMember(t turn.Turn, d departure) (turn.Outcome, error) {
	s.roster.remove(d.user)
	for _, in := range s.private {
		delete(in, d.user)
	}
	delete(s.online, d.user)
	out, err := s.takeBack(t, []protocol.UserID{d.user}, func(_ turn.Turn, confirmed bool) (turn.Outcome, error) {
		return s.showOut(d, confirmed), nil
	})
	out.Events, out.Everywhere = slices.Concat(d.events, out.Events), true
	return out, err
}

// showOut makes the sockets leave. Should the user's actor not answer, they are
// taken out without it; one that connects meanwhile reads where it belongs.
func (s *State) showOut(d departure, confirmed bool) turn.Outcome {
	m := &protocol.MemberLeft{Community: s.id, Channels: s.channelIDs(), Aliases: d.rows.Aliases}
	return turn.Outcome{
		Asks: []turn.Ask{{Kind: protocol.KindUser, ID: d.user.String(), Msg: m}},
		Then: func(_ turn.Turn, answers []turn.Answer) (turn.Outcome, error) {
			if !confirmed {
				return turn.Outcome{}, errUnconfirmed
			}
			out := turn.Outcome{Reply: d.reply}
			if answers[0].Err != nil {
				out.Rooms = []protocol.Rooms{{Of: protocol.UserTopic(d.user), Leave: m.Topics()}}
				out.Everywhere = true
			}
			return out, nil
		},
	}
}

// removeMember takes somebody out whom the caller outranks; whoever removes
// himself leaves.
func (s *State) removeMember(t turn.Turn, req protocol.RemoveMember) (turn.Outcome, error) {
	switch {
	case !s.roster.has(req.UserID):
		return turn.Outcome{}, errNoMember
	case req.UserID == t.Caller.UserID:
		return s.leaveCommunity(t, protocol.LeaveCommunity{CommunityID: s.id})
	case s.rank(t.Caller.UserID, t.Caller.Owner) <= s.rank(req.UserID, false):
		return turn.Outcome{}, errRank
	}
	return s.depart(t, req.UserID, errRank, func() (protocol.Event, error) {
		return s.eventAbout(req.UserID, "userKicked", protocol.UserKicked{
			CommunityID: s.id, UserID: req.UserID, ModeratorID: t.Caller.UserID,
		})
	})
}

// leaveCommunity takes the caller out, unless nobody could manage the community
// then.
func (s *State) leaveCommunity(t turn.Turn, _ protocol.LeaveCommunity) (turn.Outcome, error) {
	user := t.Caller.UserID
	switch {
	case !s.roster.has(user):
		return turn.Outcome{}, errNoMember
	case s.lastAdmin(user):
		return turn.Outcome{}, errLast
	}
	return s.depart(t, user, nil, nil)
}

// depart ends a membership; event, if any, tells of it.
func (s *State) depart(t turn.Turn, user protocol.UserID, spareOwner error, event func() (protocol.Event, error)) (turn.Outcome, error) {
	db, owner, id := s.db, t.Owner, s.id
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		rows, err := db.RemoveMember(ctx, owner, id, user, spareOwner)
		if err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			d := departure{user: user, rows: rows}
			if event != nil {
				e, err := event()
				if err != nil {
					return turn.Outcome{}, err
				}
				d.events = append(d.events, e)
			}
			return s.dropMember(t, d)
		}, nil
	}}, nil
}

// rank is the place of a user in the community.
func (s *State) rank(user protocol.UserID, owner bool) int {
	if owner {
		return rules.RankOwner
	}
	return s.roster.rank(user)
}

// lastAdmin reports whether a member is a Community Admin and nobody else is.
func (s *State) lastAdmin(user protocol.UserID) bool {
	admin, ok := s.role(rules.RoleCommunityAdmin)
	if !ok || !slices.Contains(s.roster.rolesOf(user), admin.ID) {
		return false
	}
	return s.roster.count(admin.ID) == 1
}

// eventAbout is something that a user, who need not be a member any more, and
// all members are told. A socket gets one copy.
func (s *State) eventAbout(user protocol.UserID, name string, payload any) (protocol.Event, error) {
	e, err := s.event(name, payload)
	e.Topics = append([]protocol.Topic{protocol.UserTopic(user)}, e.Topics...)
	return e, err
}

func (s *State) channelIDs() []protocol.ChannelID {
	ids := make([]protocol.ChannelID, len(s.channels))
	for i, c := range s.channels {
		ids[i] = c.ID
	}
	return ids
}
