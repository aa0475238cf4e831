package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

func pushKey(_ context.Context, d *Dispatcher, _ any) (any, error) { //nolint:unparam // one of the answers
	if d.cfg.Push == nil {
		return &protocol.PushKey{}, nil
	}
	key := d.cfg.Push.PublicKey()
	return &protocol.PushKey{PublicKey: &key, Enabled: true}, nil
}

// pushSubscribe stores where a browser of the caller can be reached.
func pushSubscribe(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	req := requestOf[protocol.Subscribe](cmd)
	if d.cfg.Push == nil {
		return nil, protocol.ErrNoPush
	}
	if err := d.cfg.Push.Check(req); err != nil {
		return nil, err
	}
	err := d.cfg.DB.Subscribe(ctx, callerOf(cmd).UserID, req, protocol.InstantOf(time.Now()))
	return found(protocol.PushDone{Success: true, Message: "Successfully subscribed to push notifications"}, err)
}

func pushUnsubscribe(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	err := d.cfg.DB.Unsubscribe(ctx, callerOf(cmd).UserID, requestOf[protocol.Unsubscribe](cmd).Endpoint)
	return found(protocol.PushDone{Success: true, Message: "Successfully unsubscribed from push notifications"}, err)
}

func pushStatus(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	list, err := d.cfg.DB.PushSubscriptions(ctx, callerOf(cmd).UserID)
	return found(protocol.PushStatus{Enabled: d.cfg.Push != nil, SubscriptionCount: len(list)}, err)
}

func pushTest(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return d.testPush(ctx, callerOf(cmd), false)
}

func pushDebug(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	if !callerOf(cmd).Owner {
		return nil, protocol.ErrDebugOwners
	}
	return d.testPush(ctx, callerOf(cmd), true)
}

func (d *Dispatcher) testPush(ctx context.Context, caller protocol.Caller, debug bool) (any, error) {
	if d.cfg.Push == nil {
		return nil, protocol.ErrNoPushTest
	}
	sent, failed, err := d.cfg.Push.Test(ctx, caller.UserID, debug)
	message := "No active push subscriptions found"
	if sent > 0 {
		message = fmt.Sprintf("Push notification sent to %d device(s)", sent)
	}
	return found(protocol.PushTested{Success: sent > 0, Sent: sent, Failed: failed, Message: message}, err)
}
