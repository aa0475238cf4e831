package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

func directList(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return listed(d.cfg.DB.DirectGroups(ctx, callerOf(cmd).UserID, protocol.MaxGroups))
}

func finishGroup(ctx context.Context, d *Dispatcher, _, reply any) (any, error) {
	grant, ok := reply.(*protocol.DirectGrant)
	if !ok {
		return reply, nil
	}
	d.groups.Add(grant.ID, grant.ID)
	return found(d.cfg.DB.DirectGroup(ctx, grant.ID))
}

func finishGroupPage(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	return d.page(ctx, protocol.InGroup(requestOf[protocol.ListGroupMessages](cmd).GroupID), reply)
}

func finishDirectMessages(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	return d.page(ctx, protocol.InGroup(requestOf[protocol.GetDirectMessages](cmd).ID), reply)
}
