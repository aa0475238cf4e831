package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

// answers are the rows that need no actor: reads of one's own rows.
var answers = map[string]func(ctx context.Context, d *Dispatcher, cmd any) (any, error){
	protocol.CommunityMine.Name: communityMine,
	protocol.UserProfile.Name:   userProfile,
	protocol.InviteList.Name:    inviteList,
	protocol.InvitePublic.Name:  invitePublic,
	protocol.PresenceGet.Name:   presenceGet,
}

func communityMine(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return listed(d.cfg.DB.CommunitiesOf(ctx, callerOf(cmd).UserID))
}

func userProfile(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	u, err := d.cfg.DB.PublicUser(ctx, callerOf(cmd).UserID)
	if err != nil {
		return nil, err
	}
	return &u, nil
}

// inviteList shows owners everybody's invites, others their own.
func inviteList(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	caller := callerOf(cmd)
	creator := caller.UserID
	if caller.Owner {
		creator = protocol.UserID{}
	}
	return listed(d.cfg.DB.Invites(ctx, creator))
}

func invitePublic(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	i, err := d.cfg.DB.InvitePublic(ctx, cmd.(*protocol.Command[protocol.GetInvite]).Req.Code)
	if err != nil {
		return nil, err
	}
	return &i, nil
}

// presenceGet asks the user actor; an id that is none is of nobody, and nobody
// is offline.
func presenceGet(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	req := cmd.(*protocol.Command[protocol.GetPresence]).Req
	of := &protocol.PresenceOf{UserID: req.UserID}
	id, _ := protocol.ParseID[struct{}](req.UserID) // zero for what is no id
	if id.IsZero() {
		return of, nil
	}
	reply, err := d.cfg.Cluster.Ask(ctx, string(protocol.KindUser), id.String(), &protocol.AskOnline{})
	if err != nil {
		return nil, err
	}
	if is, ok := reply.(*protocol.IsOnline); ok {
		of.IsOnline = is.Online
	}
	return of, nil
}

func callerOf(cmd any) protocol.Caller { return cmd.(protocol.AnyCommand).By() }
