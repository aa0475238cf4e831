package protocol

import (
	"encoding/json"
	"reflect"
)

// Types of notifications.
const (
	NoticeUserMention    = "USER_MENTION"
	NoticeSpecialMention = "SPECIAL_MENTION"
	NoticeDirectMessage  = "DIRECT_MESSAGE"
	NoticeChannelMessage = "CHANNEL_MESSAGE"
	NoticeThreadReply    = "THREAD_REPLY"
)

// Levels: which messages of a channel somebody wants to be notified of.
const (
	LevelAll      = "all"
	LevelMentions = "mentions"
	LevelNone     = "none"
)

// Kinds of special mentions that notify.
const (
	SpecialHere    = "here"
	SpecialChannel = "channel"
)

// Limits of notifications.
const (
	// CrowdedAbove is the number of members above which nobody is notified of every
	// message of a public channel.
	CrowdedAbove = 500
	// MaxNotifications is how many of a user are kept, the newest.
	MaxNotifications = 500
	// MaxReadEvents is up to how many notificationRead events one request causes;
	// above that there are none.
	MaxReadEvents = 100
)

// Notification is a row as it is stored.
type Notification struct {
	ID                   AnyID      `json:"id"`
	UserID               UserID     `json:"userId"`
	Type                 string     `json:"type"`
	MessageID            *MessageID `json:"messageId"`
	ChannelID            *ChannelID `json:"channelId"`
	DirectMessageGroupID *GroupID   `json:"directMessageGroupId"`
	AuthorID             UserID     `json:"authorId"`
	ParentMessageID      *MessageID `json:"parentMessageId"`
	Read                 bool       `json:"read"`
	Dismissed            bool       `json:"dismissed"`
	CreatedAt            Instant    `json:"createdAt"`
}

// NoticeMessage is what a notification shows of its message.
type NoticeMessage struct {
	ID                   MessageID       `json:"id"`
	Spans                json.RawMessage `json:"spans"` // []Span
	ChannelID            *ChannelID      `json:"channelId"`
	DirectMessageGroupID *GroupID        `json:"directMessageGroupId"`
}

// NoticeChannel is what a notification shows of its channel.
type NoticeChannel struct {
	CommunityID CommunityID `json:"communityId"`
}

// ShownNotification is a notification with what it is about.
type ShownNotification struct {
	Notification
	Author      *Author        `json:"author"`
	Message     *NoticeMessage `json:"message"` // null: gone, or not to be read any more
	Channel     *NoticeChannel `json:"channel"`
	CommunityID *CommunityID   `json:"communityId"`
}

// NotificationPage is a page of the caller's notifications, newest first.
type NotificationPage struct {
	Notifications []ShownNotification `json:"notifications"`
	Total         int                 `json:"total"` // of all pages
	UnreadCount   int                 `json:"unreadCount"`
}

// Count is a number of things.
type Count struct {
	Count int `json:"count"`
}

// NotificationSettings is what a user wants to be notified of.
type NotificationSettings struct {
	ID                  AnyID   `json:"id"`
	UserID              UserID  `json:"userId"`
	DesktopEnabled      bool    `json:"desktopEnabled"`
	PlaySound           bool    `json:"playSound"`
	SoundType           string  `json:"soundType"`
	DoNotDisturb        bool    `json:"doNotDisturb"`
	DNDStartTime        *string `json:"dndStartTime"` // HH:mm
	DNDEndTime          *string `json:"dndEndTime"`
	DefaultChannelLevel string  `json:"defaultChannelLevel"`
	DMNotifications     bool    `json:"dmNotifications"`
	TimeZone            *string `json:"timeZone,omitempty"` // of the two times above; none: the server's
	CreatedAt           Instant `json:"createdAt"`
	UpdatedAt           Instant `json:"updatedAt"`
}

// ChannelOverride is the level of one channel.
type ChannelOverride struct {
	ID        AnyID     `json:"id"`
	UserID    UserID    `json:"userId"`
	ChannelID ChannelID `json:"channelId"`
	Level     string    `json:"level"`
	CreatedAt Instant   `json:"createdAt"`
	UpdatedAt Instant   `json:"updatedAt"`
}

