package protocol

import "reflect"

// Role is the contract's role object. Actions are in stored order; names that
// this version does not know were left out when it was read.
type Role struct {
	ID        RoleID   `json:"id"`
	Name      string   `json:"name"`
	Actions   []string `json:"actions"`
	CreatedAt Instant  `json:"createdAt"`
	IsDefault bool     `json:"isDefault"`
}

// Names of the default roles that the server itself hands out.
const (
	RoleCommunityAdmin = "Community Admin"
	RoleMember         = "Member"
	RoleInstanceAdmin  = "Instance Admin"
)

// What the roles of a UserRoles are roles of.
const (
	RolesOfCommunity = "COMMUNITY"
	RolesOfChannel   = "CHANNEL"
	RolesOfInstance  = "INSTANCE"
)

// UserRoles is what roles a user has in one place, oldest role first.
type UserRoles struct {
	UserID       UserID `json:"userId"`
	ResourceID   *AnyID `json:"resourceId"` // null: the instance
	ResourceType string `json:"resourceType"`
	Roles        []Role `json:"roles"`
}

// RoleHolder is a user who has a role.
type RoleHolder struct {
	UserID      UserID  `json:"userId"`
	Username    string  `json:"username"`
	DisplayName *string `json:"displayName,omitempty"`
}

// CommunityRoles is all roles of a community, oldest first.
type CommunityRoles struct {
	CommunityID CommunityID `json:"communityId"`
	Roles       []Role      `json:"roles"`
}

// MaxRoles bounds the roles of a community, MaxRoleUsers one answer about the
// users of a role; the id of its last user as continuationToken gives the next.
const (
	MaxRoles     = 250
	MaxRoleUsers = 1000
)

// Requests about one's own roles. They may name what does not exist.
type (
	// MyCommunityRoles asks for one's own roles in a community.
	MyCommunityRoles struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
	}
	// MyChannelRoles asks for one's own roles in the community of a channel.
	MyChannelRoles struct {
		ChannelID ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
	}
)

// Requests about the roles of others.
type (
	// GetMemberRoles asks for the roles of a member.
	GetMemberRoles struct {
		UserID      UserID      `path:"userId" json:"userId" rule:"pathUUID"`
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
	}
	// GetChannelRoles asks for them by a channel of the community.
	GetChannelRoles struct {
		UserID    UserID    `path:"userId" json:"userId" rule:"pathUUID"`
		ChannelID ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
	}
	// GetInstanceRoles asks for a user's roles of the instance.
	GetInstanceRoles struct {
		UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`
	}
	// ListRoles asks for the roles of a community.
	ListRoles struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
	}
	// ListRoleUsers asks who has a role.
	ListRoleUsers struct {
		CommunityID       CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		RoleID            RoleID      `path:"roleId" json:"roleId" rule:"pathUUID"`
		ContinuationToken string      `query:"continuationToken" json:"continuationToken"`
	}
	// ListInstanceRoleUsers asks who has a role of the instance.
	ListInstanceRoleUsers struct {
		RoleID            RoleID `path:"roleId" json:"roleId" rule:"pathUUID"`
		ContinuationToken string `query:"continuationToken" json:"continuationToken"`
	}
)

// RoleUsersGrant is the community's leave to read who has a role.
type RoleUsersGrant struct {
	RoleID RoleID `json:"r"` // zero: there is no such role
}

// Changes of a community's roles.
type (
	// CreateRole makes a custom role.
	CreateRole struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		Name        string      `json:"name" rule:"max=50|Role name must not exceed 50 characters,string,nonempty"`
		Actions     []string    `json:"actions" rule:"arrayMin=1|Role must have at least one permission,eachAction,array"`

		ID RoleID `json:"-" cbor:"id"` // chosen by the edge
	}
	// UpdateRole changes a role; what is not given stays.
	UpdateRole struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		RoleID      RoleID      `path:"roleId" json:"roleId" rule:"pathUUID"`
		Name        *string     `json:"name" rule:"optional,max=50|Role name must not exceed 50 characters,string"` // empty: as it is
		Actions     *[]string   `json:"actions" rule:"optional,arrayMin=1|Role must have at least one permission,eachAction,array"`
	}
	// DeleteRole removes a custom role.
	DeleteRole struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		RoleID      RoleID      `path:"roleId" json:"roleId" rule:"pathUUID"`
	}
	// ResetRoles gives the default roles the actions that they began with.
	ResetRoles struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
	}
	// AssignRole gives a member a role.
	AssignRole struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		UserID      UserID      `json:"userId" rule:"uuid|Invalid user ID format,string"`
		RoleID      RoleID      `json:"roleId" rule:"uuid|Invalid role ID format,string"`
	}
	// UnassignRole takes a role from a member.
	UnassignRole struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		UserID      UserID      `path:"userId" json:"userId" rule:"pathUUID"`
		RoleID      RoleID      `path:"roleId" json:"roleId" rule:"pathUUID"`
	}
)

// Changes of the instance's roles.
type (
	// CreateInstanceRole makes a role of the instance.
	CreateInstanceRole struct {
		Name    string   `json:"name" rule:"max=50|Role name must not exceed 50 characters,string,nonempty"`
		Actions []string `json:"actions" rule:"arrayMin=1|Role must have at least one permission,eachAction,array"`

		ID RoleID `json:"-" cbor:"id"` // chosen by the edge
	}
	// UpdateInstanceRole changes one; what is not given stays.
	UpdateInstanceRole struct {
		RoleID  RoleID    `path:"roleId" json:"roleId" rule:"pathUUID"`
		Name    *string   `json:"name" rule:"optional,max=50|Role name must not exceed 50 characters,string"` // empty: as it is
		Actions *[]string `json:"actions" rule:"optional,arrayMin=1|Role must have at least one permission,eachAction,array"`
	}
	// DeleteInstanceRole removes one.
	DeleteInstanceRole struct {
		RoleID RoleID `path:"roleId" json:"roleId" rule:"pathUUID"`
	}
	// AssignInstanceRole gives a user one.
	AssignInstanceRole struct {
		RoleID RoleID `path:"roleId" json:"roleId" rule:"pathUUID"`
		UserID UserID `json:"userId" rule:"uuid|Invalid user ID format,string"`
	}
	// UnassignInstanceRole takes one from a user.
	UnassignInstanceRole struct {
		RoleID RoleID `path:"roleId" json:"roleId" rule:"pathUUID"`
		UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`
	}
)

