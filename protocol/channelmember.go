package protocol

import "reflect"

// ChannelMembership is the contract's object of the same name: somebody was let
// into a channel.
type ChannelMembership struct {
	ID        AnyID       `json:"id"`
	UserID    UserID      `json:"userId"`
	ChannelID ChannelID   `json:"channelId"`
	JoinedAt  Instant     `json:"joinedAt"`
	AddedBy   *UserID     `json:"addedBy,omitempty"`
	User      *PublicUser `json:"user,omitempty"`
}

// AddChannelMember lets a member of the community into a private channel.
type AddChannelMember struct {
	UserID    UserID    `json:"userId" rule:"uuid,string,nonempty"`
	ChannelID ChannelID `json:"channelId" rule:"uuid,string,nonempty"`
}

// ListChannelMembers asks for those in a private channel, in windows as
// ListMembers does.
type ListChannelMembers struct {
	ChannelID ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
	After     string    `query:"after" json:"after" rule:"optionalBlank,pattern=^[0-9-]{10}T[0-9:]{8}[.][0-9]{3}Z\\,[0-9a-fA-F-]{36}$|after must be joinedAt and id of a member\\, with a comma between them"`
	Limit     int       `query:"limit" json:"limit" rule:"queryWindow=1000"`
}

// ListChannelMemberships asks for the private channels of a user: the caller
// himself.
type ListChannelMemberships struct {
	UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`
}

// GetChannelMember asks for one of those in a private channel.
type GetChannelMember struct {
	ChannelID ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
	UserID    UserID    `path:"userId" json:"userId" rule:"pathUUID"`
}

// RemoveChannelMember shows somebody out of a private channel.
type RemoveChannelMember struct {
	ChannelID ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
	UserID    UserID    `path:"userId" json:"userId" rule:"pathUUID"`
}

// LeaveChannel takes the caller himself out.
type LeaveChannel struct {
	ChannelID ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
}

// ChannelMembersGrant is the community's leave to read them from Postgres.
type ChannelMembersGrant struct{}

// Rows of memberships of private channels. One's own need no permission.
var (
	ChannelMemberAdd = Define[AddChannelMember, ChannelMembership](Operation{
		Name: "channelmember.add", Method: "POST", Path: "/api/channel-membership",
		Home: KindCommunity, Key: "channelId", Locate: LocateChannel, Permission: ActionCreateMember, Resource: ResourceChannel,
	})
	ChannelMemberList = Define[ListChannelMembers, ChannelMembersGrant](Operation{
		Name: "channelmember.list", Method: "GET", Path: "/api/channel-membership/channel/{channelId}",
		Home: KindCommunity, Key: "channelId", Locate: LocateChannel, Permission: ActionReadMember, Resource: ResourceChannel,
		Shows: reflect.TypeFor[[]ChannelMembership](),
	})
	ChannelMemberMine = Define[None, []ChannelMembership](Operation{
		Name: "channelmember.mine", Method: "GET", Path: "/api/channel-membership/my", Home: KindEdge,
	})
	ChannelMemberOf = Define[ListChannelMemberships, []ChannelMembership](Operation{
		Name: "channelmember.of", Method: "GET", Path: "/api/channel-membership/user/{userId}", Home: KindEdge,
	})
	ChannelMemberGet = Define[GetChannelMember, ChannelMembersGrant](Operation{
		Name: "channelmember.get", Method: "GET", Path: "/api/channel-membership/channel/{channelId}/user/{userId}",
		Home: KindCommunity, Key: "channelId", Locate: LocateChannel, Permission: ActionReadMember, Resource: ResourceChannel,
		Shows: reflect.TypeFor[ChannelMembership](),
	})
	ChannelMemberRemove = Define[RemoveChannelMember, None](Operation{
		Name: "channelmember.remove", Method: "DELETE", Path: "/api/channel-membership/channel/{channelId}/user/{userId}", Status: 204,
		Home: KindCommunity, Key: "channelId", Locate: LocateChannel, Permission: ActionDeleteMember, Resource: ResourceChannel,
	})
	ChannelMemberLeave = Define[LeaveChannel, None](Operation{
		Name: "channelmember.leave", Method: "DELETE", Path: "/api/channel-membership/leave/{channelId}", Status: 204,
		Home: KindCommunity, Key: "channelId", Locate: LocateChannel,
	})
)
