package rules

import (
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Addressee is somebody who may be notified of a message, and what counts for
// that.
type Addressee struct {
	Author     bool // he wrote it
	Blocks     bool // he blocks the author
	Reads      bool // he may read there now
	Named      bool // by name, @here, @channel or an alias group of the community
	Subscribed bool // to the thread of the reply
	Level      string
	DMs        bool // he wants to hear of direct messages
}

// Said is what counts of the message.
type Said struct {
	Direct bool // in a direct-message group
	Reply  bool // in a thread
	Loud   bool // every message counts: the channel is private or not crowded
}

// Notify is the type of the notification that somebody gets; empty: none. The
// statement that makes notifications decides the same for many at once.
func Notify(m Said, a Addressee) string {
	switch {
	case a.Author, a.Blocks, !a.Reads:
		return ""
	case m.Direct && !a.DMs:
		return ""
	case m.Reply && a.Subscribed:
		return protocol.NoticeThreadReply
	case m.Direct && (!m.Reply || a.Named):
		return protocol.NoticeDirectMessage
	case m.Direct, a.Level == protocol.LevelNone:
		return ""
	case a.Named:
		return protocol.NoticeUserMention
	case !m.Reply && m.Loud && a.Level == protocol.LevelAll:
		return protocol.NoticeChannelMessage
	default:
		return ""
	}
}

// Undisturbed reports whether somebody does not want to be disturbed at a moment
// of his day: always, or between two times that may have midnight between them.
func Undisturbed(on bool, start, end *string, at time.Time) bool {
	if !on || start == nil || end == nil || *start == *end {
		return on
	}
	now := at.Format("15:04")
	if *start < *end {
		return *start <= now && now < *end
	}
	return now >= *start || now < *end
}
