package protocol

import "reflect"

// Bounds of alias groups.
const (
	MaxAliasGroups  = 250  // of a community
	MaxAliasMembers = 1000 // of a group
)

// AliasGroup is a group of members who can be named together.
type AliasGroup struct {
	ID          AliasGroupID `json:"id"`
	Name        string       `json:"name"`
	CommunityID CommunityID  `json:"communityId"`
	CreatedAt   Instant      `json:"createdAt"`
	MemberCount int          `json:"memberCount"`
	Members     []Author     `json:"members"`
}

// AliasSummary is an alias group without its members.
type AliasSummary struct {
	ID          AliasGroupID `json:"id"`
	Name        string       `json:"name"`
	CommunityID CommunityID  `json:"communityId"`
	MemberCount int          `json:"memberCount"`
}

// Requests about alias groups.
type (
	// ListAliases asks for the alias groups of a community.
	ListAliases struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
	}
	// CreateAlias makes an alias group.
	CreateAlias struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		Name        string      `json:"name" rule:"pattern=^[a-zA-Z0-9_-]+$|Group name can only contain letters\\, numbers\\, underscores\\, and hyphens,max=50|Group name must not exceed 50 characters,min=1|Group name must not be empty,string"`
		MemberIDs   []UserID    `json:"memberIds" rule:"optional,array,eachUUID,arrayMax=1000"`

		ID AliasGroupID `json:"-" cbor:"id"` // chosen by the edge
	}
	// GetAlias asks for one with its members.
	GetAlias struct {
		GroupID AliasGroupID `path:"groupId" json:"groupId" rule:"pathUUID"`
	}
	// RenameAlias gives an alias group another name.
	RenameAlias struct {
		GroupID AliasGroupID `path:"groupId" json:"groupId" rule:"pathUUID"`
		Name    string       `json:"name" rule:"pattern=^[a-zA-Z0-9_-]+$|Group name can only contain letters\\, numbers\\, underscores\\, and hyphens,max=50|Group name must not exceed 50 characters,min=1|Group name must not be empty,string"`
	}
	// DeleteAlias removes an alias group.
	DeleteAlias struct {
		GroupID AliasGroupID `path:"groupId" json:"groupId" rule:"pathUUID"`
	}
	// AddAliasMember puts a member into an alias group.
	AddAliasMember struct {
		GroupID AliasGroupID `path:"groupId" json:"groupId" rule:"pathUUID"`
		UserID  UserID       `json:"userId" rule:"uuid"`
	}
	// RemoveAliasMember takes one out.
	RemoveAliasMember struct {
		GroupID AliasGroupID `path:"groupId" json:"groupId" rule:"pathUUID"`
		UserID  UserID       `path:"userId" json:"userId" rule:"pathUUID"`
	}
	// SetAliasMembers makes the list the members of the group.
	SetAliasMembers struct {
		GroupID   AliasGroupID `path:"groupId" json:"groupId" rule:"pathUUID"`
		MemberIDs []UserID     `json:"memberIds" rule:"eachUUID,array,arrayMax=1000"`
	}
)

// AliasGrant is the community's leave to read alias groups.
type AliasGrant struct{}

// Rows of alias groups.
var (
	AliasList = Define[ListAliases, AliasGrant](Operation{
		Name: "alias.list", Method: "GET", Path: "/api/alias-groups/community/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadAliasGroup, Resource: ResourceCommunity,
		Shows: reflect.TypeFor[[]AliasSummary](),
	})
	AliasCreate = Define[CreateAlias, AliasGroup](Operation{
		Name: "alias.create", Method: "POST", Path: "/api/alias-groups/community/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionCreateAliasGroup, Resource: ResourceCommunity,
	})
	AliasGet = Define[GetAlias, AliasGrant](Operation{
		Name: "alias.get", Method: "GET", Path: "/api/alias-groups/{groupId}",
		Home: KindCommunity, Key: "groupId", Locate: LocateAlias, Permission: ActionReadAliasGroup, Resource: ResourceAliasGroup,
		Shows: reflect.TypeFor[AliasGroup](),
	})
	AliasRename = Define[RenameAlias, AliasGroup](Operation{
		Name: "alias.rename", Method: "PUT", Path: "/api/alias-groups/{groupId}",
		Home: KindCommunity, Key: "groupId", Locate: LocateAlias, Permission: ActionUpdateAliasGroup, Resource: ResourceAliasGroup,
	})
	AliasDelete = Define[DeleteAlias, None](Operation{
		Name: "alias.delete", Method: "DELETE", Path: "/api/alias-groups/{groupId}", Status: 204,
		Home: KindCommunity, Key: "groupId", Locate: LocateAlias, Permission: ActionDeleteAliasGroup, Resource: ResourceAliasGroup,
	})
	AliasMemberAdd = Define[AddAliasMember, None](Operation{
		Name: "alias.addMember", Method: "POST", Path: "/api/alias-groups/{groupId}/members", Status: 204,
		Home: KindCommunity, Key: "groupId", Locate: LocateAlias, Permission: ActionCreateAliasGroupMember, Resource: ResourceAliasGroup,
	})
	AliasMemberRemove = Define[RemoveAliasMember, None](Operation{
		Name: "alias.removeMember", Method: "DELETE", Path: "/api/alias-groups/{groupId}/members/{userId}", Status: 204,
		Home: KindCommunity, Key: "groupId", Locate: LocateAlias, Permission: ActionDeleteAliasGroupMember, Resource: ResourceAliasGroup,
	})
	AliasMembersSet = Define[SetAliasMembers, None](Operation{
		Name: "alias.setMembers", Method: "PUT", Path: "/api/alias-groups/{groupId}/members", Status: 204,
		Home: KindCommunity, Key: "groupId", Locate: LocateAlias, Permission: ActionUpdateAliasGroupMember, Resource: ResourceAliasGroup,
	})
)

// AliasGone tells a channel that an alias group was deleted: messages that name
// it name nobody there. Best effort: what is read from Postgres says so anyway.
type AliasGone struct {
	Group AliasGroupID `json:"g"`
}

// RoomsMoved tells a user actor that its sockets were put into rooms, or taken
// out, by somebody else: a socket that is just connecting must look again.
type RoomsMoved struct{}

var (
	_ = wired[AliasGone]("aliasGone")
	_ = wired[RoomsMoved]("roomsMoved")
)
