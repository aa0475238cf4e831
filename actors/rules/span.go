package rules

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rookery-chat/rookery/protocol"
)

// Limits of parts that clients choose freely.
const (
	MaxSpecialKind   = 32 // bytes
	MaxReactionKinds = 20 // different emoji on one message
)

// spanRow marks the ids of spans, which nothing refers to.
type spanRow struct{}

var spanTypes = []string{
	protocol.SpanPlaintext, protocol.SpanUser, protocol.SpanSpecial, protocol.SpanCommunity, protocol.SpanAlias,
}

// Spans checks the spans of a message and gives them ids and positions. The
// error is a validation error of the field "spans"; at most one is reported.
func Spans(message protocol.MessageID, in []protocol.SpanInput) ([]protocol.Span, error) {
	if len(in) == 0 {
		return nil, spansFault("arrayMinLength", "At least one span is required")
	}
	if len(in) > protocol.MaxSpans {
		return nil, spansFault("arrayMaxSize", fmt.Sprintf("spans must contain no more than %d elements", protocol.MaxSpans))
	}
	spans := make([]protocol.Span, len(in))
	length := 0
	for i, s := range in {
		span, err := newSpan(s)
		if err != nil {
			return nil, err
		}
		if s.Text != nil {
			length += utf8.RuneCountInString(*s.Text)
		}
		span.ID, span.MessageID, span.Position = protocol.AnyID(protocol.NewID[spanRow]()), message, i
		spans[i] = span
	}
	if length > protocol.MaxMessageText {
		return nil, spansFault("maxLength", fmt.Sprintf("The text of a message must not be longer than %d characters", protocol.MaxMessageText))
	}
	return spans, nil
}

func newSpan(s protocol.SpanInput) (protocol.Span, error) {
	span := protocol.Span{Type: s.Type, Text: s.Text, SpecialKind: s.SpecialKind}
	switch {
	case !slices.Contains(spanTypes, s.Type):
		return span, spansFault("isEnum", "type of a span must be one of the following values: "+strings.Join(spanTypes, ", "))
	case s.Type == protocol.SpanPlaintext && s.Text == nil:
		return span, spansFault("isString", "text of a PLAINTEXT span must be a string")
	case s.Text != nil && !Storable(*s.Text), s.SpecialKind != nil && !Storable(*s.SpecialKind):
		return span, spansFault("isText", "text of a span must not contain NUL or invalid characters")
	case s.SpecialKind != nil && len(*s.SpecialKind) > MaxSpecialKind:
		return span, spansFault("maxLength", fmt.Sprintf("specialKind of a span must be shorter than or equal to %d characters", MaxSpecialKind))
	}
	for _, m := range []struct {
		name string
		ok   bool
	}{
		{"userId", mention(&span.UserID, s.UserID)},
		{"communityId", mention(&span.CommunityID, s.CommunityID)},
		{"aliasId", mention(&span.AliasID, s.AliasID)},
	} {
		if !m.ok {
			return span, spansFault("isUuid", m.name+" of a span must be a UUID")
		}
	}
	return span, nil
}

// mention reads the id of what is mentioned; nil stays nil.
func mention[T any](to **protocol.ID[T], text *string) bool {
	if text == nil {
		return true
	}
	id, err := protocol.ParseID[T](*text)
	*to = id.Ptr()
	return err == nil
}

func spansFault(rule, text string) *protocol.Error {
	return protocol.Invalid([]protocol.FieldError{{Field: "spans", Rule: rule, Message: text}})
}

// Storable reports whether Postgres can store the text: it refuses NUL, and
// bytes that are not UTF-8.
func Storable(text string) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

// SearchText is what a message is found by: the texts of its spans, joined by a
// single space, trimmed and in lower case; nil when nothing is left.
func SearchText(spans []protocol.Span) *string {
	texts := make([]string, 0, len(spans))
	for _, s := range spans {
		if s.Text != nil && *s.Text != "" {
			texts = append(texts, *s.Text)
		}
	}
	joined := strings.ToLower(strings.TrimFunc(strings.Join(texts, " "), blank))
	if joined == "" {
		return nil
	}
	return &joined
}

// blank is white space as ECMAScript's trim understands it.
func blank(r rune) bool { return r == '\ufeff' || r != '\u0085' && unicode.IsSpace(r) }

// Emoji checks what somebody reacts with. Its length is checked by the row.
func Emoji(emoji string) error {
	if !Storable(emoji) {
		return protocol.Invalid([]protocol.FieldError{{Field: "emoji", Rule: "isText", Message: "emoji must not contain NUL or invalid characters"}})
	}
	return nil
}
