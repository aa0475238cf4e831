package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

// windowed reads a window of a list that its owner gave leave to read; a token
// that is none leads to its end.
func windowed[T any, ID interface{ ~[16]byte }](token string, read func(after ID) ([]T, error)) (any, error) {
	after, ok := place(token)
	if !ok {
		return &[]T{}, nil
	}
	return listed(read(ID(after)))
}

// place is where a window begins, behind the entry that the token names.
func place(token string) (after protocol.AnyID, ok bool) {
	if token == "" {
		return after, true
	}
	id, err := protocol.ParseID[struct{}](token)
	return protocol.AnyID(id), err == nil
}

func finishBans(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	grant, ok := reply.(*protocol.ModerationGrant)
	if !ok {
		return reply, nil
	}
	req := cmd.(*protocol.Command[protocol.ListBans]).Req
	return windowed(req.ContinuationToken, func(after protocol.AnyID) ([]protocol.Ban, error) {
		return d.cfg.DB.Bans(ctx, req.CommunityID, grant.Now, after, protocol.MaxModerated)
	})
}

func finishTimeouts(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	grant, ok := reply.(*protocol.ModerationGrant)
	if !ok {
		return reply, nil
	}
	req := cmd.(*protocol.Command[protocol.ListTimeouts]).Req
	return windowed(req.ContinuationToken, func(after protocol.AnyID) ([]protocol.Timeout, error) {
		return d.cfg.DB.Timeouts(ctx, req.CommunityID, grant.Now, after, protocol.MaxModerated)
	})
}

func finishPins(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	if _, ok := reply.(*protocol.ModerationGrant); !ok {
		return reply, nil
	}
	req := cmd.(*protocol.Command[protocol.ListPins]).Req
	return windowed(req.ContinuationToken, func(after protocol.MessageID) ([]protocol.PinnedMessage, error) {
		return d.cfg.DB.Pins(ctx, req.ChannelID, after, protocol.MaxModerated)
	})
}

func finishModerationLog(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	if _, ok := reply.(*protocol.ModerationGrant); !ok {
		return reply, nil
	}
	req := cmd.(*protocol.Command[protocol.ListModerationLog]).Req
	log, err := d.cfg.DB.ModerationLog(ctx, req.CommunityID, req.Action, req.Limit, req.Offset)
	if err != nil {
		return nil, err
	}
	return &log, nil
}

func finishAliases(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	if _, ok := reply.(*protocol.AliasGrant); !ok {
		return reply, nil
	}
	return listed(d.cfg.DB.Aliases(ctx, cmd.(*protocol.Command[protocol.ListAliases]).Req.CommunityID))
}

func finishAlias(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	if _, ok := reply.(*protocol.AliasGrant); !ok {
		return reply, nil
	}
	return pointer(d.cfg.DB.Alias(ctx, cmd.(*protocol.Command[protocol.GetAlias]).Req.GroupID))
}