// Requests about the caller's notifications.
type (
	// ListNotifications asks for a page.
	ListNotifications struct {
		UnreadOnly string `query:"unreadOnly" json:"unreadOnly"` // false, 0 or nothing: all
		Limit      *int   `query:"limit" json:"limit" rule:"optional,numeric,max=100,min=1,number,whole"`
		Offset     *int   `query:"offset" json:"offset" rule:"optional,numeric,min=0,max=1000000,number,whole"`
	}
	// ReadNotification marks one as read.
	ReadNotification struct {
		ID AnyID `path:"id" json:"id" rule:"pathUUID"`
	}
	// DismissNotification takes one from the list.
	DismissNotification struct {
		ID AnyID `path:"id" json:"id" rule:"pathUUID"`
	}
	// DeleteNotification removes one.
	DeleteNotification struct {
		ID AnyID `path:"id" json:"id" rule:"pathUUID"`
	}
	// UpdateNotificationSettings changes what is given.
	UpdateNotificationSettings struct {
		DesktopEnabled      *bool         `json:"desktopEnabled" rule:"optional,bool"`
		PlaySound           *bool         `json:"playSound" rule:"optional,bool"`
		SoundType           *string       `json:"soundType" rule:"optional,enum=default;mention;dm"`
		DoNotDisturb        *bool         `json:"doNotDisturb" rule:"optional,bool"`
		DNDStartTime        Patch[string] `json:"dndStartTime" rule:"optional,hourMinute"`
		DNDEndTime          Patch[string] `json:"dndEndTime" rule:"optional,hourMinute"`
		DefaultChannelLevel *string       `json:"defaultChannelLevel" rule:"optional,enum=all;mentions;none"`
		DMNotifications     *bool         `json:"dmNotifications" rule:"optional,bool"`
		TimeZone            Patch[string] `json:"timeZone" rule:"optional,timeZone"` // IANA
	}
	// GetChannelOverride asks for the level of a channel.
	GetChannelOverride struct {
		ChannelID ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
	}
	// SetChannelOverride sets the level of a channel.
	SetChannelOverride struct {
		ChannelID ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
		Level     string    `json:"level" rule:"enum=all;mentions;none"`
	}
	// DeleteChannelOverride goes back to the default level.
	DeleteChannelOverride struct {
		ChannelID ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
	}
	// ReadAllNotifications marks all as read.
	ReadAllNotifications struct{}
	// ClearNotifications removes all, with the settings.
	ClearNotifications struct{}
	// SendTestNotification notifies the caller himself.
	SendTestNotification struct {
		Type          string `json:"type" rule:"enum=USER_MENTION;SPECIAL_MENTION;DIRECT_MESSAGE;CHANNEL_MESSAGE;THREAD_REPLY"`
		CustomMessage string `json:"customMessage" rule:"optional,string"` // ignored
	}
)

// OverrideGrant is the channel's answer to requests about its level: the caller
// may read there.
type OverrideGrant struct {
	Channel ChannelID `json:"c"`
}

// TestNotification is the answer to SendTestNotification.
type TestNotification struct {
	Success      bool              `json:"success"`
	Notification ShownNotification `json:"notification"`
	Message      string            `json:"message"`
}

// ClearedNotifications is what was removed of the caller's.
type ClearedNotifications struct {
	Success              bool   `json:"success"`
	NotificationsDeleted int64  `json:"notificationsDeleted"`
	SettingsDeleted      int64  `json:"settingsDeleted"`
	OverridesDeleted     int64  `json:"overridesDeleted"`
	Message              string `json:"message"`
}

// Rows of notifications.
var (
	NotificationList = Define[ListNotifications, NotificationPage](Operation{
		Name: "notification.list", Method: "GET", Path: "/api/notifications", Home: KindEdge,
	})
	NotificationCount = Define[None, Count](Operation{
		Name: "notification.count", Method: "GET", Path: "/api/notifications/unread-count", Home: KindEdge,
	})
	NotificationRead = Define[ReadNotification, Notification](Operation{
		Name: "notification.read", Method: "POST", Path: "/api/notifications/{id}/read", Status: 200, Home: KindUser, Key: KeyCaller,
	})
	NotificationReadAll = Define[ReadAllNotifications, Count](Operation{
		Name: "notification.readAll", Method: "POST", Path: "/api/notifications/read-all", Status: 200, Home: KindUser, Key: KeyCaller,
	})
	NotificationDismiss = Define[DismissNotification, Notification](Operation{
		Name: "notification.dismiss", Method: "POST", Path: "/api/notifications/{id}/dismiss", Status: 200, Home: KindUser, Key: KeyCaller,
	})
	NotificationDelete = Define[DeleteNotification, None](Operation{
		Name: "notification.delete", Method: "DELETE", Path: "/api/notifications/{id}", Status: 204, Home: KindUser, Key: KeyCaller,
	})
	NotificationSettingsGet = Define[None, NotificationSettings](Operation{
		Name: "notification.settings", Method: "GET", Path: "/api/notifications/settings", Home: KindEdge,
	})
	NotificationSettingsUpdate = Define[UpdateNotificationSettings, NotificationSettings](Operation{
		Name: "notification.updateSettings", Method: "PUT", Path: "/api/notifications/settings", Home: KindUser, Key: KeyCaller,
	})
	NotificationOverrideGet = Define[GetChannelOverride, OverrideGrant](Operation{
		Name: "notification.override", Method: "GET", Path: "/api/notifications/channels/{channelId}/override",
		Home: KindChannel, Key: "channelId", Permission: ActionReadMessage, Resource: ResourceChannel, Shows: reflect.TypeFor[*ChannelOverride](),
	})
	NotificationOverrideSet = Define[SetChannelOverride, OverrideGrant](Operation{
		Name: "notification.setOverride", Method: "PUT", Path: "/api/notifications/channels/{channelId}/override",
		Home: KindChannel, Key: "channelId", Permission: ActionReadMessage, Resource: ResourceChannel, Shows: reflect.TypeFor[ChannelOverride](),
	})
	NotificationOverrideDelete = Define[DeleteChannelOverride, OverrideGrant](Operation{
		Name: "notification.deleteOverride", Method: "DELETE", Path: "/api/notifications/channels/{channelId}/override", Status: 204,
		Home: KindChannel, Key: "channelId", Permission: ActionReadMessage, Resource: ResourceChannel, Shows: reflect.TypeFor[None](),
	})
	NotificationTest = Define[SendTestNotification, TestNotification](Operation{
		Name: "notification.test", Method: "POST", Path: "/api/notifications/debug/send-test", Status: 200, Home: KindUser, Key: KeyCaller,
	})
	NotificationSubscriptions = Define[None, DebugSubscriptions](Operation{
		Name: "notification.subscriptions", Method: "GET", Path: "/api/notifications/debug/subscriptions", Home: KindEdge,
	})
	NotificationClear = Define[ClearNotifications, ClearedNotifications](Operation{
		Name: "notification.clear", Method: "DELETE", Path: "/api/notifications/debug/clear-all", Home: KindUser, Key: KeyCaller,
	})
)

