package protocol

import "reflect"

// Refusals of requests about what was read, in the contract's words.
var (
	ErrOneContext     = BadRequest("Must provide exactly one of channelId or directMessageGroupId")
	ErrReadNoMessage  = BadRequest("Message not found")
	ErrReadElsewhere  = BadRequest("Message does not belong to the specified channel or DM group")
	ErrNotInGroup     = Forbidden("You are not a member of this DM group")
	ErrBadUUIDInQuery = BadRequest("Validation failed (UUID string is expected)")
)

// Requests about what was read. Exactly one of channel and group is given.
type (
	// MarkRead moves the caller's watermark in a channel or group forward.
	MarkRead struct {
		LastReadMessageID    MessageID  `json:"lastReadMessageId" rule:"uuid"`
		ChannelID            *ChannelID `json:"channelId" rule:"optional,uuid"`
		DirectMessageGroupID *GroupID   `json:"directMessageGroupId" rule:"optional,uuid"`
	}
	// ListUnread asks how much the caller has not read anywhere.
	ListUnread struct{}
	// GetUnread asks how much the caller has not read.
	GetUnread struct {
		ChannelID            *ChannelID `query:"channelId" json:"channelId" rule:"queryUUID"`
		DirectMessageGroupID *GroupID   `query:"directMessageGroupId" json:"directMessageGroupId" rule:"queryUUID"`
	}
	// GetLastRead asks how far the caller has read.
	GetLastRead struct {
		ChannelID            *ChannelID `query:"channelId" json:"channelId" rule:"queryUUID"`
		DirectMessageGroupID *GroupID   `query:"directMessageGroupId" json:"directMessageGroupId" rule:"queryUUID"`
	}
	// ListPeerReads asks how far the others of a group have read.
	ListPeerReads struct {
		GroupID GroupID `path:"directMessageGroupId" json:"directMessageGroupId" rule:"pathUUID"`
	}
	// ListReaders asks who has read a message.
	ListReaders struct {
		MessageID            MessageID  `path:"messageId" json:"messageId" rule:"pathUUID"`
		ChannelID            *ChannelID `query:"channelId" json:"channelId" rule:"queryUUID"`
		DirectMessageGroupID *GroupID   `query:"directMessageGroupId" json:"directMessageGroupId" rule:"queryUUID"`
	}
)

// PlaceOf is the one context that a request gives; false when there is none or
// there are two.
func PlaceOf(channel *ChannelID, group *GroupID) (Place, bool) {
	switch {
	case (channel == nil) == (group == nil):
		return Place{}, false
	case channel != nil:
		return InChannel(*channel), true
	default:
		return InGroup(*group), true
	}
}

// Receipt is how far a user has read in a channel or group.
type Receipt struct {
	ID                   AnyID      `json:"id"`
	UserID               UserID     `json:"userId"`
	ChannelID            *ChannelID `json:"channelId"`
	DirectMessageGroupID *GroupID   `json:"directMessageGroupId"`
	LastReadMessageID    *MessageID `json:"lastReadMessageId"` // null: it was deleted; the watermark stays
	LastReadAt           Instant    `json:"lastReadAt"`
}

// MaxUnread is where counting unread messages of one context ends.
const MaxUnread = 1000

// Unread is what a user has not read in a channel or group.
type Unread struct {
	ChannelID            *ChannelID `json:"channelId,omitempty"`
	DirectMessageGroupID *GroupID   `json:"directMessageGroupId,omitempty"`
	UnreadCount          int        `json:"unreadCount"` // at most MaxUnread
	MentionCount         int        `json:"mentionCount"`
	LastReadMessageID    *MessageID `json:"lastReadMessageId,omitempty"`
	LastReadAt           *Instant   `json:"lastReadAt,omitempty"`
}

// LastReadMessage is the answer to GetLastRead.
type LastReadMessage struct {
	LastReadMessageID *MessageID `json:"lastReadMessageId"`
}

// PeerRead is how far another member of a group has read.
type PeerRead struct {
	UserID     UserID  `json:"userId"`
	LastReadAt Instant `json:"lastReadAt"`
}

// Reader is who has read a message.
type Reader struct {
	UserID      UserID  `json:"userId"`
	Username    string  `json:"username"`
	DisplayName *string `json:"displayName"`
	AvatarURL   *FileID `json:"avatarUrl"`
	ReadAt      Instant `json:"readAt"`
}

