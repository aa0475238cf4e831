package dispatch

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// notificationsPage is how many are on a page when nobody says.
const notificationsPage = 50

func notificationList(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	req := requestOf[protocol.ListNotifications](cmd)
	limit, offset := notificationsPage, 0
	if req.Limit != nil {
		limit = *req.Limit
	}
	if req.Offset != nil {
		offset = *req.Offset
	}
	return found(d.cfg.DB.Notifications(ctx, callerOf(cmd).UserID, truthy(req.UnreadOnly), limit, offset))
}

// truthy reads a switch in a query.
func truthy(text string) bool { return text != "" && text != "false" && text != "0" }

func notificationCount(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	n, err := d.cfg.DB.UnreadNotifications(ctx, callerOf(cmd).UserID)
	return found(protocol.Count{Count: n}, err)
}

// notificationSettings makes the row on the first read, see appearanceGet.
func notificationSettings(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.NotificationSettings(ctx, callerOf(cmd).UserID, protocol.InstantOf(time.Now())))
}

func notificationSubscriptions(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	caller := callerOf(cmd)
	if !caller.Owner {
		return nil, protocol.ErrDebugOwners
	}
	list, err := d.cfg.DB.PushSubscriptions(ctx, caller.UserID)
	if list == nil {
		list = []protocol.PushSubscription{}
	}
	return found(protocol.DebugSubscriptions{Subscriptions: list, Count: len(list), PushEnabled: d.cfg.Push != nil}, err)
}

// What channels give leave to, see finishers: the level is a row of the caller's own.

func finishOverride(ctx context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	c := cmd.(*protocol.Command[protocol.GetChannelOverride])
	return pointer(d.cfg.DB.ChannelOverride(ctx, c.Caller.UserID, c.Req.ChannelID))
}

func finishSetOverride(ctx context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	c := cmd.(*protocol.Command[protocol.SetChannelOverride])
	return found(d.cfg.DB.SetChannelOverride(ctx, c.Caller.UserID, c.Req.ChannelID, c.Req.Level, protocol.InstantOf(time.Now())))
}

//nolint:unparam // as finishers are
func finishDeleteOverride(ctx context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	c := cmd.(*protocol.Command[protocol.DeleteChannelOverride])
	return nil, d.cfg.DB.DeleteChannelOverride(ctx, c.Caller.UserID, c.Req.ChannelID)
}
