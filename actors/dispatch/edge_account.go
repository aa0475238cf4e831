package dispatch

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// resetLife is how long a reset link is good.
const resetLife = 24 * time.Hour

var errOwnReset = protocol.Forbidden("Change your own password with the current one")

// accountResetLink makes a link that gives away the account. So it is only for
// those who could do all that the account can, on the level of the instance.
func accountResetLink(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	caller, user := callerOf(cmd), requestOf[protocol.MakeResetLink](cmd).ID
	now := time.Now()
	target, err := d.cfg.DB.AccountState(ctx, user, protocol.InstantOf(now))
	switch {
	case err != nil:
		return nil, err
	case user == caller.UserID:
		return nil, errOwnReset
	case !caller.Owner && (target.Role == protocol.RoleOwner || target.Actions&^caller.Actions != 0):
		return nil, protocol.ErrForbidden
	}
	link := &protocol.ResetLink{Token: rand.Text() + rand.Text(), ExpiresAt: protocol.InstantOf(now.Add(resetLife))}
	link.URL = "/reset?token=" + link.Token // the edge knows where
	return link, d.cfg.DB.StoreReset(ctx, persistence.NewReset{
		User: user, By: caller.UserID, ByOwner: caller.Owner, Hash: sha256.Sum256([]byte(link.Token)),
		At: protocol.InstantOf(now), Expires: link.ExpiresAt,
	})
}
