package protocol

import (
	"strconv"

	"github.com/rookery-chat/rookery/protocol/internal/jsontext"
)

// The JSON of messages is written by hand: each is encoded once for its event,
// its rows and every page it is part of, and reflection was a tenth of what a
// send cost. TestAppendedJSONIsThatOfTheStruct holds it to the struct tags.

// AppendJSON appends the contract's message object.
func (m *Message) AppendJSON(b []byte) []byte {
	b = m.AppendHead(b)
	b = append(b, `,"spans":`...)
	b = AppendSpans(b, m.Spans)
	b = append(b, `,"reactions":`...)
	b = AppendReactions(b, m.Reactions)
	b = append(b, `,"attachments":`...)
	b = AppendAttachments(b, m.Attachments)
	return append(b, '}')
}

// AppendHead appends the object up to its lists: what follows is
// ,"spans":[...],"reactions":[...],"attachments":[...]}.
func (m *Message) AppendHead(b []byte) []byte {
	b = appendID(append(b, `{"id":`...), &m.ID)
	b = appendID(append(b, `,"channelId":`...), m.ChannelID)
	b = appendID(append(b, `,"directMessageGroupId":`...), m.DirectMessageGroupID)
	b = appendID(append(b, `,"authorId":`...), m.AuthorID)
	b = appendInstant(append(b, `,"sentAt":`...), &m.SentAt)
	b = appendInstant(append(b, `,"editedAt":`...), m.EditedAt)
	b = appendInstant(append(b, `,"deletedAt":`...), m.DeletedAt)
	b = append(b, `,"pendingAttachments":`...)
	if m.PendingAttachments == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, int64(*m.PendingAttachments), 10)
	}
	b = appendText(append(b, `,"searchText":`...), m.SearchText)
	b = strconv.AppendBool(append(b, `,"pinned":`...), m.Pinned)
	b = appendInstant(append(b, `,"pinnedAt":`...), m.PinnedAt)
	b = appendID(append(b, `,"pinnedBy":`...), m.PinnedBy)
	b = appendID(append(b, `,"deletedBy":`...), m.DeletedBy)
	b = appendText(append(b, `,"deletedByReason":`...), m.DeletedByReason)
	b = appendID(append(b, `,"parentMessageId":`...), m.ParentMessageID)
	b = strconv.AppendInt(append(b, `,"replyCount":`...), int64(m.ReplyCount), 10)
	return appendInstant(append(b, `,"lastReplyAt":`...), m.LastReplyAt)
}

// AppendSpans appends spans as a message shows them. It is also the form in
// which they are stored, and the only one: Postgres finds ids in it by their
// text.
func AppendSpans(b []byte, spans []Span) []byte {
	b = append(b, '[')
	for i := range spans {
		if i > 0 {
			b = append(b, ',')
		}
		s := &spans[i]
		b = appendID(append(b, `{"id":`...), &s.ID)
		b = appendID(append(b, `,"messageId":`...), &s.MessageID)
		b = strconv.AppendInt(append(b, `,"position":`...), int64(s.Position), 10)
		b = jsontext.AppendString(append(b, `,"type":`...), s.Type)
		b = appendText(append(b, `,"text":`...), s.Text)
		b = appendID(append(b, `,"userId":`...), s.UserID)
		b = appendText(append(b, `,"specialKind":`...), s.SpecialKind)
		b = appendID(append(b, `,"communityId":`...), s.CommunityID)
		b = appendID(append(b, `,"aliasId":`...), s.AliasID)
		b = append(b, '}')
	}
	return append(b, ']')
}

// AppendReactions appends reactions as a message shows them.
func AppendReactions(b []byte, list []Reaction) []byte {
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsontext.AppendString(append(b, `{"emoji":`...), list[i].Emoji)
		b = append(b, `,"userIds":[`...)
		for j := range list[i].UserIDs {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendID(b, &list[i].UserIDs[j])
		}
		b = append(b, ']', '}')
	}
	return append(b, ']')
}

// AppendAttachments appends attachments as a message shows them.
func AppendAttachments(b []byte, list []Attachment) []byte {
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		a := &list[i]
		b = appendID(append(b, `{"id":`...), &a.ID)
		b = jsontext.AppendString(append(b, `,"filename":`...), a.Filename)
		b = jsontext.AppendString(append(b, `,"mimeType":`...), a.MimeType)
		b = jsontext.AppendString(append(b, `,"fileType":`...), a.FileType)
		b = strconv.AppendInt(append(b, `,"size":`...), a.Size, 10)
		b = strconv.AppendBool(append(b, `,"hasThumbnail":`...), a.HasThumbnail)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendID[T any](b []byte, id *ID[T]) []byte {
	if id == nil {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = id.append(b)
	return append(b, '"')
}

func appendInstant(b []byte, i *Instant) []byte {
	if i == nil {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = i.append(b)
	return append(b, '"')
}

func appendText(b []byte, s *string) []byte {
	if s == nil {
		return append(b, "null"...)
	}
	return jsontext.AppendString(b, *s)
}
