package community

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// What is said of public channels, whose members nobody manages.
var (
	errAddToPublic = protocol.Forbidden("Cannot manage membership for public channels - " +
		"users automatically join public channels when they join the community")
	errListPublic = protocol.Forbidden("This endpoint is only for private channels. " +
		"Public channel members are managed automatically through community membership.")
	errGetPublic        = protocol.Forbidden("This endpoint is only for private channels")
	errRemoveFromPublic = protocol.Forbidden("Cannot remove users from public channels - " +
		"users automatically leave public channels when they leave the community")
)

var (
	errNoUser          = protocol.NotFound("User not found")
	errOutsider        = protocol.Forbidden("User must be a member of the community before being added to a private channel")
	errAlreadyInside   = protocol.Conflict("User is already a member of this channel")
	errNoChannelMember = protocol.NotFound("Channel membership not found")
)

// addChannelMember lets a member of the community into a private channel.
func (s *State) addChannelMember(t turn.Turn, req protocol.AddChannelMember) (turn.Outcome, error) {
	c, err := s.visible(t.Caller, req.ChannelID)
	switch {
	case err != nil:
		return turn.Outcome{}, err
	case !c.IsPrivate:
		return turn.Outcome{}, errAddToPublic
	case !s.roster.has(req.UserID):
		return s.refuseOutsider(req.UserID), nil
	case s.inside(c, req.UserID):
		return turn.Outcome{}, errAlreadyInside
	}
	by := t.Caller.UserID
	m := protocol.ChannelMembership{
		ID: protocol.AnyID(protocol.NewRandomID[row]()), UserID: req.UserID, ChannelID: c.ID, JoinedAt: t.Now, AddedBy: &by,
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.AddChannelMember(ctx, owner, m); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			s.letIn(c.ID, m.UserID)
			return s.takeBackIn(t, c.ID, []protocol.UserID{m.UserID}, grown(s.openTo(m.UserID, c, &m)))
		}, nil
	}}, nil
}

// refuseOutsider tells whether there is such a user at all.
func (s *State) refuseOutsider(user protocol.UserID) turn.Outcome {
	db := s.db
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		switch there, err := db.UserExists(ctx, user); {
		case err != nil:
			return nil, err
		case !there:
			return nil, errNoUser
		}
		return nil, errOutsider
	}}
}

func (s *State) listChannelMembers(t turn.Turn, req protocol.ListChannelMembers) (turn.Outcome, error) {
	return s.grantChannel(t, req.ChannelID, errListPublic)
}

func (s *State) getChannelMember(t turn.Turn, req protocol.GetChannelMember) (turn.Outcome, error) {
	return s.grantChannel(t, req.ChannelID, errGetPublic)
}

func (s *State) grantChannel(t turn.Turn, id protocol.ChannelID, public error) (turn.Outcome, error) {
	c, err := s.visible(t.Caller, id)
	switch {
	case err != nil:
		return turn.Outcome{}, err
	case !c.IsPrivate:
		return turn.Outcome{}, public
	}
	return turn.Outcome{Reply: &protocol.ChannelMembersGrant{}}, nil
}

func (s *State) removeChannelMember(t turn.Turn, req protocol.RemoveChannelMember) (turn.Outcome, error) {
	c, err := s.visible(t.Caller, req.ChannelID)
	if err != nil {
		return turn.Outcome{}, err
	}
	return s.closeTo(t, req.UserID, c)
}

// leaveChannel needs no permission: outsiders learn only that they are not in.
func (s *State) leaveChannel(t turn.Turn, req protocol.LeaveChannel) (turn.Outcome, error) {
	c, ok := s.channel(req.ChannelID)
	switch {
	case !ok:
		return turn.Outcome{}, errNoChannel
	case !s.roster.has(t.Caller.UserID):
		if _, in := s.private[c.ID][t.Caller.UserID]; !in {
			return turn.Outcome{}, errNoChannelMember
		}
	}
	return s.closeTo(t, t.Caller.UserID, c)
}

// closeTo ends somebody's membership of a private channel. His sockets leave it
// when the channel lets him do nothing more.
func (s *State) closeTo(t turn.Turn, user protocol.UserID, c protocol.Channel) (turn.Outcome, error) {
	switch {
	case !c.IsPrivate:
		return turn.Outcome{}, errRemoveFromPublic
	case !s.inside(c, user):
		return turn.Outcome{}, errNoChannelMember
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.RemoveChannelMember(ctx, owner, c.ID, user); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			delete(s.private[c.ID], user)
			return s.takeBackIn(t, c.ID, []protocol.UserID{user}, func(_ turn.Turn, confirmed bool) (turn.Outcome, error) {
				return s.showOutOf(c, user, confirmed), nil
			})
		}, nil
	}}, nil
}

// showOutOf makes the sockets leave a channel, even when the user's actor does
// not answer.
func (s *State) showOutOf(c protocol.Channel, user protocol.UserID, confirmed bool) turn.Outcome {
	return turn.Outcome{
		Asks: []turn.Ask{{
			Kind: protocol.KindUser, ID: user.String(),
			Msg: &protocol.ChannelClosed{Community: s.id, Channel: c.ID},
		}},
		Then: func(_ turn.Turn, answers []turn.Answer) (turn.Outcome, error) {
			if !confirmed {
				return turn.Outcome{}, errUnconfirmed
			}
			var out turn.Outcome
			if answers[0].Err != nil {
				out.Rooms = []protocol.Rooms{{Of: protocol.UserTopic(user), Leave: []protocol.Topic{protocol.ChannelTopic(c.ID)}}}
				out.Everywhere = true
			}
			return out, nil
		},
	}
}
