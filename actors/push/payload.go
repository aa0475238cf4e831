package push

import (
	"encoding/json"
	"strings"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// maxText is how many characters of a message are shown.
const maxText = 100

// payload is what the service worker of clients understands.
type payload struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	Tag   string `json:"tag"`
	Data  any    `json:"data"`
}

type data struct {
	NotificationID       protocol.AnyID        `json:"notificationId"`
	ChannelID            *protocol.ChannelID   `json:"channelId"`
	CommunityID          *protocol.CommunityID `json:"communityId,omitempty"`
	DirectMessageGroupID *protocol.GroupID     `json:"directMessageGroupId"`
	Type                 string                `json:"type"`
}

// payloadOf is what a delivery shows.
func payloadOf(d *persistence.Delivery) payload {
	author := "Someone"
	switch {
	case d.AuthorShown != nil && *d.AuthorShown != "":
		author = *d.AuthorShown
	case d.AuthorName != "":
		author = d.AuthorName
	}
	p := payload{
		Title: "New notification", Tag: d.ID.String(),
		Data: data{d.ID, d.Channel, d.Community, d.Group, d.Type},
	}
	switch {
	case d.Type == protocol.NoticeDirectMessage:
		p.Title = "Message from " + author
	case d.Channel != nil && d.ChannelName != nil:
		p.Title = "#" + *d.ChannelName
	}
	text := textOf(d.Spans)
	said := func(without string) string {
		if text == "" {
			return author + " " + without
		}
		return author + ": " + text
	}
	switch d.Type {
	case protocol.NoticeUserMention:
		p.Body = said("mentioned you")
	case protocol.NoticeDirectMessage:
		if p.Body = text; text == "" {
			p.Body = "New message"
		}
	case protocol.NoticeChannelMessage:
		p.Body = said("sent a message")
	case protocol.NoticeThreadReply:
		p.Body = said("replied to a thread")
	default:
		p.Body = "You have a new notification"
	}
	return p
}

// textOf joins the texts of spans.
func textOf(spans []byte) string {
	var list []struct{ Text *string }
	if json.Unmarshal(spans, &list) != nil {
		return ""
	}
	var texts []string
	for _, s := range list {
		if s.Text != nil && *s.Text != "" {
			texts = append(texts, *s.Text)
		}
	}
	text := []rune(strings.TrimSpace(strings.Join(texts, " ")))
	if len(text) > maxText {
		return string(text[:maxText]) + "..."
	}
	return string(text)
}