// Rows that read roles.
var (
	RoleMine = Define[MyCommunityRoles, UserRoles](Operation{
		Name: "role.mine", Method: "GET", Path: "/api/roles/my/community/{communityId}", Home: KindEdge,
	})
	RoleMineInChannel = Define[MyChannelRoles, UserRoles](Operation{
		Name: "role.mineInChannel", Method: "GET", Path: "/api/roles/my/channel/{channelId}", Home: KindEdge,
	})
	RoleMineOfInstance = Define[None, UserRoles](Operation{
		Name: "role.mineOfInstance", Method: "GET", Path: "/api/roles/my/instance", Home: KindEdge,
	})
	RoleOfMember = Define[GetMemberRoles, UserRoles](Operation{
		Name: "role.ofMember", Method: "GET", Path: "/api/roles/user/{userId}/community/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadMember, Resource: ResourceCommunity,
	})
	RoleOfMemberInChannel = Define[GetChannelRoles, UserRoles](Operation{
		Name: "role.ofMemberInChannel", Method: "GET", Path: "/api/roles/user/{userId}/channel/{channelId}",
		Home: KindCommunity, Key: "channelId", Locate: LocateChannel, Permission: ActionReadMember, Resource: ResourceChannel,
	})
	RoleOfUser = Define[GetInstanceRoles, UserRoles](Operation{
		Name: "role.ofUser", Method: "GET", Path: "/api/roles/user/{userId}/instance",
		Home: KindEdge, Permission: ActionReadUser, Resource: ResourceInstance,
	})
	RoleList = Define[ListRoles, CommunityRoles](Operation{
		Name: "role.list", Method: "GET", Path: "/api/roles/community/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadRole, Resource: ResourceCommunity,
	})
	RoleUsers = Define[ListRoleUsers, RoleUsersGrant](Operation{
		Name: "role.users", Method: "GET", Path: "/api/roles/community/{communityId}/{roleId}/users",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadRole, Resource: ResourceCommunity,
		Shows: reflect.TypeFor[[]RoleHolder](),
	})
	InstanceRoleList = Define[None, []Role](Operation{
		Name: "instanceRole.list", Method: "GET", Path: "/api/roles/instance/all",
		Home: KindEdge, Permission: ActionReadInstanceSettings, Resource: ResourceInstance,
	})
	InstanceRoleUsers = Define[ListInstanceRoleUsers, []RoleHolder](Operation{
		Name: "instanceRole.users", Method: "GET", Path: "/api/roles/instance/{roleId}/users",
		Home: KindEdge, Permission: ActionReadUser, Resource: ResourceInstance,
	})
)

