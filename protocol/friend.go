package protocol

// States of a friendship.
const (
	FriendPending  = "PENDING"
	FriendAccepted = "ACCEPTED"
)

// Friendship is the contract's friendship: UserAID asked UserBID.
type Friendship struct {
	ID        FriendshipID `json:"id"`
	UserAID   UserID       `json:"userAId"`
	UserBID   UserID       `json:"userBId"`
	CreatedAt Instant      `json:"createdAt"`
	Status    string       `json:"status"`
}

// Friend is a user with the friendship that makes him one.
type Friend struct {
	PublicUser
	FriendshipID FriendshipID `json:"friendshipId"`
}

// FriendRequest is a friendship that waits, with both users.
type FriendRequest struct {
	Friendship
	UserA PublicUser `json:"userA"`
	UserB PublicUser `json:"userB"`
}

// FriendRequests are the friendships of a user that wait.
type FriendRequests struct {
	Sent     []FriendRequest `json:"sent"`
	Received []FriendRequest `json:"received"`
}

// FriendStatus is what is between the caller and another user. Direction is
// "sent" or "received", seen from the caller, while the request waits.
type FriendStatus struct {
	Status       *string       `json:"status"`
	FriendshipID *FriendshipID `json:"friendshipId"`
	Direction    *string       `json:"direction"`
}

// Success is the answer {"success":true}.
type Success struct {
	Success bool `json:"success"`
}

// Requests about friendships.
type (
	// GetFriendStatus asks what is between the caller and another user.
	GetFriendStatus struct {
		UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`
	}
	// RequestFriend asks another user to be a friend.
	RequestFriend struct {
		UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`

		ID FriendshipID `json:"-" cbor:"id"` // chosen by the edge
	}
	// AcceptFriend accepts a request that the caller received.
	AcceptFriend struct {
		ID FriendshipID `path:"id" json:"id" rule:"pathUUID"`
	}
	// DeclineFriend refuses a request that the caller received.
	DeclineFriend struct {
		ID FriendshipID `path:"id" json:"id" rule:"pathUUID"`
	}
	// CancelFriend takes back a request that the caller sent.
	CancelFriend struct {
		ID FriendshipID `path:"id" json:"id" rule:"pathUUID"`
	}
	// RemoveFriend ends a friendship of the caller.
	RemoveFriend struct {
		ID FriendshipID `path:"id" json:"id" rule:"pathUUID"`
	}
)

// MaxFriends bounds one answer with friends, requests or blocked users.
const MaxFriends = 5000

// Rows of friendships.
var (
	FriendList = Define[None, []Friend](Operation{
		Name: "friend.list", Method: "GET", Path: "/api/friends", Home: KindEdge,
	})
	FriendRequestList = Define[None, FriendRequests](Operation{
		Name: "friend.requests", Method: "GET", Path: "/api/friends/requests", Home: KindEdge,
	})
	FriendStatusGet = Define[GetFriendStatus, FriendStatus](Operation{
		Name: "friend.status", Method: "GET", Path: "/api/friends/status/{userId}", Home: KindEdge,
	})
	FriendAsk = Define[RequestFriend, Friendship](Operation{
		Name: "friend.request", Method: "POST", Path: "/api/friends/request/{userId}", Home: KindUser, Key: KeyCaller,
	})
	FriendAccept = Define[AcceptFriend, Friendship](Operation{
		Name: "friend.accept", Method: "POST", Path: "/api/friends/accept/{id}", Home: KindUser, Key: KeyCaller,
	})
	FriendDecline = Define[DeclineFriend, Success](Operation{
		Name: "friend.decline", Method: "DELETE", Path: "/api/friends/decline/{id}", Home: KindUser, Key: KeyCaller,
	})
	FriendCancel = Define[CancelFriend, Success](Operation{
		Name: "friend.cancel", Method: "DELETE", Path: "/api/friends/cancel/{id}", Home: KindUser, Key: KeyCaller,
	})
	FriendRemove = Define[RemoveFriend, Success](Operation{
		Name: "friend.remove", Method: "DELETE", Path: "/api/friends/{id}", Home: KindUser, Key: KeyCaller,
	})
)
