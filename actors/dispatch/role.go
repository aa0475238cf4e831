package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

// rolesOf is the answer about one user's roles in one place.
func rolesOf(user protocol.UserID, resource *protocol.AnyID, kind string, roles []protocol.Role, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if roles == nil {
		roles = []protocol.Role{}
	}
	return &protocol.UserRoles{UserID: user, ResourceID: resource, ResourceType: kind, Roles: roles}, nil
}

func roleMine(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	user, of := callerOf(cmd).UserID, cmd.(*protocol.Command[protocol.MyCommunityRoles]).Req.CommunityID
	roles, err := d.cfg.DB.RolesInCommunity(ctx, user, of)
	return rolesOf(user, (*protocol.AnyID)(&of), protocol.RolesOfCommunity, roles, err)
}

func roleMineInChannel(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	user, of := callerOf(cmd).UserID, cmd.(*protocol.Command[protocol.MyChannelRoles]).Req.ChannelID
	roles, err := d.cfg.DB.RolesInChannel(ctx, user, of)
	return rolesOf(user, (*protocol.AnyID)(&of), protocol.RolesOfChannel, roles, err)
}

func roleMineOfInstance(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return instanceRolesOf(ctx, d, callerOf(cmd).UserID)
}

func roleOfUser(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return instanceRolesOf(ctx, d, cmd.(*protocol.Command[protocol.GetInstanceRoles]).Req.UserID)
}

func instanceRolesOf(ctx context.Context, d *Dispatcher, user protocol.UserID) (any, error) {
	roles, err := d.cfg.DB.InstanceRolesOf(ctx, user)
	return rolesOf(user, nil, protocol.RolesOfInstance, roles, err)
}

func instanceRoleList(ctx context.Context, d *Dispatcher, _ any) (any, error) {
	return listed(d.cfg.DB.InstanceRoles(ctx))
}

func instanceRoleUsers(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	req := cmd.(*protocol.Command[protocol.ListInstanceRoleUsers]).Req
	return roleHolders(ctx, d, req.RoleID, req.ContinuationToken)
}

func finishRoleUsers(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	grant, ok := reply.(*protocol.RoleUsersGrant)
	if !ok {
		return reply, nil
	}
	return roleHolders(ctx, d, grant.RoleID, cmd.(*protocol.Command[protocol.ListRoleUsers]).Req.ContinuationToken)
}

// roleHolders is a window of a list; a token that is none leads to its end.
func roleHolders(ctx context.Context, d *Dispatcher, role protocol.RoleID, token string) (any, error) {
	if role.IsZero() {
		return &[]protocol.RoleHolder{}, nil
	}
	return windowed(token, func(after protocol.UserID) ([]protocol.RoleHolder, error) {
		return d.cfg.DB.RoleHolders(ctx, role, after, protocol.MaxRoleUsers)
	})
}
