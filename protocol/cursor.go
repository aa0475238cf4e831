package protocol

import "encoding/binary"

// Cursor is a place in the history of a channel or group: just before or after the
// message with that seq, whether it still exists or not.
type Cursor struct {
	In  Place
	Seq int64
}

// maxCursorSeq is the largest seq that fits; a channel that writes a million
// messages a second reaches it after two thousand years.
const maxCursorSeq = 1<<56 - 1

// Token is the cursor as clients hand it back. It looks like a UUID because
// clients take it for the id of a message: version 8 (RFC 9562: vendor specific),
// 56 bits of seq, the rest ties it to the channel or group. It guards against mix-ups, not
// against forgers: whoever may read it may start anywhere in it.
func (c Cursor) Token() string { return AnyID(c.bytes()).String() }

func (c Cursor) bytes() [16]byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[8:], uint64(c.Seq&maxCursorSeq))
	binary.BigEndian.PutUint64(b[:8], c.check())
	b[6] = b[6]&0x0f | 0x80
	b[8] = 0x80
	return b
}

// check is FNV-1a over the id of the place and seq.
func (c Cursor) check() uint64 {
	h := uint64(14695981039346656037)
	mix := func(b byte) { h = (h ^ uint64(b)) * 1099511628211 }
	for _, b := range c.In.ID() {
		mix(b)
	}
	for shift := 0; shift < 64; shift += 8 {
		mix(byte(c.Seq >> shift))
	}
	return h
}

// TokenKind says what a client handed back as its continuation token.
type TokenKind uint8

// Kinds of tokens.
const (
	TokenNone    TokenKind = iota // empty: from the start
	TokenCursor                   // a place in this history
	TokenMessage                  // the id of a message, as the reference hands out
	TokenForeign                  // of elsewhere, or not a token: the page is empty
)

// ReadToken takes a continuation token apart. The cursor is set for
// TokenCursor, the id for TokenMessage.
func ReadToken(in Place, token string) (TokenKind, Cursor, MessageID) {
	if token == "" {
		return TokenNone, Cursor{}, MessageID{}
	}
	id, err := ParseID[messageTag](token)
	if err != nil || id.IsZero() {
		return TokenForeign, Cursor{}, MessageID{}
	}
	if id[6]>>4 != 8 {
		return TokenMessage, Cursor{}, id
	}
	c := Cursor{In: in, Seq: int64(binary.BigEndian.Uint64(id[8:]) & maxCursorSeq)}
	if c.bytes() != id {
		return TokenForeign, Cursor{}, MessageID{}
	}
	return TokenCursor, c, MessageID{}
}
