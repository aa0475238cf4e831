package protocol

import "reflect"

// SendThreadReply is the body of sendThreadReply: a message below another one.
type SendThreadReply struct {
	ParentMessageID    MessageID   `path:"parentMessageId" json:"parentMessageId" rule:"pathUUID"`
	Spans              []SpanInput `json:"spans" rule:"array,spans"`
	Attachments        []FileID    `json:"attachments" rule:"optional,arrayMax=10,array,eachUUID"`
	PendingAttachments *int        `json:"pendingAttachments" rule:"optional,min=0,max=100,int"`
	Nonce              string      `json:"nonce" rule:"optional,max=64,string"`

	ID MessageID `json:"-" cbor:"id"` // chosen by the edge: the same for every retry
}

// ListReplies asks for a page of a thread, oldest first.
type ListReplies struct {
	ParentMessageID   MessageID `path:"parentMessageId" json:"parentMessageId" rule:"pathUUID"`
	Limit             int       `query:"limit" json:"limit" rule:"queryInt=50"`
	ContinuationToken string    `query:"continuationToken" json:"continuationToken"`
}

// GetThread asks for what is known of a thread.
type GetThread struct {
	ParentMessageID MessageID `path:"parentMessageId" json:"parentMessageId" rule:"pathUUID"`
}

// SubscribeThread makes the caller hear of replies.
type SubscribeThread struct {
	ParentMessageID MessageID `path:"parentMessageId" json:"parentMessageId" rule:"pathUUID"`
}

// UnsubscribeThread ends that.
type UnsubscribeThread struct {
	ParentMessageID MessageID `path:"parentMessageId" json:"parentMessageId" rule:"pathUUID"`
}

// ThreadPage is oldest first.
type ThreadPage struct {
	Replies           []Message `json:"replies"`
	ContinuationToken string    `json:"continuationToken,omitempty"`
}

// ThreadMetadata is what is known of a thread.
type ThreadMetadata struct {
	ParentMessageID MessageID `json:"parentMessageId"`
	ReplyCount      int       `json:"replyCount"`
	LastReplyAt     *Instant  `json:"lastReplyAt"`
	IsSubscribed    bool      `json:"isSubscribed"`
}

// ThreadGrant is the owner's leave to read a thread: everything said in it so far
// is committed.
type ThreadGrant struct {
	In          Place     `json:"p"`
	Parent      MessageID `json:"m"`
	ReplyCount  int       `json:"n"`
	LastReplyAt *Instant  `json:"l"`

	// Of a page.
	Empty  bool      `json:"e"` // the token is of elsewhere
	Limit  int       `json:"i"`
	Cursor int64     `json:"c"` // exclusive seq; 0: from the oldest
	After  MessageID `json:"a"` // instead of Cursor: the id of a reply
}

// Rows of threads. A reply is a message: it is edited and deleted as such.
var (
	ThreadReply = Define[SendThreadReply, Message](Operation{
		Name: "thread.reply", Method: "POST", Path: "/api/threads/{parentMessageId}/replies",
		Event: "sendThreadReply", Group: GroupThreads, Acks: true, AcksErrors: true,
		Home: KindChannel, Key: "parentMessageId", Locate: LocateMessage, Permission: ActionCreateMessage, Resource: ResourceMessage,
	})
	ThreadList = Define[ListReplies, ThreadGrant](Operation{
		Name: "thread.list", Method: "GET", Path: "/api/threads/{parentMessageId}/replies",
		Home: KindChannel, Key: "parentMessageId", Locate: LocateMessage, Permission: ActionReadMessage, Resource: ResourceMessage,
		Shows: reflect.TypeFor[ThreadPage](),
	})
	ThreadGet = Define[GetThread, ThreadGrant](Operation{
		Name: "thread.get", Method: "GET", Path: "/api/threads/{parentMessageId}/metadata",
		Home: KindChannel, Key: "parentMessageId", Locate: LocateMessage, Permission: ActionReadMessage, Resource: ResourceMessage,
		Shows: reflect.TypeFor[ThreadMetadata](),
	})
	ThreadSubscribe = Define[SubscribeThread, None](Operation{
		Name: "thread.subscribe", Method: "POST", Path: "/api/threads/{parentMessageId}/subscribe", Status: 204,
		Home: KindChannel, Key: "parentMessageId", Locate: LocateMessage, Permission: ActionReadMessage, Resource: ResourceMessage,
	})
	ThreadUnsubscribe = Define[UnsubscribeThread, None](Operation{
		Name: "thread.unsubscribe", Method: "DELETE", Path: "/api/threads/{parentMessageId}/subscribe", Status: 204,
		Home: KindChannel, Key: "parentMessageId", Locate: LocateMessage, Permission: ActionReadMessage, Resource: ResourceMessage,
	})
)

// Payloads of the events of threads. newThreadReply and updateThreadReply carry
// {"reply":Message,"parentMessageId":...}.
type (
	// ThreadReplyDeleted is deleteThreadReply.
	ThreadReplyDeleted struct {
		ReplyID         MessageID `json:"replyId"`
		ParentMessageID MessageID `json:"parentMessageId"`
	}
	// ThreadReplyCount is threadReplyCountUpdated.
	ThreadReplyCount struct {
		ParentMessageID      MessageID  `json:"parentMessageId"`
		ReplyCount           int        `json:"replyCount"`
		LastReplyAt          *Instant   `json:"lastReplyAt"`
		ChannelID            *ChannelID `json:"channelId"`
		DirectMessageGroupID *GroupID   `json:"directMessageGroupId"`
	}
)
