package protocol

import (
	"encoding/json"
	"reflect"
)

// Limits of a message.
const (
	MaxSpans       = 100
	MaxMessageText = 20_000 // code points in all spans
	MaxAttachments = 10
	MaxPending     = 100
	MaxPage        = 100
	DefaultPage    = 50
	MaxNonce       = 64 // bytes
)

// Span types.
const (
	SpanPlaintext = "PLAINTEXT"
	SpanUser      = "USER_MENTION"
	SpanSpecial   = "SPECIAL_MENTION"
	SpanCommunity = "COMMUNITY_MENTION"
	SpanAlias     = "ALIAS_MENTION"
)

// SpanInput is a span as clients send it; unknown keys are dropped.
type SpanInput struct {
	Type        string  `json:"type"`
	Text        *string `json:"text"`
	UserID      *string `json:"userId"`
	SpecialKind *string `json:"specialKind"`
	CommunityID *string `json:"communityId"`
	AliasID     *string `json:"aliasId"`
}

// Span is a part of a message.
type Span struct {
	ID          AnyID     `json:"id"`
	MessageID   MessageID `json:"messageId"`
	Position    int       `json:"position"`
	Type        string    `json:"type"`
	Text        *string   `json:"text"`
	UserID      *UserID   `json:"userId"`
	SpecialKind *string   `json:"specialKind"`
	CommunityID *AnyID    `json:"communityId"` // a community or, in #channel mentions, a channel
	AliasID     *AnyID    `json:"aliasId"`
}

// Reaction is one emoji with everybody who chose it, in order of choosing.
type Reaction struct {
	Emoji   string   `json:"emoji"`
	UserIDs []UserID `json:"userIds"`
}

// Attachment is what clients need of a file.
type Attachment struct {
	ID           FileID `json:"id"`
	Filename     string `json:"filename"`
	MimeType     string `json:"mimeType"`
	FileType     string `json:"fileType"`
	Size         int64  `json:"size"`
	HasThumbnail bool   `json:"hasThumbnail"`
}

// Message is the contract's message object. Seq is its position in the channel or group;
// it is not part of the REST body.
type Message struct {
	ID                   MessageID    `json:"id"`
	ChannelID            *ChannelID   `json:"channelId"`
	DirectMessageGroupID *GroupID     `json:"directMessageGroupId"`
	AuthorID             *UserID      `json:"authorId"`
	SentAt               Instant      `json:"sentAt"`
	EditedAt             *Instant     `json:"editedAt"`
	DeletedAt            *Instant     `json:"deletedAt"`
	PendingAttachments   *int         `json:"pendingAttachments"`
	SearchText           *string      `json:"searchText"`
	Pinned               bool         `json:"pinned"`
	PinnedAt             *Instant     `json:"pinnedAt"`
	PinnedBy             *UserID      `json:"pinnedBy"`
	DeletedBy            *UserID      `json:"deletedBy"`
	DeletedByReason      *string      `json:"deletedByReason"`
	ParentMessageID      *MessageID   `json:"parentMessageId"`
	ReplyCount           int          `json:"replyCount"`
	LastReplyAt          *Instant     `json:"lastReplyAt"`
	Spans                []Span       `json:"spans"`
	Reactions            []Reaction   `json:"reactions"`
	Attachments          []Attachment `json:"attachments"`
	Seq                  int64        `json:"-" cbor:"seq"`
	Nonce                string       `json:"-" cbor:"nonce"`
}

// SendMessage is the body of sendMessage and POST /api/messages.
type SendMessage struct {
	ChannelID            *ChannelID  `json:"channelId" rule:"optional,uuid"`
	DirectMessageGroupID *GroupID    `json:"directMessageGroupId" rule:"optional,uuid"`
	Spans                []SpanInput `json:"spans" rule:"arrayMin=1|At least one span is required,array,spans"`
	Attachments          []FileID    `json:"attachments" rule:"arrayMax=10,array,eachUUID"`
	PendingAttachments   *int        `json:"pendingAttachments" rule:"optional,min=0,max=100,int"`
	Nonce                string      `json:"nonce" rule:"optional,max=64,string"`

	ID MessageID `json:"-" cbor:"id"` // chosen by the edge: the same for every retry
}

