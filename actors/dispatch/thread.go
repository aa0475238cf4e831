package dispatch

import (
	"context"
	"encoding/json"

	"github.com/rookery-chat/rookery/protocol"
)

// noReplies answers tokens of elsewhere.
var noReplies = json.RawMessage(`{"replies":[]}`)

func finishReplies(ctx context.Context, d *Dispatcher, _, reply any) (any, error) {
	grant, ok := reply.(*protocol.ThreadGrant)
	switch {
	case !ok:
		return reply, nil
	case grant.Empty:
		return noReplies, nil
	}
	page, err := d.cfg.DB.ThreadPage(ctx, *grant)
	if err != nil {
		return nil, err
	}
	return page.Text, nil
}

func finishThread(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	grant, ok := reply.(*protocol.ThreadGrant)
	if !ok {
		return reply, nil
	}
	subscribed, err := d.cfg.DB.Subscribed(ctx, callerOf(cmd).UserID, grant.Parent)
	if err != nil {
		return nil, err
	}
	return &protocol.ThreadMetadata{
		ParentMessageID: grant.Parent, ReplyCount: grant.ReplyCount, LastReplyAt: grant.LastReplyAt, IsSubscribed: subscribed,
	}, nil
}
