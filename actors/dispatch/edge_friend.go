package dispatch

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

func friendList(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return listed(d.cfg.DB.Friends(ctx, callerOf(cmd).UserID, protocol.MaxFriends))
}

func friendRequests(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.FriendRequests(ctx, callerOf(cmd).UserID, protocol.MaxFriends))
}

func friendStatus(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	me := callerOf(cmd).UserID
	f, err := d.cfg.DB.FriendshipBetween(ctx, me, requestOf[protocol.GetFriendStatus](cmd).UserID)
	if err != nil || f == nil {
		return &protocol.FriendStatus{}, err
	}
	s := &protocol.FriendStatus{Status: &f.Status, FriendshipID: &f.ID}
	if f.Status == protocol.FriendPending {
		direction := "received"
		if f.UserAID == me {
			direction = "sent"
		}
		s.Direction = &direction
	}
	return s, nil
}

func blockList(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return listed(d.cfg.DB.BlockedUsers(ctx, callerOf(cmd).UserID, protocol.MaxFriends))
}

func blockGet(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	blocked, err := d.cfg.DB.HasBlocked(ctx, callerOf(cmd).UserID, requestOf[protocol.GetBlocked](cmd).UserID)
	if err != nil {
		return nil, err
	}
	return &protocol.Blocked{Blocked: blocked}, nil
}

// appearanceGet makes the row on the first read. That needs no actor: whoever is
// first makes it, all others find it.
func appearanceGet(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.Appearance(ctx, callerOf(cmd).UserID, protocol.InstantOf(time.Now())))
}