// Rows that change the roles of a community.
var (
	RoleCreate = Define[CreateRole, Role](Operation{
		Name: "role.create", Method: "POST", Path: "/api/roles/community/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionCreateRole, Resource: ResourceCommunity,
	})
	RoleUpdate = Define[UpdateRole, Role](Operation{
		Name: "role.update", Method: "PUT", Path: "/api/roles/community/{communityId}/{roleId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionUpdateRole, Resource: ResourceCommunity,
	})
	RoleDelete = Define[DeleteRole, None](Operation{
		Name: "role.delete", Method: "DELETE", Path: "/api/roles/community/{communityId}/{roleId}", Status: 204,
		Home: KindCommunity, Key: "communityId", Permission: ActionDeleteRole, Resource: ResourceCommunity,
	})
	RoleReset = Define[ResetRoles, CommunityRoles](Operation{
		Name: "role.reset", Method: "POST", Path: "/api/roles/community/{communityId}/reset-defaults", Status: 200,
		Home: KindCommunity, Key: "communityId", Permission: ActionUpdateRole, Resource: ResourceCommunity,
	})
	RoleAssign = Define[AssignRole, None](Operation{
		Name: "role.assign", Method: "POST", Path: "/api/roles/community/{communityId}/assign", Status: 204,
		Home: KindCommunity, Key: "communityId", Permission: ActionUpdateMember, Resource: ResourceCommunity,
	})
	RoleUnassign = Define[UnassignRole, None](Operation{
		Name: "role.unassign", Method: "DELETE", Path: "/api/roles/community/{communityId}/users/{userId}/roles/{roleId}", Status: 204,
		Home: KindCommunity, Key: "communityId", Permission: ActionUpdateMember, Resource: ResourceCommunity,
	})
)

// Rows that change the roles of the instance.
var (
	InstanceRoleCreate = Define[CreateInstanceRole, Role](Operation{
		Name: "instanceRole.create", Method: "POST", Path: "/api/roles/instance",
		Home: KindInstance, Key: KeySingleton, Permission: ActionUpdateInstanceSettings, Resource: ResourceInstance,
	})
	InstanceRoleUpdate = Define[UpdateInstanceRole, Role](Operation{
		Name: "instanceRole.update", Method: "PUT", Path: "/api/roles/instance/{roleId}",
		Home: KindInstance, Key: KeySingleton, Permission: ActionUpdateInstanceSettings, Resource: ResourceInstance,
	})
	InstanceRoleDelete = Define[DeleteInstanceRole, None](Operation{
		Name: "instanceRole.delete", Method: "DELETE", Path: "/api/roles/instance/{roleId}", Status: 204,
		Home: KindInstance, Key: KeySingleton, Permission: ActionUpdateInstanceSettings, Resource: ResourceInstance,
	})
	InstanceRoleAssign = Define[AssignInstanceRole, None](Operation{
		Name: "instanceRole.assign", Method: "POST", Path: "/api/roles/instance/{roleId}/assign", Status: 204,
		Home: KindInstance, Key: KeySingleton, Permission: ActionUpdateUser, Resource: ResourceInstance,
	})
	InstanceRoleUnassign = Define[UnassignInstanceRole, None](Operation{
		Name: "instanceRole.unassign", Method: "DELETE", Path: "/api/roles/instance/{roleId}/users/{userId}", Status: 204,
		Home: KindInstance, Key: KeySingleton, Permission: ActionUpdateUser, Resource: ResourceInstance,
	})
)

// RoleChanged is the payload of roleCreated and roleUpdated.
type RoleChanged struct {
	CommunityID CommunityID `json:"communityId"`
	RoleID      RoleID      `json:"roleId"`
	RoleName    string      `json:"roleName"`
}

// RoleDeleted is the payload of roleDeleted.
type RoleDeleted struct {
	CommunityID CommunityID `json:"communityId"`
	RoleID      RoleID      `json:"roleId"`
}

// RoleUnassigned is the payload of roleUnassigned.
type RoleUnassigned struct {
	CommunityID CommunityID `json:"communityId"`
	UserID      UserID      `json:"userId"`
	RoleID      RoleID      `json:"roleId"`
}
