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
		id, _ := protocol.ParseID[struct{}](req.ContinuationToken) // zero for what is no id
		if after = protocol.CommunityID(id); after.IsZero() {
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

// forget looks no longer for what was deleted where it was. Other nodes may
// still do so: their actors then say that there is nothing.
func (d *Dispatcher) forget(cmd any) {
	switch m := cmd.(type) {
	case *protocol.Command[protocol.DeleteCommunity]:
		d.forgetCommunity(m.Req.ID)
	case *protocol.Command[protocol.RemoveCommunity]:
		d.forgetCommunity(m.Req.ID)
	case *protocol.Command[protocol.DeleteChannel]:
		d.channels.Remove(m.Req.ID)
	}
}

func (d *Dispatcher) forgetCommunity(id protocol.CommunityID) {
	d.communities.Remove(id)
	for _, channel := range d.channels.Keys() {
		if of, ok := d.channels.Peek(channel); ok && of == id {
			d.channels.Remove(channel)
		}
	}
}
