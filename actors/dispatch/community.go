package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

func communityList(ctx context.Context, d *Dispatcher, _ any) (any, error) {
	return listed(d.cfg.DB.Communities(ctx, protocol.MaxCommunities))
}

// communityPages shows administrators all communities. One more than was asked
// for tells whether there is a next page.
func communityPages(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	req := cmd.(*protocol.Command[protocol.ListCommunities]).Req
	page := &protocol.CommunityPage{Communities: []protocol.CommunityStats{}}
	var after protocol.CommunityID
	if req.ContinuationToken != "" {
		if err := after.UnmarshalText([]byte(req.ContinuationToken)); err != nil || after.IsZero() {
			return page, nil // names no place
		}
	}
	list, err := d.cfg.DB.CommunityPage(ctx, req.Search, after, req.Limit+1)
	if err != nil {
		return nil, err
	}
	if len(list) > req.Limit {
		list = list[:req.Limit]
		page.ContinuationToken = &list[req.Limit-1].ID
	}
	page.Communities = append(page.Communities, list...)
	return page, nil
}

func communityInspect(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.CommunityDetail(ctx, cmd.(*protocol.Command[protocol.InspectCommunity]).Req.ID))
}

// What is deleted is not looked for where it was. Other nodes may still do so:
// their actors then say that there is nothing.

func finishCommunityDelete(_ context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	d.forgetCommunity(cmd.(*protocol.Command[protocol.DeleteCommunity]).Req.ID)
	return nil, nil
}

func finishCommunityRemove(_ context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	d.forgetCommunity(cmd.(*protocol.Command[protocol.RemoveCommunity]).Req.ID)
	return nil, nil
}

func finishChannelDelete(_ context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	d.channels.Remove(cmd.(*protocol.Command[protocol.DeleteChannel]).Req.ID)
	return nil, nil
}

func (d *Dispatcher) forgetCommunity(id protocol.CommunityID) {
	d.communities.Remove(id)
	for _, channel := range d.channels.Keys() {
		if of, ok := d.channels.Peek(channel); ok && of == id {
			d.channels.Remove(channel)
		}
	}
}
