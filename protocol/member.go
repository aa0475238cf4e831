package protocol

// Membership is the contract's membership object.
type Membership struct {
	ID          AnyID       `json:"id"`
	UserID      UserID      `json:"userId"`
	CommunityID CommunityID `json:"communityId"`
	JoinedAt    Instant     `json:"joinedAt"`
	User        *PublicUser `json:"user,omitempty"`
}

// AddMember adds a user to a community.
type AddMember struct {
	UserID      UserID      `json:"userId" rule:"uuid,string,nonempty"`
	CommunityID CommunityID `json:"communityId" rule:"uuid,string,nonempty"`
}

// ListMembers asks for the members of a community, at most MaxMembers.
type ListMembers struct {
	CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
}

// MaxMembers bounds one answer to ListMembers.
const MaxMembers = 1000

// MembersGrant is the community's leave to read the list from Postgres.
type MembersGrant struct {
	CommunityID CommunityID `json:"c"`
}

// Rows of memberships.
var (
	MemberAdd = Define[AddMember, Membership](Operation{
		Name: "member.add", Method: "POST", Path: "/api/membership",
		Home: KindCommunity, Key: "communityId", Permission: ActionCreateMember, Resource: ResourceCommunity,
	})
	MemberList = Define[ListMembers, MembersGrant](Operation{
		Name: "member.list", Method: "GET", Path: "/api/membership/community/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadMember, Resource: ResourceCommunity,
	})
)

// MemberAdded is the payload of memberAddedToCommunity.
type MemberAdded struct {
	CommunityID CommunityID `json:"communityId"`
	UserID      UserID      `json:"userId"`
}

// RoleAssigned is the payload of roleAssigned.
type RoleAssigned struct {
	CommunityID CommunityID `json:"communityId"`
	UserID      UserID      `json:"userId"`
	RoleID      RoleID      `json:"roleId"`
	RoleName    string      `json:"roleName"`
}

// MemberJoined tells a user actor that its user is now in a community, with the
// public channels of it: its sockets join the rooms and get
// memberAddedToCommunity. Answered with *Done.
type MemberJoined struct {
	Community CommunityID `json:"c"`
	Channels  []ChannelID `json:"ch"`
}

// ChannelOpened tells a user actor that its user can see one more channel.
type ChannelOpened struct {
	Community CommunityID `json:"c"`
	Channel   Channel     `json:"ch"`
	Announce  bool        `json:"a"` // send channelCreated to the user's sockets
}

// ReloadMember tells a community that a membership was written by somebody
// else (registration with an invite): it reads it again, lets the user's
// sockets in and announces the member. Answered with *Done.
type ReloadMember struct {
	User UserID `json:"u"`
}

var (
	_ = wired[MemberJoined]("memberJoined")
	_ = wired[ChannelOpened]("channelOpened")
	_ = wired[ReloadMember]("reloadMember")
)
