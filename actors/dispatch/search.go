package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// finishSearchChannel searches the channel that its owner gave leave to search.
func finishSearchChannel(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	if _, ok := reply.(*protocol.SearchGrant); !ok {
		return reply, nil
	}
	req := requestOf[protocol.SearchChannel](cmd)
	return listed(d.cfg.DB.SearchMessages(ctx, narrowed(persistence.MessageSearch{
		Query: req.Query, Channels: []protocol.ChannelID{req.ChannelID}, FileType: req.FileType,
		After: req.After, Before: req.Before, Limit: req.Limit, Offset: req.Offset,
	}, req.AuthorID, req.HasAttachment)))
}

// finishSearchGroup is the same for a direct message group.
func finishSearchGroup(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	if _, ok := reply.(*protocol.SearchGrant); !ok {
		return reply, nil
	}
	req := requestOf[protocol.SearchGroup](cmd)
	return listed(d.cfg.DB.SearchMessages(ctx, narrowed(persistence.MessageSearch{
		Query: req.Query, Group: req.GroupID, FileType: req.FileType,
		After: req.After, Before: req.Before, Limit: req.Limit, Offset: req.Offset,
	}, req.AuthorID, req.HasAttachment)))
}

// finishSearchCommunity searches the channels that the community named.
func finishSearchCommunity(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	grant, ok := reply.(*protocol.SearchGrant)
	if !ok {
		return reply, nil
	}
	req := requestOf[protocol.SearchCommunity](cmd)
	list, err := d.cfg.DB.SearchMessages(ctx, narrowed(persistence.MessageSearch{
		Query: req.Query, Channels: grant.Channels, FileType: req.FileType,
		After: req.After, Before: req.Before, Limit: req.Limit, Offset: req.Offset,
	}, req.AuthorID, req.HasAttachment))
	if err != nil {
		return nil, err
	}
	names := make(map[protocol.ChannelID]string, len(grant.Channels))
	for i, c := range grant.Channels[:min(len(grant.Channels), len(grant.Names))] {
		names[c] = grant.Names[i]
	}
	found := make([]protocol.FoundMessage, len(list))
	for i, m := range list {
		found[i] = protocol.FoundMessage{Message: m, ChannelName: names[*m.ChannelID]}
	}
	return &found, nil
}

// narrowed is the search with what not every request says, and in bounds.
func narrowed(q persistence.MessageSearch, author *protocol.UserID, hasAttachment string) persistence.MessageSearch {
	if author != nil {
		q.Author = *author
	}
	if hasAttachment != "" {
		q.HasAttachment = new(hasAttachment == "true")
	}
	q.Limit = max(1, min(q.Limit, protocol.MaxPage))
	q.Offset = max(0, min(q.Offset, protocol.MaxSearchOffset))
	return q
}

// finishAround passes on the page that the owner made.
//
//nolint:unparam // as finishers are
func finishAround(_ context.Context, _ *Dispatcher, _, reply any) (any, error) {
	if grant, ok := reply.(*protocol.PageGrant); ok {
		return grant.Page, nil
	}
	return reply, nil
}
