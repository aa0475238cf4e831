package instance

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"math"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// codeBytes make a code of 12 characters of A-Za-z0-9_-, 72 bits.
const codeBytes = 9

func newCode() string {
	b := make([]byte, codeBytes)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func inviteCommunity(invite protocol.InviteID, community protocol.CommunityID) protocol.InviteCommunity {
	return protocol.InviteCommunity{ID: protocol.AnyID(protocol.NewID[row]()), InviteID: invite, CommunityID: community}
}

// createInvite makes an invite to the instance and to communities in which the
// caller may place people.
func (s *State) createInvite(t turn.Turn, req protocol.CreateInvite) (turn.Outcome, error) {
	if req.MaxUses != nil && *req.MaxUses > math.MaxInt32 {
		return turn.Outcome{}, protocol.Invalid([]protocol.FieldError{{
			Field: "maxUses", Rule: "max", Message: "maxUses must not be greater than 2147483647",
		}})
	}
	creator := t.Caller.UserID
	i := protocol.Invite{
		ID: protocol.InviteID(protocol.NewID[row]()), Code: newCode(), CreatedByID: &creator,
		MaxUses: req.MaxUses, ValidUntil: req.ValidUntil, CreatedAt: t.Now,
		DefaultCommunities: []protocol.InviteCommunity{}, Usages: []protocol.InviteUsage{},
	}
	seen := map[protocol.CommunityID]bool{}
	for _, c := range req.CommunityIDs {
		if !seen[c] {
			seen[c] = true
			i.DefaultCommunities = append(i.DefaultCommunities, inviteCommunity(i.ID, c))
		}
	}
	db, owner, asOwner := s.db, t.Owner, t.Caller.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.CreateInvite(ctx, owner, i, asOwner); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.rows.HasInvites = true
			return turn.Outcome{Reply: &i}, nil
		}, nil
	}}, nil
}

// deleteInvite deletes an invite of the caller's, or of anybody's when he owns
// the instance.
func (s *State) deleteInvite(t turn.Turn, req protocol.DeleteInvite) (turn.Outcome, error) {
	db, owner, by, asOwner := s.db, t.Owner, t.Caller.UserID, t.Caller.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		others, err := db.DeleteInvite(ctx, owner, req.Code, by, asOwner)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.rows.HasInvites = others
			return turn.Outcome{Reply: &protocol.None{}}, nil
		}, nil
	}}, nil
}
