package protocol

import "reflect"

// Limits of direct message groups.
const (
	MaxGroupMembers = 50
	MaxGroups       = 1000 // of one user; so many are listed
)

// CreateDirect opens a conversation of the caller with others. Two people have
// one at most, which is returned when it is there.
type CreateDirect struct {
	UserIDs []UserID `json:"userIds" rule:"arrayMax=50,eachUUID,array"`
	Name    *string  `json:"name" rule:"optional,max=100,string"`
	IsGroup *bool    `json:"isGroup" rule:"optional,bool"`

	ID GroupID `json:"-" cbor:"id"` // chosen by the edge: the same for every retry
}

// GetDirect asks for one group.
type GetDirect struct {
	ID GroupID `path:"id" json:"id" rule:"pathUUID"`
}

// GetDirectMessages asks for the newest messages of a group.
type GetDirectMessages struct {
	ID GroupID `path:"id" json:"id" rule:"pathUUID"`
}

// AddDirectMembers adds others to a group of the caller.
type AddDirectMembers struct {
	ID      GroupID  `path:"id" json:"id" rule:"pathUUID"`
	UserIDs []UserID `json:"userIds" rule:"arrayMax=50,eachUUID,array"`
}

// LeaveDirect ends the caller's membership of a group.
type LeaveDirect struct {
	ID GroupID `path:"id" json:"id" rule:"pathUUID"`
}

// ListGroupMessages asks for a page of a group's history.
type ListGroupMessages struct {
	GroupID           GroupID `path:"groupId" json:"groupId" rule:"pathUUID"`
	Limit             int     `query:"limit" json:"limit" rule:"queryInt=50"`
	ContinuationToken string  `query:"continuationToken" json:"continuationToken"`
	Direction         string  `query:"direction" json:"direction"` // "newer"; anything else is older
}

// DirectGroup is a direct message group as its members see it.
type DirectGroup struct {
	ID          GroupID            `json:"id"`
	Name        *string            `json:"name"`
	IsGroup     bool               `json:"isGroup"`
	CreatedAt   Instant            `json:"createdAt"`
	Members     []DirectMember     `json:"members"`
	LastMessage *LastDirectMessage `json:"lastMessage"`
}

// DirectMember is a member of a group.
type DirectMember struct {
	ID       AnyID      `json:"id"`
	GroupID  GroupID    `json:"groupId"`
	UserID   UserID     `json:"userId"`
	JoinedAt Instant    `json:"joinedAt"`
	User     DirectUser `json:"user"`
}

// DirectUser is what groups show of their members.
type DirectUser struct {
	ID          UserID  `json:"id"`
	Username    string  `json:"username"`
	DisplayName *string `json:"displayName"`
	AvatarURL   *FileID `json:"avatarUrl"`
}

// LastDirectMessage is what a list of groups shows of the newest message.
type LastDirectMessage struct {
	ID                   MessageID `json:"id"`
	AuthorID             *UserID   `json:"authorId"`
	Spans                []Span    `json:"spans"`
	SentAt               Instant   `json:"sentAt"`
	DirectMessageGroupID *GroupID  `json:"directMessageGroupId,omitempty"` // in lists
}

// DirectGrant is leave to read a group.
type DirectGrant struct {
	ID GroupID `json:"i"`
}

// Rows of direct messages.
var (
	DirectSend = Define[SendMessage, Message](Operation{
		Name: "dm.send", Event: "sendDirectMessage", Group: GroupMessages, Acks: true,
		Home: KindDM, Key: "directMessageGroupId", Permission: ActionCreateMessage, Resource: ResourceGroup,
	})
	DirectHistory = Define[ListGroupMessages, PageGrant](Operation{
		Name: "message.listGroup", Method: "GET", Path: "/api/messages/group/{groupId}",
		Home: KindDM, Key: "groupId", Permission: ActionReadMessage, Resource: ResourceGroup, Shows: reflect.TypeFor[MessagePage](),
	})
	DirectList = Define[None, []DirectGroup](Operation{
		Name: "dm.list", Method: "GET", Path: "/api/direct-messages", Home: KindEdge,
	})
	DirectCreate = Define[CreateDirect, DirectGrant](Operation{
		Name: "dm.create", Method: "POST", Path: "/api/direct-messages",
		Home: KindUser, Key: KeyCaller, Shows: reflect.TypeFor[DirectGroup](),
	})
	DirectGet = Define[GetDirect, DirectGrant](Operation{
		Name: "dm.get", Method: "GET", Path: "/api/direct-messages/{id}",
		Home: KindDM, Key: "id", Permission: ActionReadMessage, Resource: ResourceGroup, Shows: reflect.TypeFor[DirectGroup](),
	})
	DirectMessages = Define[GetDirectMessages, PageGrant](Operation{
		Name: "dm.messages", Method: "GET", Path: "/api/direct-messages/{id}/messages",
		Home: KindDM, Key: "id", Permission: ActionReadMessage, Resource: ResourceGroup, Shows: reflect.TypeFor[MessagePage](),
	})
	DirectAdd = Define[AddDirectMembers, DirectGrant](Operation{
		Name: "dm.addMembers", Method: "POST", Path: "/api/direct-messages/{id}/members",
		Home: KindDM, Key: "id", Permission: ActionCreateMessage, Resource: ResourceGroup, Shows: reflect.TypeFor[DirectGroup](),
	})
	DirectLeave = Define[LeaveDirect, None](Operation{
		Name: "dm.leave", Method: "DELETE", Path: "/api/direct-messages/{id}/members/me", Status: 204,
		Home: KindDM, Key: "id", Permission: ActionDeleteMessage, Resource: ResourceGroup,
	})
)

// GroupOpened tells a group that somebody has opened it for these users: who is
// no member any more becomes one again, and all their sockets join the room. It
// is answered with *Done when that is stored.
type GroupOpened struct {
	Users []UserID `json:"u"`
}

// PairBlocked tells a one-to-one conversation that one blocks the other (or does
// no longer). It is answered with *Done; from then on it is so.
type PairBlocked struct {
	Blocked bool `json:"b"`
}

var (
	_ = wired[GroupOpened]("groupOpened")
	_ = wired[PairBlocked]("pairBlocked")
)