// Sent is the native reply to message.send.
type Sent struct {
	ID     MessageID `json:"id"`
	Seq    int64     `json:"seq"`
	SentAt Instant   `json:"sentAt"`
}

// ListMessages asks for a page of a channel's history.
type ListMessages struct {
	ChannelID         ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
	Limit             int       `query:"limit" json:"limit" rule:"queryInt=50"`
	ContinuationToken string    `query:"continuationToken" json:"continuationToken"`
	Direction         string    `query:"direction" json:"direction"` // "newer"; anything else is older
}

// MessagePage is newest first in both directions.
type MessagePage struct {
	Messages          []Message `json:"messages"`
	ContinuationToken string    `json:"continuationToken,omitempty"`
}

// PageGrant is the owner's answer to ListMessages: either the page itself, or
// leave to read it from Postgres.
type PageGrant struct {
	Page   json.RawMessage `json:"page"` // a MessagePage; nil: read
	Limit  int             `json:"limit"`
	Newer  bool            `json:"newer"`
	Cursor int64           `json:"cursor"` // exclusive seq; 0: from the end the direction starts at
	After  MessageID       `json:"after"`  // instead of Cursor: a message id that a client sent as its token
}

// ColdMessage is the owner's answer instead of a *Message that it does not
// hold in memory: leave to read it from Postgres, where everything said about
// it so far is committed. It is not found unless it is in In.
type ColdMessage struct {
	ID MessageID `json:"i"`
	In Place     `json:"c"`
}

// GetMessage asks for one message.
type GetMessage struct {
	ID MessageID `path:"id" json:"id" rule:"pathUUID"`
}

// EditMessage changes spans and the set of attachments. Everything else that
// clients send is ignored.
type EditMessage struct {
	ID          MessageID    `path:"id" json:"id" rule:"pathUUID"`
	Spans       *[]SpanInput `json:"spans" rule:"optional,arrayMin=1|At least one span is required,array,spans"`
	Attachments *[]FileID    `json:"attachments" rule:"optional,arrayMax=10,array,eachUUID"`
}

// DeleteMessage removes a message with everything that hangs on it.
type DeleteMessage struct {
	ID MessageID `path:"id" json:"id" rule:"pathUUID"`
}

// AddReaction adds the caller to an emoji of a message.
type AddReaction struct {
	MessageID MessageID `json:"messageId" rule:"uuid"`
	Emoji     string    `json:"emoji" rule:"max=64,nonempty,string"`
}

// RemoveReaction takes the caller from an emoji of a message.
type RemoveReaction struct {
	MessageID MessageID `json:"messageId" rule:"uuid"`
	Emoji     string    `json:"emoji" rule:"max=64,nonempty,string"`
}

// ReactedMessage is a message without spans and attachments: the reply of the
// reaction routes.
type ReactedMessage struct {
	ID                   MessageID  `json:"id"`
	ChannelID            *ChannelID `json:"channelId"`
	DirectMessageGroupID *GroupID   `json:"directMessageGroupId"`
	AuthorID             *UserID    `json:"authorId"`
	SentAt               Instant    `json:"sentAt"`
	EditedAt             *Instant   `json:"editedAt"`
	DeletedAt            *Instant   `json:"deletedAt"`
	PendingAttachments   *int       `json:"pendingAttachments"`
	SearchText           *string    `json:"searchText"`
	Pinned               bool       `json:"pinned"`
	PinnedAt             *Instant   `json:"pinnedAt"`
	PinnedBy             *UserID    `json:"pinnedBy"`
	DeletedBy            *UserID    `json:"deletedBy"`
	DeletedByReason      *string    `json:"deletedByReason"`
	ParentMessageID      *MessageID `json:"parentMessageId"`
	ReplyCount           int        `json:"replyCount"`
	LastReplyAt          *Instant   `json:"lastReplyAt"`
	Reactions            []Reaction `json:"reactions"`
}

