package user

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errGroupSize = protocol.BadRequest(fmt.Sprintf("A DM group can have at most %d members", protocol.MaxGroupMembers))
	errGroupName = protocol.Invalid([]protocol.FieldError{{Field: "name", Rule: "isText", Message: "name must not contain NUL or invalid characters"}})
)

// openRounds is how often a group is opened that its last member leaves in the
// same moment.
const openRounds = 3

// createGroup opens a conversation with others. It is answered when the group
// knows its members and their sockets are in its room.
func (s *State) createGroup(t turn.Turn, req protocol.CreateDirect) (turn.Outcome, error) {
	if s.missing {
		return turn.Outcome{}, errNoUser
	}
	n := persistence.NewGroup{ID: req.ID, Creator: s.user.ID, Members: []protocol.UserID{s.user.ID}, Name: req.Name, At: t.Now}
	for _, u := range req.UserIDs {
		if !slices.Contains(n.Members, u) {
			n.Members = append(n.Members, u)
		}
	}
	switch {
	case len(n.Members) > protocol.MaxGroupMembers:
		return turn.Outcome{}, errGroupSize
	case n.Name != nil && !rules.Storable(*n.Name):
		return turn.Outcome{}, errGroupName
	}
	n.IsGroup = len(n.Members) > 2
	if req.IsGroup != nil {
		n.IsGroup = *req.IsGroup
	}
	return s.openGroup(n, openRounds), nil
}

func (s *State) openGroup(n persistence.NewGroup, rounds int) turn.Outcome {
	db := s.db
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		id, err := db.OpenGroup(ctx, n)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) { return s.groupOpened(id, n, rounds), nil }, nil
	}}
}

// groupOpened has the group let its members in.
func (s *State) groupOpened(id protocol.GroupID, n persistence.NewGroup, rounds int) turn.Outcome {
	return turn.Outcome{
		Asks: []turn.Ask{{Kind: protocol.KindDM, ID: id.String(), Msg: &protocol.GroupOpened{Users: n.Members}}},
		Then: func(_ turn.Turn, answers []turn.Answer) (turn.Outcome, error) {
			err := answers[0].Err
			switch {
			case errors.Is(err, protocol.NotFound("")) && rounds > 1: // the last one has just left it
				return s.openGroup(n, rounds-1), nil
			case err != nil:
				return turn.Outcome{}, err
			}
			return turn.Outcome{Reply: &protocol.DirectGrant{ID: id}}, nil
		},
	}
}

// pairChanged answers when the conversation of two users, if they have one,
// knows that one blocks the other, or does no longer.
func (s *State) pairChanged(id protocol.GroupID, blocked bool) turn.Outcome {
	done := turn.Outcome{Reply: &protocol.Success{Success: true}}
	if id.IsZero() {
		return done
	}
	return turn.Outcome{
		Asks: []turn.Ask{{Kind: protocol.KindDM, ID: id.String(), Msg: &protocol.PairBlocked{Blocked: blocked}}},
		Then: func(_ turn.Turn, answers []turn.Answer) (turn.Outcome, error) {
			if answers[0].Err != nil {
				return turn.Outcome{}, errUnconfirmed
			}
			return done, nil
		},
	}
}

// errUnconfirmed answers a change that is stored while the conversation may not
// know of it: the same request may be sent again.
var errUnconfirmed = protocol.Unavailable("The change is stored, but not confirmed everywhere yet, please retry")
