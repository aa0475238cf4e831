package protocol

import (
	"bytes"
	"reflect"
)

// AroundMessage asks for the page around a message of a channel.
type AroundMessage struct {
	ChannelID ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
	MessageID MessageID `path:"messageId" json:"messageId" rule:"pathUUID"`
	Limit     int       `query:"limit" json:"limit" rule:"queryInt=50"`
}

// AroundPage is newest first; its tokens lead on in the lists of the channel.
type AroundPage struct {
	Messages               []Message `json:"messages"`
	OlderContinuationToken string    `json:"olderContinuationToken,omitempty"`
	NewerContinuationToken string    `json:"newerContinuationToken,omitempty"`
}

// AroundGroupMessage asks for the page around a message of a direct message group.
type AroundGroupMessage struct {
	GroupID   GroupID   `path:"groupId" json:"groupId" rule:"pathUUID"`
	MessageID MessageID `path:"messageId" json:"messageId" rule:"pathUUID"`
	Limit     int       `query:"limit" json:"limit" rule:"queryInt=50"`
}

// MessageAroundInGroup is the same for a direct message group.
var MessageAroundInGroup = Define[AroundGroupMessage, PageGrant](Operation{
	Name: "message.aroundInGroup", Method: "GET", Path: "/api/messages/group/{groupId}/around/{messageId}",
	Home: KindDM, Key: "groupId", Permission: ActionReadMessage, Resource: ResourceGroup, Shows: reflect.TypeFor[AroundPage](),
})

// MessageAround is the row of the page around a message. Its owner answers with
// the page as text.
var MessageAround = Define[AroundMessage, PageGrant](Operation{
	Name: "message.around", Method: "GET", Path: "/api/messages/channel/{channelId}/around/{messageId}",
	Home: KindChannel, Key: "channelId", Permission: ActionReadMessage, Resource: ResourceChannel, Shows: reflect.TypeFor[AroundPage](),
})

// Around writes an AroundPage of messages that are JSON already, newest first.
type Around struct {
	In           Place
	Older, Newer int64 // seqs of the messages at the ends, where there are more; 0: there are none

	text []byte
}

// Add appends a message.
func (a *Around) Add(message []byte) {
	if a.text == nil {
		a.text = append(a.text, `{"messages":[`...)
	} else {
		a.text = append(a.text, ',')
	}
	a.text = append(a.text, message...)
}

// Text ends the page, which must have a message.
func (a *Around) Text() []byte {
	b := append(bytes.Clone(a.text), ']')
	for _, end := range [...]struct {
		name string
		seq  int64
	}{{"older", a.Older}, {"newer", a.Newer}} {
		if end.seq != 0 {
			b = append(b, `,"`+end.name+`ContinuationToken":"`...)
			b = append(b, Cursor{In: a.In, Seq: end.seq}.Token()...)
			b = append(b, '"')
		}
	}
	return append(b, '}')
}
