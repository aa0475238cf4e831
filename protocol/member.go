package protocol

import (
	"reflect"
	"strings"
	"time"
)

// Membership is the contract's membership object.
type Membership struct {
	ID          AnyID       `json:"id"`
	UserID      UserID      `json:"userId"`
	CommunityID CommunityID `json:"communityId"`
	JoinedAt    Instant     `json:"joinedAt"`
	User        *PublicUser `json:"user,omitempty"`

	Community *MemberCommunity `json:"community,omitempty"`
}

// MemberCommunity is what a membership shows of its community.
type MemberCommunity struct {
	ID          CommunityID `json:"id"`
	Name        string      `json:"name"`
	Description *string     `json:"description"`
	Avatar      *FileID     `json:"avatar"`
}

// AddMember adds a user to a community.
type AddMember struct {
	UserID      UserID      `json:"userId" rule:"uuid,string,nonempty"`
	CommunityID CommunityID `json:"communityId" rule:"uuid,string,nonempty"`
}

// ListMembers asks for the members of a community, at most MaxMembers, those who
// joined first leading. The place of the last one asks for those after him.
type ListMembers struct {
	CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
	After       string      `query:"after" json:"after" rule:"optionalBlank,pattern=^[0-9-]{10}T[0-9:]{8}[.][0-9]{3}Z\\,[0-9a-fA-F-]{36}$|after must be joinedAt and id of a member\\, with a comma between them"`
	Limit       int         `query:"limit" json:"limit" rule:"queryWindow=1000"`
}

// MaxMembers bounds one answer to ListMembers.
const MaxMembers = 1000

// MemberPlace is a place in a list of members, who are ordered by joining: just
// after the one named, whether he is still there or not. The zero place is the
// start.
type MemberPlace struct {
	JoinedAt Instant
	ID       AnyID
}

// ParseMemberPlace reads joinedAt and id of a membership, with a comma between
// them. What is no place is the start.
func ParseMemberPlace(text string) MemberPlace {
	at, id, _ := strings.Cut(text, ",")
	moment, err := time.Parse(instantLayout, at)
	if err != nil {
		return MemberPlace{}
	}
	p := MemberPlace{JoinedAt: InstantOf(moment)}
	if err := p.ID.UnmarshalText([]byte(id)); err != nil {
		return MemberPlace{}
	}
	return p
}

// SearchMembers asks for members by a part of their names.
type SearchMembers struct {
	CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
	Query       string      `query:"query" json:"query" rule:"optional,string"`
	Limit       int         `query:"limit" json:"limit" rule:"queryInt=10"`
}

// ListMemberships asks for the memberships of a user: the caller himself.
type ListMemberships struct {
	UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`
}

// GetMember asks for one membership.
type GetMember struct {
	CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
	UserID      UserID      `path:"userId" json:"userId" rule:"pathUUID"`
}

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
		Home: KindCommunity, Key: "communityId", Permission: ActionReadMember, Resource: ResourceCommunity, Shows: reflect.TypeFor[[]Membership](),
	})
	MemberSearch = Define[SearchMembers, MembersGrant](Operation{
		Name: "member.search", Method: "GET", Path: "/api/membership/community/{communityId}/search",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadMember, Resource: ResourceCommunity, Shows: reflect.TypeFor[[]Membership](),
	})
	MemberMine = Define[None, []Membership](Operation{
		Name: "member.mine", Method: "GET", Path: "/api/membership/my", Home: KindEdge,
	})
	MemberOf = Define[ListMemberships, []Membership](Operation{
		Name: "member.of", Method: "GET", Path: "/api/membership/user/{userId}", Home: KindEdge,
	})
	MemberGet = Define[GetMember, MembersGrant](Operation{
		Name: "member.get", Method: "GET", Path: "/api/membership/community/{communityId}/user/{userId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadMember, Resource: ResourceCommunity,
		Shows: reflect.TypeFor[Membership](),
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

// ChannelClosed tells a user actor that its user can see into a channel no
// longer: his sockets leave it and get channelDeleted. Answered with *Done.
type ChannelClosed struct {
	Community CommunityID `json:"c"`
	Channel   ChannelID   `json:"ch"`
}

// NotMember tells a user actor that its user is not in a community that it says
// he is in: it reads again where he is.
type NotMember struct {
	Community CommunityID `json:"c"`
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
	_ = wired[ChannelClosed]("channelClosed")
	_ = wired[NotMember]("notMember")
	_ = wired[ReloadMember]("reloadMember")
)