// Payloads of the events of notifications.
type (
	// NewNotification is newNotification.
	NewNotification struct {
		NotificationID       AnyID          `json:"notificationId"`
		Type                 string         `json:"type"`
		MessageID            *MessageID     `json:"messageId"`
		ChannelID            *ChannelID     `json:"channelId"`
		CommunityID          *CommunityID   `json:"communityId"`
		ChannelName          *string        `json:"channelName"`
		DirectMessageGroupID *GroupID       `json:"directMessageGroupId"`
		AuthorID             UserID         `json:"authorId"`
		Author               *Author        `json:"author"`
		Message              *NoticeMessage `json:"message"`
		CreatedAt            Instant        `json:"createdAt"`
		Read                 bool           `json:"read"`
	}
	// NotificationWasRead is notificationRead.
	NotificationWasRead struct {
		NotificationID AnyID `json:"notificationId"`
	}
)

// Notices carries the newNotification events of one message for many users to
// the relay of a node: what differs is the id, the type and the user. Tail is
// the payload of all of them behind those two members.
type Notices struct {
	Tail  []byte   `json:"t"`
	Items []Notice `json:"i"`
}

// Notice is the part of one user.
type Notice struct {
	User UserID `json:"u"`
	ID   AnyID  `json:"n"`
	Type string `json:"t"`
}

// Payload is the payload of one of the events.
func (n *Notices) Payload(i int) []byte {
	item := &n.Items[i]
	b := make([]byte, 0, len(n.Tail)+96)
	b = append(b, `{"notificationId":"`...)
	b = item.ID.append(b)
	b = append(b, `","type":"`...)
	b = append(b, item.Type...) // one of the constants
	b = append(b, `",`...)
	return append(b, n.Tail...)
}

// NewNotices splits the payload of one event into what all have in common.
func NewNotices(of NewNotification, items []Notice) (*Notices, error) {
	text, err := json.Marshal(struct {
		MessageID            *MessageID     `json:"messageId"`
		ChannelID            *ChannelID     `json:"channelId"`
		CommunityID          *CommunityID   `json:"communityId"`
		ChannelName          *string        `json:"channelName"`
		DirectMessageGroupID *GroupID       `json:"directMessageGroupId"`
		AuthorID             UserID         `json:"authorId"`
		Author               *Author        `json:"author"`
		Message              *NoticeMessage `json:"message"`
		CreatedAt            Instant        `json:"createdAt"`
		Read                 bool           `json:"read"`
	}{of.MessageID, of.ChannelID, of.CommunityID, of.ChannelName, of.DirectMessageGroupID, of.AuthorID, of.Author, of.Message, of.CreatedAt, of.Read})
	if err != nil {
		return nil, err
	}
	return &Notices{Tail: text[1:], Items: items}, nil
}

// AskOnlineMembers asks a community which of its members are online. Answered
// with *OnlineMembers.
type AskOnlineMembers struct {
	Users []UserID `json:"u"` // only these; nil: all
}

// OnlineMembers answers AskOnlineMembers.
type OnlineMembers struct {
	Users []UserID `json:"u"`
	Fresh bool     `json:"f"` // the community was loaded a short while ago: some may be missing
}

// NoticesUnwanted tells the owner of a channel that a message has led to no
// notification because nobody there wants to hear of every message: for a while
// it need not announce those that mention nobody.
type NoticesUnwanted struct{}

// NoticesWanted tells the owner of a channel, or a community for all of its
// channels, that somebody may want to hear of every message from now on.
type NoticesWanted struct{}

var (
	_ = wired[Notices]("notices")
	_ = wired[AskOnlineMembers]("askOnlineMembers")
	_ = wired[OnlineMembers]("onlineMembers")
	_ = wired[NoticesUnwanted]("noticesUnwanted")
	_ = wired[NoticesWanted]("noticesWanted")
)
