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

// RemoveMember takes a member out of a community.
type RemoveMember struct {
	CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
	UserID      UserID      `path:"userId" json:"userId" rule:"pathUUID"`
}

// LeaveCommunity takes the caller himself out.
type LeaveCommunity struct {
	CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
}

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
	MemberRemove = Define[RemoveMember, None](Operation{
		Name: "member.remove", Method: "DELETE", Path: "/api/membership/community/{communityId}/user/{userId}", Status: 204,
		Home: KindCommunity, Key: "communityId", Permission: ActionDeleteMember, Resource: ResourceCommunity,
	})
	MemberLeave = Define[LeaveCommunity, None](Operation{
		Name: "member.leave", Method: "DELETE", Path: "/api/membership/leave/{communityId}", Status: 204,
		Home: KindCommunity, Key: "communityId",
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

// UserKicked is the payload of userKicked.
type UserKicked struct {
	CommunityID CommunityID `json:"communityId"`
	UserID      UserID      `json:"userId"`
	ModeratorID UserID      `json:"moderatorId"`
	Reason      *string     `json:"reason,omitempty"`
}

// MemberJoined tells a user actor that its user is now in a community, with the
// public channels of it: its sockets join the rooms and get
// memberAddedToCommunity. Answered with *Done.
type MemberJoined struct {
	Community CommunityID `json:"c"`
	Channels  []ChannelID `json:"ch"`
}

// MemberLeft tells a user actor that its user is in a community no longer: its
// sockets leave the rooms of it. Answered with *Done.
type MemberLeft struct {
	Community CommunityID    `json:"c"`
	Channels  []ChannelID    `json:"ch"` // all of them
	Aliases   []AliasGroupID `json:"a"`  // those that he was in
}

// Topics is the rooms to leave.
func (m *MemberLeft) Topics() []Topic {
	topics := make([]Topic, 0, 1+len(m.Channels)+len(m.Aliases))
	topics = append(topics, CommunityTopic(m.Community))
	for _, c := range m.Channels {
		topics = append(topics, ChannelTopic(c))
	}
	for _, a := range m.Aliases {
		topics = append(topics, AliasTopic(a))
	}
	return topics
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
	Gone bool   `json:"g"` // the account was deleted: what it wrote has no author any more
}

var (
	_ = wired[MemberJoined]("memberJoined")
	_ = wired[MemberLeft]("memberLeft")
	_ = wired[ChannelOpened]("channelOpened")
	_ = wired[ReloadMember]("reloadMember")
)