// Rows of messages and reactions.
var (
	MessageSend = Define[SendMessage, Message](Operation{
		Name: "message.send", Method: "POST", Path: "/api/messages", Event: "sendMessage", Group: GroupMessages, Acks: true,
		Home: KindChannel, Key: "channelId", Locate: LocatePlace, Permission: ActionCreateMessage, Resource: ResourceChannel,
	})
	MessageList = Define[ListMessages, PageGrant](Operation{
		Name: "message.list", Method: "GET", Path: "/api/messages/channel/{channelId}",
		Home: KindChannel, Key: "channelId", Permission: ActionReadMessage, Resource: ResourceChannel, Shows: reflect.TypeFor[MessagePage](),
	})
	MessageGet = Define[GetMessage, Message](Operation{
		Name: "message.get", Method: "GET", Path: "/api/messages/{id}",
		Home: KindChannel, Key: "id", Locate: LocateMessage, Permission: ActionReadMessage, Resource: ResourceMessage,
	})
	// Editing and deleting need no action of the row: the channel lets the
	// author through, and for deletion those who moderate.
	MessageEdit = Define[EditMessage, Message](Operation{
		Name: "message.edit", Method: "PATCH", Path: "/api/messages/{id}",
		Home: KindChannel, Key: "id", Locate: LocateMessage, Permission: ActionReadMessage, Resource: ResourceMessage,
	})
	MessageDelete = Define[DeleteMessage, None](Operation{
		Name: "message.delete", Method: "DELETE", Path: "/api/messages/{id}", Status: 204,
		Home: KindChannel, Key: "id", Locate: LocateMessage, Permission: ActionReadMessage, Resource: ResourceMessage,
	})
	ReactionAdd = Define[AddReaction, ReactedMessage](Operation{
		Name: "reaction.add", Method: "POST", Path: "/api/messages/reactions", Event: "addReaction", Group: GroupMessages,
		Home: KindChannel, Key: "messageId", Locate: LocateMessage, Permission: ActionCreateReaction, Resource: ResourceMessage,
	})
	ReactionRemove = Define[RemoveReaction, ReactedMessage](Operation{
		Name: "reaction.remove", Method: "DELETE", Path: "/api/messages/reactions", Event: "removeReaction", Group: GroupMessages,
		Home: KindChannel, Key: "messageId", Locate: LocateMessage, Permission: ActionDeleteReaction, Resource: ResourceMessage,
	})
)

// Payloads of the message events.
type (
	// NewMessage is newMessage and updateMessage.
	NewMessage struct {
		Message json.RawMessage `json:"message"`
	}
	// MessageDeleted is deleteMessage.
	MessageDeleted struct {
		MessageID            MessageID  `json:"messageId"`
		ChannelID            *ChannelID `json:"channelId"`
		DirectMessageGroupID *GroupID   `json:"directMessageGroupId"`
	}
	// ReactionAdded is reactionAdded; Reaction is complete for its emoji.
	ReactionAdded struct {
		MessageID            MessageID  `json:"messageId"`
		Reaction             Reaction   `json:"reaction"`
		ChannelID            *ChannelID `json:"channelId"`
		DirectMessageGroupID *GroupID   `json:"directMessageGroupId"`
		ParentMessageID      *MessageID `json:"parentMessageId"`
	}
	// ReactionRemoved is reactionRemoved; Reactions is all that remain.
	ReactionRemoved struct {
		MessageID            MessageID  `json:"messageId"`
		Emoji                string     `json:"emoji"`
		Reactions            []Reaction `json:"reactions"`
		ChannelID            *ChannelID `json:"channelId"`
		DirectMessageGroupID *GroupID   `json:"directMessageGroupId"`
		ParentMessageID      *MessageID `json:"parentMessageId"`
	}
)

// Typing starts or stops the typing indicator of a socket's user. It goes from
// the relay (which knows that the socket is in the room) to the owner of the room.
type Typing struct {
	User   UserID `json:"u"`
	Conn   ConnID `json:"c"`
	Active bool   `json:"a"`
}

// UserTyping is the payload of userTyping.
type UserTyping struct {
	UserID               UserID     `json:"userId"`
	ChannelID            *ChannelID `json:"channelId,omitempty"`
	DirectMessageGroupID *GroupID   `json:"directMessageGroupId,omitempty"`
	IsTyping             bool       `json:"isTyping"`
}

var (
	_ = wired[Typing]("typing")
	_ = wired[ColdMessage]("coldMessage")
)