// MaxReaders bounds the list of those who have read a message, the latest first.
const MaxReaders = 1000

// ReadGrant is the owner's answer to requests about what was read: the caller may
// read there. Everything said there so far is committed.
type ReadGrant struct {
	In Place `json:"i"`

	// Of the message asked for, when it is in memory; Seq 0: look it up.
	Seq    int64   `json:"s"`
	SentAt Instant `json:"t"`

	// The caller's watermark that is not stored yet; Own.Seq 0: none.
	Own Watermark `json:"o"`
}

// Watermark is how far somebody has read.
type Watermark struct {
	Message MessageID `json:"m"`
	Seq     int64     `json:"s"`
	At      Instant   `json:"a"`
}

// AdvanceRead tells a user actor how far the user has read, by his own word. The
// answer is *Receipt, as it is then.
type AdvanceRead struct {
	In      Place     `json:"i"`
	Message MessageID `json:"m"`
	Seq     int64     `json:"s"`
	SentAt  Instant   `json:"t"`
	Silent  bool      `json:"q"` // nobody is told, and notifications stay
}

// Rows of read receipts.
var (
	ReceiptMark = Define[MarkRead, ReadGrant](Operation{
		Name: "receipt.mark", Method: "POST", Path: "/api/read-receipts/mark-read", Status: 200, Event: "markAsRead", Group: GroupReceipts,
		Home: KindChannel, Key: "channelId", Locate: LocatePlace, Permission: ActionReadMessage, Resource: ResourceChannel,
		Shows: reflect.TypeFor[Receipt](),
	})
	ReceiptCounts = Define[ListUnread, []Unread](Operation{
		Name: "receipt.counts", Method: "GET", Path: "/api/read-receipts/unread-counts", Home: KindUser, Key: KeyCaller,
	})
	ReceiptCount = Define[GetUnread, ReadGrant](Operation{
		Name: "receipt.count", Method: "GET", Path: "/api/read-receipts/unread-count",
		Home: KindChannel, Key: "channelId", Locate: LocatePlace, Permission: ActionReadMessage, Resource: ResourceChannel,
		Shows: reflect.TypeFor[Unread](),
	})
	ReceiptLast = Define[GetLastRead, ReadGrant](Operation{
		Name: "receipt.last", Method: "GET", Path: "/api/read-receipts/last-read",
		Home: KindChannel, Key: "channelId", Locate: LocatePlace, Permission: ActionReadMessage, Resource: ResourceChannel,
		Shows: reflect.TypeFor[LastReadMessage](),
	})
	ReceiptPeers = Define[ListPeerReads, ReadGrant](Operation{
		Name: "receipt.peers", Method: "GET", Path: "/api/read-receipts/dm-peer-reads/{directMessageGroupId}",
		Home: KindDM, Key: "directMessageGroupId", Permission: ActionReadMessage, Resource: ResourceGroup,
		Shows: reflect.TypeFor[[]PeerRead](),
	})
	ReceiptReaders = Define[ListReaders, ReadGrant](Operation{
		Name: "receipt.readers", Method: "GET", Path: "/api/read-receipts/message/{messageId}/readers",
		Home: KindChannel, Key: "channelId", Locate: LocatePlace, Permission: ActionReadMessage, Resource: ResourceChannel,
		Shows: reflect.TypeFor[[]Reader](),
	})
)

// Payloads of readReceiptUpdated.
type (
	// ReadReceiptUpdated is for the reader's own sockets.
	ReadReceiptUpdated struct {
		ChannelID            *ChannelID `json:"channelId"`
		DirectMessageGroupID *GroupID   `json:"directMessageGroupId"`
		LastReadMessageID    MessageID  `json:"lastReadMessageId"`
		LastReadAt           Instant    `json:"lastReadAt"`
	}
	// PeerReadUpdated is for everybody in a group.
	PeerReadUpdated struct {
		ReadReceiptUpdated
		UserID      UserID  `json:"userId"`
		Username    string  `json:"username"`
		DisplayName *string `json:"displayName"`
		AvatarURL   *FileID `json:"avatarUrl"`
	}
)

var (
	_ = wired[AdvanceRead]("advanceRead")
	_ = wired[Receipt]("receipt")
)
