package rules

import "github.com/rookery-chat/rookery/protocol"

// Names of the default roles. Existing clients and stored data know them.
const (
	RoleCommunityAdmin   = protocol.RoleCommunityAdmin
	RoleModerator        = "Moderator"
	RoleMember           = protocol.RoleMember
	RoleInstanceAdmin    = protocol.RoleInstanceAdmin
	RoleCommunityCreator = "Community Creator"
	RoleUserManager      = "User Manager"
	RoleInviteManager    = "Invite Manager"
)

// DefaultRole is a role that the platform creates itself. The order of Actions
// is the order in which they are stored and shown.
type DefaultRole struct {
	Name    string
	Actions []protocol.Action
}

// Names lists the actions by name, in order.
func (r DefaultRole) Names() []string {
	names := make([]string, len(r.Actions))
	for i, a := range r.Actions {
		names[i] = a.String()
	}
	return names
}

// Set is the actions without their order.
func (r DefaultRole) Set() protocol.ActionSet { return protocol.NewActionSet(r.Actions...) }

// CommunityRoles returns the roles that every community is founded with, in the
// order in which they are created.
func CommunityRoles() []DefaultRole {
	return []DefaultRole{
		{RoleCommunityAdmin, communityAdmin()},
		{RoleModerator, moderator()},
		{RoleMember, member()},
	}
}

// InstanceRoles returns the roles of the instance, in the order in which they
// are created.
func InstanceRoles() []DefaultRole {
	return []DefaultRole{
		{RoleInstanceAdmin, instanceAdmin()},
		{RoleCommunityCreator, communityCreator()},
		{RoleUserManager, userManager()},
		{RoleInviteManager, inviteManager()},
	}
}

// Effective is what somebody with these roles may do; an owner of the instance
// may do everything.
func Effective(owner bool, roles []protocol.ActionSet) protocol.ActionSet {
	if owner {
		return protocol.NewActionSet(protocol.AllActions()...)
	}
	var all protocol.ActionSet
	for _, r := range roles {
		all |= r
	}
	return all
}

// communityAdmin holds all that a community has, except banning.
func communityAdmin() []protocol.Action {
	return append([]protocol.Action{
		protocol.ActionUpdateCommunity,
		protocol.ActionDeleteCommunity,
		protocol.ActionReadCommunity,
	}, community()...)
}

// communityCreator lists the same rights; on the level of the instance only the
// first of them has an effect.
func communityCreator() []protocol.Action {
	return append([]protocol.Action{
		protocol.ActionCreateCommunity,
		protocol.ActionReadCommunity,
	}, community()...)
}

// community is what the two roles above share.
func community() []protocol.Action {
	return []protocol.Action{
		protocol.ActionCreateChannel,
		protocol.ActionUpdateChannel,
		protocol.ActionDeleteChannel,
		protocol.ActionReadChannel,
		protocol.ActionJoinChannel,
		protocol.ActionCreateMember,
		protocol.ActionUpdateMember,
		protocol.ActionDeleteMember,
		protocol.ActionReadMember,
		protocol.ActionCreateMessage,
		protocol.ActionDeleteMessage,
		protocol.ActionReadMessage,
		protocol.ActionCreateRole,
		protocol.ActionUpdateRole,
		protocol.ActionDeleteRole,
		protocol.ActionReadRole,
		protocol.ActionCreateInvite,
		protocol.ActionDeleteInvite,
		protocol.ActionCreateAliasGroup,
		protocol.ActionUpdateAliasGroup,
		protocol.ActionDeleteAliasGroup,
		protocol.ActionReadAliasGroup,
		protocol.ActionCreateAliasGroupMember,
		protocol.ActionDeleteAliasGroupMember,
		protocol.ActionReadAliasGroupMember,
		protocol.ActionUpdateAliasGroupMember,
		protocol.ActionCreateReaction,
		protocol.ActionDeleteReaction,
		protocol.ActionCaptureReplay,
		protocol.ActionKickUser,
		protocol.ActionTimeoutUser,
		protocol.ActionUnbanUser,
		protocol.ActionPinMessage,
		protocol.ActionUnpinMessage,
		protocol.ActionDeleteAnyMessage,
		protocol.ActionViewBanList,
		protocol.ActionViewModerationLogs,
		protocol.ActionMuteParticipant,
	}
}

func moderator() []protocol.Action {
	return []protocol.Action{
		protocol.ActionReadCommunity,
		protocol.ActionReadChannel,
		protocol.ActionReadMember,
		protocol.ActionReadMessage,
		protocol.ActionReadRole,
		protocol.ActionCreateMessage,
		protocol.ActionDeleteMessage,
		protocol.ActionCreateChannel,
		protocol.ActionUpdateChannel,
		protocol.ActionJoinChannel,
		protocol.ActionCreateMember,
		protocol.ActionUpdateMember,
		protocol.ActionCreateReaction,
		protocol.ActionDeleteReaction,
		protocol.ActionReadAliasGroup,
		protocol.ActionReadAliasGroupMember,
		protocol.ActionCaptureReplay,
		protocol.ActionKickUser,
		protocol.ActionTimeoutUser,
		protocol.ActionPinMessage,
		protocol.ActionUnpinMessage,
		protocol.ActionDeleteAnyMessage,
		protocol.ActionViewBanList,
		protocol.ActionMuteParticipant,
	}
}

func member() []protocol.Action {
	return []protocol.Action{
		protocol.ActionReadCommunity,
		protocol.ActionReadChannel,
		protocol.ActionReadMember,
		protocol.ActionReadMessage,
		protocol.ActionCreateMessage,
		protocol.ActionJoinChannel,
		protocol.ActionCreateReaction,
		protocol.ActionDeleteReaction,
		protocol.ActionReadAliasGroup,
		protocol.ActionReadAliasGroupMember,
		protocol.ActionCaptureReplay,
	}
}

func instanceAdmin() []protocol.Action {
	return []protocol.Action{
		protocol.ActionReadInstanceSettings,
		protocol.ActionUpdateInstanceSettings,
		protocol.ActionReadInstanceStats,
		protocol.ActionManageUserStorage,
		protocol.ActionReadUser,
		protocol.ActionUpdateUser,
		protocol.ActionBanUser,
		protocol.ActionDeleteUser,
		protocol.ActionReadInstanceInvite,
		protocol.ActionCreateInstanceInvite,
		protocol.ActionDeleteInstanceInvite,
		protocol.ActionUpdateInstanceInvite,
	}
}

func userManager() []protocol.Action {
	return []protocol.Action{
		protocol.ActionReadUser,
		protocol.ActionUpdateUser,
		protocol.ActionBanUser,
		protocol.ActionUnbanUser,
		protocol.ActionManageUserStorage,
		protocol.ActionReadInstanceStats,
	}
}

func inviteManager() []protocol.Action {
	return []protocol.Action{
		protocol.ActionReadInstanceInvite,
		protocol.ActionCreateInstanceInvite,
		protocol.ActionDeleteInstanceInvite,
		protocol.ActionUpdateInstanceInvite,
	}
}
