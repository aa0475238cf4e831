package protocol

import "reflect"

// Requests of moderators about messages.
type (
	// PinMessage pins a message.
	PinMessage struct {
		MessageID MessageID `path:"messageId" json:"messageId" rule:"pathUUID"`
		Reason    *string   `json:"reason" rule:"optional,string"`
	}
	// UnpinMessage takes the pin of a message away.
	UnpinMessage struct {
		MessageID MessageID `path:"messageId" json:"messageId" rule:"pathUUID"`
		Reason    *string   `json:"reason" rule:"optional,string"`
	}
	// RemoveMessage hides a message that somebody else wrote.
	RemoveMessage struct {
		MessageID MessageID `path:"messageId" json:"messageId" rule:"pathUUID"`
		Reason    *string   `json:"reason" rule:"optional,string"`
	}
	// ListPins asks for the pins of a channel, oldest first.
	ListPins struct {
		ChannelID         ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
		ContinuationToken string    `query:"continuationToken" json:"continuationToken"`
	}
)

// Author is what pins show of who wrote a message.
type Author struct {
	ID          UserID  `json:"id"`
	Username    string  `json:"username"`
	DisplayName *string `json:"displayName"`
	AvatarURL   *FileID `json:"avatarUrl"`
}

// PinnedMessage is a message with its author; null: the account is gone.
type PinnedMessage struct {
	Message
	Author *Author `json:"author"`
}

// Rows of moderation of messages. They have no rule of rank.
var (
	MessagePin = Define[PinMessage, Moderated](Operation{
		Name: "message.pin", Method: "POST", Path: "/api/moderation/pin/{messageId}", Status: 200,
		Home: KindChannel, Key: "messageId", Locate: LocateMessage, Permission: ActionPinMessage, Resource: ResourceMessage,
	})
	MessageUnpin = Define[UnpinMessage, Moderated](Operation{
		Name: "message.unpin", Method: "DELETE", Path: "/api/moderation/pin/{messageId}",
		Home: KindChannel, Key: "messageId", Locate: LocateMessage, Permission: ActionUnpinMessage, Resource: ResourceMessage,
	})
	MessageRemove = Define[RemoveMessage, Moderated](Operation{
		Name: "message.remove", Method: "DELETE", Path: "/api/moderation/message/{messageId}",
		Home: KindChannel, Key: "messageId", Locate: LocateMessage, Permission: ActionDeleteAnyMessage, Resource: ResourceMessage,
	})
	PinList = Define[ListPins, ModerationGrant](Operation{
		Name: "pin.list", Method: "GET", Path: "/api/moderation/pins/{channelId}",
		Home: KindChannel, Key: "channelId", Permission: ActionReadMessage, Resource: ResourceChannel,
		Shows: reflect.TypeFor[[]PinnedMessage](),
	})
)

// Payloads of the events of pins.
type (
	// MessagePinned is messagePinned.
	MessagePinned struct {
		MessageID MessageID `json:"messageId"`
		ChannelID ChannelID `json:"channelId"`
		PinnedBy  UserID    `json:"pinnedBy"`
		PinnedAt  Instant   `json:"pinnedAt"`
	}
	// MessageUnpinned is messageUnpinned.
	MessageUnpinned struct {
		MessageID  MessageID `json:"messageId"`
		ChannelID  ChannelID `json:"channelId"`
		UnpinnedBy UserID    `json:"unpinnedBy"`
	}
)
