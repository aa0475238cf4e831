package gate

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

// Mark stands for all that this node was told of an account. Who takes it before
// he authenticates somebody can tell with Renew whether that still holds.
func (g *Gate) Mark(user protocol.UserID) uint32 { return g.accounts.mark(user).Load() }

// Renew judges again somebody who was authenticated when his account had that
// mark, as long ago as it may be: his rights, ban and revocations are those of
// now. It costs next to nothing while nothing became known of the account, also
// while Postgres is away. Errors are those of Authenticate.
func (g *Gate) Renew(ctx context.Context, who protocol.Caller, mark uint32) (protocol.Caller, uint32, error) {
	now := g.Mark(who.UserID)
	if now == mark {
		return who, mark, nil
	}
	account, err := g.accounts.get(ctx, who.UserID)
	if err != nil {
		return protocol.Caller{}, mark, err
	}
	if err := account.refuses(who.Token, who.Session); err != nil {
		return protocol.Caller{}, mark, err
	}
	who.Owner, who.Actions = account.owner, account.actions
	return who, now, nil
}

// refuses tells why a valid token is not good; nil when it is.
func (a *account) refuses(token protocol.AnyID, session protocol.SessionID) error {
	switch {
	case a == nil:
		return protocol.ErrUnauthorized
	case a.banned: // first: a ban revokes what was handed out
		return ErrBanned
	case a.revoked(token), a.revoked(protocol.AnyID(session)):
		return ErrRevoked
	}
	return nil
}
