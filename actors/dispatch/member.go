package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

// What communities give leave to read, see finishers.

func finishMembers(ctx context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	req := cmd.(*protocol.Command[protocol.ListMembers]).Req
	return listed(d.cfg.DB.Members(ctx, req.CommunityID, protocol.ParseMemberPlace(req.After), req.Limit))
}

func finishMemberSearch(ctx context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	req := cmd.(*protocol.Command[protocol.SearchMembers]).Req
	return listed(d.cfg.DB.SearchMembers(ctx, req.CommunityID, req.Query, req.Limit))
}

func finishMember(ctx context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	req := cmd.(*protocol.Command[protocol.GetMember]).Req
	return found(d.cfg.DB.Membership(ctx, req.CommunityID, req.UserID))
}

func finishChannelMembers(ctx context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	req := cmd.(*protocol.Command[protocol.ListChannelMembers]).Req
	return listed(d.cfg.DB.ChannelMembers(ctx, req.ChannelID, protocol.ParseMemberPlace(req.After), req.Limit))
}

func finishChannelMember(ctx context.Context, d *Dispatcher, cmd, _ any) (any, error) {
	req := cmd.(*protocol.Command[protocol.GetChannelMember]).Req
	return found(d.cfg.DB.ChannelMembership(ctx, req.ChannelID, req.UserID))
}

// One's own memberships, see answers.

var (
	errOthersMemberships = protocol.Forbidden("Cannot view other users memberships")
	errOthersChannels    = protocol.Forbidden("Cannot view other users channel memberships")
)

func memberMine(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return listed(d.cfg.DB.MembershipsOf(ctx, callerOf(cmd).UserID))
}

func memberOf(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	if cmd.(*protocol.Command[protocol.ListMemberships]).Req.UserID != callerOf(cmd).UserID {
		return nil, errOthersMemberships
	}
	return memberMine(ctx, d, cmd)
}

func channelMemberMine(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return listed(d.cfg.DB.ChannelMembershipsOf(ctx, callerOf(cmd).UserID))
}

func channelMemberOf(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	if cmd.(*protocol.Command[protocol.ListChannelMemberships]).Req.UserID != callerOf(cmd).UserID {
		return nil, errOthersChannels
	}
	return channelMemberMine(ctx, d, cmd)
}
